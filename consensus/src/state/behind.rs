//! What was applied and is not yet on its way to the state on disk.
//!
//! The log holds it all, so there is no hurry, and what is changed again meanwhile need not be written twice.

use machine::{Key, Record};
use proto::limits::{PERSIST_BEHIND_MAX, PERSIST_BYTES_PER_WRITE_MAX, PERSIST_RECORDS_PER_WRITE_MAX};
use tokio::time::Instant;

use super::database::Progress;

/// What entries changed, in their order; the last change of a key is the one that counts.
pub(super) type Changes = Vec<(Key, Option<Record>)>;

/// Changes that wait for others to be written with.
#[derive(Default)]
pub(super) struct Behind {
    changes: Changes,
    /// Bytes of data among them. Nobody else may hold these any more: what a znode holds is not written over.
    bytes: usize,
    /// Where they lead, and since when the first of them waits.
    waits: Option<(Progress, Instant)>,
}

impl Behind {
    /// Puts what entries changed behind the rest, and how far in the log that leads.
    pub(super) fn add(&mut self, mut changes: Changes, progress: Progress) {
        let since = self.waits.as_ref().map_or_else(Instant::now, |(_, since)| *since);
        self.waits = Some((progress, since));
        self.bytes += changes.iter().map(held_bytes).sum::<usize>();
        if self.changes.is_empty() {
            self.changes = changes;
        } else {
            self.changes.append(&mut changes);
        }
    }

    /// Whether they have waited for long enough, or are many.
    pub(super) fn is_due(&self) -> bool {
        self.changes.len() >= PERSIST_RECORDS_PER_WRITE_MAX
            || self.bytes >= PERSIST_BYTES_PER_WRITE_MAX
            || self.waits.as_ref().is_some_and(|(_, since)| since.elapsed() >= PERSIST_BEHIND_MAX)
    }

    /// Takes them; `None` if there is nothing that the state should know of.
    pub(super) fn take(&mut self) -> Option<(Changes, Progress)> {
        let Self { changes, waits, .. } = std::mem::take(self);
        waits.map(|(progress, _)| (changes, progress))
    }
}

fn held_bytes((_, record): &(Key, Option<Record>)) -> usize {
    match record {
        Some(Record::Znode(znode)) => znode.data.as_ref().map_or(0, |data| data.len()),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use machine::WorldRecord;

    use super::*;

    fn changes(count: usize) -> Changes {
        vec![(Key::World, Some(Record::World(WorldRecord::default()))); count]
    }

    fn at(index: u64) -> Progress {
        Progress { applied: Some(crate::types::LogId::new_term_index(1, index)), ..Progress::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_is_due_in_time() {
        let mut behind = Behind::default();
        assert!(!behind.is_due() && behind.take().is_none());
        behind.add(changes(1), at(1));
        tokio::time::advance(PERSIST_BEHIND_MAX / 2).await;
        behind.add(changes(2), at(2));
        assert!(!behind.is_due());
        tokio::time::advance(PERSIST_BEHIND_MAX / 2).await;
        assert!(behind.is_due(), "the first has waited for long enough");
        assert_eq!(behind.take(), Some((changes(3), at(2))));
        assert!(!behind.is_due() && behind.take().is_none());
        // An entry that changed nothing leads further in the log all the same.
        behind.add(Vec::new(), at(3));
        assert_eq!(behind.take(), Some((Vec::new(), at(3))));
    }

    #[tokio::test(start_paused = true)]
    async fn many_are_due_at_once() {
        let mut behind = Behind::default();
        behind.add(changes(PERSIST_RECORDS_PER_WRITE_MAX - 1), at(1));
        assert!(!behind.is_due());
        behind.add(changes(1), at(2));
        assert!(behind.is_due());
    }
}
