//! What this member does for clients now.
//!
//! It serves when it has applied what it had acknowledged before it was started, and knows who leads. A leader's death
//! is a pause for those who are connected: only when no leader is known for long are they sent elsewhere. Where the operator
//! allows it, a member that knows no leader serves reads, of what it knows, to whoever said that these are enough.
use std::sync::Arc;
use std::time::Duration;

use consensus::watch::error::RecvError;
use consensus::{Status, watch};
use proto::limits::READ_ONLY_WAIT;
use tokio::time::{Instant, sleep_until};

use crate::mailbox::Reason;
use crate::session::Registry;

/// Whether clients are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serving {
    /// No leader is known, or what was acknowledged before the start is not applied yet.
    No,
    /// Reads only: the client said that this is enough for it.
    ReadOnly,
    /// Reads and writes.
    ReadWrite,
}

/// Whether a member in this state serves reads and writes.
fn serves(status: &Status) -> bool {
    status.recovered && status.leader.is_some() && !status.stopped && !status.outside
}

/// Whether a member in this state may serve reads, if that lasts.
fn is_lost(status: &Status) -> bool {
    status.leader.is_none() && !status.stopped && !status.outside
}

/// How long clients are held without a leader. Each must be able to reach another member before its session
/// expires, so the one with the shortest timeout decides.
fn patience(smallest_in_use: Option<Duration>, timeout_min: Duration) -> Duration {
    smallest_in_use.unwrap_or(timeout_min).max(timeout_min) / 3
}

/// Decides what the member does for clients, and hangs up those who have no good of it.
pub(crate) struct Watchman {
    /// Where the clients are.
    pub(crate) registry: Arc<Registry>,
    /// No session has a shorter timeout.
    pub(crate) timeout_min: Duration,
    /// Whether reads are served where there is no leader.
    pub(crate) allows_reads: bool,
    /// Where it is told.
    pub(crate) serving: watch::Sender<Serving>,
}

impl Watchman {
    /// Watches until the ensemble's part ends.
    pub(crate) async fn watch(self, mut status: watch::Receiver<Status>) {
        while self.wait(&mut status).await.is_ok() {
            self.serving.send_replace(Serving::ReadWrite);
            if status.wait_for(|status| !serves(status)).await.is_err() {
                break;
            }
            self.serving.send_replace(Serving::No);
        }
        self.serving.send_replace(Serving::No);
    }

    /// Holds clients, or sends them away, until the member serves.
    async fn wait(&self, status: &mut watch::Receiver<Status>) -> Result<(), RecvError> {
        let patience = patience(self.registry.smallest_timeout(), self.timeout_min);
        let mut hang_up = Some(Instant::now() + patience);
        let mut reads = false;
        loop {
            let now = status.borrow_and_update().clone();
            if reads && !is_lost(&now) {
                reads = false;
                self.end_reads(&now);
            }
            if serves(&now) {
                return Ok(());
            }
            if now.outside {
                // The ensemble goes on without this member: there is nothing to wait for.
                hang_up = hang_up.map(|_| Instant::now());
            }
            let since = now.leaderless_since.filter(|_| self.allows_reads && !reads && is_lost(&now));
            let begin = since.map(|since| Instant::from_std(since) + READ_ONLY_WAIT);
            tokio::select! {
                biased;
                changed = status.changed() => changed?,
                () = until(begin), if begin.is_some() => {
                    reads = true;
                    self.begin_reads();
                }
                () = until(hang_up), if hang_up.is_some() => {
                    hang_up = None;
                    // Nobody joins them until the member serves again.
                    let connections = self.registry.hang_up_waiting(Reason::NotServing);
                    if connections > 0 {
                        tracing::warn!(connections, ?patience, "no leader for too long: clients are hung up");
                    }
                }
            }
        }
    }

    // Whoever arrives meanwhile finds what is told first: it must not wait for a leader when reads begin, nor be let in for
    // reads when they have ended.

    fn begin_reads(&self) {
        self.serving.send_replace(Serving::ReadOnly);
        self.registry.begin_reads();
        tracing::warn!("no leader for too long: only reads are served, to clients that say readOnly");
    }

    fn end_reads(&self, status: &Status) {
        self.serving.send_replace(if serves(status) { Serving::ReadWrite } else { Serving::No });
        self.registry.end_reads(if status.stopped { Reason::NotServing } else { Reason::Writable });
        tracing::info!("reads are no longer all that is served");
    }
}

/// Waits for a moment; if there is none, not at all.
async fn until(moment: Option<Instant>) {
    if let Some(moment) = moment {
        sleep_until(moment).await;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use consensus::Role;
    use proto::{MemberId, SessionId};

    use super::*;
    use crate::mailbox::Mailbox;
    use crate::session::Entered;

    const MIN: Duration = Duration::from_secs(9);
    const MOMENT: Duration = Duration::from_millis(2);

    fn status(led: bool) -> Status {
        let leader = led.then_some(MemberId::new(1));
        let leaderless_since = (!led).then(|| Instant::now().into_std());
        Status { recovered: true, leader, leaderless_since, role: Role::Follower, ..Status::default() }
    }

    /// A member that serves, and knows of a leader what it is told.
    struct Stage {
        registry: Arc<Registry>,
        tell: watch::Sender<Status>,
        serving: watch::Receiver<Serving>,
    }

    impl Stage {
        async fn new(allows_reads: bool) -> Self {
            let registry = Arc::new(Registry::new(MemberId::new(1), 1));
            let (tell, told) = watch::channel(status(true));
            let (say, serving) = watch::channel(Serving::No);
            let watchman =
                Watchman { registry: registry.clone(), timeout_min: MIN, allows_reads, serving: say };
            tokio::spawn(watchman.watch(told));
            let stage = Self { registry, tell, serving };
            stage.wait(MOMENT, Serving::ReadWrite).await;
            stage
        }

        async fn wait(&self, time: Duration, serving: Serving) {
            tokio::time::sleep(time).await;
            assert_eq!(*self.serving.borrow(), serving);
        }
    }

    fn hung_up(mailbox: &Mailbox) -> Option<Reason> {
        mailbox.take(&mut VecDeque::new())
    }

    #[test]
    fn a_member_serves_when_it_has_recovered_and_knows_a_leader() {
        assert!(serves(&status(true)));
        assert!(!serves(&status(false)));
        assert!(!serves(&Status { recovered: false, ..status(true) }));
        assert!(!serves(&Status { stopped: true, ..status(true) }));
        assert!(!serves(&Status { outside: true, ..status(true) }));
    }

    #[test]
    fn patience_is_a_third_of_the_shortest_timeout() {
        assert_eq!(patience(None, MIN), MIN / 3);
        assert_eq!(patience(Some(2 * MIN), MIN), 2 * MIN / 3);
        assert_eq!(patience(Some(MIN / 2), MIN), MIN / 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_election_is_a_pause_and_a_long_one_is_not() {
        let stage = Stage::new(false).await;
        let mailbox = Arc::new(Mailbox::default());
        let _seat = stage.registry.seat(mailbox.clone(), true);
        stage.tell.send_replace(status(false));
        stage.wait(MIN / 3 - MOMENT, Serving::No).await;
        stage.tell.send_replace(status(true));
        stage.wait(MIN, Serving::ReadWrite).await;
        assert_eq!(hung_up(&mailbox), None);

        stage.tell.send_replace(status(false));
        stage.wait(MIN / 3 + MOMENT, Serving::No).await;
        assert_eq!(hung_up(&mailbox), Some(Reason::NotServing));
    }

    #[tokio::test(start_paused = true)]
    async fn reads_are_served_while_nobody_leads_and_not_for_longer() {
        let stage = Stage::new(true).await;
        let [waits, takes_reads, reader] = [(); 3].map(|()| Arc::new(Mailbox::default()));
        let _waits = stage.registry.seat(waits.clone(), false);
        let _takes_reads = stage.registry.seat(takes_reads.clone(), true);
        stage.tell.send_replace(status(false));
        stage.wait(READ_ONLY_WAIT - MOMENT, Serving::No).await;
        assert_eq!(hung_up(&takes_reads), None);
        stage.wait(2 * MOMENT, Serving::ReadOnly).await;
        assert_eq!((hung_up(&takes_reads), hung_up(&waits)), (Some(Reason::ReadOnly), None));
        let seat = stage.registry.seat(reader.clone(), true);
        let entered = stage.registry.enter(seat.home(), SessionId::NONE, &[], 4_000);
        assert!(matches!(entered, Entered::In(_)), "{entered:?}");

        stage.wait(MIN, Serving::ReadOnly).await;
        assert_eq!((hung_up(&waits), hung_up(&reader)), (Some(Reason::NotServing), None));
        // Somebody leads, but what this member had acknowledged is not applied yet.
        stage.tell.send_replace(Status { recovered: false, ..status(true) });
        stage.wait(MOMENT, Serving::No).await;
        assert_eq!(hung_up(&reader), Some(Reason::Writable));
        stage.tell.send_replace(status(true));
        stage.wait(MOMENT, Serving::ReadWrite).await;
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_no_member_any_more_waits_for_nothing() {
        let stage = Stage::new(true).await;
        let mailbox = Arc::new(Mailbox::default());
        let _seat = stage.registry.seat(mailbox.clone(), true);
        stage.tell.send_replace(Status { outside: true, ..status(false) });
        stage.wait(MOMENT, Serving::No).await;
        assert_eq!(hung_up(&mailbox), Some(Reason::NotServing));
        stage.wait(READ_ONLY_WAIT + MOMENT, Serving::No).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_member_that_has_stopped_serves_no_reads() {
        let stage = Stage::new(true).await;
        stage.tell.send_replace(status(false));
        stage.wait(READ_ONLY_WAIT + MOMENT, Serving::ReadOnly).await;
        stage.tell.send_replace(Status { stopped: true, ..status(false) });
        stage.wait(MIN, Serving::No).await;
    }
}
