//! The world as it stood at one place of the log, on its way to a member that cannot be served by the log.
//!
//! Nothing is dumped: the state on disk is pinned as it is, and read out in pieces while the world goes on. The
//! receiver writes them into a state of its own beside the one in use, which they replace when all have come.
mod source;

mod receive;

pub(crate) use receive::SnapshotReceiver;
pub(crate) use source::{Checksum, SnapshotHandle};

/// A snapshot, as openraft names it.
pub(crate) type Snapshot = openraft::alias::SnapshotOf<crate::types::TypeConfig, SnapshotHandle>;

#[cfg(test)]
mod tests;
