//! Corral says what Apache ZooKeeper says, wanted differences aside; and if it did not, that would be found.
#![allow(clippy::unwrap_used, reason = "a test that finds nothing where something should be has failed")]

use std::time::{Duration, Instant};

use harness::differ::generate::{Area, steps};
use harness::differ::pair::{Pair, plan};
use harness::differ::shrink::shrink;
use harness::{Server, wait};

/// How long a sequence that shows a difference may be shortened.
const SHRINKING: Duration = Duration::from_secs(60);

/// For how long sequences are begun.
const TIME: Duration = Duration::from_secs(25);

/// For longer where no more requests than these have been compared by then.
const ENOUGH: u64 = 1_000;

fn compare(mut pair: Pair, time: Duration) {
    // Each run asks for something else, unless it is to ask again what another has asked.
    let seed = std::env::var("CORRAL_DIFFER_SEED");
    let first = seed.map_or_else(|_| fastrand::u64(..1 << 40), |seed| seed.parse().unwrap());
    eprintln!("seeds from {first} on");
    let end = Instant::now() + time;
    for seed in first.. {
        if Instant::now() >= end
            && (pair.tally.requests() > ENOUGH || Instant::now() >= end + wait::PATIENCE * 5)
        {
            break;
        }
        let steps = steps(seed, 500, Area::all());
        if let Err(difference) = pair.run(&steps, None) {
            let shrunken = shrink(&mut pair, &steps, &difference, SHRINKING);
            panic!("CORRAL_DIFFER_SEED={seed} shows it:\n{shrunken}");
        }
    }
    eprintln!("{}", pair.tally);
    assert!(pair.tally.requests() > ENOUGH, "hardly anything was asked");
}

#[test]
fn corral_says_what_zookeeper_says() {
    if Server::under_test().is_apache() {
        return;
    }
    compare(Pair::start(Server::Apache39, 1), TIME);
}

#[test]
fn a_difference_is_found_and_shortened() {
    if Server::under_test().is_apache() {
        return;
    }
    let plans = [plan(Server::Apache39, 1), plan(Server::Corral, 1)];
    let [reference, mut other] = plans;
    for line in &mut other.lines {
        if line == "extendedTypesEnabled=true" {
            *line = "extendedTypesEnabled=false".into();
        }
    }
    let mut pair = Pair::of([reference, other]);
    // Znodes with a time to live come up soon.
    for seed in 1.. {
        assert!(seed < 20, "a member without TTL znodes is taken for one that has them");
        let steps = steps(seed, 300, &[Area::Kinds]);
        let Err(difference) = pair.run(&steps, None) else { continue };
        let shrunken = shrink(&mut pair, &steps, &difference, SHRINKING);
        let text = shrunken.to_string();
        assert!(shrunken.steps.len() <= 2, "{text}");
        assert!(text.contains("err=-6"), "{text}");
        break;
    }
}
