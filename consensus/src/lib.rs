//! One log and one world out of several members.
//!
//! The rest of the server sees [`Consensus`]: it proposes, reads, asks for a barrier, and is told through an
//! [`Observer`] what was applied. Nobody outside knows openraft, RocksDB or tonic.
// Layers, lowest first. A module imports only from those above it; the tidy test checks.
mod config;
mod error;
mod status;
mod types;

mod clock;
mod tasks;

mod entry;
mod replica;
mod wire;

mod snapshot;
mod state;

mod log;

mod applier;

mod leader;

mod peer;

mod barrier;
mod propose;
mod touch;

use std::sync::Arc;

use machine::Machine;
use proto::SessionId;
use tokio::sync::watch;

pub use config::{Config, Retention, Timing};
pub use entry::Proposal;
pub use error::{Fault, Unavailable};
pub use replica::Observer;
pub use status::{Role, Status};

/// This member's part in the ensemble.
#[derive(Clone)]
pub struct Consensus {
    _private: Arc<()>,
}

#[expect(
    clippy::unimplemented,
    reason = "signatures first, so that the crates above can be written against them"
)]
#[expect(clippy::unused_async, reason = "signatures first")]
impl Consensus {
    /// Opens what is on disk, joins the peers, and starts to vote. Returns before the world has caught up:
    /// [`Status::recovered`] says when it has.
    ///
    /// # Errors
    /// A [`Fault`] if what is on disk cannot be trusted, or an address not be listened to.
    pub async fn start(_config: Config, _observer: Arc<dyn Observer>) -> Result<Self, Fault> {
        unimplemented!()
    }

    /// Puts an act of one of this member's clients on its way into the log. Acts of one session enter the log in the
    /// order in which they are proposed. What is proposed is sent again, until it is seen applied, through changes
    /// of leader; the observer is told. Never waits: what a client may have under way is bounded by its lane.
    pub fn propose(&self, _proposal: Proposal) {
        unimplemented!()
    }

    /// Looks at the world. Whatever `look` queues for clients stands behind everything applied so far, and in front
    /// of everything applied later. It must be short: it keeps the writer out.
    pub fn read<T>(&self, _look: impl FnOnce(&Machine) -> T) -> T {
        unimplemented!()
    }

    /// Waits until this member has applied everything that was committed anywhere when this was called: a quorum is
    /// asked whether the leader still leads.
    ///
    /// # Errors
    /// [`Unavailable`] if no leader answers.
    pub async fn barrier(&self) -> Result<(), Unavailable> {
        unimplemented!()
    }

    /// Notes that a session's client was heard of just now.
    pub fn touch(&self, _session: SessionId) {
        unimplemented!()
    }

    /// What this member knows of the ensemble, now and whenever it changes.
    pub fn status(&self) -> watch::Receiver<Status> {
        unimplemented!()
    }

    /// Leaves: stops voting, and returns when what was acknowledged is safe and everything is closed.
    pub async fn shutdown(&self) {
        unimplemented!()
    }
}
