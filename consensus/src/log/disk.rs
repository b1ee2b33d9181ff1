//! The log's database: how it is opened, checked and written.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use openraft::entry::RaftEntry;
use prost::Message;
use proto::{MemberId, image};
use rocksdb::{
    ColumnFamily, DB, DBCompressionType, DBRecoveryMode, Direction, IteratorMode, Options, ReadOptions,
    WriteBatch, WriteOptions,
};

use super::keys;
use super::record::{self, CURE};
use super::tail::Tail;
use crate::types::{Entry, LogId, Vote};
use crate::{Fault, wire};

/// What writes batches: the database, or in tests something that fails or waits.
pub(super) trait Disk: Send + 'static {
    /// Writes everything in the batch or nothing of it; with `sync` it is safe on return.
    fn write(&mut self, batch: WriteBatch, sync: bool) -> Result<(), Fault>;
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
}

impl Database {
    /// Opens the log in `dir`, or makes one there, and reads all of it to see that it can be trusted.
    pub(super) fn open(
        dir: &Path,
        member: MemberId,
        sync_delay: Duration,
        memory: usize,
    ) -> Result<(Self, Found), Fault> {
        let db = DB::open_cf_with_opts(
            &options(),
            dir,
            [("default", options()), (keys::ENTRIES, entry_options())],
        )
        .map_err(|error| unopened(dir, &error))?;
        let database = Self { db: Arc::new(db), sync_delay };
        database.claim(dir, member)?;
        let found = database.examine(memory)?;
        Ok((database, found))
    }

    /// Reads entries, all of them there or it is a fault; ends early behind `bytes_max`, but never before the first.
    pub(super) fn read(&self, range: std::ops::Range<u64>, bytes_max: usize) -> Result<Vec<Entry>, Fault> {
        let mut entries = Vec::new();
        let mut bytes = 0;
        for entry in self.entries(range.start)? {
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

    /// Drops files that hold nothing but entries up to `upto`, which the purge point on disk must already cover.
    pub(super) fn drop_files(&self, upto: u64) -> Result<(), Fault> {
        self.db
            .delete_file_in_range_cf(self.column(), keys::entry(0), keys::entry(upto))
            .map_err(|error| Fault::disk("drop files of the log", error))
    }

    /// Puts entries into a batch.
    pub(super) fn put_entries(&self, batch: &mut WriteBatch, entries: &[Entry], buffer: &mut Vec<u8>) {
        for entry in entries {
            buffer.clear();
            record::encode(entry, buffer);
            self.put_record(batch, entry.index(), buffer);
        }
    }

    /// Puts an entry that is encoded already into a batch.
    pub(super) fn put_record(&self, batch: &mut WriteBatch, index: u64, record: &[u8]) {
        batch.put_cf(self.column(), keys::entry(index), record);
    }

    /// Deletes the entries from `from` on, up to `end` where there is one.
    pub(super) fn delete_entries(&self, batch: &mut WriteBatch, from: u64, end: Option<u64>) {
        match end {
            Some(end) => batch.delete_range_cf(self.column(), keys::entry(from), keys::entry(end)),
            None => batch.delete_range_cf(
                self.column(),
                keys::entry(from).as_slice(),
                keys::ENTRIES_END.as_slice(),
            ),
        }
    }

    /// Something weak by which can be seen whether the database is still open.
    pub(super) fn watch(&self) -> std::sync::Weak<DB> {
        Arc::downgrade(&self.db)
    }

    fn column(&self) -> &ColumnFamily {
        // Opened by this very name, and never dropped.
        #[expect(clippy::expect_used, reason = "the column family is named where the database is opened")]
        self.db.cf_handle(keys::ENTRIES).expect("the column family of the entries is open")
    }

    fn entries(&self, from: u64) -> Result<impl Iterator<Item = Result<Entry, Fault>>, Fault> {
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
                let mut batch = WriteBatch::default();
                batch.put(keys::FORMAT_KEY, keys::FORMAT.to_be_bytes());
                batch.put(keys::MEMBER_KEY, member.get().to_be_bytes());
                batch.put(keys::NEW_KEY, []);
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
    fn examine(&self, memory: usize) -> Result<Found, Fault> {
        let purged = self.message::<image::Position>(&keys::PURGED_KEY)?.map(wire::log_id);
        let start = purged.map_or(0, |purged| purged.index() + 1);
        let mut tail = Tail::new(purged, None, memory);
        for (expected, entry) in (start..).zip(self.entries(start)?) {
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
        let committed = self.message::<image::Position>(&keys::COMMITTED_KEY)?.map(wire::log_id);
        Ok(Found {
            new: self.get(&keys::NEW_KEY)?.is_some(),
            vote: self.message::<image::Vote>(&keys::VOTE_KEY)?.map(wire::read_vote),
            // They go to disk in one order, so this changes nothing; were it otherwise, openraft could not start.
            committed: committed.min(tail.last()),
            tail,
        })
    }

    fn number(&self, key: &[u8]) -> Result<Option<u64>, Fault> {
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
    fn write(&mut self, batch: WriteBatch, sync: bool) -> Result<(), Fault> {
        let mut options = WriteOptions::default();
        options.set_sync(sync);
        self.db.write_opt(batch, &options).map_err(|error| Fault::disk("write the log", error))?;
        if sync && !self.sync_delay.is_zero() {
            std::thread::sleep(self.sync_delay);
        }
        Ok(())
    }
}

fn options() -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    // A record in the middle that does not check out stops the start; only a last one that was cut short, which
    // nobody was told of, is let go. Point-in-time recovery would drop everything behind the damage without a word.
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    options.set_paranoid_checks(true);
    options.set_max_total_wal_size(512 << 20);
    options.set_max_background_jobs(2);
    options.set_keep_log_file_num(4);
    options
}

fn entry_options() -> Options {
    let mut options = Options::default();
    // Entries are read once or never before they are purged.
    options.set_compression_type(DBCompressionType::None);
    options.set_write_buffer_size(64 << 20);
    options.set_max_write_buffer_number(4);
    options.set_target_file_size_base(64 << 20);
    options.set_max_bytes_for_level_base(512 << 20);
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
