//! Two of three members are left, one with a quick disk and one with a disk that takes longer to save a vote than the quick one
//! would wait for it.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::run::runtime;
use super::scene::{all_grown, all_serve, leader, others, start, three, write};
use crate::runtime::bugs::Bug;

/// How long they may stay without a leader.
const PATIENCE: Duration = Duration::from_secs(30);

/// Milliseconds that a write to the slow disk takes; the quick member asks again after 300 to 600.
const SLOW: u64 = 400;

/// Whether one of them leads.
async fn one_leads(bug: Option<Bug>) -> bool {
    let world = three(bug, |_| true);
    start(&world, 1..=3);
    all_serve(&world, &[1, 2, 3]).await;
    all_grown(&world).await;
    let gone = leader(&world, &[1, 2, 3]).await;
    write(&world, gone).await;
    all_serve(&world, &[1, 2, 3]).await;
    let (quick, slow) = others(gone);
    for member in 1..=3 {
        world.crash(member);
    }
    world.set_pace(slow, SLOW..SLOW + 1, 0..1);
    start(&world, [quick, slow]);
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        sleep(Duration::from_millis(10)).await;
        assert!(!world.witness.is_broken(), "{:?}", world.witness.verdict());
        if [quick, slow].iter().all(|member| world.running(*member).is_some_and(|it| it.serves())) {
            return true;
        }
    }
    false
}

#[test]
fn a_slow_vote_is_waited_for() {
    assert!(runtime().block_on(one_leads(None)));
    assert!(!runtime().block_on(one_leads(Some(Bug::ImpatientCandidate))));
}
