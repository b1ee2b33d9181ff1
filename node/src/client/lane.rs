//! One session's order: which request may be done when.
//!
//! Replies are sent in the order of requests (PROTOCOL, section "Reply order"). A write may be proposed while
//! writes before it are still under way, because the log keeps their order. Everything else looks at this member's
//! own world, so it waits until everything before it is answered; and a write behind it waits for it in turn.
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
    Synced(Text),
    /// That the client lives.
    Ping,
    /// Credentials.
    Auth(Auth),
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
    /// What cannot be asked takes its place in the order like everything else.
    Refused(Code),
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
/// * nothing is accepted behind a closeSession.
#[derive(Debug)]
pub(crate) struct Lane<N> {
    in_flight: VecDeque<(Done<N>, Seq, usize)>,
    waiting: VecDeque<Waiting<N>>,
    bytes: usize,
    next_seq: Seq,
    barrier: bool,
    closing: bool,
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
    Sync(Text, Barrier),
    Question(Question),
}

/// How far the barrier of a sync has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Barrier {
    Needed,
    UnderWay,
    Passed,
}

impl<N: Copy> Lane<N> {
    /// An empty one.
    pub(crate) const fn new() -> Self {
        Self {
            in_flight: VecDeque::new(),
            waiting: VecDeque::new(),
            bytes: 0,
            next_seq: Seq::new(1),
            barrier: false,
            closing: false,
        }
    }

    /// Whether more requests may be accepted: if not, the socket is not to be read.
    pub(crate) fn has_room(&self) -> bool {
        !self.closing && self.len() < LANE_REQUESTS_MAX && self.bytes < LANE_BYTES_MAX
    }

    /// Requests that were received and not answered.
    pub(crate) fn len(&self) -> usize {
        self.in_flight.len() + self.waiting.len()
    }

    /// Accepts a request, or a body of one that did not parse, of so many bytes. Behind a closeSession it is
    /// dropped: the session will be gone, and the protocol owes it no answer.
    pub(crate) fn accept(&mut self, xid: Xid, request: Result<Request, Code>, bytes: usize, arrived: N) {
        if self.closing {
            return;
        }
        let what = match request {
            Ok(Request::Write(op, body)) => {
                self.closing = op == OpCode::CloseSession;
                What::Write(op, body)
            }
            Ok(Request::Sync(path)) => What::Sync(path, Barrier::Needed),
            Ok(Request::Read(read)) => What::Question(Question::Read(read)),
            Ok(Request::Ping) => What::Question(Question::Ping),
            Ok(Request::Auth(auth)) => What::Question(Question::Auth(auth)),
            Ok(Request::SetWatches(watches)) => What::Question(Question::SetWatches(watches)),
            Ok(Request::AddWatch { path, recursive }) => {
                What::Question(Question::AddWatch { path, recursive })
            }
            Ok(Request::FindWatches { path, kind, remove }) => {
                What::Question(Question::FindWatches { path, kind, remove })
            }
            Ok(Request::WhoAmI) => What::Question(Question::WhoAmI),
            Ok(Request::Unserved(_)) => What::Question(Question::Refused(Code::Unimplemented)),
            Err(code) => What::Question(Question::Refused(code)),
        };
        self.bytes += bytes;
        self.waiting.push_back(Waiting { done: Done { xid, arrived }, bytes, what });
    }

    /// The next thing to do, if there is one. Only [`Step::Answer`] is given again until it is done.
    pub(crate) fn next(&mut self) -> Option<Step> {
        let front = self.waiting.front_mut()?;
        match &mut front.what {
            What::Write(..) => self.propose(),
            What::Sync(_, Barrier::Needed) if !self.barrier => {
                // One barrier serves every sync that is here when it starts, so a pipeline of them costs one round.
                for waiting in &mut self.waiting {
                    if let What::Sync(_, state) = &mut waiting.what {
                        *state = Barrier::UnderWay;
                    }
                }
                self.barrier = true;
                Some(Step::Barrier)
            }
            What::Sync(_, Barrier::Needed | Barrier::UnderWay) => None,
            What::Sync(_, Barrier::Passed) | What::Question(_) => {
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
        Some(Step::Propose { seq, op, body })
    }

    /// Takes the next question, if it can be answered now. It counts as answered from here on.
    pub(crate) fn take_answerable(&mut self) -> Option<(Done<N>, Question)> {
        let answerable = match &self.waiting.front()?.what {
            What::Question(_) | What::Sync(_, Barrier::Passed) => self.in_flight.is_empty(),
            What::Write(..) | What::Sync(..) => false,
        };
        if !answerable {
            return None;
        }
        let Waiting { done, bytes, what } = self.waiting.pop_front()?;
        self.bytes -= bytes;
        match what {
            What::Question(question) => Some((done, question)),
            What::Sync(path, _) => Some((done, Question::Synced(path))),
            What::Write(..) => None,
        }
    }

    /// Notes that a write was answered. `None` if it is not the one whose turn it is, which cannot happen as long
    /// as the log keeps the order of a session's writes.
    pub(crate) fn written(&mut self, seq: Seq) -> Option<Done<N>> {
        let (done, _, bytes) = self.in_flight.pop_front_if(|(_, oldest, _)| *oldest == seq)?;
        self.bytes -= bytes;
        Some(done)
    }

    /// The oldest write that is under way.
    pub(crate) fn oldest(&self) -> Option<Seq> {
        self.in_flight.front().map(|(_, seq, _)| *seq)
    }

    /// Notes that the barrier has been passed.
    pub(crate) fn barrier_passed(&mut self) {
        self.barrier = false;
        for waiting in &mut self.waiting {
            if let What::Sync(_, state @ Barrier::UnderWay) = &mut waiting.what {
                *state = Barrier::Passed;
            }
        }
    }

    /// Drops everything that waits, and accepts nothing more.
    pub(crate) fn close(&mut self) {
        self.closing = true;
        for waiting in self.waiting.drain(..) {
            self.bytes -= waiting.bytes;
        }
    }
}

#[cfg(test)]
#[path = "lane_tests.rs"]
mod tests;
