//! What a load suffers while members join that have nothing, and are sent everything.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use harness::ensemble::gives_sessions;
use harness::{Ensemble, wait};
use serde_json::json;

use crate::burden::{cpu_s, largest};
use crate::fresh;
use crate::load::{self, Load};
use crate::results::{Measured, Side};
use crate::rows::Figure;
use crate::take::Scale;
use crate::tree::plant;

/// What a member says when it was sent the state.
const BY_THE_STATE: &str = "the state was replaced by a snapshot";

/// Up to where a member's log was purged, by its numbers.
const PURGED: &str = "corral_log_purged";

/// The load without and with members that join. The one that joins is the same follower again and again, each time with an
/// empty disk, so that the state is under way most of the time, however quickly it is sent. In both cases the clients go to
/// the other two.
pub(crate) fn measure(connections: u32, depth: u32, znodes: u32, scale: Scale) -> Result<Measured> {
    // Hardly any log is kept: who has nothing cannot come back by it. An entry holds many writes.
    let (every, kept) = if scale.small { (20, 10) } else { (1_000, 1_000) };
    let plan = fresh::plan(Side::Corral, Duration::ZERO);
    let plan = plan.line(&format!("corral.snapshotEvery={every}")).line(&format!("corral.logKeep={kept}"));
    let mut ensemble = Ensemble::start(&plan);
    plant(&ensemble, znodes)?;
    for id in ensemble.ids() {
        wait::until("the log was purged", || (ensemble.metric(id, PURGED) > 0).then_some(()));
    }
    let joining = ensemble.follower();
    ensemble.stop(joining);
    let (servers, observed) = (fresh::servers(&ensemble), fresh::observed(&ensemble));
    let before = fresh::syncs(&ensemble)?;
    let load = Load {
        workload: "write",
        connections,
        depth,
        znodes: scale.znodes(),
        warmup: scale.warmup,
        seconds: scale.seconds,
        keep: false,
    };
    let without = load::run(load, &servers, &observed).context("without members that join")?;

    let over = AtomicBool::new(false);
    let (with, joins) = std::thread::scope(|scope| {
        let loading = scope.spawn(|| {
            let outcome = load::run(load, &servers, &observed);
            over.store(true, Ordering::SeqCst);
            outcome
        });
        let joins = join_again_and_again(&mut ensemble, joining, &over);
        let outcome = loading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        joins.and_then(|joins| Ok((outcome?, joins)))
    })
    .context("with members that join")?;
    ensure!(joins > 0, "no member joined in time: measure for longer");
    let sent = ensemble.log(joining).matches(BY_THE_STATE).count();
    ensure!(sent > 0, "the member that joined was not sent the state");
    let syncs = fresh::syncs(&ensemble)?.since(before);

    let (alone, beside) = (without.line("set")?, with.line("set")?);
    let cpu = cpu_s(&with.members);
    let figures = BTreeMap::from([
        (Figure::RateKept, beside.rate / alone.rate),
        (Figure::P99Times, beside.p99_us / alone.p99_us),
        (Figure::Rate, beside.rate),
        (Figure::P50Us, beside.p50_us),
        (Figure::P99Us, beside.p99_us),
        (Figure::CpuPerMillion, cpu / beside.answers.max(1) as f64 * 1e6),
        (Figure::LoadCpus, with.own_cpus),
        (Figure::Resident, largest(&with.members)),
    ]);
    let raw = json!({ "without": without.raw, "with": with.raw, "joins": joins, "states_sent": sent });
    Ok(Measured { figures, members: with.members, syncs: syncs.count, sync_mean_ms: syncs.mean_ms(), raw })
}

/// Lets the member join with an empty disk until the load is over; how often it came to serve.
fn join_again_and_again(ensemble: &mut Ensemble, joining: usize, over: &AtomicBool) -> Result<u32> {
    let mut joins = 0;
    while !over.load(Ordering::SeqCst) {
        empty(ensemble, joining)?;
        ensemble.start_member(joining);
        let address = ensemble.address(joining);
        let served = wait::within(wait::PATIENCE, || {
            let serves = gives_sessions(address);
            (serves || over.load(Ordering::SeqCst)).then_some(serves)
        });
        joins += u32::from(served.context("the member that joins does not come to serve")?);
        ensemble.kill9(joining);
    }
    Ok(joins)
}

/// Takes away all that the member has but its number.
fn empty(ensemble: &Ensemble, member: usize) -> Result<()> {
    let data = ensemble.directory(member).join("data");
    for entry in fs::read_dir(&data).context("look at the member's files")? {
        let entry = entry.context("look at the member's files")?;
        let path = entry.path();
        if entry.file_name() == "myid" {
            continue;
        }
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.with_context(|| format!("remove {}", path.display()))?;
    }
    Ok(())
}
