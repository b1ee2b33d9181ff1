//! A snapshot that can be read while the world goes on.

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::Fault;
use crate::types::SnapshotMeta;

/// A snapshot, held until this is dropped: either of this member's own state, or received from another.
#[derive(Clone, Debug)]
pub(crate) struct SnapshotHandle {
    meta: SnapshotMeta,
}

#[expect(clippy::unimplemented, reason = "signatures first")]
impl SnapshotHandle {
    /// Where in the log it stands.
    pub(crate) fn meta(&self) -> &SnapshotMeta {
        &self.meta
    }

    /// Its bytes, in pieces of about `limits::SNAPSHOT_CHUNK_BYTES`, read as they are taken. An error ends them.
    pub(crate) fn chunks(&self) -> mpsc::Receiver<Result<Bytes, Fault>> {
        unimplemented!()
    }
}

/// What the two ends of a snapshot compare when all of it has passed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Checksum {
    crc: crc32fast::Hasher,
    bytes: u64,
}

impl Checksum {
    /// Adds a piece.
    pub(crate) fn add(&mut self, piece: &[u8]) {
        self.crc.update(piece);
        self.bytes += piece.len() as u64;
    }

    /// Bytes so far, and their CRC-32.
    pub(crate) fn get(&self) -> (u64, u32) {
        (self.bytes, self.crc.clone().finalize())
    }
}
