//! The end of a log is cut off, less is written in its place than there was, and the power fails.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use proto::limits::BATCHES_IN_FLIGHT_MAX;
use tokio::time::{Instant, sleep};

use super::super::run::runtime;
use super::super::talk::Caller;
use super::scene::{PATIENCE, all_grown, all_serve, leader, others, start, three, write};
use crate::runtime::bugs::Bug;

/// What a leader puts into its log at most while it is cut off, in entries. Chance seldom has its successor put in less before the
/// power fails.
const OVERRULED: u64 = BATCHES_IN_FLIGHT_MAX as u64;

/// More than a disk takes.
const A_MOMENT: Duration = Duration::from_millis(20);

/// Why the member that was cut off does not start again, if it does not.
async fn refused(bug: Option<Bug>) -> Option<String> {
    let world = three(bug, |kept| kept.snapshot_every >= 1_000);
    start(&world, 1..=3);
    all_serve(&world, &[1, 2, 3]).await;
    all_grown(&world).await;
    let old = leader(&world, &[1, 2, 3]).await;
    write(&world, old).await;
    all_serve(&world, &[1, 2, 3]).await;

    world.set_apart(&BTreeSet::from([old]));
    let before = world.log(old).last().unwrap();
    let cut_off = world.running(old).unwrap();
    // Each gives up in the end, so that nothing of it comes to the next leader.
    join_all((0..OVERRULED).map(async |number| {
        sleep(A_MOMENT * u32::try_from(number).unwrap()).await;
        let talk = Caller::new(number, 20_000).greet(&world, cut_off.clone()).await;
        assert!(talk.unwrap().is_none(), "it is cut off");
    }))
    .await;
    let overruled = world.log(old).last().unwrap();
    assert_eq!(overruled.index(), before.index() + OVERRULED);
    let (one, other) = others(old);
    let new = leader(&world, &[one, other]).await;
    world.ether.cut([]);
    all_serve(&world, &[1, 2, 3]).await;
    sleep(A_MOMENT).await;
    let end = world.log(new).last().unwrap();
    assert!(end > overruled && end.index() < overruled.index(), "{end} is shorter than {overruled}");
    // What the scene is about is not there without the bug.
    assert_eq!(world.log(old).last(), Some(if bug.is_none() { end } else { overruled }));

    world.crash(old);
    start(&world, [old]);
    let begun = Instant::now();
    while !world.witness.is_broken() && world.running(old).is_none() {
        assert!(begun.elapsed() < PATIENCE, "it neither starts nor refuses to");
        sleep(A_MOMENT).await;
    }
    if !world.witness.is_broken() {
        all_serve(&world, &[1, 2, 3]).await;
        write(&world, old).await;
        all_serve(&world, &[1, 2, 3]).await;
    }
    world.witness.verdict()
}

#[test]
fn what_was_overruled_does_not_come_back_when_the_power_fails() {
    assert_eq!(runtime().block_on(refused(None)), None);
    let how = runtime().block_on(refused(Some(Bug::TruncationNotFlushed))).unwrap();
    assert!(
        how.contains(" does not start: log entry ") && how.contains(" is older than the one in front"),
        "{how}"
    );
}
