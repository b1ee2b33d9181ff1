//! New permissions, the next ACL version.

use proto::{Acl, Code, Permissions, Reply, Version, ZnodePath};

use super::Txn;
use super::undo::Undo;
use crate::acl;

/// No watch hears of it: there is nothing to report.
pub(super) fn set_acl(
    txn: &mut Txn<'_>,
    path: &str,
    list: Option<&[Acl]>,
    version: Version,
) -> Result<Reply, Code> {
    let path = ZnodePath::parse(path)?;
    let list = acl::expand(list, txn.who, txn.rules)?;
    let znode = txn.tree.get(&path).ok_or(Code::NoNode)?;
    acl::require(&znode.acl, txn.who, Permissions::ADMIN)?;
    if !version.expects(znode.aversion()) {
        return Err(Code::BadVersion);
    }

    let list = txn.tree.intern(&list);
    let (before, stat) = txn.tree.set_acl(&path, list);
    txn.remember(|| Undo::SetAcl { path, before });
    Ok(Reply::Stat(stat))
}
