//! A workload of `corral bench`, and what the members used meanwhile.

use std::fs::File;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use harness::corral;
use serde::Deserialize;
use serde_json::Value;

use crate::burden::{self, Log, Member, Observed};

/// Threads that drive the connections.
pub(crate) const THREADS: u32 = 2;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) workload: &'static str,
    pub(crate) connections: u32,
    pub(crate) depth: u32,
    pub(crate) znodes: u32,
    pub(crate) warmup: Duration,
    pub(crate) seconds: Duration,
    /// Whether the znodes stay.
    pub(crate) keep: bool,
}

/// What came out.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) lines: Vec<Line>,
    /// While it was measured.
    pub(crate) members: Vec<Member>,
    /// Processors that the load itself kept busy meanwhile.
    pub(crate) own_cpus: f64,
    pub(crate) raw: Value,
}

/// One line of the results.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Line {
    pub(crate) kind: String,
    pub(crate) answers: u64,
    pub(crate) rate: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

#[derive(Debug, Deserialize)]
struct Told {
    rows: Vec<Line>,
    refused: Vec<Value>,
    broken_connections: u64,
    unanswered: u64,
    preparing_ms: f64,
}

/// Runs it to its end.
pub(crate) fn run(load: Load, servers: &[SocketAddr], observed: &[Observed]) -> Result<Outcome> {
    let folder = tempfile::tempdir().context("make a folder for results")?;
    let (json, said) = (folder.path().join("results.json"), folder.path().join("said"));
    let servers: Vec<String> = servers.iter().map(ToString::to_string).collect();
    let mut command = Command::new(corral()?);
    command.args(["bench", load.workload, "--servers", &servers.join(",")]);
    let mut option = |name: &str, value: String| {
        command.args([name, &value]);
    };
    option("--connections", load.connections.to_string());
    option("--depth", load.depth.to_string());
    option("--znodes", load.znodes.to_string());
    option("--threads", THREADS.to_string());
    option("--warmup", load.warmup.as_secs_f64().to_string());
    option("--seconds", load.seconds.as_secs_f64().to_string());
    command.arg("--json").arg(&json).args(load.keep.then_some("--keep"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&said).context("make a file")?);

    let mut child = command.spawn().context("start `corral bench`")?;
    let own = Observed { id: 0, leads: false, pid: child.id() };
    let mut log = Log::begin(&[observed, &[own]].concat())?;
    let status = loop {
        match child.try_wait().context("wait for `corral bench`")? {
            Some(status) => break status,
            None => std::thread::sleep(burden::EVERY),
        }
        if let Err(error) = log.look() {
            let _ended = child.kill().and_then(|()| child.wait());
            return Err(error);
        }
    };
    let complaint = std::fs::read_to_string(&said).unwrap_or_default();
    ensure!(status.success(), "`corral bench {}`: {status}: {}", load.workload, complaint.trim_end());
    let raw: Value = serde_json::from_slice(&std::fs::read(&json).context("read results")?)
        .context("understand what `corral bench` wrote")?;
    let told = Told::deserialize(&raw).context("understand what `corral bench` wrote")?;
    // Who refuses or hangs up may be quick about it.
    ensure!(
        told.refused.is_empty() && told.broken_connections == 0 && told.unanswered == 0,
        "refused: {:?}; connections that broke: {}; requests without an answer: {}",
        told.refused,
        told.broken_connections,
        told.unanswered
    );
    let from = Duration::from_secs_f64(told.preparing_ms / 1e3);
    let mut members = log.between(from, load.seconds);
    let own_cpus = members.pop().map_or(0.0, |own| own.cpu_s() / load.seconds.as_secs_f64());
    Ok(Outcome { lines: told.rows, members, own_cpus, raw })
}

impl Outcome {
    /// The line of that kind.
    pub(crate) fn line(&self, kind: &str) -> Result<&Line> {
        let line = self.lines.iter().find(|line| line.kind == kind);
        line.with_context(|| format!("`corral bench` told nothing of `{kind}`"))
    }
}
