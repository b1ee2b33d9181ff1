//! A snapshot that comes in piece by piece.

use bytes::Bytes;

use crate::Fault;
use crate::snapshot::SnapshotHandle;
use crate::state::Store;
use crate::types::SnapshotMeta;

/// Writes what comes in beside the state in use. What is not finished is removed when this is dropped.
pub(crate) struct SnapshotReceiver {}

#[expect(clippy::unimplemented, reason = "signatures first")]
impl SnapshotReceiver {
    /// Makes room for a snapshot. Waits for the disk, as do `push` and `finish`: call them where that is allowed
    /// (`tokio::task::spawn_blocking` or `block_in_place`).
    pub(crate) fn new(_store: &Store, _meta: SnapshotMeta) -> Result<Self, Fault> {
        unimplemented!()
    }

    /// Takes the next piece.
    pub(crate) fn push(&mut self, _piece: Bytes) -> Result<(), Fault> {
        unimplemented!()
    }

    /// Checks that everything has come, and makes it firm. `bytes` and `crc` are those of the sender's `Checksum`.
    pub(crate) fn finish(self, _bytes: u64, _crc: u32) -> Result<SnapshotHandle, Fault> {
        unimplemented!()
    }
}
