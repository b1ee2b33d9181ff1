//! How long a vote is waited for: as long as the slowest disk takes on which one is saved.
//!
//! What Raft is told of elections is fitted to this member's own disk (`Timing::for_disk`). A member with a quick disk that needs the
//! vote of one with a slow disk would ask for another before the first has come, again and again, and the slow one would be busy
//! with saving votes of terms that are over.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use openraft::async_runtime::WatchReceiver;
use parking_lot::Mutex;
use proto::MemberId;
use proto::limits::VOTE_WAIT_MAX;
use tokio::time::{Instant, sleep_until};

use crate::applier::Raft;
use crate::candidacy::Candidacy;
#[cfg(any(test, simulation))]
use crate::runtime::bugs::{Bug, is_in};
use crate::types::Vote;

/// What each member needs to give its vote. Cloning shares it.
#[derive(Clone, Debug)]
pub(crate) struct Patience {
    /// What an election must have time for, by this member's own disk.
    own: Duration,
    /// And by those of others, as each said when it was last asked.
    told: Arc<Mutex<BTreeMap<MemberId, Duration>>>,
}

impl Patience {
    /// Of a member that needs this long itself.
    pub(crate) fn new(own: Duration) -> Self {
        Self { own, told: Arc::default() }
    }

    /// What others are told.
    pub(super) fn own(&self) -> Duration {
        self.own
    }

    /// That member needs so long.
    pub(super) fn learn(&self, member: MemberId, needs: Duration) {
        self.told.lock().insert(member, needs.min(VOTE_WAIT_MAX));
    }

    /// How long a vote is waited for.
    pub(super) fn get(&self) -> Duration {
        #[cfg(any(test, simulation))]
        if is_in(Bug::ImpatientCandidate) {
            return self.own;
        }
        self.told.lock().values().copied().fold(self.own, Duration::max)
    }

    /// Lets this member not ask for votes again while those of the last term may still come, its own or another's: whoever may win needs
    /// as long as the slowest. Where nobody needs longer than this member it does nothing. Returns when Raft has stopped.
    pub(crate) async fn keep(self, raft: Raft, candidacy: Candidacy) {
        let mut metrics = raft.server_metrics();
        let (mut voted, mut until) = (None, None);
        loop {
            // Copied out at once: a reference held longer would stop Raft itself.
            let vote = metrics.borrow_watched().vote;
            if voted != Some(vote) {
                voted = Some(vote);
                until = self.waits_after(&vote).map(|time| Instant::now() + time);
                candidacy.set_waiting(&raft, until.is_some());
            }
            tokio::select! {
                biased;
                changed = metrics.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => {
                    until = None;
                    candidacy.set_waiting(&raft, false);
                }
            }
        }
    }

    /// How long after this vote none is asked for, beyond what Raft itself waits; `None` if a leader came of it, or Raft waits long
    /// enough.
    fn waits_after(&self, vote: &Vote) -> Option<Duration> {
        let needed = self.get();
        (!vote.committed && needed > self.own).then_some(needed)
    }
}
