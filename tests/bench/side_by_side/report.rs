//! The report, for reading.

use std::fmt::Write as _;

use crate::about::About;
use crate::burden::{Member, cpu_s};
use crate::results::{Results, Side};
use crate::rows::{Bound, Figure, Goal, Of, ROWS, Row};
use crate::verdict::{Line, Spread, delays, lines, takes};

/// The whole of it, with links to these drawings: what each shows, and where it is.
pub(crate) fn report(results: &Results, drawings: &[(String, String)]) -> String {
    let mut out = String::from("# Corral beside Apache ZooKeeper\n\n");
    out.push_str(&head(&results.about));
    for delay_ms in delays(results) {
        // What it costs without being a goal has a table of its own.
        let mut lines = lines(results, delay_ms);
        lines.retain(|line| {
            line.goal.is_some() || matches!(line.figure, Figure::Rate | Figure::P50Us | Figure::P99Us)
        });
        let _written = write!(out, "\n## {}\n\n", of_syncs(delay_ms));
        out.push_str(
            "Medians of all turns, with the least and the greatest where there were more than one.\n\n",
        );
        out.push_str("| row | figure | ZooKeeper | Corral | Corral to ZooKeeper | goal | reached |\n");
        out.push_str("|---|---|---:|---:|---:|---:|---|\n");
        lines.iter().for_each(|line| out.push_str(&in_words(line)));
        out.push_str(
            "\nWhat the members used: processor time, user and system, for a million of what is named; ",
        );
        out.push_str("resident memory at the end. Of the followers it is the mean.\n\n");
        out.push_str("| row | for a million | server | all members | leader | a follower | resident: leader | a follower |\n");
        out.push_str("|---|---|---|---:|---:|---:|---:|---:|\n");
        ROWS.iter().for_each(|row| out.push_str(&cost(results, row, delay_ms)));
    }
    if !drawings.is_empty() {
        out.push_str("\n## Drawn\n\n");
    }
    for (what, path) in drawings {
        let _written = writeln!(out, "![{what}]({path})");
    }
    out.push_str(&summary(results));
    out
}

fn head(about: &About) -> String {
    let mut out = String::new();
    let mut line = |text: String| out.extend([&text, "\n"]);
    if about.small {
        line("**A small run, as the test suite does it: its figures say nothing.**\n".into());
    }
    if about.is_debug() {
        line("**Corral is a debug build.**\n".into());
    }
    line(format!("* Taken on {}, commit {}", about.date, about.commit));
    line(format!(
        "* Machine: {}, {} cores, {:.1} GiB of memory, {}; the three members, the load and the disk are all on it",
        about.processor, about.cores, about.memory_gib, about.kernel
    ));
    line(format!("* Corral: {}", about.corral));
    line(format!("* ZooKeeper: {}, {}", about.zookeeper, about.java));
    line(format!("* The JVM of each of ZooKeeper's members: `{}`", about.jvm.join(" ")));
    line("* Both: `tickTime` 2000, `initLimit` 10, `syncLimit` 5, everything else by default; syncs of the log are on".into());
    line(format!(
        "* Turns of each, ZooKeeper and Corral alternately: {}, each with new members and empty disks; {} s measured \
         after {} s of the same load that do not count",
        about.turns, about.seconds, about.warmup
    ));
    line(
        "* Values of 100 bytes; connections are spread over the members, the first of them to a follower"
            .into(),
    );
    out
}

fn of_syncs(delay_ms: f64) -> String {
    if delay_ms == 0.0 {
        "Syncs as fast as the disk is".into()
    } else {
        format!("Each sync {delay_ms} ms slower")
    }
}

fn in_words(line: &Line) -> String {
    let side = |side| line.of(side).map_or_else(|| "–".into(), |it| spread(line.figure, it));
    let ratio = line.ratio().map_or_else(|| "–".into(), |ratio| format!("{ratio:.2}"));
    let goal = line.goal.map_or_else(String::new, goal);
    let reached = match (line.goal, line.reached()) {
        (None, _) => "",
        (_, Some(true)) => "yes",
        (_, Some(false)) => "**no**",
        (_, None) => "not measured",
    };
    format!(
        "| {} | {} | {} | {} | {ratio} | {goal} | {reached} |\n",
        line.row.what,
        name(line.figure),
        side(Side::ZooKeeper),
        side(Side::Corral)
    )
}

/// What a figure is called.
pub(crate) fn name(figure: Figure) -> &'static str {
    match figure {
        Figure::Rate => "per second",
        Figure::P50Us => "p50",
        Figure::P99Us => "p99",
        Figure::CpuPerMillion => "processor time for a million",
        Figure::Cpus => "processors kept busy",
        Figure::Resident => "resident, largest member",
        Figure::ResidentPerZnode => "resident for each znode",
        Figure::RestartMs => "restart of a member",
        Figure::RateKept => "share of the throughput that is kept",
        Figure::P99Times => "p99, times that without",
    }
}

/// A number with its unit.
pub(crate) fn value(figure: Figure, value: f64) -> String {
    match figure {
        Figure::Rate => thousands(value),
        Figure::P50Us | Figure::P99Us if value < 1e3 => format!("{value:.0} µs"),
        Figure::P50Us | Figure::P99Us => format!("{:.2} ms", value / 1e3),
        Figure::CpuPerMillion => format!("{value:.2} s"),
        Figure::Cpus => format!("{value:.3}"),
        Figure::Resident => mebibytes(value),
        Figure::ResidentPerZnode => format!("{value:.0} bytes"),
        Figure::RestartMs => format!("{value:.0} ms"),
        Figure::RateKept => format!("{:.0} %", value * 100.0),
        Figure::P99Times => format!("{value:.2}"),
    }
}

fn spread(figure: Figure, Spread { median, min, max }: Spread) -> String {
    if min.total_cmp(&max).is_eq() {
        return value(figure, median);
    }
    format!("{} ({}..{})", value(figure, median), value(figure, min), value(figure, max))
}

fn goal(goal: Goal) -> String {
    let (sign, bound) = match goal.bound {
        Bound::AtMost(bound) => ('≤', bound),
        Bound::AtLeast(bound) => ('≥', bound),
    };
    match goal.of {
        Of::Corral => format!("{sign} {}", value(goal.figure, bound)),
        Of::Ratio if bound < 0.5 => format!("{sign} 1/{:.0}", 1.0 / bound),
        Of::Ratio => format!("{sign} {bound}"),
    }
}

fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn mebibytes(bytes: f64) -> String {
    format!("{} MiB", thousands(bytes / f64::from(1 << 20)))
}

/// What each side's members used in this row.
fn cost(results: &Results, row: &Row, delay_ms: f64) -> String {
    let (takes, mut out) = (takes(results, row, delay_ms), String::new());
    for side in Side::BOTH {
        let of_side: Vec<_> = takes.iter().filter(|take| take.side == side).collect();
        if of_side.is_empty() {
            continue;
        }
        let of_all = |of: &dyn Fn(&[Member], Option<f64>) -> Option<f64>| {
            let values = of_side.iter().filter_map(|take| {
                let measured = &take.measured;
                let million = measured.figures.get(&Figure::CpuPerMillion);
                // How much of a million of them there were.
                let share = million.map(|million| million / cpu_s(&measured.members).max(f64::MIN_POSITIVE));
                of(&measured.members, share)
            });
            Spread::of(values.collect())
        };
        let shown = |figure, of: Option<Spread>| of.map_or_else(|| "–".into(), |it| spread(figure, it));
        let cpu = |of| shown(Figure::CpuPerMillion, of);
        let memory = |of| shown(Figure::Resident, of);
        let _written = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            row.what,
            row.unit,
            side.name(),
            cpu(of_all(&|members, share| Some(cpu_s(members) * share?))),
            cpu(of_all(&|members, share| Some(mean(members, true, Member::cpu_s)? * share?))),
            cpu(of_all(&|members, share| Some(mean(members, false, Member::cpu_s)? * share?))),
            memory(of_all(&|members, _| mean(members, true, |it| it.resident_bytes as f64))),
            memory(of_all(&|members, _| mean(members, false, |it| it.resident_bytes as f64))),
        );
    }
    out
}

/// The mean of the leader, or of those that follow.
fn mean(members: &[Member], leads: bool, of: impl Fn(&Member) -> f64) -> Option<f64> {
    let values: Vec<f64> = members.iter().filter(|member| member.leads == leads).map(of).collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// How many goals were reached, and what was not measured at all.
fn summary(results: &Results) -> String {
    let all: Vec<Line> = delays(results).into_iter().flat_map(|delay| lines(results, delay)).collect();
    let goals = all.iter().filter(|line| line.goal.is_some());
    let reached = goals.clone().filter(|line| line.reached() == Some(true)).count();
    let missing: Vec<&str> =
        ROWS.iter().filter(|row| all.iter().all(|line| line.row.id != row.id)).map(|row| row.what).collect();
    let mut out = format!("\n## In sum\n\n{reached} of {} goals were reached.\n", goals.count());
    if !missing.is_empty() {
        let _written = writeln!(out, "\nNot measured in this run: {}.", missing.join("; "));
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::results::{Measured, Take};

    fn take(row: &str, delay_ms: f64, turn: u32, side: Side, figures: &[(Figure, f64)]) -> Take {
        let member = |id, user_s, mebibytes: u64| Member {
            id,
            leads: id == 1,
            user_s,
            system_s: 0.5,
            resident_bytes: mebibytes << 20,
        };
        let measured = Measured {
            figures: figures.iter().copied().collect::<BTreeMap<_, _>>(),
            members: vec![member(1, 2.5, 300), member(2, 1.5, 200), member(3, 0.5, 100)],
            ..Measured::default()
        };
        Take { row: row.into(), delay_ms, turn, side, measured }
    }

    #[test]
    fn a_report_reads_well() {
        use Figure::{CpuPerMillion, P99Us, Rate, Resident, ResidentPerZnode};
        use Side::{Corral, ZooKeeper};
        let set =
            |rate, p99, cpu| [(Rate, rate), (P99Us, p99), (CpuPerMillion, cpu), (Resident, 314_572_800.0)];
        let takes = vec![
            take("set-32x16", 0.0, 1, ZooKeeper, &set(20_000.0, 30_000.0, 60.0)),
            take("set-32x16", 0.0, 1, Corral, &set(110_000.0, 9_000.0, 12.0)),
            take("set-32x16", 0.0, 2, ZooKeeper, &set(22_000.0, 33_000.0, 66.0)),
            take("set-32x16", 0.0, 2, Corral, &set(100_000.0, 900.0, 18.0)),
            take("set-32x16", 2.0, 1, ZooKeeper, &set(10_000.0, 30_000.0, 60.0)),
            take("set-32x16", 2.0, 1, Corral, &set(40_000.0, 12_000.0, 12.0)),
            take("tree", 0.0, 1, Corral, &[(Resident, 524_288_000.0), (ResidentPerZnode, 359.1)]),
        ];
        let about = About {
            date: "2027-01-02 03:04 UTC".into(),
            processor: "A processor".into(),
            cores: 4,
            memory_gib: 15.6,
            kernel: "Linux 6.1".into(),
            commit: "0123456789".into(),
            corral: "corral 0.1.0".into(),
            zookeeper: "3.9.5-0".into(),
            java: "OpenJDK 17".into(),
            jvm: vec!["-Xmx2g".into()],
            turns: 2,
            seconds: 20.0,
            warmup: 15.0,
            small: false,
        };
        let drawings = [("per second".to_owned(), "report/throughput-0ms.svg".to_owned())];
        insta::assert_snapshot!(report(&Results { about, takes }, &drawings));
    }

    #[test]
    fn numbers_have_units() {
        assert_eq!(value(Figure::Rate, 1_234_567.4), "1,234,567");
        assert_eq!(value(Figure::Rate, 999.0), "999");
        assert_eq!(value(Figure::P99Us, 999.4), "999 µs");
        assert_eq!(value(Figure::P99Us, 12_345.0), "12.35 ms");
        assert_eq!(value(Figure::RateKept, 0.8), "80 %");
    }

    #[test]
    fn a_small_run_and_a_debug_build_say_so() {
        let about = About { small: true, corral: "corral 0.1.0 (a debug build)".into(), ..About::default() };
        let text = report(&Results { about, takes: Vec::new() }, &[]);
        assert!(text.contains("**A small run") && text.contains("**Corral is a debug build.**"), "{text}");
    }
}
