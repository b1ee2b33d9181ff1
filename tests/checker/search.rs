//! A search for any order that explains what was told of one znode, which asks no zxid.
//!
//! After Wing and Gong, with Lowe's memory of what was tried: requests are taken in any order that real time allows,
//! and a state that was reached before by the same requests is not gone on from again. A write without an answer may be
//! taken or left, until its session is seen with another connection.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::history::{Answer, End, History, Micros, Op, Request, Session, Stay, Told};
use super::verdict::{Rule, Verdict};

/// How many states of one znode's history are looked at before it is left undecided.
const STATES_MAX: usize = 200_000;

/// How far from the oldest request that was not taken others may be taken.
const WINDOW: usize = 128;

/// One thing that a request did to the znode, or was told of it; nothing is known of what was not answered.
#[derive(Clone, Debug)]
pub struct Deed {
    request: Request,
    told: Option<Told>,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Call {
    /// When it was invoked.
    pub invoked: Micros,
    /// When it had happened, if it has.
    pub returned: Micros,
    /// Whether it may not have happened.
    pub is_optional: bool,
    /// What it did: several things if it is a multi.
    pub deeds: Vec<Deed>,
}

/// What holds in between.
type State = Option<(u32, i32)>;

/// Searches the history of each znode that comes and goes only as it is told.
pub(super) fn check(history: &History, verdict: &mut Verdict) {
    for (path, calls) in by_path(history) {
        verdict.counts.searched += 1;
        match is_linearizable(calls) {
            Some(true) => {}
            Some(false) => {
                verdict.say(
                    Rule::NotLinearizable,
                    None,
                    format!("no order explains what was told of {path}"),
                );
            }
            None => verdict.counts.undecided += 1,
        }
    }
}

/// What was asked of each znode. Those are left out that may go without being asked to, that ever had children, whose
/// names are not their creators', or whose parents were missing.
fn by_path(history: &History) -> BTreeMap<String, Vec<Call>> {
    let mut calls: BTreeMap<String, Vec<Call>> = BTreeMap::new();
    let (mut named, mut others) = (HashSet::new(), HashSet::new());
    for session in &history.sessions {
        for (place, op) in session.ops.iter().enumerate() {
            note_names(op, &mut named, &mut others);
            let Some(invoked) = invoked(session, place) else { continue };
            let mut deeds: BTreeMap<&str, Vec<Deed>> = BTreeMap::new();
            let told = op.reply.as_ref().map(|reply| &reply.told);
            if matches!(told, Some(Ok(Answer::MultiFailed(_)))) {
                continue;
            }
            for (part, request) in op.request.parts().iter().enumerate() {
                let told = told.map(|told| match told {
                    Ok(Answer::Multi(answers)) => Ok(answers.get(part).cloned().unwrap_or(Answer::Done)),
                    told => told.clone(),
                });
                // What they are is not looked at here.
                let is_of_children = matches!(request, Request::Children(_));
                if let Some(path) = request.path().filter(|_| !is_of_children) {
                    deeds.entry(path).or_default().push(Deed { request: request.clone(), told });
                }
            }
            let returned = op.reply.as_ref().map_or_else(|| left_behind(session, op), |reply| reply.at);
            for (path, deeds) in deeds {
                let call = Call { invoked, returned, is_optional: op.reply.is_none(), deeds };
                calls.entry(path.to_owned()).or_default().push(call);
            }
        }
    }
    calls.retain(|path, calls| calls.len() > 1 && named.contains(path) && !others.contains(path));
    calls
}

fn note_names(op: &Op, named: &mut HashSet<String>, others: &mut HashSet<String>) {
    for part in op.request.parts() {
        let Request::Create { path, stay, sequential, .. } = part else { continue };
        others.insert(super::history::parent(path).to_owned());
        let is_orphan = matches!(op.reply.as_ref().map(|reply| &reply.told), Some(Err(-101 | -108)));
        if *sequential || *stay != Stay::Persistent || is_orphan {
            others.insert(path.clone());
        }
        named.insert(path.clone());
    }
}

/// From when on an operation can have happened; nothing for a read that may be old, as no sync stands before it.
fn invoked(session: &Session, place: usize) -> Option<Micros> {
    let op = &session.ops[place];
    if op.request.is_write() {
        return Some(op.invoked);
    }
    op.reply.as_ref()?;
    let before = session.ops[..place].iter().rev().take(4);
    let syncs = before.take_while(|it| it.connection == op.connection);
    let sync = syncs.filter(|it| matches!(it.request, Request::Sync(_)) && it.reply.is_some()).last()?;
    (!matches!(op.request, Request::Sync(_))).then_some(sync.invoked)
}

/// When a write without an answer had been done if it ever was: then its session was attached anew, or had ended.
fn left_behind(session: &Session, op: &Op) -> Micros {
    let next = usize::try_from(op.connection).unwrap_or(usize::MAX);
    match (session.connections.get(next), session.end) {
        (Some((_, welcomed)), _) => *welcomed,
        (None, End::Expired(told)) => told,
        (None, _) => Micros::MAX,
    }
}

/// Whether there is an order; nothing if none was found in time.
pub fn is_linearizable(mut calls: Vec<Call>) -> Option<bool> {
    calls.sort_by_key(|call| call.invoked);
    let mut search = Search { calls: &calls, names: HashMap::new(), tried: HashSet::new() };
    search.run()
}

/// All calls before `base` are taken or will never be, and those of the window that `taken` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Place {
    base: usize,
    taken: u128,
    state: State,
}

struct Search<'a> {
    calls: &'a [Call],
    /// Data by numbers.
    names: HashMap<&'a str, u32>,
    tried: HashSet<Place>,
}

impl<'a> Search<'a> {
    fn run(&mut self) -> Option<bool> {
        let mut left = vec![Place { base: 0, taken: 0, state: None }];
        let mut has_gone_too_far = false;
        while let Some(place) = left.pop() {
            if self.calls[place.base..].iter().all(|call| call.is_optional) {
                return Some(true);
            }
            if !self.tried.insert(place) {
                continue;
            }
            if self.tried.len() > STATES_MAX {
                return None;
            }
            let mut first_return = Micros::MAX;
            let mut next = Vec::new();
            for (offset, call) in self.calls[place.base..].iter().enumerate() {
                if call.invoked > first_return {
                    break;
                }
                if offset >= WINDOW {
                    has_gone_too_far = true;
                    break;
                }
                if place.taken & (1 << offset) == 0 {
                    if !call.is_optional {
                        first_return = first_return.min(call.returned);
                    }
                    next.push(offset);
                }
            }
            for offset in next.into_iter().rev() {
                let call = &self.calls[place.base + offset];
                if call.invoked <= first_return
                    && let Some(state) = self.after(place.state, &call.deeds)
                {
                    left.push(self.advance(Place { taken: place.taken | (1 << offset), state, ..place }));
                }
            }
        }
        if has_gone_too_far { None } else { Some(false) }
    }

    fn advance(&self, mut place: Place) -> Place {
        while let Some(call) = self.calls.get(place.base) {
            let last = place.base + WINDOW - 1 - place.taken.leading_zeros().min(127) as usize;
            let is_too_late =
                call.is_optional && place.taken != 0 && call.returned < self.calls[last].invoked;
            if place.taken & 1 == 0 && !is_too_late {
                break;
            }
            place.base += 1;
            place.taken >>= 1;
        }
        place
    }

    fn after(&mut self, mut state: State, deeds: &'a [Deed]) -> Option<State> {
        for deed in deeds {
            state = match &deed.told {
                Some(told) => self.after_told(state, &deed.request, told)?,
                None => self.after_unknown(state, &deed.request),
            };
        }
        Some(state)
    }

    /// What holds after this; nothing if it cannot have been told then.
    fn after_told(&mut self, state: State, request: &'a Request, told: &Told) -> Option<State> {
        let fits = |expected: i32| state.is_some_and(|(_, version)| expected == -1 || expected == version);
        match (request, told) {
            (Request::Create { data, .. }, Ok(_)) => state.is_none().then(|| Some((self.name(data), 0))),
            (Request::Create { .. }, Err(-110)) => state.is_some().then_some(state),
            (Request::SetData { data, version, .. }, Ok(Answer::Stat(stat))) => {
                let after = state?.1.wrapping_add(1);
                (fits(*version) && stat.version == after).then(|| Some((self.name(data), after)))
            }
            (Request::Delete { version, .. }, Ok(_)) => fits(*version).then_some(None),
            (Request::Check { version, .. }, Ok(_)) => fits(*version).then_some(state),
            (
                Request::SetData { version, .. }
                | Request::Delete { version, .. }
                | Request::Check { version, .. },
                Err(-103),
            ) => (state.is_some() && !fits(*version)).then_some(state),
            (Request::GetData(_), Ok(Answer::Data(data, stat))) => {
                let name = self.names.get(data.as_str()).copied();
                (state.is_some() && state == name.map(|name| (name, stat.version))).then_some(state)
            }
            (Request::Exists(_), Ok(Answer::Stat(stat))) => {
                state.is_some_and(|(_, version)| version == stat.version).then_some(state)
            }
            (_, Err(-101)) => state.is_none().then_some(state),
            _ => None,
        }
    }

    fn after_unknown(&mut self, state: State, request: &'a Request) -> State {
        match (request, state) {
            (Request::Create { data, .. }, None) => Some((self.name(data), 0)),
            (Request::SetData { data, version, .. }, Some((_, now))) if *version == -1 || *version == now => {
                Some((self.name(data), now.wrapping_add(1)))
            }
            (Request::Delete { version, .. }, Some((_, now))) if *version == -1 || *version == now => None,
            _ => state,
        }
    }

    fn name(&mut self, data: &'a str) -> u32 {
        let next = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        *self.names.entry(data).or_insert(next)
    }
}
