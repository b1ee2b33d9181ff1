//! A state that no member has open: looked at, or made.

use std::path::{Path, PathBuf};

use machine::Machine;

use super::database::{Database, Progress};
use super::directory::Directory;
use crate::Fault;

/// The world in `root` and how far in the log it has come; `None` if there is none. Reads everything, and changes nothing:
/// of a member that runs, what it has made safe.
///
/// # Errors
/// A [`Fault`] if what is there cannot be trusted.
pub(crate) fn look(root: &Path) -> Result<Option<(Machine, Progress)>, Fault> {
    match Directory::current(root)? {
        Some(dir) => Database::open_to_read(&dir)?.load().map(Some),
        None => Ok(None),
    }
}

/// How far in the log the state in `root` has come; `None` if there is none. Reads hardly anything.
///
/// # Errors
/// A [`Fault`] if what is there cannot be opened.
pub(crate) fn progress(root: &Path) -> Result<Option<Progress>, Fault> {
    match Directory::current(root)? {
        Some(dir) => Database::open_to_read(&dir)?.pin().progress().map(Some),
        None => Ok(None),
    }
}

/// Makes a state of this world in `root`, where there is none. Safe on return.
pub(crate) fn begin(root: &Path, world: &Machine, progress: &Progress) -> Result<(), Fault> {
    Directory::create(root)?.begin(world, progress).map(drop)
}

/// The directories of databases below `root`, whichever counts.
pub(crate) fn databases(root: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}
