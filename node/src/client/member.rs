//! What all connections of this member share.
use std::sync::Arc;
use std::time::Duration;

use consensus::Consensus;
use machine::Machine;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::admin::{Connection, Host, Latency, Report, Serving, Source};
use crate::config::Config;
use crate::metrics::Metrics;
use crate::serving::serves;
use crate::session::Registry;
use crate::stats::Stats;
use crate::watch::Watches;

/// What all connections of this member share.
pub(crate) struct Member {
    /// What the operator decided.
    pub(crate) config: Config,
    /// The way into the log, and the world.
    pub(crate) consensus: Consensus,
    /// Who watches.
    pub(crate) watches: Arc<Watches>,
    /// Who has which session.
    pub(crate) registry: Arc<Registry>,
    /// Who sent how much.
    pub(crate) stats: Arc<Stats>,
    /// What became of watches.
    pub(crate) metrics: Arc<Metrics>,
    /// A place for each answer that may list all watches at one time.
    pub(crate) listings: Arc<Semaphore>,
    /// Cancelled when the member shuts down: nothing more is accepted.
    pub(crate) ending: CancellationToken,
}

impl Member {
    /// Whether clients may greet, now or at some moment until nobody has led for `patience`.
    pub(crate) async fn serves_within(&self, patience: Duration) -> bool {
        let mut status = self.consensus.status();
        let since = status.borrow().leaderless_since;
        let patience = patience.saturating_sub(since.map_or(Duration::ZERO, |since| since.elapsed()));
        matches!(timeout(patience, status.wait_for(serves)).await, Ok(Ok(_)))
    }
}

impl Source for Member {
    fn look(&self, look: &mut dyn FnMut(&Machine)) {
        self.consensus.read(look);
    }

    fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    fn listings(&self) -> &Arc<Semaphore> {
        &self.listings
    }

    fn report(&self) -> Report<'_> {
        let status = self.consensus.status().borrow().clone();
        let (zxid, census) = self.consensus.read(|machine| (machine.last_zxid(), machine.census()));
        let connections: Vec<_> = self
            .stats
            .connections()
            .into_iter()
            .map(|line| Connection {
                address: line.address,
                queued: line.queued,
                received: line.received,
                sent: line.sent,
            })
            .collect();
        let (received, sent) = self.stats.packets();
        let took = self.stats.took();
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Report {
            config: &self.config,
            serving: if serves(&status) { Serving::ReadWrite } else { Serving::No },
            status,
            zxid,
            census,
            watches: self.watches.len(),
            own: self.metrics.sums(),
            received,
            sent,
            outstanding: connections.iter().map(|connection| connection.queued).sum(),
            connections,
            latency: Latency { min: millis(took.min), average: took.average_ms, max: millis(took.max) },
            proposals: None,
            uptime: self.stats.uptime(),
            leader_uptime: None,
            host: Host::look(&self.config),
        }
    }
}
