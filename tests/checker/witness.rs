//! The zxids as witnesses: writes in their order through the tree as it should be, and every reply held against it.
//!
//! A write without an answer is done where its data was seen to be of, or, if nobody read it, as late as what somebody
//! was told demands that it was done: in between nobody can have known. So are ends of sessions that nobody
//! acknowledged, and ends of containers. If there are several explanations of what somebody was told, and the one that was
//! taken turns out to be wrong, it goes back and takes another. Where there is a log, it says when all of that was, and
//! there is nothing to explain.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::bounds::Bounds;
use super::evidence::Evidence;
use super::history::{Answer, End, History, OpId, Request, Told, parent};
use super::ledger::Ledger;
use super::model::{Symbols, Tree};
use super::pending::{self, Pending, Unit};
use super::sightings::Sightings;
use super::timeline::{Changes, Timeline};
use super::verdict::{Rule, Verdict, Violation};

/// How often it goes back to take another explanation, before what cannot be explained is wrong.
const RETURNS_MAX: usize = 400;

/// A reply that is not what it should be.
#[derive(Debug)]
pub(super) struct Mismatch {
    pub(super) at: OpId,
    pub(super) zxid: i64,
    pub(super) expected: Told,
    /// What might have explained it and could not have happened then.
    pub(super) hints: Vec<String>,
}

/// What a replay comes to.
#[derive(Debug)]
pub(super) struct Replay {
    pub(super) timeline: Timeline,
    pub(super) mismatches: Vec<Mismatch>,
    /// Ends of sessions, as far as they were seen: with the zxid by which they had happened.
    pub(super) ended: HashMap<i64, i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A write that was answered, or whose zxid the evidence tells.
    Write(OpId),
    /// The log says that a session ended here.
    End(usize),
    /// The log says that a container, of the ledger's, went here.
    Reap(usize),
    /// A session has ended by then at the latest.
    MustHaveEnded(usize),
    /// A read or a sync.
    Read(OpId),
}

/// Replays a history.
pub(super) fn replay(
    history: &History,
    bounds: &Bounds,
    evidence: &Evidence,
    ledger: Option<&Ledger>,
    verdict: &mut Verdict,
) -> Replay {
    let mut events = Vec::new();
    for (id, op) in history.ops() {
        let Some(zxid) = op.zxid() else { continue };
        events.push((zxid, if op.request.is_write() { Event::Write(id) } else { Event::Read(id) }));
    }
    events.extend(evidence.done.iter().map(|(id, zxid)| (*zxid, Event::Write(*id))));
    let mut taken: HashSet<i64> = history.sessions.iter().map(super::history::Session::opened).collect();
    taken.extend(events.iter().filter(|(_, event)| matches!(event, Event::Write(_))).map(|(zxid, _)| *zxid));
    for (number, session) in history.sessions.iter().enumerate() {
        let gone_by = match session.end {
            End::Expired(told) => Some(told),
            End::Abandoned => history.settled,
            End::Open => None,
        };
        if let Some(zxid) = gone_by.map(|at| bounds.happened_by(at)).filter(|zxid| *zxid < i64::MAX) {
            events.push((zxid, Event::MustHaveEnded(number)));
        }
    }
    if let Some(ledger) = ledger {
        events.extend(ledger.ends.iter().map(|(session, zxid)| (*zxid, Event::End(*session))));
        let reaped = ledger.reaped.iter().enumerate();
        events.extend(reaped.map(|(place, (_, zxid))| (*zxid, Event::Reap(place))));
    }
    events.sort_unstable();
    let fixed: HashMap<OpId, i64> = evidence.done.iter().copied().collect();
    // With a log nothing is open.
    let pending = match ledger {
        Some(_) => vec![Vec::new(); history.sessions.len()],
        None => pending::of(history, bounds, &fixed),
    };
    let mut witness = Witness {
        history,
        evidence,
        ledger,
        taken,
        tree: Tree::default(),
        symbols: Symbols::default(),
        pending,
        sightings: Sightings::default(),
        ended: HashMap::new(),
        changes: Vec::new(),
        trials: 0,
        trials_in_all: 0,
        skip: 0,
        replay: Replay { timeline: Timeline::default(), mismatches: Vec::new(), ended: HashMap::new() },
    };
    witness.run(&events, verdict);
    let (found_done, ends) = match ledger {
        Some(ledger) => (ledger.done.len() as u64, ledger.ends.len() as u64),
        None => (witness.found_done(), witness.ends()),
    };
    verdict.counts.found_done += found_done;
    verdict.counts.ends += ends;
    for change in std::mem::take(&mut witness.changes) {
        witness.replay.timeline.add(change.0, &change.1);
    }
    witness.replay.ended = witness.ended;
    witness.replay
}

pub(super) struct Witness<'a> {
    pub(super) history: &'a History,
    pub(super) evidence: &'a Evidence,
    pub(super) ledger: Option<&'a Ledger>,
    /// Zxids of which it is known whose they are.
    taken: HashSet<i64>,
    pub(super) tree: Tree,
    pub(super) symbols: Symbols,
    /// What may have happened, session by session.
    pub(super) pending: Vec<Vec<Pending>>,
    pub(super) sightings: Sightings,
    /// Ends of sessions, as in the replay.
    pub(super) ended: HashMap<i64, i64>,
    /// What each event changed.
    changes: Vec<Arc<(i64, Changes)>>,
    pub(super) trials: usize,
    pub(super) trials_in_all: usize,
    /// How many explanations are passed over, because they turned out to be wrong.
    pub(super) skip: usize,
    replay: Replay,
}

/// What there was before an event.
struct Before {
    place: usize,
    tree: Tree,
    symbols: Symbols,
    pending: Vec<Vec<Pending>>,
    sightings: Sightings,
    ended: HashMap<i64, i64>,
    changes: usize,
    violations: usize,
}

/// An explanation that was taken.
struct Choice {
    before: Before,
    /// How many others had been passed over.
    passed: usize,
    /// The znodes that it was about.
    paths: BTreeSet<String>,
}

/// How far it got before something could not be explained, with what would be gone after going back.
struct Furthest {
    before: Before,
    changes: Vec<Arc<(i64, Changes)>>,
    violations: Vec<Violation>,
}

impl Witness<'_> {
    fn found_done(&self) -> u64 {
        self.pending.iter().flatten().filter(|it| it.was_done && it.unit != Unit::End).count() as u64
    }

    fn ends(&self) -> u64 {
        self.pending.iter().flatten().filter(|it| it.was_done && it.unit == Unit::End).count() as u64
    }

    fn run(&mut self, events: &[(i64, Event)], verdict: &mut Verdict) {
        let (mut place, mut skip, mut returns) = (0, 0, 0);
        let mut taken: Vec<Choice> = Vec::new();
        let mut furthest: Option<Furthest> = None;
        while let Some((zxid, event)) = events.get(place).copied() {
            let id = match event {
                Event::Write(id) | Event::Read(id) => id,
                Event::End(session) => {
                    let id = self.history.sessions[session].id;
                    self.tree.end(id, zxid, &mut self.symbols);
                    self.ended.insert(id, zxid);
                    self.end_step(zxid);
                    place += 1;
                    continue;
                }
                Event::Reap(reaped) => {
                    self.reap_logged(reaped, zxid, verdict);
                    place += 1;
                    continue;
                }
                Event::MustHaveEnded(session) => {
                    self.must_have_ended(zxid, session, verdict);
                    place += 1;
                    continue;
                }
            };
            let is_answered = self.history.op(id).reply.is_some();
            if !(is_answered && skip == 0 && self.attempt(id, zxid)) {
                let before = self.before(place, verdict);
                if !is_answered {
                    self.enter(id, zxid, verdict);
                }
                let is_plain = !is_answered && skip == 0 && self.attempt(id, zxid);
                if is_plain {
                } else if self.find_explanation(id, zxid, skip) {
                    let paths = self.decided_since(&before, id);
                    taken.push(Choice { before, passed: skip, paths });
                } else {
                    if furthest.as_ref().is_none_or(|furthest| furthest.before.place < place) {
                        let changes = self.changes[..before.changes].to_vec();
                        let violations = verdict.violations[..before.violations].to_vec();
                        furthest = Some(Furthest { before, changes, violations });
                    }
                    // Only what was decided of the same znodes may have been decided wrongly.
                    let concerned = self.paths_of(id);
                    while taken.pop_if(|choice| choice.paths.is_disjoint(&concerned)).is_some() {}
                    if let Some(Choice { before, passed, .. }) = taken.pop().filter(|_| returns < RETURNS_MAX)
                    {
                        returns += 1;
                        (place, skip) = (before.place, passed + 1);
                        self.restore(before, verdict);
                        continue;
                    }
                    // One thing is wrong: nobody looks for other ways to explain the rest.
                    returns = RETURNS_MAX;
                    taken.clear();
                    if let Some(Furthest { before, changes, violations }) = furthest.take() {
                        place = before.place;
                        (self.changes, verdict.violations) = (changes, violations);
                        self.restore(before, verdict);
                    }
                    let (zxid, Event::Write(id) | Event::Read(id)) = events[place] else { return };
                    if self.history.op(id).reply.is_none() {
                        self.enter(id, zxid, verdict);
                    }
                    self.give_up(id, zxid);
                    self.end_step(zxid);
                    (place, skip) = (place + 1, 0);
                    continue;
                }
            }
            let op = self.history.op(id);
            if let Some(reply) = &op.reply {
                self.sightings.note(&op.request, &reply.told, zxid);
                if op.request == Request::Close {
                    self.ended.insert(self.history.sessions[id.session].id, zxid);
                }
            }
            self.end_step(zxid);
            (place, skip) = (place + 1, 0);
        }
    }

    /// The znodes that an operation names, and their parents.
    fn paths_of(&self, id: OpId) -> BTreeSet<String> {
        let named = self.history.op(id).request.parts().iter().filter_map(Request::path);
        named.flat_map(|path| [parent(path).to_owned(), path.to_owned()]).collect()
    }

    /// The znodes of an operation and of all that was found to explain it.
    fn decided_since(&self, before: &Before, id: OpId) -> BTreeSet<String> {
        let mut paths = self.paths_of(id);
        for (units, were) in self.pending.iter().zip(&before.pending) {
            for (it, _) in units.iter().zip(were).filter(|(it, was)| was.is_open && !it.is_open) {
                if let Unit::Write(id) = it.unit {
                    paths.extend(self.paths_of(id));
                }
            }
        }
        paths
    }

    /// The log says that a container went: so it had children once and has none.
    fn reap_logged(&mut self, reaped: usize, zxid: i64, verdict: &mut Verdict) {
        let Some((path, _)) = self.ledger.and_then(|ledger| ledger.reaped.get(reaped)) else { return };
        if self.tree.reapable().any(|it| it == path) {
            self.tree.remove(path, zxid, &mut self.symbols);
        } else {
            verdict.say(Rule::GoneEarly, None, format!("{path} went at {zxid:#x}, and was not to go"));
        }
        self.end_step(zxid);
    }

    fn must_have_ended(&mut self, zxid: i64, session: usize, verdict: &mut Verdict) {
        let id = self.history.sessions[session].id;
        if self.ledger.is_some() && !self.ended.contains_key(&id) {
            let text = format!(
                "session {id:#x} must have ended by {zxid:#x}, and the log has no end of it until then"
            );
            verdict.say(Rule::Outlived, None, text);
        }
        let end = self.pending[session].iter().position(|it| it.unit == Unit::End && it.is_open);
        if let Some(place) = end {
            self.apply(session, place, zxid);
        }
        self.end_step(zxid);
    }

    fn end_step(&mut self, zxid: i64) {
        let changed = self.tree.commit();
        if !changed.is_empty() {
            self.changes.push(Arc::new((zxid, changed)));
        }
    }

    fn before(&self, place: usize, verdict: &Verdict) -> Before {
        Before {
            place,
            tree: self.tree.clone(),
            symbols: self.symbols.clone(),
            pending: self.pending.clone(),
            sightings: self.sightings.clone(),
            ended: self.ended.clone(),
            changes: self.changes.len(),
            violations: verdict.violations.len(),
        }
    }

    fn restore(&mut self, before: Before, verdict: &mut Verdict) {
        self.tree = before.tree;
        self.symbols = before.symbols;
        self.pending = before.pending;
        self.sightings = before.sightings;
        self.ended = before.ended;
        self.changes.truncate(before.changes);
        verdict.violations.truncate(before.violations);
    }

    /// A write without an answer comes to its turn: those that went out before it on its connection have been done,
    /// as far as they could, and those of earlier connections never will be.
    fn enter(&mut self, id: OpId, zxid: i64, verdict: &mut Verdict) {
        let units = &self.pending[id.session];
        let Some(place) = units.iter().position(|it| it.unit == Unit::Write(id)) else { return };
        let Pending { after, until, .. } = units[place];
        if zxid <= after || zxid > until {
            let rule = if zxid > until { Rule::Late } else { Rule::RealTime };
            let text = format!(
                "done at {zxid:#x}, which should be after {after:#x} and not after {until:#x}: {}",
                self.history.tell(id)
            );
            verdict.say(rule, Some(id), text);
        }
        self.apply_forerunners(id.session, place, zxid - 1);
        self.pending[id.session][place].is_open = false;
        self.pending[id.session][place].was_done = true;
    }

    /// Performs an operation, and keeps what it does if it was told what it should be told.
    pub(super) fn attempt(&mut self, id: OpId, zxid: i64) -> bool {
        let mark = self.tree.mark();
        let op = self.history.op(id);
        let session = self.history.sessions[id.session].id;
        let expected = self.tree.perform(&op.request, session, zxid, &mut self.symbols);
        let fits = self.evidence.allows(&op.request, &expected, zxid)
            && match &op.reply {
                Some(reply) => {
                    let taken = &self.taken;
                    self.symbols.fits(&reply.told, &expected, &|zxid| taken.contains(&zxid))
                }
                // What the log has may have been refused.
                None => self.ledger.is_some() || !matches!(expected, Err(_) | Ok(Answer::MultiFailed(_))),
            };
        if !fits {
            self.tree.roll_back(mark);
        }
        fits
    }

    /// What was told cannot be explained. Goes on with what should have been told, if that was done at all.
    fn give_up(&mut self, id: OpId, zxid: i64) {
        let mark = self.tree.mark();
        let op = self.history.op(id);
        let session = self.history.sessions[id.session].id;
        let expected = self.tree.perform(&op.request, session, zxid, &mut self.symbols);
        // A read may lie alone; what a write is told is what later ones go on from.
        if op.request.is_write()
            && let (Some(Ok(told)), Ok(expected)) = (op.reply.as_ref().map(|reply| &reply.told), &expected)
        {
            self.tree.adopt(&op.request, told, expected);
        }
        let was_refused = |told: &Told| matches!(told, Err(_) | Ok(Answer::MultiFailed(_)));
        if op.reply.as_ref().is_some_and(|reply| was_refused(&reply.told)) {
            self.tree.roll_back(mark);
        }
        let hints = self.candidates(&op.request).into_iter().map(|candidate| self.hint(&candidate)).collect();
        self.replay.mismatches.push(Mismatch { at: id, zxid, expected, hints });
    }
}
