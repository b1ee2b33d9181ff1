//! What a znode forgets when it is changed, and a transaction that is taken back must put back.

use proto::{Acl, Shared, Zxid};

use crate::command::Millis;
use crate::znode::Znode;

/// When a child comes or goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ParentMark {
    pub(super) pzxid: Zxid,
    pub(super) created: i32,
}

/// When its ACL is written.
#[derive(Debug)]
pub(crate) struct AclMark {
    pub(super) acl: Shared<Acl>,
    pub(super) aversion: i32,
}

/// When its data is written.
#[derive(Debug)]
pub(crate) struct DataMark {
    pub(super) data: Option<Shared<u8>>,
    pub(super) mzxid: Zxid,
    pub(super) mtime: Millis,
    pub(super) version: i32,
}

impl Znode {
    pub(super) fn mark(&self) -> ParentMark {
        ParentMark { pzxid: self.pzxid(), created: self.created() }
    }

    pub(super) fn restore(&mut self, mark: ParentMark) {
        self.set_births(mark.pzxid, mark.created);
    }
}
