//! Whether every session is told every watch event that it is owed, for as long as one likes.
//!
//! Many sessions watch, others write, and members are killed, frozen and cut off, round after round; after each round
//! it is computed from the history which events were owed to whom, and compared with what each was told. Ends with a
//! table, and with 1 if anything was wrong on Corral. Of Apache ZooKeeper it only prints the table.
#![allow(clippy::print_stdout, reason = "a program that prints what it found")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use harness::auditor::faults::Trouble;
use harness::auditor::history::Habit;
use harness::auditor::round::{self, Settings};
use harness::auditor::story::story;
use harness::auditor::tally::Tally;
use harness::{Ensemble, Plan, Server};

/// Compares what many sessions are told with what they are owed, while members fail.
#[derive(Debug, Parser)]
struct Arguments {
    /// What all chance comes from; drawn if not said. Chance is the same again, but time is not.
    #[arg(long)]
    seed: Option<u64>,
    /// For at least how long.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// With at least how many kills.
    #[arg(long, default_value_t = 0)]
    kills: usize,
    /// How many sessions watch.
    #[arg(long, default_value_t = 45)]
    sessions: usize,
    /// How many sessions write.
    #[arg(long, default_value_t = 8)]
    writers: usize,
    /// How many milliseconds a writer rests between two steps, on average.
    #[arg(long, default_value_t = 5)]
    rest: u64,
    /// How many seconds a round takes. Each has sessions and znodes of its own.
    #[arg(long, default_value_t = 60)]
    round: u64,
    /// How many members.
    #[arg(long, default_value_t = 3)]
    members: usize,
    /// What goes wrong: kill, freeze, cut. All of it if not said; Apache ZooKeeper cannot be cut off.
    #[arg(long, value_delimiter = ',')]
    faults: Option<Vec<Trouble>>,
    /// What clients do when they come back: set-watches2, set-watches, nothing. All of it if not said.
    #[arg(long, value_delimiter = ',', value_parser = habit)]
    habits: Vec<Habit>,
    /// Whose members.
    #[arg(long, value_enum, default_value_t = Whose::Corral)]
    server: Whose,
    /// How many violations are told in words.
    #[arg(long, default_value_t = 40)]
    words: usize,
    /// Whether it is told what led to each of them.
    #[arg(long)]
    stories: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Whose {
    /// This workspace's, or what `CORRAL_BIN` names.
    Corral,
    /// Apache ZooKeeper 3.9.
    Apache,
}

fn habit(word: &str) -> Result<Habit, String> {
    match word {
        "set-watches2" => Ok(Habit::SetWatches2),
        "set-watches" => Ok(Habit::SetWatches),
        "nothing" => Ok(Habit::Nothing),
        _ => Err("there are set-watches2, set-watches and nothing".into()),
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed}");
    let server = match arguments.server {
        Whose::Corral => Server::Corral,
        Whose::Apache => Server::Apache39,
    };
    let mut troubles = arguments.faults.unwrap_or_else(|| vec![Trouble::Kill, Trouble::Freeze, Trouble::Cut]);
    if server.is_apache() {
        troubles.retain(|trouble| *trouble != Trouble::Cut);
    }
    let plan = Plan { server, wired: !server.is_apache(), ..Plan::members(arguments.members) };
    let mut ensemble = Ensemble::start(&plan);
    let habits = if arguments.habits.is_empty() { Habit::ALL.to_vec() } else { arguments.habits };

    let began = Instant::now();
    let (mut tally, mut kills, mut others, mut left) = (Tally::default(), 0, 0, arguments.words);
    for number in 0.. {
        if began.elapsed() >= Duration::from_secs(arguments.seconds) && kills >= arguments.kills {
            break;
        }
        let outcome = round::run(
            &mut ensemble,
            &Settings {
                seed: seed.wrapping_add(number),
                watchers: arguments.sessions,
                writers: arguments.writers,
                rest: Duration::from_millis(arguments.rest),
                habits: habits.clone(),
                troubles: troubles.clone(),
                time: Duration::from_secs(arguments.round.min(arguments.seconds)),
                sabotage: None,
            },
        );
        kills += outcome.history.faults.iter().filter(|fault| fault.is_kill).count();
        others += outcome.history.faults.iter().filter(|fault| !fault.is_kill).count();
        tally.merge(&outcome.verdict.tally);
        let total = tally.total();
        println!(
            "{:>5} s: {} due, {} told, {} lost; {kills} kills, {others} times frozen or cut off",
            began.elapsed().as_secs(),
            total.due,
            total.told,
            total.lost
        );
        for violation in outcome.verdict.violations.iter().take(left) {
            println!("  {:?}: {}", violation.wrong, violation.text);
            if arguments.stories {
                print!("{}", story(&outcome.paths, &outcome.history, violation));
            }
        }
        left -= left.min(outcome.verdict.violations.len());
    }
    println!("{tally}");
    println!("seed {seed}: {} s, {kills} kills, {others} times frozen or cut off", began.elapsed().as_secs());
    if tally.wrong.is_empty() || server.is_apache() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
