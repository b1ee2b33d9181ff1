//! What the log says of a history: what became of writes that nobody answered, and when sessions ended.
//!
//! The log is believed in what it alone can know, and nothing else: that what was acknowledged stands in it, and that
//! nothing stands in it that nobody can have asked for then, is found out here, and that the members have told what it
//! comes to, by the [replay](super::witness).

use std::collections::{BTreeSet, HashMap, HashSet};

use super::bounds::Bounds;
use super::history::{End, History, OpId, Request, Session, Stay};
use super::logged::{Act, CONTAINER, Transaction, Written};
use super::pending::{self, Pending, Unit};
use super::verdict::{Rule, Verdict};

/// What the log says.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Writes without an answer that were taken up: with their zxid. They may have been refused.
    pub(super) done: Vec<(OpId, i64)>,
    /// Ends of sessions, by their places in the history, that were not acknowledged.
    pub(super) ends: Vec<(usize, i64)>,
    /// Ends of containers.
    pub(super) reaped: Vec<(String, i64)>,
}

/// Holds a history against its log.
pub(super) fn of(history: &History, log: &[Transaction], bounds: &Bounds, verdict: &mut Verdict) -> Ledger {
    let mut ledger = Ledger::default();
    let mut of_session: HashMap<i64, Vec<&Transaction>> = HashMap::new();
    let mut by_zxid: HashMap<i64, &Transaction> = HashMap::new();
    for transaction in log {
        of_session.entry(transaction.session).or_default().push(transaction);
        by_zxid.insert(transaction.zxid, transaction);
    }
    acknowledged(history, &by_zxid, verdict);
    let pending = pending::of(history, bounds, &HashMap::new());
    for (number, session) in history.sessions.iter().enumerate() {
        let transactions = of_session.remove(&session.id).unwrap_or_default();
        let mut clerk = Clerk { history, bounds, number, session, pending: &pending[number], verdict };
        clerk.book(&transactions, &mut ledger);
    }
    let places = Places::of(history);
    for transaction in log {
        match &transaction.act {
            Act::Reap(path) if places.containers.contains(path.as_str()) => {
                ledger.reaped.push((path.clone(), transaction.zxid));
            }
            // What is left is of sessions that nobody here had.
            Act::Write(written)
                if of_session.contains_key(&transaction.session)
                    && paths(written).any(|path| places.all.contains(path)) =>
            {
                verdict.say(Rule::Unexplained, None, format!("nobody asked for this: {transaction:?}"));
            }
            _ => {}
        }
    }
    ledger
}

/// Where the history's znodes are.
struct Places<'a> {
    all: HashSet<&'a str>,
    containers: BTreeSet<&'a str>,
}

impl<'a> Places<'a> {
    fn of(history: &'a History) -> Self {
        let parts = || history.ops().flat_map(|(_, op)| op.request.parts());
        let containers = parts().filter_map(|part| match part {
            Request::Create { path, stay: Stay::Container, .. } => Some(path.as_str()),
            _ => None,
        });
        Self { all: parts().filter_map(Request::path).collect(), containers: containers.collect() }
    }
}

fn paths(written: &Written) -> Box<dyn Iterator<Item = &str> + '_> {
    match written {
        Written::Create(path, ..)
        | Written::SetData(path, ..)
        | Written::Delete(path, _)
        | Written::Check(path, _) => Box::new(std::iter::once(path.as_str())),
        Written::Multi(parts) => Box::new(parts.iter().flat_map(paths)),
        Written::Other => Box::new(std::iter::empty()),
    }
}

/// What was acknowledged stands in the log, as it was asked for.
fn acknowledged(history: &History, by_zxid: &HashMap<i64, &Transaction>, verdict: &mut Verdict) {
    for (id, op) in history.ops().filter(|(_, op)| op.request.is_write()) {
        let Some(zxid) = op.zxid() else { continue };
        let found = by_zxid.get(&zxid);
        let is_it = found.is_some_and(|transaction| {
            transaction.session == history.sessions[id.session].id && is_of(&transaction.act, &op.request)
        });
        if !is_it {
            let text = format!("acknowledged, and the log has {found:?}: {}", history.tell(id));
            verdict.say(Rule::Lost, Some(id), text);
        }
    }
}

/// Whether a transaction is what was asked for.
fn is_of(act: &Act, request: &Request) -> bool {
    match (act, request) {
        (Act::End { is_asked }, Request::Close) => *is_asked,
        (Act::Write(written), request) => is_written(written, request),
        _ => false,
    }
}

fn is_written(written: &Written, request: &Request) -> bool {
    match (written, request) {
        (
            Written::Create(path, data, flags),
            Request::Create { path: asked, data: given, stay, sequential, .. },
        ) => {
            let kind = match stay {
                Stay::Persistent => 0,
                Stay::Ephemeral => 1,
                Stay::Container => CONTAINER,
            };
            path == asked && data == given && *flags == kind + if *sequential { 2 } else { 0 }
        }
        (
            Written::SetData(path, data, version),
            Request::SetData { path: asked, data: given, version: expected },
        ) => path == asked && data == given && version == expected,
        (Written::Delete(path, version), Request::Delete { path: asked, version: expected })
        | (Written::Check(path, version), Request::Check { path: asked, version: expected }) => {
            path == asked && version == expected
        }
        (Written::Multi(parts), Request::Multi(asked)) => {
            parts.len() == asked.len() && parts.iter().zip(asked).all(|(part, asked)| is_written(part, asked))
        }
        _ => false,
    }
}

/// Who books one session.
struct Clerk<'a> {
    history: &'a History,
    bounds: &'a Bounds,
    number: usize,
    session: &'a Session,
    pending: &'a [Pending],
    verdict: &'a mut Verdict,
}

impl Clerk<'_> {
    /// Finds what each transaction of the session was asked by.
    fn book(&mut self, transactions: &[&Transaction], ledger: &mut Ledger) {
        let ops = &self.session.ops;
        let answered: HashMap<i64, usize> = ops
            .iter()
            .enumerate()
            .filter(|(_, op)| op.request.is_write())
            .filter_map(|(place, op)| Some((op.zxid()?, place)))
            .collect();
        let (mut next, mut ended) = (0, None);
        let mut taken = vec![false; ops.len()];
        for transaction in transactions {
            let Transaction { zxid, act, .. } = *transaction;
            if let Some(end) = ended {
                let text = format!("its session had ended at {end:#x}: {transaction:?}");
                self.verdict.say(Rule::Late, None, text);
            }
            if matches!(act, Act::End { .. }) {
                ended = Some(*zxid);
            }
            if let Some(place) = answered.get(zxid) {
                next = place + 1;
                continue;
            }
            match act {
                Act::Open | Act::Other | Act::Reap(_) => {}
                Act::End { is_asked } => self.end(*zxid, *is_asked, ledger),
                Act::Write(written) => {
                    let is_asked = |place: &usize| {
                        let op = &ops[*place];
                        op.reply.is_none() && !taken[*place] && is_written(written, &op.request)
                    };
                    let behind = ops[next..].iter().position(|op| {
                        op.request.is_write() && op.zxid().is_some_and(|answered| answered > *zxid)
                    });
                    let behind = behind.map_or(ops.len(), |offset| next + offset);
                    if let Some(place) = (next..behind).find(is_asked) {
                        taken[place] = true;
                        next = place + 1;
                        self.done(OpId { session: self.number, op: place }, *zxid, ledger);
                    } else {
                        self.astray(transaction);
                    }
                }
            }
        }
        self.left_out(&taken);
        self.must_have_ended(ended);
    }

    /// A write that nobody answered was taken up.
    fn done(&mut self, id: OpId, zxid: i64, ledger: &mut Ledger) {
        ledger.done.push((id, zxid));
        let Some(it) = self.pending.iter().find(|it| it.unit == Unit::Write(id)) else { return };
        if zxid <= it.after || zxid > it.until {
            let rule = if zxid > it.until { Rule::Late } else { Rule::RealTime };
            let text = format!(
                "done at {zxid:#x}, which should be after {:#x} and not after {:#x}: {}",
                it.after,
                it.until,
                self.history.tell(id)
            );
            self.verdict.say(rule, Some(id), text);
        }
    }

    /// No request that is left explains a transaction.
    fn astray(&mut self, transaction: &Transaction) {
        let same = self.session.ops.iter().position(|op| is_of(&transaction.act, &op.request));
        let (rule, at) = match same {
            Some(op) => (Rule::Twice, Some(OpId { session: self.number, op })),
            None => (Rule::Unexplained, None),
        };
        let asked = at.map_or_else(|| "nobody".to_owned(), |id| self.history.tell(id));
        self.verdict.say(rule, at, format!("the log has {transaction:?}, for which asked {asked}"));
    }

    /// The end of the session, which nobody was told of.
    fn end(&mut self, zxid: i64, is_asked: bool, ledger: &mut Ledger) {
        ledger.ends.push((self.number, zxid));
        let close = self.session.ops.iter().find(|op| op.request == Request::Close).map(|op| op.invoked);
        let heard = self.session.last_heard();
        let possible_from = if is_asked { close } else { Some(heard + self.session.timeout) };
        let after = possible_from.map_or(i64::MAX, |instant| self.bounds.shown_before(instant));
        if zxid <= after {
            let text = format!(
                "session {:#x} ended at {zxid:#x}{}, which cannot have been before {after:#x}; its client was heard of at \
                 {heard} µs and had {} µs",
                self.session.id,
                if is_asked { " because it asked for that" } else { "" },
                self.session.timeout,
            );
            self.verdict.say(Rule::GoneEarly, None, text);
        }
    }

    /// On one connection requests are taken up in their order: none is left out in front of one that was not.
    fn left_out(&mut self, taken: &[bool]) {
        let ops = &self.session.ops;
        let mut behind = None;
        for (place, op) in ops.iter().enumerate().rev() {
            if !op.request.is_write() || op.request == Request::Close || op.reply.is_some() {
                continue;
            }
            if taken[place] {
                behind = Some(place);
                continue;
            }
            let Some(later) = behind.filter(|later| ops[*later].connection == op.connection) else {
                continue;
            };
            // Of two that are the same, it may be the other that is meant.
            let has_twin = ops.iter().zip(taken).any(|(other, taken)| *taken && other.request == op.request);
            if !has_twin {
                let (id, later) =
                    (OpId { session: self.number, op: place }, OpId { session: self.number, op: later });
                let text = format!(
                    "left out, and what was asked behind it was done: {} and {}",
                    self.history.tell(id),
                    self.history.tell(later)
                );
                self.verdict.say(Rule::ReplyOrder, Some(id), text);
            }
        }
    }

    /// A client that was told that there is no such session was told the truth.
    fn must_have_ended(&mut self, ended: Option<i64>) {
        if let (End::Expired(told), None) = (self.session.end, ended) {
            let text = format!(
                "session {:#x} was declared dead at {told} µs, and the log has no end of it",
                self.session.id
            );
            self.verdict.say(Rule::GoneEarly, None, text);
        }
    }
}
