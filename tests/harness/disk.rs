//! Disks that fail, or are slow, when a test says so.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

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
    /// A sync takes longer by as much, as on a disk of a cloud.
    SlowSync(Duration),
}

impl Fault {
    /// What `disk_faults.c` reads: of files with this in their path.
    fn script(self, part_of_path: &str) -> String {
        let (what, number) = match self {
            Self::Full => ("write", 28),
            Self::Write => ("write", 5),
            Self::Sync => ("sync", 5),
            Self::SlowSync(delay) => ("slow", delay.as_micros()),
        };
        format!("{what} {number} {part_of_path}\n")
    }
}

/// Says from now on what fails, for files with this in their path; `None` mends it.
pub(crate) fn say(zoo_cfg: &Path, fault: Option<(Fault, &str)>) -> io::Result<()> {
    let text = fault.map_or_else(String::new, |(fault, part)| fault.script(part));
    std::fs::write(script_of(zoo_cfg), text)
}

/// Where a member with a faulty disk reads what is to fail.
pub(crate) fn script_of(zoo_cfg: &Path) -> PathBuf {
    zoo_cfg.with_file_name("faults")
}
