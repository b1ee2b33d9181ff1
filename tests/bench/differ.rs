//! Whether Corral says what Apache ZooKeeper says, for as many requests as one likes.
//!
//! Ends with a table of what was asked and answered, and with 1 if there was a difference that is not wanted.
#![allow(clippy::print_stdout, reason = "a program that prints what it found")]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use harness::Server;
use harness::differ::generate::{Area, steps};
use harness::differ::pair::{Pair, plan};
use harness::differ::shrink::shrink;
use harness::differ::tally::Tally;

/// Sends the same requests to ZooKeeper and to Corral and compares what they say.
#[derive(Debug, Parser)]
struct Arguments {
    /// What all chance of the first sequence comes from; drawn if not said. The next ones take the next numbers.
    #[arg(long)]
    seed: Option<u64>,
    /// How many sequences.
    #[arg(long, default_value_t = 20)]
    seeds: u64,
    /// How many requests each has.
    #[arg(long, default_value_t = 1000)]
    requests: usize,
    /// Stop after so many seconds.
    #[arg(long)]
    seconds: Option<u64>,
    /// What Corral is compared with.
    #[arg(long, value_enum, default_value_t = Reference::Apache39)]
    server: Reference,
    /// How many members Corral has. The clients are spread over them.
    #[arg(long, default_value_t = 1)]
    members: usize,
    /// How many pairs of servers run side by side.
    #[arg(long, default_value_t = 1)]
    pairs: usize,
    /// What the first pair is numbered with. Pairs of odd numbers allow reconfig, and serve only who has proved who it is.
    #[arg(long, default_value_t = 0)]
    first_pair: usize,
    /// What the sequences are about; everything if not said.
    #[arg(long, value_enum, value_delimiter = ',')]
    areas: Vec<Area>,
    /// Leave these out.
    #[arg(long, value_enum, value_delimiter = ',')]
    without: Vec<Area>,
    /// Go on behind a difference.
    #[arg(long)]
    keep_going: bool,
    /// How many seconds a sequence that shows a difference is shortened for. 0 leaves it as it is.
    #[arg(long, default_value_t = 60)]
    shrink: u64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Reference {
    /// Apache ZooKeeper 3.9.
    #[value(name = "apache-3.9")]
    Apache39,
    /// Debian's, which is 3.8. What differs because it is older is not in the list of what is wanted.
    Apache,
}

/// What all pairs share.
struct Round {
    arguments: Arguments,
    areas: Vec<Area>,
    first: u64,
    next: AtomicU64,
    over: AtomicBool,
    began: Instant,
    total: Mutex<Tally>,
    /// Differences by kind, and how often.
    found: Mutex<BTreeMap<String, u64>>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let first = arguments.seed.unwrap_or_else(|| fastrand::u64(..1 << 40));
    println!("seeds from {first} on");
    let mut areas = if arguments.areas.is_empty() { Area::all().to_vec() } else { arguments.areas.clone() };
    areas.retain(|area| !arguments.without.contains(area));
    let round = Round {
        arguments,
        areas,
        first,
        next: AtomicU64::new(0),
        over: AtomicBool::new(false),
        began: Instant::now(),
        total: Mutex::new(Tally::default()),
        found: Mutex::new(BTreeMap::new()),
    };
    std::thread::scope(|scope| {
        for number in 0..round.arguments.pairs {
            let round = &round;
            scope.spawn(move || drive(round, round.arguments.first_pair + number));
        }
    });
    let total = round.total.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let found = round.found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    println!("{total}");
    if !total.unused().is_empty() {
        println!("never seen: {}", total.unused().join(", "));
    }
    println!("seeds from {first} on, {} s", round.began.elapsed().as_secs());
    println!("differences that are not wanted: {}", found.values().sum::<u64>());
    for (kind, count) in &found {
        println!("  {count:>6} {kind}");
    }
    if found.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn drive(round: &Round, pair_number: usize) {
    let server = match round.arguments.server {
        Reference::Apache39 => Server::Apache39,
        Reference::Apache => Server::Apache,
    };
    let mut plans = [plan(server, 1), plan(Server::Corral, round.arguments.members)];
    if pair_number % 2 == 1 {
        // reconfig is refused in two ways.
        let lines = ["reconfigEnabled=true", "enforce.auth.enabled=true", "enforce.auth.schemes=digest"];
        plans.iter_mut().for_each(|plan| plan.lines.extend(lines.map(str::to_owned)));
    }
    let mut pair = Pair::of(plans);
    loop {
        let number = round.next.fetch_add(1, Ordering::Relaxed);
        let is_late =
            round.arguments.seconds.is_some_and(|bound| round.began.elapsed() >= Duration::from_secs(bound));
        if number >= round.arguments.seeds || is_late || round.over.load(Ordering::Relaxed) {
            break;
        }
        let seed = round.first.wrapping_add(number);
        let steps = steps(seed, round.arguments.requests, &round.areas);
        if let Err(difference) = pair.run(&steps, None) {
            let is_new = {
                let mut found = round.found.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                let count = found.entry(difference.kind.clone()).or_default();
                *count += 1;
                *count == 1
            };
            println!("seed {seed}, pair {pair_number}, step {}: {}", difference.step, difference.kind);
            if is_new && round.arguments.shrink > 0 {
                let patience = Duration::from_secs(round.arguments.shrink);
                println!("{}", shrink(&mut pair, &steps, &difference, patience));
            } else if is_new {
                println!("  {}\n{}", steps[difference.step], difference.exchange);
            }
            if !round.arguments.keep_going {
                round.over.store(true, Ordering::Relaxed);
            }
        }
        let mut total = round.total.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        total.merge(&std::mem::take(&mut pair.tally));
        if number % 20 == 19 {
            println!("{:>6} s: {} requests", round.began.elapsed().as_secs(), total.requests());
        }
    }
}
