//! What is to be on disk together, or not at all.

use openraft::entry::RaftEntry;

use super::record;
use crate::types::Entry;

/// Changes of the log, in this order.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes {
    list: Vec<Change>,
}

/// One of them.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// A small record.
    Put { key: &'static [u8], value: Vec<u8> },
    /// A small record goes.
    Delete { key: &'static [u8] },
    /// An entry, as `record` has it.
    Entry { index: u64, record: Vec<u8> },
    /// The entries from `from` on go, up to `end` where there is one.
    DeleteEntries { from: u64, end: Option<u64> },
}

impl Changes {
    /// Puts a small record.
    pub(super) fn put(&mut self, key: &'static [u8], value: impl Into<Vec<u8>>) {
        self.list.push(Change::Put { key, value: value.into() });
    }

    /// Deletes a small record.
    pub(super) fn delete(&mut self, key: &'static [u8]) {
        self.list.push(Change::Delete { key });
    }

    /// Puts entries.
    pub(super) fn put_entries(&mut self, entries: &[Entry]) {
        for entry in entries {
            let mut record = Vec::with_capacity(record::size(entry));
            record::encode(entry, &mut record);
            self.put_record(entry.index(), record);
        }
    }

    /// Puts an entry that is encoded already.
    pub(super) fn put_record(&mut self, index: u64, record: Vec<u8>) {
        self.list.push(Change::Entry { index, record });
    }

    /// Deletes the entries from `from` on, up to `end` where there is one.
    pub(super) fn delete_entries(&mut self, from: u64, end: Option<u64>) {
        self.list.push(Change::DeleteEntries { from, end });
    }

    /// The changes, in order.
    pub(super) fn list(&self) -> &[Change] {
        &self.list
    }
}
