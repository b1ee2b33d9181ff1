//! A pinned state on disk, which can be read while the world goes on.

use std::sync::{Arc, mpsc as thread_mpsc};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use prost::Message;
use proto::{image, limits};
use tokio::sync::oneshot;

use super::database::{Database, Progress};
use super::kept::{Pinned, Reader};
use crate::{Fault, runtime};

/// A pin, and the thread that holds it.
pub(super) struct PinOnDisk {
    database: Arc<Database>,
    progress: Progress,
    /// Whoever wants the records asks the thread that holds the pin.
    requests: thread_mpsc::Sender<Reader>,
}

impl PinOnDisk {
    /// Pins the state as it is now.
    pub(super) async fn new(database: Arc<Database>) -> Result<Self, Fault> {
        let (requests, answer) = begin(&database)?;
        let progress = answer.await.map_err(|_| died())??;
        Ok(Self { database, progress, requests })
    }

    /// The same on a thread that may wait.
    pub(super) fn new_blocking(database: Arc<Database>) -> Result<Self, Fault> {
        let (requests, answer) = begin(&database)?;
        let progress = answer.blocking_recv().map_err(|_| died())??;
        Ok(Self { database, progress, requests })
    }
}

type Pinning = (thread_mpsc::Sender<Reader>, oneshot::Receiver<Result<Progress, Fault>>);

fn begin(database: &Arc<Database>) -> Result<Pinning, Fault> {
    let (requests, receiver) = thread_mpsc::channel();
    let (pinned, answer) = oneshot::channel();
    // RocksDB's pin borrows the database, so it lives on the stack of a thread. A thread is cheap beside a snapshot.
    let held = database.clone();
    std::thread::Builder::new()
        .name("snapshot".to_owned())
        .spawn(move || hold(&held, pinned, &receiver))
        .map_err(|error| Fault::Other(format!("start a snapshot thread: {error}")))?;
    Ok((requests, answer))
}

fn died() -> Fault {
    Fault::Other("a snapshot thread died".to_owned())
}

impl Pinned for PinOnDisk {
    fn progress(&self) -> &Progress {
        &self.progress
    }

    fn send_to(&self, reader: Reader) {
        // A thread that is gone drops the reader, and a snapshot without its end is seen to be cut short.
        self.requests.send(reader).ok();
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), Fault>> {
        let database = self.database.clone();
        Box::pin(runtime::blocking(move || database.flush()))
    }
}

/// Holds the pin until nobody can ask for its records any more.
fn hold(
    database: &Database,
    pinned: oneshot::Sender<Result<Progress, Fault>>,
    requests: &thread_mpsc::Receiver<Reader>,
) {
    let pin = database.pin();
    if pinned.send(pin.progress()).is_err() {
        return;
    }
    while let Ok(reader) = requests.recv() {
        // A reader that went away is no fault, and whatever else went wrong it was told.
        send(pin.records(), |piece| reader.blocking_send(piece).map_err(|_| Gone)).ok();
    }
}

/// The reader went away.
pub(super) struct Gone;

/// Packs records into pieces, and passes these on; an error is the last.
pub(super) fn send(
    records: impl Iterator<Item = Result<image::Record, Fault>>,
    mut send: impl FnMut(Result<Bytes, Fault>) -> Result<(), Gone>,
) -> Result<(), Gone> {
    let mut piece = image::Piece::default();
    let mut bytes = 0;
    for record in records {
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
