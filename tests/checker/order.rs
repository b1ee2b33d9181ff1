//! Promises that can be held against zxids and instants alone.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::bounds::Bounds;
use super::history::{Answer, End, History, OpId, Request, Stay, parent};
use super::verdict::{Rule, Verdict};

/// Looks at every session by itself, and at all of them in real time.
pub(super) fn check(history: &History, bounds: &Bounds, verdict: &mut Verdict) {
    sessions(history, verdict);
    same_zxid(history, verdict);
    real_time(history, bounds, verdict);
    sequences(history, verdict);
    early_ends(history, verdict);
}

/// Replies in the order of the requests, and a zxid that does not go back: across members too.
fn sessions(history: &History, verdict: &mut Verdict) {
    for (number, session) in history.sessions.iter().enumerate() {
        for text in &session.astray {
            verdict.say(Rule::ReplyOrder, None, format!("session {:#x}: {text}", session.id));
        }
        let mut newest = (session.opened(), None);
        let mut last = (0, 0);
        for (op, it) in session.ops.iter().enumerate() {
            let Some(reply) = &it.reply else { continue };
            let id = OpId { session: number, op };
            if it.connection == last.0 && reply.place <= last.1 {
                let text = format!("answered before what was asked before it: {}", history.tell(id));
                verdict.say(Rule::ReplyOrder, Some(id), text);
            }
            last = (it.connection, reply.place.max(if it.connection == last.0 { last.1 } else { 0 }));
            // A write takes a zxid of its own, whatever becomes of it.
            let is_back = reply.zxid < newest.0 || (it.request.is_write() && reply.zxid == newest.0);
            if is_back {
                let before = newest.1.map_or_else(|| "it was opened".to_owned(), |id| history.tell(id));
                let text = format!("{} after {before}", history.tell(id));
                verdict.say(Rule::ZxidBack, Some(id), text);
            } else {
                newest = (reply.zxid, Some(id));
            }
        }
    }
}

fn same_zxid(history: &History, verdict: &mut Verdict) {
    let mut taken = HashMap::new();
    for session in &history.sessions {
        taken.insert(session.opened(), format!("the opening of session {:#x}", session.id));
    }
    for (id, op) in history.ops().filter(|(_, op)| op.request.is_write()) {
        let Some(zxid) = op.zxid() else { continue };
        if let Some(other) = taken.insert(zxid, history.tell(id)) {
            verdict.say(Rule::SameZxid, Some(id), format!("{} and {other}", history.tell(id)));
        }
    }
}

fn real_time(history: &History, bounds: &Bounds, verdict: &mut Verdict) {
    for (id, op) in history.ops() {
        let Some(zxid) = op.zxid() else { continue };
        let shown = bounds.shown_before(op.invoked);
        if op.request.is_write() && zxid <= shown {
            let text = format!("{:#x} had been shown before: {}", shown, history.tell(id));
            verdict.say(Rule::RealTime, Some(id), text);
        }
        if matches!(op.request, Request::Sync(_)) && zxid < shown {
            let text = format!("{:#x} had been shown before: {}", shown, history.tell(id));
            verdict.say(Rule::Sync, Some(id), text);
        }
    }
}

/// Numbers of sequential znodes rise with the zxid, as long as their parent lives.
fn sequences(history: &History, verdict: &mut Verdict) {
    let mut passing = BTreeSet::new();
    let mut given: BTreeMap<&str, Vec<(i64, usize, &str, OpId)>> = BTreeMap::new();
    for (id, op) in history.ops() {
        for (place, part) in op.request.parts().iter().enumerate() {
            match part {
                Request::Create { path, stay: Stay::Container, .. } | Request::Delete { path, .. } => {
                    passing.insert(path.as_str());
                }
                Request::Create { path, sequential: true, .. } => {
                    let Some(reply) = &op.reply else { continue };
                    let answer = match &reply.told {
                        Ok(Answer::Multi(answers)) => answers.get(place),
                        Ok(answer) => Some(answer),
                        Err(_) => None,
                    };
                    if let Some(Answer::Created(name, _)) = answer {
                        given.entry(parent(path)).or_default().push((reply.zxid, place, name, id));
                    }
                }
                _ => {}
            }
        }
    }
    for (parent, mut names) in given {
        if passing.contains(parent) {
            continue;
        }
        names.sort_unstable();
        for pair in names.windows(2) {
            let [(.., before, _), (.., after, id)] = pair else { continue };
            if number(after) <= number(before) {
                let text = format!("{after} after {before}: {}", history.tell(*id));
                verdict.say(Rule::Sequence, Some(*id), text);
            }
        }
    }
}

fn number(path: &str) -> Option<i64> {
    path.len().checked_sub(10).and_then(|digits| path.get(digits..)?.parse().ok())
}

/// A session that is declared dead was silent for its timeout, or its client asked for its end.
fn early_ends(history: &History, verdict: &mut Verdict) {
    for session in &history.sessions {
        let End::Expired(told) = session.end else { continue };
        let asked = session.ops.iter().any(|op| op.request == Request::Close);
        let heard = session.last_heard();
        if !asked && told < heard + session.timeout {
            let text = format!(
                "session {:#x} was declared dead at {told} µs; its client was heard of at {heard} µs and had {} µs",
                session.id, session.timeout
            );
            verdict.say(Rule::GoneEarly, None, text);
        }
    }
}
