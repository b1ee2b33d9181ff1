//! The thread that writes the state behind the world, and what is asked of it.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use machine::{Key, Machine, Record};
use parking_lot::{Mutex, RwLock};
use proto::limits;
use tokio::sync::{mpsc, watch};
use tracing::error;

use super::database::{Batch, Database, Progress};
use super::directory::{Directory, Incoming};
use crate::Fault;
use crate::types::LogId;

/// This member's state on disk. Cloning shares it.
#[derive(Clone)]
pub(crate) struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    directory: Directory,
    current: Current,
    jobs: mpsc::Sender<Job>,
    written: watch::Receiver<Option<LogId>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// The database that counts; `None` when it was closed, whoever still holds the store.
type Current = Arc<RwLock<Option<Arc<Database>>>>;

enum Job {
    Write { changes: Vec<(Key, Option<Record>)>, progress: Progress },
    Replace { database: Arc<Database>, applied: Option<LogId> },
    Stop,
}

impl Store {
    /// Opens the state in `root`, or makes an empty world there. Reads all of it.
    ///
    /// # Errors
    /// A [`Fault`] if what is there cannot be trusted.
    pub(crate) fn open(root: &Path) -> Result<(Self, Machine, Progress), Fault> {
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
            jobs,
            written: progress_of_thread,
            thread: Mutex::new(Some(thread)),
        };
        Ok((Self { shared: Arc::new(shared) }, machine, progress))
    }

    /// Hands over what one or more entries changed, and how far in the log that leads. Waits only if the disk is far
    /// behind.
    pub(crate) async fn write(
        &self,
        changes: Vec<(Key, Option<Record>)>,
        progress: Progress,
    ) -> Result<(), Fault> {
        self.ask(Job::Write { changes, progress }).await
    }

    /// Waits until everything up to `applied` was written.
    pub(crate) async fn written(&self, applied: Option<LogId>) -> Result<(), Fault> {
        let mut written = self.shared.written.clone();
        written.wait_for(|written| *written >= applied).await.map(drop).map_err(|_| stopped())
    }

    /// The database that counts now.
    pub(crate) fn database(&self) -> Result<Arc<Database>, Fault> {
        self.shared.current.read().clone().ok_or_else(stopped)
    }

    /// Makes room for a state that comes from another member. Waits for the disk.
    pub(crate) fn incoming(&self) -> Result<Incoming, Fault> {
        self.shared.directory.incoming()
    }

    /// Puts a whole state in the place of this one: safe on disk when this returns, and loaded. Waits for the disk.
    pub(crate) fn install(&self, incoming: Incoming) -> Result<(Machine, Progress), Fault> {
        let (machine, progress) = incoming.database.load()?;
        let database = Arc::new(incoming.database);
        self.shared.directory.choose(&database)?;
        database.keep();
        let job = Job::Replace { database, applied: progress.applied };
        self.shared.jobs.blocking_send(job).map_err(|_| stopped())?;
        Ok((machine, progress))
    }

    /// Writes what has gathered, makes it safe and closes the database, when everybody has let go of it. Waits for
    /// the disk.
    pub(crate) fn close(&self) {
        // The thread may have stopped by itself, after an error that it told.
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

    async fn ask(&self, job: Job) -> Result<(), Fault> {
        self.shared.jobs.send(job).await.map_err(|_| stopped())
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
        while records < limits::PERSIST_RECORDS_PER_WRITE_MAX {
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
