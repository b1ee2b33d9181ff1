//! What was done, and what every session was told: all that the verdict looks at.

use proto::EventKind;

use super::paths::PathId;

/// What a write did to a znode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// It was created.
    Created,
    /// It was deleted.
    Deleted,
    /// Its data was written.
    Written,
}

impl Deed {
    /// What those are told who watch the znode itself.
    pub fn event(self) -> EventKind {
        match self {
            Self::Created => EventKind::Created,
            Self::Deleted => EventKind::Deleted,
            Self::Written => EventKind::DataChanged,
        }
    }
}

/// One change of one znode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The transaction. Several changes may be of one.
    pub zxid: i64,
    /// The znode.
    pub path: PathId,
    /// What was done to it.
    pub deed: Deed,
}

/// Watches, as the members tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Watch {
    /// Set by getData, or by exists on a znode that was there.
    Data,
    /// Set by exists on a znode that was not there.
    Exist,
    /// Set by getChildren.
    Child,
    /// Set by addWatch, mode 0.
    Persistent,
    /// Set by addWatch, mode 1.
    Recursive,
}

impl Watch {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Data, Self::Exist, Self::Child, Self::Persistent, Self::Recursive];

    /// Whether it tells one event and is gone.
    pub fn is_once(self) -> bool {
        matches!(self, Self::Data | Self::Exist | Self::Child)
    }

    /// Of what a session has at most one at a path: data and exist watches are one there.
    #[must_use]
    pub fn mode(self) -> Self {
        if self == Self::Exist { Self::Data } else { self }
    }
}

/// What a client does about its watches when it comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Habit {
    /// Sends all five lists.
    SetWatches2,
    /// Sends three lists, and sets no other watches.
    SetWatches,
    /// Sends nothing.
    Nothing,
}

impl Habit {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::SetWatches2, Self::SetWatches, Self::Nothing];
}

/// Milliseconds since the round began.
pub type Millis = u32;

/// What happened to a session, as its client saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moment {
    /// A member welcomed it. `seen` is what the greeting said.
    Connected {
        /// The member's id.
        member: usize,
        /// The last zxid of the greeting.
        seen: i64,
        /// When that was.
        at: Millis,
    },
    /// A notification came.
    Told {
        /// The zxid of its header; -1 for none.
        zxid: i64,
        /// What it said.
        kind: EventKind,
        /// Of which znode.
        path: PathId,
        /// When that was.
        at: Millis,
    },
    /// A notification came that says nothing which can have happened.
    Stray(Box<str>),
    /// A reply came that shows the world as of `zxid`.
    Replied {
        /// The zxid of its header.
        zxid: i64,
        /// The operation that it answers.
        op: i32,
        /// When that was.
        at: Millis,
    },
    /// A request to set a watch went out.
    Arming(Watch, PathId),
    /// It was answered, and the watch is set.
    Armed {
        /// Which.
        watch: Watch,
        /// Where.
        path: PathId,
        /// As of when.
        zxid: i64,
        /// When that was.
        at: Millis,
    },
    /// A request to take a watch away went out.
    Removing(Watch, PathId),
    /// It was answered; the watch is gone, if it was there.
    Removed {
        /// Which.
        watch: Watch,
        /// Where.
        path: PathId,
        /// As of when.
        zxid: i64,
        /// When that was.
        at: Millis,
    },
    /// What went out was refused.
    Refused,
    /// A write of the session was acknowledged.
    Wrote,
    /// The connection is gone, whoever ended it.
    Broke {
        /// When the client noticed.
        at: Millis,
    },
}

/// All that happened to a session.
#[derive(Clone, Debug)]
pub struct Log {
    /// The session's number on the wire.
    pub session: i64,
    /// What it does when it comes back.
    pub habit: Habit,
    /// In order.
    pub moments: Vec<Moment>,
    /// What should not have happened to it whatever it watches.
    pub violations: Vec<String>,
}

/// A member that was not as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Its id.
    pub member: usize,
    /// Whether it was killed; else it was frozen or cut off.
    pub is_kill: bool,
    /// Since when.
    pub from: Millis,
    /// Until when its fault was over, and the others had come to terms with it.
    pub until: Millis,
}

/// A round, from its beginning to its end.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// All changes, in order.
    pub changes: Vec<Change>,
    /// All sessions that watched.
    pub sessions: Vec<Log>,
    /// All faults, in order of their beginning.
    pub faults: Vec<Fault>,
}
