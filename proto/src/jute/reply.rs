//! Replies and notifications to frames.

use bytes::BytesMut;

use super::write::Writer;
use super::{acl, frame, multi};
use crate::{Code, EventKind, Reply, Xid, ZnodePath, Zxid};

/// What a notification is numbered with.
const NOTIFICATION: i32 = -1;

/// The state that every notification carries: the connection is up.
const SYNC_CONNECTED: i32 = 3;

/// Writes the frame that answers request `xid`. A refusal has no body, but for that of a SASL token.
pub fn write_reply(out: &mut BytesMut, xid: Xid, zxid: Zxid, result: &Result<Reply, Code>) {
    frame::put(out, |out| {
        let err = match result {
            Err(code) | Ok(Reply::SaslRefused(code)) => code.to_wire(),
            Ok(_) => 0,
        };
        header(out, xid.get(), zxid.to_wire(), err);
        if let Ok(reply) = result {
            write_body(out, reply);
        }
    });
}

/// Writes the frame of a notification: the transaction that caused it (`None` for what a comparison of stats found,
/// which clients read as -1), what happened, and to which znode.
pub fn write_event(out: &mut BytesMut, zxid: Option<Zxid>, kind: EventKind, path: &str) {
    frame::put(out, |out| {
        header(out, NOTIFICATION, zxid.map_or(-1, Zxid::to_wire), 0);
        out.int(kind.to_wire());
        out.int(SYNC_CONNECTED);
        out.text(path);
    });
}

fn header(out: &mut BytesMut, xid: i32, zxid: i64, err: i32) {
    out.int(xid);
    out.long(zxid);
    out.int(err);
}

/// Writes the body of a reply.
pub(super) fn write_body(out: &mut BytesMut, reply: &Reply) {
    match reply {
        Reply::Empty => {}
        Reply::Path(path) => out.text(path),
        Reply::PathStat(path, stat) => {
            out.text(path);
            out.stat(stat);
        }
        Reply::Stat(stat) => out.stat(stat),
        Reply::Data(data, stat) => {
            out.buffer(data.as_deref());
            out.stat(stat);
        }
        Reply::Children(children) => write_names(out, children),
        Reply::ChildrenStat(children, stat) => {
            write_names(out, children);
            out.stat(stat);
        }
        Reply::Acl(list, stat) => {
            acl::write_list(out, list);
            out.stat(stat);
        }
        Reply::Multi(results) => multi::write_results(out, results),
        Reply::MultiFailed { operations, failing, code } => {
            multi::write_failure(out, *operations, *failing, *code);
        }
        Reply::Synced(path) => out.buffer(path.as_deref().map(str::as_bytes)),
        Reply::Ephemerals(paths) => {
            out.count(paths.len());
            for path in paths {
                out.text(path);
            }
        }
        Reply::Count(count) => out.int(*count),
        Reply::NoError => out.int(0),
        Reply::SaslRefused(_) => out.buffer(None),
        Reply::Token(token) => out.buffer(token.as_deref()),
        Reply::Identities(ids) => {
            out.count(ids.len());
            for id in ids {
                out.text(&id.scheme);
                out.text(&id.id);
            }
        }
    }
}

fn write_names(out: &mut BytesMut, children: &[ZnodePath]) {
    out.count(children.len());
    for child in children {
        out.text(child.name());
    }
}
