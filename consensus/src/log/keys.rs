//! Every key of the log on disk.
//!
//! Tags are on disk: never reused, never renumbered. Entries have a column family of their own, so that the few
//! small records that are written all the time do not lie in the same files as they do.

/// The column family of the entries; everything else is in the default one.
pub(super) const ENTRIES: &str = "entries";

/// What this version reads and writes. A log with another number is not opened.
pub(super) const FORMAT: u64 = 1;

/// `tag` → format version: u64be
pub(super) const FORMAT_KEY: [u8; 1] = [1];

/// `tag` → the member whose log this is: u64be
pub(super) const MEMBER_KEY: [u8; 1] = [2];

/// `tag` → `image.Vote`; synced before the vote is answered
pub(super) const VOTE_KEY: [u8; 1] = [3];

/// `tag` → `image.Position` of the last entry that was dropped from the front
pub(super) const PURGED_KEY: [u8; 1] = [4];

/// `tag` → `image.Position` up to which a quorum has acknowledged; never ahead of the entries themselves
pub(super) const COMMITTED_KEY: [u8; 1] = [5];

/// `tag` → nothing, or the sum of the two below; there until this member has once caught up with a leader, see `franchise`
pub(super) const NEW_KEY: [u8; 1] = [6];

/// The log of a member that has voted is to be filled again.
pub(super) const NEW_FORGETFUL: u8 = 1;

/// The member has heard enough of the others, since the log was made, to follow a leader.
pub(super) const NEW_HEARD: u8 = 2;

/// `tag` → the name of the ensemble: u64be; there as soon as the member knows it, and never changed by one that runs
pub(super) const CLUSTER_KEY: [u8; 1] = [7];

/// `tag index:u64be` → an entry, as `record` has it
const ENTRY_TAG: u8 = 16;

/// The key of an entry.
pub(super) fn entry(index: u64) -> [u8; 9] {
    let mut key = [ENTRY_TAG; 9];
    key[1..].copy_from_slice(&index.to_be_bytes());
    key
}

/// The index that stands in the key of an entry.
pub(super) fn index(key: &[u8]) -> Option<u64> {
    let (&[ENTRY_TAG], index) = key.split_first_chunk::<1>()? else { return None };
    Some(u64::from_be_bytes(index.try_into().ok()?))
}

/// Behind every entry.
pub(super) const ENTRIES_END: [u8; 1] = [ENTRY_TAG + 1];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_lie_in_the_order_of_the_log() {
        let keys = [0, 1, 255, 256, 1 << 40, u64::MAX].map(entry);
        assert!(keys.is_sorted());
        assert!(keys.iter().all(|key| key.as_slice() < ENTRIES_END.as_slice()));
        assert_eq!(keys.map(|key| index(&key)), [0, 1, 255, 256, 1 << 40, u64::MAX].map(Some));
        assert_eq!(index(&VOTE_KEY), None);
    }
}
