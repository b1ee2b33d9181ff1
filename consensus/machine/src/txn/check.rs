//! A version asserted.

use proto::{Code, Permissions, Reply, Version};

use super::Txn;
use crate::acl;

pub(super) fn check(txn: &Txn<'_>, path: &str, version: Version) -> Result<Reply, Code> {
    let (_, znode) = txn.find(path)?;
    acl::require(&znode.acl, txn.who, Permissions::READ)?;
    if version.expects(znode.version) { Ok(Reply::Empty) } else { Err(Code::BadVersion) }
}
