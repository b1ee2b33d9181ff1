//! What the log promises across writes, errors, restarts and damage.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use openraft::EntryPayload;
use openraft::entry::RaftEntry;
use openraft::storage::{IOFlushed, RaftLogReader, RaftLogStorage};
use openraft::type_config::TypeConfigExt;
use parking_lot::Mutex;
use proto::{ClusterId, MemberId};
use tokio::sync::{mpsc, oneshot};

use super::changes::Changes;
use super::disk::{Database, Disk, Entries, Found, Sizes};
use super::tail::{Tail, Ticket};
use super::thread::{self, Job, Saved};
use super::{Log, LogStore};
use crate::Fault;
use crate::types::{Batch, Entry, LogId, TypeConfig, Vote};

const MEMBER: MemberId = MemberId::new(1);

fn id(term: u64, index: u64) -> LogId {
    LogId::new_term_index(term, index)
}

fn entry(term: u64, index: u64) -> Entry {
    let body = format!("entry {index} of term {term}, not very short");
    RaftEntry::new(id(term, index), EntryPayload::Normal(Batch(body.into())))
}

fn open(dir: &Path) -> Result<Log, Fault> {
    Log::open(dir, MEMBER, Duration::ZERO, u64::MAX)
}

/// Refusals of a log that should have been opened are `unwrap`ped; this is for those that should not.
fn refusal(dir: &Path) -> String {
    match open(dir) {
        Ok(log) => {
            log.close();
            panic!("the log was opened")
        }
        Err(fault) => fault.to_string(),
    }
}

async fn append(store: &mut LogStore, entries: impl IntoIterator<Item = Entry>) {
    let (flushed, done) = TypeConfig::oneshot();
    let entries: Vec<Entry> = entries.into_iter().collect();
    store.append(entries, IOFlushed::signal(flushed)).await.unwrap();
    done.await.unwrap().unwrap();
}

async fn all(store: &mut LogStore) -> Vec<LogId> {
    store.try_get_log_entries(..).await.unwrap().iter().map(RaftEntry::log_id).collect()
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .unwrap()
        .block_on(work)
}

/// Fills a log with entries 0 to 9 and closes it.
fn filled(dir: &Path) {
    let log = open(dir).unwrap();
    let mut store = log.store();
    block_on(append(&mut store, (0..10).map(|index| entry(1, index))));
    drop(store);
    log.close();
}

#[test]
fn what_was_written_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path()).unwrap();
    let mut store = log.store();
    block_on(async {
        store.save_vote(&Vote::new(1, 2)).await.unwrap();
        append(&mut store, (0..10).map(|index| entry(1, index))).await;
        store.save_committed(Some(id(1, 7))).await.unwrap();
        store.truncate_after(Some(id(1, 8))).await.unwrap();
        append(&mut store, [entry(2, 9), entry(2, 10)]).await;
        store.purge(id(1, 4)).await.unwrap();
        store.save_vote(&Vote::new_committed(2, 3)).await.unwrap();
    });
    drop(store);
    log.close();

    let log = open(dir.path()).unwrap();
    let mut store = log.store();
    block_on(async {
        assert_eq!(store.read_vote().await.unwrap(), Some(Vote::new_committed(2, 3)));
        assert_eq!(store.read_committed().await.unwrap(), Some(id(1, 7)));
        assert_eq!(all(&mut store).await, [id(1, 5), id(1, 6), id(1, 7), id(1, 8), id(2, 9), id(2, 10)]);
        let state = store.get_log_state().await.unwrap();
        assert_eq!((state.last_purged_log_id, state.last_log_id), (Some(id(1, 4)), Some(id(2, 10))));
        assert_eq!(store.try_get_log_entries(9..10).await.unwrap(), [entry(2, 9)]);
    });
    drop(store);
    log.close();
}

#[test]
fn who_reads_where_the_log_was_purged_gets_nothing_rather_than_a_hole() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path()).unwrap();
    let mut store = log.store();
    block_on(async {
        append(&mut store, (0..=9).map(|index| entry(1, index))).await;
        store.purge(id(1, 4)).await.unwrap();
        let mut read = async |start| {
            let entries = store.limited_get_log_entries(start, 10).await.unwrap();
            entries.iter().map(|entry| entry.log_id.index()).collect::<Vec<_>>()
        };
        assert_eq!(read(5).await, [5, 6, 7, 8, 9]);
        assert_eq!(read(4).await, [0; 0]);
        assert_eq!(read(0).await, [0; 0]);
    });
    let behind =
        [None, Some(id(1, 3)), Some(id(1, 4)), Some(id(1, 9))].map(|entry| store.front().has_behind(entry));
    assert_eq!(behind, [false, false, true, true]);
    drop(store);
    log.close();
}

#[test]
fn a_log_goes_on_behind_the_state_that_has_overruled_its_end() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let log = open(dir.path()).unwrap();
    let mut store = log.store();
    block_on(async {
        // What the log has itself, or has yet to get, changes nothing.
        store.follow_state(id(1, 8)).await.unwrap();
        store.follow_state(id(2, 12)).await.unwrap();
        assert_eq!(all(&mut store).await.len(), 10);
        store.follow_state(id(2, 8)).await.unwrap();
        assert_eq!(store.last(), Some(id(2, 8)));
        append(&mut store, [entry(2, 9)]).await;
    });
    drop(store);
    log.close();

    let log = open(dir.path()).unwrap();
    let mut store = log.store();
    block_on(async {
        let state = store.get_log_state().await.unwrap();
        assert_eq!((state.last_purged_log_id, state.last_log_id), (Some(id(2, 8)), Some(id(2, 9))));
        assert_eq!(all(&mut store).await, [id(2, 9)]);
        // It is in front of the log now.
        store.follow_state(id(2, 5)).await.unwrap();
        assert_eq!(store.last(), Some(id(2, 9)));
    });
    drop(store);
    log.close();
}

#[test]
fn a_new_log_remembers_that_the_others_were_heard_until_it_has_grown_up() {
    let dir = tempfile::tempdir().unwrap();
    let known = |store: &LogStore| (store.is_new(), store.has_heard(), store.is_forgetful());
    for (forgetful, then) in [(false, (true, true, false)), (true, (true, true, true))] {
        let log = open(dir.path()).unwrap();
        let mut store = log.store();
        block_on(async {
            store.note_heard(forgetful).await.unwrap();
            append(&mut store, [entry(1, u64::from(forgetful))]).await;
        });
        drop(store);
        log.close();
        let log = open(dir.path()).unwrap();
        assert_eq!(known(&log.store()), then);
        log.close();
    }
    let log = open(dir.path()).unwrap();
    let store = log.store();
    block_on(store.grow_up()).unwrap();
    drop(store);
    log.close();
    let log = open(dir.path()).unwrap();
    assert_eq!(known(&log.store()), (false, false, false));
    log.close();
}

#[test]
fn a_purge_beyond_the_end_leaves_a_log_that_goes_on_there() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let log = open(dir.path()).unwrap();
    let mut store = log.store();
    block_on(async {
        store.purge(id(3, 100)).await.unwrap();
        append(&mut store, [entry(3, 101)]).await;
    });
    drop(store);
    log.close();

    let log = open(dir.path()).unwrap();
    let mut store = log.store();
    assert_eq!(block_on(all(&mut store)), [id(3, 101)]);
    drop(store);
    log.close();
}

#[test]
fn old_entries_are_read_from_disk_in_bounded_parts() {
    let dir = tempfile::tempdir().unwrap();
    // No memory at all: whatever is saved is read from disk.
    let (database, found) = Database::open(dir.path(), MEMBER, Duration::ZERO, Sizes::LEAST).unwrap();
    let mut tail = found.tail;
    let mut batch = Changes::default();
    let entries: Vec<Entry> = (0..10).map(|index| entry(1, index)).collect();
    batch.put_entries(&entries);
    database.clone().write(batch, true).unwrap();
    tail.append(entries.iter().cloned(), 1);
    tail.saved(1);
    let (on_disk, in_memory) = tail.read(2..7, usize::MAX);
    assert_eq!((on_disk.clone(), in_memory.len()), (2..7, 0));
    assert_eq!(database.read(on_disk.clone(), usize::MAX).unwrap(), entries[2..7]);
    assert_eq!(database.read(on_disk, 1).unwrap(), entries[2..3]);
    let missing = database.read(8..12, usize::MAX).unwrap_err().to_string();
    assert!(missing.starts_with("log entry 10 is missing."), "{missing}");
}

#[test]
fn the_log_of_another_member_is_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let Err(fault) = Log::open(dir.path(), MemberId::new(2), Duration::ZERO, u64::MAX) else {
        panic!("it was opened")
    };
    let fault = fault.to_string();
    assert!(fault.contains("is that of member 1, and this is member 2."), "{fault}");
}

#[test]
fn a_log_with_a_hole_is_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let (mut database, _) = Database::open(dir.path(), MEMBER, Duration::ZERO, Sizes::LEAST).unwrap();
    let mut batch = Changes::default();
    batch.delete_entries(4, Some(6));
    database.write(batch, true).unwrap();
    drop(database);
    let fault = refusal(dir.path());
    assert!(fault.starts_with("the log has a hole: entry 4 is missing, the next one is 6. "), "{fault}");
    assert!(fault.ends_with("start it again: it will be sent everything"), "{fault}");
}

/// The first file in `dir` with this ending that holds `needle` has one bit of it flipped.
fn flip(dir: &Path, ending: &str, needle: &[u8]) {
    for file in fs::read_dir(dir).unwrap() {
        let path = file.unwrap().path();
        if !path.to_string_lossy().ends_with(ending) {
            continue;
        }
        let mut bytes = fs::read(&path).unwrap();
        if let Some(at) = bytes.windows(needle.len()).position(|window| window == needle) {
            bytes[at] ^= 1;
            fs::write(&path, bytes).unwrap();
            return;
        }
    }
    panic!("no file that ends with {ending} holds the bytes");
}

#[test]
fn a_flipped_bit_in_an_entry_stops_the_start() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    // After the first start the entries lie in a table; before it in the database's own log.
    open(dir.path()).unwrap().close();
    flip(dir.path(), ".sst", b"entry 4 of term 1");
    let fault = refusal(dir.path());
    assert!(fault.contains("Corruption"), "{fault}");
    assert!(fault.contains("This member must not vote with such a log."), "{fault}");
}

#[test]
fn a_flipped_bit_in_the_newest_entries_stops_the_start() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    flip(dir.path(), ".log", b"entry 4 of term 1");
    let fault = refusal(dir.path());
    assert!(fault.contains("This member must not vote with such a log."), "{fault}");
}

#[test]
fn a_record_that_the_database_takes_for_whole_is_still_checked() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let (mut database, _) = Database::open(dir.path(), MEMBER, Duration::ZERO, Sizes::LEAST).unwrap();
    let mut batch = Changes::default();
    // Entry 5 under the number of entry 4: each whole in itself, and the log wrong.
    let mut record = Vec::new();
    super::record::encode(&entry(1, 5), &mut record);
    batch.put_record(4, record);
    database.write(batch, true).unwrap();
    drop(database);
    let fault = refusal(dir.path());
    assert!(fault.starts_with("log entry 4 is damaged: its checksum does not match. "), "{fault}");
}

/// A disk that waits for leave before each write, counts what it was asked, and fails from some write on.
struct Watched {
    reached: std::sync::mpsc::Sender<()>,
    leave: std::sync::mpsc::Receiver<()>,
    writes: Arc<Mutex<Vec<bool>>>,
    fails_from: usize,
}

impl Disk for Watched {
    fn write(&mut self, _batch: Changes, sync: bool) -> Result<(), Fault> {
        // Nobody may be waiting to know.
        self.reached.send(()).ok();
        self.leave.recv().unwrap();
        let mut writes = self.writes.lock();
        writes.push(sync);
        if writes.len() > self.fails_from {
            return Err(Fault::disk("write the log", "no space left on device"));
        }
        Ok(())
    }

    fn free(&mut self, _upto: u64) -> Result<(), Fault> {
        Ok(())
    }
}

#[derive(Default)]
struct Told(Mutex<Vec<Ticket>>);

impl Saved for Told {
    fn saved(&self, ticket: Ticket) {
        self.0.lock().push(ticket);
    }
}

/// The thread, in front of a disk that is watched.
struct Bench {
    _dir: tempfile::TempDir,
    jobs: mpsc::Sender<Job>,
    reached: std::sync::mpsc::Receiver<()>,
    leave: std::sync::mpsc::Sender<()>,
    writes: Arc<Mutex<Vec<bool>>>,
    told: Arc<Told>,
    thread: std::thread::JoinHandle<()>,
}

impl Bench {
    fn new(fails_from: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (jobs, receiver) = mpsc::channel(1_000);
        let (reached, arrivals) = std::sync::mpsc::channel();
        let (leave, granted) = std::sync::mpsc::channel();
        let writes = Arc::new(Mutex::new(Vec::new()));
        let disk = Watched { reached, leave: granted, writes: writes.clone(), fails_from };
        let told = Arc::new(Told::default());
        let thread = thread::start(disk, receiver, told.clone()).unwrap();
        Self { _dir: dir, jobs, reached: arrivals, leave, writes, told, thread }
    }

    fn append(&self, index: u64) -> impl Future<Output = Result<(), std::io::Error>> + use<> {
        let (flushed, done) = TypeConfig::oneshot();
        let job = Job::Append {
            entries: vec![entry(1, index)],
            ticket: index + 1,
            flushed: IOFlushed::signal(flushed),
        };
        self.jobs.blocking_send(job).unwrap();
        async { done.await.unwrap() }
    }

    fn vote(&self) -> oneshot::Receiver<Result<(), std::io::Error>> {
        let (saved, done) = oneshot::channel();
        self.jobs.blocking_send(Job::Vote { vote: Vote::new(1, 1), saved }).unwrap();
        done
    }
}

#[test]
fn what_gathers_behind_a_sync_is_one_write() {
    let bench = Bench::new(usize::MAX);
    let first = bench.append(0);
    bench.reached.recv().unwrap();
    let others: Vec<_> = (1..100).map(|index| bench.append(index)).collect();
    let vote = bench.vote();
    bench.leave.send(()).unwrap();
    block_on(first).unwrap();
    bench.leave.send(()).unwrap();
    for other in others {
        block_on(other).unwrap();
    }
    vote.blocking_recv().unwrap().unwrap();
    assert_eq!(*bench.writes.lock(), [true, true]);
    assert_eq!(*bench.told.0.lock(), [1, 100]);
    drop(bench.jobs);
    bench.thread.join().unwrap();
}

#[test]
fn nothing_is_acknowledged_before_it_is_safe() {
    let bench = Bench::new(usize::MAX);
    let done = bench.append(0);
    let early = async {
        let mut done = Box::pin(done);
        assert!(tokio::time::timeout(Duration::from_millis(20), &mut done).await.is_err());
        bench.leave.send(()).unwrap();
        done.await.unwrap();
    };
    block_on(early);
    drop(bench.jobs);
    bench.thread.join().unwrap();
}

#[test]
fn the_word_that_entries_are_committed_needs_no_sync() {
    let bench = Bench::new(usize::MAX);
    bench.leave.send(()).unwrap();
    bench.jobs.blocking_send(Job::Committed(Some(id(1, 0)))).unwrap();
    drop(bench.jobs);
    bench.thread.join().unwrap();
    assert_eq!(*bench.writes.lock(), [false]);
}

#[test]
fn after_an_error_nothing_is_tried_again() {
    let bench = Bench::new(1);
    bench.leave.send(()).unwrap();
    block_on(bench.append(0)).unwrap();
    let failed = bench.append(1);
    bench.leave.send(()).unwrap();
    let error = block_on(failed).unwrap_err().to_string();
    assert_eq!(error, "write the log: no space left on device");
    bench.thread.join().unwrap();
    assert_eq!(bench.writes.lock().len(), 2);
    assert_eq!(*bench.told.0.lock(), [1]);
    assert!(bench.jobs.is_closed());
}

#[test]
fn entries_share_what_they_were_received_in() {
    // The store keeps the payload and copies nothing: the cache would otherwise cost a copy of each write.
    let body = Bytes::from_static(b"a batch");
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path()).unwrap();
    let mut store = log.store();
    let kept = block_on(async {
        append(&mut store, [RaftEntry::new(id(1, 0), EntryPayload::Normal(Batch(body.clone())))]).await;
        store.try_get_log_entries(0..1).await.unwrap().remove(0)
    });
    let EntryPayload::Normal(Batch(kept)) = kept.payload else { panic!("another payload") };
    assert_eq!(kept.as_ptr(), body.as_ptr());
    drop(store);
    log.close();
}

/// Entries that are on disk only.
struct Shelf(Vec<Entry>);

impl Entries for Shelf {
    fn read(&self, range: std::ops::Range<u64>, _: usize) -> Result<Vec<Entry>, Fault> {
        // Few at a time, as of entries that are large.
        Ok(self.0.iter().filter(|entry| range.contains(&entry.index())).take(2).cloned().collect())
    }
}

#[tokio::test]
async fn the_ensembles_name_is_found_where_it_is_not_among_the_newest_entries() {
    let cluster = ClusterId::new(7).unwrap();
    let named =
        crate::entry::encode_batch(1, machine::Rules::default(), vec![crate::entry::encode_name(cluster)]);
    let mut entries: Vec<Entry> =
        (0..9).map(|index| RaftEntry::new(id(1, index), EntryPayload::Blank)).collect();
    entries[5] = RaftEntry::new(id(1, 5), EntryPayload::Normal(Batch(named)));
    let tail = Tail::new(None, Some(id(1, 8)), 100);
    let found = Found {
        tail,
        vote: None,
        committed: None,
        new: false,
        forgetful: false,
        heard: false,
        cluster: None,
    };
    let (store, _jobs) = LogStore::new(found, Arc::new(Shelf(entries)));
    assert_eq!(store.belonging().claimed(), None);
    // What is applied already would have told it.
    store.look_for_ensemble(Some(id(1, 6))).await.unwrap();
    assert_eq!(store.belonging().claimed(), None);
    store.look_for_ensemble(None).await.unwrap();
    assert_eq!(store.belonging().claimed(), Some(cluster));
}
