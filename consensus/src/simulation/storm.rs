//! Faults of every kind, as the dice will have it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::world::World;
use crate::peer::simulated::Habits;
use crate::runtime::dice::Dice;

/// What may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Harm {
    Crash,
    CrashAll,
    LoseDisk,
    DamageDisk,
    BreakDisk,
    SlowDisk,
    Part,
    Heal,
    SlowNetwork,
    HandOver,
    Leave,
    Pause,
    SetClock,
    /// The leader's disk hangs, it crashes, and is back at once: what it has sent out and not written is on other disks only.
    StallLeader,
    /// A bare quorum goes on without the others; then one of it forgets all, and the rest of it is gone for a while.
    Forget,
    /// A leader goes on alone for a while, and crashes when it is deposed.
    Depose,
    /// Whoever has voted crashes and is back, and hears of those only who have not.
    VoteAgain,
}

/// How often each is done, in a seed in which all are.
const HARMS: [(Harm, u64); 17] = [
    (Harm::Crash, 25),
    (Harm::CrashAll, 3),
    (Harm::LoseDisk, 5),
    (Harm::DamageDisk, 3),
    (Harm::BreakDisk, 6),
    (Harm::SlowDisk, 4),
    (Harm::Part, 22),
    (Harm::Heal, 8),
    (Harm::SlowNetwork, 4),
    (Harm::HandOver, 6),
    (Harm::Leave, 4),
    (Harm::Pause, 6),
    (Harm::SetClock, 3),
    (Harm::StallLeader, 4),
    (Harm::Forget, 4),
    (Harm::Depose, 4),
    (Harm::VoteAgain, 3),
];

/// What is done in one seed: of the many kinds of harm a few, so that what takes one of them again and again is found as
/// well as what takes several together.
pub(crate) struct Weather {
    harms: Vec<(Harm, u64)>,
    /// Up to how many milliseconds pass from one to the next.
    pause_max: u64,
}

impl Weather {
    /// Where `is_changed` says so, members come and go meanwhile; then no disk is lost, because who forgets may be one of
    /// those on whom the change rests.
    pub(crate) fn new(dice: &Dice, is_changed: bool) -> Self {
        let forgetful = [Harm::LoseDisk, Harm::DamageDisk, Harm::Forget];
        let possible = HARMS.into_iter().filter(|(harm, _)| !is_changed || !forgetful.contains(harm));
        let drawn = possible.filter(|_| dice.chance(600));
        let mut harms: Vec<_> =
            drawn.map(|(harm, often)| (harm, often * dice.one_of(&[1, 1, 2, 5]))).collect();
        harms.push((Harm::Crash, 2));
        Self { harms, pause_max: dice.one_of(&[150, 400, 900]) }
    }

    fn draw(&self, dice: &Dice) -> Harm {
        let mut left = dice.within(0..self.harms.iter().map(|(_, often)| often).sum());
        for (harm, often) in &self.harms {
            match left.checked_sub(*often) {
                Some(rest) => left = rest,
                None => return *harm,
            }
        }
        Harm::Crash
    }

    /// Does harm for so long.
    pub(crate) async fn rage(&self, world: &Arc<World>, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end && !world.witness.is_broken() {
            sleep(world.dice.millis(5..self.pause_max)).await;
            let member = world.dice.within(1..world.size + 1);
            do_harm(world, self.draw(&world.dice), member).await;
        }
    }
}

async fn do_harm(world: &Arc<World>, harm: Harm, member: u64) {
    match harm {
        Harm::Crash => {
            let leader = world.leader().filter(|_| world.dice.chance(500));
            crash(world, leader.unwrap_or(member));
        }
        Harm::CrashAll => (1..=world.size).for_each(|member| crash(world, member)),
        Harm::LoseDisk if world.lose_disk(member) => world.start_later(member),
        Harm::DamageDisk if world.damage_disk(member) => world.start_later(member),
        Harm::LoseDisk | Harm::DamageDisk => {}
        Harm::BreakDisk => world.fail_disk(member, world.dice.chance(700)),
        Harm::SlowDisk => {
            let slow = world.dice.one_of(&[1, 5, 30, 200]);
            world.witness.fault("disks slowed", &[member, slow]);
            world.set_pace(member, 0..slow, 0..world.dice.one_of(&[1, 20, 500]));
        }
        Harm::Part => part(world),
        Harm::Heal => world.ether.cut([]),
        Harm::SlowNetwork => {
            let habits = Habits {
                delay: 0..world.dice.one_of(&[1, 2, 5, 20, 80]),
                late: world.dice.one_of(&[0, 5, 50]),
                lost: world.dice.one_of(&[0, 2, 20]),
                twice: world.dice.one_of(&[0, 20, 200]),
            };
            world.witness.fault("networks slowed", &[habits.delay.end, habits.late, habits.lost]);
            world.ether.set_habits(habits);
        }
        Harm::HandOver => hand_over(world),
        Harm::Leave => {
            let world = world.clone();
            tokio::spawn(async move {
                world.leave(member).await;
                world.start_later(member);
            });
        }
        Harm::Pause => pause(world, member),
        Harm::SetClock => {
            let ahead = i64::try_from(world.dice.within(0..7_200_000)).unwrap_or(0) - 3_600_000;
            if let Some(running) = world.running(member) {
                world.witness.fault("clocks set", &[member]);
                running.life.set_clock(ahead);
            }
        }
        Harm::StallLeader => stall_leader(world).await,
        Harm::Forget => forget(world).await,
        Harm::Depose => depose(world).await,
        Harm::VoteAgain => vote_again(world).await,
    }
}

/// Lets everything be well again.
pub(crate) fn calm(world: &Arc<World>) {
    world.witness.note("calms", &[]);
    world.ether.cut([]);
    world.ether.set_habits(Habits { delay: 0..3, late: 0, lost: 0, twice: 0 });
    for member in 1..=world.size {
        world.set_pace(member, 0..2, 0..2);
        if world.has_failed(member) {
            world.crash(member);
        }
        world.mend(member);
        match world.running(member) {
            Some(running) => running.life.resume(),
            None => world.start_after(member, Duration::ZERO),
        }
    }
}

fn crash(world: &Arc<World>, member: u64) {
    world.witness.fault("crashes", &[member]);
    world.crash(member);
    world.start_later(member);
}

async fn stall_leader(world: &Arc<World>) {
    let Some(leader) = world.leader() else { return };
    world.witness.fault("leaders stalled", &[leader]);
    world.set_pace(leader, 300..600, 0..1);
    sleep(world.dice.millis(50..250)).await;
    world.crash(leader);
    world.set_pace(leader, 0..1, 0..1);
    world.start_after(leader, Duration::ZERO);
}

async fn forget(world: &Arc<World>) {
    let Some(leader) = world.leader() else { return };
    let going_on: Vec<u64> =
        (0..=world.voters / 2).map(|other| (leader - 1 + other) % world.voters + 1).collect();
    world.witness.fault("quorums reduced", &going_on);
    world.set_apart(&going_on.iter().copied().collect());
    sleep(world.dice.millis(300..900)).await;
    if world.lose_disk(going_on[1]) {
        world.start_after(going_on[1], Duration::ZERO);
        for member in going_on.iter().filter(|member| **member != going_on[1]) {
            world.crash(*member);
            world.start_after(*member, world.dice.millis(2_000..4_000));
        }
    }
    world.ether.cut([]);
}

async fn depose(world: &Arc<World>) {
    let Some(leader) = world.leader() else { return };
    world.witness.fault("leaders deposed", &[leader]);
    world.set_apart(&BTreeSet::from([leader]));
    sleep(world.dice.millis(500..2_000)).await;
    world.ether.cut([]);
    sleep(world.dice.millis(0..150)).await;
    world.crash(leader);
    world.start_after(leader, world.dice.millis(0..50));
}

async fn vote_again(world: &Arc<World>) {
    let Some(old) = world.leader() else { return };
    world.witness.fault("elections repeated", &[old]);
    world.crash(old);
    let mut patience = 150;
    let new = loop {
        sleep(Duration::from_millis(10)).await;
        patience -= 1;
        match world.leader() {
            Some(new) => break new,
            None if patience == 0 || world.witness.is_broken() => {
                return world.start_after(old, Duration::ZERO);
            }
            None => {}
        }
    };
    for member in (1..=world.size).filter(|member| *member != new) {
        world.crash(member);
        world.start_after(member, Duration::ZERO);
    }
    world.set_apart(&BTreeSet::from([new]));
    sleep(world.dice.millis(1_000..1_800)).await;
    world.ether.cut([]);
}

fn part(world: &World) {
    let members: Vec<u64> = (1..=world.size).collect();
    let one = world.leader().filter(|_| world.dice.chance(500));
    let one = one.unwrap_or_else(|| world.dice.one_of(&members));
    let other = world.dice.one_of(&members);
    let half = world.dice.number();
    let side = |member: u64| half >> member & 1;
    let all = || world.ways();
    let (kind, cut): (_, Vec<(u64, u64)>) = match world.dice.within(0..6) {
        0 => ("members cut off", all().filter(|(from, to)| (*from == one) != (*to == one)).collect()),
        1 => ("members made mute", all().filter(|(from, _)| *from == one).collect()),
        2 => ("members made deaf", all().filter(|(_, to)| *to == one).collect()),
        3 => ("halves", all().filter(|(from, to)| side(*from) != side(*to)).collect()),
        4 => {
            let apart = |from: u64, to: u64| side(from) != side(to) && ![from, to].contains(&other);
            ("halves with a bridge", all().filter(|(from, to)| apart(*from, *to)).collect())
        }
        _ => ("ways cut at random", all().filter(|_| world.dice.chance(300)).collect()),
    };
    world.witness.fault(kind, &[one, other]);
    world.ether.cut(cut);
}

fn hand_over(world: &World) {
    let Some(running) = world.leader().and_then(|leader| world.running(leader)) else { return };
    world.witness.fault("hand-overs", &[running.life.member]);
    let consensus = running.consensus.clone();
    drop(running.life.spawn(async move { consensus.hand_over().await }));
}

fn pause(world: &World, member: u64) {
    let Some(running) = world.running(member) else { return };
    world.witness.fault("pauses", &[member]);
    running.life.pause();
    let time = world.dice.millis(20..4_000);
    tokio::spawn(async move {
        sleep(time).await;
        running.life.resume();
    });
}
