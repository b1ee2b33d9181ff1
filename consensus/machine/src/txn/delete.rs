//! The end of a znode.

use proto::{Code, Permissions, Reply, Version, ZnodePath, path};

use super::Txn;
use super::undo::Undo;
use crate::acl;
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
    if znode.children.is_some() {
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

fn remove(txn: &mut Txn<'_>, path: ZnodePath) {
    let (znode, mark) = txn.tree.delete(&path, txn.zxid);
    let acl = znode.acl.clone();
    txn.remember(|| Undo::Delete { path: path.clone(), znode, parent: mark });
    txn.report(ChangeKind::Deleted, path, acl);
}
