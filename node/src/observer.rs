//! What was applied: to those who watch, and to those who asked.
//!
//! All of this happens while the replica is held for writing. So whoever will see the new state has the event in
//! front of it, and whoever asked for the change has the events of the change in front of its answer.
use std::sync::Arc;
use std::time::Duration;

use consensus::Amount;
use machine::{Applied, ChangeKind, Machine, Verdict};
use proto::{Attachment, Code};

use crate::mailbox::Welcome;
use crate::quota::QuotaLog;
use crate::session::Registry;
use crate::stats::{Flush, Stats};
use crate::watch::Watches;

/// The one who is told what was applied.
pub(crate) struct Observer {
    /// Who watches.
    pub(crate) watches: Arc<Watches>,
    /// Who asked.
    pub(crate) registry: Arc<Registry>,
    /// What the log says of quotas.
    pub(crate) quotas: QuotaLog,
    /// Where writes are counted.
    pub(crate) stats: Arc<Stats>,
    /// How long a sync of the log may take until it is warned of.
    pub(crate) slow_sync: Duration,
}

impl consensus::Observer for Observer {
    fn applied(&self, machine: &Machine, applied: &Applied) {
        let zxid = applied.zxid;
        self.count(machine, applied);
        self.watches.trigger(zxid, &applied.changes);
        if let Some(over) = applied.over_quota.as_deref() {
            self.watches.metrics().watching.over_quota(over.limit.hard).inc();
            self.quotas.exceeded(over);
        }
        match &applied.verdict {
            Verdict::Answered { session, attachment, seq, result } => {
                if matches!(result, Err(Code::ThrottledOp)) {
                    self.watches.metrics().refused_full.inc();
                }
                self.registry.written(*session, *attachment, *seq, zxid, result);
            }
            &Verdict::Opened { session, home, password, timeout_ms } => {
                let attachment = Attachment::new(1);
                self.registry
                    .attached(home, Welcome { session, attachment, password, timeout_ms, read_only: false });
            }
            &Verdict::Attached { session, attachment, home, password, timeout_ms, previous: _ } => {
                self.registry
                    .attached(home, Welcome { session, attachment, password, timeout_ms, read_only: false });
            }
            Verdict::NotAttached { home, .. } => self.registry.refused(*home),
            Verdict::Closed { session, attachment, seq, .. } => {
                self.registry.closed(*session, *attachment, *seq, zxid);
            }
            Verdict::Fenced { session, attachment, .. } => self.registry.fenced(*session, *attachment),
            Verdict::Noted { session, attachment, number, current, late, left_out } => {
                let reported = (*attachment, *number);
                let is_here = self.registry.noted(*session, reported, *current, late.as_deref());
                self.watches.metrics().watching.left_out.inc_by(*left_out as u64);
                if is_here && *left_out > 0 {
                    tracing::warn!(
                        %session, watches = left_out,
                        "no room among the watches that all members know of: these are told only while their client stays here"
                    );
                }
            }
            &Verdict::Reconfiguring { session, attachment } => {
                self.registry.reconfiguring(session, attachment);
            }
            // Nothing was done, and whoever asked has been answered, or will be.
            Verdict::Repeat
            | Verdict::Gap
            | Verdict::Outlived
            | Verdict::Reaped
            | Verdict::Described
            | Verdict::Named => {}
        }
    }

    fn measured(&self, amount: Amount) {
        let (counts, summaries) = (&self.watches.metrics().counts, &self.watches.metrics().summaries);
        match amount {
            Amount::Opened(took) => summaries.dbinittime.took(took),
            Amount::LogSynced { took, entries } => {
                summaries.fsynctime.took(took);
                if took > self.slow_sync {
                    self.stats.synced_slowly();
                    tracing::warn!(?took, entries, "log was synced slowly: every write waits for it");
                }
                summaries.sync_processor_batch_size.add(entries as u64);
            }
            Amount::Proposed(bytes) => {
                counts.proposal_count.inc();
                self.stats.proposed(bytes);
            }
            Amount::Committed(took) => summaries.quorum_ack_latency.took(took),
            Amount::Propagated(took) => summaries.propagation_latency.took(took),
            Amount::StateFlushed { took, zxid } => {
                summaries.snapshottime.took(took);
                self.stats.flushed(Flush { zxid, wall: consensus::wall() });
            }
            Amount::StateReceived(took) => {
                counts.snap_count.inc();
                summaries.follower_sync_time.took(took);
            }
        }
    }

    fn replaced(&self, old: &Machine, new: &Machine) {
        // In the order of an apply: what clients watch, then what they asked for.
        self.watches.replaced(old, new);
        self.registry.replaced(new);
    }
}

impl Observer {
    fn count(&self, machine: &Machine, applied: &Applied) {
        let counts = &self.watches.metrics().counts;
        match &applied.verdict {
            Verdict::Answered { .. } | Verdict::Opened { .. } => counts.commit_count.inc(),
            Verdict::Closed { seq, .. } => {
                counts.stale_sessions_expired.inc_by(u64::from(seq.is_none()));
                counts.commit_count.inc()
            }
            Verdict::Attached { home, .. } => {
                counts.connection_revalidate_count.inc_by(u64::from(self.registry.is_ours(*home)));
                counts.revalidate_count.inc()
            }
            _ => 0,
        };
        for change in &applied.changes {
            let bytes = match change.kind {
                ChangeKind::Created | ChangeKind::DataChanged => machine.data_bytes_at(&change.path),
                ChangeKind::Deleted => 0,
            };
            self.stats.namespaces().wrote(&change.path, bytes);
        }
    }
}

#[cfg(test)]
mod tests;
