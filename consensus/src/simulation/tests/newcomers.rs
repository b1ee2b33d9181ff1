//! Members with a new log, each in a scene that chance would take long to find.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::run::runtime;
use super::super::world::World;
use super::scene::{self, all_grown, all_serve, leader, others, start, until, write};
use crate::runtime::bugs::Bug;

/// How long is looked for what is not to happen.
const VIGIL: Duration = Duration::from_secs(4);

/// Three members that keep all of their log.
fn three(bug: Option<Bug>) -> Arc<World> {
    scene::three(bug, |kept| kept.snapshot_every >= 1_000)
}

/// Whether a leader that was cut off, and then hears of a member that has lost its disk, is told that it still leads.
async fn a_deposed_leader_is_confirmed(bug: Option<Bug>) -> bool {
    let world = three(bug);
    start(&world, 1..=3);
    all_serve(&world, &[1, 2, 3]).await;
    for member in 1..=3 {
        write(&world, member).await;
    }
    all_grown(&world).await;
    let old = leader(&world, &[1, 2, 3]).await;
    world.set_apart(&BTreeSet::from([old]));
    let (one, other) = others(old);
    let new = leader(&world, &[one, other]).await;
    let emptied = if new == one { other } else { one };
    write(&world, new).await;
    // Only the new leader knows better now.
    world.crash(new);
    assert!(world.lose_disk(emptied));
    world.ether.cut([]);
    start(&world, [emptied]);
    let until = Instant::now() + VIGIL;
    let mut confirmed = false;
    while Instant::now() < until && !confirmed {
        let Some(running) = world.running(old) else { break };
        confirmed = running.consensus.barrier().await.is_ok();
        sleep(Duration::from_millis(20)).await;
    }
    if !confirmed {
        start(&world, [new]);
        all_serve(&world, &[1, 2, 3]).await;
        // What is written next makes it safe that the emptied one has caught up.
        write(&world, emptied).await;
        all_grown(&world).await;
    }
    confirmed
}

#[test]
fn an_emptied_member_makes_no_quorum_with_a_leader_that_it_has_helped_to_depose() {
    assert!(!runtime().block_on(a_deposed_leader_is_confirmed(None)));
    assert!(runtime().block_on(a_deposed_leader_is_confirmed(Some(Bug::UnaskedAcknowledges))));
}

/// Whether a member that has lost its disk, and was sent part of it again, is elected by one that never had the rest.
async fn a_half_filled_member_leads(bug: Option<Bug>) -> bool {
    let world = three(bug);
    start(&world, 1..=3);
    all_serve(&world, &[1, 2, 3]).await;
    for member in 1..=3 {
        write(&world, member).await;
    }
    all_grown(&world).await;
    let old = leader(&world, &[1, 2, 3]).await;
    let (emptied, away) = others(old);
    world.set_apart(&BTreeSet::from([away]));
    sleep(Duration::from_millis(100)).await;
    let had = world.log(away).last().unwrap();
    write(&world, old).await;
    world.crash(old);
    world.crash(emptied);
    world.state(emptied).lose();
    world.log(emptied).make_new(had.index() + 1);
    world.ether.cut([]);
    start(&world, [emptied]);
    let until = Instant::now() + VIGIL;
    let mut led = false;
    while Instant::now() < until && !led {
        sleep(Duration::from_millis(20)).await;
        led = world.leader().is_some();
    }
    if !led {
        start(&world, [old]);
        all_serve(&world, &[1, 2, 3]).await;
        // What is written next makes it safe that the emptied one has caught up.
        write(&world, emptied).await;
        all_grown(&world).await;
    }
    led
}

#[test]
fn an_emptied_member_does_not_lead_before_it_has_caught_up() {
    assert!(!runtime().block_on(a_half_filled_member_leads(None)));
    assert!(runtime().block_on(a_half_filled_member_leads(Some(Bug::EmptiedStands))));
}

/// Of a new ensemble nobody had caught up when it lost its power, and so many have what its first leader began with.
async fn begins_with(first: usize) {
    let world = three(None);
    start(&world, 1..=3);
    all_serve(&world, &[1, 2, 3]).await;
    let leader = leader(&world, &[1, 2, 3]).await;
    (1..=3).for_each(|member| world.crash(member));
    let (one, other) = others(leader);
    for (place, member) in (0..).zip([leader, one, other]) {
        world.state(member).lose();
        world.log(member).make_new(if place < first { u64::MAX } else { 0 });
    }
    start(&world, 1..=3);
    all_serve(&world, &[1, 2, 3]).await;
    // What is written next makes it safe that they have caught up.
    for member in 1..=3 {
        write(&world, member).await;
    }
    all_grown(&world).await;
}

#[test]
fn an_ensemble_begins_whoever_has_the_first_entry_of_its_first_leader() {
    for first in 1..=3 {
        runtime().block_on(begins_with(first));
    }
}

#[test]
fn two_of_three_begin_and_the_third_follows() {
    runtime().block_on(async {
        let world = three(None);
        start(&world, [1, 2]);
        all_serve(&world, &[1, 2]).await;
        write(&world, 1).await;
        write(&world, 2).await;
        until(&world, "both have grown up", || {
            [1, 2].iter().all(|member| !world.log(*member).is_new()).then_some(())
        })
        .await;
        start(&world, [3]);
        all_serve(&world, &[1, 2, 3]).await;
        // What is written next makes it safe that the third has caught up.
        write(&world, 3).await;
        all_grown(&world).await;
    });
}

#[test]
fn one_of_three_begins_nothing() {
    runtime().block_on(async {
        let world = three(None);
        start(&world, [1]);
        sleep(VIGIL).await;
        assert_eq!(world.leader(), None);
        assert!(world.log(1).is_new());
    });
}

#[test]
fn a_state_that_is_ahead_of_its_log_overrules_it() {
    runtime().block_on(async {
        let world = three(None);
        start(&world, 1..=3);
        all_serve(&world, &[1, 2, 3]).await;
        all_grown(&world).await;
        let first = leader(&world, &[1, 2, 3]).await;
        write(&world, first).await;
        world.crash(first);
        let (one, other) = others(first);
        let second = leader(&world, &[one, other]).await;
        start(&world, [first]);
        all_serve(&world, &[1, 2, 3]).await;
        write(&world, second).await;
        let behind = if second == one { other } else { one };
        all_serve(&world, &[1, 2, 3]).await;
        world.leave(behind).await;
        world.log(behind).end_with_older();
        start(&world, [behind]);
        all_serve(&world, &[1, 2, 3]).await;
        write(&world, behind).await;
        all_serve(&world, &[1, 2, 3]).await;
    });
}
