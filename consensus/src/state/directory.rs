//! Where the state lies: numbered directories, of which one is named as the one that counts.
//!
//! A snapshot from another member is written beside the state in use, and takes its place by one rename of the file
//! `CURRENT`. So a crash at any moment leaves either the old state or the new one, whole.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use machine::Machine;
use proto::image;

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
            None => directory.begin()?,
        };
        Ok((directory, database))
    }

    /// Makes room for a state that comes from another member.
    pub(super) fn incoming(&self) -> Result<Incoming, Fault> {
        let database = Database::create(&self.fresh())?;
        // Until it is installed nobody needs it.
        database.doom();
        Ok(Incoming { database })
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

    fn begin(&self) -> Result<Database, Fault> {
        let database = Database::create(&self.fresh())?;
        let world: Vec<_> = Machine::new().records().map(|record| (record.key(), Some(record))).collect();
        let mut batch = Batch::default();
        batch.add(&world);
        database.write(batch, &Progress::default())?;
        database.flush()?;
        self.choose(&database)?;
        Ok(database)
    }

    fn fresh(&self) -> PathBuf {
        self.root.join(format!("{PREFIX}{}", self.next.fetch_add(1, Ordering::Relaxed)))
    }
}

/// A state that comes from another member. It is removed when this is dropped before it was installed.
pub(crate) struct Incoming {
    pub(super) database: Database,
}

impl Incoming {
    /// Takes records as they lie in the other member's state.
    pub(crate) fn write(&self, records: &[image::Record]) -> Result<(), Fault> {
        self.database.write_records(records)
    }

    /// How far in the log it has come; known when everything is there. Makes what is there safe.
    pub(crate) fn finish(&self) -> Result<Progress, Fault> {
        self.database.check_format()?;
        self.database.flush()?;
        self.database.pin().progress()
    }
}

fn read_current(root: &Path) -> Result<Option<String>, Fault> {
    let path = root.join(CURRENT);
    match fs::read_to_string(&path) {
        Ok(name) if number(&name).is_some() => Ok(Some(name)),
        Ok(name) => Err(Fault::Damaged(format!(
            "{} names {name:?}, which is no state. {}",
            path.display(),
            super::database::CURE
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
