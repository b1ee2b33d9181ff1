//! Clients come back in the moment in which the end of their sessions is decided.

use std::time::Duration;

use futures_util::future::join_all;
use machine::Verdict;
use tokio::time::{sleep, timeout};

use super::super::run::runtime;
use super::super::talk::Caller;
use super::super::world::World;
use super::scene::{all_grown, all_serve, leader, others, start, three};
use crate::runtime::bugs::Bug;

/// How long a session may be silent, in milliseconds.
const TIMEOUT: u64 = 1_000;

/// Milliseconds that a write takes to the disks of those that follow: for so long what is in the log is not applied yet, and
/// the leader does not know of who has come back.
const SLOW: u64 = 200;

/// How many clients try, each silent for a little longer than the one before.
const CLIENTS: u64 = 40;
const A_LITTLE: u64 = 25;

/// Opens a session, is silent for so many milliseconds, comes back, and stays for as long as it may be silent again. An error
/// is a broken promise.
async fn stays(world: &World, member: u64, number: u64, silent: u64) -> Result<bool, String> {
    let mut caller = Caller::new(number, TIMEOUT);
    let through = || world.running(member).unwrap();
    let opened = caller.greet(world, through()).await?.is_some();
    assert!(opened, "client {number} is let in");
    sleep(Duration::from_millis(silent)).await;
    // Whether its session has ended by then is not known.
    let Some(mut talk) = caller.greet(world, through()).await? else { return Ok(false) };
    let end = async {
        loop {
            match talk.line.recv().await {
                Some((_, Verdict::Closed { seq: None, .. })) | None => return,
                Some(_) => {}
            }
        }
    };
    if timeout(Duration::from_millis(TIMEOUT), end).await.is_ok() {
        caller.has_ended(world.witness.now())?;
    }
    Ok(true)
}

/// How many came back to their sessions. An error is a broken promise.
async fn all_stay(bug: Option<Bug>) -> Result<u64, String> {
    let world = three(bug, |kept| kept.snapshot_every >= 1_000);
    start(&world, 1..=3);
    all_serve(&world, &[1, 2, 3]).await;
    all_grown(&world).await;
    let leading = leader(&world, &[1, 2, 3]).await;
    let (one, other) = others(leading);
    for member in [one, other] {
        world.set_pace(member, SLOW..SLOW + 1, 0..1);
    }
    let clients =
        (0..CLIENTS).map(|number| stays(&world, leading, number, TIMEOUT - 200 + number * A_LITTLE));
    let came_back = join_all(clients).await;
    assert!(!world.witness.is_broken(), "{:?}", world.witness.verdict());
    assert_eq!(world.leader(), Some(leading));
    came_back.into_iter().map(|came_back| came_back.map(u64::from)).sum()
}

#[test]
fn who_has_come_back_keeps_the_session_whose_end_was_just_decided() {
    let came_back = runtime().block_on(all_stay(None)).unwrap();
    assert!((1..CLIENTS).contains(&came_back), "{came_back} of {CLIENTS} came back");
    let how = runtime().block_on(all_stay(Some(Bug::ExpiryUnfenced))).unwrap_err();
    assert!(how.contains("was to have it for"), "{how}");
}
