//! What was measured, for reading and for further use.

use std::time::Duration;

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table};
use hdrhistogram::Histogram;
use serde::Serialize;

use super::mix::Kind;
use super::record::{Record, SLICE};

/// One line of the results.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    /// Kind of request, or `all`.
    pub(super) kind: String,
    /// Connections that were open.
    pub(super) connections: u32,
    /// How many were answered.
    pub(super) answers: u64,
    /// Answers a second.
    pub(super) rate: f64,
    /// Latencies in microseconds.
    pub(super) mean_us: f64,
    pub(super) p50_us: f64,
    pub(super) p90_us: f64,
    pub(super) p99_us: f64,
    pub(super) p999_us: f64,
    pub(super) max_us: f64,
}

/// The lines for what was measured in that time: each kind, and all of them if there is more than one.
pub(super) fn rows(record: &Record, connections: u32, seconds: Duration) -> Vec<Row> {
    let line = |kind: &str, it: &Histogram<u64>, rate: f64| {
        let at = |quantile| it.value_at_quantile(quantile) as f64 / 1e3;
        Row {
            kind: kind.to_owned(),
            connections,
            answers: it.len(),
            rate,
            mean_us: it.mean() / 1e3,
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: it.max() as f64 / 1e3,
        }
    };
    // What was answered after the time was up was asked for before, and counts for latency only.
    let full = usize::try_from(seconds.as_millis() / SLICE.as_millis()).unwrap_or(usize::MAX);
    let in_time: u64 = record.slices().iter().take(full).sum();
    let all = record.all();
    let share = in_time as f64 / all.len().max(1) as f64 / seconds.as_secs_f64();
    let mut rows: Vec<Row> =
        record.latencies().map(|(kind, it)| line(kind.name(), it, it.len() as f64 * share)).collect();
    // How many were told is no sum with how long the last one waited.
    if rows.len() != 1 && !rows.iter().any(|row| row.kind == Kind::LastTold.name()) {
        rows.push(line("all", &all, all.len() as f64 * share));
    }
    rows
}

/// The lines as a table.
pub(super) fn table(rows: &[Row]) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY);
    table.set_header(["request", "clients", "answers", "per s", "mean", "p50", "p90", "p99", "p99.9", "max"]);
    for row in rows {
        table.add_row([
            row.kind.clone(),
            row.connections.to_string(),
            row.answers.to_string(),
            format!("{:.0}", row.rate),
            time(row.mean_us),
            time(row.p50_us),
            time(row.p90_us),
            time(row.p99_us),
            time(row.p999_us),
            time(row.max_us),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.to_string()
}

fn time(microseconds: f64) -> String {
    match microseconds {
        it if it < 1e3 => format!("{it:.0} µs"),
        it if it < 1e5 => format!("{:.2} ms", it / 1e3),
        it => format!("{:.0} ms", it / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn latencies_are_told_by_kind_and_for_all() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut record = Record::new(start);
        for millis in 1..=100 {
            record.answered(Kind::Get, at(0), at(millis), 0);
        }
        record.answered(Kind::Set, at(0), at(950), 0);
        // Behind the end.
        record.answered(Kind::Set, at(0), at(1_050), 0);
        let rows = rows(&record, 8, Duration::from_secs(1));
        let told: Vec<_> =
            rows.iter().map(|row| (row.kind.as_str(), row.answers, row.p50_us.round())).collect();
        assert_eq!(told[0].0, "get");
        assert_eq!((told[1].0, told[1].1), ("set", 2));
        assert_eq!((told[2].0, told[2].1), ("all", 102));
        assert!((rows[2].rate - 101.0).abs() < 0.01, "{}", rows[2].rate);
        assert!((told[0].2 - 50_000.0).abs() < 100.0, "{}", told[0].2);
        insta::assert_snapshot!(table(&rows));
    }
}
