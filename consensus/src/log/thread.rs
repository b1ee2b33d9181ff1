//! The thread that puts the log on disk: one synced write for all that has gathered.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use openraft::storage::IOFlushed;
use prost::Message;
use proto::{ClusterId, limits};
use tokio::sync::{mpsc, oneshot};
use tracing::error;

use super::changes::Changes;
use super::disk::Disk;
use super::keys;
use super::record;
use super::tail::Ticket;
use crate::types::{Entry, LogId, TypeConfig, Vote};
use crate::{Fault, wire};

/// What is to be put on disk, in this order and no other: a vote before the entries of its term, a truncation before
/// the entries that take the place of the old ones, entries before the word that they are committed.
pub(super) enum Job {
    Append { entries: Vec<Entry>, ticket: Ticket, flushed: IOFlushed<TypeConfig> },
    Vote { vote: Vote, saved: oneshot::Sender<Result<(), io::Error>> },
    Committed(Option<LogId>),
    Heard { forgetful: bool },
    GrownUp,
    Belongs(ClusterId),
    Truncate { from: u64 },
    Purge { from: u64, upto: LogId },
    Stop,
}

/// Who is told how far the log on disk has come: the ticket of the last append that is there.
pub(super) trait Saved: Send + 'static {
    fn saved(&self, ticket: Ticket);

    /// A synced write of so many entries took so long.
    fn synced(&self, _took: Duration, _entries: usize) {}
}

/// Starts the thread. It ends when it is told to stop, when nobody can ask it for anything any more, or at the first
/// error: what a failed write or sync left behind is unknown, so nothing is tried after it.
pub(super) fn start<D: Disk>(
    disk: D,
    jobs: mpsc::Receiver<Job>,
    saved: impl Saved,
) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("log".to_owned()).spawn(move || Writer { disk, jobs, saved }.run())
}

pub(super) struct Writer<D, S> {
    pub(super) disk: D,
    pub(super) jobs: mpsc::Receiver<Job>,
    pub(super) saved: S,
}

/// Who waits for a write.
enum Waiting {
    Entries(IOFlushed<TypeConfig>),
    Vote(oneshot::Sender<Result<(), io::Error>>),
}

/// What goes to the disk in one write.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) batch: Changes,
    waiting: Vec<Waiting>,
    jobs: usize,
    bytes: usize,
    entries: usize,
    /// The last append among them.
    appended: Option<Ticket>,
    sync: bool,
    purged: Option<u64>,
    pub(super) stop: bool,
}

impl<D: Disk, S: Saved> Writer<D, S> {
    fn run(mut self) {
        while let Some(first) = self.jobs.blocking_recv() {
            let gathered = self.gather(first);
            let stop = gathered.stop;
            if let Err(fault) = self.write(gathered) {
                error!(%fault, "the log cannot be written: this member stops, so that it acknowledges nothing that it does not have");
                self.refuse_the_rest(&fault);
                return;
            }
            if stop {
                return;
            }
        }
    }

    /// Takes what waits behind `first`, as much as goes into one write.
    pub(super) fn gather(&mut self, first: Job) -> Gathered {
        let mut gathered = Gathered::default();
        let mut next = Some(first);
        while let Some(job) = next {
            Self::add(job, &mut gathered);
            let full = gathered.jobs >= limits::LOG_JOBS_PER_SYNC_MAX
                || gathered.bytes >= limits::LOG_BYTES_PER_SYNC_MAX;
            next = if full || gathered.stop { None } else { self.jobs.try_recv().ok() };
        }
        gathered
    }

    fn add(job: Job, gathered: &mut Gathered) {
        gathered.jobs += 1;
        match job {
            Job::Append { entries, ticket, flushed } => {
                gathered.appended = Some(ticket);
                gathered.batch.put_entries(&entries);
                gathered.entries += entries.len();
                gathered.bytes += entries.iter().map(record::size).sum::<usize>();
                gathered.waiting.push(Waiting::Entries(flushed));
                gathered.sync = true;
            }
            Job::Vote { vote, saved } => {
                gathered.batch.put(&keys::VOTE_KEY, wire::vote(&vote).encode_to_vec());
                gathered.waiting.push(Waiting::Vote(saved));
                gathered.sync = true;
            }
            // Needs no sync of its own: if it is lost, the leader tells it again.
            Job::Committed(Some(committed)) => {
                gathered.batch.put(&keys::COMMITTED_KEY, wire::position(&committed).encode_to_vec());
            }
            // Whatever is acknowledged because of it is synced behind it.
            Job::Heard { forgetful } => {
                let how = if forgetful { keys::NEW_FORGETFUL } else { 0 };
                gathered.batch.put(&keys::NEW_KEY, [how | keys::NEW_HEARD]);
            }
            // If this is lost the member only has to catch up again.
            Job::GrownUp => gathered.batch.delete(&keys::NEW_KEY),
            // If this is lost it is read in the log or the state again.
            Job::Belongs(cluster) => gathered.batch.put(&keys::CLUSTER_KEY, cluster.get().to_be_bytes()),
            Job::Committed(None) => gathered.batch.delete(&keys::COMMITTED_KEY),
            Job::Truncate { from } => gathered.batch.delete_entries(from, None),
            Job::Purge { from, upto } => {
                gathered.batch.put(&keys::PURGED_KEY, wire::position(&upto).encode_to_vec());
                gathered.batch.delete_entries(from, Some(upto.index() + 1));
                // Files are dropped behind the database's own log: were the purge point not on disk by then, the
                // next start would find a hole.
                gathered.sync = true;
                gathered.purged = Some(upto.index());
            }
            Job::Stop => gathered.stop = true,
        }
    }

    /// Writes it, and tells who waits for it.
    pub(super) fn write(&mut self, gathered: Gathered) -> Result<(), Fault> {
        let Gathered { batch, waiting, appended, sync, purged, stop, entries, .. } = gathered;
        let begun = Instant::now();
        // At the end the last word on what is committed is made firm too.
        if let Err(fault) = self.disk.write(batch, sync || stop) {
            for waiting in waiting {
                waiting.tell(Err(io::Error::other(fault.to_string())));
            }
            return Err(fault);
        }
        if entries > 0 {
            self.saved.synced(begun.elapsed(), entries);
        }
        if let Some(ticket) = appended {
            self.saved.saved(ticket);
        }
        for waiting in waiting {
            waiting.tell(Ok(()));
        }
        match purged {
            Some(upto) => self.disk.free(upto),
            None => Ok(()),
        }
    }

    /// Answers whoever asks for anything more.
    pub(super) fn refuse_the_rest(&mut self, fault: &Fault) {
        self.jobs.close();
        while let Some(job) = self.jobs.blocking_recv() {
            job.refuse(fault);
        }
    }
}

impl Job {
    /// Answers whoever asked for it, if he waits for that.
    pub(super) fn refuse(self, fault: &Fault) {
        let error = Err(io::Error::other(fault.to_string()));
        match self {
            Self::Append { flushed, .. } => flushed.io_completed(error),
            Self::Vote { saved, .. } => Waiting::Vote(saved).tell(error),
            Self::Committed(_)
            | Self::Heard { .. }
            | Self::GrownUp
            | Self::Belongs(_)
            | Self::Truncate { .. }
            | Self::Purge { .. }
            | Self::Stop => {}
        }
    }
}

impl Waiting {
    fn tell(self, result: Result<(), io::Error>) {
        match self {
            Self::Entries(flushed) => flushed.io_completed(result),
            // Whoever asked may have been told to stop in the meantime.
            Self::Vote(saved) => drop(saved.send(result)),
        }
    }
}

impl<T: Saved> Saved for Arc<T>
where
    T: Sync,
{
    fn saved(&self, ticket: Ticket) {
        self.as_ref().saved(ticket);
    }

    fn synced(&self, took: Duration, entries: usize) {
        self.as_ref().synced(took, entries);
    }
}
