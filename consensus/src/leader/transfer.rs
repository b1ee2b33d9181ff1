//! Hands leadership to another member, so that this one can leave without the others waiting out an election.

use std::time::Duration;

use openraft::async_runtime::WatchReceiver;
use openraft::{Instant as _, RaftMetrics, ReadPolicy, ServerState};
use proto::MemberId;
use proto::limits::LEADERSHIP_TRANSFER_WAIT_MAX;
use tracing::{info, warn};

use crate::applier::Raft;
use crate::newcomers::Newcomers;
use crate::types::{LogId, TypeConfig};

/// Hands leadership to the member that has most of the log, if this member leads and another was heard of within
/// `silence_max`. Returns when another leads, or when that takes too long: then the others elect.
///
/// From the moment it has begun this member proposes nothing more in its term, whatever comes of it. What is proposed
/// meanwhile stays pending, and is brought to the new leader.
pub(crate) async fn hand_over(raft: &Raft, newcomers: &Newcomers, silence_max: Duration) {
    hand_over_to(raft, newcomers, silence_max, |_| true).await;
}

/// The same, to one of those that `may_lead`.
pub(super) async fn hand_over_to(
    raft: &Raft,
    newcomers: &Newcomers,
    silence_max: Duration,
    may_lead: impl Fn(u64) -> bool,
) {
    // Where no quorum answers nobody can take over: when all members end, the last ones must not wait for each other.
    let confirmed = tokio::time::timeout(silence_max, raft.get_read_linearizer(ReadPolicy::ReadIndex));
    if !(leads(raft) && confirmed.await.is_ok_and(|confirmed| confirmed.is_ok())) {
        return;
    }
    // Copied out at once: a reference held longer would stop Raft itself.
    let metrics = raft.metrics().borrow_watched().clone();
    // One that has not caught up yet would refuse. Whether it has since it last asked is not known here.
    let is_settled = |id| may_lead(id) && !newcomers.contain(id);
    let successor =
        successor(&metrics, silence_max, is_settled).or_else(|| successor(&metrics, silence_max, &may_lead));
    let Some(successor) = successor else { return };
    // An error says that Raft has stopped, and leads no more.
    if raft.trigger().transfer_leader(successor).await.is_err() {
        return;
    }
    let own = metrics.id;
    let other_leads =
        |metrics: &RaftMetrics<TypeConfig>| metrics.current_leader.is_some_and(|leader| leader != own);
    let (wait, successor) = (raft.wait(Some(LEADERSHIP_TRANSFER_WAIT_MAX)), MemberId::new(successor));
    match wait.metrics(other_leads, "another member leads").await {
        Ok(metrics) => {
            let leader = metrics.current_leader.map_or(successor, MemberId::new);
            info!(%leader, term = metrics.current_term, "leadership is handed over");
        }
        Err(error) => warn!(%successor, %error, "leadership was not taken over in time; the others elect"),
    }
}

fn leads(raft: &Raft) -> bool {
    raft.metrics().borrow_watched().state == ServerState::Leader
}

/// Who is to lead next: of the voters that have answered lately, the one that has most of the log.
fn successor(
    metrics: &RaftMetrics<TypeConfig>,
    silence_max: Duration,
    may_lead: impl Fn(u64) -> bool,
) -> Option<u64> {
    let (replication, heartbeat) = (metrics.replication.as_ref()?, metrics.heartbeat.as_ref()?);
    let answers =
        |id: &u64| heartbeat.get(id).copied().flatten().is_some_and(|heard| heard.elapsed() <= silence_max);
    let voters = metrics.membership_config.membership();
    voters
        .voter_ids()
        .filter(|id| *id != metrics.id && may_lead(*id) && answers(id))
        .max_by_key(|id| replication.get(id).and_then(Option::as_ref).map(LogId::index))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;

    use openraft::type_config::TypeConfigExt;

    use super::*;
    use crate::types::{Membership, StoredMembership};

    const SILENCE_MAX: Duration = Duration::from_secs(60);

    /// Member 1 leads; of each voter how much of the log it is known to have, and whether it was heard of.
    fn metrics(others: [(u64, Option<u64>, bool); 3]) -> RaftMetrics<TypeConfig> {
        let voters: BTreeSet<u64> = [1, 2, 3, 4].into();
        let nodes: BTreeMap<u64, openraft::BasicNode> =
            voters.iter().map(|id| (*id, openraft::BasicNode::default())).collect();
        let membership = Membership::new(vec![voters], nodes).unwrap();
        let log_id = |index| LogId::new_term_index(3, index);
        let mut metrics = RaftMetrics::new_initial(1);
        metrics.membership_config = Arc::new(StoredMembership::new(None, membership));
        metrics.replication = Some(others.iter().map(|(id, has, _)| (*id, has.map(log_id))).collect());
        let now = openraft::metrics::SerdeInstant::new(TypeConfig::now());
        metrics.heartbeat = Some(others.iter().map(|(id, _, heard)| (*id, heard.then_some(now))).collect());
        metrics
    }

    #[test]
    fn the_one_with_most_of_the_log_leads_next() {
        let next = |others| successor(&metrics(others), SILENCE_MAX, |_| true);
        assert_eq!(next([(2, Some(7), true), (3, Some(9), true), (4, Some(8), true)]), Some(3));
        assert_eq!(next([(2, None, true), (3, Some(1), true), (4, None, true)]), Some(3));
    }

    #[test]
    fn one_that_is_to_go_does_not() {
        let metrics = metrics([(2, Some(7), true), (3, Some(9), true), (4, Some(8), true)]);
        assert_eq!(successor(&metrics, SILENCE_MAX, |id| id != 3), Some(4));
        assert_eq!(successor(&metrics, SILENCE_MAX, |_| false), None);
    }

    #[test]
    fn one_that_is_silent_never_does() {
        let next = |others| successor(&metrics(others), SILENCE_MAX, |_| true);
        assert_eq!(next([(2, Some(7), true), (3, Some(9), false), (4, Some(6), true)]), Some(2));
        assert_eq!(next([(2, Some(7), false), (3, Some(9), false), (4, Some(6), false)]), None);
    }

    #[test]
    fn a_member_alone_hands_over_to_nobody() {
        assert_eq!(successor(&RaftMetrics::new_initial(1), SILENCE_MAX, |_| true), None);
    }
}
