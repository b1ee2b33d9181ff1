//! One simulation, from its seed to its end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use machine::Machine;
use openraft::async_runtime::WatchReceiver;
use tokio::time::{Instant, sleep, timeout};

use super::client::{Client, Known};
use super::guests::{Guests, Nobody, Surroundings};
use super::operator;
use super::storm::{self, Weather};
use super::world::{Running, World};
use crate::runtime::bugs::Bug;
use crate::runtime::dice::Dice;
use crate::runtime::witness::{Counts, Witness};

/// How long after the last fault everything must be well.
const RECOVERY_MAX: Duration = Duration::from_secs(40);

/// What came of a simulation.
pub struct Outcome {
    /// Which promise was broken, and when; the first one.
    pub broken: Option<String>,
    /// The same for the same run.
    pub trace: u64,
    /// Simulated milliseconds.
    pub millis: u64,
    /// How much happened.
    pub steps: u64,
    /// Which faults were done, and how often.
    pub faults: Counts,
    /// What else happened.
    pub counts: Counts,
}

/// Time that stands still while anything is to be done, and passes at once when nothing is.
pub(super) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime is made")
}

/// Simulates an ensemble: it begins, is harmed for some seconds, and then left alone until it is well.
pub(crate) fn run(seed: u64, bug: Option<Bug>, aloud: bool) -> Outcome {
    run_with(seed, bug, aloud, Arc::new(Nobody))
}

/// The same with guests, by the seed, on top of its members. `aloud` prints everything as it happens.
pub fn run_with_guests(seed: u64, aloud: bool, guests: Arc<dyn Guests>) -> Outcome {
    run_with(seed, None, aloud, guests)
}

fn run_with(seed: u64, bug: Option<Bug>, aloud: bool, guests: Arc<dyn Guests>) -> Outcome {
    let (witness, millis) = runtime().block_on(async {
        let witness = Arc::new(Witness::new(aloud));
        simulate(seed, witness.clone(), bug, guests).await;
        let millis = witness.now();
        (witness, millis)
    });
    let (faults, mut counts) = witness.counts();
    counts.insert("terms", witness.terms());
    let (broken, trace, steps) = (witness.verdict(), witness.trace(), witness.steps());
    Outcome { broken, trace, millis, steps, faults, counts }
}

async fn simulate(seed: u64, witness: Arc<Witness>, bug: Option<Bug>, guests: Arc<dyn Guests>) {
    let dice = Dice::new(seed);
    let is_changed = dice.chance(300);
    let weather = Weather::new(&dice, is_changed);
    let world = World::new(dice.clone(), witness.clone(), bug, is_changed, guests);
    let watching = world.clone();
    tokio::spawn(async move {
        loop {
            sleep(Duration::from_millis(50)).await;
            watching.look_around();
        }
    });
    for member in 1..=world.size {
        tokio::spawn(world.clone().start(member));
    }
    let clients: Vec<_> = (0..dice.within(2..6))
        .map(|number| {
            let known = Arc::new(Known::default());
            tokio::spawn(Client::new(number, world.clone(), known.clone()).run());
            known
        })
        .collect();
    world.guests.come(Surroundings::new(world.clone()));
    sleep(dice.millis(0..1_500)).await;
    let operator = is_changed.then(|| tokio::spawn(operator::run(world.clone())));
    weather.rage(&world, dice.millis(500..4_000)).await;
    storm::calm(&world);
    operator.inspect(tokio::task::JoinHandle::abort);
    recover(&world, &clients).await;
    world.end();
    if timeout(RECOVERY_MAX, world.guests.conclude()).await.is_err() {
        world.witness.broken(&format!("all is well for {RECOVERY_MAX:?}, and guests have not seen all yet"));
    }
    agree(&world, &clients).await;
    world.look_around();
}

/// Everybody serves: each client is answered, and each member knows a leader.
async fn recover(world: &World, clients: &[Arc<Known>]) {
    let calm = world.witness.now();
    let until = Instant::now() + RECOVERY_MAX;
    while !world.witness.is_broken() {
        sleep(Duration::from_millis(50)).await;
        let running = world.all_running();
        let members = world.members();
        let serves = |member: &u64| running.get(member).is_some_and(Running::serves);
        let unserved: Vec<_> = members.keys().filter(|member| !serves(member)).collect();
        let unanswered = clients.iter().filter(|known| known.answered_at() <= calm).count();
        // Who is no member any more may never hear the end of what made it none.
        let is_changing = running
            .iter()
            .filter(|(member, _)| members.contains_key(member))
            .any(|(_, it)| it.consensus.read(|machine| machine.reconfiguration().is_some()));
        if unserved.is_empty() && unanswered == 0 && !is_changing {
            return;
        }
        if Instant::now() > until {
            let known: Vec<_> = running.values().filter_map(known_to_raft).collect();
            world.witness.broken(&format!(
                "all is well for {RECOVERY_MAX:?}, and of the members {members:?} these do not serve: {unserved:?}; {unanswered} \
                 clients have no answer; a change of members goes on: {is_changing}; what Raft knows: {known:?}"
            ));
        }
    }
}

/// What this member's Raft knows of the others.
fn known_to_raft(running: &Running) -> Option<String> {
    let raft = running.consensus.member.raft()?;
    let metrics = raft.metrics().borrow_watched().clone();
    let (own, members) = (metrics.id, metrics.membership_config);
    Some(format!("{own} ({:?}): {members}, sent up to {:?}", metrics.state, metrics.replication))
}

/// Every member has the same world, with all that was acknowledged.
async fn agree(world: &World, clients: &[Arc<Known>]) {
    let until = Instant::now() + RECOVERY_MAX;
    let members = world.members();
    let running = || world.all_running().into_iter().filter(|(member, _)| members.contains_key(member));
    let worlds = || -> BTreeMap<u64, (u64, u64)> {
        let look = |machine: &Machine| (machine.last_zxid().get(), machine.digest());
        running().map(|(member, it)| (member, it.consensus.read(look))).collect()
    };
    // The last of what the clients have asked for is still on its way.
    sleep(Duration::from_secs(1)).await;
    while !world.witness.is_broken() {
        let worlds = worlds();
        let first = worlds.values().next().copied().unwrap_or_default();
        if worlds.values().all(|it| *it == first) {
            break;
        }
        if Instant::now() > until {
            world.witness.broken(&format!("the worlds do not come together: {worlds:x?}"));
        }
        sleep(Duration::from_millis(100)).await;
    }
    if world.witness.is_broken() {
        return;
    }
    for (member, running) in running() {
        running.consensus.read(|machine| {
            machine.assert_invariants();
            if machine.last_zxid().get() < world.acknowledged() {
                world.witness.broken(&format!("member {member} lacks what was acknowledged"));
            }
            for known in clients {
                if let Err(how) = known.hold_against(machine) {
                    world.witness.broken(&format!("on member {member}: {how}"));
                }
            }
        });
    }
}
