//! Asks the member that keeps the whole log what stands in it.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::logged::Transaction;
use crate::ensemble::gives_sessions;
use crate::wait::PATIENCE;
use crate::{Ensemble, corral};

/// All transactions of an ensemble that has a [keeper](crate::Plan::keeper) and serves, up to at least this zxid.
///
/// # Errors
/// If the keeper has not kept all of it, or does not hear of it in time.
pub(super) fn transactions(ensemble: &Ensemble, until: i64) -> Result<Vec<Transaction>> {
    let keeper = ensemble.keeper().context("the ensemble has no keeper")?;
    let end = Instant::now() + PATIENCE;
    loop {
        let found = read(ensemble, keeper)?;
        if found.last().is_some_and(|last| last.zxid >= until) {
            return Ok(found);
        }
        if Instant::now() > end {
            bail!("the keeper has heard of {:x?} and not of {until:#x}", found.last().map(|last| last.zxid));
        }
        // A member writes down what is committed with what comes next.
        ensemble.addresses().into_iter().any(gives_sessions);
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn read(ensemble: &Ensemble, keeper: usize) -> Result<Vec<Transaction>> {
    let mut inspect = Command::new(corral()?);
    inspect.args(["inspect", "transactions", "--json"]).arg(ensemble.directory(keeper).join("data"));
    let output = inspect.output().context("inspect the keeper's log")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim_end());
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| Transaction::read(line).with_context(|| line.to_owned())).collect()
}
