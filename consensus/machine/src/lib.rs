//! The replicated world of znodes and sessions: one pure, synchronous function.
//!
//! [`Machine::apply`] is the only way it changes. It cannot fail, wait, log, or look at a clock: the same commands
//! make the same world on every member.
// Layers, lowest first. A module imports only from those above it; the tidy test checks.
pub mod command;
pub mod outcome;

use proto::request::{Read, SetWatches};
use proto::{Attachment, Code, Event, Reply, SessionId, Text, Zxid};

pub use command::{Act, Command, Home, Identities, Millis, Operation};
pub use outcome::{Applied, Change, ChangeKind, Verdict};

/// The world.
#[derive(Debug, Default)]
pub struct Machine {}

/// A session, as every member knows it.
#[derive(Clone, Debug)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// As negotiated last, in milliseconds.
    pub timeout_ms: u32,
    /// How many times it has been attached.
    pub attachment: Attachment,
    /// The connection that it is attached to.
    pub home: Home,
    /// Where its client calls from.
    pub address: Text,
}

/// What a returning client's list of watches comes to.
#[derive(Debug, Default)]
pub struct CatchUp {
    /// What it missed, in the order of the lists.
    pub events: Vec<Event>,
    /// What it still waits for: the lists of the request without the watches that fired.
    pub waiting: SetWatches,
}

#[expect(clippy::unimplemented, reason = "signatures first, so that the crates above can be written against them")]
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
#[expect(clippy::unimplemented, reason = "signatures first, so that the crates above can be written against them")]
pub fn permits(_acl: &[proto::Acl], _who: Identities<'_>, _wanted: proto::Permissions) -> bool {
    unimplemented!()
}
