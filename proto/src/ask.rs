//! Requests as bytes: what a client writes. The members have no use for it; the load and the tests do.

use bytes::{Bytes, BytesMut};

use crate::jute::frame;
use crate::jute::write::Writer;
use crate::request::{Greeting, OpCode};

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
    /// Goes when it has lost its last child.
    pub const CONTAINER: i32 = 4;
    /// Goes when it has no children and was not written for its time to live.
    pub const TTL: i32 = 5;
}

impl Ask {
    /// Appends the request as a frame, under this number.
    pub fn put(&self, out: &mut BytesMut, xid: i32) {
        frame::put(out, |out| {
            out.int(xid);
            out.int(self.op);
            out.extend_from_slice(&self.body);
        });
    }

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

    /// `createContainer`: answered with the path and the Stat.
    pub fn create_container(path: &str) -> Self {
        Self::create_container_with(path, b"")
    }

    /// The same with data.
    pub fn create_container_with(path: &str, data: &[u8]) -> Self {
        Self::new(OpCode::CreateContainer, |out| create_record(out, path, data, flags::CONTAINER))
    }

    /// `createTTL`: answered with the path and the Stat.
    pub fn create_ttl(path: &str, data: &[u8], ttl_ms: i64) -> Self {
        Self::new(OpCode::CreateTtl, |out| {
            create_record(out, path, data, flags::TTL);
            out.long(ttl_ms);
        })
    }

    /// `delete`, whatever the version.
    pub fn delete(path: &str) -> Self {
        Self::delete_version(path, -1)
    }

    /// `delete`, expecting `version` (-1 for any).
    pub fn delete_version(path: &str, version: i32) -> Self {
        Self::new(OpCode::Delete, |out| path_and_version(out, path, version))
    }

    /// `check`, which stands in a multi only.
    pub fn check(path: &str, version: i32) -> Self {
        Self::new(OpCode::Check, |out| path_and_version(out, path, version))
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

    /// `getChildren2`.
    pub fn get_children2(path: &str, watch: bool) -> Self {
        Self::new(OpCode::GetChildren2, |out| path_and_watch(out, path, watch))
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

    /// `sasl`: one token of the exchange.
    pub fn sasl(token: &[u8]) -> Self {
        Self::new(OpCode::Sasl, |out| out.buffer(Some(token)))
    }

    /// `whoAmI`.
    pub fn who_am_i() -> Self {
        Self::new(OpCode::WhoAmI, |_| {})
    }

    /// `getACL`.
    pub fn get_acl(path: &str) -> Self {
        Self::new(OpCode::GetAcl, |out| out.text(path))
    }

    /// `create` of an empty persistent znode with an ACL of one line.
    pub fn create_for(path: &str, permissions: i32, scheme: &str, id: &str) -> Self {
        Self::new(OpCode::Create, |out| {
            out.text(path);
            out.buffer(Some(b""));
            out.count(1);
            out.int(permissions);
            out.text(scheme);
            out.text(id);
            out.int(flags::PERSISTENT);
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

/// Appends a greeting as a frame.
pub fn put_greeting(out: &mut BytesMut, greeting: &Greeting) {
    frame::put(out, |out| {
        out.int(0);
        out.long(greeting.last_zxid.to_wire());
        out.int(greeting.timeout_ms);
        out.long(greeting.session.to_wire());
        out.buffer(Some(&greeting.password));
        if let Some(read_only) = greeting.read_only {
            out.boolean(read_only);
        }
    });
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

fn path_and_version(out: &mut BytesMut, path: &str, version: i32) {
    out.text(path);
    out.int(version);
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
