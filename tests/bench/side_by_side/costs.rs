//! What the members used of the machine, as a table of the report.

use std::fmt::Write as _;

use crate::burden::{Member, cpu_s};
use crate::results::{Measured, Results, Side};
use crate::rows::{Figure, ROWS, Row};
use crate::verdict::{Spread, takes};
use crate::words::spread;

const HEAD: [&str; 10] = [
    "row",
    "for a million",
    "server",
    "all members",
    "leader",
    "a follower",
    "resident: leader",
    "a follower",
    "processors busy with the load",
    "a sync",
];

/// A line for each row and side, with syncs delayed by as much.
pub(crate) fn table(results: &Results, delay_ms: f64) -> String {
    let mut out =
        String::from("\nProcessor time of the members, user and system, for a million of what is named; ");
    out.push_str(
        "memory that was resident at the end; how long a sync of the log took, in the mean of all, as ",
    );
    out.push_str("members say (ZooKeeper in whole milliseconds). Of the followers it is the mean.\n\n");
    let _written = writeln!(out, "| {} |\n|---|---|---|{}", HEAD.join(" | "), "---:|".repeat(7));
    ROWS.iter().for_each(|row| out.push_str(&of_row(results, row, delay_ms)));
    out
}

fn of_row(results: &Results, row: &Row, delay_ms: f64) -> String {
    let (takes, mut out) = (takes(results, row, delay_ms), String::new());
    for side in Side::BOTH {
        let of_side: Vec<_> = takes.iter().filter(|take| take.side == side).collect();
        if of_side.is_empty() {
            continue;
        }
        let each = |of: &dyn Fn(&Measured) -> Option<f64>| {
            Spread::of(of_side.iter().filter_map(|take| of(&take.measured)).collect())
        };
        let used = |leads| each(&|it| Some(mean(&it.members, leads, Member::cpu_s)? * per_million(it)?));
        let resident = |leads| each(&|it| mean(&it.members, leads, |it| it.resident_bytes as f64));
        let shown = |figure, of: Option<Spread>| of.map_or_else(|| "–".into(), |it| spread(figure, it));
        let cpu = |of| shown(Figure::CpuPerMillion, of);
        let memory = |of| shown(Figure::Resident, of);
        let _written = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            row.what,
            row.unit,
            side.name(),
            cpu(each(&|it| Some(cpu_s(&it.members) * per_million(it)?))),
            cpu(used(true)),
            cpu(used(false)),
            memory(resident(true)),
            memory(resident(false)),
            shown(Figure::LoadCpus, each(&|it| it.figures.get(&Figure::LoadCpus).copied())),
            shown(Figure::P50Us, each(&|it| it.sync_mean_ms.map(|millis| millis * 1e3))),
        );
    }
    out
}

/// By what processor time has to be multiplied, so that it is for a million.
fn per_million(measured: &Measured) -> Option<f64> {
    let million = measured.figures.get(&Figure::CpuPerMillion)?;
    Some(million / cpu_s(&measured.members).max(f64::MIN_POSITIVE))
}

/// The mean of the leader, or of those that follow.
fn mean(members: &[Member], leads: bool, of: impl Fn(&Member) -> f64) -> Option<f64> {
    let values: Vec<f64> = members.iter().filter(|member| member.leads == leads).map(of).collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}
