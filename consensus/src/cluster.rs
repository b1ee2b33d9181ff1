//! Which ensemble this member belongs to, as far as it knows.
//!
//! The first leader draws a name for its ensemble and puts it into the log; whoever applies that entry knows it for good,
//! and remembers it on disk. From then on it lets in nobody who does not belong to the same one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use machine::{Act, Applied, Command, Machine};
use openraft::EntryPayload;
use proto::ClusterId;
use tracing::info;

use crate::replica::Hook;
use crate::runtime::watch;
use crate::types::{Batch, Entry};
use crate::{Fault, entry};

/// What is known of it. Cloning shares it.
#[derive(Clone, Debug)]
pub(crate) struct Belonging {
    known: Arc<watch::Sender<Option<ClusterId>>>,
    /// The name that stands in the log, applied or not; 0 if none has been seen there.
    in_log: Arc<AtomicU64>,
}

impl Belonging {
    /// Of a member that has found this on its disk.
    pub(crate) fn new(known: Option<ClusterId>) -> Self {
        Self { known: Arc::new(watch::Sender::new(known)), in_log: Arc::default() }
    }

    /// The ensemble that this member has become part of: others are refused.
    pub(crate) fn known(&self) -> Option<ClusterId> {
        *self.known.borrow()
    }

    /// The ensemble that this member says it belongs to. Before the name is known to be committed it is the one in the
    /// log: members that know it already would otherwise not vote for the one whose log is best.
    pub(crate) fn claimed(&self) -> Option<ClusterId> {
        self.known().or_else(|| ClusterId::new(self.in_log.load(Ordering::Acquire)))
    }

    /// It is this one, for good.
    pub(crate) fn learn(&self, cluster: ClusterId) {
        let learned = self.known.send_if_modified(|known| known.replace(cluster) != Some(cluster));
        if learned {
            info!(ensemble = %cluster, "belongs to an ensemble");
        }
    }

    /// Looks for the name in entries of the log, as long as it is not known.
    pub(crate) fn look<'a>(&self, entries: impl IntoIterator<Item = &'a Entry>) {
        if self.known().is_some() {
            return;
        }
        for entry in entries {
            if let EntryPayload::Normal(Batch(batch)) = &entry.payload
                && let Some(cluster) = entry::name_in(batch)
            {
                self.in_log.store(cluster.get(), Ordering::Release);
            }
        }
    }

    /// Waits until it is known.
    pub(crate) async fn learned(&self) -> Option<ClusterId> {
        let mut known = self.known.subscribe();
        known.wait_for(Option::is_some).await.ok().and_then(|known| *known)
    }
}

impl Hook for Belonging {
    fn applied(&self, machine: &Machine, command: &Command, _applied: &Applied) {
        if matches!(command.act, Act::Name { .. }) {
            self.replaced(machine);
        }
    }

    fn replaced(&self, machine: &Machine) {
        if let Some(cluster) = machine.cluster() {
            self.learn(cluster);
        }
    }
}

/// Log and state must be of one ensemble.
pub(crate) fn agree(belonging: &Belonging, machine: &Machine) -> Result<(), Fault> {
    match (belonging.known(), machine.cluster()) {
        (Some(log), Some(state)) if log != state => Err(Fault::Other(format!(
            "the log is of ensemble {log}, and the state of ensemble {state}: one of the two directories is not this \
             member's. Give it the one that belongs to the other"
        ))),
        (None, Some(state)) => {
            belonging.learn(state);
            Ok(())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use openraft::entry::RaftEntry;

    use super::*;
    use crate::types::LogId;

    fn naming(cluster: ClusterId) -> Entry {
        let batch = entry::encode_batch(1, machine::Rules::default(), vec![entry::encode_name(cluster)]);
        RaftEntry::new(LogId::new_term_index(1, 1), EntryPayload::Normal(Batch(batch)))
    }

    #[test]
    fn what_stands_in_the_log_is_claimed_and_not_yet_known() {
        let (one, other) = (ClusterId::new(1).unwrap(), ClusterId::new(2).unwrap());
        let belonging = Belonging::new(None);
        belonging.look([&naming(one)]);
        assert_eq!((belonging.claimed(), belonging.known()), (Some(one), None));
        // The entry was never committed, and another leader put another one in its place.
        belonging.look([&naming(other)]);
        assert_eq!(belonging.claimed(), Some(other));
        belonging.learn(other);
        belonging.look([&naming(one)]);
        assert_eq!((belonging.claimed(), belonging.known()), (Some(other), Some(other)));
    }
}
