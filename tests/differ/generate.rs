//! Sequences of steps out of a seed.

mod asks;
mod malformed;
mod multi;
mod quota;
mod watches;

use clap::ValueEnum;
use fastrand::Rng;

use super::pen::Pen;
use super::step::{Ask, Manner, Step};
use super::vocabulary::{chance, pick};

/// What sequences are about. Reading, creating, deleting and writing is always in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Area {
    /// ACLs and credentials.
    Acl,
    /// Watches of all kinds.
    Watches,
    /// Clients that come back with their watches.
    SetWatches,
    /// multi and multiRead.
    Multi,
    /// Containers and znodes with a time to live.
    Kinds,
    /// Quotas.
    Quota,
    /// Bodies and frames that do not parse.
    Malformed,
    /// Sessions that end, move and are asked for by strangers.
    Sessions,
    /// reconfig.
    Reconfig,
    /// SASL.
    Sasl,
    /// Operations that no client may send.
    Unknown,
}

impl Area {
    /// All of it.
    pub fn all() -> &'static [Self] {
        Self::value_variants()
    }
}

/// What a sequence is like.
#[derive(Debug)]
struct Mood {
    areas: Vec<Area>,
    clients: usize,
    /// How many requests are sent at once, at most.
    burst: usize,
    /// How many of a hundred ACLs are not simply open.
    wild: u32,
    /// How many of a hundred bodies are spoilt.
    spoilt: u32,
    /// What has a quota.
    limited: Vec<&'static str>,
}

impl Mood {
    fn has(&self, area: Area) -> bool {
        self.areas.contains(&area)
    }
}

/// A sequence with about this many requests.
pub fn steps(seed: u64, requests: usize, areas: &[Area]) -> Vec<Step> {
    let mut rng = Rng::with_seed(seed);
    let mood = mood(&mut rng, areas);
    let mut steps = beginning(&mut rng, &mood);
    let mut left = requests;
    while left > 0 {
        let step = step(&mut rng, &mood, left);
        left -= match &step {
            Step::Burst { asks, .. } => asks.len(),
            _ => 1,
        };
        steps.push(step);
    }
    // Nobody stays.
    steps.extend((0..mood.clients).map(|client| alone(client, Pen::default().ask(-11))));
    steps
}

fn mood(rng: &mut Rng, areas: &[Area]) -> Mood {
    let has = |area| areas.contains(&area);
    let mut limited = Vec::new();
    if has(Area::Quota) && chance(rng, 30) {
        limited.extend((0..rng.usize(1..3)).map(|_| quota::limited(rng)));
    }
    Mood {
        areas: areas.to_vec(),
        clients: rng.usize(2..=4),
        // ZooKeeper judges quotas by what it has applied, whatever is under way.
        burst: if limited.is_empty() { *pick(rng, &[&1, &4, &8, &8, &12]) } else { 1 },
        wild: if has(Area::Acl) { *pick(rng, &[&0, &15, &50]) } else { 0 },
        spoilt: if has(Area::Malformed) { *pick(rng, &[&0, &2, &6]) } else { 0 },
        limited,
    }
}

/// Something to begin with, so that not everything is answered that nothing is there.
fn beginning(rng: &mut Rng, mood: &Mood) -> Vec<Step> {
    let mut steps = Vec::new();
    for path in ["/a", "/b", "/a/a", "/a/b", "/a/a/a"] {
        if chance(rng, 75) {
            steps.push(alone(0, asks::plain_create(rng, path)));
        }
    }
    for path in &mood.limited {
        steps.extend(quota::set(rng, path).into_iter().map(|ask| alone(0, ask)));
    }
    steps
}

fn alone(client: usize, ask: Ask) -> Step {
    Step::Burst { client, asks: vec![ask] }
}

fn step(rng: &mut Rng, mood: &Mood, left: usize) -> Step {
    let client = rng.usize(..mood.clients);
    if mood.has(Area::Sessions) && chance(rng, 4) {
        return match rng.u32(..10) {
            0..6 => Step::HangUp(client),
            6..8 => Step::Return(
                client,
                *pick(
                    rng,
                    &[
                        &Manner::Right,
                        &Manner::Old,
                        &Manner::WrongPassword,
                        &Manner::Stranger,
                        &Manner::FromTheFuture,
                    ],
                ),
            ),
            8 => Step::Visit(*pick(
                rng,
                &[&0, &-1, &1, &20_000, &25_000, &39_999, &60_000, &60_001, &i32::MAX, &i32::MIN],
            )),
            _ => alone(client, Pen::default().ask(-11)),
        };
    }
    if mood.has(Area::Acl) && rng.u32(..200) == 0 {
        let ask = asks::ask(rng, mood);
        // What only servers ask leaves something behind that has to be put right before anybody asks again.
        if !matches!(ask.op, -10 | 20) {
            return Step::Unproved(ask);
        }
    }
    if mood.has(Area::Malformed) && mood.spoilt > 0 && rng.u32(..400) == 0 {
        return Step::Noise { client, bytes: malformed::noise(rng) };
    }
    if mood.has(Area::SetWatches) && chance(rng, 2) {
        return Step::Lists { client, ask: watches::set(rng) };
    }
    let mut asks = Vec::new();
    for _ in 0..rng.usize(1..=mood.burst.min(left)) {
        let mut ask = asks::ask(rng, mood);
        // See what is said of times to live that are below 0, and of limits that do not parse: as long as they stand,
        // ZooKeeper refuses everything below.
        let is_kept = ask.op == 21 || quota::sets_limits(&ask);
        if chance(rng, mood.spoilt) && !ask.is_alone() && !is_kept {
            ask = malformed::spoil(rng, &ask);
        }
        if ask.is_alone() {
            // Behind what has been said so far; and nothing behind it.
            if asks.is_empty() {
                return alone(client, ask);
            }
            break;
        }
        if chance(rng, 3) && ask.op != 11 {
            ask.xid = Some(*pick(rng, &[&0, &i32::MAX, &i32::MIN, &-100, &-8, &-4, &-2]));
        }
        // ZooKeeper judges what stands behind a setACL by the ACL before it, unless that has been applied meanwhile.
        let is_last = ask.op == 7;
        asks.push(ask);
        if is_last {
            break;
        }
    }
    Step::Burst { client, asks }
}
