//! How far a member is that is sent the log, and whether it is left behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::runtime::watch;
use crate::types::LogId;

/// The index of the entry that the member needs next, as far as it has said. A clone is the same.
#[derive(Clone, Debug)]
pub(super) struct Reach(Arc<AtomicU64>);

impl Reach {
    /// What it is sent first follows `previous`.
    pub(super) fn behind(previous: Option<LogId>) -> Self {
        Self(Arc::new(AtomicU64::new(next(previous))))
    }

    /// It says that it has everything up to there.
    pub(super) fn has(&self, upto: Option<LogId>) {
        self.0.store(next(upto), Ordering::Relaxed);
    }

    /// Returns when it needs what is in front of the `floor`, which is about to go.
    pub(super) async fn left_behind(self, mut floor: watch::Receiver<u64>) {
        loop {
            let is_left_behind = self.0.load(Ordering::Relaxed) < *floor.borrow_and_update();
            if is_left_behind {
                return;
            }
            if floor.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

fn next(log_id: Option<LogId>) -> u64 {
    log_id.map_or(0, |log_id| log_id.index() + 1)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn id(index: u64) -> LogId {
        LogId::new_term_index(1, index)
    }

    fn is_left_behind(reach: &Reach, floor: u64) -> bool {
        let (_sender, receiver) = watch::channel(floor);
        reach.clone().left_behind(receiver).now_or_never().is_some()
    }

    #[test]
    fn who_needs_what_goes_is_left_behind() {
        let reach = Reach::behind(Some(id(6)));
        assert!(!is_left_behind(&reach, 7));
        assert!(is_left_behind(&reach, 8));
        reach.has(Some(id(7)));
        assert!(!is_left_behind(&reach, 8));
    }

    #[tokio::test]
    async fn it_is_found_out_when_the_floor_rises() {
        let reach = Reach::behind(None);
        let (sender, receiver) = watch::channel(0);
        let mut left = Box::pin(reach.left_behind(receiver));
        assert!(left.as_mut().now_or_never().is_none());
        sender.send_replace(1);
        assert!(left.now_or_never().is_some());
    }
}
