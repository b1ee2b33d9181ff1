//! The metrics of a member in the text that Prometheus reads.
//!
//! What ZooKeeper's dashboards know has ZooKeeper's names; all of that are gauges here, so nothing is added to a name.
//! What is ours begins with `corral_`, and its counters end with `_total`, as the format demands.
use prometheus_client::encoding::text;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::numbers::{Value, count, numbers, whole};
use super::report::Report;
use crate::metrics::Metrics;

/// What the text is: OpenMetrics.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All metrics, as they are now. The registry is made anew for each question, because most of what is told is looked
/// up when somebody asks.
pub(super) fn metrics(report: &Report<'_>, own: &Metrics) -> String {
    let mut registry = Registry::default();
    for number in numbers(report) {
        put(&mut registry, number.name, number.help, number.value);
    }
    let (census, host) = (&report.census, &report.host);
    for (name, help, value) in [
        ("process_open_fds", "Files and sockets that are open", whole(host.open_files)),
        ("process_max_fds", "Files and sockets that may be open", whole(host.max_files)),
        ("process_resident_memory_bytes", "Memory of the process", whole(host.memory_bytes)),
        (
            "corral_known_watches",
            "Watches of all members, those among them that are spent and perhaps not told",
            count(census.watches),
        ),
        ("corral_known_watches_bytes", "Bytes that they are reckoned to take", whole(census.watches_bytes)),
        ("corral_watching_sessions", "Sessions that have some", count(census.watchers)),
        ("corral_watched_paths", "Paths at which they are", count(census.watched_paths)),
        ("corral_history_changes", "Changes of znodes that are remembered", count(census.history_changes)),
        ("corral_history_bytes", "Bytes that they are reckoned to take", whole(census.history_bytes)),
        ("corral_term", "The term of Raft", whole(report.status.term)),
    ] {
        put(&mut registry, name, help, value);
    }
    own.register(&mut registry);
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = text::encode(&mut out, &registry);
    out
}

fn put(registry: &mut Registry, name: &str, help: &str, value: Value) {
    match value {
        Value::Whole(whole) => registry.register(name, help, ConstGauge::new(whole)),
        Value::Float(float) => registry.register(name, help, ConstGauge::new(float)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::example::{ensemble, report};
    use consensus::Role;

    #[test]
    fn the_metrics_of_a_leader_read_well() {
        let text = metrics(&report(&ensemble(), Role::Leader), &Metrics::default());
        // What carries labels comes in no order of its own.
        let mut lines: Vec<&str> = text.lines().collect();
        for labelled in lines.chunk_by_mut(|one, other| one.contains('{') == other.contains('{')) {
            if labelled[0].contains('{') {
                labelled.sort_unstable();
            }
        }
        insta::assert_snapshot!(lines.join("\n"));
    }
}
