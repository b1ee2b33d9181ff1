//! Which of the others have a new log, as their questions show: they may not be handed leadership.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// For how long after a question a member counts as new: some times as long as it waits between two.
const REMEMBERED: Duration = Duration::from_secs(2);

/// When each of the others last asked what it may have forgotten. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Newcomers(Arc<Mutex<BTreeMap<u64, Instant>>>);

impl Newcomers {
    /// A member has just asked.
    pub(crate) fn asked(&self, member: u64) {
        self.0.lock().insert(member, Instant::now());
    }

    /// Whether a member was new a moment ago.
    pub(crate) fn contain(&self, member: u64) -> bool {
        self.0.lock().get(&member).is_some_and(|asked| asked.elapsed() < REMEMBERED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_has_not_asked_for_a_while_is_new_no_more() {
        let newcomers = Newcomers::default();
        newcomers.asked(2);
        assert_eq!((newcomers.contain(2), newcomers.contain(3)), (true, false));
        tokio::time::advance(REMEMBERED).await;
        assert!(!newcomers.contain(2));
    }
}
