//! Several operations in one.

use fastrand::Rng;

use super::{Area, Mood, asks};
use crate::differ::pen::Pen;
use crate::differ::step::Ask;
use crate::differ::vocabulary::{chance, good_path, path, pick, version};

fn check(rng: &mut Rng) -> Ask {
    Pen::default().text(path(rng).as_deref()).int(version(rng)).ask(13)
}

/// A part that is likely to succeed, so that not every multi fails.
fn tame(rng: &mut Rng) -> Ask {
    let path = good_path(rng);
    match rng.u32(..10) {
        0..3 => asks::plain_create(rng, &path),
        3 => Pen::default().text(Some(&path)).int(-1).ask(2),
        4..7 => Pen::default().text(Some(&path)).buffer(Some(b"m")).int(-1).ask(5),
        _ => Pen::default().text(Some(&path)).int(-1).ask(13),
    }
}

fn part(rng: &mut Rng, mood: &Mood) -> Ask {
    match rng.u32(..100) {
        0..50 => tame(rng),
        50..70 => asks::create(rng, mood),
        70..80 => asks::delete(rng),
        80..88 => asks::set_data(rng),
        88..97 => check(rng),
        // What does not belong there: reads, a multi, an operation that is not known, and the like.
        _ if mood.has(Area::Malformed) => {
            let op = *pick(rng, &[&4, &8, &3, &6, &7, &9, &14, &16, &20, &100, &-11, &-10, &77, &0]);
            let watch = Pen::default().text(path(rng).as_deref()).byte(0);
            if op == 14 { watch.end().ask(op) } else { watch.ask(op) }
        }
        _ => tame(rng),
    }
}

/// A multi: some of a few parts that may succeed, some of many kinds.
pub(super) fn multi(rng: &mut Rng, mood: &Mood) -> Ask {
    let count = *pick(rng, &[&0, &1, &1, &2, &2, &3, &4, &6]);
    let is_tame = chance(rng, 50);
    let mut pen = Pen::default();
    for _ in 0..count {
        let part = if is_tame { tame(rng) } else { part(rng, mood) };
        pen = pen.part(part.op, &part.body);
    }
    pen.end().ask(14)
}

/// A multiRead.
pub(super) fn multi_read(rng: &mut Rng) -> Ask {
    let mut pen = Pen::default();
    for _ in 0..rng.usize(0..5) {
        let op = if chance(rng, 97) { *pick(rng, &[&4, &8]) } else { *pick(rng, &[&1, &2, &3, &12, &13]) };
        let body = Pen::default().text(path(rng).as_deref()).byte(rng.u8(0..2)).bytes();
        pen = pen.part(op, &body);
    }
    pen.end().ask(22)
}
