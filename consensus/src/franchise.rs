//! Whether this member may give its vote away.
//!
//! A member that begins with an empty disk may be a new one, or one that has voted and acknowledged before and lost
//! what it knew of that. If the latter voted, a candidate without an acknowledged entry could win. So a member with a
//! new log votes only while the ensemble itself begins, and otherwise not before it has caught up with a leader: from
//! then on its log is as good as that of any other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use openraft::RaftMetrics;
use openraft::async_runtime::WatchReceiver;
use tracing::{info, warn};

use crate::applier::Raft;
use crate::log::LogStore;
use crate::types::{LogId, TypeConfig};

/// The right to vote. Cloning shares it.
#[derive(Clone)]
pub(crate) struct Franchise {
    new: Arc<AtomicBool>,
}

impl Franchise {
    /// The right of the member that has this log.
    pub(crate) fn new(log: &LogStore) -> Self {
        Self { new: Arc::new(AtomicBool::new(log.is_new())) }
    }

    /// Whether a candidate whose log ends there may be given this member's vote, if its log is good enough.
    pub(crate) fn may_vote_for(&self, candidate: Option<LogId>) -> bool {
        !self.new.load(Ordering::Acquire) || ensemble_begins(candidate)
    }

    /// Waits until a member with a new log has caught up, and notes it for good.
    pub(crate) async fn earn(self, raft: Raft, log: LogStore) {
        let mut metrics = raft.metrics();
        while self.new.load(Ordering::Acquire) {
            if caught_up(&metrics.borrow_watched()) {
                match log.grow_up().await {
                    Ok(()) => info!("has caught up, and votes from now on"),
                    Err(error) => return warn!(%error, "may not vote, because the log cannot be written"),
                }
                self.new.store(false, Ordering::Release);
            } else if metrics.changed().await.is_err() {
                return;
            }
        }
    }
}

/// Before the first leader nobody has more than the entry that every member begins with, which is of term 0.
fn ensemble_begins(candidate: Option<LogId>) -> bool {
    candidate.is_none_or(|last| **last.committed_leader_id() == 0)
}

/// Whether everything that was acknowledged when the leader was first heard is here.
fn caught_up(metrics: &RaftMetrics<TypeConfig>) -> bool {
    let committed = metrics.cluster_committed;
    metrics.current_leader.is_some() && !ensemble_begins(committed) && metrics.last_applied >= committed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ensemble_begins_until_it_has_had_a_leader() {
        assert!(ensemble_begins(None));
        assert!(ensemble_begins(Some(LogId::new_term_index(0, 0))));
        assert!(!ensemble_begins(Some(LogId::new_term_index(1, 1))));
    }

    #[test]
    fn what_the_leader_has_and_this_member_has_not_keeps_it_from_voting() {
        let id = |index| Some(LogId::new_term_index(3, index));
        let mut metrics = RaftMetrics::new_initial(1);
        assert!(!caught_up(&metrics));
        metrics.cluster_committed = id(10);
        metrics.last_applied = id(9);
        metrics.current_leader = Some(2);
        assert!(!caught_up(&metrics));
        metrics.last_applied = id(10);
        assert!(caught_up(&metrics));
        metrics.current_leader = None;
        assert!(!caught_up(&metrics));
    }
}
