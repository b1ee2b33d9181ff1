//! From where on the log is kept for members that are being sent the state: what comes behind it is what they need next.
//!
//! Raft keeps what it is sending of the log, and nothing for a member that it sends the state to. Where much is written the
//! log would be gone again by the time such a member has the state, which would then be sent once more, without end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use proto::MemberId;
use tokio::time::Instant;

#[cfg(any(test, simulation))]
use crate::runtime::bugs::{Bug, is_in};

/// How long the log is still kept when the state has been sent, or could not be, and nothing else is sent: by then Raft has
/// begun with another state, or this member leads no longer.
const HELD_ON: Duration = Duration::from_secs(10);

/// What is kept, and why. There is one for each state that is being sent, or was within [`HELD_ON`]. A clone is the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Holds(Arc<Mutex<Numbered>>);

#[derive(Debug, Default)]
struct Numbered {
    next: u64,
    held: BTreeMap<u64, Held>,
}

#[derive(Debug)]
struct Held {
    /// Who is sent it.
    member: MemberId,
    /// The last index that the state holds.
    index: u64,
    /// Until when it is kept; `None` as long as the state is being sent.
    until: Option<Instant>,
}

impl Holds {
    /// A member is sent the state that holds the log up to `index`, until what is returned is dropped.
    pub(super) fn begin(&self, member: MemberId, index: u64) -> Sending {
        let mut all = self.0.lock();
        let number = all.next;
        all.next += 1;
        all.held.insert(number, Held { member, index, until: None });
        Sending { holds: self.clone(), number }
    }

    /// A member that has the state is being sent what comes behind it: Raft itself keeps that from now on.
    pub(super) fn goes_on(&self, member: MemberId) {
        self.0.lock().held.retain(|_, held| held.member != member || held.until.is_none());
    }

    /// The index up to which the log may go, whoever is being sent the state; `None` if nobody is.
    pub(crate) fn lowest(&self) -> Option<u64> {
        #[cfg(any(test, simulation))]
        if is_in(Bug::NothingHeld) {
            return None;
        }
        let now = Instant::now();
        let mut all = self.0.lock();
        all.held.retain(|_, held| held.until.is_none_or(|until| now < until));
        all.held.values().map(|held| held.index).min()
    }
}

/// A member is being sent the state.
#[derive(Debug)]
pub(super) struct Sending {
    holds: Holds,
    number: u64,
}

impl Drop for Sending {
    fn drop(&mut self) {
        if let Some(held) = self.holds.0.lock().held.get_mut(&self.number) {
            held.until = Some(Instant::now() + HELD_ON);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_log_is_kept_while_the_state_is_sent_and_for_a_moment_longer() {
        let holds = Holds::default();
        assert_eq!(holds.lowest(), None);
        let (two, three) = (MemberId::new(2), MemberId::new(3));
        let (one, other) = (holds.begin(two, 70), holds.begin(three, 50));
        assert_eq!(holds.lowest(), Some(50));
        tokio::time::advance(HELD_ON * 2).await;
        holds.goes_on(three);
        assert_eq!(holds.lowest(), Some(50), "it does not have the state yet");
        drop(other);
        assert_eq!(holds.lowest(), Some(50), "it is not sent the log yet");
        holds.goes_on(three);
        assert_eq!(holds.lowest(), Some(70));
        // It could not be sent, and another is instead.
        let again = holds.begin(two, 90);
        drop(one);
        tokio::time::advance(HELD_ON).await;
        assert_eq!(holds.lowest(), Some(90));
        drop(again);
        tokio::time::advance(HELD_ON).await;
        assert_eq!(holds.lowest(), None);
    }
}
