//! Which ensemble this member belongs to, as far as it knows.
//!
//! The first leader draws a name for its ensemble and puts it into the log; whoever applies that entry knows it for good,
//! and remembers it on disk. From then on it lets in nobody who does not belong to the same one.

use std::sync::Arc;

use machine::{Act, Applied, Command, Machine};
use openraft::EntryPayload;
use openraft::entry::RaftEntry;
use parking_lot::Mutex;
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
    /// The first name that stands in the log, applied or not, and where, as far as was looked.
    in_log: Arc<Mutex<Option<(u64, ClusterId)>>>,
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
        self.known().or_else(|| self.in_log.lock().map(|(_, cluster)| cluster))
    }

    /// It is this one, for good.
    pub(crate) fn learn(&self, cluster: ClusterId) {
        let learned = self.known.send_if_modified(|known| known.replace(cluster) != Some(cluster));
        if learned {
            info!(ensemble = %cluster, "belongs to an ensemble");
        }
    }

    /// Whether a name that stands in front of this place in the log would be the ensemble's.
    pub(crate) fn may_be_named_at(&self, index: u64) -> bool {
        self.known().is_none() && self.in_log.lock().is_none_or(|(named_at, _)| index < named_at)
    }

    /// Looks for the name in entries of the log, as long as it is not known. The first that stands there counts, as for the world:
    /// who comes to lead before he has applied the name that his predecessor gave gives another.
    pub(crate) fn look<'a>(&self, entries: impl IntoIterator<Item = &'a Entry>) {
        if self.known().is_some() {
            return;
        }
        let mut in_log = self.in_log.lock();
        for entry in entries {
            // What is written in its place, or in front of it, has overruled it; or was not looked at before.
            in_log.take_if(|(named_at, _)| entry.index() <= *named_at);
            if let EntryPayload::Normal(Batch(batch)) = &entry.payload
                && in_log.is_none()
            {
                *in_log = entry::name_in(batch).map(|cluster| (entry.index(), cluster));
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
    use super::*;
    use crate::types::LogId;

    fn naming(cluster: ClusterId, at: u64) -> Entry {
        let batch = entry::encode_batch(1, machine::Rules::default(), vec![entry::encode_name(cluster)]);
        RaftEntry::new(LogId::new_term_index(1, at), EntryPayload::Normal(Batch(batch)))
    }

    fn blank(at: u64) -> Entry {
        RaftEntry::new(LogId::new_term_index(1, at), EntryPayload::Blank)
    }

    fn names() -> (ClusterId, ClusterId) {
        (ClusterId::new(1).unwrap(), ClusterId::new(2).unwrap())
    }

    #[test]
    fn what_stands_in_the_log_is_claimed_and_not_yet_known() {
        let (one, other) = names();
        let belonging = Belonging::new(None);
        belonging.look([&naming(one, 1)]);
        assert_eq!((belonging.claimed(), belonging.known()), (Some(one), None));
        // The entry was never committed, and another leader put another one in its place.
        belonging.look([&naming(other, 1)]);
        assert_eq!(belonging.claimed(), Some(other));
        belonging.learn(other);
        belonging.look([&naming(one, 1)]);
        assert_eq!((belonging.claimed(), belonging.known()), (Some(other), Some(other)));
    }

    #[test]
    fn of_two_names_in_the_log_the_first_is_claimed_as_the_world_takes_it() {
        let (one, other) = names();
        let belonging = Belonging::new(None);
        belonging.look([&blank(1), &naming(one, 2), &blank(3), &naming(other, 4)]);
        assert_eq!(belonging.claimed(), Some(one));
        belonging.look([&naming(other, 5)]);
        assert_eq!(belonging.claimed(), Some(one));
        // Where the newest entries were looked at first.
        let belonging = Belonging::new(None);
        belonging.look([&naming(other, 4)]);
        assert!(belonging.may_be_named_at(3) && !belonging.may_be_named_at(4));
        belonging.look([&blank(1), &naming(one, 2)]);
        assert_eq!(belonging.claimed(), Some(one));
        assert!(!belonging.may_be_named_at(3));
    }

    #[test]
    fn a_name_that_was_overruled_is_claimed_no_more() {
        let (one, other) = names();
        let belonging = Belonging::new(None);
        belonging.look([&blank(1), &naming(one, 4)]);
        belonging.look([&blank(2), &blank(3), &blank(4), &blank(5)]);
        assert_eq!(belonging.claimed(), None);
        belonging.look([&naming(other, 6)]);
        assert_eq!(belonging.claimed(), Some(other));
    }
}
