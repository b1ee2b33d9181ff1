//! The replicated world of znodes and sessions: one pure, synchronous function.
//!
//! [`Machine::apply`] is the only way it changes. It cannot fail, wait, log, or look at a clock: the same commands
//! make the same world on every member.
// Layers, lowest first. A module imports only from those above it; the tidy test checks.
pub mod command;
pub mod outcome;

#[expect(dead_code, reason = "signatures first")]
mod znode;

mod session;

mod image;

use proto::request::{Read, SetWatches};
use proto::{Code, Event, Reply, SessionId, Zxid};

pub use command::{Act, Command, Home, Identities, Millis, Operation};
pub use image::{Damaged, Key, Record, WorldRecord, ZnodeRecord};
pub use outcome::{Applied, Change, ChangeKind, Verdict};
pub use session::Session;
pub use znode::Kind;

/// The world.
#[derive(Debug, Default)]
pub struct Machine {}

/// What a returning client's list of watches comes to.
#[derive(Debug, Default)]
pub struct CatchUp {
    /// What it missed, in the order of the lists.
    pub events: Vec<Event>,
    /// What it still waits for: the lists of the request without the watches that fired.
    pub waiting: SetWatches,
}

#[expect(
    clippy::unimplemented,
    reason = "signatures first, so that the crates above can be written against them"
)]
impl Machine {
    /// An empty world: `/`, `/zookeeper`, `/zookeeper/quota` and `/zookeeper/config`.
    pub fn new() -> Self {
        unimplemented!()
    }

    /// The only way the world changes.
    pub fn apply(&mut self, _command: &Command) -> Applied {
        unimplemented!()
    }

    /// Where the world stands: the zxid of the last transaction that took one.
    pub fn last_zxid(&self) -> Zxid {
        unimplemented!()
    }

    /// Answers a read of this session's client. Registers no watch: the caller does, under the same lock.
    ///
    /// # Errors
    /// The refusals of PROTOCOL, section "Opcodes".
    pub fn read(&self, _read: &Read, _session: SessionId, _who: Identities<'_>) -> Result<Reply, Code> {
        unimplemented!()
    }

    /// Compares a returning client's watches with the world (PROTOCOL, section "SetWatches").
    pub fn catch_up(&self, _watches: &SetWatches) -> CatchUp {
        unimplemented!()
    }

    /// A living session.
    pub fn session(&self, _id: SessionId) -> Option<&Session> {
        unimplemented!()
    }

    /// All living sessions.
    pub fn sessions(&self) -> impl Iterator<Item = &Session> {
        [].iter()
    }

    /// Counts for operators.
    pub fn census(&self) -> Census {
        unimplemented!()
    }

    /// What was touched since this was last asked, in order of keys: its value now, or `None` if it is gone. Written
    /// over an older image, this makes it an image of now.
    pub fn take_changes(&mut self) -> Vec<(Key, Option<Record>)> {
        unimplemented!()
    }

    /// The whole world, in no particular order. Cloning a record copies no data.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        std::iter::empty()
    }

    /// The world of these records, in whatever order they come. Data is copied, so that a record may share the buffer
    /// that it was read from.
    ///
    /// # Errors
    /// [`Damaged`] if they are no whole world.
    pub fn restore(_records: impl IntoIterator<Item = Record>) -> Result<Self, Damaged> {
        unimplemented!()
    }

    /// A checksum of the whole world: equal on every member that has applied the same commands. Reads everything.
    pub fn digest(&self) -> u64 {
        unimplemented!()
    }

    /// Panics if the world contradicts itself. Reads everything: for tests.
    pub fn assert_invariants(&self) {
        unimplemented!()
    }
}

/// Counts for operators.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Znodes, the root and the reserved ones among them.
    pub znodes: usize,
    /// Znodes that go when their session goes.
    pub ephemerals: usize,
    /// Bytes of paths and data.
    pub data_bytes: u64,
    /// Living sessions.
    pub sessions: usize,
}

/// Whether one of the client's identities may do this with a znode that has this ACL (PROTOCOL, section "Matching").
#[expect(
    clippy::unimplemented,
    reason = "signatures first, so that the crates above can be written against them"
)]
pub fn permits(_acl: &[proto::Acl], _who: Identities<'_>, _wanted: proto::Permissions) -> bool {
    unimplemented!()
}
