//! What all connections of this member share.
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use consensus::{Backup, Compared, Consensus, Leaderless, NoBackup, watch};
use futures_util::future::BoxFuture;
use machine::{Identities, Machine};
use parking_lot::Mutex;
use proto::request::Auth;
use proto::{Permissions, SessionId, Text};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::load::Load;
use crate::admin::{Credentials, Deed, Host, Latency, Line, Report, Source};
use crate::auth;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::quota;
use crate::reign::Reign;
use crate::serving::Serving;
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
    /// What all clients have under way together.
    pub(crate) load: Arc<Load>,
    /// Who sent how much.
    pub(crate) stats: Arc<Stats>,
    /// What became of watches.
    pub(crate) metrics: Arc<Metrics>,
    /// A place for each answer that may list all watches at one time.
    pub(crate) listings: Arc<Semaphore>,
    /// When a backup was asked for last.
    pub(crate) backed_up: Mutex<Option<Instant>>,
    /// A place for whoever has all members take the digests of their states.
    pub(crate) digesting: Semaphore,
    /// Since when it leads.
    pub(crate) reign: Arc<Reign>,
    /// What an operator has set to be traced; see [`Deed::SetTraceMask`].
    pub(crate) trace_mask: AtomicI64,
    /// What it does for clients now.
    pub(crate) serving: watch::Receiver<Serving>,
    /// Cancelled when the member shuts down: nothing more is accepted.
    pub(crate) ending: CancellationToken,
}

impl Member {
    /// Whether clients may greet, now or at some moment until nobody has led for `patience`.
    pub(crate) async fn serves_within(&self, patience: Duration) -> bool {
        let mut serving = self.serving.clone();
        let since = self.consensus.status().borrow().leaderless_since;
        let patience = patience.saturating_sub(since.map_or(Duration::ZERO, |since| since.elapsed()));
        let serves = serving.wait_for(|serving| *serving != Serving::No);
        matches!(timeout(patience, serves).await, Ok(Ok(_)))
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

    fn compare(&self) -> BoxFuture<'static, Result<Vec<Compared>, String>> {
        let consensus = self.consensus.clone();
        Box::pin(async move { consensus.compare().await })
    }

    fn may_back_up(&self) -> bool {
        let interval = self.config.admin.as_ref().map_or(Duration::ZERO, |admin| admin.snapshot_interval);
        let mut last = self.backed_up.lock();
        let may = last.is_none_or(|last| last.elapsed() >= interval);
        if may {
            *last = Some(Instant::now());
        }
        may
    }

    fn backup(&self, leaderless: Leaderless) -> BoxFuture<'static, Result<Backup, NoBackup>> {
        let consensus = self.consensus.clone();
        Box::pin(async move { consensus.backup(leaderless).await })
    }

    fn digesting(&self) -> &Semaphore {
        &self.digesting
    }

    fn credentials(&self, authorization: &str, peer: IpAddr) -> Credentials {
        let mut parts = authorization.split(' ');
        let (scheme, secret, rest) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
        let secret = secret.unwrap_or_default().to_owned();
        let auth = Auth { scheme: scheme.into(), credentials: secret.into() };
        let mut proved = Vec::new();
        if rest.is_some() || auth::prove(&auth, &self.config.auth, &mut proved).is_err() {
            return Credentials::Wrong;
        }
        // Where the question comes from counts for who relies on it alone.
        let address = if scheme == "ip" { Text::from(peer.to_string()) } else { Text::default() };
        if proved.is_empty() && address.is_empty() {
            return Credentials::Wrong;
        }
        let who = Identities { address: &address, proved: &proved };
        let may = self.consensus.read(|machine| machine.permits_all("/", who, Permissions::ALL));
        if may { Credentials::Enough } else { Credentials::NotEnough }
    }

    fn perform(&self, deed: Deed) {
        match deed {
            Deed::ResetConnections => self.stats.reset_connections(),
            Deed::ResetStats => {
                self.stats.reset();
                self.metrics.reset();
            }
            Deed::SetTraceMask(mask) => self.trace_mask.store(mask, Relaxed),
        }
    }

    fn deadlines(&self) -> Option<Vec<(Duration, SessionId)>> {
        self.consensus.deadlines()
    }

    fn connections(&self) -> Vec<Line> {
        self.stats.connections()
    }

    fn report(&self) -> Report<'_> {
        let status = self.consensus.status().borrow().clone();
        let (zxid, census, quotas, members_version) = self.consensus.read(|machine| {
            let quotas = quota::readings(machine.quotas());
            (machine.last_zxid(), machine.census(), quotas, machine.members_version())
        });
        let connections = self.stats.connections();
        let (received, sent) = self.stats.packets();
        let took = self.stats.took();
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Report {
            config: &self.config,
            serving: *self.serving.borrow(),
            status,
            members_version,
            zxid,
            census,
            drop_chance: self.load.drop_chance(),
            local_sessions: self.registry.local(),
            watches: self.watches.len(),
            own: self.metrics.sums(),
            received,
            sent,
            readings: [self.metrics.readings(), self.stats.readings(), quotas].concat(),
            slow_syncs: self.stats.slow_syncs(),
            outstanding: self.stats.outstanding() as u64,
            connections,
            latency: Latency { min: millis(took.min), average: took.average_ms, max: millis(took.max) },
            proposals: self.stats.proposals(),
            replies: self.stats.replies(),
            uptime: self.stats.uptime(),
            leader_uptime: self.reign.uptime(),
            last_flush: self.stats.last_flush(),
            trace_mask: self.trace_mask.load(Relaxed),
            host: Host::look(&self.config),
        }
    }
}
