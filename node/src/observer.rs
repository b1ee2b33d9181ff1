//! What was applied: to those who watch, and to those who asked.
//!
//! All of this happens while the replica is held for writing. So whoever will see the new state has the event in
//! front of it, and whoever asked for the change has the events of the change in front of its answer.
use std::sync::Arc;

use machine::{Applied, Machine, Verdict};
use proto::Attachment;

use crate::mailbox::Welcome;
use crate::session::Registry;
use crate::watch::Watches;

/// The one who is told what was applied.
pub(crate) struct Observer {
    /// Who watches.
    pub(crate) watches: Arc<Watches>,
    /// Who asked.
    pub(crate) registry: Arc<Registry>,
}

impl consensus::Observer for Observer {
    fn applied(&self, _machine: &Machine, applied: &Applied) {
        let zxid = applied.zxid;
        self.watches.trigger(zxid, &applied.changes);
        match &applied.verdict {
            Verdict::Answered { session, attachment, seq, result } => {
                self.registry.written(*session, *attachment, *seq, zxid, result);
            }
            &Verdict::Opened { session, home, password, timeout_ms } => {
                let attachment = Attachment::new(1);
                self.registry.attached(home, Welcome { session, attachment, password, timeout_ms });
            }
            &Verdict::Attached { session, attachment, home, password, timeout_ms, previous: _ } => {
                self.registry.attached(home, Welcome { session, attachment, password, timeout_ms });
            }
            Verdict::NotAttached { home, .. } => self.registry.refused(*home),
            Verdict::Closed { session, attachment, seq, .. } => {
                self.registry.closed(*session, *attachment, *seq, zxid);
            }
            Verdict::Fenced { session, attachment, .. } => self.registry.fenced(*session, *attachment),
            Verdict::Noted { session, attachment, number, current, late, left_out } => {
                let reported = (*attachment, *number);
                let is_here = self.registry.noted(*session, reported, *current, late.as_deref());
                self.watches.metrics().left_out.inc_by(*left_out as u64);
                if is_here && *left_out > 0 {
                    tracing::warn!(
                        %session, watches = left_out,
                        "no room among the watches that all members know of: these are told only while their client stays here"
                    );
                }
            }
            // Nothing was done, and whoever asked has been answered, or will be.
            Verdict::Repeat | Verdict::Gap | Verdict::Outlived => {}
        }
    }

    fn replaced(&self, old: &Machine, new: &Machine) {
        // In the order of an apply: what clients watch, then what they asked for.
        self.watches.replaced(old, new);
        self.registry.replaced(new);
    }
}

#[cfg(test)]
mod tests;
