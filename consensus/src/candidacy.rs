//! Whether this member may ask for votes: what Raft is told of it is decided here, and nowhere else.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::applier::Raft;
#[cfg(any(test, simulation))]
use crate::runtime::bugs::{Bug, is_in};
use crate::types::LogId;

/// What this member's log is good for when it asks for votes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fitness {
    /// It holds all that this member may ever have helped to commit.
    Fit,
    /// It may begin an ensemble, with nothing but the entry that every member begins with.
    Begins,
    /// It may lack something.
    Unfit,
}

/// Whether this member may stand for election. Cloning shares it.
#[derive(Clone, Debug)]
pub(crate) struct Candidacy(Arc<Mutex<Reasons>>);

#[derive(Clone, Copy, Debug)]
struct Reasons {
    /// Whether others have a leader and do not know this member.
    outside: bool,
    /// Whether the last vote may still bring a leader.
    waiting: bool,
    fitness: Fitness,
}

impl Reasons {
    fn may_stand(self) -> bool {
        !self.outside && !self.waiting && self.fitness != Fitness::Unfit
    }
}

impl Candidacy {
    /// Of a member whose log is good for that.
    pub(crate) fn new(fitness: Fitness) -> Self {
        #[cfg(any(test, simulation))]
        let fitness = if is_in(Bug::EmptiedStands) { Fitness::Fit } else { fitness };
        Self(Arc::new(Mutex::new(Reasons { outside: false, waiting: false, fitness })))
    }

    /// Whether it may stand at all.
    pub(crate) fn may_stand(&self) -> bool {
        self.0.lock().may_stand()
    }

    /// Whether votes may be asked for with a log that ends there. The last look before a question leaves this member, because
    /// openraft stands without looking where it makes the first entry of a log, and where it is handed leadership.
    pub(crate) fn may_ask_with(&self, last: Option<LogId>) -> bool {
        let reasons = *self.0.lock();
        reasons.fitness == Fitness::Fit || (reasons.fitness == Fitness::Begins && is_nothing(last))
    }

    /// Notes whether others have a leader and do not know this member.
    pub(crate) fn set_outside(&self, raft: &Raft, outside: bool) {
        let mut reasons = self.0.lock();
        reasons.outside = outside;
        raft.runtime_config().elect(reasons.may_stand());
    }

    /// Notes whether the votes that were asked for last may still bring a leader.
    pub(crate) fn set_waiting(&self, raft: &Raft, waiting: bool) {
        let mut reasons = self.0.lock();
        reasons.waiting = waiting;
        raft.runtime_config().elect(reasons.may_stand());
    }

    /// Notes what this member's log is good for.
    pub(crate) fn set_fitness(&self, raft: &Raft, fitness: Fitness) {
        #[cfg(any(test, simulation))]
        let fitness = if is_in(Bug::EmptiedStands) { Fitness::Fit } else { fitness };
        let mut reasons = self.0.lock();
        reasons.fitness = fitness;
        raft.runtime_config().elect(reasons.may_stand());
    }
}

/// Before the first leader nobody has more than the entry that every member begins with, which is of term 0.
pub(crate) fn is_nothing(last: Option<LogId>) -> bool {
    last.is_none_or(|last| **last.committed_leader_id() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ensemble_begins_until_it_has_had_a_leader() {
        assert!(is_nothing(None));
        assert!(is_nothing(Some(LogId::new_term_index(0, 0))));
        assert!(!is_nothing(Some(LogId::new_term_index(1, 1))));
    }

    #[test]
    fn who_is_unfit_asks_for_no_vote_and_who_begins_only_with_nothing() {
        let first = Some(LogId::new_term_index(0, 0));
        let more = Some(LogId::new_term_index(1, 1));
        let asks = |fitness| {
            let candidacy = Candidacy::new(fitness);
            (candidacy.may_stand(), candidacy.may_ask_with(first), candidacy.may_ask_with(more))
        };
        assert_eq!(asks(Fitness::Unfit), (false, false, false));
        assert_eq!(asks(Fitness::Begins), (true, true, false));
        assert_eq!(asks(Fitness::Fit), (true, true, true));
    }
}
