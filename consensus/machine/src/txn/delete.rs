//! The end of a znode.

use proto::{Code, Permissions, Reply, Version, ZnodePath, path};

use super::quota::Weight;
use super::undo::Undo;
use super::{Txn, quota};
use crate::acl;
use crate::command::Millis;
use crate::outcome::ChangeKind;
use crate::tree::RESERVED;

pub(super) fn delete(txn: &mut Txn<'_>, path: &str, version: Version) -> Result<Reply, Code> {
    if path.contains('\0') || RESERVED.contains(&path) {
        return Err(Code::BadArguments);
    }
    let parent = path::parent(path).ok_or(Code::BadArguments)?;
    let parent = txn.tree.get(parent).ok_or(Code::NoNode)?;
    acl::require(&parent.acl, txn.who, Permissions::DELETE)?;
    let (path, znode) = txn.tree.find(path).ok_or(Code::NoNode)?;
    if !version.expects(znode.version) {
        return Err(Code::BadVersion);
    }
    if !znode.is_leaf() {
        return Err(Code::NotEmpty);
    }

    let path = path.clone();
    remove(txn, path);
    Ok(Reply::Empty)
}

/// Deletes all that goes with the session, in order of paths: any order would do, if only it is everybody's.
pub(crate) fn delete_ephemerals(txn: &mut Txn<'_>) {
    let owned: Vec<_> = txn.tree.ephemerals(txn.session).cloned().collect();
    for path in owned {
        remove(txn, path);
    }
}

/// Deletes a container or TTL znode that has had its time; `false` if it has not, or there is none.
pub(crate) fn delete_due(txn: &mut Txn<'_>, path: &str, never_used_ms: Millis) -> bool {
    let Some((path, znode)) = txn.tree.find(path) else { return false };
    if !znode.is_due(txn.time, never_used_ms) {
        return false;
    }
    let path = path.clone();
    remove(txn, path);
    true
}

fn remove(txn: &mut Txn<'_>, path: ZnodePath) {
    let (znode, mark) = txn.tree.delete(&path, txn.zxid);
    let (acl, weight) = (znode.acl.clone(), Weight::of(znode.data.as_deref()));
    txn.remember(|| Undo::Delete { znode, parent: mark });
    quota::deleted(txn, &path, weight);
    txn.report(ChangeKind::Deleted, path, acl);
}
