//! A leader dies where one of the two that stay has a disk on which a vote takes longer than the other waits for it.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::run::runtime;
use super::super::world::Running;
use super::scene::{all_grown, all_serve, leader, others, start, three, write};
use crate::runtime::bugs::Bug;

/// Milliseconds that a write to the slow disk takes. Nobody waits longer than 300 for a vote.
const SLOW: u64 = 350;

/// How long nobody may lead.
const PATIENCE: Duration = Duration::from_secs(60);

/// After how long one of the two serves, if one does.
async fn time_without_leader(bug: Option<Bug>) -> Option<Duration> {
    let world = three(bug, |kept| kept.snapshot_every > 100);
    start(&world, 1..=3);
    all_serve(&world, &[1, 2, 3]).await;
    all_grown(&world).await;
    let leader = leader(&world, &[1, 2, 3]).await;
    let (quick, slow) = others(leader);
    world.set_pace(slow, SLOW..SLOW + 1, 0..1);
    // It lacks something, so that it must be the quick one.
    world.set_apart(&BTreeSet::from([slow]));
    write(&world, leader).await;
    world.crash(leader);
    world.ether.cut([]);
    let begun = Instant::now();
    let leads = |running: &Running| running.serves() && world.leader() == Some(running.life.member);
    while begun.elapsed() < PATIENCE {
        sleep(Duration::from_millis(10)).await;
        assert!(!world.witness.is_broken(), "{:?}", world.witness.verdict());
        if [quick, slow].into_iter().filter_map(|member| world.running(member)).any(|it| leads(&it)) {
            return Some(begun.elapsed());
        }
    }
    None
}

#[test]
fn a_vote_that_takes_long_makes_a_leader() {
    let time = runtime().block_on(time_without_leader(None)).unwrap();
    assert!(time < Duration::from_secs(10), "{time:?}");
    assert_eq!(runtime().block_on(time_without_leader(Some(Bug::VotesUnprepared))), None);
}
