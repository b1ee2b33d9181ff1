//! A number of seeds in each run of the tests, and any of them again.

mod changing;
mod electing;
mod expiring;
mod filling;
mod newcomers;
mod restarting;
mod scene;
mod sending;
mod truncating;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{sleep, timeout};

use super::guests::Nobody;
use super::run::{Outcome, run, runtime};
use super::seeds::{self, number};
use super::talk::Caller;
use super::world::{Running, World};
use crate::runtime::bugs::Bug;
use crate::runtime::dice::Dice;
use crate::runtime::witness::Witness;

/// Seeds in each run of the tests.
const SEEDS: u64 = 120;

/// Runs one seed; an error says how to see it again.
fn attempt(seed: u64, bug: Option<Bug>) -> Result<Outcome, String> {
    seeds::attempt(seed, "simulate", |aloud| run(seed, bug, aloud))
}

/// As many seeds as the environment says, on as many threads; each of them is a world of its own.
#[test]
fn whatever_fails_nothing_acknowledged_is_lost() {
    seeds::run_as_told(SEEDS, &|seed| attempt(seed, None));
}

#[test]
fn a_member_whose_disk_is_broken_stops_and_answers_barriers() {
    runtime().block_on(async {
        let world = World::new(Dice::new(1), Arc::new(Witness::new(false)), None, false, Arc::new(Nobody));
        for member in 1..=world.size {
            tokio::spawn(world.clone().start(member));
        }
        let serves = |member: u64| world.running(member).filter(Running::serves);
        let (leader, follower) = loop {
            sleep(Duration::from_millis(50)).await;
            let leader = world.leader().and_then(serves);
            let follower = leader.as_ref().and_then(|leader| serves(leader.life.member % world.voters + 1));
            if let Some(both) = leader.zip(follower) {
                break both;
            }
        };
        world.fail_disk(follower.life.member, true);
        assert!(Caller::new(0, 5_000).greet(&world, leader).await.unwrap().is_some());
        let mut status = follower.consensus.status();
        timeout(Duration::from_secs(10), status.wait_for(|status| status.stopped)).await.unwrap().unwrap();
        let answer = timeout(Duration::from_secs(1), follower.consensus.barrier()).await;
        assert_eq!(answer, Ok(Err(crate::Unavailable)));
        assert!(!follower.life.has_panicked());
    });
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 1_000_000..1_000_004 {
        let (first, second) = (run(seed, None, false), run(seed, None, false));
        assert_eq!(first.trace, second.trace, "seed {seed}: {:?} and {:?}", first.counts, second.counts);
    }
}

/// A simulation that finds nothing has shown nothing: each of these is found within so many seeds.
#[test]
fn bugs_put_in_on_purpose_are_found() {
    // Found in scenes of their own are a member that was emptied and stands, or acknowledges unasked (`newcomers`), a
    // reversion that is forbidden (`filling`), a truncation that is not flushed (`truncating`), an expiry that is not fenced
    // (`expiring`), a log that is purged of what comes behind a state that is being sent (`sending`), a candidate who does not
    // wait (`electing`), and a leader that has not settled before it changes the members (`changing`).
    let bugs = [
        (Bug::EmptyDiskVotes, 200),
        (Bug::LeaderRestored, 60),
        (Bug::EarlyAcknowledgement, 60),
        (Bug::FailedWriteAcknowledged, 60),
        (Bug::VoteNotFlushed, 400),
        (Bug::HoleAcknowledged, 60),
        (Bug::StateOutOfOrder, 60),
        (Bug::PurgedTooEarly, 60),
        (Bug::PurgedAtStart, 200),
        (Bug::SnapshotBehind, 60),
        (Bug::SnapshotWithoutWatches, 60),
        (Bug::Unfenced, 60),
        (Bug::Repeated, 60),
        (Bug::OwnClock, 60),
        (Bug::HollowBarrier, 60),
        (Bug::ImpatientBarrier, 60),
    ];
    let wanted = std::env::var("CORRAL_BUG").ok();
    let (next, missed) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    let look_for = |bug: Bug, within: u64| {
        let within = number("CORRAL_SEEDS").unwrap_or(within);
        let found = (0..within).find_map(|seed| attempt(seed, Some(bug)).err().map(|how| (seed + 1, how)));
        match found {
            Some((seeds, how)) => {
                println!("{bug:?}: found with {seeds} seeds: {}", how.lines().next().unwrap_or_default());
            }
            None => missed.lock().push(format!("{bug:?}: not found with {within} seeds")),
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((bug, within)) =
                    bugs.get(usize::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap_or(usize::MAX))
                {
                    if wanted.as_ref().is_none_or(|wanted| *wanted == format!("{bug:?}")) {
                        look_for(*bug, *within);
                    }
                }
            });
        }
    });
    let missed = missed.into_inner();
    assert!(missed.is_empty(), "{missed:?}");
}
