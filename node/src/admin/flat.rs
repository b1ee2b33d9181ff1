//! All numbers of a report in a row, as `mntr` and the AdminServer's `monitor` tell them (PROTOCOL, section "Kinds and
//! naming").
use super::numbers::{Number, Value, numbers, whole};
use super::report::Report;
use crate::metrics::{self, Detail, Quantiles, Spread, Unit};

/// All of them, each with its name: what is looked up, what is counted and measured, and what is ours.
pub(super) fn flat(report: &Report<'_>) -> Vec<(String, Value)> {
    let numbers = numbers(report).into_iter().map(|Number { name, value, .. }| (name.to_owned(), value));
    let mut all: Vec<_> = numbers.collect();
    for reading in &report.readings {
        let name = reading.name;
        match &reading.value {
            metrics::Value::Count(count) => all.push((name.to_owned(), whole(*count))),
            metrics::Value::Level(level) => all.push((name.to_owned(), Value::Whole(*level))),
            metrics::Value::Levels(levels) => {
                all.extend(levels.iter().map(|(key, level)| (format!("{key}_{name}"), Value::Whole(*level))));
            }
            metrics::Value::Summary { unit, detail, spread: (spread, quantiles) } => {
                put_spread(&mut all, name, *unit, spread);
                if *detail == Detail::Advanced {
                    put_quantiles(&mut all, name, *unit, quantiles);
                }
            }
            metrics::Value::Keyed { unit, spreads } => {
                for (key, spread) in spreads {
                    put_spread(&mut all, &format!("{key}_{name}"), *unit, spread);
                }
            }
        }
    }
    all.push(("corral_log_new".to_owned(), whole(u64::from(!report.status.grown_up))));
    all.push(("corral_log_purged".to_owned(), whole(report.status.purged)));
    all.push(("corral_world_bytes".to_owned(), whole(report.census.world_bytes)));
    if let Some(max) = report.config.consensus.world_bytes_max {
        all.push(("corral_world_bytes_max".to_owned(), whole(max)));
    }
    all.extend(report.own.iter().map(|(name, value)| (name.clone(), Value::Whole(*value))));
    all
}

fn put_spread(all: &mut Vec<(String, Value)>, name: &str, unit: Unit, spread: &Spread) {
    let divisor = divisor(unit);
    #[expect(clippy::cast_precision_loss, reason = "it is one or a thousand")]
    all.push((format!("avg_{name}"), Value::Float(spread.mean() / divisor as f64)));
    for (form, amount) in [("min", spread.least()), ("max", spread.max)] {
        all.push((format!("{form}_{name}"), whole(amount / divisor)));
    }
    all.push((format!("cnt_{name}"), whole(spread.count)));
    all.push((format!("sum_{name}"), whole(spread.sum / divisor)));
}

fn put_quantiles(all: &mut Vec<(String, Value)>, name: &str, unit: Unit, quantiles: &Quantiles) {
    let Quantiles { p50, p90: _, p95, p99, p999 } = *quantiles;
    for (form, amount) in [("p50", p50), ("p95", p95), ("p99", p99), ("p999", p999)] {
        all.push((format!("{form}_{name}"), whole(amount / divisor(unit))));
    }
}

/// What an amount is divided by where it is told.
pub(super) const fn divisor(unit: Unit) -> u64 {
    match unit {
        Unit::Micros => 1_000,
        Unit::Pieces => 1,
    }
}
