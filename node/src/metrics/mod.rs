//! What this member counts and measures of its own work, each thing declared once.
// Layers, lowest first.
mod reading;
mod spread;

mod watches;
mod zookeeper;

pub use reading::{Detail, Reading, Unit, Value};
pub use spread::{Quantiles, Spread};

pub(crate) use spread::Measured;
pub(crate) use watches::{Cause, Watching};
pub(crate) use zookeeper::{Counts, Levels, Summaries};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

/// All of it. What has ZooKeeper's names is in [`Counts`], [`Levels`] and [`Summaries`]: to count something new, give it a
/// line there.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    /// What became of watches, under names of ours.
    pub(crate) watching: Watching,
    /// What only grows.
    pub(crate) counts: Counts,
    /// What ZooKeeper counts and shows as a gauge.
    pub(crate) levels: Levels,
    /// What is measured.
    pub(crate) summaries: Summaries,
    /// Answers above `jute.maxbuffer`, under a name of ours.
    pub(crate) large_replies: Counter,
    /// Writes that were refused because the world takes as much memory as it may, under a name of ours. Every member counts them
    /// all.
    pub(crate) refused_full: Counter,
}

impl Metrics {
    /// What has ZooKeeper's names, as it stands now.
    pub(crate) fn readings(&self) -> Vec<Reading> {
        let mut readings = self.levels.readings();
        readings.extend(self.counts.readings());
        readings.extend(self.summaries.readings());
        readings
    }

    /// What has ZooKeeper's names begins anew, as when `srst` is asked.
    pub(crate) fn reset(&self) {
        self.levels.reset();
        self.counts.reset();
        self.summaries.reset();
    }

    /// Puts what has names of ours into `registry`.
    pub(crate) fn register(&self, registry: &mut Registry) {
        self.watching.register(registry);
        let registry = registry.sub_registry_with_prefix("corral");
        registry.register(
            "large_replies",
            "Answers that are larger than jute.maxbuffer, of which clients mostly have the same",
            self.large_replies.clone(),
        );
        registry.register(
            "writes_refused_full",
            "Writes that were refused because the world takes as much memory as it may",
            self.refused_full.clone(),
        );
    }

    /// The same for who wants plain numbers: what carries labels is added up.
    pub(crate) fn sums(&self) -> Vec<(String, i64)> {
        let number = |counter: &Counter| i64::try_from(counter.get()).unwrap_or(i64::MAX);
        let mut sums = self.watching.sums();
        sums.push(("corral_large_replies".to_owned(), number(&self.large_replies)));
        sums.push(("corral_writes_refused_full".to_owned(), number(&self.refused_full)));
        sums
    }
}
