//! Where the state lies: numbered directories, of which one is named as the one that counts.
//!
//! A snapshot from another member is written beside the state in use, and takes its place by one rename of the file
//! `CURRENT`. So a crash at any moment leaves either the old state or the new one, whole.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use machine::Machine;
use proto::limits::PERSIST_RECORDS_PER_WRITE_MAX;

use super::database::{Batch, Database, Progress};
use crate::Fault;

const CURRENT: &str = "CURRENT";
const PREFIX: &str = "state-";

/// The directory of all states.
pub(super) struct Directory {
    root: PathBuf,
    next: AtomicU64,
}

impl Directory {
    /// An empty directory.
    pub(super) fn create(root: &Path) -> Result<Self, Fault> {
        fs::create_dir_all(root).map_err(|error| failed("make the directory", root, error))?;
        Ok(Self { root: root.to_owned(), next: AtomicU64::new(1) })
    }

    /// Opens the state that counts, or makes an empty world where there is none, and removes what a crash left over.
    pub(super) fn open(root: &Path) -> Result<(Self, Database), Fault> {
        fs::create_dir_all(root).map_err(|error| failed("make the directory", root, error))?;
        let current = read_current(root)?;
        let mut next = 1;
        for entry in fs::read_dir(root).map_err(|error| failed("list", root, error))? {
            let name = entry.map_err(|error| failed("list", root, error))?.file_name();
            let Some(number) = name.to_str().and_then(number) else { continue };
            next = next.max(number + 1);
            if current.as_deref() != name.to_str() {
                let left_over = root.join(&name);
                fs::remove_dir_all(&left_over).map_err(|error| failed("remove", &left_over, error))?;
            }
        }
        let directory = Self { root: root.to_owned(), next: AtomicU64::new(next) };
        let database = match current {
            Some(name) => Database::open(&root.join(name))?,
            None => directory.begin(&Machine::new(), &Progress::default())?,
        };
        Ok((directory, database))
    }

    /// Makes room for a state that comes from another member.
    pub(super) fn incoming(&self) -> Result<Database, Fault> {
        let database = Database::create(&self.fresh())?;
        // Until it is installed nobody needs it.
        database.doom();
        Ok(database)
    }

    /// Makes `database` the one that counts. Safe on return.
    pub(super) fn choose(&self, database: &Database) -> Result<(), Fault> {
        let name = database.dir().file_name().unwrap_or_default();
        let draft = self.root.join("CURRENT.new");
        let write = || -> io::Result<()> {
            // The names of the state's own files first: they must not be missing when the pointer is there.
            File::open(database.dir())?.sync_all()?;
            File::open(&self.root)?.sync_all()?;
            let mut file = File::create(&draft)?;
            file.write_all(name.as_encoded_bytes())?;
            file.sync_all()?;
            fs::rename(&draft, self.root.join(CURRENT))?;
            File::open(&self.root)?.sync_all()
        };
        write().map_err(|error| failed("name the current state in", &self.root, error))
    }

    /// Makes a state of this world, which has come so far in the log, and the one that counts.
    pub(super) fn begin(&self, world: &Machine, progress: &Progress) -> Result<Database, Fault> {
        let database = Database::create(&self.fresh())?;
        let mut records = world.records().map(|record| (record.key(), Some(record))).peekable();
        while records.peek().is_some() {
            let some: Vec<_> = records.by_ref().take(PERSIST_RECORDS_PER_WRITE_MAX).collect();
            let mut batch = Batch::default();
            batch.add(&some);
            database.write(batch, progress)?;
        }
        database.flush()?;
        self.choose(&database)?;
        Ok(database)
    }

    /// The directory of the state that counts; `None` if there is none.
    pub(super) fn current(root: &Path) -> Result<Option<PathBuf>, Fault> {
        Ok(read_current(root)?.map(|name| root.join(name)))
    }

    fn fresh(&self) -> PathBuf {
        self.root.join(format!("{PREFIX}{}", self.next.fetch_add(1, Ordering::Relaxed)))
    }
}

fn read_current(root: &Path) -> Result<Option<String>, Fault> {
    let path = root.join(CURRENT);
    match fs::read_to_string(&path) {
        Ok(name) if number(&name).is_some() => Ok(Some(name)),
        Ok(name) => Err(Fault::Damaged(format!(
            "{} names {name:?}, which is no state. {}",
            path.display(),
            super::load::CURE
        ))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", &path, error)),
    }
}

fn number(name: &str) -> Option<u64> {
    name.strip_prefix(PREFIX)?.parse().ok()
}

fn failed(doing: &str, what: &Path, error: io::Error) -> Fault {
    Fault::disk(format!("{doing} {}", what.display()), error)
}
