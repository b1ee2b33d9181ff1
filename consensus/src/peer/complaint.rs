//! Says what does not change at most once a minute.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use proto::MemberId;
use proto::limits::COMPLAINTS_ABOUT_MAX;

/// How long a complaint holds. Members that are refused try again many times a second.
const HOLDS: Duration = Duration::from_secs(60);

/// When was last complained, and about whom. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub(super) struct Complaints {
    made: Arc<Mutex<HashMap<MemberId, Instant>>>,
}

impl Complaints {
    /// Whether it is time to complain about this member; then the next time is later.
    pub(super) fn may_be_made_about(&self, member: MemberId) -> bool {
        self.may_be_made_at(Instant::now(), member)
    }

    fn may_be_made_at(&self, now: Instant, member: MemberId) -> bool {
        let mut made = self.made.lock();
        made.retain(|_, at| now.duration_since(*at) < HOLDS);
        if made.contains_key(&member) || made.len() >= COMPLAINTS_ABOUT_MAX {
            return false;
        }
        made.insert(member, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_complained_about_all_the_time() {
        let (complaints, start) = (Complaints::default(), Instant::now());
        let (one, other) = (MemberId::new(1), MemberId::new(2));
        assert!(complaints.may_be_made_at(start, one));
        assert!(complaints.may_be_made_at(start, other));
        assert!(!complaints.may_be_made_at(start + HOLDS / 2, one));
        assert!(complaints.may_be_made_at(start + HOLDS, one));
    }

    #[test]
    fn strangers_do_not_fill_the_memory() {
        let (complaints, start) = (Complaints::default(), Instant::now());
        let made = (0..10_000).filter(|id| complaints.may_be_made_at(start, MemberId::new(*id))).count();
        assert_eq!(made, COMPLAINTS_ABOUT_MAX);
    }
}
