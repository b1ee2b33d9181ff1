//! The newest entries of the log, in memory.
//!
//! Each entry is read once for each follower and once to be applied, nearly always right after it was written: so
//! those reads never see the disk. An entry that is not yet on disk is always here, because openraft wants to read
//! what it appended at once.

use std::collections::VecDeque;
use std::ops::Range;

use openraft::entry::RaftEntry;

use super::record;
use super::weight::Weight;
use crate::types::{Entry, LogId};

/// Counts the appends that were handed to the log thread, in order; what it has saved is told by the same number.
pub(super) type Ticket = u64;

/// Invariants:
/// * the entries are consecutive and end with the log's last one;
/// * none is before or at the purge point;
/// * every entry of the log that is not yet saved is here.
pub(super) struct Tail {
    purged: Option<LogId>,
    last: Option<LogId>,
    /// The index of the oldest entry of the log, in memory or not.
    start: u64,
    entries: VecDeque<Held>,
    bytes: usize,
    bytes_max: usize,
    saved: Ticket,
    /// Appends on their way to the disk, with their bytes.
    unsaved: VecDeque<(Ticket, usize)>,
    unsaved_bytes: usize,
    /// Of the whole log, in memory or not.
    weight: Weight,
}

struct Held {
    entry: Entry,
    ticket: Ticket,
    bytes: usize,
}

impl Tail {
    /// The tail of a log with this purge point and this last entry, both of them on disk.
    pub(super) fn new(purged: Option<LogId>, last: Option<LogId>, bytes_max: usize) -> Self {
        Self {
            purged,
            last: last.max(purged),
            start: after(purged),
            entries: VecDeque::new(),
            bytes: 0,
            bytes_max,
            saved: 0,
            unsaved: VecDeque::new(),
            unsaved_bytes: 0,
            weight: Weight::default(),
        }
    }

    /// Up to where the log was dropped.
    pub(super) fn purged(&self) -> Option<LogId> {
        self.purged
    }

    /// The last entry, or the purge point if there is nothing behind it.
    pub(super) fn last(&self) -> Option<LogId> {
        self.last
    }

    /// The index of the oldest entry of the log, in memory or not.
    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// The index that comes next.
    pub(super) fn end(&self) -> u64 {
        after(self.last)
    }

    /// Those entries that are in memory.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().map(|held| &held.entry)
    }

    /// Bytes of entries that are not yet on disk.
    pub(super) fn unsaved_bytes(&self) -> usize {
        self.unsaved_bytes
    }

    /// Up to where the log must go to have no more than half of `bytes_max`, if it has more than that.
    pub(super) fn excess(&self, bytes_max: u64) -> Option<LogId> {
        self.weight.excess(bytes_max)
    }

    /// Takes new entries, which follow the last one; they are on disk when `ticket` is saved. Tells whether it may be time
    /// to ask for the [`excess`](Self::excess).
    pub(super) fn append(&mut self, entries: impl IntoIterator<Item = Entry>, ticket: Ticket) -> bool {
        let mut has_grown = false;
        let mut added = 0;
        for entry in entries {
            if self.last == self.purged {
                self.start = entry.index();
            }
            let bytes = record::size(&entry);
            added += bytes;
            has_grown |= self.weight.add(&entry);
            self.last = Some(entry.log_id());
            self.entries.push_back(Held { entry, ticket, bytes });
        }
        self.bytes += added;
        self.unsaved.push_back((ticket, added));
        self.unsaved_bytes += added;
        self.make_room();
        has_grown
    }

    /// Everything handed over up to `ticket` is on disk.
    pub(super) fn saved(&mut self, ticket: Ticket) {
        self.saved = ticket;
        while let Some((_, bytes)) = self.unsaved.pop_front_if(|(of, _)| *of <= ticket) {
            self.unsaved_bytes -= bytes;
        }
        self.make_room();
    }

    /// Drops everything behind `last`.
    pub(super) fn truncate(&mut self, last: Option<LogId>) {
        while let Some(held) = self.entries.pop_back_if(|held| held.entry.index() >= after(last)) {
            self.bytes -= held.bytes;
        }
        self.weight.truncate(last);
        self.last = self.last.min(last).max(self.purged);
    }

    /// Drops everything up to and with `upto`, which may be behind the end of the log.
    pub(super) fn purge(&mut self, upto: LogId) {
        while let Some(held) = self.entries.pop_front_if(|held| held.entry.index() <= upto.index()) {
            self.bytes -= held.bytes;
        }
        self.weight.purge(upto);
        self.purged = self.purged.max(Some(upto));
        self.start = self.start.max(after(self.purged));
        self.last = self.last.max(self.purged);
    }

    /// What of `range` is in memory, and the part in front of it that must be read from disk.
    pub(super) fn read(&self, range: Range<u64>, bytes_max: usize) -> (Range<u64>, Vec<Entry>) {
        let range = range.start.max(self.start())..range.end.min(self.end());
        let first = self.entries.front().map_or(self.end(), |held| held.entry.index());
        let on_disk = range.start..range.end.min(first).max(range.start);
        let mut bytes = 0;
        let skip = usize::try_from(on_disk.end.saturating_sub(first)).unwrap_or(usize::MAX);
        let take = usize::try_from(range.end.saturating_sub(on_disk.end)).unwrap_or(usize::MAX);
        let in_memory = self
            .entries
            .iter()
            .skip(skip)
            .take(take)
            .take_while(|held| {
                // The first one always goes, so that nothing is too large to be read.
                let goes = bytes == 0 || bytes + held.bytes <= bytes_max;
                bytes += held.bytes;
                goes
            })
            .map(|held| held.entry.clone())
            .collect();
        (on_disk, in_memory)
    }

    fn make_room(&mut self) {
        while self.bytes > self.bytes_max {
            let Some(held) = self.entries.pop_front_if(|held| held.ticket <= self.saved) else { break };
            self.bytes -= held.bytes;
        }
    }
}

fn after(log_id: Option<LogId>) -> u64 {
    log_id.map_or(0, |log_id| log_id.index() + 1)
}

#[cfg(test)]
mod tests {
    use openraft::EntryPayload;

    use super::*;

    fn id(term: u64, index: u64) -> LogId {
        LogId::new_term_index(term, index)
    }

    fn entry(term: u64, index: u64) -> Entry {
        RaftEntry::new(id(term, index), EntryPayload::Blank)
    }

    fn indexes(entries: &[Entry]) -> Vec<u64> {
        entries.iter().map(RaftEntry::index).collect()
    }

    const ONE: usize = size_of::<Entry>();

    #[test]
    fn what_is_not_saved_is_kept_whatever_the_bound() {
        let mut tail = Tail::new(None, None, 2 * ONE);
        tail.append((0..4).map(|index| entry(1, index)), 1);
        tail.append((4..6).map(|index| entry(1, index)), 2);
        assert_eq!(tail.unsaved_bytes(), 6 * ONE);
        let (on_disk, in_memory) = tail.read(0..6, usize::MAX);
        assert!(on_disk.is_empty());
        assert_eq!(indexes(&in_memory), [0, 1, 2, 3, 4, 5]);

        tail.saved(1);
        assert_eq!(tail.unsaved_bytes(), 2 * ONE);
        let (on_disk, in_memory) = tail.read(1..6, usize::MAX);
        assert_eq!(on_disk, 1..4);
        assert_eq!(indexes(&in_memory), [4, 5]);
    }

    #[test]
    fn an_entry_that_took_the_place_of_a_saved_one_is_not_taken_for_saved() {
        let mut tail = Tail::new(None, None, 0);
        tail.append((0..10).map(|index| entry(1, index)), 1);
        tail.truncate(Some(id(1, 4)));
        tail.append((5..7).map(|index| entry(2, index)), 3);
        tail.saved(1);
        let (on_disk, in_memory) = tail.read(0..100, usize::MAX);
        assert_eq!(on_disk, 0..5);
        assert_eq!(indexes(&in_memory), [5, 6]);
        assert_eq!(tail.last(), Some(id(2, 6)));
    }

    #[test]
    fn reads_are_bounded_by_bytes_and_never_empty() {
        let mut tail = Tail::new(None, None, usize::MAX);
        tail.append((0..10).map(|index| entry(1, index)), 1);
        assert_eq!(indexes(&tail.read(2..9, 3 * ONE).1), [2, 3, 4]);
        assert_eq!(indexes(&tail.read(2..9, 1).1), [2]);
        assert_eq!(indexes(&tail.read(9..12, 0).1), [9]);
        assert!(tail.read(12..14, 0).1.is_empty());
    }

    #[test]
    fn a_purge_may_go_beyond_the_end() {
        let mut tail = Tail::new(None, None, usize::MAX);
        tail.append((0..10).map(|index| entry(1, index)), 1);
        tail.purge(id(1, 3));
        assert_eq!((tail.start(), tail.end()), (4, 10));
        assert_eq!(indexes(&tail.read(0..6, usize::MAX).1), [4, 5]);
        tail.purge(id(2, 20));
        assert_eq!((tail.start(), tail.end()), (21, 21));
        assert_eq!((tail.purged(), tail.last()), (Some(id(2, 20)), Some(id(2, 20))));
        tail.append([entry(3, 21)], 2);
        assert_eq!(indexes(&tail.read(0..99, usize::MAX).1), [21]);
    }
}
