//! What really happened: every change of the znodes that are watched, as the members have applied it.

use std::collections::BTreeMap;
use std::sync::Arc;

use consensus::{Amount, Observer};
use harness::auditor::history::{Change, Deed};
use harness::auditor::paths::Paths;
use machine::{Applied, ChangeKind, Machine};
use std::sync::Mutex;

/// All changes, by the zxid of their transaction. Whichever member applies it first tells it.
#[derive(Debug, Default)]
pub(crate) struct Record {
    paths: Paths,
    changes: Mutex<BTreeMap<i64, Vec<Change>>>,
}

impl Record {
    /// Of these znodes.
    pub(crate) fn new(paths: Paths) -> Self {
        Self { paths, changes: Mutex::default() }
    }

    /// The znodes.
    pub(crate) fn paths(&self) -> &Paths {
        &self.paths
    }

    /// All that has happened, in order.
    pub(crate) fn changes(&self) -> Vec<Change> {
        self.changes.lock().unwrap().values().flatten().copied().collect()
    }

    fn add(&self, applied: &Applied) {
        let zxid = i64::try_from(applied.zxid.get()).unwrap();
        let deed = |kind| match kind {
            ChangeKind::Created => Deed::Created,
            ChangeKind::Deleted => Deed::Deleted,
            ChangeKind::DataChanged => Deed::Written,
        };
        let found: Vec<Change> = applied
            .changes
            .iter()
            .filter_map(|change| {
                let path = self.paths.find(change.path.as_str())?;
                Some(Change { zxid, path, deed: deed(change.kind) })
            })
            .collect();
        if !found.is_empty() {
            self.changes.lock().unwrap().entry(zxid).or_insert(found);
        }
    }
}

/// Hears what a member applies, and writes it down before the member's own parts hear of it.
pub(crate) struct Recorder {
    pub(crate) record: Arc<Record>,
    pub(crate) member: Arc<dyn Observer>,
}

impl Observer for Recorder {
    fn applied(&self, machine: &Machine, applied: &Applied) {
        self.record.add(applied);
        self.member.applied(machine, applied);
    }

    fn replaced(&self, old: &Machine, new: &Machine) {
        self.member.replaced(old, new);
    }

    fn measured(&self, amount: Amount) {
        self.member.measured(amount);
    }
}
