//! What operators are told of this member's traffic.
//!
//! A connection counts by itself, without sharing, and tells all at once what one pass of its loop came to: so what is
//! counted of a request costs no more than a few additions, and what is told of a pass two locks that nobody else holds.
// Layers, lowest first.
mod namespaces;

mod connection;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use parking_lot::Mutex;
use proto::Zxid;

use crate::chance::Hashing;
use crate::metrics::{Detail, Measured, Reading, Spread, Unit, Value};

pub use connection::{Line, OfSession};

pub(crate) use connection::{Request, Traffic};
pub(crate) use namespaces::{Namespace, Namespaces};

use connection::{Kind, Tally, Told};

/// The traffic of all connections is added up in so many places: those that tell at the same moment mostly tell
/// different ones.
const PLACES: usize = 16;

/// All traffic since the start, or since an operator had it begin anew, and that of each connection.
#[derive(Debug)]
pub(crate) struct Stats {
    started: Instant,
    sums: [Place; PLACES],
    connections: Mutex<Connections>,
    namespaces: Namespaces,
    outstanding: AtomicUsize,
    proposals: Mutex<Option<Sizes>>,
    last_flush: Mutex<Option<Flush>>,
    slow_syncs: AtomicU64,
    /// Bytes of the newest answer.
    last_reply: AtomicU64,
}

/// Alone on its lines of the processor's cache: two that are told at once do not slow each other down.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Place(Mutex<Sums>);

/// What some connections have told.
#[derive(Debug, Default)]
struct Sums {
    received: u64,
    sent: u64,
    bytes_received: u64,
    reply_bytes: u64,
    /// Bytes of each answer.
    replies: Spread,
    event_bytes: u64,
    /// Microseconds from a request to its answer: of all, of reads, and of writes.
    latency: Spread,
    reads: Measured,
    updates: Measured,
    /// Bytes that reads came to, by [`Namespace`].
    namespaces: Vec<Spread>,
}

#[derive(Debug, Default)]
struct Connections {
    last: u64,
    open: HashMap<u64, Arc<Mutex<Told>>, Hashing>,
}

/// When the state on disk was made firm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flush {
    /// Where the world stood.
    pub zxid: Zxid,
    /// What the clock said, in milliseconds since 1970.
    pub wall: i64,
}

/// How large something was, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// The newest.
    pub last: u64,
    /// The smallest.
    pub min: u64,
    /// The largest.
    pub max: u64,
}

/// How long requests took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Took {
    /// The shortest.
    pub(crate) min: Duration,
    /// The mean, in milliseconds.
    pub(crate) average_ms: f64,
    /// The longest.
    pub(crate) max: Duration,
}

impl Stats {
    /// Nothing so far.
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            sums: std::array::from_fn(|_| Place::default()),
            connections: Mutex::default(),
            namespaces: Namespaces::default(),
            outstanding: AtomicUsize::new(0),
            proposals: Mutex::default(),
            last_flush: Mutex::default(),
            slow_syncs: AtomicU64::new(0),
            last_reply: AtomicU64::new(0),
        }
    }

    /// Lists a connection that was made at `wall`, in milliseconds since 1970.
    pub(crate) fn enter(self: &Arc<Self>, address: SocketAddr, wall: i64) -> Traffic {
        let told = Arc::new(Mutex::new(Told::new(address, wall)));
        let mut connections = self.connections.lock();
        connections.last += 1;
        let place = connections.last;
        connections.open.insert(place, told.clone());
        drop(connections);
        Traffic::new(self.clone(), place, told)
    }

    /// How long the process has been running.
    pub(crate) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Packets received and sent.
    pub(crate) fn packets(&self) -> (u64, u64) {
        self.places().fold((0, 0), |(received, sent), place| {
            let sums = place.0.lock();
            (received + sums.received, sent + sums.sent)
        })
    }

    /// Requests received and not answered.
    pub(crate) fn outstanding(&self) -> usize {
        self.outstanding.load(Relaxed)
    }

    /// A sync of the log took longer than the operator thinks good.
    pub(crate) fn synced_slowly(&self) {
        self.slow_syncs.fetch_add(1, Relaxed);
    }

    /// How often that was so since the start.
    pub(crate) fn slow_syncs(&self) -> u64 {
        self.slow_syncs.load(Relaxed)
    }

    /// How long requests took.
    pub(crate) fn took(&self) -> Took {
        let mut latency = Spread::default();
        self.places().for_each(|place| latency.merge(&place.0.lock().latency));
        Took {
            min: Duration::from_micros(latency.least()),
            average_ms: latency.mean() / 1_000.0,
            max: Duration::from_micros(latency.max),
        }
    }

    /// What is counted here under ZooKeeper's names, beside what has a place in the words of its own.
    pub(crate) fn readings(&self) -> Vec<Reading> {
        let now = Instant::now();
        let (mut reads, mut updates) = (Measured::default(), Measured::default());
        let mut namespaces: Vec<Spread> = Vec::new();
        let (mut received, mut events, mut replies) = (0, 0, 0);
        for place in self.places() {
            let sums = place.0.lock();
            reads.merge(&sums.reads, now);
            updates.merge(&sums.updates, now);
            add_each(&mut namespaces, &sums.namespaces);
            received += sums.bytes_received;
            events += sums.event_bytes;
            replies += sums.reply_bytes;
        }
        let count = |name, help, count| Reading { name, help, value: Value::Count(count) };
        let summary = |name, help, measured: &Measured| {
            let (unit, detail) = (Unit::Micros, Detail::Advanced);
            Reading { name, help, value: Value::Summary { unit, detail, spread: measured.get(now) } }
        };
        let keyed =
            |name, help, spreads| Reading { name, help, value: Value::Keyed { unit: Unit::Pieces, spreads } };
        vec![
            count("bytes_received_count", "Bytes received from clients", received),
            count("response_bytes", "Bytes of answers, but for those to pings", replies),
            count("watch_bytes", "Bytes of notifications", events),
            summary("readlatency", "Milliseconds from a read to its answer", &reads),
            summary("updatelatency", "Milliseconds from a write to its answer", &updates),
            keyed(
                "read_per_namespace",
                "Bytes that reads below one top-level znode came to",
                self.namespaces.named(namespaces),
            ),
            keyed(
                "write_per_namespace",
                "Bytes of writes below one top-level znode, of all members",
                self.namespaces.named(self.namespaces.written()),
            ),
        ]
    }

    /// A log entry of so many bytes was proposed here.
    pub(crate) fn proposed(&self, bytes: usize) {
        let last = bytes as u64;
        let mut proposals = self.proposals.lock();
        let (min, max) = proposals.map_or((last, last), |known| (known.min.min(last), known.max.max(last)));
        *proposals = Some(Sizes { last, min, max });
    }

    /// The state on disk was made firm.
    pub(crate) fn flushed(&self, flush: Flush) {
        *self.last_flush.lock() = Some(flush);
    }

    /// When that was the last time.
    pub(crate) fn last_flush(&self) -> Option<Flush> {
        *self.last_flush.lock()
    }

    /// How large answers were.
    pub(crate) fn replies(&self) -> Option<Sizes> {
        let mut replies = Spread::default();
        self.places().for_each(|place| replies.merge(&place.0.lock().replies));
        let Spread { count, min, max, .. } = replies;
        (count > 0).then(|| Sizes { last: self.last_reply.load(Relaxed), min, max })
    }

    /// How large log entries were that were proposed here.
    pub(crate) fn proposals(&self) -> Option<Sizes> {
        *self.proposals.lock()
    }

    /// Names of top-level znodes, of which reads and writes are counted.
    pub(crate) const fn namespaces(&self) -> &Namespaces {
        &self.namespaces
    }

    /// Begins anew to count what all connections do.
    pub(crate) fn reset(&self) {
        self.places().for_each(|place| *place.0.lock() = Sums::default());
        self.namespaces.reset();
        *self.proposals.lock() = None;
    }

    /// Begins anew to count what each connection does.
    pub(crate) fn reset_connections(&self) {
        self.connections.lock().open.values().for_each(|told| told.lock().reset());
    }

    /// The connections, in the order in which they came.
    pub(crate) fn connections(&self) -> Vec<Line> {
        let mut open: Vec<_> =
            self.connections.lock().open.iter().map(|(place, told)| (*place, told.clone())).collect();
        open.sort_unstable_by_key(|(place, _)| *place);
        open.into_iter().map(|(_, told)| told.lock().line(self.started)).collect()
    }

    fn places(&self) -> impl Iterator<Item = &Place> {
        self.sums.iter()
    }

    fn tell(&self, place: u64, tally: &Tally) {
        let sums = &mut *self.sums[usize::try_from(place).unwrap_or(0) % PLACES].0.lock();
        sums.received += tally.received;
        sums.sent += tally.sent;
        sums.bytes_received += tally.bytes_received;
        sums.reply_bytes += tally.reply_bytes;
        sums.replies.merge(&tally.replies);
        if tally.replies.count > 0 {
            self.last_reply.store(tally.last_reply, Relaxed);
        }
        sums.event_bytes += tally.event_bytes;
        if !tally.runs.is_empty() {
            let now = Instant::now();
            for run in &tally.runs {
                sums.latency.add(run.micros, run.times);
                match run.kind {
                    Kind::Read => sums.reads.add(run.micros, run.times, now),
                    Kind::Update => sums.updates.add(run.micros, run.times, now),
                }
            }
        }
        for (namespace, spread) in &tally.namespaces {
            namespace.among(&mut sums.namespaces).merge(spread);
        }
    }

    /// A connection has gone.
    fn leave(&self, place: u64) {
        self.connections.lock().open.remove(&place);
    }
}

fn add_each(all: &mut Vec<Spread>, some: &[Spread]) {
    all.resize(all.len().max(some.len()), Spread::default());
    for (all, one) in all.iter_mut().zip(some) {
        all.merge(one);
    }
}

#[cfg(test)]
mod tests;
