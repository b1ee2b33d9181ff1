//! What is asked of a state that is written behind the world: of the one on disk, or in tests of one that is simulated.

use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use machine::{Key, Machine, Record};
use proto::image;
use tokio::sync::{mpsc, oneshot};

use super::database::Progress;
use super::store::OnDisk;
use crate::Fault;
use crate::types::LogId;

/// This member's state, apart from the world itself. Cloning shares it.
#[derive(Clone)]
pub(crate) struct Store(Arc<dyn Kept>);

impl Store {
    /// A state that is kept elsewhere.
    #[cfg(any(test, simulation))]
    pub(crate) fn over(kept: Arc<dyn Kept>) -> Self {
        Self(kept)
    }

    /// Opens the state in `root`, or makes an empty world there. Reads all of it.
    ///
    /// # Errors
    /// A [`Fault`] if what is there cannot be trusted.
    pub(crate) fn open(root: &Path) -> Result<(Self, Machine, Progress), Fault> {
        let (kept, machine, progress) = OnDisk::open(root)?;
        Ok((Self(Arc::new(kept)), machine, progress))
    }
}

impl Deref for Store {
    type Target = dyn Kept;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

/// A state that is written behind the world.
pub(crate) trait Kept: Send + Sync + 'static {
    /// Hands over what one or more entries changed, and how far in the log that leads. It may be kept for a while before it is
    /// written. Waits only if the disk is far behind.
    fn write(
        &self,
        changes: Vec<(Key, Option<Record>)>,
        progress: Progress,
    ) -> BoxFuture<'_, Result<(), Fault>>;

    /// Waits until everything up to `applied` was written.
    fn written(&self, applied: Option<LogId>) -> BoxFuture<'_, Result<(), Fault>>;

    /// Pins the state as it is now, whatever is written later.
    fn pin(&self) -> BoxFuture<'_, Result<Arc<dyn Pinned>, Fault>>;

    /// Asks for the state as it is behind everything that was handed over so far and in front of what will be, and does
    /// not wait for it.
    fn pin_behind(&self) -> BoxFuture<'_, Result<Promise, Fault>>;

    /// Makes room for a state that comes from another member. Waits for the disk.
    fn incoming(&self) -> Result<Box<dyn Incoming>, Fault>;

    /// Writes what has gathered, makes it safe and closes the state, when everybody has let go of it. Waits for the
    /// disk.
    fn close(&self);
}

/// A state that will be pinned; nothing comes if it was closed before.
pub(crate) type Promise = oneshot::Receiver<Result<Arc<dyn Pinned>, Fault>>;

/// Takes the pieces of a snapshot.
pub(crate) type Reader = mpsc::Sender<Result<Bytes, Fault>>;

/// A state as it was at one moment, held until this is dropped.
pub(crate) trait Pinned: Send + Sync + 'static {
    /// How far in the log it had come.
    fn progress(&self) -> &Progress;

    /// Sends its bytes, in pieces of about `limits::SNAPSHOT_CHUNK_BYTES`, as they are taken. An error ends them, and a
    /// reader that went away is none.
    fn send_to(&self, reader: Reader);

    /// Makes safe what it holds.
    fn flush(&self) -> BoxFuture<'_, Result<(), Fault>>;
}

/// A state that comes from another member. It is removed when this is dropped before it was installed. All of it waits
/// for the disk.
pub(crate) trait Incoming: Send + 'static {
    /// Takes records as they lie in the other member's state.
    fn write(&mut self, records: &[image::Record]) -> Result<(), Fault>;

    /// How far in the log it has come; known when everything is there. Makes what is there safe.
    fn finish(&mut self) -> Result<Progress, Fault>;

    /// Puts it in the place of this member's own: safe when this returns, and loaded.
    fn install(self: Box<Self>) -> Result<(Machine, Progress), Fault>;
}
