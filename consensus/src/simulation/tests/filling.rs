//! A member loses its disk under a leader that knows what it had, and goes on leading.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::run::runtime;
use super::super::talk::Caller;
use super::scene::{all_grown, all_serve, leader, others, start, three, until, write};
use crate::runtime::bugs::Bug;

/// How long nobody writes then: nothing is purged, so nobody is sent the state for want of the log.
const PATIENCE: Duration = Duration::from_secs(20);

/// How many entries there are before: from a few on a leader looks for what the other has in the middle first.
const ENTRIES: u64 = 40;

/// Whether the member has all again, and lets clients in.
async fn is_filled_again(bug: Option<Bug>) -> bool {
    let world = three(bug, |kept| kept.snapshot_every >= 1_000);
    start(&world, 1..=3);
    all_serve(&world, &[1, 2, 3]).await;
    all_grown(&world).await;
    let leading = leader(&world, &[1, 2, 3]).await;
    while world.log(leading).last().is_none_or(|last| last.index() < ENTRIES) {
        write(&world, leading).await;
    }
    let (emptied, _) = others(leading);
    let had = until(&world, "all is on its disk", || {
        world.log(emptied).last().filter(|last| Some(*last) == world.log(leading).last())
    })
    .await;
    assert!(world.lose_disk(emptied));
    start(&world, [emptied]);
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE && world.log(emptied).last() < Some(had) {
        sleep(Duration::from_millis(10)).await;
        assert!(!world.witness.is_broken(), "{:?}", world.witness.verdict());
    }
    assert_eq!(world.leader(), Some(leading));
    let running = world.running(emptied).unwrap();
    let is_let_in = Caller::new(1, 20_000).greet(&world, running).await.unwrap().is_some();
    if is_let_in {
        all_serve(&world, &[1, 2, 3]).await;
        all_grown(&world).await;
    }
    assert_eq!(is_let_in, world.log(emptied).last() >= Some(had));
    is_let_in
}

#[test]
fn a_member_that_lost_its_disk_is_filled_again_by_whoever_knows_what_it_had() {
    assert!(runtime().block_on(is_filled_again(None)));
    assert!(!runtime().block_on(is_filled_again(Some(Bug::ReversionForbidden))));
    assert!(!runtime().block_on(is_filled_again(Some(Bug::HoleAcknowledged))));
}
