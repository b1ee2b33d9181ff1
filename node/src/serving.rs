//! May this member serve clients now?
//!
//! It may when it has applied what it had acknowledged before it was started, and knows who leads. A leader's death
//! is a pause for those who are connected: only when no leader is known for long are they sent elsewhere.
use std::sync::Arc;
use std::time::Duration;

use consensus::Status;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::mailbox::Reason;
use crate::session::Registry;

/// Whether a member in this state serves clients.
pub(crate) fn serves(status: &Status) -> bool {
    status.recovered && status.leader.is_some() && !status.stopped
}

/// How long clients are held without a leader. Each must be able to reach another member before its session
/// expires, so the one with the shortest timeout decides.
fn patience(smallest_in_use: Option<Duration>, timeout_min: Duration) -> Duration {
    smallest_in_use.unwrap_or(timeout_min).max(timeout_min) / 3
}

/// Hangs up all clients whenever this member has not served for too long. Ends with the ensemble's part.
pub(crate) async fn watch_over(
    mut status: watch::Receiver<Status>,
    registry: Arc<Registry>,
    timeout_min: Duration,
) {
    loop {
        if status.wait_for(|status| !serves(status)).await.is_err() {
            return;
        }
        let patience = patience(registry.smallest_timeout(), timeout_min);
        let again = timeout(patience, status.wait_for(serves)).await.map(|told| told.map(drop));
        match again {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return,
            Err(_) => {
                let connections = registry.len();
                if connections > 0 {
                    tracing::warn!(connections, ?patience, "no leader for too long: clients are hung up");
                }
                registry.hang_up_all(Reason::NotServing);
                // Nobody comes in until the member serves again, so there is nobody to hang up until then.
                if status.wait_for(serves).await.is_err() {
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use consensus::Role;
    use proto::MemberId;

    use super::*;
    use crate::mailbox::Mailbox;

    const MIN: Duration = Duration::from_secs(6);

    fn status(led: bool) -> Status {
        let leader = led.then_some(MemberId::new(1));
        Status { recovered: true, leader, role: Role::Follower, ..Status::default() }
    }

    #[test]
    fn a_member_serves_when_it_has_recovered_and_knows_a_leader() {
        assert!(serves(&status(true)));
        assert!(!serves(&status(false)));
        assert!(!serves(&Status { recovered: false, ..status(true) }));
        assert!(!serves(&Status { stopped: true, ..status(true) }));
    }

    #[test]
    fn patience_is_a_third_of_the_shortest_timeout() {
        assert_eq!(patience(None, MIN), MIN / 3);
        assert_eq!(patience(Some(2 * MIN), MIN), 2 * MIN / 3);
        assert_eq!(patience(Some(MIN / 2), MIN), MIN / 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_election_is_a_pause_and_a_long_one_is_not() {
        let registry = Arc::new(Registry::new(MemberId::new(1), 1));
        let mailbox = Arc::new(Mailbox::default());
        let _seat = registry.seat(mailbox.clone());
        let (tell, told) = watch::channel(status(true));
        let watching = tokio::spawn(watch_over(told, registry, MIN));
        let hung_up = || mailbox.take(&mut VecDeque::new());

        tokio::task::yield_now().await;
        tell.send_replace(status(false));
        tokio::time::sleep(MIN / 3 - Duration::from_millis(2)).await;
        tell.send_replace(status(true));
        tokio::time::sleep(MIN).await;
        assert_eq!(hung_up(), None);

        tell.send_replace(status(false));
        tokio::time::sleep(MIN / 3 + Duration::from_millis(2)).await;
        assert_eq!(hung_up(), Some(Reason::NotServing));
        drop(tell);
        watching.await.unwrap();
    }
}
