//! A snapshot that can be read while the world goes on.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use proto::limits;
use tokio::sync::mpsc;

use crate::Fault;
use crate::state::{Incoming, Pinned, Store};
use crate::types::SnapshotMeta;

/// A snapshot, held until this is dropped: either of this member's own state, or received from another.
#[derive(Clone)]
pub(crate) struct SnapshotHandle {
    meta: SnapshotMeta,
    source: Source,
}

#[derive(Clone)]
enum Source {
    Pinned(Arc<dyn Pinned>),
    Received(Arc<Mutex<Option<Box<dyn Incoming>>>>),
}

impl SnapshotHandle {
    /// Pins the state as it is now.
    pub(crate) async fn pin(store: &Store) -> Result<Self, Fault> {
        let pinned = store.pin().await?;
        Ok(Self { meta: pinned.progress().meta(), source: Source::Pinned(pinned) })
    }

    /// Makes safe what it holds, so that it may leave the log.
    pub(crate) async fn flush(&self) -> Result<(), Fault> {
        match &self.source {
            Source::Pinned(pinned) => pinned.flush().await,
            // What was received was made safe when all of it had come.
            Source::Received(_) => Ok(()),
        }
    }

    /// A snapshot that has come in whole.
    pub(super) fn received(meta: SnapshotMeta, incoming: Box<dyn Incoming>) -> Self {
        Self { meta, source: Source::Received(Arc::new(Mutex::new(Some(incoming)))) }
    }

    /// Where in the log it stands.
    pub(crate) fn meta(&self) -> &SnapshotMeta {
        &self.meta
    }

    /// Its bytes, in pieces of about `limits::SNAPSHOT_CHUNK_BYTES`, read as they are taken. An error ends them.
    pub(crate) fn chunks(&self) -> mpsc::Receiver<Result<Bytes, Fault>> {
        let (reader, pieces) = mpsc::channel(limits::SNAPSHOT_CHUNKS_AHEAD_MAX);
        match &self.source {
            Source::Pinned(pinned) => pinned.send_to(reader),
            Source::Received(_) => {
                let fault = Fault::Other("a snapshot that was received is installed, not sent on".to_owned());
                reader.try_send(Err(fault)).ok();
            }
        }
        pieces
    }

    /// What was received, if that is what this is, and it was not taken before.
    pub(crate) fn take_received(&self) -> Option<Box<dyn Incoming>> {
        match &self.source {
            Source::Pinned(_) => None,
            Source::Received(incoming) => incoming.lock().take(),
        }
    }
}

impl fmt::Debug for SnapshotHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "snapshot {}", self.meta)
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
