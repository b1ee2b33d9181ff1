//! What very many znodes take, and how long a member starts with them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use harness::ensemble::gives_sessions;
use harness::{Ensemble, wait};
use serde_json::json;

use crate::burden::{Log, cpu_s, largest};
use crate::fresh;
use crate::load::{self, Load};
use crate::results::Measured;
use crate::rows::Figure;
use crate::take::Scale;

/// How closely a start is watched.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Makes the znodes, looks at the members' memory, and lets a follower end and start again.
pub(crate) fn measure(ensemble: &mut Ensemble, znodes: u32, scale: Scale) -> Result<Measured> {
    let before = fresh::syncs(ensemble)?;
    let observed = fresh::observed(ensemble);
    let mut log = Log::begin(&observed)?;
    let at_first = log.in_all();
    let planting = Instant::now();
    plant(ensemble, znodes)?;
    let planting = planting.elapsed();
    std::thread::sleep(scale.settling());
    log.look()?;
    let members = log.in_all();
    let syncs = fresh::syncs(ensemble)?.since(before);

    let follower = ensemble.follower();
    ensemble.stop(follower);
    let begun = Instant::now();
    ensemble.start_member(follower);
    let end = begun + wait::PATIENCE;
    while !gives_sessions(ensemble.address(follower)) {
        anyhow::ensure!(Instant::now() < end, "member {follower} does not come back");
        std::thread::sleep(LOOK_EVERY);
    }
    let restart = begun.elapsed();

    let resident = largest(&members);
    let figures = BTreeMap::from([
        (Figure::Resident, resident),
        (Figure::ResidentPerZnode, resident / f64::from(znodes)),
        (Figure::RestartMs, restart.as_secs_f64() * 1e3),
        (Figure::CpuPerMillion, cpu_s(&members) / f64::from(znodes) * 1e6),
    ]);
    let raw = json!({
        "znodes": znodes,
        "planting_ms": planting.as_millis() as u64,
        "resident_bytes_before": at_first.iter().map(|member| member.resident_bytes).collect::<Vec<_>>(),
    });
    Ok(Measured { figures, members, syncs: syncs.count, sync_mean_ms: syncs.mean_ms(), raw })
}

/// Makes that many znodes of a hundred bytes, which stay, and a parent for each hundred of them.
pub(crate) fn plant(ensemble: &Ensemble, znodes: u32) -> Result<()> {
    let none = Duration::ZERO;
    // What is read afterwards, for a moment, does not count.
    let seconds = Duration::from_millis(100);
    let load = Load { workload: "read", connections: 1, depth: 1, znodes, warmup: none, seconds, keep: true };
    load::run(load, &fresh::servers(ensemble), &[]).context("make the znodes").map(drop)
}
