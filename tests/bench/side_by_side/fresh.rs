//! Three members that nobody has used yet.
//!
//! Each measurement has members of its own, with empty disks, and only they run. Were both ensembles kept up, the snapshots,
//! compactions and collections that one owes for its last turn would fall into the turn of the other, and each row would
//! depend on those before it. What is lost by that, a JVM that is warm, every measurement makes up for with a warm-up of its
//! own.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use harness::{Ensemble, Plan};

use crate::burden::Observed;
use crate::results::Side;

/// What a JVM is told of its memory.
pub(crate) const HEAP: &str = "-Xmx2g";

/// What is to be started.
pub(crate) fn plan(side: Side, delay: Duration) -> Plan {
    // As in the file that ZooKeeper comes with.
    let plan = Plan { tick_ms: 2_000, server: side.server(), ..Plan::members(3) };
    let plan = plan.line("initLimit=10").line("syncLimit=5").flag(HEAP);
    // One disk for both: every sync of a member takes longer, not only those of a log.
    plan.slow_syncs(delay)
}

/// Where clients go, a follower first and the leader last: a load of a single client meets a follower of both, and two of
/// three clients have one.
pub(crate) fn servers(ensemble: &Ensemble) -> Vec<SocketAddr> {
    let leader = ensemble.wait_for_leader();
    let mut ids: Vec<usize> = ensemble.ids().filter(|id| ensemble.pid(*id).is_some()).collect();
    ids.sort_by_key(|id| *id == leader);
    ids.into_iter().map(|id| ensemble.address(id)).collect()
}

/// The processes of all members that run.
pub(crate) fn observed(ensemble: &Ensemble) -> Vec<Observed> {
    let leader = ensemble.wait_for_leader();
    let observed = |id| Some(Observed { id, leads: id == leader, pid: ensemble.pid(id)? });
    ensemble.ids().filter_map(observed).collect()
}

/// What members have synced of their logs since they began.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Syncs {
    pub(crate) count: i64,
    /// How long all of them took.
    pub(crate) millis: f64,
}

impl Syncs {
    /// Those since then.
    pub(crate) fn since(self, before: Self) -> Self {
        Self { count: self.count - before.count, millis: self.millis - before.millis }
    }

    /// How long one took.
    pub(crate) fn mean_ms(self) -> Option<f64> {
        (self.count > 0).then(|| self.millis / self.count as f64)
    }
}

/// What all that run say of that.
pub(crate) fn syncs(ensemble: &Ensemble) -> Result<Syncs> {
    let mut syncs = Syncs::default();
    for id in ensemble.ids().filter(|id| ensemble.pid(*id).is_some()) {
        let text = ensemble.four_letter(id, "mntr").with_context(|| format!("ask member {id}"))?;
        let number = |name: &str| -> Option<f64> {
            text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
        };
        syncs.count += number("zk_cnt_fsynctime").unwrap_or_default() as i64;
        syncs.millis += number("zk_sum_fsynctime").unwrap_or_default();
    }
    Ok(syncs)
}
