//! How long nobody leads, and how long this member does: measured for operators.
use std::sync::Arc;
use std::time::{Duration, Instant};

use consensus::{Role, Status, watch};
use parking_lot::Mutex;

use crate::metrics::Metrics;

/// Since when this member leads.
#[derive(Debug, Default)]
pub(crate) struct Reign {
    since: Mutex<Option<Instant>>,
}

impl Reign {
    /// For how long this member has led, if it does.
    pub(crate) fn uptime(&self) -> Option<Duration> {
        self.since.lock().map(|since| since.elapsed())
    }

    /// Measures until the ensemble's part ends.
    pub(crate) async fn measure(self: Arc<Self>, mut status: watch::Receiver<Status>, metrics: Arc<Metrics>) {
        let mut search = Search::default();
        loop {
            self.look(&status.borrow_and_update().clone(), &mut search, &metrics);
            if status.changed().await.is_err() {
                return;
            }
        }
    }

    fn look(&self, status: &Status, search: &mut Search, metrics: &Metrics) {
        let leads = status.role == Role::Leader;
        let mut since = self.since.lock();
        *since = leads.then(|| since.unwrap_or_else(Instant::now));
        if status.leader.is_none() {
            if search.since.is_none() {
                search.since = Some(status.leaderless_since.unwrap_or_else(Instant::now));
                metrics.counts.looking_count.inc();
            }
            return;
        }
        let Some(looked) = search.since.take() else { return };
        let took = looked.elapsed();
        let summaries = &metrics.summaries;
        summaries.election_time.took(took);
        summaries.unavailable_time.took(took);
        if leads {
            summaries.leader_unavailable_time.took(took);
        }
    }
}

/// A search for a leader.
#[derive(Debug, Default)]
struct Search {
    /// Since when; `None` if one is known.
    since: Option<Instant>,
}

#[cfg(test)]
mod tests {
    use proto::MemberId;

    use super::*;
    use crate::metrics::Value;

    fn told(metrics: &Metrics, name: &str) -> u64 {
        let reading = metrics.readings().into_iter().find(|reading| reading.name == name).expect("a reading");
        match reading.value {
            Value::Count(count) => count,
            Value::Summary { spread: (spread, _), .. } => spread.count,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_search_for_a_leader_is_measured_once() {
        let (reign, metrics, mut search) = (Reign::default(), Metrics::default(), Search::default());
        let status = |role, leader: Option<u64>| Status {
            role,
            leader: leader.map(MemberId::new),
            ..Status::default()
        };
        let mut look = |role, leader| reign.look(&status(role, leader), &mut search, &metrics);
        look(Role::Looking, None);
        look(Role::Looking, None);
        look(Role::Follower, Some(2));
        look(Role::Follower, Some(2));
        assert_eq!(reign.uptime(), None);
        look(Role::Looking, None);
        look(Role::Leader, Some(1));
        assert!(reign.uptime().is_some());
        for (name, times) in [
            ("looking_count", 2),
            ("election_time", 2),
            ("unavailable_time", 2),
            ("leader_unavailable_time", 1),
        ] {
            assert_eq!(told(&metrics, name), times, "{name}");
        }
        look(Role::Follower, Some(2));
        assert_eq!(reign.uptime(), None);
    }
}
