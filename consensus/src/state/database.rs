//! The database of the state: whole worlds in, changes in, a world out.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use foldhash::fast::RandomState;
use machine::{Key, Machine, Record};
use prost::Message;
use proto::image;
use proto::limits::DIRTY_BYTES_MAX;
use rocksdb::{
    DB, DBCompressionType, IteratorMode, Options, ReadOptions, SnapshotWithThreadMode, WriteBatch,
    WriteOptions,
};

use super::load::{CURE, load, unreadable};
use super::{keys, record};
use crate::types::{LogId, SnapshotMeta, StoredMembership};
use crate::{Fault, wire};

/// A database of state, closed when this is dropped.
pub(crate) struct Database {
    // An option only so that it can be closed before its directory is removed.
    db: Option<DB>,
    dir: PathBuf,
    doomed: AtomicBool,
}

/// How far in the log a state has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The last entry that is in it.
    pub(crate) applied: Option<LogId>,
    /// Who voted at that point.
    pub(crate) membership: StoredMembership,
}

impl Progress {
    /// As openraft describes a snapshot of such a state.
    pub(crate) fn meta(&self) -> SnapshotMeta {
        SnapshotMeta { last_log_id: self.applied, last_membership: self.membership.clone() }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        image::Progress {
            applied: self.applied.as_ref().map(wire::position),
            membership: Some(wire::stored_membership(&self.membership)),
        }
        .encode_to_vec()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        let progress = image::Progress::decode(bytes).map_err(|error| {
            Fault::Damaged(format!("the state's record of its progress does not parse: {error}. {CURE}"))
        })?;
        Ok(Self {
            applied: progress.applied.map(wire::log_id),
            membership: wire::read_stored_membership(progress.membership.unwrap_or_default())?,
        })
    }
}

/// What changed, in a form that can be written.
#[derive(Default)]
pub(super) struct Batch {
    batch: WriteBatch,
}

impl Batch {
    /// Bytes of what was added.
    pub(super) fn bytes(&self) -> usize {
        self.batch.size_in_bytes()
    }

    /// Adds what entries of the log changed.
    pub(super) fn add(&mut self, changes: &[(Key, Option<Record>)]) {
        for (key, record) in last_of_each(changes) {
            let key = keys::encode(key);
            match record {
                Some(record) => self.batch.put(key, record::encode(record)),
                None => self.batch.delete(key),
            }
        }
    }
}

/// The last change of each key. In the order of the keys, because the place of a record is found by that of the one before it.
fn last_of_each(changes: &[(Key, Option<Record>)]) -> Vec<&(Key, Option<Record>)> {
    let mut known = HashSet::with_capacity_and_hasher(changes.len(), RandomState::default());
    let mut last: Vec<_> = changes.iter().rev().filter(|(key, _)| known.insert(key)).collect();
    last.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    last
}

impl Database {
    /// Makes a database without a world in `dir`.
    pub(super) fn create(dir: &Path) -> Result<Self, Fault> {
        let database = Self::open_at(dir, true)?;
        let mut batch = WriteBatch::default();
        batch.put(keys::FORMAT_KEY, keys::FORMAT.to_be_bytes());
        database.write_batch(batch)?;
        Ok(database)
    }

    /// Opens the database in `dir`.
    pub(super) fn open(dir: &Path) -> Result<Self, Fault> {
        let database = Self::open_at(dir, false)?;
        database.check_format()?;
        Ok(database)
    }

    /// Opens the database in `dir` so that nothing can be changed, whoever else has it open.
    pub(super) fn open_to_read(dir: &Path) -> Result<Self, Fault> {
        let db =
            DB::open_for_read_only(&options(false), dir, false).map_err(|error| unopened(dir, &error))?;
        let database = Self { db: Some(db), dir: dir.to_owned(), doomed: AtomicBool::new(false) };
        database.check_format()?;
        Ok(database)
    }

    /// The whole world, and where it stands. Reads everything.
    pub(super) fn load(&self) -> Result<(Machine, Progress), Fault> {
        let snapshot = self.db().snapshot();
        let progress = progress_of(&snapshot)?;
        let machine = load(&snapshot, &self.dir.display().to_string())?;
        Ok((machine, progress))
    }

    /// Writes changes, and where they lead, in one. It is safe only after `flush`.
    pub(super) fn write(&self, batch: Batch, progress: &Progress) -> Result<(), Fault> {
        let Batch { mut batch } = batch;
        batch.put(keys::PROGRESS_KEY, progress.encode());
        self.write_batch(batch)
    }

    /// Writes records of another member's state as they came.
    pub(super) fn write_records(&self, records: &[image::Record]) -> Result<(), Fault> {
        let mut batch = WriteBatch::default();
        for image::Record { key, value } in records {
            if keys::decode(key).is_none() && !keys::is_about_the_state(key) {
                return Err(Fault::Other(
                    "a snapshot holds a record that this version does not know".to_owned(),
                ));
            }
            batch.put(key, value);
        }
        self.write_batch(batch)
    }

    /// Makes everything written so far safe. Waits for the disk.
    pub(crate) fn flush(&self) -> Result<(), Fault> {
        self.db().flush().map_err(|error| self.failed("make the state safe", error))
    }

    /// The state as it is now, whatever is written later.
    pub(crate) fn pin(&self) -> Pin<'_> {
        Pin { snapshot: self.db().snapshot() }
    }

    /// Where it lies.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Removes it from the disk as soon as nobody uses it any more.
    pub(super) fn doom(&self) {
        self.doomed.store(true, Ordering::Relaxed);
    }

    /// Takes back `doom`.
    pub(super) fn keep(&self) {
        self.doomed.store(false, Ordering::Relaxed);
    }

    /// Whether this is a state that we understand.
    pub(super) fn check_format(&self) -> Result<(), Fault> {
        let place = self.dir.display();
        let value = self.db().get(keys::FORMAT_KEY).map_err(|error| self.unread(&error))?;
        let format = value.as_deref().and_then(|value| value.try_into().ok()).map(u64::from_be_bytes);
        match format {
            Some(keys::FORMAT) => Ok(()),
            Some(format) => Err(Fault::Other(format!(
                "the state in {place} has format {format}, and this version reads format {}. Start the version that wrote it",
                keys::FORMAT
            ))),
            None => Err(Fault::Damaged(format!("the state in {place} does not say its format. {CURE}"))),
        }
    }

    fn open_at(dir: &Path, create: bool) -> Result<Self, Fault> {
        let db = DB::open(&options(create), dir).map_err(|error| unopened(dir, &error))?;
        Ok(Self { db: Some(db), dir: dir.to_owned(), doomed: AtomicBool::new(false) })
    }

    fn write_batch(&self, batch: WriteBatch) -> Result<(), Fault> {
        let mut options = WriteOptions::default();
        // Raft's log is the log of this state.
        options.disable_wal(true);
        self.db().write_opt(batch, &options).map_err(|error| self.failed("write the state", error))
    }

    fn db(&self) -> &DB {
        #[expect(clippy::expect_used, reason = "it is taken out only when this is dropped")]
        self.db.as_ref().expect("the database is open")
    }

    fn failed(&self, doing: &str, error: rocksdb::Error) -> Fault {
        Fault::disk(format!("{doing} in {}", self.dir.display()), error)
    }

    fn unread(&self, error: &rocksdb::Error) -> Fault {
        Fault::Damaged(format!("the state in {} cannot be read ({error}). {CURE}", self.dir.display()))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        drop(self.db.take());
        if self.doomed.load(Ordering::Relaxed)
            && let Err(error) = std::fs::remove_dir_all(&self.dir)
        {
            tracing::warn!(dir = %self.dir.display(), %error, "an old state could not be removed; the next start tries again");
        }
    }
}

fn options(create: bool) -> Options {
    let mut options = Options::default();
    options.create_if_missing(create);
    options.set_paranoid_checks(true);
    options.set_write_buffer_size(16 << 20);
    options.set_max_write_buffer_number(4);
    options.set_max_background_jobs(2);
    options.set_bytes_per_sync(DIRTY_BYTES_MAX);
    options.set_keep_log_file_num(4);
    options.set_compression_type(DBCompressionType::Lz4);
    options
}

fn unopened(dir: &Path, error: &rocksdb::Error) -> Fault {
    let place = dir.display();
    if error.kind() == rocksdb::ErrorKind::Corruption {
        return Fault::Damaged(format!("the state in {place} is damaged ({error}). {CURE}"));
    }
    Fault::Other(format!("the state in {place} cannot be opened: {error}"))
}

/// A database as it was at one moment.
pub(crate) struct Pin<'a> {
    snapshot: SnapshotWithThreadMode<'a, DB>,
}

impl Pin<'_> {
    /// How far in the log it has come.
    pub(crate) fn progress(&self) -> Result<Progress, Fault> {
        progress_of(&self.snapshot)
    }

    /// Every record, in the order of the keys.
    pub(crate) fn records(&self) -> impl Iterator<Item = Result<image::Record, Fault>> {
        records_of(&self.snapshot)
            .map(|item| item.map(|(key, value)| image::Record { key: key.into(), value }))
    }
}

fn progress_of(snapshot: &SnapshotWithThreadMode<'_, DB>) -> Result<Progress, Fault> {
    match snapshot.get(keys::PROGRESS_KEY).map_err(|error| unreadable(&error))? {
        Some(bytes) => Progress::decode(&bytes),
        None => Ok(Progress::default()),
    }
}

fn records_of(
    snapshot: &SnapshotWithThreadMode<'_, DB>,
) -> impl Iterator<Item = Result<(Box<[u8]>, Bytes), Fault>> {
    let mut options = ReadOptions::default();
    options.set_readahead_size(2 << 20);
    // A scan of everything must not push out what the compactions use.
    options.fill_cache(false);
    snapshot
        .iterator_opt(IteratorMode::Start, options)
        .map(|item| item.map(|(key, value)| (key, Bytes::from(value))).map_err(|error| unreadable(&error)))
}
