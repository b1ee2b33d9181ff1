//! Drops from the log what the state has made safe, but for so many entries that a member which was away for a while needs
//! no state.
//!
//! Raft would do so by itself. But it has no regard for members that are being sent the state, see [`Holds`].

use openraft::async_runtime::WatchReceiver;

use crate::Retention;
use crate::applier::Raft;
use crate::peer::Holds;
use crate::safe::Safe;
use crate::types::LogId;

/// Entries that go at a time, at least, however rarely the state is made safe.
const BATCH_MAX: u64 = 10_000;

/// What drops them.
pub(crate) struct Purger {
    raft: Raft,
    safe: Safe,
    holds: Holds,
    /// Entries that stay behind what the state has made safe.
    keep: u64,
    /// Entries that go at a time, at least: a purge is a range deletion and a sync.
    batch: u64,
}

impl Purger {
    pub(crate) fn new(raft: Raft, safe: Safe, holds: Holds, retention: Retention) -> Self {
        let Retention { snapshot_every, keep, .. } = retention;
        Self { raft, safe, holds, keep, batch: (snapshot_every / 10).clamp(1, BATCH_MAX) }
    }

    /// Does so until Raft stops.
    pub(crate) async fn run(self) {
        let (mut safe, mut asked) = (None, 0);
        let mut metrics = self.raft.metrics();
        loop {
            // Looked at where they are: they change all the time, and to copy them each time takes long.
            let (upto, purged) = {
                let now = metrics.borrow_watched();
                (self.safe.upto(&now), now.purged)
            };
            if upto <= safe {
                match metrics.changed().await {
                    Ok(()) => continue,
                    Err(_) => return,
                }
            }
            safe = upto;
            let purged = next(purged).max(asked);
            let end = self.end(safe, self.holds.lowest());
            if end < purged + self.batch {
                continue;
            }
            // Raft does so at once, or when it has sent what it is sending of that.
            if self.raft.trigger().purge_log(end - 1).await.is_err() {
                return;
            }
            asked = end;
        }
    }

    /// What is in front of this index may go.
    fn end(&self, safe: Option<LogId>, held: Option<u64>) -> u64 {
        // Who has the state up to `held` is sent what comes behind it, and told what that follows.
        next(safe).saturating_sub(self.keep).min(held.unwrap_or(u64::MAX))
    }
}

fn next(log_id: Option<LogId>) -> u64 {
    log_id.map_or(0, |log_id| log_id.index() + 1)
}
