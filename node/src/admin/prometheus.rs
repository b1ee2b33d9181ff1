//! The metrics of a member in the text that Prometheus reads.
//!
//! What ZooKeeper's dashboards know has ZooKeeper's names, without anything added unless `corral.metricsTotalSuffix` is
//! set. What is ours begins with `corral_`, and its counters end with `_total`.
use std::fmt::{self, Write as _};

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Registry;

use super::flat::divisor;
use super::numbers::{Value, count, numbers, whole};
use super::report::Report;
use crate::metrics::{self, Detail, Metrics, Quantiles, Spread, Unit};

/// How the text ends.
const END: &str = "# EOF\n";

/// What the text is. OpenMetrics has no counter whose name does not end with `_total`; the older form has.
pub(super) const fn content_type(report: &Report<'_>) -> &'static str {
    if report.config.metrics_total_suffix {
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    } else {
        "text/plain; version=0.0.4; charset=utf-8"
    }
}

/// All metrics, as they are now. The registry is made anew for each question, because most of what is told is looked
/// up when somebody asks.
pub(super) fn metrics(report: &Report<'_>, own: &Metrics) -> String {
    let mut registry = Registry::default();
    for number in numbers(report) {
        put(&mut registry, number.name, number.help, number.value);
    }
    let mut summaries = String::new();
    for reading in &report.readings {
        let (name, help) = (reading.name, reading.help);
        match &reading.value {
            metrics::Value::Count(count) => put_count(&mut registry, name, help, *count, report),
            metrics::Value::Level(level) => put(&mut registry, name, help, Value::Whole(*level)),
            metrics::Value::Levels(levels) => {
                let family = Family::<[(&'static str, String); 1], Gauge>::default();
                for (key, level) in levels {
                    family.get_or_create(&[("key", key.clone())]).set(*level);
                }
                registry.register(name, help, family);
            }
            metrics::Value::Summary { unit, detail, spread } => {
                let _ = write_summary(&mut summaries, name, help, *unit, *detail, &[(None, *spread)]);
            }
            metrics::Value::Keyed { unit, spreads } => {
                let spreads: Vec<_> = spreads
                    .iter()
                    .map(|(key, spread)| (Some(key.as_str()), (*spread, Quantiles::default())))
                    .collect();
                let _ = write_summary(&mut summaries, name, help, *unit, Detail::Basic, &spreads);
            }
        }
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
        (
            "corral_log_new",
            "Whether this member has not caught up yet since its log was made, on an empty disk",
            whole(u64::from(!report.status.grown_up)),
        ),
        (
            "corral_log_purged",
            "The index up to which the log was purged: who needs what was there is sent the state",
            whole(report.status.purged),
        ),
    ] {
        put(&mut registry, name, help, value);
    }
    let help = "Bytes that znodes, sessions and their watches are reckoned to take in memory";
    put(&mut registry, "corral_world_bytes", help, whole(census.world_bytes));
    if let Some(max) = report.config.consensus.world_bytes_max {
        let help = "Bytes of them beyond which what adds to the znodes is refused, while this member leads";
        put(&mut registry, "corral_world_bytes_max", help, whole(max));
    }
    let help = "Seconds of processors that the process has used";
    registry.register("process_cpu_seconds", help, ConstCounter::new(host.cpu_seconds));
    own.register(&mut registry);
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = text::encode(&mut out, &registry);
    // The library knows no summaries.
    out.truncate(out.len() - END.len());
    out + &summaries + END
}

/// A counter whose name stays as it is.
#[derive(Debug)]
struct Legacy(u64);

impl EncodeMetric for Legacy {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        encoder.encode_gauge(&i64::try_from(self.0).unwrap_or(i64::MAX))
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Counter
    }
}

fn put_count(registry: &mut Registry, name: &str, help: &str, count: u64, report: &Report<'_>) {
    if report.config.metrics_total_suffix {
        registry.register(name, help, ConstCounter::new(count));
    } else {
        registry.register(name, help, Legacy(count));
    }
}

/// Count, sum and quantiles of one thing, or of the same thing for each of some keys. Of what is not told in detail
/// ZooKeeper tells the half only; of what has keys here nothing but count and sum.
fn write_summary(
    out: &mut String,
    name: &str,
    help: &str,
    unit: Unit,
    detail: Detail,
    spreads: &[(Option<&str>, (Spread, Quantiles))],
) -> fmt::Result {
    writeln!(out, "# HELP {name} {help}.\n# TYPE {name} summary")?;
    let shown = |amount: u64| in_unit(amount, unit);
    for (key, (spread, quantiles)) in spreads {
        let Some(key) = key else {
            let Quantiles { p50, p90, p99, .. } = *quantiles;
            let all = [("0.5", p50), ("0.9", p90), ("0.99", p99)];
            let told = if detail == Detail::Advanced { &all[..] } else { &all[..1] };
            for (quantile, amount) in told {
                // Of nothing there is no half.
                let amount = if spread.count == 0 { "NaN".to_owned() } else { shown(*amount) };
                writeln!(out, "{name}{{quantile=\"{quantile}\"}} {amount}")?;
            }
            writeln!(out, "{name}_count {}\n{name}_sum {}", spread.count, shown(spread.sum))?;
            continue;
        };
        let key = escaped(key);
        writeln!(out, "{name}_count{{key=\"{key}\"}} {}", spread.count)?;
        writeln!(out, "{name}_sum{{key=\"{key}\"}} {}", shown(spread.sum))?;
    }
    Ok(())
}

/// What is measured in microseconds is told in milliseconds.
#[expect(clippy::cast_precision_loss, reason = "it is told to people, and in parts of a thousand")]
fn in_unit(amount: u64, unit: Unit) -> String {
    match unit {
        Unit::Pieces => amount.to_string(),
        Unit::Micros => (amount as f64 / divisor(unit) as f64).to_string(),
    }
}

/// A label's value: names of znodes may hold anything.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
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
