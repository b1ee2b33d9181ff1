//! Requests as bytes: what a client writes.

use bytes::{Bytes, BytesMut};
use proto::OpCode;
use proto::jute::write::Writer;

/// A request without its number: an operation and its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The operation's number on the wire, known or not.
    pub op: i32,
    /// The record.
    pub body: Bytes,
}

/// Flags of a create.
pub mod flags {
    /// Stays until it is deleted.
    pub const PERSISTENT: i32 = 0;
    /// Goes when its session goes.
    pub const EPHEMERAL: i32 = 1;
    /// The parent's counter is added to its name.
    pub const SEQUENTIAL: i32 = 2;
    /// Both.
    pub const EPHEMERAL_SEQUENTIAL: i32 = 3;
}

impl Ask {
    /// Any operation with any record.
    pub fn raw(op: i32, body: impl FnOnce(&mut BytesMut)) -> Self {
        let mut bytes = BytesMut::new();
        body(&mut bytes);
        Self { op, body: bytes.freeze() }
    }

    fn new(op: OpCode, body: impl FnOnce(&mut BytesMut)) -> Self {
        Self::raw(op.to_wire(), body)
    }

    /// `create`: answered with the path.
    pub fn create(path: &str, data: &[u8], flags: i32) -> Self {
        Self::new(OpCode::Create, |out| create_record(out, path, data, flags))
    }

    /// `create2`: answered with the path and the Stat.
    pub fn create2(path: &str, data: &[u8], flags: i32) -> Self {
        Self::new(OpCode::Create2, |out| create_record(out, path, data, flags))
    }

    /// `delete`, whatever the version.
    pub fn delete(path: &str) -> Self {
        Self::new(OpCode::Delete, |out| {
            out.text(path);
            out.int(-1);
        })
    }

    /// `exists`.
    pub fn exists(path: &str, watch: bool) -> Self {
        Self::new(OpCode::Exists, |out| path_and_watch(out, path, watch))
    }

    /// `getData`.
    pub fn get_data(path: &str, watch: bool) -> Self {
        Self::new(OpCode::GetData, |out| path_and_watch(out, path, watch))
    }

    /// `getChildren`.
    pub fn get_children(path: &str, watch: bool) -> Self {
        Self::new(OpCode::GetChildren, |out| path_and_watch(out, path, watch))
    }

    /// `setData`, expecting `version` (-1 for any).
    pub fn set_data(path: &str, data: &[u8], version: i32) -> Self {
        Self::new(OpCode::SetData, |out| {
            out.text(path);
            out.buffer(Some(data));
            out.int(version);
        })
    }

    /// `setACL` to one line, whatever the version.
    pub fn set_acl(path: &str, permissions: i32, scheme: &str, id: &str) -> Self {
        Self::new(OpCode::SetAcl, |out| {
            out.text(path);
            out.count(1);
            out.int(permissions);
            out.text(scheme);
            out.text(id);
            out.int(-1);
        })
    }

    /// `sync`.
    pub fn sync(path: &str) -> Self {
        Self::new(OpCode::Sync, |out| out.text(path))
    }

    /// `ping`. Goes out under the number -2.
    pub fn ping() -> Self {
        Self::new(OpCode::Ping, |_| {})
    }

    /// `closeSession`.
    pub fn close_session() -> Self {
        Self::new(OpCode::CloseSession, |_| {})
    }

    /// `auth`. Goes out under the number -4.
    pub fn auth(scheme: &str, credentials: &[u8]) -> Self {
        Self::new(OpCode::Auth, |out| {
            out.int(0);
            out.text(scheme);
            out.buffer(Some(credentials));
        })
    }

    /// `addWatch`: mode 0 is persistent, 1 persistent and recursive.
    pub fn add_watch(path: &str, mode: i32) -> Self {
        Self::new(OpCode::AddWatch, |out| {
            out.text(path);
            out.int(mode);
        })
    }

    /// `removeWatches`: 1 on children, 2 on data, 3 any, 4 persistent ones, 5 persistent recursive ones.
    pub fn remove_watches(path: &str, kind: i32) -> Self {
        Self::new(OpCode::RemoveWatches, |out| {
            out.text(path);
            out.int(kind);
        })
    }

    /// `setWatches`: one-shot watches on data, on what does not exist, on children.
    pub fn set_watches(relative_zxid: i64, [data, exist, child]: [&[&str]; 3]) -> Self {
        Self::new(OpCode::SetWatches, |out| set_watches_record(out, relative_zxid, &[data, exist, child]))
    }

    /// `setWatches2`: the same, then persistent and persistent recursive ones.
    pub fn set_watches2(relative_zxid: i64, lists: [&[&str]; 5]) -> Self {
        Self::new(OpCode::SetWatches2, |out| set_watches_record(out, relative_zxid, &lists))
    }

    /// `multi` of these operations.
    pub fn multi(operations: &[Self]) -> Self {
        Self::new(OpCode::Multi, |out| {
            for operation in operations {
                multi_header(out, operation.op, false);
                out.extend_from_slice(&operation.body);
            }
            multi_header(out, -1, true);
        })
    }
}

fn create_record(out: &mut BytesMut, path: &str, data: &[u8], flags: i32) {
    out.text(path);
    out.buffer(Some(data));
    // One line that allows everything to everybody.
    out.count(1);
    out.int(31);
    out.text("world");
    out.text("anyone");
    out.int(flags);
}

fn path_and_watch(out: &mut BytesMut, path: &str, watch: bool) {
    out.text(path);
    out.boolean(watch);
}

fn set_watches_record(out: &mut BytesMut, relative_zxid: i64, lists: &[&[&str]]) {
    out.long(relative_zxid);
    for list in lists {
        out.count(list.len());
        for path in *list {
            out.text(path);
        }
    }
}

fn multi_header(out: &mut BytesMut, op: i32, done: bool) {
    out.int(op);
    out.boolean(done);
    out.int(-1);
}
