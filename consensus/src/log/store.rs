//! The log as openraft asks for it.

use std::fmt::{self, Debug, Formatter};
use std::io;
use std::ops::{Bound, Range, RangeBounds};
use std::path::Path;
use std::sync::{Arc, OnceLock, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use openraft::OptionalSend;
use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};
use parking_lot::Mutex;
use proto::{MemberId, limits};
use rocksdb::DB;
use tokio::sync::{Notify, mpsc, oneshot};

use super::disk::{Database, Entries, Found, Sizes};
use super::tail::{Tail, Ticket};
use super::thread::{self, Job, Saved};
use crate::cluster::Belonging;
use crate::types::{Entry, LogId, TypeConfig, Vote};
use crate::{Amount, Fault, Observer, runtime};

/// This member's log, and the thread that writes it.
pub(crate) struct Log {
    store: LogStore,
    in_use: Weak<DB>,
    thread: JoinHandle<()>,
    sync_time: Duration,
}

impl Log {
    /// Opens the log in `dir`, or makes one there, which is to have no more than `bytes_max` of entries. Reads all of it.
    ///
    /// # Errors
    /// A [`Fault`] if it is not this member's, or damaged, or has a hole.
    pub(crate) fn open(
        dir: &Path,
        member: MemberId,
        sync_delay: Duration,
        bytes_max: u64,
    ) -> Result<Self, Fault> {
        let (mut database, found) = Database::open(dir, member, sync_delay, Sizes::of_a_log(bytes_max))?;
        let sync_time = database.sync_time(member)?;
        let in_use = database.watch();
        let (store, jobs) = LogStore::new(found, Arc::new(database.clone()));
        let thread = thread::start(database, jobs, store.newest.clone())
            .map_err(|error| Fault::Other(format!("start the log thread: {error}")))?;
        Ok(Self { store, in_use, thread, sync_time })
    }

    /// How long a sync took when the log was opened.
    pub(crate) fn sync_time(&self) -> Duration {
        self.sync_time
    }

    /// The log, as openraft is given it.
    pub(crate) fn store(&self) -> LogStore {
        self.store.clone()
    }

    /// Writes what has gathered and closes the database, when openraft has let go of it: when the one that applies has handed to the
    /// state what others may have seen applied, for which openraft itself does not wait. A state without its ensemble's name could
    /// be opened beside any log. Waits for the disk, and while any [`LogStore`] is there for some seconds.
    pub(crate) fn close(self) {
        let Self { store, in_use, thread, .. } = self;
        // The thread may have stopped by itself, after an error that it told.
        store.jobs.blocking_send(Job::Stop).ok();
        drop(store);
        if thread.join().is_err() {
            tracing::error!("the log thread panicked");
        }
        crate::state::wait_until_closed(&in_use, "log");
    }
}

/// The log, as openraft knows it. Cloning shares it.
#[derive(Clone)]
pub(crate) struct LogStore {
    entries: Arc<dyn Entries>,
    newest: Arc<Newest>,
    known: Arc<Mutex<Known>>,
    belonging: Belonging,
    jobs: mpsc::Sender<Job>,
}

/// The newest entries, and who waits for the disk to catch up with them.
pub(super) struct Newest {
    tail: Mutex<Tail>,
    room: Notify,
    /// That there is more of the log than before.
    grown: Notify,
    /// Who is told how long the disk takes.
    meter: OnceLock<Arc<dyn Observer>>,
}

impl Saved for Newest {
    fn saved(&self, ticket: Ticket) {
        self.tail.lock().saved(ticket);
        self.room.notify_waiters();
    }

    fn synced(&self, took: Duration, entries: usize) {
        if let Some(meter) = self.meter.get() {
            meter.measured(Amount::LogSynced { took, entries });
        }
    }
}

/// The small records, as they were last written or asked to be.
struct Known {
    vote: Option<Vote>,
    committed: Option<LogId>,
    /// Whether this member has not yet caught up with a leader since the log was made.
    new: bool,
    /// Whether it takes the place of one with which this member has voted.
    forgetful: bool,
    /// Whether it had heard enough of the others to follow a leader when this life began.
    heard: bool,
    asked: Ticket,
}

/// Where a log begins. It keeps no database open.
#[derive(Clone)]
pub(crate) struct Front(Arc<Newest>);

impl Front {
    /// Whether what comes behind this entry was not purged.
    pub(crate) fn has_behind(&self, entry: Option<LogId>) -> bool {
        entry.map_or(0, |entry| entry.index() + 1) >= self.0.tail.lock().start()
    }
}

impl Debug for Front {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Front").field(&self.0.tail.lock().start()).finish()
    }
}

impl LogStore {
    /// A log with what was found on disk, and the jobs that its disk is to do.
    pub(super) fn new(found: Found, entries: Arc<dyn Entries>) -> (Self, mpsc::Receiver<Job>) {
        let Found { tail, vote, committed, new, forgetful, heard, cluster } = found;
        let belonging = Belonging::new(cluster);
        belonging.look(tail.entries());
        let (jobs, receiver) = mpsc::channel(limits::LOG_JOBS_PER_SYNC_MAX);
        let newest = Arc::new(Newest {
            tail: Mutex::new(tail),
            room: Notify::new(),
            grown: Notify::new(),
            meter: OnceLock::new(),
        });
        let known = Arc::new(Mutex::new(Known { vote, committed, new, forgetful, heard, asked: 0 }));
        (Self { entries, newest, known, belonging, jobs }, receiver)
    }

    /// The newest entries.
    #[cfg(any(test, simulation))]
    pub(super) fn newest(&self) -> Arc<Newest> {
        self.newest.clone()
    }

    /// The way to the disk.
    #[cfg(any(test, simulation))]
    pub(super) fn jobs(&self) -> mpsc::Sender<Job> {
        self.jobs.clone()
    }

    /// Tells somebody from now on how long the disk takes.
    pub(crate) fn measure_for(&self, meter: Arc<dyn Observer>) {
        // There is one for the life of the log.
        let _ = self.newest.meter.set(meter);
    }

    /// The last entry, or the purge point.
    pub(crate) fn last(&self) -> Option<LogId> {
        self.newest.tail.lock().last()
    }

    /// Up to where entries must go so that half of `bytes_max` stays, if there are more than that.
    pub(crate) fn excess(&self, bytes_max: u64) -> Option<LogId> {
        self.newest.tail.lock().excess(bytes_max)
    }

    /// Returns when it may be time to ask for the [`excess`](Self::excess) again.
    pub(crate) async fn grown(&self) {
        self.newest.grown.notified().await;
    }

    /// Up to where a quorum was known to have acknowledged.
    pub(crate) fn committed(&self) -> Option<LogId> {
        self.known.lock().committed
    }

    /// Whether this member has not yet caught up with a leader since the log was made.
    pub(crate) fn is_new(&self) -> bool {
        self.known.lock().new
    }

    /// Whether this is a new log in the place of one with which this member has voted.
    pub(crate) fn is_forgetful(&self) -> bool {
        let known = self.known.lock();
        known.new && known.forgetful
    }

    /// Where it begins, for those who may be there longer than it.
    pub(crate) fn front(&self) -> Front {
        Front(self.newest.clone())
    }

    /// Whether this member had heard enough of the others to follow a leader when the log was opened.
    pub(crate) fn has_heard(&self) -> bool {
        self.known.lock().heard
    }

    /// This member has heard enough of the others to follow a leader.
    pub(crate) async fn note_heard(&self, forgetful: bool) -> Result<(), io::Error> {
        self.ask(Job::Heard { forgetful }).await
    }

    /// Lets the log go on behind what the state holds, if it has something else there: the state holds only what is committed,
    /// so that is stale. The state may reach the disk first, because what is committed is applied as soon as others have it.
    pub(crate) async fn follow_state(&self, applied: LogId) -> Result<(), io::Error> {
        let (from, last) = {
            let tail = self.newest.tail.lock();
            (tail.start(), tail.last())
        };
        // Openraft takes a log that ends in front of it for one that was purged up to there.
        if last.is_none_or(|last| last.index() < applied.index()) || applied.index() < from {
            return Ok(());
        }
        let here = self.read(applied.index()..applied.index() + 1, usize::MAX).await?;
        if here.first().is_some_and(|entry| entry.log_id == applied) {
            return Ok(());
        }
        tracing::warn!(
            state = %applied, log = last.map(tracing::field::display),
            "the log ends with what was overruled by what the state holds; goes on behind that"
        );
        {
            let mut tail = self.newest.tail.lock();
            tail.truncate(None);
            tail.purge(applied);
        }
        self.ask(Job::Truncate { from: applied.index() }).await?;
        self.ask(Job::Purge { from, upto: applied }).await
    }

    /// This member has caught up with a leader.
    pub(crate) async fn grow_up(&self) -> Result<(), io::Error> {
        self.ask(Job::GrownUp).await?;
        self.known.lock().new = false;
        Ok(())
    }

    /// Which ensemble this is the log of, as far as that is known.
    pub(crate) fn belonging(&self) -> &Belonging {
        &self.belonging
    }

    /// Waits until that is known, and remembers it.
    pub(crate) async fn remember_ensemble(self) {
        let Some(cluster) = self.belonging.learned().await else { return };
        if let Err(error) = self.ask(Job::Belongs(cluster)).await {
            tracing::warn!(%error, ensemble = %cluster, "not remembered, because the log cannot be written");
        }
    }

    /// Looks for the ensemble's name behind what is applied, if it is not known, in front of the newest entries too.
    pub(crate) async fn look_for_ensemble(&self, applied: Option<LogId>) -> Result<(), io::Error> {
        let start = self.newest.tail.lock().start();
        let mut next = applied.map_or(start, |applied| applied.index() + 1);
        while self.belonging.may_be_named_at(next) {
            let entries = self.read(next..u64::MAX, limits::APPEND_BYTES_MAX).await?;
            let Some(last) = entries.last() else { return Ok(()) };
            next = last.log_id.index() + 1;
            self.belonging.look(&entries);
        }
        Ok(())
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
        let (stored, wanted) = (self.entries.clone(), on_disk.clone());
        let mut entries = runtime::blocking(move || stored.read(wanted, bytes_max)).await?;
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

    /// Bounded in bytes, because each answer becomes one message to a follower. Nothing if the first of them were purged
    /// meanwhile: what is behind a hole is no use to anybody. [`Front::has_behind`] says so to who goes on asking.
    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>, io::Error> {
        let entries = self.read(start..end, limits::APPEND_BYTES_MAX).await?;
        let follows = entries.first().is_some_and(|first| first.log_id.index() == start);
        Ok(if follows { entries } else { Vec::new() })
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
        self.belonging.look(&entries);
        // They can be read when this returns, long before they are on disk.
        let has_grown = self.newest.tail.lock().append(entries.iter().cloned(), ticket);
        if has_grown {
            self.newest.grown.notify_one();
        }
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
                biased;
                () = room => {}
                () = self.jobs.closed() => {}
            }
        }
    }
}
