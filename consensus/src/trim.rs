//! Keeps the log on this member's disk within its bound.
//!
//! Raft makes the state safe and purges the log by numbers of entries, which may be of any size; and it keeps all that it
//! still sends to a member that lives, however slow that one is. So when the log has become too heavy the state is made
//! safe at once, the log is to go up to where half of the bound stays, and whoever still needs what is in front of that is
//! sent no more of it: to such a member Raft sends the state.

use std::time::Duration;

use openraft::RaftMetrics;
use openraft::async_runtime::WatchReceiver;
use openraft::errors::Fatal;
use openraft::metrics::WaitError;

use crate::applier::Raft;
use crate::log::LogStore;
use crate::peer::Peers;
use crate::safe::Safe;
use crate::types::{LogId, TypeConfig};

/// How long the state may take to be safe, and how long Raft may take to purge, before it is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How long the log is left alone when it has been trimmed: Raft says that it has purged a little before it has.
const PAUSE: Duration = Duration::from_millis(50);

/// What keeps the log within its bound.
pub(crate) struct Trimmer {
    pub(crate) raft: Raft,
    pub(crate) safe: Safe,
    pub(crate) log: LogStore,
    pub(crate) peers: Peers,
    /// Bytes of entries.
    pub(crate) bytes_max: u64,
    /// Entries that Raft keeps behind what the state has made safe.
    pub(crate) keep: u64,
}

impl Trimmer {
    /// Does so until Raft stops.
    pub(crate) async fn run(self) {
        loop {
            let mut is_held = false;
            while let Some(upto) = self.log.excess(self.bytes_max) {
                match self.trim(upto, is_held).await {
                    Ok(has_gone) => is_held = !has_gone,
                    Err(Stopped) => return,
                }
                tokio::time::sleep(PAUSE).await;
            }
            self.log.grown().await;
        }
    }

    /// Has the log go up to there. Tells whether it has.
    async fn trim(&self, upto: LogId, is_held: bool) -> Result<bool, Stopped> {
        let upto = Some(upto);
        if self.safe_upto() < upto {
            self.raft.trigger().snapshot().await?;
            if !self.waited(|now| self.safe.upto(now) >= upto).await? {
                return Ok(false);
            }
        }
        let end = upto.map_or(0, |upto| upto.index());
        self.raft.trigger().purge_log(end).await?;
        let mut floor = end + 1;
        if is_held {
            // Raft purges up to one place or not at all, and by its own numbers that may be further on.
            floor = floor.max(self.safe_upto().map_or(0, |safe| safe.index().saturating_sub(self.keep)));
        }
        self.peers.leave_behind(floor);
        let has_gone = self.waited(|now| now.purged >= upto).await;
        self.peers.leave_behind(0);
        has_gone
    }

    fn safe_upto(&self) -> Option<LogId> {
        self.safe.upto(&self.raft.metrics().borrow_watched())
    }

    /// Whether this came to be before it is to be looked at again.
    async fn waited(&self, is_so: impl Fn(&RaftMetrics<TypeConfig>) -> bool + Send) -> Result<bool, Stopped> {
        match self.raft.wait(Some(LOOK_AGAIN)).metrics(is_so, "trim the log").await {
            Ok(_) => Ok(true),
            Err(WaitError::Timeout(..)) => Ok(false),
            Err(_) => Err(Stopped),
        }
    }
}

/// Raft has stopped.
struct Stopped;

impl From<Fatal<TypeConfig>> for Stopped {
    fn from(_: Fatal<TypeConfig>) -> Self {
        Self
    }
}
