//! What was applied: to those who watch, and to those who asked.
//!
//! All of this happens while the replica is held for writing. So whoever will see the new state has the event in
//! front of it, and whoever asked for the change has the events of the change in front of its answer.
use std::sync::Arc;

use machine::{Applied, Machine, Verdict};
use proto::{Attachment, Zxid};

use crate::mailbox::{Reason, Welcome};
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
            // Nothing was done, and whoever asked has been answered, or will be.
            Verdict::Noted { .. } | Verdict::Repeat | Verdict::Gap | Verdict::Outlived => {}
        }
    }

    fn replaced(&self, _machine: &Machine, _before: Zxid) {
        // The clients of this member do not know what they missed, and verdicts on their writes and greetings are
        // among it. They come back with their sessions, here or elsewhere, and compare for themselves. This is the
        // place where, once the world keeps a history, what they missed since `before` is told instead.
        self.registry.hang_up_all(Reason::Replaced);
    }
}
