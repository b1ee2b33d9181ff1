//! A member that is sent the state while much is written.

use super::super::run::runtime;
use super::scene::{all_serve, leader, others, start, three, write};
use crate::runtime::bugs::Bug;

/// How long it takes to read a whole state that is to be sent, in milliseconds: many entries are written meanwhile.
const SLOW: u64 = 500;

/// How often a few transactions are written until the member lacks something, and again while it comes back, at most.
const ROUNDS: usize = 500;

/// How many states a member was sent that was away while the log was purged, and then came back.
async fn states_sent(bug: Option<Bug>) -> u64 {
    let world = three(bug, |kept| kept.snapshot_every <= 10);
    start(&world, 1..=3);
    all_serve(&world, &[1, 2, 3]).await;
    let leader = leader(&world, &[1, 2, 3]).await;
    let (away, _) = others(leader);
    let replaced = || world.witness.counts().1.get("worlds replaced").copied().unwrap_or(0);
    world.crash(away);
    let lacks = world.log(away).last().map(|last| last.index() + 1);
    for round in 0.. {
        write(&world, leader).await;
        if world.log(leader).first() > lacks {
            break;
        }
        assert!(round < ROUNDS, "nothing is purged");
    }
    (1..=3).for_each(|member| world.state(member).set_reading(SLOW));
    let before = replaced();
    start(&world, [away]);
    // As long as it is not where the others are: if nobody wrote any more the next state would do.
    let is_back = || world.log(away).last() >= world.log(leader).last();
    for _ in 0..ROUNDS {
        write(&world, leader).await;
        if replaced() > before && is_back() {
            break;
        }
    }
    all_serve(&world, &[1, 2, 3]).await;
    replaced() - before
}

#[test]
fn a_member_is_sent_the_state_once_however_much_is_written_meanwhile() {
    assert_eq!(runtime().block_on(states_sent(None)), 1);
    assert!(runtime().block_on(states_sent(Some(Bug::NothingHeld))) > 1);
}
