//! One measurement: of one row, with members of its own.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use harness::Ensemble;

use crate::about::About;
use crate::burden::{cpu_s, largest};
use crate::load::{self, Load};
use crate::results::{Measured, Side};
use crate::rows::{Figure, Row, Work};
use crate::{fresh, join, tree, watches};

/// How much time there is for it, and how much of everything else.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    pub(crate) seconds: Duration,
    pub(crate) warmup: Duration,
    pub(crate) small: bool,
}

impl Scale {
    /// Znodes that are read and written where their number does not matter.
    pub(crate) fn znodes(self) -> u32 {
        if self.small { 500 } else { 10_000 }
    }

    /// How long members are left alone before their memory is looked at.
    pub(crate) fn settling(self) -> Duration {
        if self.small { Duration::from_millis(200) } else { Duration::from_secs(10) }
    }
}

/// Measures it; `None` where that side is not measured in that row.
pub(crate) fn take(
    row: &Row,
    side: Side,
    delay: Duration,
    scale: Scale,
    about: &mut About,
) -> Result<Option<Measured>> {
    let work = if scale.small { row.work.small() } else { row.work };
    let start = |about: &mut About| -> Result<Ensemble> {
        let ensemble = Ensemble::start(&fresh::plan(side, delay));
        about.meet(side, &ensemble)?;
        Ok(ensemble)
    };
    let measured = match work {
        Work::Bench { workload, connections, depth, told, charged } => {
            let ensemble = start(about)?;
            let load = Load {
                workload,
                connections,
                depth,
                znodes: scale.znodes(),
                warmup: scale.warmup,
                seconds: scale.seconds,
                keep: false,
            };
            under_load(&ensemble, load, told, charged)?
        }
        Work::Tree { znodes } => tree::measure(&mut start(about)?, znodes, scale)?,
        Work::Watches { sessions, of_each } => watches::measure(&start(about)?, sessions, of_each, scale)?,
        Work::Join { connections, depth, znodes } => {
            if side == Side::ZooKeeper {
                return Ok(None);
            }
            join::measure(connections, depth, znodes, scale)?
        }
    };
    // Members that acknowledge what is not on a disk are no match for those that do.
    ensure!(!row.syncs || measured.syncs > 0, "{} has synced nothing", side.name());
    // ZooKeeper counts whole milliseconds.
    let (mean, least) = (measured.sync_mean_ms.unwrap_or_default(), delay.as_millis() as f64);
    ensure!(mean >= least, "a sync of {} took {mean} ms: that is less than the delay", side.name());
    Ok(Some(measured))
}

fn under_load(ensemble: &Ensemble, load: Load, told: &str, charged: &str) -> Result<Measured> {
    let before = fresh::syncs(ensemble)?;
    let outcome = load::run(load, &fresh::servers(ensemble), &fresh::observed(ensemble))?;
    let syncs = fresh::syncs(ensemble)?.since(before);
    let (cpu, line) = (cpu_s(&outcome.members), outcome.line(told)?);
    let mut figures = BTreeMap::from([
        (Figure::Cpus, cpu / load.seconds.as_secs_f64()),
        (Figure::LoadCpus, outcome.own_cpus),
        (Figure::Resident, largest(&outcome.members)),
    ]);
    if line.answers > 0 {
        figures.insert(Figure::Rate, line.rate);
        figures.insert(Figure::P50Us, line.p50_us);
        figures.insert(Figure::P99Us, line.p99_us);
        let charged = outcome.line(charged)?.answers;
        figures.insert(Figure::CpuPerMillion, cpu / charged.max(1) as f64 * 1e6);
    }
    Ok(Measured {
        figures,
        members: outcome.members,
        syncs: syncs.count,
        sync_mean_ms: syncs.mean_ms(),
        raw: outcome.raw,
    })
}
