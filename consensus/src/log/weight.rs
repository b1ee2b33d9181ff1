//! How many bytes the entries of the log have, and up to where they must go for it to have fewer.
//!
//! They are counted in stretches, because nothing asks for single entries: what is told is too much by one stretch at
//! each end, never too little.

use std::collections::VecDeque;

use openraft::entry::RaftEntry;

use super::record;
use crate::types::{Entry, LogId};

/// Bytes of entries behind which a new stretch begins.
const STRETCH_BYTES: u64 = 1 << 20;

/// … and how many entries.
const STRETCH_ENTRIES: u64 = 64;

/// Invariant: the stretches follow each other as the log does, and the last one ends where it ends.
#[derive(Debug, Default)]
pub(super) struct Weight {
    stretches: VecDeque<Stretch>,
    bytes: u64,
}

#[derive(Debug)]
struct Stretch {
    first: u64,
    last: LogId,
    bytes: u64,
}

impl Weight {
    /// Takes the next entry. Tells whether a stretch begins with it.
    pub(super) fn add(&mut self, entry: &Entry) -> bool {
        let bytes = record::size(entry) as u64;
        self.bytes += bytes;
        if let Some(newest) = self.stretches.back_mut()
            && newest.bytes < STRETCH_BYTES
            && entry.index() - newest.first < STRETCH_ENTRIES
        {
            newest.last = entry.log_id();
            newest.bytes += bytes;
            return false;
        }
        self.stretches.push_back(Stretch { first: entry.index(), last: entry.log_id(), bytes });
        true
    }

    /// Everything behind `last` has gone.
    pub(super) fn truncate(&mut self, last: Option<LogId>) {
        let end = last.map_or(0, |last| last.index() + 1);
        while let Some(gone) = self.stretches.pop_back_if(|stretch| stretch.first >= end) {
            self.bytes -= gone.bytes;
        }
        if let (Some(newest), Some(last)) = (self.stretches.back_mut(), last) {
            newest.last = newest.last.min(last);
        }
    }

    /// Everything up to and with `upto` has gone.
    pub(super) fn purge(&mut self, upto: LogId) {
        while let Some(gone) = self.stretches.pop_front_if(|stretch| stretch.last.index() <= upto.index()) {
            self.bytes -= gone.bytes;
        }
    }

    /// Up to where entries must go so that those that stay have no more than half of `bytes_max`; `None` if there is no
    /// need, because all of them together have no more than `bytes_max`.
    pub(super) fn excess(&self, bytes_max: u64) -> Option<LogId> {
        if self.bytes <= bytes_max {
            return None;
        }
        let mut left = self.bytes;
        let mut goes = self.stretches.iter().take_while(|stretch| {
            let must_go = left > bytes_max / 2;
            left -= stretch.bytes;
            must_go
        });
        goes.by_ref().last().map(|stretch| stretch.last)
    }
}

#[cfg(test)]
mod tests {
    use openraft::EntryPayload;

    use super::*;
    use crate::types::Batch;

    fn id(term: u64, index: u64) -> LogId {
        LogId::new_term_index(term, index)
    }

    /// Of half a mebibyte, and a little.
    fn large(term: u64, index: u64) -> Entry {
        RaftEntry::new(id(term, index), EntryPayload::Normal(Batch(vec![0; 1 << 19].into())))
    }

    fn of(entries: impl IntoIterator<Item = Entry>) -> Weight {
        let mut weight = Weight::default();
        for entry in entries {
            weight.add(&entry);
        }
        weight
    }

    #[test]
    fn what_goes_leaves_half_of_the_bound() {
        let weight = of((0..40).map(|index| large(1, index)));
        assert_eq!(weight.stretches.len(), 20);
        assert_eq!(weight.excess(21 << 20), None);
        // Of 20 MiB and a little 5 may stay: what is more are 16 stretches of two entries each.
        assert_eq!(weight.excess(10 << 20), Some(id(1, 31)));
        assert_eq!(weight.excess(0), Some(id(1, 39)));
    }

    #[test]
    fn what_has_gone_weighs_nothing() {
        let mut weight = of((0..40).map(|index| large(1, index)));
        weight.purge(id(1, 20));
        assert_eq!((weight.stretches.len(), weight.bytes >> 20), (10, 10));
        weight.truncate(Some(id(1, 30)));
        assert_eq!(weight.stretches.len(), 6);
        assert_eq!(weight.stretches.back().map(|stretch| stretch.last), Some(id(1, 30)));
        weight.add(&large(2, 31));
        assert_eq!(weight.excess(0), Some(id(2, 31)));
        weight.purge(id(2, 90));
        assert_eq!((weight.bytes, weight.excess(0)), (0, None));
    }

    #[test]
    fn small_entries_make_stretches_too() {
        let blank = |index| RaftEntry::new(id(1, index), EntryPayload::Blank);
        let weight = of((0..1_000).map(blank));
        assert_eq!(weight.stretches.len(), 16);
        let upto = weight.excess(weight.bytes / 2);
        assert_eq!(upto, Some(id(1, 767)));
    }
}
