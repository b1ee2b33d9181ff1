//! The log as openraft asks for it.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, Range, RangeBounds};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use openraft::OptionalSend;
use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};
use parking_lot::Mutex;
use proto::{MemberId, limits};
use tokio::sync::{Notify, mpsc, oneshot};

use super::disk::{Database, Found};
use super::tail::{Tail, Ticket};
use super::thread::{self, Job, Saved};
use crate::Fault;
use crate::types::{Entry, LogId, TypeConfig, Vote};

/// This member's log, and the thread that writes it.
pub(crate) struct Log {
    store: LogStore,
    thread: JoinHandle<()>,
}

impl Log {
    /// Opens the log in `dir`, or makes one there. Reads all of it.
    ///
    /// # Errors
    /// A [`Fault`] if it is not this member's, or damaged, or has a hole.
    pub(crate) fn open(dir: &Path, member: MemberId, sync_delay: Duration) -> Result<Self, Fault> {
        let (database, found) = Database::open(dir, member, sync_delay, limits::LOG_CACHE_BYTES_MAX)?;
        let Found { tail, vote, committed, new } = found;
        let (jobs, receiver) = mpsc::channel(limits::LOG_JOBS_PER_SYNC_MAX);
        let newest = Arc::new(Newest { tail: Mutex::new(tail), room: Notify::new() });
        let thread = thread::start(database.clone(), database.clone(), receiver, newest.clone())
            .map_err(|error| Fault::Other(format!("start the log thread: {error}")))?;
        let known = Arc::new(Mutex::new(Known { vote, committed, new, asked: 0 }));
        Ok(Self { store: LogStore { database, newest, known, jobs }, thread })
    }

    /// The log, as openraft is given it.
    pub(crate) fn store(&self) -> LogStore {
        self.store.clone()
    }

    /// Writes what has gathered and closes the database, when openraft has let go of it. Waits for the disk.
    pub(crate) fn close(self) {
        let Self { store, thread } = self;
        let database = store.database.watch();
        // The thread may have stopped by itself, after an error that it told.
        store.jobs.blocking_send(Job::Stop).ok();
        drop(store);
        if thread.join().is_err() {
            tracing::error!("the log thread panicked");
        }
        crate::state::wait_until_closed(&database, "log");
    }
}

/// The log, as openraft knows it. Cloning shares it.
#[derive(Clone)]
pub(crate) struct LogStore {
    database: Database,
    newest: Arc<Newest>,
    known: Arc<Mutex<Known>>,
    jobs: mpsc::Sender<Job>,
}

/// The newest entries, and who waits for the disk to catch up with them.
struct Newest {
    tail: Mutex<Tail>,
    room: Notify,
}

impl Saved for Newest {
    fn saved(&self, ticket: Ticket) {
        self.tail.lock().saved(ticket);
        self.room.notify_waiters();
    }
}

/// The small records, as they were last written or asked to be.
struct Known {
    vote: Option<Vote>,
    committed: Option<LogId>,
    /// Whether this member has not yet caught up with a leader since the log was made.
    new: bool,
    asked: Ticket,
}

impl LogStore {
    /// The last entry, or the purge point.
    pub(crate) fn last(&self) -> Option<LogId> {
        self.newest.tail.lock().last()
    }

    /// Up to where a quorum was known to have acknowledged.
    pub(crate) fn committed(&self) -> Option<LogId> {
        self.known.lock().committed
    }

    /// Whether this member has not yet caught up with a leader since the log was made.
    pub(crate) fn is_new(&self) -> bool {
        self.known.lock().new
    }

    /// This member has caught up with a leader.
    pub(crate) async fn grow_up(&self) -> Result<(), io::Error> {
        self.ask(Job::GrownUp).await
    }

    fn ticket(&self) -> Ticket {
        let mut known = self.known.lock();
        known.asked += 1;
        known.asked
    }

    async fn ask(&self, job: Job) -> Result<(), io::Error> {
        self.jobs.send(job).await.map_err(|_| io::Error::other("the log thread has stopped"))
    }

    async fn read(&self, range: Range<u64>, bytes_max: usize) -> Result<Vec<Entry>, io::Error> {
        let (on_disk, in_memory) = self.newest.tail.lock().read(range, bytes_max);
        if on_disk.is_empty() {
            return Ok(in_memory);
        }
        // The disk may be slow, and this thread drives the elections.
        let database = self.database.clone();
        let wanted = on_disk.clone();
        let mut entries = tokio::task::spawn_blocking(move || database.read(wanted, bytes_max))
            .await
            .map_err(|_| io::Error::other("reading the log was given up"))??;
        // What lies in memory follows only if the disk was read to the end.
        if on_disk.end - on_disk.start == entries.len() as u64 && bytes_max == usize::MAX {
            entries.extend(in_memory);
        }
        Ok(entries)
    }
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: R,
    ) -> Result<Vec<Entry>, io::Error> {
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(start) => start.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(end) => end.saturating_add(1),
            Bound::Excluded(end) => *end,
            Bound::Unbounded => u64::MAX,
        };
        self.read(start..end, usize::MAX).await
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        Ok(self.known.lock().vote)
    }

    /// Bounded in bytes, because each answer becomes one message to a follower.
    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>, io::Error> {
        self.read(start..end, limits::APPEND_BYTES_MAX).await
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, io::Error> {
        let tail = self.newest.tail.lock();
        Ok(LogState { last_purged_log_id: tail.purged(), last_log_id: tail.last() })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        let (saved, receiver) = oneshot::channel();
        self.ask(Job::Vote { vote: *vote, saved }).await?;
        receiver.await.map_err(|_| io::Error::other("the log thread has stopped"))??;
        self.known.lock().vote = Some(*vote);
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), io::Error> {
        self.known.lock().committed = committed;
        self.ask(Job::Committed(committed)).await
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, io::Error> {
        Ok(self.committed())
    }

    async fn append<I>(&mut self, entries: I, flushed: IOFlushed<TypeConfig>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        let ticket = self.ticket();
        // They can be read when this returns, long before they are on disk.
        self.newest.tail.lock().append(entries.iter().cloned(), ticket);
        self.ask(Job::Append { entries, ticket, flushed }).await?;
        self.wait_for_room().await
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> Result<(), io::Error> {
        let from = last.map_or(0, |last| last.index() + 1);
        self.newest.tail.lock().truncate(last);
        self.ask(Job::Truncate { from }).await
    }

    async fn purge(&mut self, upto: LogId) -> Result<(), io::Error> {
        let from = {
            let mut tail = self.newest.tail.lock();
            let from = tail.start();
            tail.purge(upto);
            from
        };
        if from > upto.index() {
            // Asked for a second time.
            return Ok(());
        }
        self.ask(Job::Purge { from, upto }).await
    }
}

impl LogStore {
    /// Entries wait in memory until they are on disk. A disk that cannot follow must be felt here, or it would be
    /// felt as a lack of memory.
    async fn wait_for_room(&self) -> Result<(), io::Error> {
        loop {
            let room = self.newest.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            if self.newest.tail.lock().unsaved_bytes() <= limits::LOG_CACHE_BYTES_MAX {
                return Ok(());
            }
            if self.jobs.is_closed() {
                return Err(io::Error::other("the log thread has stopped"));
            }
            tokio::select! {
                () = room => {}
                () = self.jobs.closed() => {}
            }
        }
    }
}
