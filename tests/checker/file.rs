//! Histories that are kept in a file, to be judged again.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write as _};
use std::path::Path;

use anyhow::{Context, Result};

use super::history::History;

/// Writes a history to a file.
///
/// # Errors
/// If that is not possible.
pub fn write(history: &History, path: &Path) -> Result<()> {
    let file = File::create(path).with_context(|| format!("create {}", path.display()))?;
    let mut file = BufWriter::new(file);
    serde_json::to_writer(&mut file, history).with_context(|| format!("write {}", path.display()))?;
    file.flush().with_context(|| format!("write {}", path.display()))
}

/// Reads what [`write()`] wrote.
///
/// # Errors
/// If it cannot be read, or holds something else.
pub fn read(path: &Path) -> Result<History> {
    let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    serde_json::from_reader(BufReader::new(file)).with_context(|| format!("read {}", path.display()))
}
