//! Who changes the members of a simulated ensemble while it runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use machine::Verdict;
use proto::{Id, OpCode};
use tokio::time::{sleep, timeout};

use super::talk::{Caller, Talk};
use super::words::{line, reconfig};
use super::world::{Running, World};

/// How long the operator waits for an answer. The connection may have broken, and the change go on all the same.
const PATIENCE: Duration = Duration::from_secs(8);
/// No client has this number.
const NUMBER: u64 = 1_000;

/// Adds, removes, promotes, demotes and replaces members, one change after the other.
pub(crate) async fn run(world: Arc<World>) {
    let mut caller = Caller::new(NUMBER, 10_000);
    while !world.is_over() {
        sleep(world.dice.millis(50..900)).await;
        let member = world.dice.within(1..world.size + 1);
        let Some(running) = world.running(member).filter(Running::serves) else { continue };
        let talked = match caller.greet(&world, running).await {
            Ok(Some(talk)) => change(&world, &mut caller, talk, &draw(&world)).await,
            Ok(None) => Ok(()),
            Err(how) => Err(how),
        };
        if let Err(how) = talked {
            world.witness.broken(&format!("the operator {how}"));
        }
    }
}

/// Asks for those to be the members, each with a vote or without, and waits for the answer. An error is a broken promise.
pub(super) async fn change(
    world: &World,
    caller: &mut Caller,
    mut talk: Talk,
    wanted: &BTreeMap<u64, bool>,
) -> Result<(), String> {
    let lines: Vec<String> = wanted.iter().map(|(member, votes)| line(*member, !votes)).collect();
    let superuser = Id { scheme: "super".into(), id: "operator".into() };
    talk.write(vec![superuser], OpCode::Reconfig, reconfig(&lines.join(",")));
    let voters: Vec<u64> = wanted.iter().filter(|(_, votes)| **votes).map(|(member, _)| *member).collect();
    world.witness.fault("changes of members begun", &voters);
    while let Ok(Some((zxid, verdict))) = timeout(PATIENCE, talk.line.recv()).await {
        talk.running.consensus.touch(talk.session);
        match verdict {
            Verdict::Answered { attachment, result, .. } if attachment == talk.attachment => {
                caller.seen = zxid;
                let what =
                    if result.is_ok() { "changes of members done" } else { "changes of members refused" };
                world.witness.note(what, &voters);
                return Ok(());
            }
            Verdict::Closed { .. } => return caller.has_ended(world.witness.now()),
            _ => {}
        }
    }
    Ok(())
}

/// One or two changes of those that are members. Two voters are the fewest that are let be.
fn draw(world: &World) -> BTreeMap<u64, bool> {
    let mut members = world.members();
    for _ in 0..world.dice.within(1..3) {
        let member = world.dice.within(1..world.size + 1);
        match world.dice.within(0..4) {
            0 => drop(members.remove(&member)),
            1 => drop(members.insert(member, false)),
            _ => drop(members.insert(member, true)),
        }
    }
    let least = world.dice.within(2..4);
    for member in 1..=world.size {
        if members.values().filter(|votes| **votes).count() as u64 >= least {
            break;
        }
        members.insert(member, true);
    }
    members
}
