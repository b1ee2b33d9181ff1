//! What one connection counts of itself, and what it has told of it.
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use proto::{OpCode, SessionId, Xid, Zxid};

use super::namespaces::{reckoned, top};
use super::{Namespace, Stats};
use crate::metrics::Spread;

/// What is known of a request when it is answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    /// When it came.
    pub(crate) arrived: Instant,
    /// Its operation, as the client numbered it.
    pub(crate) op: i32,
}

/// What one connection did since it last said so.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) received: u64,
    pub(super) sent: u64,
    pub(super) bytes_received: u64,
    pub(super) reply_bytes: u64,
    /// Bytes of each answer.
    pub(super) replies: Spread,
    pub(super) last_reply: u64,
    pub(super) event_bytes: u64,
    /// How long requests took. Those that came together and were answered together took the same time.
    pub(super) runs: Vec<Run>,
    /// Bytes that reads came to.
    pub(super) namespaces: Vec<(Namespace, Spread)>,
}

/// So many requests of a kind that took so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) kind: Kind,
    pub(super) micros: u64,
    pub(super) times: u64,
}

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It was answered by this member alone.
    Read,
    /// It went through the log.
    Update,
}

/// What a connection has told of itself.
#[derive(Debug)]
pub(super) struct Told {
    address: SocketAddr,
    established_ms: i64,
    queued: usize,
    received: u64,
    sent: u64,
    session: Option<(SessionId, u32)>,
    is_word: bool,
    /// When its client was heard of last.
    heard: Instant,
    last: Option<Last>,
    last_cxid: Option<i32>,
    latency: Spread,
}

/// The request that was answered last.
#[derive(Clone, Copy, Debug)]
struct Last {
    op: &'static str,
    zxid: Zxid,
    at: Instant,
    micros: u64,
}

/// One connection's place in the statistics. When it is dropped, the connection is no longer listed.
#[derive(Debug)]
pub(crate) struct Traffic {
    stats: Arc<Stats>,
    place: u64,
    told: Arc<Mutex<Told>>,
    pub(super) tally: Tally,
    last: Option<Last>,
    last_cxid: Option<i32>,
    queued: usize,
    /// The namespace of the last read, which is mostly that of the next.
    namespace: Option<(Box<str>, Namespace)>,
}

/// One connection, as operators see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Where the client calls from.
    pub address: SocketAddr,
    /// Requests received and not answered.
    pub queued: usize,
    /// Packets received.
    pub received: u64,
    /// Packets sent.
    pub sent: u64,
    /// What its session does, if it has one.
    pub session: Option<OfSession>,
    /// When it was made, in milliseconds since 1970.
    pub established_ms: i64,
    /// For how long its client has not been heard of.
    pub silent: Duration,
    /// Whether it has asked a four-letter word.
    pub is_word: bool,
}

/// What the session of a connection does there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfSession {
    /// Which session.
    pub id: SessionId,
    /// Its timeout, in milliseconds.
    pub timeout_ms: u32,
    /// What it asked last, in ZooKeeper's four letters.
    pub last_op: &'static str,
    /// The last number that its client gave to a request of its own.
    pub last_cxid: Option<i32>,
    /// What the last answer showed.
    pub last_zxid: Option<Zxid>,
    /// When that went, in milliseconds since the member's start.
    pub last_response_ms: u64,
    /// How long requests took, in milliseconds: the last one, the shortest, the mean, and the longest.
    pub latency_ms: [u64; 4],
}

impl Told {
    pub(super) fn new(address: SocketAddr, established_ms: i64) -> Self {
        Self {
            address,
            established_ms,
            queued: 0,
            received: 0,
            sent: 0,
            session: None,
            is_word: false,
            heard: Instant::now(),
            last: None,
            last_cxid: None,
            latency: Spread::default(),
        }
    }

    pub(super) fn reset(&mut self) {
        (self.received, self.sent) = (0, 0);
        (self.last, self.last_cxid, self.latency) = (None, None, Spread::default());
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a mean is no number below zero"
    )]
    pub(super) fn line(&self, started: Instant) -> Line {
        let millis = |micros: u64| micros / 1_000;
        let session = self.session.map(|(id, timeout_ms)| OfSession {
            id,
            timeout_ms,
            last_op: self.last.map_or("NA", |last| last.op),
            last_cxid: self.last_cxid,
            last_zxid: self.last.map(|last| last.zxid),
            last_response_ms: self.last.map_or(0, |last| {
                u64::try_from(last.at.saturating_duration_since(started).as_millis()).unwrap_or(u64::MAX)
            }),
            latency_ms: [
                self.last.map_or(0, |last| millis(last.micros)),
                millis(self.latency.least()),
                (self.latency.mean() / 1_000.0) as u64,
                millis(self.latency.max),
            ],
        });
        Line {
            address: self.address,
            queued: self.queued,
            received: self.received,
            sent: self.sent,
            session,
            established_ms: self.established_ms,
            silent: self.heard.elapsed(),
            is_word: self.is_word,
        }
    }
}

impl Traffic {
    pub(super) fn new(stats: Arc<Stats>, place: u64, told: Arc<Mutex<Told>>) -> Self {
        let (tally, last, last_cxid, queued, namespace) = (Tally::default(), None, None, 0, None);
        Self { stats, place, told, tally, last, last_cxid, queued, namespace }
    }

    /// The connection has a session now: its client was answered after so long, at this zxid. Whether the session is new
    /// is told by its last operation, as in ZooKeeper.
    pub(crate) fn settled(&mut self, session: SessionId, timeout_ms: u32, new: Option<(Duration, Zxid)>) {
        self.told.lock().session = Some((session, timeout_ms));
        if let Some((took, zxid)) = new {
            self.count("SESS", Kind::Update, Some(0), zxid, took, Instant::now());
        }
        self.tell(0);
    }

    /// The connection has asked a four-letter word, and will ask no more.
    pub(crate) fn asked_word(&mut self) {
        self.told.lock().is_word = true;
        self.received(0);
        self.tell(0);
    }

    /// A packet of so many bytes came, its length not among them.
    pub(crate) const fn received(&mut self, bytes: usize) {
        self.tally.received += 1;
        self.tally.bytes_received += bytes as u64 + 4;
    }

    /// The answer to a request went, in so many bytes with its length.
    pub(crate) fn replied(&mut self, xid: Xid, bytes: usize) {
        self.answered_otherwise();
        self.tally.last_reply = bytes as u64 - 4;
        self.tally.replies.add(self.tally.last_reply, 1);
        // ZooKeeper counts those of pings in sizes, and not in bytes.
        if xid != Xid::PING {
            self.tally.reply_bytes += self.tally.last_reply;
        }
    }

    /// What went is no answer to a request: to a greeting, or to a word.
    pub(crate) const fn answered_otherwise(&mut self) {
        self.tally.sent += 1;
    }

    /// So many notifications went, in so many bytes.
    pub(crate) const fn notified(&mut self, count: usize, bytes: usize) {
        self.tally.sent += count as u64;
        self.tally.event_bytes += bytes as u64 - 4 * count as u64;
    }

    /// A request was answered at `now`, showing `zxid`.
    pub(crate) fn answered(&mut self, xid: Xid, request: Request, zxid: Zxid, now: Instant) {
        let Some((name, kind)) = OpCode::from_wire(request.op).and_then(of) else { return };
        let cxid = xid.get();
        let took = now.saturating_duration_since(request.arrived);
        self.count(name, kind, (cxid >= 0).then_some(cxid), zxid, took, now);
    }

    fn count(
        &mut self,
        op: &'static str,
        kind: Kind,
        cxid: Option<i32>,
        zxid: Zxid,
        took: Duration,
        now: Instant,
    ) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        match self.tally.runs.last_mut() {
            Some(run) if run.micros == micros && run.kind == kind => run.times += 1,
            _ => self.tally.runs.push(Run { kind, micros, times: 1 }),
        }
        self.last = Some(Last { op, zxid, at: now, micros });
        self.last_cxid = cxid.or(self.last_cxid);
    }

    /// A read at a path was answered with so much data.
    pub(crate) fn read(&mut self, path: &str, data: usize) {
        let Some(name) = top(path) else { return };
        let namespace = match &self.namespace {
            Some((last, namespace)) if **last == *name => *namespace,
            _ => {
                let Some(namespace) = self.stats.namespaces().number(name) else { return };
                self.namespace = Some((name.into(), namespace));
                namespace
            }
        };
        let bytes = reckoned(path, data, true);
        match self.tally.namespaces.last_mut() {
            Some((last, spread)) if *last == namespace => spread.add(bytes, 1),
            _ => {
                let mut spread = Spread::default();
                spread.add(bytes, 1);
                self.tally.namespaces.push((namespace, spread));
            }
        }
    }

    /// Tells what was counted since it was last told, and how many requests are not answered now.
    pub(crate) fn tell(&mut self, queued: usize) {
        let Self { stats, place, told, tally, last, last_cxid, queued: before, .. } = self;
        if *before != queued {
            // Wraps around, and back.
            stats.outstanding.fetch_add(queued.wrapping_sub(*before), Relaxed);
            *before = queued;
            told.lock().queued = queued;
        }
        if tally.received == 0 && tally.sent == 0 && tally.runs.is_empty() {
            return;
        }
        stats.tell(*place, tally);
        let told = &mut *told.lock();
        told.received += tally.received;
        told.sent += tally.sent;
        if tally.received > 0 {
            told.heard = Instant::now();
        }
        for run in &tally.runs {
            told.latency.add(run.micros, run.times);
        }
        told.last = last.take().or(told.last);
        told.last_cxid = last_cxid.take().or(told.last_cxid);
        tally.clear();
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.tell(0);
        self.stats.leave(self.place);
    }
}

impl Tally {
    fn clear(&mut self) {
        (self.received, self.sent) = (0, 0);
        (self.bytes_received, self.reply_bytes, self.event_bytes) = (0, 0, 0);
        self.replies = Spread::default();
        self.runs.clear();
        self.namespaces.clear();
    }
}

/// An operation in ZooKeeper's four letters, and whether it goes through the log (PROTOCOL, section "Connection line").
/// Credentials are none: ZooKeeper does not count how long they take.
const fn of(op: OpCode) -> Option<(&'static str, Kind)> {
    Some(match op {
        OpCode::Create | OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl => {
            ("CREA", Kind::Update)
        }
        OpCode::Delete => ("DELE", Kind::Update),
        OpCode::SetData => ("SETD", Kind::Update),
        OpCode::SetAcl => ("SETA", Kind::Update),
        OpCode::Check => ("CHEC", Kind::Update),
        OpCode::Multi => ("MULT", Kind::Update),
        OpCode::Reconfig => ("RECO", Kind::Update),
        OpCode::CloseSession => ("CLOS", Kind::Update),
        OpCode::Exists => ("EXIS", Kind::Read),
        OpCode::GetData => ("GETD", Kind::Read),
        OpCode::GetAcl => ("GETA", Kind::Read),
        OpCode::GetChildren | OpCode::GetChildren2 => ("GETC", Kind::Read),
        OpCode::GetAllChildrenNumber => ("GETACN", Kind::Read),
        OpCode::GetEphemerals => ("GETE", Kind::Read),
        OpCode::MultiRead => ("MLTR", Kind::Read),
        OpCode::Sync => ("SYNC", Kind::Read),
        OpCode::Ping => ("PING", Kind::Read),
        OpCode::SetWatches => ("SETW", Kind::Read),
        OpCode::SetWatches2 => ("STW2", Kind::Read),
        OpCode::AddWatch => ("ADDW", Kind::Read),
        OpCode::CheckWatches => ("CHKW", Kind::Read),
        OpCode::RemoveWatches => ("REMW", Kind::Read),
        OpCode::WhoAmI => ("HOMI", Kind::Read),
        OpCode::Auth | OpCode::Sasl => return None,
    })
}
