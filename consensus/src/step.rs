//! Which of the others are in step with the leader.

use std::time::Duration;

use openraft::{Instant as _, RaftMetrics};
use proto::limits;

use crate::types::{LogId, TypeConfig};

/// Whether a member has answered its leader within `silence_max`, and has nearly all of the log. The leader, of which
/// `metrics` are, is in step with itself; nobody is with one that does not lead.
pub(crate) fn is_in_step(metrics: &RaftMetrics<TypeConfig>, member: u64, silence_max: Duration) -> bool {
    let (Some(replication), Some(heartbeat)) = (&metrics.replication, &metrics.heartbeat) else {
        return false;
    };
    if member == metrics.id {
        return true;
    }
    let answers =
        heartbeat.get(&member).copied().flatten().is_some_and(|heard| heard.elapsed() <= silence_max);
    let has = replication.get(&member).and_then(Option::as_ref).map(LogId::index);
    answers
        && has.is_some_and(|has| {
            metrics.last_log_index.unwrap_or(0).saturating_sub(has) <= limits::APPEND_ENTRIES_MAX
        })
}
