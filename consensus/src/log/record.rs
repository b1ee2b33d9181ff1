//! One entry of the log as bytes on disk.
//!
//! `crc:u32le term:u64le kind:u8 payload`, where the checksum covers the index, under which the entry lies, and
//! everything behind itself: a record that was damaged, cut short or put in another's place is recognised, whatever
//! the disk and the database beneath let through.

use bytes::{Buf, BufMut, Bytes};
use openraft::EntryPayload;
use openraft::entry::RaftEntry;
use prost::Message;
use proto::image;

use crate::types::{Batch, Entry, LogId};
use crate::{Fault, wire};

const BLANK: u8 = 0;
const BATCH: u8 = 1;
const MEMBERSHIP: u8 = 2;

const HEADER: usize = 4 + 8 + 1;

/// Puts an entry behind what `out` holds.
pub(super) fn encode(entry: &Entry, out: &mut Vec<u8>) {
    let start = out.len();
    out.put_u32_le(0);
    out.put_u64_le(**entry.log_id.committed_leader_id());
    match &entry.payload {
        EntryPayload::Blank => out.put_u8(BLANK),
        EntryPayload::Normal(Batch(bytes)) => {
            out.put_u8(BATCH);
            out.extend_from_slice(bytes);
        }
        EntryPayload::Membership(membership) => {
            out.put_u8(MEMBERSHIP);
            out.extend_from_slice(&wire::membership(membership).encode_to_vec());
        }
    }
    let crc = checksum(entry.index(), &out[start + 4..]);
    out[start..start + 4].copy_from_slice(&crc.to_le_bytes());
}

/// The entry that lies under `index`.
pub(super) fn decode(index: u64, record: &[u8]) -> Result<Entry, Fault> {
    if record.len() < HEADER {
        return Err(damaged(index, "it is cut short"));
    }
    let mut rest = record;
    if rest.get_u32_le() != checksum(index, rest) {
        return Err(damaged(index, "its checksum does not match"));
    }
    let log_id = LogId::new_term_index(rest.get_u64_le(), index);
    let payload = match rest.get_u8() {
        BLANK => EntryPayload::Blank,
        BATCH => EntryPayload::Normal(Batch(Bytes::copy_from_slice(rest))),
        MEMBERSHIP => {
            let stored = image::Membership::decode(rest)
                .map_err(|_| damaged(index, "its membership does not parse"))?;
            EntryPayload::Membership(wire::read_membership(stored)?)
        }
        _ => return Err(damaged(index, "it is of a kind that this version does not know")),
    };
    Ok(RaftEntry::new(log_id, payload))
}

/// About how many bytes an entry takes, in memory or on its way.
pub(crate) fn size(entry: &Entry) -> usize {
    let payload = match &entry.payload {
        EntryPayload::Blank => 0,
        EntryPayload::Normal(Batch(bytes)) => bytes.len(),
        EntryPayload::Membership(membership) => membership.nodes().count() * 64,
    };
    size_of::<Entry>() + payload
}

fn checksum(index: u64, covered: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&index.to_le_bytes());
    crc.update(covered);
    crc.finalize()
}

fn damaged(index: u64, how: &str) -> Fault {
    Fault::Damaged(format!("log entry {index} is damaged: {how}. {CURE}"))
}

/// What to do about a log that cannot be trusted.
pub(super) const CURE: &str = "This member must not vote with such a log. If the other members are well, run `corral \
     recover` with this member's configuration, and start it again: it will be sent everything";

#[cfg(test)]
mod tests {
    use openraft::BasicNode;

    use super::*;
    use crate::types::Membership;

    fn entries() -> Vec<Entry> {
        let members = Membership::new_with_defaults(vec![[1, 2, 3].into()], [4]);
        assert_eq!(members.get_node(&4), Some(&BasicNode::default()));
        [
            EntryPayload::Blank,
            EntryPayload::Normal(Batch(Bytes::from_static(b"some transactions"))),
            EntryPayload::Normal(Batch(Bytes::new())),
            EntryPayload::Membership(members),
        ]
        .into_iter()
        .enumerate()
        .map(|(at, payload)| RaftEntry::new(LogId::new_term_index(7, at as u64), payload))
        .collect()
    }

    #[test]
    fn entries_come_back_as_they_were() {
        for entry in entries() {
            let mut record = Vec::new();
            encode(&entry, &mut record);
            assert_eq!(decode(entry.index(), &record).unwrap(), entry);
        }
    }

    #[test]
    fn any_flipped_bit_is_recognised() {
        for entry in entries() {
            let mut record = Vec::new();
            encode(&entry, &mut record);
            for bit in 0..record.len() * 8 {
                let mut flipped = record.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert!(matches!(decode(entry.index(), &flipped), Err(Fault::Damaged(_))), "bit {bit}");
            }
        }
    }

    #[test]
    fn an_entry_in_the_place_of_another_is_recognised() {
        let mut record = Vec::new();
        encode(&entries()[1], &mut record);
        let fault = decode(2, &record).unwrap_err().to_string();
        assert!(fault.starts_with("log entry 2 is damaged: its checksum does not match."), "{fault}");
        assert!(decode(1, &record[..record.len() - 1]).is_err());
    }
}
