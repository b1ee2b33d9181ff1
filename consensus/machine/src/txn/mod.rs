//! One transaction of a session against the tree.
//!
//! Each file states the refusals of its operation in the order in which PROTOCOL, section "Opcodes", gives them:
//! clients see that order.
mod undo;

mod quota;

mod check;
mod create;
mod delete;
mod set_acl;
mod set_data;

mod multi;
mod reconfig;

mod full;

use bytes::Bytes;
use proto::request::Write;
use proto::{Acl, Code, Reply, SessionId, Shared, ZnodePath, Zxid};
use smallvec::SmallVec;

use crate::command::{Identities, Millis};
use crate::outcome::{Change, ChangeKind, OverQuota};
use crate::rules::Rules;
use crate::tree::Tree;
use crate::znode::Znode;
use undo::Undo;

pub(crate) use delete::{delete_due, delete_ephemerals};
pub(crate) use reconfig::reconfig;

/// A transaction under way.
pub(crate) struct Txn<'a> {
    pub(crate) tree: &'a mut Tree,
    pub(crate) zxid: Zxid,
    pub(crate) time: Millis,
    pub(crate) session: SessionId,
    pub(crate) who: Identities<'a>,
    pub(crate) rules: Rules,
    pub(crate) changes: SmallVec<[Change; 1]>,
    /// The first limit of a quota that it went beyond, or would have.
    pub(crate) over_quota: Option<Box<OverQuota>>,
    /// How to take back what was done; kept where that may have to be.
    undo: Option<Vec<Undo>>,
}

impl<'a> Txn<'a> {
    /// A transaction that has done nothing yet.
    pub(crate) fn new(
        tree: &'a mut Tree,
        zxid: Zxid,
        time: Millis,
        session: SessionId,
        who: Identities<'a>,
        rules: Rules,
    ) -> Self {
        let changes = SmallVec::new();
        Self { tree, zxid, time, session, who, rules, changes, over_quota: None, undo: None }
    }

    /// Does what a session asks for, or changes nothing.
    pub(crate) fn perform(&mut self, write: &Write) -> Result<Reply, Code> {
        if self.rules.contains(Rules::FULL) { full::perform(self, write) } else { self.perform_any(write) }
    }

    fn perform_any(&mut self, write: &Write) -> Result<Reply, Code> {
        match write {
            Write::Multi(operations) => multi::multi(self, operations),
            // The one ends the session as well as its ephemerals, the other is about more than the tree: they are done where
            // the rest of the world is.
            Write::CloseSession | Write::Reconfig(_) => Err(Code::MarshallingError),
            // Stands in a multi only.
            Write::Check { .. } => Err(Code::Unimplemented),
            _ => self.perform_one(write),
        }
    }

    /// Does one operation that may stand in a multi.
    fn perform_one(&mut self, write: &Write) -> Result<Reply, Code> {
        match write {
            Write::Create(create) => create::create(self, create),
            Write::Delete { path, version } => delete::delete(self, path, *version),
            Write::SetData { path, data, version } => set_data::set_data(self, path, data.as_ref(), *version),
            Write::SetAcl { path, acl, version } => set_acl::set_acl(self, path, acl.as_deref(), *version),
            Write::Check { path, version } => check::check(self, path, *version),
            Write::Multi(_) | Write::Reconfig(_) | Write::CloseSession => Err(Code::MarshallingError),
        }
    }

    /// The znode that a request names.
    fn find(&self, path: &str) -> Result<(&ZnodePath, &Znode), Code> {
        // What is in the tree is legal, so only what is not found must be looked at.
        self.tree.find(path).ok_or_else(|| ZnodePath::parse(path).err().unwrap_or(Code::NoNode))
    }

    fn remember(&mut self, undo: impl FnOnce() -> Undo) {
        if let Some(log) = &mut self.undo {
            log.push(undo());
        }
    }

    /// Undoes everything.
    fn take_back(&mut self) {
        self.changes.clear();
        undo::roll_back(self.tree, self.undo.take().unwrap_or_default());
    }

    fn report(&mut self, kind: ChangeKind, path: ZnodePath, acl: Shared<Acl>) {
        let parent_acl = match kind {
            ChangeKind::DataChanged => acl.clone(),
            ChangeKind::Created | ChangeKind::Deleted => {
                let parent = path.parent().and_then(|parent| self.tree.get(parent));
                parent.map_or_else(|| acl.clone(), |parent| parent.acl.clone())
            }
        };
        self.changes.push(Change { path, kind, acl, parent_acl });
    }
}

/// A copy that does not keep the client's request, or a whole batch of the log, in memory.
fn detached(data: Option<&Bytes>) -> Option<Shared<u8>> {
    data.map(|data| Shared::from(&**data))
}
