//! What led to a violation, in words: what happened to the session around it, and to its znode before.

use std::fmt::Write as _;

use super::history::{History, Log, Millis, Moment};
use super::paths::Paths;
use super::verdict::Violation;

/// How many moments are told before and behind.
const BEFORE: usize = 24;
const BEHIND: usize = 6;

/// How many moments of the znode are told before these.
const OF_ZNODE: usize = 12;

/// What led to a violation, a line for each moment; nothing if it is not about a moment.
pub fn story(paths: &Paths, history: &History, violation: &Violation) -> String {
    let mut text = String::new();
    let Some((session, place)) = violation.place else { return text };
    let log = &history.sessions[session];
    let from = place.saturating_sub(BEFORE);
    let until = (place + BEHIND).min(log.moments.len());
    if let Some((zxid, path)) = violation.event {
        let of_znode = log.moments[..from].iter().filter(|moment| is_about(moment, path));
        let of_znode: Vec<String> = of_znode.map(|moment| in_words(paths, moment)).collect();
        for line in &of_znode[of_znode.len().saturating_sub(OF_ZNODE)..] {
            let _written = writeln!(text, "    . {line}");
        }
        for change in history.changes.iter().filter(|change| change.path == path) {
            if (zxid.saturating_sub(200)..=zxid.saturating_add(50)).contains(&change.zxid) {
                let _written = writeln!(text, "    = {:#x} {:?}", change.zxid, change.deed);
            }
        }
    }
    for (number, moment) in log.moments[from..until].iter().enumerate() {
        let mark = if from + number == place { '>' } else { ' ' };
        let _written = writeln!(text, "    {mark} {}", in_words(paths, moment));
    }
    // Where it went from there.
    let is_told = |moment: &&Moment| {
        let is_journey = matches!(moment, Moment::Connected { .. } | Moment::Broke { .. });
        is_journey || violation.event.is_some_and(|(_, path)| is_about(moment, path))
    };
    for moment in log.moments[until..].iter().filter(is_told).take(OF_ZNODE) {
        let _written = writeln!(text, "    . {}", in_words(paths, moment));
    }
    let (began, ended) = (time(log, from), time(log, until.saturating_sub(1)));
    for fault in &history.faults {
        if fault.from <= ended.saturating_add(1_000) && fault.until.saturating_add(3_000) >= began {
            let _written = writeln!(text, "    ! {fault:?}");
        }
    }
    text
}

/// The time of the moment at `place`, or of the last one before that has one.
fn time(log: &Log, place: usize) -> Millis {
    let at = |moment: &Moment| match *moment {
        Moment::Connected { at, .. }
        | Moment::Told { at, .. }
        | Moment::Replied { at, .. }
        | Moment::Broke { at } => Some(at),
        _ => None,
    };
    log.moments.iter().take(place + 1).rev().find_map(at).unwrap_or_default()
}

fn is_about(moment: &Moment, wanted: super::paths::PathId) -> bool {
    match *moment {
        Moment::Told { path, .. }
        | Moment::Arming(_, path)
        | Moment::Armed { path, .. }
        | Moment::Removing(_, path)
        | Moment::Removed { path, .. } => path == wanted,
        _ => false,
    }
}

fn in_words(paths: &Paths, moment: &Moment) -> String {
    match *moment {
        Moment::Connected { member, seen, at } => format!("{at} connected to {member}, had seen {seen:#x}"),
        Moment::Told { zxid, kind, path, at } => format!("{at} told {zxid:#x} {kind} {}", paths.name(path)),
        Moment::Stray(ref text) => format!("stray {text}"),
        Moment::Replied { zxid, op, at } => format!("{at} answer to operation {op}: {zxid:#x}"),
        Moment::Arming(watch, path) => format!("sets {watch:?} {}", paths.name(path)),
        Moment::Armed { watch, path, zxid, at } => {
            format!("{at} has set {watch:?} {} as of {zxid:#x}", paths.name(path))
        }
        Moment::Removing(watch, path) => format!("takes away {watch:?} {}", paths.name(path)),
        Moment::Removed { watch, path, zxid, at } => {
            format!("{at} has taken away {watch:?} {} as of {zxid:#x}", paths.name(path))
        }
        Moment::Refused => "refused".to_owned(),
        Moment::Wrote => "wrote".to_owned(),
        Moment::Broke { at } => format!("{at} connection gone"),
    }
}
