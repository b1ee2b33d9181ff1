//! The world as it stood at one place of the log, on its way to a member that cannot be served by the log.

mod receive;
mod source;

pub(crate) use receive::SnapshotReceiver;
pub(crate) use source::{Checksum, SnapshotHandle};
