//! What a command came to.

use proto::request::SetWatches;
use proto::{Acl, Attachment, Code, EventKind, Reply, Seq, SessionId, Shared, ZnodePath, Zxid};
use smallvec::SmallVec;

use crate::command::{Home, PASSWORD_BYTES};
use crate::quota::Limit;

/// What one command came to: equal on every member.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    /// Where the world stands now: the command's own zxid if it took one, otherwise that of the last one that did.
    pub zxid: Zxid,
    /// What became of the command.
    pub verdict: Verdict,
    /// What changed in the tree, in the order in which watches are to hear of it.
    pub changes: SmallVec<[Change; 1]>,
    /// The first limit of a quota that it went beyond, or was refused for: only where quotas are enforced.
    pub over_quota: Option<Box<OverQuota>>,
}

/// A limit of a quota that a transaction went beyond, or would have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverQuota {
    /// The path that has the quota.
    pub path: String,
    /// Of what there would be too much: `count` or `bytes`.
    pub what: &'static str,
    /// The limit. If it is a hard one, the transaction was refused.
    pub limit: Limit,
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// A session was opened, with attachment 1. Takes a zxid.
    Opened {
        /// The new session.
        session: SessionId,
        /// The connection that asked.
        home: Home,
        /// As the command gave it.
        password: [u8; PASSWORD_BYTES],
        /// As the command gave it, in milliseconds.
        timeout_ms: u32,
    },
    /// A session moved to a connection. Takes no zxid, because nothing that a client can read changes.
    Attached {
        /// The session.
        session: SessionId,
        /// Its new attachment.
        attachment: Attachment,
        /// The connection that asked.
        home: Home,
        /// The connection that had it before.
        previous: Home,
        /// The session's password.
        password: [u8; PASSWORD_BYTES],
        /// As the command gave it, in milliseconds.
        timeout_ms: u32,
    },
    /// An attach named no living session, or not its password. Takes no zxid.
    NotAttached {
        /// The connection that asked.
        home: Home,
        /// The session that it named.
        session: SessionId,
    },
    /// A write was done or refused. Takes a zxid in either case, as in ZooKeeper.
    Answered {
        /// The session that asked.
        session: SessionId,
        /// Over which attachment.
        attachment: Attachment,
        /// Which of its writes.
        seq: Seq,
        /// The answer.
        result: Result<Reply, Code>,
    },
    /// A session ended: its ephemerals are among the changes. Takes a zxid.
    Closed {
        /// The session.
        session: SessionId,
        /// The attachment that it had.
        attachment: Attachment,
        /// The connection that it had.
        home: Home,
        /// The client's own request, or `None` if the session expired.
        seq: Option<Seq>,
    },
    /// What was reported of a session's watches is noted. Takes no zxid.
    Noted {
        /// The session.
        session: SessionId,
        /// The attachment that was reported of.
        attachment: Attachment,
        /// Which report of that attachment.
        number: u64,
        /// The session's current attachment.
        current: Attachment,
        /// What was set over an older attachment, and has become known only now that the session is elsewhere: its home
        /// is to tell what these watches have missed since the zxid of the list, which is what the client had seen when it
        /// left the attachment.
        late: Option<Box<SetWatches>>,
        /// How many there was no room for. Their home tells them as long as the session stays there.
        left_out: usize,
    },
    /// Nothing speaks against other members: the leader is to see to it, and the session is answered when that is done.
    /// Takes no zxid yet.
    Reconfiguring {
        /// Who asked.
        session: SessionId,
        /// Over which attachment.
        attachment: Attachment,
    },
    /// Who the members are is written down. Takes a zxid unless it was the first time.
    Described,
    /// The ensemble has a name now. Takes no zxid.
    Named,
    /// The same command was applied before: nothing was done.
    Repeat,
    /// A write came before the ones in front of it: nothing was done; it will come again, in order.
    Gap,
    /// A write came over an attachment that the session has left, or of a session that has ended: nothing was done,
    /// and nothing ever will be.
    Fenced {
        /// The session that asked.
        session: SessionId,
        /// Over which attachment.
        attachment: Attachment,
        /// Which of its writes.
        seq: Seq,
    },
    /// A container or TTL znode went because it had had its time. Takes a zxid.
    Reaped,
    /// An expiry named an attachment that the session has left, or it or a report named a session that has ended, or a
    /// reaping a znode that is to stay, or the ensemble has a name: nothing was done.
    Outlived,
}

/// What happened to one znode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The znode.
    pub path: ZnodePath,
    /// What happened to it.
    pub kind: ChangeKind,
    /// Its ACL: after a creation or a write; before a deletion. Whoever may not read is not told.
    pub acl: Shared<Acl>,
    /// The parent's ACL, which decides who is told that the parent's children changed. After a write, of which the
    /// parent's watches are not told, it is the znode's own.
    pub parent_acl: Shared<Acl>,
}

/// What can happen to a znode. That its parent's children changed follows from a creation or a deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It was created.
    Created,
    /// It was deleted.
    Deleted,
    /// Its data was written.
    DataChanged,
}

impl ChangeKind {
    /// How a watch reports it.
    pub const fn event(self) -> EventKind {
        match self {
            Self::Created => EventKind::Created,
            Self::Deleted => EventKind::Deleted,
            Self::DataChanged => EventKind::DataChanged,
        }
    }
}
