//! What is measured, and what Corral is to reach in it.

use serde::{Deserialize, Serialize};

/// A line of the comparison.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// What it is called on the command line.
    pub(crate) id: &'static str,
    /// What the report says of it.
    pub(crate) what: &'static str,
    pub(crate) work: Work,
    /// What members spend processor time on, and are charged a million of.
    pub(crate) unit: &'static str,
    /// Whether it waits for disks, so that it is worth measuring with slower ones.
    pub(crate) syncs: bool,
    pub(crate) goals: &'static [Goal],
}

/// How a row is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Work {
    /// By a workload of `corral bench`.
    Bench {
        workload: &'static str,
        connections: u32,
        depth: u32,
        /// Whose latency and rate are told, of the kinds in its results.
        told: &'static str,
        /// Which of them processor time is divided by.
        charged: &'static str,
    },
    /// Many znodes: what they take, and how long a member starts with them.
    Tree { znodes: u32 },
    /// Many watches: what they take.
    Watches { sessions: u32, of_each: u32 },
    /// Writes while members join that have nothing, and are sent all of these znodes.
    Join { connections: u32, depth: u32, znodes: u32 },
}

/// A number that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Figure {
    /// How many a second.
    Rate,
    /// Latencies in microseconds.
    P50Us,
    P99Us,
    /// Processor time of all members for a million, in seconds.
    CpuPerMillion,
    /// Processors that all members together keep busy.
    Cpus,
    /// Processors that the load keeps busy: where it is all that it has, it is the load that is measured.
    LoadCpus,
    /// Resident memory of the largest member, in bytes.
    Resident,
    /// The same for each znode that there is.
    ResidentPerZnode,
    /// From the start of a member until it gives sessions, in milliseconds.
    RestartMs,
    /// Which share of a rate is left.
    RateKept,
    /// How many times as long the 99th percentile is.
    P99Times,
}

/// What is to be reached.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Goal {
    pub(crate) figure: Figure,
    pub(crate) of: Of,
    pub(crate) bound: Bound,
}

/// What a goal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    /// Corral's median divided by ZooKeeper's.
    Ratio,
    /// Corral's median.
    Corral,
}

/// Where it has to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Bound {
    /// Whether this is within it.
    pub(crate) fn admits(self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= bound,
            Self::AtLeast(bound) => value >= bound,
        }
    }
}

const THIRD: f64 = 1.0 / 3.0;

/// What the many znodes are in number.
const TREE: u32 = 1_460_000;

const fn ratio(figure: Figure, bound: Bound) -> Goal {
    Goal { figure, of: Of::Ratio, bound }
}

const fn own(figure: Figure, bound: Bound) -> Goal {
    Goal { figure, of: Of::Corral, bound }
}

const P99: Goal = ratio(Figure::P99Us, Bound::AtMost(THIRD));

const fn faster(times: f64) -> Goal {
    ratio(Figure::Rate, Bound::AtLeast(times))
}

const fn requests(workload: &'static str, connections: u32, depth: u32, told: &'static str) -> Work {
    Work::Bench { workload, connections, depth, told, charged: told }
}

const fn watchers(connections: u32) -> Work {
    Work::Bench { workload: "fanout", connections, depth: 1, told: "last told", charged: "told" }
}

/// All of them, in the order of the report.
pub(crate) const ROWS: [Row; 14] = [
    Row {
        id: "set-1",
        what: "set, 1 client, one at a time",
        work: requests("write", 1, 1, "set"),
        unit: "requests",
        syncs: true,
        goals: &[ratio(Figure::P50Us, Bound::AtMost(0.7)), P99],
    },
    Row {
        id: "set-32",
        what: "set, 32 connections, one at a time",
        work: requests("write", 32, 1, "set"),
        unit: "requests",
        syncs: true,
        goals: &[faster(3.0), P99],
    },
    Row {
        id: "set-32x16",
        what: "set, 32 connections, 16 in flight",
        work: requests("write", 32, 16, "set"),
        unit: "requests",
        syncs: true,
        goals: &[faster(5.0), P99],
    },
    Row {
        id: "create-32x16",
        what: "create, 32 connections, 16 in flight",
        work: requests("create", 32, 16, "create"),
        unit: "requests",
        syncs: true,
        goals: &[faster(5.0), P99],
    },
    Row {
        id: "get-32",
        what: "get, 32 connections, one at a time",
        work: requests("read", 32, 1, "get"),
        unit: "requests",
        syncs: false,
        goals: &[faster(3.0), P99],
    },
    Row {
        id: "get-32x16",
        what: "get, 32 connections, 16 in flight",
        work: requests("read", 32, 16, "get"),
        unit: "requests",
        syncs: false,
        goals: &[faster(8.0), P99],
    },
    Row {
        id: "mixed-32x4",
        what: "90 % get and 10 % set, 32 connections, 4 in flight",
        work: requests("mixed", 32, 4, "all"),
        unit: "requests",
        syncs: true,
        goals: &[faster(6.0), P99],
    },
    Row {
        id: "told-1000",
        what: "one change told to 1,000 watchers, until the last is told",
        work: watchers(1_000),
        unit: "notifications",
        syncs: true,
        goals: &[ratio(Figure::P50Us, Bound::AtMost(0.25))],
    },
    Row {
        id: "told-5000",
        what: "one change told to 5,000 watchers, until the last is told",
        work: watchers(5_000),
        unit: "notifications",
        syncs: true,
        goals: &[ratio(Figure::P50Us, Bound::AtMost(0.25))],
    },
    Row {
        id: "sessions-32",
        what: "a session opened and closed, 32 at a time",
        work: Work::Bench { workload: "sessions", connections: 32, depth: 1, told: "open", charged: "open" },
        unit: "sessions",
        syncs: true,
        goals: &[faster(5.0)],
    },
    Row {
        id: "tree",
        what: "1.46 million znodes of 100 bytes, and a member that starts with them",
        work: Work::Tree { znodes: TREE },
        unit: "znodes",
        syncs: false,
        goals: &[
            ratio(Figure::Resident, Bound::AtMost(THIRD)),
            own(Figure::ResidentPerZnode, Bound::AtMost(400.0)),
            ratio(Figure::RestartMs, Bound::AtMost(THIRD)),
        ],
    },
    Row {
        id: "idle-5000",
        what: "5,000 sessions that do nothing",
        work: Work::Bench { workload: "idle", connections: 5_000, depth: 1, told: "all", charged: "all" },
        unit: "requests",
        syncs: false,
        goals: &[ratio(Figure::Resident, Bound::AtMost(THIRD)), ratio(Figure::Cpus, Bound::AtMost(THIRD))],
    },
    Row {
        id: "watches",
        what: "1,000,000 watches, 10,000 of each of 100 sessions",
        work: Work::Watches { sessions: 100, of_each: 10_000 },
        unit: "watches",
        syncs: false,
        goals: &[
            ratio(Figure::Resident, Bound::AtMost(THIRD)),
            ratio(Figure::CpuPerMillion, Bound::AtMost(THIRD)),
        ],
    },
    Row {
        id: "join",
        what: "set, 32 connections, 16 in flight, while members join that are sent 1.46 million znodes",
        work: Work::Join { connections: 32, depth: 16, znodes: TREE },
        unit: "requests",
        syncs: false,
        goals: &[own(Figure::RateKept, Bound::AtLeast(0.8)), own(Figure::P99Times, Bound::AtMost(2.0))],
    },
];

/// The row of that name.
pub(crate) fn find(id: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.id == id)
}

impl Work {
    /// The same, so small that a test can wait for it.
    pub(crate) fn small(self) -> Self {
        match self {
            Self::Bench { workload, connections, depth, told, charged } => {
                Self::Bench { workload, connections: connections.min(20), depth, told, charged }
            }
            Self::Tree { .. } => Self::Tree { znodes: 2_000 },
            Self::Watches { .. } => Self::Watches { sessions: 10, of_each: 200 },
            Self::Join { connections, depth, .. } => Self::Join { connections, depth, znodes: 20_000 },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn rows_have_names_of_their_own() {
        let ids: BTreeSet<&str> = ROWS.iter().map(|row| row.id).collect();
        assert_eq!(ids.len(), ROWS.len());
        assert_eq!(find("set-1").map(|row| row.what), Some("set, 1 client, one at a time"));
        assert!(find("set").is_none());
    }

    #[test]
    fn a_bound_admits_what_is_on_it() {
        assert!(Bound::AtMost(0.7).admits(0.7) && !Bound::AtMost(0.7).admits(0.71));
        assert!(Bound::AtLeast(5.0).admits(5.0) && !Bound::AtLeast(5.0).admits(4.99));
    }
}
