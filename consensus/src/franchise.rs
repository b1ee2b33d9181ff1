//! What a member with a new log may do.
//!
//! A member that begins with an empty disk may be a new one, or one that has voted and acknowledged before and lost
//! what it knew of that. If the latter voted, a candidate without an acknowledged entry could win; if it asked for votes, it
//! could win itself; if it acknowledged, it could make a quorum with a leader who was deposed with its own help. So a member
//! with a new log first hears what the others have (`recollection`), and until it has caught up with a leader it may do only
//! what follows from that. ARCHITECTURE.md says why this suffices.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use openraft::RaftMetrics;
use openraft::async_runtime::WatchReceiver;
use parking_lot::Mutex;
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use crate::applier::Raft;
use crate::candidacy::{Candidacy, Fitness, is_nothing};
use crate::log::LogStore;
#[cfg(any(test, simulation))]
use crate::runtime::bugs::{Bug, is_in};
use crate::types::{LogId, TypeConfig};

/// How long to wait for news before a look at the clock.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// How long a leader must have called in vain before it is concluded that this member does not know where the others are.
const LOST_AFTER: Duration = Duration::from_secs(2);

/// What a member with a new log may do. Cloning shares it.
#[derive(Clone)]
pub(crate) struct Franchise {
    rights: Arc<Mutex<Rights>>,
    log: LogStore,
    candidacy: Candidacy,
    /// Whether this member is known to have voted before.
    forgetful: bool,
    /// From when on no vote that was given in an earlier life can make a leader any more.
    settled: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Rights {
    /// Whether this member has not caught up since its log was made.
    new: bool,
    /// Whether it has heard enough of the others, since then, to follow a leader.
    heard: bool,
    suffrage: Suffrage,
    /// Whether any of the others has answered in this life.
    answered: bool,
    /// Since when leaders have called in this life.
    called: Option<Instant>,
}

/// For whom a member with a new log may vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Suffrage {
    Nobody,
    /// Those that begin an ensemble with nothing.
    Beginners,
    /// Those whose log ends there or further on.
    From(Option<LogId>),
}

/// What one of the others has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Testimony {
    /// The term in which it is.
    pub(crate) term: u64,
    /// The end of its log.
    pub(crate) last: Option<LogId>,
    /// Whether it knows that its ensemble has ever had a leader.
    pub(crate) begun: bool,
    /// Whether its own log is new.
    pub(crate) new: bool,
}

/// What many testimonies come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Judgement {
    /// The highest term that was heard.
    pub(crate) term: u64,
    /// Whether so many were heard that none of the terms in which this member has done anything is missing.
    pub(crate) knows_terms: bool,
    /// Whether the ensemble seems to begin, and as many were heard as it takes for that.
    pub(crate) begins: bool,
    /// Where the log of a leader ends, or further on, if all were heard: whatever this member has helped to commit is there.
    pub(crate) floor: Option<Option<LogId>>,
}

/// What follows for `own` from what was heard of the members that vote by `configs`, of which there are two while one gives
/// way to the other.
pub(crate) fn judge(
    own: u64,
    configs: &[BTreeSet<u64>],
    heard: &BTreeMap<u64, Testimony>,
    forgetful: bool,
) -> Judgement {
    let voters: BTreeSet<u64> = configs.iter().flatten().copied().filter(|id| *id != own).collect();
    let relevant: Vec<&Testimony> =
        heard.iter().filter(|(id, _)| voters.contains(id)).map(|(_, it)| it).collect();
    let term = relevant.iter().map(|it| it.term).max().unwrap_or(0);
    let is_certain = !configs.is_empty();
    let count = |config: &BTreeSet<u64>, counts: &dyn Fn(&Testimony) -> bool| {
        config.iter().filter(|id| **id != own && heard.get(id).is_some_and(counts)).count()
    };
    let quorum = |config: &BTreeSet<u64>| config.len() / 2 + 1;
    let all = is_certain && voters.iter().all(|id| heard.contains_key(id));
    // Whoever is new itself may have forgotten the same.
    let enough = |config: &BTreeSet<u64>| count(config, &|it| !it.new) > config.len() - quorum(config);
    let is_beginning = relevant.iter().all(|it| it.new && !it.begun && is_nothing(it.last));
    let begins = is_certain
        && !forgetful
        && is_beginning
        && configs.iter().all(|config| count(config, &|_| true) + 1 >= quorum(config));
    let furthest = relevant.iter().map(|it| it.last).max().flatten();
    // A member that has voted in an ensemble takes part in the beginning of none.
    let floor = (all && !(forgetful && is_nothing(furthest))).then_some(furthest);
    let knows_terms = floor.is_some() || (is_certain && configs.iter().all(enough));
    Judgement { term, knows_terms, begins, floor }
}

impl Franchise {
    /// The rights of the member that has this log. No candidate waits longer than `patience` for votes.
    pub(crate) fn new(log: &LogStore, candidacy: Candidacy, patience: Duration) -> Self {
        let rights = Rights {
            new: log.is_new(),
            heard: log.has_heard(),
            suffrage: Suffrage::Nobody,
            answered: false,
            called: None,
        };
        let forgetful = log.is_forgetful();
        let settled = Instant::now() + patience;
        Self { rights: Arc::new(Mutex::new(rights)), log: log.clone(), candidacy, forgetful, settled }
    }

    /// What the log of a member is good for when it is started.
    pub(crate) fn first_fitness(log: &LogStore) -> Fitness {
        if log.is_new() { Fitness::Unfit } else { Fitness::Fit }
    }

    /// Whether this member has not caught up yet.
    pub(crate) fn is_new(&self) -> bool {
        self.rights.lock().new
    }

    /// Whether this member has been in an ensemble and has forgotten what it knew there.
    pub(crate) fn is_forgetful(&self) -> bool {
        self.forgetful
    }

    /// Whether a candidate whose log ends there may be given this member's vote, if its log is good enough.
    pub(crate) fn may_vote_for(&self, candidate: Option<LogId>) -> bool {
        let rights = *self.rights.lock();
        !rights.new
            || match rights.suffrage {
                Suffrage::Nobody => false,
                Suffrage::Beginners => is_nothing(candidate) && self.is_settled(),
                Suffrage::From(floor) => candidate >= floor,
            }
    }

    /// Whether this member has heard enough of the others to say of anything that it has it.
    pub(crate) fn has_heard(&self) -> bool {
        let rights = *self.rights.lock();
        !rights.new || rights.heard
    }

    /// Whether this member may say to a leader who calls that it has something: if it has heard enough, or if he has called
    /// for long and none of the others can be found where this member's file says that they are. He knows better where.
    pub(crate) fn may_acknowledge(&self) -> bool {
        #[cfg(any(test, simulation))]
        if is_in(Bug::UnaskedAcknowledges) {
            return true;
        }
        if self.has_heard() {
            return true;
        }
        let mut rights = self.rights.lock();
        if rights.answered {
            return false;
        }
        rights.called.get_or_insert_with(Instant::now).elapsed() >= LOST_AFTER
    }

    /// One of the others has answered.
    pub(crate) fn note_answer(&self) {
        self.rights.lock().answered = true;
    }

    fn is_settled(&self) -> bool {
        Instant::now() >= self.settled
    }

    /// Notes that so much was heard that this member may follow a leader, on disk too: what it must not forget of that is
    /// the term, which Raft has saved.
    pub(crate) async fn may_follow(&self) -> std::io::Result<()> {
        if !self.rights.lock().heard {
            self.log.note_heard(self.forgetful).await?;
            self.rights.lock().heard = true;
        }
        Ok(())
    }

    /// From now on this member may vote for those.
    pub(crate) fn grant(&self, raft: &Raft, suffrage: Suffrage) {
        let mut rights = self.rights.lock();
        if !rights.new {
            return;
        }
        rights.suffrage = suffrage;
        let begins = suffrage == Suffrage::Beginners && self.is_settled();
        self.candidacy.set_fitness(raft, if begins { Fitness::Begins } else { Fitness::Unfit });
    }

    /// This member has all that it may ever have helped to commit.
    pub(crate) async fn grow_up(&self, raft: &Raft) -> std::io::Result<()> {
        self.log.grow_up().await?;
        self.rights.lock().new = false;
        self.candidacy.set_fitness(raft, Fitness::Fit);
        Ok(())
    }

    /// Whether having caught up with a leader is enough: not while an old vote may still make another leader.
    fn may_catch_up(&self) -> bool {
        let rights = *self.rights.lock();
        rights.heard && (matches!(rights.suffrage, Suffrage::From(_)) || self.is_settled())
    }

    /// Waits until a member with a new log has caught up, and notes it for good.
    pub(crate) async fn earn(self, raft: Raft) {
        let mut metrics = raft.metrics();
        while self.is_new() {
            if caught_up(&metrics.borrow_watched()) && self.may_catch_up() {
                match self.grow_up(&raft).await {
                    Ok(()) => info!("has caught up, and votes from now on"),
                    Err(error) => return warn!(%error, "may not vote, because the log cannot be written"),
                }
            } else if let Ok(Err(_)) = timeout(LOOK_AGAIN, metrics.changed()).await {
                return;
            }
        }
    }
}

/// Whether a member that has this much committed has ever had a leader.
pub(crate) fn has_begun(committed: Option<LogId>) -> bool {
    !is_nothing(committed)
}

/// Whether everything that was acknowledged when the leader was first heard is here. A leader knows what that is only when
/// something of his own term is committed: before, he may have more than he knows to be committed.
fn caught_up(metrics: &RaftMetrics<TypeConfig>) -> bool {
    let committed = metrics.cluster_committed;
    let is_known = committed.is_some_and(|last| **last.committed_leader_id() == metrics.current_term);
    metrics.current_leader.is_some()
        && !is_nothing(committed)
        && is_known
        && metrics.last_applied >= committed
}

#[cfg(test)]
mod tests;
