//! The log: what openraft asked to be remembered, on disk before it counts.
//!
//! A job never waits for the disk where it is asked for (but a vote, which must): it goes into one queue, in whose
//! order everything reaches the disk. A thread takes all that has gathered there into one synced write.
mod keys;
mod record;
mod tail;
mod weight;

mod changes;

mod disk;

mod thread;

mod store;

mod closed;

pub(crate) use closed::{Beginning, ClosedLog, Summary, begin};
pub(crate) use record::size as entry_size;
pub(crate) use store::{Front, Log, LogStore};

#[cfg(any(test, simulation))]
pub(crate) mod simulated;
#[cfg(test)]
mod tests;
