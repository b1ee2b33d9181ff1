//! Members that lose their power before their state was made safe, and again soon after they have started.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::run::runtime;
use super::super::world::{Running, World};
use super::scene::{PATIENCE, all_serve, leader, start, three, write};
use crate::runtime::bugs::Bug;

/// How often all lose their power.
const CRASHES: usize = 3;

/// How long they run in between, beyond the moment when all serve.
const BETWEEN: Duration = Duration::from_secs(1);

/// Waits until all serve, or one of them does not start.
async fn all_come_back(world: &World) -> bool {
    let end = Instant::now() + PATIENCE;
    let serves = |member| world.running(member).as_ref().is_some_and(Running::serves);
    while !(1..=3).all(serves) {
        if world.witness.is_broken() {
            return false;
        }
        assert!(Instant::now() < end, "not all serve within {PATIENCE:?}");
        sleep(Duration::from_millis(10)).await;
    }
    true
}

/// Whether all start again each time. The log is long enough to be purged, and too short for the state to be made safe.
async fn all_start_again(bug: Option<Bug>) -> bool {
    let world = three(bug, |kept| kept.snapshot_every == 60 && kept.keep < 20);
    start(&world, 1..=3);
    all_serve(&world, &[1, 2, 3]).await;
    let leader = leader(&world, &[1, 2, 3]).await;
    while world.log(leader).last().is_none_or(|last| last.index() < 35) {
        write(&world, leader).await;
    }
    for _ in 0..CRASHES {
        for member in 1..=3 {
            world.state(member).forget();
            world.crash(member);
        }
        start(&world, 1..=3);
        if !all_come_back(&world).await {
            return false;
        }
        sleep(BETWEEN).await;
    }
    let end = world.log(leader).last().map_or(0, |last| last.index());
    assert!(end < 60, "it was made safe in between: the log is at {end}");
    true
}

#[test]
fn what_was_applied_once_more_stays_in_the_log_until_it_is_safe() {
    assert!(runtime().block_on(all_start_again(None)));
    assert!(!runtime().block_on(all_start_again(Some(Bug::PurgedAtStart))));
}
