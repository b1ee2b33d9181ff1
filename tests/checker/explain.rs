//! What nobody was told of, and may explain what somebody was told.

use super::concern::Concern;
use super::history::{Answer, OpId, Request};
use super::pending::{Pending, Unit};
use super::witness::Witness;

/// How many explanations of one reply are tried in each way.
const TRIALS_MAX: usize = 10_000;

/// How many are tried for all replies of a history together.
const TRIALS_IN_ALL_MAX: usize = 1_000_000;

/// Ways to look: how many things together, and whether in every order or only in that of the sessions. The fewest are the
/// likeliest, and the quickest found.
const WAYS: [(usize, bool); 10] = [
    (1, true),
    (2, true),
    (3, true),
    (4, true),
    (5, false),
    (6, false),
    (7, false),
    (8, false),
    (5, true),
    (6, true),
];

/// What may explain a reply.
pub(super) struct Candidate {
    /// Of which session, and what of it; nothing if it is the end of a container.
    of: Option<(usize, usize)>,
    container: Option<String>,
}

impl Witness<'_> {
    /// Looks for things without an answer that explain what an operation was told, and does them; passes over as many
    /// explanations as were found wrong.
    pub(super) fn find_explanation(&mut self, id: OpId, zxid: i64, passed: usize) -> bool {
        self.skip = passed;
        WAYS.into_iter().any(|(together, is_shuffled)| {
            self.trials = 0;
            self.explain(id, zxid, together, is_shuffled, None)
        })
    }

    /// Looks for things without an answer, as many as this, that explain what an operation was told: in any order, or
    /// else in that of the sessions.
    fn explain(
        &mut self,
        id: OpId,
        zxid: i64,
        most: usize,
        is_shuffled: bool,
        behind: Option<(usize, usize)>,
    ) -> bool {
        let request = &self.history.op(id).request;
        let until = if request.is_write() { zxid - 1 } else { zxid };
        for candidate in self.candidates(request) {
            if !is_shuffled && behind.is_some() && candidate.of <= behind {
                continue;
            }
            self.trials += 1;
            self.trials_in_all += 1;
            if self.trials > TRIALS_MAX || self.trials_in_all > TRIALS_IN_ALL_MAX {
                return false;
            }
            let (mark, symbols) = (self.tree.mark(), self.symbols.clone());
            let before = candidate.of.map(|(session, _)| (session, self.pending[session].clone()));
            let was_possible = match (&candidate.container, candidate.of) {
                (Some(path), _) => self.reap(path, until),
                (None, Some((session, place))) => {
                    self.apply_forerunners(session, place, until) && self.apply(session, place, until)
                }
                (None, None) => false,
            };
            let fits = was_possible
                && if most > 1 {
                    self.explain(id, zxid, most - 1, is_shuffled, candidate.of)
                } else {
                    self.attempt(id, zxid) && self.pass_over()
                };
            if fits {
                return true;
            }
            self.tree.roll_back(mark);
            self.symbols = symbols;
            if let Some((session, pending)) = before {
                self.pending[session] = pending;
                self.ended.retain(|ended, _| *ended != self.history.sessions[session].id);
            }
        }
        false
    }

    /// Whether an explanation is one to be taken, and not one of those that were found wrong.
    fn pass_over(&mut self) -> bool {
        let is_taken = self.skip == 0;
        self.skip = self.skip.saturating_sub(1);
        is_taken
    }

    /// Whether something may have happened behind what is known not to show it.
    fn may_be_behind(&self, session: usize, it: &Pending) -> bool {
        let seen = match &it.unit {
            Unit::Write(id) => self.sightings.of(&self.history.op(*id).request),
            Unit::End => {
                let owned = self.tree.owned(self.history.sessions[session].id);
                owned.iter().map(|path| self.sightings.of_existence(path)).max().unwrap_or_default()
            }
        };
        seen.max(it.after) < it.until
    }

    pub(super) fn hint(&self, candidate: &Candidate) -> String {
        let Some((session, place)) = candidate.of else {
            return format!("the end of container {:?}", candidate.container);
        };
        let it = &self.pending[session][place];
        let what = match &it.unit {
            Unit::Write(id) => self.history.tell(*id),
            Unit::End => {
                let session = &self.history.sessions[session];
                format!("the end of session {:#x}, heard of at {} µs", session.id, session.last_heard())
            }
        };
        format!("{what}, after {:#x} and not after {:#x}", it.after, it.until)
    }

    /// What may have happened that would change what a request is told.
    pub(super) fn candidates(&self, request: &Request) -> Vec<Candidate> {
        let concern = Concern::of(request);
        let mut found = Vec::new();
        for (session, units) in self.pending.iter().enumerate() {
            for (place, it) in units.iter().enumerate().filter(|(_, it)| it.is_open && it.fixed.is_none()) {
                let concerns = match &it.unit {
                    Unit::Write(id) => {
                        self.history.op(*id).request.parts().iter().any(|part| concern.is_of(part))
                    }
                    Unit::End => {
                        let owned = self.tree.owned(self.history.sessions[session].id);
                        owned.iter().any(|path| concern.is_of_end(path))
                    }
                };
                if concerns && self.may_be_behind(session, it) {
                    found.push(Candidate { of: Some((session, place)), container: None });
                }
            }
        }
        let reapable = self.tree.reapable().filter(|_| self.ledger.is_none());
        for path in reapable.filter(|path| concern.is_of_end(path)) {
            found.push(Candidate { of: None, container: Some(path.to_owned()) });
        }
        found
    }

    /// Does what went out on the same connection before something that was done, and lets go of what went out on
    /// earlier ones. `false` if it cannot have been done. The end of a session has no forerunners.
    pub(super) fn apply_forerunners(&mut self, session: usize, place: usize, until: i64) -> bool {
        if self.pending[session][place].unit == Unit::End {
            return true;
        }
        let connection = self.pending[session][place].connection;
        for before in 0..place {
            let it = &self.pending[session][before];
            if it.fixed.is_some_and(|fixed| fixed > until) {
                return false;
            }
            if it.is_open && it.connection == connection && !self.apply(session, before, until) {
                return false;
            }
            self.pending[session][before].is_open = false;
        }
        true
    }

    /// Does one thing that may have happened, as late as it can have. `false` if it is known not to have changed
    /// anything, and would have.
    pub(super) fn apply(&mut self, session: usize, place: usize, until: i64) -> bool {
        let it = self.pending[session][place].clone();
        if it.fixed.is_some() {
            return false; // It has its own turn.
        }
        let id = self.history.sessions[session].id;
        let (request, seen) = match &it.unit {
            Unit::End => {
                let owned = self.tree.owned(id);
                let seen = owned.iter().map(|path| self.sightings.of_existence(path)).max();
                (&Request::Close, seen.unwrap_or_default())
            }
            Unit::Write(id) => {
                let request = &self.history.op(*id).request;
                (request, self.sightings.of(request))
            }
        };
        let (after, until) = (seen.max(it.after), until.min(it.until));
        let mark = self.tree.mark();
        let zxid = self.symbols.between(after, until);
        let done = self.tree.perform(request, id, zxid, &mut self.symbols);
        if after >= until && self.tree.mark() != mark {
            return false;
        }
        self.pending[session][place].is_open = false;
        self.pending[session][place].was_done = !matches!(done, Err(_) | Ok(Answer::MultiFailed(_)));
        if it.unit == Unit::End {
            self.ended.insert(id, until);
            for other in &mut self.pending[session] {
                other.until = other.until.min(until);
                other.is_open &= !other.is_ephemeral;
            }
        }
        // What nobody saw may have been under any name that nobody saw anything else under.
        self.evidence.allows(request, &done, zxid)
    }

    /// Takes away a container that has had its time.
    fn reap(&mut self, path: &str, until: i64) -> bool {
        let after = self.sightings.of_existence(path);
        if after < until {
            let zxid = self.symbols.between(after, until);
            self.tree.remove(path, zxid, &mut self.symbols);
        }
        after < until
    }
}
