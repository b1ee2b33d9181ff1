//! Many seeds, one after the other or several at once, and what they came to.
#![allow(clippy::print_stdout, reason = "whoever runs seeds for hours is told how far they are")]

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::run::Outcome;
use crate::runtime::witness::{self, Counts};

/// How often many seeds tell how far they are.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// A seed that takes longer hangs: some task of it goes on without ever waiting, and no simulated time passes.
const SEED_WAIT_MAX: Duration = Duration::from_secs(180);

/// A number from the environment.
pub(super) fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs one seed, aloud if the environment says so. `make` is what is to be said to `make` to see it again.
///
/// # Errors
/// What was broken, and how to see it again.
pub fn attempt(seed: u64, make: &str, run: impl FnOnce(bool) -> Outcome) -> Result<Outcome, String> {
    let aloud = std::env::var_os("CORRAL_ALOUD").is_some();
    let again = || format!("\n\nto see it again: make {make} SEED={seed} SEEDS=1 ALOUD=1\n");
    match catch_unwind(AssertUnwindSafe(|| run(aloud))) {
        Ok(Outcome { broken: Some(how), .. }) => Err(format!("seed {seed}: {how}{}", again())),
        Ok(outcome) => Ok(outcome),
        Err(_) => Err(format!("seed {seed} panicked{}", again())),
    }
}

/// As many seeds as the environment says, or `seeds`, on as many threads; each of them is a world of its own.
///
/// # Panics
/// If one of them fails.
pub fn run_as_told(seeds: u64, attempt: &(dyn Fn(u64) -> Result<Outcome, String> + Sync)) {
    let first = number("CORRAL_SEED").unwrap_or(0);
    let seeds = number("CORRAL_SEEDS").unwrap_or(seeds);
    let failures = number("CORRAL_FAILURES").unwrap_or(1);
    let until = number("CORRAL_SECONDS").map_or(Duration::MAX, Duration::from_secs);
    let begun = Instant::now();
    let (next, sum) = (AtomicU64::new(first), Mutex::new(Sum::default()));
    let (underway, (holds, end)) = (Underway::default(), mpsc::channel());
    std::thread::scope(|scope| {
        for _ in 0..number("CORRAL_THREADS").unwrap_or(2) {
            let holds = holds.clone();
            let (next, sum, underway) = (&next, &sum, &underway);
            scope.spawn(move || {
                let _holds = holds;
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let is_over = seed >= first + seeds || begun.elapsed() > until;
                    if is_over || sum.lock().failed.len() as u64 >= failures {
                        return;
                    }
                    underway.lock().insert(seed, Instant::now());
                    let outcome = attempt(seed);
                    underway.lock().remove(&seed);
                    sum.lock().add(outcome, begun.elapsed());
                }
            });
        }
        drop(holds);
        watch_over(&underway, &end);
    });
    let sum = sum.into_inner();
    sum.tell(begun.elapsed());
    assert!(sum.failed.is_empty(), "{}", sum.failed.join("\n"));
}

/// The seeds that run, since when.
type Underway = Mutex<BTreeMap<u64, Instant>>;

/// Ends everything if a seed hangs, for nothing else can; until all that hold the other end of `end` have let go of it.
fn watch_over(underway: &Underway, end: &mpsc::Receiver<()>) {
    while end.recv_timeout(Duration::from_secs(1)) == Err(mpsc::RecvTimeoutError::Timeout) {
        let hung =
            underway.lock().iter().find(|(_, begun)| begun.elapsed() > SEED_WAIT_MAX).map(|(seed, _)| *seed);
        if let Some(seed) = hung {
            println!("seed {seed} hangs");
            std::process::abort();
        }
    }
}

/// What many seeds came to.
#[derive(Default)]
struct Sum {
    seeds: u64,
    millis: u64,
    steps: u64,
    faults: Counts,
    counts: Counts,
    failed: Vec<String>,
    told: Duration,
}

impl Sum {
    fn add(&mut self, outcome: Result<Outcome, String>, took: Duration) {
        self.seeds += 1;
        match outcome {
            Ok(outcome) => {
                self.millis += outcome.millis;
                self.steps += outcome.steps;
                for (sums, counts) in [(&mut self.faults, outcome.faults), (&mut self.counts, outcome.counts)]
                {
                    for (what, count) in counts {
                        *sums.entry(what).or_default() += count;
                    }
                }
            }
            Err(how) => {
                println!("{how}");
                self.failed.push(how);
            }
        }
        if took > self.told + TELL_EVERY {
            self.told = took;
            self.tell(took);
        }
    }

    fn tell(&self, took: Duration) {
        println!(
            "{} seeds, {} failed, {:.2} simulated hours, {} steps in {took:.0?}: {:.0} seeds a minute; faults: {}; besides: {}",
            self.seeds,
            self.failed.len(),
            Duration::from_millis(self.millis).as_secs_f64() / 3_600.0,
            self.steps,
            60.0 * self.seeds as f64 / took.as_secs_f64(),
            witness::line(&self.faults),
            witness::line(&self.counts)
        );
    }
}
