//! Wall clocks that are wrong when a test says so.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// What stands between a member and its clock.
pub(crate) const SOURCE: &str = "clock_shift.c";

/// Where a member reads by how much its clock is wrong.
pub(crate) fn shift_of(zoo_cfg: &Path) -> PathBuf {
    zoo_cfg.with_file_name("clock")
}

/// Lets the clock of whoever reads this file be wrong by so many milliseconds, from now on.
pub(crate) fn shift(file: &Path, millis: i64) -> io::Result<()> {
    // Written over and never cut, because members have it in their memory.
    let file = File::options().create(true).truncate(false).write(true).open(file)?;
    file.write_all_at(&millis.saturating_mul(1_000_000).to_ne_bytes(), 0)
}
