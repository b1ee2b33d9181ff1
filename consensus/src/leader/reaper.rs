//! Ends containers that have lost their last child, and TTL znodes that nobody has written for their time, while this
//! member leads.
//!
//! What is found here is only proposed: whether it still is so is found out where it is applied.

use std::sync::Arc;
use std::time::Duration;

use machine::Machine;
use proto::ZnodePath;
use proto::limits::REAPER_ZNODES_PER_LOCK_MAX;
use tokio::time::sleep;
use tracing::{debug, info};

use crate::clock::Clock;
use crate::config::Reaping;
use crate::entry;
use crate::leader::{Leadership, Sequencer};
use crate::replica::Replica;
use crate::runtime::watch;
use crate::tasks::Tasks;

/// The task that looks for what has had its time.
pub(crate) struct Reaper {
    pub(crate) config: Reaping,
    pub(crate) leadership: watch::Receiver<Leadership>,
    pub(crate) replica: Arc<Replica>,
    pub(crate) sequencer: Sequencer,
}

impl Reaper {
    /// Looks whenever this member leads, for as long as it runs.
    pub(crate) fn start(self, tasks: &Tasks) {
        tasks.spawn("reap znodes", self.run());
    }

    async fn run(mut self) {
        loop {
            let term = match self.leadership.wait_for(|leadership| leadership.own).await {
                Ok(leadership) => leadership.term,
                Err(_) => return,
            };
            let mut leadership = self.leadership.clone();
            tokio::select! {
                biased;
                _ = leadership.wait_for(|now| !now.own || now.term != term) => {}
                () = self.reign() => {}
            }
        }
    }

    /// Looks again and again, for the first time an interval after this member has come to lead, as in ZooKeeper.
    async fn reign(&self) {
        let mut clock = Clock::default();
        loop {
            sleep(self.config.check_interval).await;
            let found = self.look_through(&mut clock).await;
            if found > 0 {
                info!(znodes = found, "containers and TTL znodes have had their time");
            }
        }
    }

    /// Looks once, and proposes what it finds, not faster than it may. Returns how many that were.
    async fn look_through(&self, clock: &mut Clock) -> usize {
        let (mut behind, mut found) = (None, 0);
        loop {
            let now = clock.stamp();
            let never_used_ms = self.config.never_used_ms;
            let (due, last) = self.replica.read(|machine| look(machine, behind.as_ref(), now, never_used_ms));
            for path in due {
                // What does not get through is found again the next time.
                let Some(entrance) = self.sequencer.enter() else { return found };
                debug!(%path, "has had its time");
                if entrance.push(entry::encode_reaping(&path, never_used_ms)).await.is_err() {
                    return found;
                }
                found += 1;
                sleep(self.config.pause()).await;
            }
            if last.is_none() {
                return found;
            }
            behind = last;
        }
    }
}

impl Reaping {
    /// Between two deletions: so a herd of them does not stand in everybody's way.
    fn pause(&self) -> Duration {
        Duration::from_secs(60) / self.per_minute_max.max(1)
    }
}

/// What has had its time in the next portion, and where that ends, if anything may stand behind it.
fn look(
    machine: &Machine,
    behind: Option<&ZnodePath>,
    now: i64,
    never_used_ms: i64,
) -> (Vec<ZnodePath>, Option<ZnodePath>) {
    let portion: Vec<_> = machine.passing(behind).take(REAPER_ZNODES_PER_LOCK_MAX).collect();
    let is_full = portion.len() == REAPER_ZNODES_PER_LOCK_MAX;
    let last = portion.last().filter(|_| is_full).map(|path| (*path).clone());
    let due = portion.into_iter().filter(|path| machine.is_due(path, now, never_used_ms)).cloned().collect();
    (due, last)
}
