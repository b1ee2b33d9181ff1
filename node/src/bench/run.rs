//! One measurement from beginning to end.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::client::Task;
use super::grove::{self, Grove};
use super::load::{self, Shape};
use super::plan::{Plan, Workload};
use super::record::{Record, SLICE};
use super::table::{self, Row};
use super::{fanout, plot, sessions};

/// How often what is shown on the way changes.
const SHOWN_EVERY: Duration = Duration::from_millis(200);

/// What came out, for further use.
#[derive(Debug, Serialize)]
struct Results<'a> {
    workload: String,
    mix: String,
    servers: &'a [String],
    depth: u32,
    rate: Option<f64>,
    size: u32,
    znodes: u32,
    /// How long after its own start it began to measure: whoever observes the members meanwhile knows from when on.
    preparing_ms: f64,
    seconds: f64,
    rows: &'a [Row],
    /// Answers in each tenth of a second.
    answers_by_slice: &'a [u64],
    slice_ms: u64,
    refused: Vec<Refused>,
    unanswered: u64,
    broken_connections: u64,
    notifications: u64,
}

#[derive(Debug, Serialize)]
struct Refused {
    code: i32,
    count: u64,
}

/// Prepares, measures, clears up, and returns what is to be read.
///
/// # Errors
/// If the servers cannot be reached or refuse what is prepared, or the results cannot be written.
pub fn run(plan: &Plan) -> Result<String> {
    let begun = Instant::now();
    let servers = resolve(&plan.servers)?;
    let task = Task {
        grove: Grove::new(plan.znodes),
        mix: plan.mix(),
        data: grove::data(plan.size),
        seed: plan.seed,
    };
    let needs_znodes = !matches!(plan.workload, Workload::Sessions | Workload::Idle);
    if needs_znodes {
        let bar = bar("prepare", 0);
        task.grove
            .plant(servers[0], plan.connections, plan.size, &bar)
            .with_context(|| format!("prepare the znodes at {}", plan.servers[0]))?;
        bar.finish_and_clear();
    }
    let (record, rows, left) = measure(plan, &servers, &task)?;
    if needs_znodes && !plan.keep {
        let bar = bar("clear up", 0);
        bar.set_length(left.len() as u64 + u64::from(plan.znodes));
        task.grove
            .clear(servers[0], left.into_iter(), plan.connections, &bar)
            .with_context(|| format!("take away what is below {}", task.grove.root()))?;
        bar.finish_and_clear();
    }
    if let Some(path) = &plan.json {
        let results = results(plan, &record, &rows, begun);
        let text = serde_json::to_string_pretty(&results).context("write the results as JSON")?;
        std::fs::write(path, text).with_context(|| format!("write {}", path.display()))?;
    }
    if let Some(folder) = &plan.plots {
        draw(folder, plan, &record, &rows)?;
    }
    Ok(in_words(plan, &record, &rows))
}

fn measure(plan: &Plan, servers: &[SocketAddr], task: &Task) -> Result<(Record, Vec<Row>, Vec<String>)> {
    let done = AtomicU64::new(0);
    let rows = |record: &Record| table::rows(record, plan.connections, plan.seconds);
    Ok(match plan.workload {
        Workload::Fanout => {
            let record = fanout::run(servers, plan, task).context("tell many of a change")?;
            let rows = rows(&record);
            (record, rows, Vec::new())
        }
        Workload::Sessions => {
            let record = shown(plan, &done, || sessions::run(servers, plan, &done))
                .context("open and close sessions")?;
            let rows = rows(&record);
            (record, rows, Vec::new())
        }
        Workload::Ladder => {
            let (mut all, mut left, mut last) = (Vec::new(), Vec::new(), None);
            for clients in rungs(plan.connections) {
                let shape = Shape::of(plan, clients);
                let outcome = shown(plan, &done, || load::run(servers, shape, task, &done))
                    .with_context(|| format!("measure with {clients} clients"))?;
                all.extend(table::rows(&outcome.record, clients, plan.seconds));
                left.extend(outcome.left);
                last = Some(outcome.record);
            }
            (last.context("nothing was measured")?, all, left)
        }
        _ => {
            let mut shape = Shape::of(plan, plan.connections);
            if plan.workload == Workload::Idle {
                (shape.depth, shape.rate) = (0, None);
            }
            let outcome =
                shown(plan, &done, || load::run(servers, shape, task, &done)).context("put the load on")?;
            let rows = rows(&outcome.record);
            (outcome.record, rows, outcome.left)
        }
    })
}

/// 1, 2, 4 … and the greatest number itself.
fn rungs(most: u32) -> impl Iterator<Item = u32> {
    let below = std::iter::successors(Some(1_u32), |rung| rung.checked_mul(2));
    below.take_while(move |rung| *rung < most).chain([most])
}

/// Shows how it goes while it is done.
fn shown<T: Send>(plan: &Plan, done: &AtomicU64, work: impl FnOnce() -> T + Send) -> T {
    let total = plan.warmup + plan.seconds;
    let bar = bar("measure", u64::try_from(total.as_millis()).unwrap_or(u64::MAX));
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (begun, mut before) = (Instant::now(), done.load(Ordering::Relaxed));
            while !over.load(Ordering::SeqCst) {
                std::thread::park_timeout(SHOWN_EVERY);
                let now = done.load(Ordering::Relaxed);
                let rate = now.saturating_sub(before) as f64 / SHOWN_EVERY.as_secs_f64();
                before = now;
                bar.set_position(u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX));
                bar.set_message(format!("{rate:.0} answers/s"));
            }
            bar.finish_and_clear();
        });
        let result = work();
        over.store(true, Ordering::SeqCst);
        result
    })
}

fn bar(what: &'static str, length: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix:>10} {wide_bar} {percent:>3} %  {msg}");
    let bar = ProgressBar::new(length).with_prefix(what);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn resolve(servers: &[String]) -> Result<Vec<SocketAddr>> {
    let mut addresses = Vec::new();
    for server in servers {
        let address = server.to_socket_addrs().with_context(|| format!("find {server}"))?.next();
        addresses.push(address.with_context(|| format!("{server} has no address"))?);
    }
    if addresses.is_empty() {
        bail!("no server is named");
    }
    Ok(addresses)
}

fn results<'a>(plan: &'a Plan, record: &'a Record, rows: &'a [Row], begun: Instant) -> Results<'a> {
    Results {
        workload: format!("{:?}", plan.workload).to_lowercase(),
        mix: plan.mix().to_string(),
        servers: &plan.servers,
        depth: plan.depth,
        rate: plan.rate,
        size: plan.size,
        znodes: plan.znodes,
        preparing_ms: record.start().saturating_duration_since(begun).as_secs_f64() * 1e3,
        seconds: plan.seconds.as_secs_f64(),
        rows,
        answers_by_slice: record.slices(),
        slice_ms: u64::try_from(SLICE.as_millis()).unwrap_or_default(),
        refused: record.refused.iter().map(|(&code, &count)| Refused { code, count }).collect(),
        unanswered: record.unanswered,
        broken_connections: record.broken,
        notifications: record.events,
    }
}

fn draw(folder: &Path, plan: &Plan, record: &Record, rows: &[Row]) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    let drawn = plot::latencies(&folder.join("latency.svg"), record)
        .and_then(|()| plot::throughput(&folder.join("throughput.svg"), record))
        .and_then(|()| match plan.workload {
            Workload::Ladder => plot::ladder(&folder.join("ladder.svg"), rows),
            _ => Ok(()),
        });
    drawn.map_err(|error| anyhow::anyhow!("draw into {}: {error}", folder.display()))
}

fn in_words(plan: &Plan, record: &Record, rows: &[Row]) -> String {
    let mut words = table::table(rows);
    if plan.workload == Workload::Idle {
        words.push_str(&format!("\n{} sessions lived", plan.connections));
    }
    for (code, count) in &record.refused {
        words.push_str(&format!("\nrefused with code {code}: {count}"));
    }
    if record.broken > 0 || record.unanswered > 0 {
        words.push_str(&format!(
            "\nconnections that broke: {}; requests without an answer: {}",
            record.broken, record.unanswered
        ));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ladder_ends_where_it_is_to() {
        assert_eq!(rungs(1).collect::<Vec<_>>(), [1]);
        assert_eq!(rungs(8).collect::<Vec<_>>(), [1, 2, 4, 8]);
        assert_eq!(rungs(1_000).last(), Some(1_000));
    }
}
