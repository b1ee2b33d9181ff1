//! What scenes are made of: three members that nobody harms but the scene.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::guests::Nobody;
use super::super::talk::Caller;
use super::super::world::{Running, World};
use crate::Retention;
use crate::runtime::bugs::Bug;
use crate::runtime::dice::Dice;
use crate::runtime::witness::Witness;

/// How long anything may take that is to happen.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// Three members that keep the log for as long as wanted.
pub(super) fn three(bug: Option<Bug>, is_wanted: impl Fn(&Retention) -> bool) -> Arc<World> {
    three_and_guests(bug, 0, is_wanted)
}

/// Three members, and so many with the next numbers who may become members.
pub(super) fn three_and_guests(
    bug: Option<Bug>,
    guests: u64,
    is_wanted: impl Fn(&Retention) -> bool,
) -> Arc<World> {
    let drawn = (0..).map(|seed| {
        World::new(
            Dice::new(seed),
            Arc::new(Witness::new(std::env::var_os("CORRAL_ALOUD").is_some())),
            bug,
            guests > 0,
            Arc::new(Nobody),
        )
    });
    let fits = |world: &Arc<World>| {
        world.members().len() == 3
            && (world.voters, world.size) == (3, 3 + guests)
            && is_wanted(&world.retention)
    };
    drawn.into_iter().find(fits).unwrap()
}

pub(super) fn start(world: &Arc<World>, members: impl IntoIterator<Item = u64>) {
    for member in members {
        world.start_after(member, Duration::ZERO);
    }
}

/// Waits until it is so, and says what was waited for if that takes too long.
pub(super) async fn until<T>(world: &World, what: &str, look: impl Fn() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        assert!(!world.witness.is_broken(), "{what}: {:?}", world.witness.verdict());
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "{what}: not within {PATIENCE:?}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until all of these serve, with one log.
pub(super) async fn all_serve(world: &World, members: &[u64]) {
    let serves = |member: &u64| world.running(*member).is_some_and(|it| it.serves());
    until(world, "all serve", || members.iter().all(serves).then_some(())).await;
    let applied = |member: &u64| world.running(*member).unwrap().consensus.read(machine::Machine::digest);
    until(world, "all agree", || {
        let worlds: BTreeSet<u64> = members.iter().map(applied).collect();
        (worlds.len() == 1).then_some(())
    })
    .await;
}

/// A leader among these, that serves.
pub(super) async fn leader(world: &World, members: &[u64]) -> u64 {
    until(world, "one leads", || {
        let leads = |member: &u64| {
            let running = world.running(*member).filter(Running::serves)?;
            let own = running.consensus.status().borrow().leader.is_some_and(|it| it.get() == *member);
            own.then_some(*member)
        };
        members.iter().find_map(leads)
    })
    .await
}

/// All have grown up.
pub(super) async fn all_grown(world: &World) {
    until(world, "all have grown up", || (1..=3).all(|member| !world.log(member).is_new()).then_some(()))
        .await;
}

/// Puts a few transactions into the log through this member.
pub(super) async fn write(world: &World, member: u64) {
    // Each with a number of its own: one that greets again from the same connection is taken for the same.
    let first = world.witness.steps() * 4;
    for number in first..first + 4 {
        let mut caller = Caller::new(number, 20_000);
        let end = Instant::now() + PATIENCE;
        loop {
            let through = until(world, "it serves", || world.running(member).filter(Running::serves)).await;
            if caller.greet(world, through).await.unwrap().is_some() {
                break;
            }
            assert!(Instant::now() < end, "member {member} lets nobody in for {PATIENCE:?}");
        }
    }
}

pub(super) fn others(member: u64) -> (u64, u64) {
    (member % 3 + 1, (member + 1) % 3 + 1)
}
