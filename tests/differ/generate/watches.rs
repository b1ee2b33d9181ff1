//! Watches, asked for, asked about, and taken away.

use std::collections::BTreeSet;

use fastrand::Rng;

use crate::differ::pen::{Pen, set_watches};
use crate::differ::step::{Ask, Since};
use crate::differ::vocabulary::{good_path, path, pick};

/// addWatch, checkWatches, removeWatches.
pub(super) fn ask(rng: &mut Rng) -> Ask {
    let path = if rng.u32(..20) == 0 { path(rng) } else { Some(good_path(rng)) };
    let (op, number) = match rng.u32(..10) {
        0..5 => (106, *pick(rng, &[&0, &0, &0, &1, &1, &1, &2, &-1])),
        5..7 => (17, kind(rng)),
        _ => (18, kind(rng)),
    };
    Pen::default().text(path.as_deref()).int(number).ask(op)
}

fn kind(rng: &mut Rng) -> i32 {
    if rng.u32(..30) == 0 { *pick(rng, &[&0, &6, &-1, &i32::MAX]) } else { rng.i32(1..=5) }
}

/// setWatches and setWatches2 of any paths.
pub(super) fn set(rng: &mut Rng) -> Ask {
    let mut lists: Vec<Vec<String>> = (0..5)
        .map(|_| {
            let paths: BTreeSet<String> = (0..rng.usize(..3)).map(|_| good_path(rng)).collect();
            paths.into_iter().collect()
        })
        .collect();
    // No client has both seen a znode and not seen it.
    let seen: Vec<String> = lists[0].iter().chain(&lists[2]).cloned().collect();
    lists[1].retain(|path| !seen.contains(path));
    let since = if rng.u32(..10) == 0 { Since::Fixed(i64::MAX) } else { Since::Seen(rng.i64(0..12)) };
    set_watches(*pick(rng, &[&101, &105]), since, &lists)
}
