//! A snapshot that comes in piece by piece.

use bytes::Bytes;
use prost::Message;
use proto::image;

use crate::Fault;
use crate::snapshot::{Checksum, SnapshotHandle};
use crate::state::{Incoming, Store};
use crate::types::SnapshotMeta;

/// Writes what comes in beside the state in use. What is not finished is removed when this is dropped.
pub(crate) struct SnapshotReceiver {
    meta: SnapshotMeta,
    incoming: Box<dyn Incoming>,
    checksum: Checksum,
}

impl SnapshotReceiver {
    /// Makes room for a snapshot. Waits for the disk, as do `push` and `finish`: call them where that is allowed
    /// (`tokio::task::spawn_blocking` or `block_in_place`).
    pub(crate) fn new(store: &Store, meta: SnapshotMeta) -> Result<Self, Fault> {
        Ok(Self { meta, incoming: store.incoming()?, checksum: Checksum::default() })
    }

    /// Takes the next piece.
    pub(crate) fn push(&mut self, piece: Bytes) -> Result<(), Fault> {
        self.checksum.add(&piece);
        let piece = image::Piece::decode(piece)
            .map_err(|error| Fault::Other(format!("a piece of a snapshot does not parse: {error}")))?;
        self.incoming.write(&piece.records)
    }

    /// Checks that everything has come, and makes it firm. `bytes` and `crc` are those of the sender's `Checksum`.
    pub(crate) fn finish(mut self, bytes: u64, crc: u32) -> Result<SnapshotHandle, Fault> {
        if self.checksum.get() != (bytes, crc) {
            return Err(Fault::Other("a snapshot has come in damaged or cut short".to_owned()));
        }
        let progress = self.incoming.finish()?;
        if progress.meta() != self.meta {
            return Err(Fault::Other("a snapshot is not the one that was announced".to_owned()));
        }
        Ok(SnapshotHandle::received(self.meta, self.incoming))
    }
}
