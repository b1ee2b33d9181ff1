//! The numbers that ZooKeeper's dashboards know, under the names that they know (PROTOCOL, section "Metrics").
use std::fmt;
use std::time::Duration;

use super::report::{Latency, Report, last_min_max};

/// One number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Number {
    /// ZooKeeper's name, without the `zk_` of `mntr`.
    pub(super) name: &'static str,
    /// What it counts.
    pub(super) help: &'static str,
    /// How much it is.
    pub(super) value: Value,
}

/// How much something is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    /// A count.
    Whole(i64),
    /// A mean or a share.
    Float(f64),
}

/// A mean has at least one decimal, and at most four: `0.0`, `1.25`, `0.3333`.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(whole) => whole.fmt(f),
            Self::Float(float) => write!(f, "{:?}", (float * 10_000.0).round() / 10_000.0),
        }
    }
}

/// All of them, in the order of `mntr`.
pub(super) fn numbers(report: &Report<'_>) -> Vec<Number> {
    let mut numbers = Vec::new();
    let mut put =
        |name: &'static str, value: Value, help: &'static str| numbers.push(Number { name, help, value });
    let Latency { min, average, max } = report.latency;
    let (census, host) = (&report.census, &report.host);
    put("avg_latency", Value::Float(average), "Mean time from a request to its answer, in milliseconds");
    put("max_latency", whole(max), "Longest time from a request to its answer, in milliseconds");
    put("min_latency", whole(min), "Shortest time from a request to its answer, in milliseconds");
    put("packets_received", whole(report.received), "Packets received from clients");
    put("packets_sent", whole(report.sent), "Packets sent to clients");
    put("num_alive_connections", count(report.connections.len()), "Connections of clients");
    put("outstanding_requests", whole(report.outstanding), "Requests received and not answered");
    put("znode_count", count(census.znodes), "Znodes");
    put("watch_count", count(report.watches), "Watches of the clients of this member");
    put("ephemerals_count", count(census.ephemerals), "Ephemeral znodes");
    put("approximate_data_size", whole(census.data_bytes), "Bytes of paths and data");
    put("open_file_descriptor_count", whole(host.open_files), "Files and sockets that are open");
    put("max_file_descriptor_count", whole(host.max_files), "Files and sockets that may be open");
    put("uptime", millis(report.uptime), "Milliseconds since the process started");
    put("global_sessions", count(census.sessions), "Sessions of the ensemble");
    put(
        "local_sessions",
        count(report.local_sessions),
        "Sessions that only this member knows, and may only read",
    );
    let help = "The chance of a client to be turned away, from 0 to 1";
    put("connection_drop_probability", Value::Float(report.drop_chance), help);
    let [last, min, max] = last_min_max(report.replies);
    put("last_client_response_size", Value::Whole(last), "Bytes of the newest answer, -1 for none");
    put("max_client_response_size", Value::Whole(max), "Bytes of the largest answer, -1 for none");
    put("min_client_response_size", Value::Whole(min), "Bytes of the smallest answer, -1 for none");
    put("outstanding_tls_handshake", Value::Whole(0), "TLS handshakes that are under way");
    let members = &report.status.members;
    if !report.config.standalone {
        let voters = members.values().filter(|(_, votes)| *votes).count();
        put("quorum_size", count(voters), "Members that vote");
    }
    if report.leads() {
        let learners = members.len().saturating_sub(1);
        put("learners", count(learners), "Members that do not lead");
        // The name of `learners` before 3.6; dashboards use both.
        put("followers", count(learners), "The same under the name that it had before");
        put("synced_followers", count(report.status.followers_in_step), "Followers that are in step");
        let observers = report.status.observers_in_step;
        put("synced_observers", count(observers), "Members without a vote that are in step");
        put("synced_non_voting_followers", Value::Whole(0), "Followers without a vote that are in step");
        put("pending_syncs", Value::Whole(0), "Syncs that wait for the leader");
        let uptime = report.leader_uptime.unwrap_or(Duration::ZERO);
        put("leader_uptime", millis(uptime), "Milliseconds since this member leads");
        let [last, min, max] = last_min_max(report.proposals);
        put("last_proposal_size", Value::Whole(last), "Bytes of the newest proposal, -1 for none");
        put("max_proposal_size", Value::Whole(max), "Bytes of the largest proposal, -1 for none");
        put("min_proposal_size", Value::Whole(min), "Bytes of the smallest proposal, -1 for none");
    } else if !report.config.standalone {
        put("synced_observers", Value::Whole(0), "Members without a vote that are in step");
    }
    numbers
}

pub(super) fn whole(value: u64) -> Value {
    Value::Whole(i64::try_from(value).unwrap_or(i64::MAX))
}

pub(super) fn count(value: usize) -> Value {
    whole(value as u64)
}

fn millis(duration: Duration) -> Value {
    whole(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
