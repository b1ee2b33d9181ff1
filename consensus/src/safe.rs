//! Up to where the state on disk is safe, so that the log in front of that may go.
//!
//! Raft has a notion of this too, but it takes whatever it can send of the state for safe. A member that starts has applied
//! its log once more and can send what that came to, and the disk has little of it yet.

use std::sync::Arc;

use openraft::RaftMetrics;
use parking_lot::Mutex;

use crate::types::{LogId, TypeConfig};

#[cfg(any(test, simulation))]
use crate::runtime::bugs::{Bug, is_in};

/// How far the state would come again if the power failed now. A clone is the same.
#[derive(Clone, Debug)]
pub(crate) struct Safe(Arc<Mutex<Option<LogId>>>);

impl Safe {
    /// A state that was just read from the disk, where it stands at this place of the log.
    pub(crate) fn new(read: Option<LogId>) -> Self {
        Self(Arc::new(Mutex::new(read)))
    }

    /// The state was made safe up to there.
    pub(crate) fn reaches(&self, upto: Option<LogId>) {
        let mut safe = self.0.lock();
        *safe = upto.max(*safe);
    }

    /// Up to where the state is safe and Raft lets the log go: it purges nothing behind what it holds for safe itself.
    pub(crate) fn upto(&self, raft: &RaftMetrics<TypeConfig>) -> Option<LogId> {
        #[cfg(any(test, simulation))]
        if is_in(Bug::PurgedAtStart) {
            return raft.snapshot;
        }
        raft.snapshot.min(*self.0.lock())
    }
}
