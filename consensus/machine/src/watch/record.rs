//! What is known of a watch, as it is put down.

use proto::{Attachment, EventKind, SessionId, ZnodePath, Zxid};
use smallvec::SmallVec;

use crate::command::WatchKind;

/// What a session waits for at one path, or has taken away there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchRecord {
    /// The session.
    pub session: SessionId,
    /// The path.
    pub path: ZnodePath,
    /// Its watches, of each mode at most one, in order of their modes.
    pub watches: SmallVec<[ArmedWatch; 1]>,
    /// What it has taken away there and may yet be reported late, in the same order.
    pub removed: Vec<RemovedWatch>,
}

/// One watch of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArmedWatch {
    /// What it listens to. [`WatchKind::Data`] and [`WatchKind::Exist`] are one mode.
    pub kind: WatchKind,
    /// What its client had seen when it was armed.
    pub armed: Zxid,
    /// What has happened since, if it is told once.
    pub spent: Option<Spent>,
}

/// The first event of a one-shot watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spent {
    /// The transaction; or some later one, if it was forgotten before anybody asked.
    pub zxid: Zxid,
    /// What it did.
    pub kind: EventKind,
}

/// Which report of a session's watches. They are in the order in which their client was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reported {
    /// Over which attachment.
    pub attachment: Attachment,
    /// Which one of that attachment.
    pub number: u64,
}

/// A watch that was taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemovedWatch {
    /// What it listened to: [`WatchKind::Data`] stands for [`WatchKind::Exist`] too.
    pub kind: WatchKind,
    /// What said so last.
    pub by: Reported,
}
