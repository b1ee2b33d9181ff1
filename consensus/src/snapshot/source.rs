//! A snapshot that can be read while the world goes on.

use std::fmt;
use std::sync::{Arc, mpsc as thread_mpsc};

use bytes::Bytes;
use parking_lot::Mutex;
use prost::Message;
use proto::{image, limits};
use tokio::sync::{mpsc, oneshot};

use crate::Fault;
use crate::state::{Database, Incoming, Pin};
use crate::types::SnapshotMeta;

/// A snapshot, held until this is dropped: either of this member's own state, or received from another.
#[derive(Clone)]
pub(crate) struct SnapshotHandle {
    meta: SnapshotMeta,
    source: Source,
}

#[derive(Clone)]
enum Source {
    /// Whoever wants the records asks the thread that holds the pin.
    Pinned(thread_mpsc::Sender<Reader>),
    Received(Arc<Mutex<Option<Incoming>>>),
}

/// Takes the pieces of a snapshot.
type Reader = mpsc::Sender<Result<Bytes, Fault>>;

impl SnapshotHandle {
    /// Pins the state as it is now.
    pub(crate) async fn pin(database: Arc<Database>) -> Result<Self, Fault> {
        let (requests, receiver) = thread_mpsc::channel();
        let (pinned, answer) = oneshot::channel();
        // RocksDB's pin borrows the database, so it lives on the stack of a thread. A thread is cheap beside a snapshot.
        std::thread::Builder::new()
            .name("snapshot".to_owned())
            .spawn(move || hold(&database, pinned, &receiver))
            .map_err(|error| Fault::Other(format!("start a snapshot thread: {error}")))?;
        let meta = answer.await.map_err(|_| Fault::Other("a snapshot thread died".to_owned()))??;
        Ok(Self { meta, source: Source::Pinned(requests) })
    }

    /// A snapshot that has come in whole.
    pub(super) fn received(meta: SnapshotMeta, incoming: Incoming) -> Self {
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
            Source::Pinned(requests) => {
                // A thread that is gone drops the reader, and a snapshot without its end is seen to be cut short.
                requests.send(reader).ok();
            }
            Source::Received(_) => {
                let fault = Fault::Other("a snapshot that was received is installed, not sent on".to_owned());
                reader.try_send(Err(fault)).ok();
            }
        }
        pieces
    }

    /// What was received, if that is what this is, and it was not taken before.
    pub(crate) fn take_received(&self) -> Option<Incoming> {
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

/// Holds the pin until nobody can ask for its records any more.
fn hold(
    database: &Database,
    pinned: oneshot::Sender<Result<SnapshotMeta, Fault>>,
    requests: &thread_mpsc::Receiver<Reader>,
) {
    let pin = database.pin();
    if pinned.send(pin.progress().map(|progress| progress.meta())).is_err() {
        return;
    }
    while let Ok(reader) = requests.recv() {
        // A reader that went away is no fault, and whatever else went wrong it was told.
        send(&pin, &reader).ok();
    }
}

struct Gone;

fn send(pin: &Pin<'_>, reader: &Reader) -> Result<(), Gone> {
    let send = |piece| reader.blocking_send(piece).map_err(|_| Gone);
    let mut piece = image::Piece::default();
    let mut bytes = 0;
    for record in pin.records() {
        let record = match record {
            Ok(record) => record,
            Err(fault) => return send(Err(fault)),
        };
        bytes += record.key.len() + record.value.len();
        piece.records.push(record);
        if bytes >= limits::SNAPSHOT_CHUNK_BYTES {
            send(Ok(std::mem::take(&mut piece).encode_to_vec().into()))?;
            bytes = 0;
        }
    }
    if piece.records.is_empty() { Ok(()) } else { send(Ok(piece.encode_to_vec().into())) }
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
