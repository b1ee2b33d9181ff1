//! New data, the next version.

use bytes::Bytes;
use proto::{Code, Permissions, Reply, Version};

use super::undo::Undo;
use super::{Txn, detached};
use crate::acl;
use crate::outcome::ChangeKind;

pub(super) fn set_data(
    txn: &mut Txn<'_>,
    path: &str,
    data: Option<&Bytes>,
    version: Version,
) -> Result<Reply, Code> {
    let (path, znode) = txn.find(path)?;
    acl::require(&znode.acl, txn.who, Permissions::WRITE)?;
    if !version.expects(znode.version) {
        return Err(Code::BadVersion);
    }

    let (path, acl) = (path.clone(), znode.acl.clone());
    let (before, stat) = txn.tree.set_data(&path, detached(data), txn.zxid, txn.time);
    txn.remember(|| Undo::SetData { path: path.clone(), before });
    txn.report(ChangeKind::DataChanged, path, acl);
    Ok(Reply::Stat(stat))
}
