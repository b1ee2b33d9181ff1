//! What a watch reports.

use std::fmt;

use crate::{ZnodePath, Zxid};

/// What happened to a znode, with its number on the wire.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKind {
    /// It was created.
    Created = 1,
    /// It was deleted.
    Deleted = 2,
    /// Its data was written.
    DataChanged = 3,
    /// A child was created or deleted.
    ChildrenChanged = 4,
}

impl EventKind {
    /// The number that stands in a notification.
    pub const fn to_wire(self) -> i32 {
        self as i32
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Created => "created",
            Self::Deleted => "deleted",
            Self::DataChanged => "data-changed",
            Self::ChildrenChanged => "children-changed",
        })
    }
}

/// One notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The transaction that caused it; `None` for what a comparison of stats found, which clients read as -1.
    pub zxid: Option<Zxid>,
    /// What happened.
    pub kind: EventKind,
    /// To which znode.
    pub path: ZnodePath,
}
