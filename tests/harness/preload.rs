//! Libraries that stand between a member and its system, written in C and compiled when a test asks for them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};

use crate::scratch;

/// The library out of this file of the harness; compiled once for each test program.
pub(crate) fn library(source: &'static str) -> Result<PathBuf> {
    static BUILT: Mutex<BTreeMap<&str, PathBuf>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(library) = built.get(source) {
        return Ok(library.clone());
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("harness").join(source);
    // Test programs may compile it at the same time.
    let folder = tempfile::Builder::new().prefix("preloaded-").tempdir_in(scratch())?.keep();
    let library = folder.join(source).with_extension("so");
    let mut compile = Command::new("cc");
    compile.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(path).arg("-ldl");
    let status = compile.status().context("run cc")?;
    ensure!(status.success(), "cc does not compile {source}");
    built.insert(source, library.clone());
    Ok(library)
}
