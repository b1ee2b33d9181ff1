//! Real faults on real processes, for as long as one likes, with every answer checked.
//!
//! Rounds of a minute: clients ask for a seeded mix while members are killed, frozen, parted and slowed down; after each
//! round every member is read, the trees are compared, and the history is judged with the log of a member that has kept
//! it. Ends with a table, and with 1 as soon as anything is wrong; then the history is kept, to be judged again.
#![allow(clippy::print_stdout, reason = "a program that prints what it found")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use fastrand::Rng;
use harness::checker::round::{self, Outcome, Settings};
use harness::checker::verdict::Counts;
use harness::checker::{file, judge};
use harness::faults::{CHANGEABLE, Done, Kind, make};
use harness::{Ensemble, Plan};

/// Checks what clients are told while members suffer.
#[derive(Debug, Parser)]
struct Arguments {
    /// What all chance comes from; drawn if not said. Chance is the same again, but time is not.
    #[arg(long)]
    seed: Option<u64>,
    /// For how long.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// Which kinds of trouble; all if not said.
    #[arg(long, value_delimiter = ',')]
    kinds: Vec<Kind>,
    /// How many members: 3 and 5 in turn if not said.
    #[arg(long)]
    members: Option<usize>,
    /// How many clients ask.
    #[arg(long, default_value_t = 16)]
    clients: usize,
    /// How many milliseconds a client rests between two bursts, on average.
    #[arg(long, default_value_t = 10)]
    rest: u64,
    /// How many seconds of trouble there are in a round.
    #[arg(long, default_value_t = 45)]
    round: u64,
    /// How many rounds an ensemble lives.
    #[arg(long, default_value_t = 4)]
    rounds: u64,
    /// Whether each trouble is told.
    #[arg(long)]
    tell: bool,
    /// Whether each history is also judged without its log, and kept if that finds something.
    #[arg(long)]
    without_log: bool,
    /// Judges a history that was kept, with its log and without, and does nothing else.
    #[arg(long)]
    judge: Option<PathBuf>,
}

#[derive(Default)]
struct Table {
    counts: Counts,
    rounds: u64,
    /// Rounds whose answers were not judged, because the keeper was sent the state: without its log nobody can know what
    /// became of requests that were not answered, and the checker's guesses have raised false alarms.
    not_judged: u64,
    /// How often a member was sent the state, because the log did not reach back to what it had.
    snapshots: usize,
    /// By kind: how often, and how long until all served again at the longest.
    troubles: BTreeMap<Kind, (u64, Duration)>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(kept) = &arguments.judge {
        return again_judged(kept);
    }
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed}; again with: {}", again(&arguments, seed));
    let kinds = if arguments.kinds.is_empty() { Kind::ALL.to_vec() } else { arguments.kinds.clone() };
    let (began, time) = (Instant::now(), Duration::from_secs(arguments.minutes * 60));
    let mut table = Table::default();
    let mut life = 0;
    let mut is_clean = true;
    while is_clean && began.elapsed() < time {
        let members = arguments.members.unwrap_or(if life % 2 == 0 { 3 } else { 5 });
        let kinds = of_life(&kinds, life);
        let mut ensemble = Ensemble::start(&plan(members, &kinds, life));
        for number in 0..arguments.rounds {
            if began.elapsed() >= time {
                break;
            }
            let seed = seed.wrapping_add(life * arguments.rounds + number);
            let (clean, is_kept) = one(&arguments, &kinds, seed, &mut ensemble, &mut table);
            is_clean = clean;
            println!(
                "{:>6} s, {members} members, round {}: {}",
                began.elapsed().as_secs(),
                table.rounds,
                table.counts
            );
            if !is_clean {
                println!("seed {seed}; again with: {}", again(&arguments, seed));
            }
            if !is_clean || !is_kept {
                break;
            }
        }
        table.snapshots += snapshots(&ensemble);
        life += 1;
    }
    println!("{:<11} {:>6} {:>14}", "trouble", "times", "served after");
    for (kind, (times, longest)) in &table.troubles {
        println!("{kind:<11} {times:>6} {:>11} ms", longest.as_millis());
    }
    println!(
        "seed {seed}: {} s, {} rounds, {} of them not judged, for want of a log; {} members were sent the state; {}",
        began.elapsed().as_secs(),
        table.rounds,
        table.not_judged,
        table.snapshots,
        table.counts
    );
    if is_clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Members that change reach each other directly, so the kinds of trouble that need wires come in other lives.
fn of_life(kinds: &[Kind], life: u64) -> Vec<Kind> {
    let changes =
        kinds.contains(&Kind::Members) && (life % 3 == 2 || kinds.iter().all(|kind| !kind.is_of_wires()));
    let is_for_now = |kind: &Kind| if changes { !kind.is_of_wires() } else { *kind != Kind::Members };
    kinds.iter().copied().filter(is_for_now).collect()
}

/// Snapshots and purges come every few seconds, or several times a second.
fn plan(members: usize, kinds: &[Kind], life: u64) -> Plan {
    let mut plan = Plan::members(members).with_keeper().with_admin().shifting_clocks().faulty_disks();
    plan = plan.line("znode.container.checkIntervalMs=1000");
    // Enough is kept for the keeper, also where the machine is busy.
    let retention = if life % 4 < 2 { [1_000, 2_000, 1_024] } else { [300, 1_000, 64] };
    for (key, bound) in ["snapshotEvery", "logKeep", "logMaxMiB"].into_iter().zip(retention) {
        plan = plan.line(&format!("corral.{key}={bound}"));
    }
    if kinds.contains(&Kind::Members) { CHANGEABLE.into_iter().fold(plan, Plan::line) } else { plan.wired() }
}

/// How often the members of an ensemble were sent the state.
fn snapshots(ensemble: &Ensemble) -> usize {
    ensemble.ids().map(|id| ensemble.log(id).matches("the state was replaced by a snapshot").count()).sum()
}

/// One round. Tells whether all was well, and whether the keeper has kept the log.
fn one(
    arguments: &Arguments,
    kinds: &[Kind],
    seed: u64,
    ensemble: &mut Ensemble,
    table: &mut Table,
) -> (bool, bool) {
    let settings = Settings { seed, clients: arguments.clients, rest: Duration::from_millis(arguments.rest) };
    let mut rng = Rng::with_seed(seed);
    let time = Duration::from_secs(arguments.round);
    let mut told: Vec<Done> = Vec::new();
    let mut outcome = round::run(ensemble, &settings, |ensemble| {
        told = make(ensemble, kinds, &mut rng, time, |done| {
            if arguments.tell {
                println!("{:>9} ms {:<11} {}", done.at.as_millis(), done.kind, done.what);
            }
        });
    });
    for done in &told {
        let (times, longest) = table.troubles.entry(done.kind).or_default();
        *times += 1;
        *longest = done.took.max(*longest);
    }
    table.rounds += 1;
    if let Some(why) = &outcome.without_log {
        table.not_judged += 1;
        println!("the answers of this round are not judged: {why}");
        outcome.verdict.violations.clear();
    } else {
        table.counts.add(&outcome.verdict.counts);
    }
    if arguments.without_log && outcome.is_clean() {
        without_log(&outcome, ensemble, seed);
    }
    if !outcome.is_clean() {
        println!("{}\n{:#?}", outcome.verdict, outcome.differences);
        for done in &told {
            println!(
                "{:>9} ms {:<11} {}, for {} ms",
                done.at.as_millis(),
                done.kind,
                done.what,
                done.took.as_millis()
            );
        }
        keep(&outcome, &ensemble.keep(), seed);
    }
    (outcome.is_clean(), outcome.without_log.is_none())
}

/// Says what the history would come to if there were no log.
fn without_log(outcome: &Outcome, ensemble: &Ensemble, seed: u64) {
    let mut history = outcome.history.clone();
    history.log = None;
    let verdict = judge(&history);
    if !verdict.violations.is_empty() {
        println!("without the log: {verdict}");
        let place = ensemble.directory(1);
        keep(outcome, place.ancestors().nth(2).unwrap_or(&place), seed);
    }
}

fn keep(outcome: &Outcome, folder: &Path, seed: u64) {
    let path = folder.join(format!("history-{seed}.json"));
    match file::write(&outcome.history, &path) {
        Ok(()) => println!("the history stays in {}", path.display()),
        Err(error) => println!("{error:#}"),
    }
}

/// Judges a history that was kept.
fn again_judged(kept: &Path) -> ExitCode {
    let mut history = match file::read(kept) {
        Ok(history) => history,
        Err(error) => {
            println!("{error:#}");
            return ExitCode::FAILURE;
        }
    };
    let verdict = judge(&history);
    println!("{verdict}");
    if history.log.take().is_some() {
        println!("without the log: {}", judge(&history));
    }
    if verdict.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn again(arguments: &Arguments, seed: u64) -> String {
    let kinds: Vec<String> = arguments.kinds.iter().map(ToString::to_string).collect();
    let kinds = if kinds.is_empty() { String::new() } else { format!(" --kinds {}", kinds.join(",")) };
    let members = arguments.members.map_or_else(String::new, |members| format!(" --members {members}"));
    format!("make faults FAULTS=\"--seed {seed} --minutes {}{kinds}{members} --tell\"", arguments.minutes)
}
