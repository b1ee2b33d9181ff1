//! The thread that writes the state behind the world, and what is asked of it.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use futures_util::future::BoxFuture;
use machine::{Key, Machine, Record};
use parking_lot::{Mutex, RwLock};
use proto::{image, limits};
use tokio::sync::{Mutex as AsyncMutex, mpsc, oneshot, watch};
use tracing::error;

use super::behind::{Behind, Changes};
use super::database::{Batch, Database, Progress};
use super::directory::Directory;
use super::kept::{Incoming, Kept, Pinned, Promise};
use super::pin::PinOnDisk;
use crate::Fault;
use crate::types::LogId;

/// This member's state on disk.
pub(super) struct OnDisk {
    shared: Arc<Shared>,
}

struct Shared {
    directory: Directory,
    current: Current,
    /// Held while something is handed to the thread, so that it gets all in the order of the log.
    behind: AsyncMutex<Behind>,
    jobs: mpsc::Sender<Job>,
    written: watch::Receiver<Option<LogId>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// The database that counts; `None` when it was closed, whoever still holds the store.
type Current = Arc<RwLock<Option<Arc<Database>>>>;

enum Job {
    Write { changes: Changes, progress: Progress },
    Replace { database: Arc<Database>, applied: Option<LogId> },
    Pin(oneshot::Sender<Result<Arc<dyn Pinned>, Fault>>),
    Stop,
}

impl OnDisk {
    /// Opens the state in `root`, or makes an empty world there. Reads all of it.
    ///
    /// # Errors
    /// A [`Fault`] if what is there cannot be trusted.
    pub(super) fn open(root: &Path) -> Result<(Self, Machine, Progress), Fault> {
        let (directory, database) = Directory::open(root)?;
        let (machine, progress) = database.load()?;
        let current = Arc::new(RwLock::new(Some(Arc::new(database))));
        let (jobs, receiver) = mpsc::channel(limits::PERSIST_BATCHES_MAX);
        let (written, progress_of_thread) = watch::channel(progress.applied);
        let writer = Writer { current: current.clone(), jobs: receiver, written };
        let thread = std::thread::Builder::new()
            .name("state".to_owned())
            .spawn(move || writer.run())
            .map_err(|error| Fault::Other(format!("start the state thread: {error}")))?;
        let shared = Shared {
            directory,
            current,
            behind: AsyncMutex::default(),
            jobs,
            written: progress_of_thread,
            thread: Mutex::new(Some(thread)),
        };
        Ok((Self { shared: Arc::new(shared) }, machine, progress))
    }
}

impl Shared {
    /// Hands over what waits.
    async fn hand_over(&self, behind: &mut Behind) -> Result<(), Fault> {
        match behind.take() {
            Some((changes, progress)) => self.send(Job::Write { changes, progress }).await,
            None => Ok(()),
        }
    }

    async fn send(&self, job: Job) -> Result<(), Fault> {
        self.jobs.send(job).await.map_err(|_| stopped())
    }
}

impl Kept for OnDisk {
    fn write(&self, changes: Changes, progress: Progress) -> BoxFuture<'_, Result<(), Fault>> {
        Box::pin(async move {
            let mut behind = self.shared.behind.lock().await;
            behind.add(changes, progress);
            if behind.is_due() {
                self.shared.hand_over(&mut behind).await?;
            }
            Ok(())
        })
    }

    fn written(&self, applied: Option<LogId>) -> BoxFuture<'_, Result<(), Fault>> {
        let mut written = self.shared.written.clone();
        Box::pin(async move {
            self.shared.hand_over(&mut *self.shared.behind.lock().await).await?;
            written.wait_for(|written| *written >= applied).await.map(drop).map_err(|_| stopped())
        })
    }

    fn pin(&self) -> BoxFuture<'_, Result<Arc<dyn Pinned>, Fault>> {
        let current = self.shared.current.read().clone();
        Box::pin(async move {
            let pinned = PinOnDisk::new(current.ok_or_else(stopped)?).await?;
            Ok(Arc::new(pinned) as Arc<dyn Pinned>)
        })
    }

    fn pin_behind(&self) -> BoxFuture<'_, Result<Promise, Fault>> {
        Box::pin(async move {
            let (pinned, promise) = oneshot::channel();
            let mut behind = self.shared.behind.lock().await;
            self.shared.hand_over(&mut behind).await?;
            self.shared.send(Job::Pin(pinned)).await?;
            Ok(promise)
        })
    }

    fn incoming(&self) -> Result<Box<dyn Incoming>, Fault> {
        let database = self.shared.directory.incoming()?;
        Ok(Box::new(Received { database, shared: self.shared.clone() }))
    }

    fn close(&self) {
        // The thread may have stopped by itself, after an error that it told.
        if let Some((changes, progress)) = self.shared.behind.blocking_lock().take() {
            self.shared.jobs.blocking_send(Job::Write { changes, progress }).ok();
        }
        self.shared.jobs.blocking_send(Job::Stop).ok();
        if let Some(thread) = self.shared.thread.lock().take()
            && thread.join().is_err()
        {
            error!("the state thread panicked");
        }
        if let Some(database) = self.shared.current.write().take() {
            let weak = Arc::downgrade(&database);
            drop(database);
            super::wait_until_closed(&weak, "state");
        }
    }
}

/// A state that comes from another member, beside the one in use.
struct Received {
    database: Database,
    shared: Arc<Shared>,
}

impl Incoming for Received {
    fn write(&mut self, records: &[image::Record]) -> Result<(), Fault> {
        self.database.write_records(records)
    }

    fn finish(&mut self) -> Result<Progress, Fault> {
        self.database.check_format()?;
        self.database.flush()?;
        self.database.pin().progress()
    }

    fn install(self: Box<Self>) -> Result<(Machine, Progress), Fault> {
        let Self { database, shared } = *self;
        let (machine, progress) = database.load()?;
        let database = Arc::new(database);
        shared.directory.choose(&database)?;
        database.keep();
        // What waits led on from the old one.
        let mut behind = shared.behind.blocking_lock();
        *behind = Behind::default();
        let job = Job::Replace { database, applied: progress.applied };
        shared.jobs.blocking_send(job).map_err(|_| stopped())?;
        drop(behind);
        Ok((machine, progress))
    }
}

struct Writer {
    current: Current,
    jobs: mpsc::Receiver<Job>,
    written: watch::Sender<Option<LogId>>,
}

impl Writer {
    /// Ends when it is told to stop, when nobody can ask it for anything any more, or at the first error.
    fn run(mut self) {
        let mut next = self.jobs.blocking_recv();
        while let Some(job) = next {
            next = match job {
                Job::Write { changes, progress } => match self.write(&changes, progress) {
                    Ok(in_the_way) => in_the_way,
                    Err(fault) => {
                        // What was applied stays in the log until it is in the state, so nothing is lost.
                        error!(%fault, "the state cannot be written: this member stops");
                        return;
                    }
                },
                Job::Replace { database, applied } => {
                    self.replace(database, applied);
                    None
                }
                Job::Pin(pinned) => {
                    // Whoever asked may have gone.
                    pinned.send(self.pin()).ok();
                    None
                }
                Job::Stop => return self.flush(),
            }
            .or_else(|| self.jobs.blocking_recv());
        }
    }

    /// Writes this and what has gathered behind it, in one. Returns the job of another kind that ended the gathering.
    fn write(&mut self, changes: &[(Key, Option<Record>)], progress: Progress) -> Result<Option<Job>, Fault> {
        let mut batch = Batch::default();
        let mut records = changes.len();
        let mut last = progress;
        batch.add(changes);
        let mut in_the_way = None;
        while records < limits::PERSIST_RECORDS_PER_WRITE_MAX
            && batch.bytes() < limits::PERSIST_BYTES_PER_WRITE_MAX
        {
            match self.jobs.try_recv() {
                Ok(Job::Write { changes, progress }) => {
                    records += changes.len();
                    batch.add(&changes);
                    last = progress;
                }
                Ok(other) => {
                    in_the_way = Some(other);
                    break;
                }
                Err(_) => break,
            }
        }
        self.current.read().as_ref().ok_or_else(stopped)?.write(batch, &last)?;
        self.written.send_replace(last.applied);
        Ok(in_the_way)
    }

    fn replace(&self, database: Arc<Database>, applied: Option<LogId>) {
        if let Some(old) = self.current.write().replace(database) {
            old.doom();
        }
        self.written.send_replace(applied);
    }

    fn pin(&self) -> Result<Arc<dyn Pinned>, Fault> {
        let current = self.current.read().clone().ok_or_else(stopped)?;
        Ok(Arc::new(PinOnDisk::new_blocking(current)?))
    }

    fn flush(&self) {
        let flushed = self.current.read().as_ref().map_or(Ok(()), |database| database.flush());
        if let Err(fault) = flushed {
            error!(%fault, "the state was not made safe; the next start takes it from the log");
        }
    }
}

fn stopped() -> Fault {
    Fault::Other("the state thread has stopped".to_owned())
}
