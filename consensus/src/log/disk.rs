//! The log's database: how it is opened, checked and written.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use openraft::entry::RaftEntry;
use prost::Message;
use proto::limits::{DIRTY_BYTES_MAX, LOG_CACHE_BYTES_MAX};
use proto::{ClusterId, MemberId, image};
use rocksdb::{
    ColumnFamily, DB, DBCompressionType, DBRecoveryMode, Direction, IteratorMode, Options, ReadOptions,
    WriteBatch, WriteOptions,
};

use super::changes::{Change, Changes};
use super::keys;
use super::record::{self, CURE};
use super::tail::Tail;
use crate::types::{Entry, LogId, Vote};
use crate::{Fault, wire};

/// What writes batches: the database, or in tests something that fails or waits.
pub(super) trait Disk: Send + 'static {
    /// Writes everything in the batch or nothing of it; with `sync` it is safe on return.
    fn write(&mut self, batch: Changes, sync: bool) -> Result<(), Fault>;

    /// Frees what entries up to `upto` take on disk, which the purge point there already covers.
    fn free(&mut self, upto: u64) -> Result<(), Fault>;
}

/// Where entries are read that are no longer in memory.
pub(super) trait Entries: Send + Sync + 'static {
    /// Reads entries, all of them there or it is a fault; ends early behind `bytes_max`, but never before the first.
    fn read(&self, range: Range<u64>, bytes_max: usize) -> Result<Vec<Entry>, Fault>;
}

/// How much of the log the database holds before it writes it elsewhere.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// Bytes of newest entries in memory.
    memory: usize,
    /// Bytes that the database gathers before it makes a file of them.
    buffer: usize,
}

impl Sizes {
    /// For a log of which hardly anything is asked.
    pub(super) const LEAST: Self = Self { memory: 0, buffer: 1 << 20 };

    /// For a log that is to have no more than `bytes_max` of entries. On disk are besides these up to three buffers that were
    /// not made files of, four files that are yet to be sorted in, and another four while they are.
    pub(super) fn of_a_log(bytes_max: u64) -> Self {
        let buffer = usize::try_from(bytes_max / 32).unwrap_or(usize::MAX).clamp(1 << 20, 16 << 20);
        Self { memory: LOG_CACHE_BYTES_MAX, buffer }
    }
}

/// The database of the log.
#[derive(Clone)]
pub(super) struct Database {
    db: Arc<DB>,
    sync_delay: Duration,
}

/// What was found on disk.
pub(super) struct Found {
    pub(super) tail: Tail,
    pub(super) vote: Option<Vote>,
    pub(super) committed: Option<LogId>,
    /// Whether this member has not yet caught up with a leader since the log was made.
    pub(super) new: bool,
    /// Whether it takes the place of one with which this member has voted.
    pub(super) forgetful: bool,
    /// Whether this member has heard enough of the others, since the log was made, to follow a leader.
    pub(super) heard: bool,
    /// The ensemble that this member knows it belongs to.
    pub(super) cluster: Option<ClusterId>,
}

impl Database {
    /// Opens the log in `dir`, or makes one there, and reads all of it to see that it can be trusted.
    pub(super) fn open(
        dir: &Path,
        member: MemberId,
        sync_delay: Duration,
        sizes: Sizes,
    ) -> Result<(Self, Found), Fault> {
        let Sizes { memory, buffer } = sizes;
        let db = DB::open_cf_with_opts(
            &options(buffer),
            dir,
            [("default", options(buffer)), (keys::ENTRIES, entry_options(buffer))],
        )
        .map_err(|error| unopened(dir, &error))?;
        let database = Self { db: Arc::new(db), sync_delay };
        database.claim(dir, member)?;
        let found = database.examine(memory)?;
        Ok((database, found))
    }

    /// How long a sync takes, seen by writing thrice what is there already.
    pub(super) fn sync_time(&mut self, member: MemberId) -> Result<Duration, Fault> {
        let mut took = [Duration::ZERO; 3];
        for took in &mut took {
            let begun = Instant::now();
            self.write(claimed_by(member), true)?;
            *took = begun.elapsed();
        }
        took.sort_unstable();
        Ok(took[1])
    }

    /// Opens the log in `dir` so that nothing can be changed, whoever else has it open.
    pub(super) fn open_to_read(dir: &Path) -> Result<Self, Fault> {
        let db = DB::open_cf_for_read_only(&options(Sizes::LEAST.buffer), dir, [keys::ENTRIES], false)
            .map_err(|error| unopened(dir, &error))?;
        Ok(Self { db: Arc::new(db), sync_delay: Duration::ZERO })
    }

    /// Something weak by which can be seen whether the database is still open.
    pub(super) fn watch(&self) -> std::sync::Weak<DB> {
        Arc::downgrade(&self.db)
    }

    fn translate(&self, batch: &Changes) -> WriteBatch {
        let mut translated = WriteBatch::default();
        for change in batch.list() {
            match change {
                Change::Put { key, value } => translated.put(key, value),
                Change::Delete { key } => translated.delete(key),
                Change::Entry { index, record } => {
                    translated.put_cf(self.column(), keys::entry(*index), record);
                }
                Change::DeleteEntries { from, end: Some(end) } => {
                    translated.delete_range_cf(self.column(), keys::entry(*from), keys::entry(*end));
                }
                Change::DeleteEntries { from, end: None } => translated.delete_range_cf(
                    self.column(),
                    keys::entry(*from).as_slice(),
                    keys::ENTRIES_END.as_slice(),
                ),
            }
        }
        translated
    }

    fn column(&self) -> &ColumnFamily {
        // Opened by this very name, and never dropped.
        #[expect(clippy::expect_used, reason = "the column family is named where the database is opened")]
        self.db.cf_handle(keys::ENTRIES).expect("the column family of the entries is open")
    }

    pub(super) fn entries(&self, from: u64) -> Result<impl Iterator<Item = Result<Entry, Fault>>, Fault> {
        let mut options = ReadOptions::default();
        options.set_readahead_size(2 << 20);
        options.set_iterate_upper_bound(keys::ENTRIES_END);
        let start = keys::entry(from);
        let records =
            self.db.iterator_cf_opt(self.column(), options, IteratorMode::From(&start, Direction::Forward));
        Ok(records.map(|item| {
            let (key, value) =
                item.map_err(|error| Fault::Damaged(format!("the log cannot be read ({error}). {CURE}")))?;
            let index = keys::index(&key)
                .ok_or_else(|| Fault::Damaged(format!("the log holds an entry without an index. {CURE}")))?;
            record::decode(index, &value)
        }))
    }

    /// Whose log is this, and do we understand it?
    fn claim(&self, dir: &Path, member: MemberId) -> Result<(), Fault> {
        let place = dir.display();
        match (self.number(&keys::FORMAT_KEY)?, self.number(&keys::MEMBER_KEY)?) {
            (None, None) => {
                if self.entries(0)?.next().is_some() {
                    return Err(Fault::Damaged(format!(
                        "the log in {place} says neither its format nor whose it is. {CURE}"
                    )));
                }
                let mut batch = claimed_by(member);
                batch.put(&keys::NEW_KEY, []);
                self.clone().write(batch, true)
            }
            (Some(format), _) if format != keys::FORMAT => Err(Fault::Other(format!(
                "the log in {place} has format {format}, and this version reads format {}. Start the version that wrote it",
                keys::FORMAT
            ))),
            (Some(_), Some(found)) if found == member.get() => Ok(()),
            (Some(_), Some(found)) => Err(Fault::Other(format!(
                "the log in {place} is that of member {found}, and this is member {member}. A member that votes with the \
                 log of another can lose what was acknowledged: give it its own directory, or its own number"
            ))),
            _ => Err(Fault::Damaged(format!("the log in {place} does not say whose it is. {CURE}"))),
        }
    }

    /// Reads the whole log once. What is damaged is found now, before this member votes, and not when a follower
    /// happens to need it.
    pub(super) fn examine(&self, memory: usize) -> Result<Found, Fault> {
        let purged = self.message::<image::Position>(&keys::PURGED_KEY)?.map(wire::log_id);
        let tail = examine(purged, self.entries(after(purged))?, memory)?;
        let committed = self.message::<image::Position>(&keys::COMMITTED_KEY)?.map(wire::log_id);
        let new = self.get(&keys::NEW_KEY)?;
        Ok(Found {
            new: new.is_some(),
            forgetful: says(new.as_deref(), keys::NEW_FORGETFUL),
            heard: says(new.as_deref(), keys::NEW_HEARD),
            cluster: self.number(&keys::CLUSTER_KEY)?.and_then(ClusterId::new),
            vote: self.message::<image::Vote>(&keys::VOTE_KEY)?.map(wire::read_vote),
            // They go to disk in one order, so this changes nothing; were it otherwise, openraft could not start.
            committed: committed.min(tail.last()),
            tail,
        })
    }

    pub(super) fn number(&self, key: &[u8]) -> Result<Option<u64>, Fault> {
        let Some(value) = self.get(key)? else { return Ok(None) };
        let value = value.as_slice().try_into().map_err(|_| small_record(key))?;
        Ok(Some(u64::from_be_bytes(value)))
    }

    fn message<M: Message + Default>(&self, key: &[u8]) -> Result<Option<M>, Fault> {
        let Some(value) = self.get(key)? else { return Ok(None) };
        M::decode(value.as_slice()).map(Some).map_err(|_| small_record(key))
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        self.db.get(key).map_err(|error| Fault::Damaged(format!("the log cannot be read ({error}). {CURE}")))
    }
}

impl Disk for Database {
    fn write(&mut self, batch: Changes, sync: bool) -> Result<(), Fault> {
        let batch = self.translate(&batch);
        let mut options = WriteOptions::default();
        options.set_sync(sync);
        self.db.write_opt(batch, &options).map_err(|error| Fault::disk("write the log", error))?;
        if sync && !self.sync_delay.is_zero() {
            std::thread::sleep(self.sync_delay);
        }
        Ok(())
    }

    /// Drops files that hold nothing but such entries.
    fn free(&mut self, upto: u64) -> Result<(), Fault> {
        self.db
            .delete_file_in_range_cf(self.column(), keys::entry(0), keys::entry(upto))
            .map_err(|error| Fault::disk("drop files of the log", error))
    }
}

impl Entries for Database {
    fn read(&self, range: Range<u64>, bytes_max: usize) -> Result<Vec<Entry>, Fault> {
        collect(self.entries(range.start)?, range, bytes_max)
    }
}

/// The entries of `range`, which `found` begins with, all of them there or it is a fault; ends early behind
/// `bytes_max`, but never before the first.
pub(super) fn collect(
    found: impl Iterator<Item = Result<Entry, Fault>>,
    range: Range<u64>,
    bytes_max: usize,
) -> Result<Vec<Entry>, Fault> {
    let mut entries = Vec::new();
    let mut bytes = 0;
    for entry in found {
        if bytes >= bytes_max || range.start + entries.len() as u64 >= range.end {
            return Ok(entries);
        }
        let entry = entry?;
        let expected = range.start + entries.len() as u64;
        if entry.index() != expected {
            return Err(hole(expected, entry.index()));
        }
        bytes += record::size(&entry);
        entries.push(entry);
    }
    let next = range.start + entries.len() as u64;
    if next < range.end && bytes < bytes_max {
        return Err(Fault::Damaged(format!("log entry {next} is missing. {CURE}")));
    }
    Ok(entries)
}

/// The end of a log that was purged up to there, seen to have no hole and no order but its own.
pub(super) fn examine(
    purged: Option<LogId>,
    entries: impl Iterator<Item = Result<Entry, Fault>>,
    memory: usize,
) -> Result<Tail, Fault> {
    let mut tail = Tail::new(purged, None, memory);
    for (expected, entry) in (after(purged)..).zip(entries) {
        let entry = entry?;
        if entry.index() != expected {
            return Err(hole(expected, entry.index()));
        }
        if Some(entry.log_id()) < tail.last() {
            return Err(Fault::Damaged(format!(
                "log entry {expected} is older than the one in front of it. {CURE}"
            )));
        }
        tail.append([entry], 0);
        tail.saved(0);
    }
    Ok(tail)
}

/// Whether what stands of a new log says this too.
pub(super) fn says(new: Option<&[u8]>, what: u8) -> bool {
    new.and_then(<[u8]>::first).is_some_and(|how| how & what != 0)
}

/// What stands in the log of this member from the first moment.
pub(super) fn claimed_by(member: MemberId) -> Changes {
    let mut batch = Changes::default();
    batch.put(&keys::FORMAT_KEY, keys::FORMAT.to_be_bytes());
    batch.put(&keys::MEMBER_KEY, member.get().to_be_bytes());
    batch
}

pub(super) fn after(purged: Option<LogId>) -> u64 {
    purged.map_or(0, |purged| purged.index() + 1)
}

fn options(buffer: usize) -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    // A record in the middle that does not check out stops the start; only a last one that was cut short, which
    // nobody was told of, is let go. Point-in-time recovery would drop everything behind the damage without a word.
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    options.set_paranoid_checks(true);
    // The small records never fill a buffer of their own; beyond this they are written elsewhere all the same, so that the
    // database's own log, in which they lie among entries, may go.
    options.set_max_total_wal_size(3 * buffer as u64);
    options.set_max_background_jobs(2);
    options.set_bytes_per_sync(DIRTY_BYTES_MAX);
    options.set_keep_log_file_num(4);
    options
}

fn entry_options(buffer: usize) -> Options {
    let mut options = Options::default();
    // Entries are read once or never before they are purged.
    options.set_compression_type(DBCompressionType::None);
    options.set_write_buffer_size(buffer);
    options.set_max_write_buffer_number(4);
    // Files that are purged as a whole are dropped without being read.
    options.set_target_file_size_base(buffer as u64);
    options.set_max_bytes_for_level_base(8 * buffer as u64);
    options
}

fn unopened(dir: &Path, error: &rocksdb::Error) -> Fault {
    let place = dir.display();
    if error.kind() == rocksdb::ErrorKind::Corruption {
        return Fault::Damaged(format!("the log in {place} is damaged ({error}). {CURE}"));
    }
    Fault::Other(format!("the log in {place} cannot be opened: {error}"))
}

fn hole(expected: u64, found: u64) -> Fault {
    Fault::Damaged(format!(
        "the log has a hole: entry {expected} is missing, the next one is {found}. {CURE}"
    ))
}

fn small_record(key: &[u8]) -> Fault {
    Fault::Damaged(format!("the log's record {key:?} does not parse. {CURE}"))
}
