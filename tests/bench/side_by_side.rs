//! Corral and Apache ZooKeeper under the same load, in turn.
//!
//! `side-by-side --turns 3` measures every row of the comparison with three members of ZooKeeper 3.9.5, then with three of
//! Corral, and so on by turns. It keeps all results in `report/results.json` beside its report, draws them, and writes
//! `REPORT.md`: medians, ratios, and which goals were reached. `--report-from` writes the report from such a file again.
#![allow(clippy::print_stdout, reason = "a program that prints what it measured")]

#[path = "side_by_side/about.rs"]
mod about;
#[path = "side_by_side/burden.rs"]
mod burden;
#[path = "side_by_side/costs.rs"]
mod costs;
#[path = "side_by_side/fresh.rs"]
mod fresh;
#[path = "side_by_side/join.rs"]
mod join;
#[path = "side_by_side/load.rs"]
mod load;
#[path = "side_by_side/plots.rs"]
mod plots;
#[path = "side_by_side/report.rs"]
mod report;
#[path = "side_by_side/results.rs"]
mod results;
#[path = "side_by_side/rows.rs"]
mod rows;
#[path = "side_by_side/take.rs"]
mod take;
#[path = "side_by_side/tree.rs"]
mod tree;
#[path = "side_by_side/verdict.rs"]
mod verdict;
#[path = "side_by_side/watches.rs"]
mod watches;
#[path = "side_by_side/words.rs"]
mod words;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};

use about::About;
use results::{Results, Side, Take};
use rows::{ROWS, Row};
use take::Scale;

/// Where the drawings and the results are, beside the report.
const FOLDER: &str = "report";

/// Compares.
#[derive(Debug, Parser)]
struct Arguments {
    /// Rows to measure, by their names; all if none is named
    #[arg(long, value_delimiter = ',', value_parser = rows::ROWS.map(|row| row.id))]
    rows: Vec<String>,
    /// How often each is measured of each of the two
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    turns: u32,
    /// Seconds that are measured
    #[arg(long)]
    seconds: Option<f64>,
    /// Seconds of the same load in front of them, so that a JVM is warm
    #[arg(long)]
    warmup: Option<f64>,
    /// By how many milliseconds each sync takes longer, one after the other. Rows that wait for no sync are measured
    /// without delay only
    #[arg(long, value_delimiter = ',', default_value = "0")]
    delays: Vec<f64>,
    /// Everything so small that a test can wait for it
    #[arg(long)]
    small: bool,
    /// Where the report goes, and its folder
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/bench"))]
    out: PathBuf,
    /// Measure nothing, and write the report from this file
    #[arg(long)]
    report_from: Option<PathBuf>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let folder = arguments.out.join(FOLDER);
    std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    let results = match &arguments.report_from {
        Some(path) => Results::read(path)?,
        None => measure(&arguments, &folder.join("results.json"))?,
    };
    let drawings = plots::draw(&folder, &results)?.into_iter();
    let drawings: Vec<_> = drawings.map(|(what, file)| (what, format!("{FOLDER}/{file}"))).collect();
    let path = arguments.out.join("REPORT.md");
    let text = report::report(&results, &drawings);
    std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    println!("{}", path.display());
    let failed = arguments.report_from.is_none() && !results.failures.is_empty();
    ensure!(!failed, "could not be measured: {}", results.failures.join("; "));
    Ok(())
}

/// Measures what is asked for. What has been measured is in the file after each step.
fn measure(arguments: &Arguments, file: &Path) -> Result<Results> {
    let seconds = |asked: Option<f64>, usual, small| {
        Duration::try_from_secs_f64(asked.unwrap_or(if arguments.small { small } else { usual }))
    };
    let scale = Scale {
        seconds: seconds(arguments.seconds, 20.0, 0.5).context("seconds to measure")?,
        warmup: seconds(arguments.warmup, 15.0, 0.2).context("seconds to warm up")?,
        small: arguments.small,
    };
    let steps = steps(arguments)?;
    let (measured, warm) = (scale.seconds.as_secs_f64(), scale.warmup.as_secs_f64());
    let about = About::find(arguments.turns, measured, warm, arguments.small)?;
    let mut results = Results { about, takes: Vec::new(), failures: Vec::new() };
    let bar = bar(steps.len() as u64);
    for (row, delay_ms, turn, side) in steps {
        bar.set_message(format!("{} of {}, turn {turn}", row.id, side.name()));
        let delay = Duration::try_from_secs_f64(delay_ms / 1e3).context("a delay of syncs")?;
        // A run takes long. What fails in it is told at its end, and the rest is measured.
        match take::take(row, side, delay, scale, &mut results.about) {
            Ok(None) => {}
            Ok(Some(measured)) => {
                bar.suspend(|| println!("{}", said(row, delay_ms, turn, side, &measured)));
                results.takes.push(Take { row: row.id.to_owned(), delay_ms, turn, side, measured });
            }
            Err(error) => {
                let why = format!("{} of {}, {delay_ms} ms, turn {turn}: {error:#}", row.id, side.name());
                bar.suspend(|| println!("failed: {why}"));
                results.failures.push(why);
            }
        }
        results.write(file)?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(results)
}

/// What is measured when: one row after the other, and in each of them the two by turns. Whatever else the machine does for a
/// while falls on both.
fn steps(arguments: &Arguments) -> Result<Vec<(&'static Row, f64, u32, Side)>> {
    let wanted: Vec<&Row> = match &arguments.rows[..] {
        [] => ROWS.iter().collect(),
        named => named.iter().filter_map(|id| rows::find(id)).collect(),
    };
    let mut steps = Vec::new();
    for delay_ms in &arguments.delays {
        for row in wanted.iter().filter(|row| row.syncs || *delay_ms == 0.0) {
            for turn in 1..=arguments.turns {
                steps.extend(Side::BOTH.map(|side| (*row, *delay_ms, turn, side)));
            }
        }
    }
    ensure!(!steps.is_empty(), "none of these rows waits for syncs: add 0 to the delays");
    Ok(steps)
}

fn said(row: &Row, delay_ms: f64, turn: u32, side: Side, measured: &results::Measured) -> String {
    let figures = measured.figures.iter();
    let figures =
        figures.map(|(figure, value)| format!("{} {}", words::name(*figure), words::value(*figure, *value)));
    let figures: Vec<String> = figures.collect();
    format!("{:<13} {delay_ms} ms, turn {turn}, {:<9}: {}", row.id, side.name(), figures.join("; "))
}

fn bar(steps: u64) -> ProgressBar {
    let bar = ProgressBar::new(steps);
    match ProgressStyle::with_template("{pos}/{len} {wide_bar} {eta_precise} left  {msg}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
