//! One session's order: which request may be done when.
//!
//! Replies are sent in the order of requests (PROTOCOL, section "Reply order"). A write may be proposed while
//! writes before it are still under way, because the log keeps their order. Everything else looks at this member's
//! own world, so it waits until everything before it is answered; and a write behind it waits for it in turn. So does
//! everything behind a change of members, which is answered later than the log goes on; only that a client lives is heard
//! and answered meanwhile, once it is known that nothing speaks against the change.
//!
//! Pure: it knows no socket, no clock and no lock.
use std::collections::VecDeque;

use bytes::Bytes;
use proto::limits::{LANE_BYTES_MAX, LANE_REQUESTS_MAX};
use proto::request::{Auth, Read, SetWatches, WatcherType};
use proto::{Code, OpCode, Request, Seq, Text, Xid};

/// What is answered from this member's own world.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Question {
    /// A read of znodes.
    Read(Read),
    /// The path of a sync, once its barrier has been passed.
    Synced(Option<Text>),
    /// That the client lives.
    Ping,
    /// Credentials.
    Auth(Auth),
    /// A SASL token.
    Sasl(Bytes),
    /// The watches of a client that has come back.
    SetWatches(SetWatches),
    /// A persistent watch.
    AddWatch {
        /// What is watched.
        path: Text,
        /// Whether the subtree is meant.
        recursive: bool,
    },
    /// Whether a watch is there, or that it goes.
    FindWatches {
        /// What is watched.
        path: Text,
        /// Which of the watches.
        kind: WatcherType,
        /// Whether it goes.
        remove: bool,
    },
    /// Who the connection is.
    WhoAmI,
    /// That a session that only this member knows ends.
    Close,
    /// What cannot be asked takes its place in the order like everything else.
    Refused(Code),
    /// What no client has any business asking: the last thing that it is answered.
    Forbidden(Code),
}

/// What may be done now.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// Propose this write.
    Propose {
        /// Its place among the writes.
        seq: Seq,
        /// What it is.
        op: OpCode,
        /// The client's own bytes.
        body: Bytes,
    },
    /// Ask for a barrier, and report that it has been passed.
    Barrier,
    /// Let all members know that these watches go, and say when they do.
    TakeAway(Vec<(Text, WatcherType)>),
    /// Take what can be answered with [`Lane::take_answerable`], and answer it.
    Answer,
}

/// A request that is answered, or was: `N` is the moment at which it arrived, of whatever kind the caller likes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Done<N> {
    /// What the client numbered it with.
    pub(crate) xid: Xid,
    /// When it arrived.
    pub(crate) arrived: N,
}

/// The requests of one connection that were received and not answered.
///
/// Invariants:
/// * what is in flight stands before what waits;
/// * a question is taken only when nothing is in flight and nothing waits before it;
/// * nothing is accepted behind a closeSession, nor behind what is forbidden.
#[derive(Debug)]
pub(crate) struct Lane<N> {
    in_flight: VecDeque<(Done<N>, Seq, usize)>,
    waiting: VecDeque<Waiting<N>>,
    bytes: usize,
    /// Of requests that have more bytes than `large_threshold`.
    large_bytes: usize,
    large_threshold: usize,
    next_seq: Seq,
    barrier: bool,
    /// A change of members that is under way. The log goes on behind it, and its answer comes when the members are changed:
    /// so nothing is begun behind it.
    reconfiguring: Option<Seq>,
    /// Whether it was not refused: then its answer may take a while.
    members_change: bool,
    /// Whether watches are on their way out of the table that all members have.
    taking_away: bool,
    closing: bool,
    /// Whether nothing is written here.
    read_only: bool,
}

#[derive(Debug)]
struct Waiting<N> {
    done: Done<N>,
    bytes: usize,
    what: What,
}

#[derive(Debug)]
enum What {
    Write(OpCode, Bytes),
    Sync(Option<Text>, Stage),
    /// A watch is taken away. Whoever is answered that it is relies on it, wherever he goes: so it is known by then.
    Removal(Text, WatcherType, Stage),
    Question(Question),
}

/// How far that has come which goes in front of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Needed,
    UnderWay,
    Passed,
}

impl<N: Copy> Lane<N> {
    /// An empty one, in which requests of more bytes than `large_threshold` are large.
    pub(crate) const fn new(large_threshold: usize) -> Self {
        Self {
            in_flight: VecDeque::new(),
            waiting: VecDeque::new(),
            bytes: 0,
            large_bytes: 0,
            large_threshold,
            next_seq: Seq::new(1),
            barrier: false,
            reconfiguring: None,
            members_change: false,
            taking_away: false,
            closing: false,
            read_only: false,
        }
    }

    /// The same, in which what needs a leader is refused.
    pub(crate) fn read_only(self) -> Self {
        Self { read_only: true, ..self }
    }

    /// Whether more requests may be accepted: if not, the socket is not to be read.
    pub(crate) fn has_room(&self) -> bool {
        !self.closing && self.len() < LANE_REQUESTS_MAX && self.bytes < LANE_BYTES_MAX
    }

    /// Requests that were received and not answered.
    pub(crate) fn len(&self) -> usize {
        self.in_flight.len() + self.waiting.len()
    }

    /// Writes and syncs that are under way, and what is being taken away.
    pub(crate) fn begun(&self) -> usize {
        self.in_flight.len() + usize::from(self.barrier) + usize::from(self.taking_away)
    }

    /// Requests that wait to be begun.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The first of them.
    pub(crate) fn front(&self) -> Option<Done<N>> {
        self.waiting.front().map(|waiting| waiting.done)
    }

    /// Bytes of large requests that were received and not answered.
    pub(crate) const fn large_bytes(&self) -> usize {
        self.large_bytes
    }

    /// Refuses the requests that wait and that have waited for too long, and says how many. That a client lives, and that
    /// it leaves, is heard however long it took.
    pub(crate) fn refuse(&mut self, has_waited: impl Fn(&N) -> bool) -> u64 {
        let mut refused = 0;
        for Waiting { done, what, .. } in &mut self.waiting {
            let is_heard = matches!(
                what,
                What::Question(
                    Question::Ping
                        | Question::Auth(_)
                        | Question::Sasl(_)
                        | Question::Close
                        | Question::Refused(_)
                        | Question::Forbidden(_)
                ) | What::Write(OpCode::CloseSession, _)
                    | What::Sync(_, Stage::UnderWay | Stage::Passed)
                    | What::Removal(_, _, Stage::UnderWay | Stage::Passed)
            );
            if !is_heard && has_waited(&done.arrived) {
                *what = What::Question(Question::Refused(Code::ThrottledOp));
                refused += 1;
            }
        }
        refused
    }

    const fn release(&mut self, bytes: usize) {
        self.bytes -= bytes;
        if bytes > self.large_threshold {
            self.large_bytes -= bytes;
        }
    }

    /// Accepts a request, or a body of one that did not parse, of so many bytes. Behind a closeSession it is
    /// dropped: the session will be gone, and the protocol owes it no answer.
    pub(crate) fn accept(&mut self, xid: Xid, request: Result<Request, Code>, bytes: usize, arrived: N) {
        if self.closing {
            return;
        }
        let what = match request {
            Ok(Request::Write(OpCode::CloseSession, _)) if self.read_only => {
                self.closing = true;
                What::Question(Question::Close)
            }
            Ok(Request::Write(..) | Request::Sync(_)) if self.read_only => {
                What::Question(Question::Refused(Code::NotReadOnly))
            }
            Ok(Request::Write(op, body)) => {
                self.closing = op == OpCode::CloseSession;
                What::Write(op, body)
            }
            Ok(Request::Sync(path)) => What::Sync(path, Stage::Needed),
            Ok(Request::Read(read)) => What::Question(Question::Read(read)),
            Ok(Request::Ping) => What::Question(Question::Ping),
            Ok(Request::Auth(auth)) => What::Question(Question::Auth(auth)),
            Ok(Request::Sasl(token)) => What::Question(Question::Sasl(token)),
            Ok(Request::SetWatches(watches)) => What::Question(Question::SetWatches(watches)),
            Ok(Request::AddWatch { path, recursive }) => {
                What::Question(Question::AddWatch { path, recursive })
            }
            Ok(Request::FindWatches { path, kind, remove: true }) => What::Removal(path, kind, Stage::Needed),
            Ok(Request::FindWatches { path, kind, remove }) => {
                What::Question(Question::FindWatches { path, kind, remove })
            }
            Ok(Request::WhoAmI) => What::Question(Question::WhoAmI),
            Ok(Request::Unserved(_)) => What::Question(Question::Refused(Code::Unimplemented)),
            Ok(Request::Internal) => {
                self.closing = true;
                What::Question(Question::Forbidden(Code::Unimplemented))
            }
            Err(code) => What::Question(Question::Refused(code)),
        };
        self.bytes += bytes;
        if bytes > self.large_threshold {
            self.large_bytes += bytes;
        }
        self.waiting.push_back(Waiting { done: Done { xid, arrived }, bytes, what });
    }

    /// Whatever comes next is refused with this code in its turn, unless it is about who the client is.
    pub(crate) fn keep_out(&mut self, code: Code) {
        if let Some(front) = self.waiting.front_mut()
            && !matches!(front.what, What::Question(Question::Auth(_) | Question::Sasl(_)))
        {
            front.what = What::Question(Question::Refused(code));
        }
    }

    /// The next thing to do, if there is one. Only [`Step::Answer`] is given again until it is done.
    pub(crate) fn next(&mut self) -> Option<Step> {
        let front = self.waiting.front_mut()?;
        match &mut front.what {
            What::Write(..) if self.reconfiguring.is_some() => None,
            What::Write(..) => self.propose(),
            What::Sync(_, Stage::Needed) if !self.barrier => {
                // One barrier serves every sync that is here when it starts, so a pipeline of them costs one round.
                for waiting in &mut self.waiting {
                    if let What::Sync(_, state) = &mut waiting.what {
                        *state = Stage::UnderWay;
                    }
                }
                self.barrier = true;
                Some(Step::Barrier)
            }
            What::Removal(_, _, Stage::Needed) if self.reconfiguring.is_some() => None,
            What::Removal(_, _, Stage::Needed) => Some(self.take_away()),
            What::Sync(_, Stage::Needed | Stage::UnderWay) | What::Removal(_, _, Stage::UnderWay) => None,
            // While the members are changed nothing else can be answered, and a client that hears nothing hangs up.
            What::Question(Question::Ping) if self.members_change => Some(Step::Answer),
            What::Sync(_, Stage::Passed) | What::Removal(_, _, Stage::Passed) | What::Question(_) => {
                self.in_flight.is_empty().then_some(Step::Answer)
            }
        }
    }

    fn propose(&mut self) -> Option<Step> {
        let Waiting { done, bytes, what } = self.waiting.pop_front()?;
        let What::Write(op, body) = what else { return None };
        let seq = self.next_seq;
        self.next_seq = seq.next();
        self.in_flight.push_back((done, seq, bytes));
        if op == OpCode::Reconfig {
            self.reconfiguring = Some(seq);
        }
        Some(Step::Propose { seq, op, body })
    }

    /// One way through the log serves all removals that stand here together.
    fn take_away(&mut self) -> Step {
        self.taking_away = true;
        let mut removals = Vec::new();
        for waiting in &mut self.waiting {
            let What::Removal(path, kind, stage @ Stage::Needed) = &mut waiting.what else { break };
            *stage = Stage::UnderWay;
            removals.push((path.clone(), *kind));
        }
        Step::TakeAway(removals)
    }

    /// Takes the next question, if it can be answered now. It counts as answered from here on.
    pub(crate) fn take_answerable(&mut self) -> Option<(Done<N>, Question)> {
        let answerable = match &self.waiting.front()?.what {
            What::Question(Question::Ping) if self.members_change => true,
            What::Question(_) | What::Sync(_, Stage::Passed) | What::Removal(_, _, Stage::Passed) => {
                self.in_flight.is_empty()
            }
            What::Write(..) | What::Sync(..) | What::Removal(..) => false,
        };
        if !answerable {
            return None;
        }
        let Waiting { done, bytes, what } = self.waiting.pop_front()?;
        self.release(bytes);
        match what {
            What::Question(question) => Some((done, question)),
            What::Sync(path, _) => Some((done, Question::Synced(path))),
            What::Removal(path, kind, _) => Some((done, Question::FindWatches { path, kind, remove: true })),
            What::Write(..) => None,
        }
    }

    /// Notes that a write was answered. `None` if it is not the one whose turn it is, which cannot happen as long
    /// as the log keeps the order of a session's writes.
    pub(crate) fn written(&mut self, seq: Seq) -> Option<Done<N>> {
        let (done, _, bytes) = self.in_flight.pop_front_if(|(_, oldest, _)| *oldest == seq)?;
        self.release(bytes);
        if self.reconfiguring.take_if(|asked| *asked == seq).is_some() {
            self.members_change = false;
        }
        Some(done)
    }

    /// Notes that nothing speaks against the change of members that was asked for. All writes before it are answered.
    pub(crate) fn members_change(&mut self) {
        self.members_change = self.reconfiguring.is_some();
    }

    /// The oldest write that is under way.
    pub(crate) fn oldest(&self) -> Option<Seq> {
        self.in_flight.front().map(|(_, seq, _)| *seq)
    }

    /// Notes that the barrier has been passed.
    pub(crate) fn barrier_passed(&mut self) {
        self.barrier = false;
        for waiting in &mut self.waiting {
            if let What::Sync(_, state @ Stage::UnderWay) = &mut waiting.what {
                *state = Stage::Passed;
            }
        }
    }

    /// Notes that all members know what was to be taken away, and says whether anybody has waited for it.
    pub(crate) fn taken_away(&mut self) -> bool {
        for waiting in &mut self.waiting {
            if let What::Removal(_, _, stage @ Stage::UnderWay) = &mut waiting.what {
                *stage = Stage::Passed;
            }
        }
        std::mem::take(&mut self.taking_away)
    }

    /// Drops everything that waits, and accepts nothing more.
    pub(crate) fn close(&mut self) {
        self.closing = true;
        while let Some(waiting) = self.waiting.pop_front() {
            self.release(waiting.bytes);
        }
    }
}

#[cfg(test)]
#[path = "lane_tests.rs"]
mod tests;
