//! The report, for reading.

use std::fmt::Write as _;

use crate::about::About;
use crate::costs;
use crate::load::THREADS;
use crate::results::{Results, Side};
use crate::rows::{Bound, Figure, Goal, Of, ROWS};
use crate::verdict::{Line, delays, lines};
use crate::words::{name, spread, value};

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
        out.push_str(&costs::table(results, delay_ms));
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
        "* Machine: {}, {} cores, {:.1} GiB of memory, {}; the three members, the load and the disk are all on it; \
         load average at the beginning {}",
        about.processor, about.cores, about.memory_gib, about.kernel, about.load_average
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
    line(format!(
        "* The load is `corral bench` with {THREADS} threads: where it keeps as many processors busy, it is the limit"
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
    if !results.failures.is_empty() {
        out.push_str("\nFailed, and not part of any median:\n\n");
    }
    for failure in &results.failures {
        let _written = writeln!(out, "* {failure}");
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::burden::Member;
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
            sync_mean_ms: Some(delay_ms + 0.5),
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
            load_average: "0.01".into(),
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
        let failures = vec!["told-1000 of ZooKeeper, 0 ms, turn 1: not everybody was told".to_owned()];
        let drawings = [("per second".to_owned(), "report/throughput-0ms.svg".to_owned())];
        insta::assert_snapshot!(report(&Results { about, takes, failures }, &drawings));
    }

    #[test]
    fn a_small_run_and_a_debug_build_say_so() {
        let about = About { small: true, corral: "corral 0.1.0 (a debug build)".into(), ..About::default() };
        let text = report(&Results { about, takes: Vec::new(), failures: Vec::new() }, &[]);
        assert!(text.contains("**A small run") && text.contains("**Corral is a debug build.**"), "{text}");
    }
}
