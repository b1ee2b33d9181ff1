//! How each kind of trouble is made, and unmade.

use std::fs;
use std::ops::RangeInclusive;
use std::time::Duration;

use fastrand::Rng;

use super::{Kind, disks, members};
use crate::Ensemble;
use crate::relay::{Relay, Way};

/// What `zoo.cfg` calls the time that each sync takes besides its own.
const SYNC_DELAY: &str = "corral.syncDelayMs";

/// How much longer a slow disk's sync may take, in milliseconds.
const SLOW_MS: [&str; 4] = ["0.5", "2", "10", "100"];

/// How far a clock may be wrong, in milliseconds: a second, ten, a minute, an hour, three days.
const WRONG_MS: [i64; 5] = [1_000, 10_000, 60_000, 3_600_000, 259_200_000];

/// Makes one kind of trouble, in a few words, and ends it. Members run and reach each other then, but may not serve yet.
pub(super) fn act(kind: Kind, ensemble: &mut Ensemble, rng: &mut Rng) -> String {
    let member = choose(ensemble, rng);
    match kind {
        Kind::Kill => {
            ensemble.kill9(member);
            restart(ensemble, member);
            format!("member {member}")
        }
        Kind::KillLong => {
            ensemble.kill9(member);
            let millis = pass(rng, 100..=6_000);
            restart(ensemble, member);
            format!("member {member} for {millis} ms")
        }
        Kind::Freeze => {
            ensemble.pause(member);
            let span = if rng.bool() { 100..=1_000 } else { 1_000..=6_000 };
            let millis = pass(rng, span);
            ensemble.resume(member);
            format!("member {member} for {millis} ms")
        }
        Kind::CutOff => {
            ensemble.cut_off(member);
            let millis = pass(rng, 200..=5_000);
            ensemble.rejoin(member);
            format!("member {member} for {millis} ms")
        }
        Kind::Tear => {
            ensemble.disconnect(member);
            let millis = pass(rng, 50..=4_000);
            ensemble.rejoin(member);
            format!("member {member} for {millis} ms")
        }
        Kind::Halves => {
            let mut ids: Vec<usize> = ensemble.ids().collect();
            rng.shuffle(&mut ids);
            let (some, others) = ids.split_at(ids.len() / 2);
            part(ensemble, some, others);
            let millis = pass(rng, 200..=5_000);
            mend(ensemble);
            format!("{some:?} from {others:?} for {millis} ms")
        }
        Kind::OneWay => one_way(ensemble, rng, member),
        Kind::Bridge => {
            let mut ids: Vec<usize> = ensemble.ids().filter(|id| *id != member).collect();
            rng.shuffle(&mut ids);
            let (some, others) = ids.split_at(ids.len() / 2);
            part(ensemble, some, others);
            let millis = pass(rng, 200..=5_000);
            mend(ensemble);
            format!("{some:?} from {others:?} but for member {member}, for {millis} ms")
        }
        Kind::SlowDisk => {
            ensemble.kill9(member);
            let delay = SLOW_MS[rng.usize(..SLOW_MS.len())];
            configure(ensemble, member, Some(delay));
            ensemble.start_member(member);
            format!("member {member}, {delay} ms each time")
        }
        Kind::BrokenDisk => disks::fail(ensemble, rng, member),
        Kind::TornRecord => disks::tear(ensemble, rng, member),
        Kind::Damage => disks::damage(ensemble, rng, member),
        Kind::LostDisk => disks::lose(ensemble, member),
        Kind::Clock => clock(ensemble, rng, member),
        Kind::Members => members::change(ensemble, rng, member),
        Kind::Leave => {
            ensemble.stop(member);
            restart(ensemble, member);
            format!("member {member}")
        }
        Kind::Rolling => {
            for id in ensemble.ids() {
                ensemble.stop(id);
                restart(ensemble, id);
                ensemble.wait_until_serving();
            }
            "all, one after the other".into()
        }
        Kind::KillAll => {
            for id in ensemble.ids() {
                ensemble.kill9(id);
            }
            let millis = pass(rng, 0..=300);
            for id in ensemble.ids() {
                restart(ensemble, id);
            }
            format!("started again after {millis} ms")
        }
    }
}

fn one_way(ensemble: &Ensemble, rng: &mut Rng, member: usize) -> String {
    let others: Vec<usize> = ensemble.ids().filter(|id| *id != member).collect();
    let deaf = if rng.bool() { others } else { vec![others[rng.usize(..others.len())]] };
    let is_silent = rng.bool();
    for id in &deaf {
        let (from, to) = if is_silent { (member, *id) } else { (*id, member) };
        for (dialler, dialled, way) in [(from, to, Way::There), (to, from, Way::Back)] {
            if let Some(wire) = ensemble.wire(dialler, dialled) {
                wire.cut_way(way);
            }
        }
    }
    let millis = pass(rng, 200..=5_000);
    mend(ensemble);
    let what = if is_silent { "is not heard by" } else { "does not hear" };
    format!("member {member} {what} {deaf:?} for {millis} ms")
}

/// Clocks jump, and jump back to the right time or stay wrong until the next time.
fn clock(ensemble: &Ensemble, rng: &mut Rng, member: usize) -> String {
    let whose: Vec<usize> = if rng.u8(..4) == 0 { ensemble.ids().collect() } else { vec![member] };
    let size = WRONG_MS[rng.usize(..WRONG_MS.len())];
    let wrong = if rng.bool() { size } else { -size };
    for id in &whose {
        ensemble.shift_clock(*id, wrong);
    }
    let millis = pass(rng, 100..=3_000);
    let is_mended = rng.bool();
    for id in whose.iter().filter(|_| is_mended) {
        ensemble.shift_clock(*id, 0);
    }
    let until = if is_mended { format!("for {millis} ms") } else { "from now on".to_owned() };
    format!("{whose:?} wrong by {wrong} ms {until}")
}

/// The leader half of the time: what happens to it has the most to it.
fn choose(ensemble: &Ensemble, rng: &mut Rng) -> usize {
    let any = rng.usize(1..=ensemble.ids().count());
    if rng.bool() { ensemble.leader().unwrap_or(any) } else { any }
}

fn part(ensemble: &Ensemble, some: &[usize], others: &[usize]) {
    for one in some {
        for other in others {
            let wires = [ensemble.wire(*one, *other), ensemble.wire(*other, *one)];
            wires.into_iter().flatten().for_each(Relay::cut);
        }
    }
}

fn mend(ensemble: &Ensemble) {
    for from in ensemble.ids() {
        ensemble.ids().filter_map(|to| ensemble.wire(from, to)).for_each(Relay::mend);
    }
}

/// Starts a member again, with a disk that is as quick as it is.
fn restart(ensemble: &mut Ensemble, member: usize) {
    configure(ensemble, member, None);
    ensemble.start_member(member);
}

fn configure(ensemble: &Ensemble, member: usize, delay_ms: Option<&str>) {
    let path = ensemble.directory(member).join("zoo.cfg");
    let text = fs::read_to_string(&path).expect("a member has a zoo.cfg");
    let mut lines: Vec<String> =
        text.lines().filter(|line| !line.starts_with(SYNC_DELAY)).map(Into::into).collect();
    lines.extend(delay_ms.map(|delay| format!("{SYNC_DELAY}={delay}")));
    fs::write(&path, lines.join("\n") + "\n").expect("a member's zoo.cfg can be written");
}

fn pass(rng: &mut Rng, millis: RangeInclusive<u64>) -> u64 {
    let millis = rng.u64(millis);
    std::thread::sleep(Duration::from_millis(millis));
    millis
}
