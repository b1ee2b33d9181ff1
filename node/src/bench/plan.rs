//! What is to be measured, as the command line says it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::mix::{Kind, Mix};

/// What is to be measured.
#[derive(Clone, Debug, Args)]
pub struct Plan {
    /// What is asked for
    #[arg(value_enum, default_value = "mixed")]
    pub workload: Workload,

    /// Where the members listen to clients; connections are spread over them
    #[arg(short, long, value_delimiter = ',', default_value = "127.0.0.1:2181")]
    pub servers: Vec<String>,

    /// Connections, each a session of its own
    #[arg(short, long, default_value_t = 32, value_parser = at_least_one())]
    pub connections: u32,

    /// Requests under way on each connection
    #[arg(short, long, default_value_t = 1, value_parser = at_least_one())]
    pub depth: u32,

    /// Requests a second, of all connections together; each is measured from the moment when it was due, however late it
    /// was sent. Without it, each answer is followed by the next request
    #[arg(short, long)]
    pub rate: Option<f64>,

    /// Kinds of requests and their weights, in place of the workload's own, such as `get=90,set=10`
    #[arg(short, long)]
    pub mix: Option<Mix>,

    /// Seconds that are measured
    #[arg(short = 't', long, default_value = "10", value_parser = seconds)]
    pub seconds: Duration,

    /// Seconds in front of them that are not
    #[arg(short, long, default_value = "2", value_parser = seconds)]
    pub warmup: Duration,

    /// Bytes of a znode's data
    #[arg(long, default_value_t = 100)]
    pub size: u32,

    /// Znodes that are there to be read and written
    #[arg(long, default_value_t = 10_000, value_parser = at_least_one())]
    pub znodes: u32,

    /// Threads that drive the connections
    #[arg(long, default_value_t = 2, value_parser = at_least_one())]
    pub threads: u32,

    /// What the order of requests follows from
    #[arg(long, default_value_t = 1)]
    pub seed: u64,

    /// Write the results here too, as JSON
    #[arg(long)]
    pub json: Option<PathBuf>,

    /// Draw latencies and throughput into this folder, as SVG
    #[arg(long)]
    pub plots: Option<PathBuf>,

    /// Leave the znodes there
    #[arg(long)]
    pub keep: bool,
}

/// A workload that many want to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Workload {
    /// setData
    Write,
    /// getData
    Read,
    /// Nine getData for each setData
    Mixed,
    /// create, of znodes that stay
    Create,
    /// create and delete, in equal parts
    Churn,
    /// multi, of five setData each
    Multi,
    /// getChildren, of a hundred
    Lists,
    /// One znode is changed, and every connection waits to be told
    Fanout,
    /// Sessions are opened and closed
    Sessions,
    /// Sessions that do nothing but live
    Idle,
    /// The mix with 1, 2, 4 … connections, up to as many as are asked for
    Ladder,
}

impl Plan {
    /// What the requests are drawn from.
    pub fn mix(&self) -> Mix {
        self.mix.clone().unwrap_or_else(|| {
            Mix::new(match self.workload {
                Workload::Write => &[(Kind::Set, 1)],
                Workload::Read => &[(Kind::Get, 1)],
                Workload::Create => &[(Kind::Create, 1)],
                Workload::Churn => &[(Kind::Create, 1), (Kind::Delete, 1)],
                Workload::Multi => &[(Kind::Multi, 1)],
                Workload::Lists => &[(Kind::Children, 1)],
                Workload::Mixed
                | Workload::Ladder
                | Workload::Fanout
                | Workload::Sessions
                | Workload::Idle => &[(Kind::Get, 9), (Kind::Set, 1)],
            })
        })
    }
}

fn at_least_one() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..)
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}
