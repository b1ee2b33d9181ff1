//! Where operators' answers come from.
use std::sync::Arc;

use machine::Machine;
use tokio::sync::Semaphore;

use super::report::Report;
use crate::metrics::Metrics;

/// Who knows what operators ask.
pub(crate) trait Source: Send + Sync + 'static {
    /// All that is known at this moment.
    fn report(&self) -> Report<'_>;

    /// Has the world looked at, under the replica's lock: it must be short.
    fn look(&self, look: &mut dyn FnMut(&Machine));

    /// What this member counts of its own work.
    fn metrics(&self) -> &Metrics;

    /// A place for each listing that may be made at one time.
    fn listings(&self) -> &Arc<Semaphore>;
}
