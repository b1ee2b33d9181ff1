//! What very many watches take.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use harness::ask::flags::PERSISTENT;
use harness::connection::Reply;
use harness::tree::pipeline;
use harness::{Ask, Connection, Ensemble};
use serde_json::json;

use crate::burden::{Log, cpu_s, largest};
use crate::fresh;
use crate::results::Measured;
use crate::rows::Figure;
use crate::take::Scale;

/// Under which the watched znodes are.
const ROOT: &str = "/watched";

/// What a session asks for; nobody pings in the meantime.
const TIMEOUT_MS: i32 = 60_000;

/// How many znodes a session looks at before it is the next one's turn.
const AT_A_TIME: usize = 1_000;

/// Each session reads each znode with a watch.
pub(crate) fn measure(ensemble: &Ensemble, sessions: u32, of_each: u32, scale: Scale) -> Result<Measured> {
    let before = fresh::syncs(ensemble)?;
    let servers = fresh::servers(ensemble);
    let path = |number: u32| format!("{ROOT}/{number:05}");
    let (mut first, _) = Connection::open(servers[0], TIMEOUT_MS);
    let znodes = (0..of_each).map(|number| Ask::create(&path(number), &[b'x'; 100], PERSISTENT));
    let creates: Vec<Ask> = [Ask::create(ROOT, b"", PERSISTENT)].into_iter().chain(znodes).collect();
    all_well(&pipeline(&mut first, &creates).context("make what is to be watched")?)?;
    first.hang_up();

    let mut watchers = Vec::new();
    for number in 0..sessions as usize {
        watchers.push(Connection::open(servers[number % servers.len()], TIMEOUT_MS).0);
    }
    let looks: Vec<Ask> = (0..of_each).map(|number| Ask::get_data(&path(number), true)).collect();
    // A member that is behind knows of all znodes then.
    for watcher in &mut watchers {
        all_well(&pipeline(watcher, &[Ask::sync(ROOT)]).context("wait for the znodes")?)?;
    }
    let mut log = Log::begin(&fresh::observed(ensemble))?;
    let at_first = log.in_all();
    let arming = Instant::now();
    // No session is silent for so long that it expires.
    for some in looks.chunks(AT_A_TIME) {
        for watcher in &mut watchers {
            all_well(&pipeline(watcher, some).context("watch")?)?;
        }
    }
    let arming = arming.elapsed();
    std::thread::sleep(scale.settling());
    log.look()?;
    let members = log.in_all();
    let syncs = fresh::syncs(ensemble)?.since(before);

    let known: i64 = ensemble.ids().map(|id| ensemble.metric(id, "watch_count")).sum();
    ensure!(known == i64::from(sessions) * i64::from(of_each), "the members know of {known} watches");
    let watches = f64::from(sessions) * f64::from(of_each);
    let figures = BTreeMap::from([
        (Figure::Resident, largest(&members)),
        (Figure::CpuPerMillion, cpu_s(&members) / watches * 1e6),
        (Figure::Rate, watches / arming.as_secs_f64()),
    ]);
    let raw = json!({
        "sessions": sessions,
        "of_each": of_each,
        "resident_bytes_before": at_first.iter().map(|member| member.resident_bytes).collect::<Vec<_>>(),
    });
    watchers.into_iter().for_each(Connection::hang_up);
    Ok(Measured { figures, members, syncs: syncs.count, sync_mean_ms: syncs.mean_ms(), raw })
}

fn all_well(replies: &[Reply]) -> Result<()> {
    let refused = replies.iter().find(|reply| reply.err != 0);
    ensure!(refused.is_none(), "refused: {refused:?}");
    Ok(())
}
