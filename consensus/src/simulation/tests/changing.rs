//! A member is added, and then leads one whose log says so while its world does not know it yet.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::operator::change;
use super::super::run::runtime;
use super::super::talk::Caller;
use super::super::world::Running;
use super::scene::{all_serve, leader, others, start, three_and_guests, until, write};
use crate::runtime::bugs::Bug;

/// How long the one that was added may not serve.
const PATIENCE: Duration = Duration::from_secs(20);

/// Milliseconds that a write to the disk of the next leader takes: so long after it was elected nothing is committed that was
/// not known to be.
const SLOW: u64 = 100;

/// Whether the one that was added serves behind that.
async fn an_added_member_stays(bug: Option<Bug>) -> bool {
    let world = three_and_guests(bug, 1, |kept| kept.snapshot_every == 25);
    start(&world, 1..=4);
    all_serve(&world, &[1, 2, 3]).await;
    let old = leader(&world, &[1, 2, 3]).await;
    // So much that the state is made safe, with the three.
    while world.log(old).last().is_none_or(|last| last.index() < 30) {
        write(&world, old).await;
    }
    all_serve(&world, &[1, 2, 3]).await;
    sleep(Duration::from_secs(1)).await;
    let (one, other) = others(old);
    // It will lack the change, so that the other one must lead.
    world.crash(one);

    let mut caller = Caller::new(1_000, 20_000);
    let through = until(&world, "it serves", || world.running(old).filter(Running::serves)).await;
    let talk = caller.greet(&world, through).await.unwrap().unwrap();
    change(&world, &mut caller, talk, &(1..=4).map(|member| (member, member <= 3)).collect()).await.unwrap();
    until(&world, "it is added", || world.running(4).filter(Running::serves)).await;

    for member in [old, other, 4] {
        world.state(member).forget();
        world.crash(member);
        world.log(member).forget_committed();
    }
    world.set_pace(other, SLOW..SLOW + 1, 0..1);
    start(&world, [one, other, 4]);
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        sleep(Duration::from_millis(10)).await;
        assert!(!world.witness.is_broken(), "{:?}", world.witness.verdict());
        let is_settled =
            [one, other].iter().all(|member| world.running(*member).is_some_and(|it| it.serves()));
        if is_settled && world.running(4).is_some_and(|it| it.serves()) {
            // It stays.
            sleep(Duration::from_secs(2)).await;
            write(&world, one).await;
            return world.members().contains_key(&4) && world.running(4).is_some_and(|it| it.serves());
        }
    }
    false
}

#[test]
fn a_leader_that_does_not_know_of_a_change_yet_does_not_undo_it() {
    assert!(runtime().block_on(an_added_member_stays(None)));
    assert!(!runtime().block_on(an_added_member_stays(Some(Bug::MembersUnsettled))));
}
