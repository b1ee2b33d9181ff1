//! What operators are told of this member's traffic.
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use parking_lot::Mutex;

/// All traffic since the start, and that of each connection.
#[derive(Debug)]
pub(crate) struct Stats {
    started: Instant,
    received: AtomicU64,
    sent: AtomicU64,
    answered: AtomicU64,
    micros_total: AtomicU64,
    micros_min: AtomicU64,
    micros_max: AtomicU64,
    connections: Mutex<Connections>,
}

#[derive(Debug, Default)]
struct Connections {
    last: u64,
    open: HashMap<u64, Arc<Counters>, foldhash::fast::RandomState>,
}

#[derive(Debug)]
struct Counters {
    address: SocketAddr,
    received: AtomicU64,
    sent: AtomicU64,
    queued: AtomicU64,
}

/// What one connection did since it last said so. Counted without sharing, and told all at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tally {
    received: u64,
    sent: u64,
    answered: u64,
    micros_total: u64,
    micros_min: u64,
    micros_max: u64,
}

/// One connection's place in the statistics. When it is dropped, the connection is no longer listed.
#[derive(Debug)]
pub(crate) struct Traffic {
    stats: Arc<Stats>,
    place: u64,
    counters: Arc<Counters>,
    tally: Tally,
}

/// One connection, as operators see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Where the client calls from.
    pub(crate) address: SocketAddr,
    /// Requests received and not answered.
    pub(crate) queued: u64,
    /// Packets received.
    pub(crate) received: u64,
    /// Packets sent.
    pub(crate) sent: u64,
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
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            micros_total: AtomicU64::new(0),
            micros_min: AtomicU64::new(u64::MAX),
            micros_max: AtomicU64::new(0),
            connections: Mutex::default(),
        }
    }

    /// Lists a connection.
    pub(crate) fn enter(self: &Arc<Self>, address: SocketAddr) -> Traffic {
        let counters = Arc::new(Counters {
            address,
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            queued: AtomicU64::new(0),
        });
        let mut connections = self.connections.lock();
        connections.last += 1;
        let place = connections.last;
        connections.open.insert(place, counters.clone());
        Traffic { stats: self.clone(), place, counters, tally: Tally::NOTHING }
    }

    /// How long the process has been running.
    pub(crate) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Packets received and sent.
    pub(crate) fn packets(&self) -> (u64, u64) {
        (self.received.load(Relaxed), self.sent.load(Relaxed))
    }

    /// How long requests took since the start.
    #[expect(clippy::cast_precision_loss, reason = "a mean of microseconds needs no more than 52 bits")]
    pub(crate) fn took(&self) -> Took {
        let answered = self.answered.load(Relaxed);
        if answered == 0 {
            return Took { min: Duration::ZERO, average_ms: 0.0, max: Duration::ZERO };
        }
        Took {
            min: Duration::from_micros(self.micros_min.load(Relaxed)),
            average_ms: self.micros_total.load(Relaxed) as f64 / answered as f64 / 1_000.0,
            max: Duration::from_micros(self.micros_max.load(Relaxed)),
        }
    }

    /// The connections, in the order in which they came.
    pub(crate) fn connections(&self) -> Vec<Line> {
        let mut open: Vec<_> =
            self.connections.lock().open.iter().map(|(place, counters)| (*place, counters.clone())).collect();
        open.sort_unstable_by_key(|(place, _)| *place);
        let line = |counters: Arc<Counters>| Line {
            address: counters.address,
            queued: counters.queued.load(Relaxed),
            received: counters.received.load(Relaxed),
            sent: counters.sent.load(Relaxed),
        };
        open.into_iter().map(|(_, counters)| line(counters)).collect()
    }
}

impl Tally {
    const NOTHING: Self =
        Self { received: 0, sent: 0, answered: 0, micros_total: 0, micros_min: u64::MAX, micros_max: 0 };
}

impl Traffic {
    /// A packet came.
    pub(crate) const fn received(&mut self) {
        self.tally.received += 1;
    }

    /// A packet went.
    pub(crate) const fn sent(&mut self) {
        self.tally.sent += 1;
    }

    /// A request was answered so long after it came.
    pub(crate) fn answered(&mut self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let tally = &mut self.tally;
        tally.answered += 1;
        tally.micros_total = tally.micros_total.saturating_add(micros);
        tally.micros_min = tally.micros_min.min(micros);
        tally.micros_max = tally.micros_max.max(micros);
    }

    /// Tells what was counted since it was last told, and how many requests are not answered now.
    pub(crate) fn tell(&mut self, queued: usize) {
        self.counters.queued.store(queued as u64, Relaxed);
        if self.tally == Tally::NOTHING {
            return;
        }
        let tally = std::mem::replace(&mut self.tally, Tally::NOTHING);
        self.counters.received.fetch_add(tally.received, Relaxed);
        self.counters.sent.fetch_add(tally.sent, Relaxed);
        let stats = &self.stats;
        stats.received.fetch_add(tally.received, Relaxed);
        stats.sent.fetch_add(tally.sent, Relaxed);
        if tally.answered > 0 {
            stats.answered.fetch_add(tally.answered, Relaxed);
            stats.micros_total.fetch_add(tally.micros_total, Relaxed);
            stats.micros_min.fetch_min(tally.micros_min, Relaxed);
            stats.micros_max.fetch_max(tally.micros_max, Relaxed);
        }
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.tell(0);
        self.stats.connections.lock().open.remove(&self.place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_adds_up_and_outlives_the_connection() {
        let stats = Arc::new(Stats::new());
        let address = SocketAddr::from(([127, 0, 0, 1], 4_711));
        assert_eq!(stats.took().max, Duration::ZERO);
        let mut traffic = stats.enter(address);
        traffic.received();
        traffic.received();
        traffic.sent();
        traffic.answered(Duration::from_millis(1));
        traffic.answered(Duration::from_millis(3));
        assert_eq!(stats.packets(), (0, 0), "nothing was told yet");
        traffic.tell(1);
        traffic.tell(1);
        assert_eq!(stats.packets(), (2, 1));
        assert_eq!(stats.connections(), [Line { address, queued: 1, received: 2, sent: 1 }]);
        traffic.sent();
        drop(traffic);
        assert_eq!((stats.packets(), stats.connections().len()), ((2, 2), 0));
        let took = stats.took();
        assert_eq!((took.min, took.max), (Duration::from_millis(1), Duration::from_millis(3)));
        assert!((took.average_ms - 2.0).abs() < 1e-9);
    }
}
