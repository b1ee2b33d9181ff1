//! Disks that fail when a test says so.

use std::path::{Path, PathBuf};

/// What stands between a member and its disk.
pub(crate) const SOURCE: &str = "disk_faults.c";

/// What fails, and how: numbers of errors are those of Linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A write ends with "no space left on device".
    Full,
    /// A write ends with an error of the device.
    Write,
    /// A sync ends with an error of the device.
    Sync,
}

impl Fault {
    /// What `disk_faults.c` reads: of files with this in their path.
    pub(crate) fn script(self, part_of_path: &str) -> String {
        let (call, error) = match self {
            Self::Full => ("write", 28),
            Self::Write => ("write", 5),
            Self::Sync => ("sync", 5),
        };
        format!("{call} {error} {part_of_path}\n")
    }
}

/// Where a member with a faulty disk reads what is to fail.
pub(crate) fn script_of(zoo_cfg: &Path) -> PathBuf {
    zoo_cfg.with_file_name("faults")
}
