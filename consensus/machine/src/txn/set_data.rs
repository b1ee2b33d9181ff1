//! New data, the next version.

use bytes::Bytes;
use proto::{Code, Permissions, Reply, Version};

use super::quota::Weight;
use super::undo::Undo;
use super::{Txn, detached, quota};
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
    let weight = Weight::between(znode.data.as_deref(), data.map(|data| &**data));
    let (path, acl, before) = (path.clone(), znode.acl.clone(), znode.version);
    quota::admit(txn, &path, weight)?;
    if !version.expects(before) {
        return Err(Code::BadVersion);
    }

    let (before, stat) = txn.tree.set_data(&path, detached(data), txn.zxid, txn.time);
    txn.remember(|| Undo::SetData { path: path.clone(), before });
    quota::written(txn, &path, weight);
    txn.report(ChangeKind::DataChanged, path, acl);
    Ok(Reply::Stat(stat))
}
