//! What all connections of a member share: made before the member has its part in the ensemble, and joined with it then.
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use consensus::{Consensus, watch};
use proto::limits::LISTINGS_AT_ONCE_MAX;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::admin::TRACE_MASK;
use crate::client::{Load, Member};
use crate::config::Config;
use crate::metrics::Metrics;
use crate::observer::Observer;
use crate::quota::QuotaLog;
use crate::reign::Reign;
use crate::serving::{Serving, Watchman};
use crate::session::Registry;
use crate::stats::Stats;
use crate::watch::Watches;

/// What hears of the ensemble, and of the clients.
pub(crate) struct Parts {
    config: Config,
    metrics: Arc<Metrics>,
    watches: Arc<Watches>,
    registry: Arc<Registry>,
    stats: Arc<Stats>,
}

impl Parts {
    /// Those of a member that is configured like that.
    pub(crate) fn new(config: Config) -> Self {
        let metrics = Arc::new(Metrics::default());
        Self {
            watches: Arc::new(Watches::new(metrics.clone())),
            registry: Arc::new(Registry::new(config.member, config.consensus.boot)),
            stats: Arc::new(Stats::new()),
            metrics,
            config,
        }
    }

    /// Who is to be told what is applied.
    pub(crate) fn observer(&self) -> Observer {
        Observer {
            watches: self.watches.clone(),
            registry: self.registry.clone(),
            quotas: QuotaLog::default(),
            stats: self.stats.clone(),
            slow_sync: self.config.slow_sync,
        }
    }

    /// The member, and what goes on in it until it ends.
    pub(crate) fn join(self, consensus: Consensus) -> (Arc<Member>, impl Future<Output = ()> + Send + use<>) {
        let Self { config, metrics, watches, registry, stats } = self;
        let (say, serving) = watch::channel(Serving::No);
        let watchman = Watchman {
            registry: registry.clone(),
            timeout_min: config.session.timeout_min,
            allows_reads: config.read_only_mode,
            serving: say,
        };
        let watching = watchman.watch(consensus.status());
        let reign = Arc::new(Reign::default());
        let measuring = reign.clone().measure(consensus.status(), metrics.clone());
        let ending = CancellationToken::new();
        let member = Arc::new(Member {
            load: Arc::new(Load::new(config.throttle)),
            config,
            consensus,
            watches,
            registry,
            stats,
            metrics,
            reign,
            trace_mask: AtomicI64::new(TRACE_MASK),
            serving,
            listings: Arc::new(Semaphore::new(LISTINGS_AT_ONCE_MAX)),
            backed_up: parking_lot::Mutex::default(),
            digesting: Semaphore::new(1),
            ending: ending.clone(),
        });
        let going_on = async move {
            tokio::select! {
                biased;
                () = ending.cancelled() => {}
                // Neither ends before the ensemble's part does.
                _ = async { tokio::join!(watching, measuring) } => {}
            }
        };
        (member, going_on)
    }
}
