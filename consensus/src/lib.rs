//! One log and one world out of several members.
//!
//! The rest of the server sees [`Consensus`]: it proposes, reads, asks for a barrier, and is told through an
//! [`Observer`] what was applied. Nobody outside knows openraft, RocksDB or tonic.
// Layers, lowest first. A module imports only from those above it; the tidy test checks.
mod config;
mod error;
mod runtime;
mod status;
mod types;

mod clock;
mod tasks;

mod directory;
mod entry;
mod replica;
mod room;
mod safe;
mod wire;

mod cluster;

mod snapshot;
mod state;

mod log;

mod backup;
mod digest;

mod applier;

mod candidacy;
mod newcomers;
mod step;

mod franchise;
mod leader;

mod peer;

mod barrier;
mod compare;
mod propose;
mod purge;
mod recollection;
mod standing;
mod touch;
mod trim;

mod member;
pub mod offline;

#[cfg(any(test, simulation))]
pub mod simulation;

use std::sync::Arc;
use std::time::Duration;

use machine::{Home, Machine};
use member::Member;
use proto::SessionId;

pub use backup::{Backup, Leaderless, NoBackup};
pub use clock::wall;
pub use compare::Compared;
pub use config::{Config, Description, Reaping, Retention, Timing};
pub use digest::Digested;
pub use entry::Proposal;
pub use error::{Fault, Unavailable};
pub use replica::{Amount, Observer};
pub use runtime::watch;
pub use status::{Role, Status};

/// How many transactions an entry of the log holds, all of which can be read: for those who try what else there may
/// stand in it.
///
/// # Errors
/// A [`Fault`] if the entry, or one of them, cannot be read.
#[doc(hidden)]
pub fn count_transactions(entry: &bytes::Bytes) -> Result<usize, Fault> {
    entry::decode(entry).map(|commands| commands.len())
}

/// What these come to as one entry of the log: for those who try what that costs.
#[doc(hidden)]
pub fn pack_transactions(proposals: Vec<Proposal>) -> bytes::Bytes {
    let transactions = proposals.into_iter().map(entry::encode).collect();
    entry::encode_batch(0, machine::Rules::default(), transactions)
}

/// This member's part in the ensemble. Cloning shares it.
///
/// It must be shut down before the process ends: what is on disk is in use until then.
#[derive(Clone)]
pub struct Consensus {
    member: Arc<Member>,
}

impl Consensus {
    /// Opens what is on disk, joins the peers, and starts to vote. Returns before the world has caught up:
    /// [`Status::recovered`] says when it has.
    ///
    /// # Errors
    /// A [`Fault`] if what is on disk cannot be trusted, or an address not be listened to.
    pub async fn start(config: Config, observer: Arc<dyn Observer>) -> Result<Self, Fault> {
        Ok(Self { member: Arc::new(Member::start(config, observer).await?) })
    }

    /// Puts an act of one of this member's clients on its way into the log. Acts of one session enter the log in the
    /// order in which they are proposed. What is proposed is sent again, until it is seen applied, through changes
    /// of leader; the observer is told. Never waits: what a client may have under way is bounded by its lane.
    pub fn propose(&self, proposal: Proposal) {
        self.member.pending.propose(proposal);
    }

    /// Takes back an open or attach that nobody waits for any more, if it is not on its way to the leader: should it be
    /// applied all the same, it would take the session from the connection that the client has made instead.
    pub fn withdraw(&self, home: Home) {
        self.member.pending.withdraw(home);
    }

    /// Looks at the world. Whatever `look` queues for clients stands behind everything applied so far, and in front
    /// of everything applied later. It must be short: it keeps the writer out.
    pub fn read<T>(&self, look: impl FnOnce(&Machine) -> T) -> T {
        self.member.replica.read(look)
    }

    /// Waits until this member has applied everything that was committed anywhere when this was called: a quorum is
    /// asked whether the leader still leads.
    ///
    /// # Errors
    /// [`Unavailable`] if no leader answers.
    pub async fn barrier(&self) -> Result<(), Unavailable> {
        self.member.barrier.wait().await
    }

    /// Notes that a session's client was heard of just now.
    pub fn touch(&self, session: SessionId) {
        self.member.touches.touch(session);
    }

    /// In how long each session will be overdue if its client is not heard of, in no particular order; `None` if this
    /// member does not lead. For operators.
    pub fn deadlines(&self) -> Option<Vec<(Duration, SessionId)>> {
        self.member.expiry.deadlines()
    }

    /// What this member knows of the ensemble, now and whenever it changes.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.member.status.clone()
    }

    /// The whole state, to be kept elsewhere, with all that was acknowledged anywhere when this was called. Only a leader
    /// can say what that is: without one, what is done is `leaderless`.
    ///
    /// # Errors
    /// [`NoBackup`] if no leader answers and it is not to be stale, or if the state cannot be read.
    pub async fn backup(&self, leaderless: Leaderless) -> Result<Backup, NoBackup> {
        let stale = self.barrier().await.is_err();
        if stale && leaderless == Leaderless::Refused {
            return Err(NoBackup::Leaderless);
        }
        let pinned = self.member.store.pin_behind().await?.await;
        let pinned = pinned.map_err(|_| Fault::Other("the state was closed".to_owned()))??;
        let member = self.member.comparison.own;
        Ok(runtime::blocking(move || Backup::of(pinned, member, stale)).await?)
    }

    /// The digests of all members' states at one place of the log, for which an entry is put there that changes nothing.
    /// Each is taken from what the member has written to its disk, on a thread of its own, and nobody waits for it.
    ///
    /// # Errors
    /// In words, if there is no leader.
    pub async fn compare(&self) -> Result<Vec<Compared>, String> {
        self.member.comparison.ask().await
    }

    /// Lets another member lead, if this one does and another can: the first thing to do for a member that leaves, so
    /// that its clients and those of the others can go on meanwhile. Returns when another leads, or when that takes too
    /// long.
    pub async fn hand_over(&self) {
        self.member.hand_over().await;
    }

    /// Leaves: waits for a moment until what was proposed here is applied, hands over if it still leads, stops voting,
    /// and returns when what was acknowledged is safe and everything is closed.
    pub async fn shutdown(&self) {
        self.member.stop().await;
    }
}
