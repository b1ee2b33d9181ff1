//! Where a member's log and state lie, and how they give way to others.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use proto::MemberId;
use rustix::fs::{FlockOperation, fcntl_lock};

use crate::{Config, Fault, clock, state};

/// The folders of a member.
#[derive(Clone, Debug)]
pub struct Folders {
    /// Whose they are.
    pub member: MemberId,
    /// Its log.
    pub log: PathBuf,
    /// Its state.
    pub state: PathBuf,
}

impl Folders {
    /// Those of a member with this configuration.
    pub fn of(config: &Config) -> Self {
        Self { member: config.member, log: config.log_dir.join("log"), state: config.data_dir.join("state") }
    }

    /// Holds them, so that the member cannot start meanwhile.
    ///
    /// # Errors
    /// A [`Fault`] if it runs.
    pub(super) fn hold(&self) -> Result<Held, Fault> {
        let mut held = Vec::new();
        for database in std::iter::once(self.log.clone()).chain(state::databases(&self.state)) {
            held.extend(self.lock(&database)?);
        }
        Ok(Held { _files: held })
    }

    /// The lock is RocksDB's own.
    fn lock(&self, database: &Path) -> Result<Option<File>, Fault> {
        let path = database.join("LOCK");
        let file = match File::options().read(true).write(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("open", &path, error)),
        };
        match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(file)),
            Err(rustix::io::Errno::ACCESS | rustix::io::Errno::AGAIN) => Err(Fault::Other(format!(
                "member {} runs: {} is in use. Stop it first",
                self.member,
                database.display()
            ))),
            Err(error) => Err(failed("lock", &path, error.into())),
        }
    }

    /// Where a log, or a state, is made that is to take the place of the one in `folder`. What an earlier attempt left
    /// there is removed: it never counted.
    pub(super) fn room_beside(folder: &Path) -> Result<PathBuf, Fault> {
        let room = named(folder, ".new");
        match fs::remove_dir_all(&room) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", &room, error)),
            _ => Ok(room),
        }
    }

    /// Puts what was made there in the place of `folder`, and that aside. Returns where it went, if there was anything.
    pub(super) fn replace(folder: &Path, with: &Path) -> Result<Option<PathBuf>, Fault> {
        let aside = Self::move_aside(folder)?;
        fs::rename(with, folder).map_err(|error| failed("put into place", with, error))?;
        sync_parent(folder)?;
        Ok(aside)
    }

    /// Moves a folder aside, and never deletes it. Returns where it went, if it was there.
    pub(super) fn move_aside(folder: &Path) -> Result<Option<PathBuf>, Fault> {
        if !folder.exists() {
            return Ok(None);
        }
        let seconds = clock::wall() / 1_000;
        let aside = (0..)
            .map(|again| match again {
                0 => named(folder, &format!(".aside-{seconds}")),
                again => named(folder, &format!(".aside-{seconds}-{again}")),
            })
            .find(|aside| !aside.exists());
        let aside = aside.unwrap_or_else(|| named(folder, ".aside"));
        fs::rename(folder, &aside).map_err(|error| failed("move aside", folder, error))?;
        sync_parent(folder)?;
        Ok(Some(aside))
    }
}

/// The locks of a member's databases; let go when this is dropped.
pub(super) struct Held {
    _files: Vec<File>,
}

fn named(folder: &Path, ending: &str) -> PathBuf {
    let mut name = folder.file_name().unwrap_or_default().to_owned();
    name.push(ending);
    folder.with_file_name(name)
}

fn sync_parent(folder: &Path) -> Result<(), Fault> {
    let parent = folder.parent().unwrap_or(Path::new("."));
    File::open(parent).and_then(|dir| dir.sync_all()).map_err(|error| failed("sync", parent, error))
}

pub(super) fn failed(doing: &str, what: &Path, error: io::Error) -> Fault {
    Fault::disk(format!("{doing} {}", what.display()), error)
}
