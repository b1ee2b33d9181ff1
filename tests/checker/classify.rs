//! Which promise is broken when a reply is not what it should be.

use std::collections::HashMap;
use std::fmt::Write as _;

use proto::Stat;

use super::history::{Answer, History, OpId, Request, Told};
use super::model::Node;
use super::timeline::State;
use super::verdict::{Rule, Verdict};
use super::witness::{Mismatch, Replay};

/// How much is told of what does not explain a reply.
const HINTS_MAX: usize = 4;

/// Names each mismatch.
pub(super) fn name_mismatches(history: &History, replay: &Replay, verdict: &mut Verdict) {
    let by_zxid: HashMap<i64, OpId> = history
        .ops()
        .filter(|(_, op)| op.request.is_write())
        .filter_map(|(id, op)| Some((op.zxid()?, id)))
        .collect();
    let court = Court { history, replay, by_zxid };
    for mismatch in &replay.mismatches {
        let rule = court.rule(mismatch);
        let mut text = format!("{}; it should be {}", history.tell(mismatch.at), should(history, mismatch));
        if !mismatch.hints.is_empty() {
            let told = &mismatch.hints[..mismatch.hints.len().min(HINTS_MAX)];
            let others = mismatch.hints.len() - told.len();
            let _written =
                write!(text, "; this does not explain it: {}, and {others} others", told.join("; "));
        }
        verdict.say(rule, Some(mismatch.at), text);
    }
}

/// What should have been told, in words; of names only those that are missing and those that are too many.
fn should(history: &History, mismatch: &Mismatch) -> String {
    let told = history.op(mismatch.at).reply.as_ref().map(|reply| &reply.told);
    match (&mismatch.expected, told) {
        (Ok(Answer::Children(names, stat)), Some(Ok(Answer::Children(told, _)))) => {
            let missing: Vec<_> = names.iter().filter(|name| !told.contains(name)).collect();
            let surplus: Vec<_> = told.iter().filter(|name| !names.contains(name)).collect();
            format!("{} names, missing {missing:?}, too many {surplus:?}, {stat:?}", names.len())
        }
        (Ok(answer), _) => format!("{answer:?}"),
        (Err(code), _) => format!("the refusal {code}"),
    }
}

/// What a reply shows of a znode.
struct Shown<'a> {
    data: Option<&'a str>,
    stat: Option<&'a Stat>,
}

struct Court<'a> {
    history: &'a History,
    replay: &'a Replay,
    by_zxid: HashMap<i64, OpId>,
}

impl Court<'_> {
    fn rule(&self, mismatch: &Mismatch) -> Rule {
        let op = self.history.op(mismatch.at);
        let Some(reply) = &op.reply else { return self.of_unanswered(&op.request) };
        if op.request.is_write() {
            return self.of_write(&op.request, &reply.told, mismatch);
        }
        let Some(path) = op.request.path() else { return Rule::Unexplained };
        match &reply.told {
            Ok(Answer::Data(data, stat)) => {
                self.of_read(path, mismatch, &Shown { data: Some(data), stat: Some(stat) })
            }
            Ok(Answer::Stat(stat)) => self.of_read(path, mismatch, &Shown { data: None, stat: Some(stat) }),
            Ok(Answer::Children(names, stat)) => self.of_children(path, names, stat, mismatch),
            Err(_) => self.of_read(path, mismatch, &Shown { data: None, stat: None }),
            Ok(_) => Rule::Unexplained,
        }
    }

    /// What somebody saw of it cannot have been done.
    fn of_unanswered(&self, request: &Request) -> Rule {
        if matches!(request, Request::Multi(_)) { Rule::HalfMulti } else { Rule::Unexplained }
    }

    fn of_read(&self, path: &str, mismatch: &Mismatch, shown: &Shown<'_>) -> Rule {
        let (states, now) = self.replay.timeline.of(path, mismatch.zxid);
        let current = now.and_then(|now| states[now].node.as_deref());
        if let Some(stat) = shown.stat
            && stat.ephemeral_owner != 0
            && self.replay.ended.get(&stat.ephemeral_owner).is_some_and(|ended| *ended <= mismatch.zxid)
        {
            return Rule::Outlived;
        }
        if shown.stat.is_none() && current.is_some_and(|node| node.owner != 0) {
            return Rule::GoneEarly;
        }
        let Some(stat) = shown.stat else {
            return now.map_or(Rule::Unexplained, |now| self.not_shown(&states[now], mismatch));
        };
        let own = |node: &Node| shown.data.is_none_or(|data| data == node.data) && is_of(node, stat);
        let children = |node: &Node| has_children_of(node, stat);
        if current.is_some_and(own) {
            return self.by_time(states, now, mismatch, &children).unwrap_or(Rule::Stat);
        }
        if let Some(rule) = self.by_time(states, now, mismatch, &own) {
            return rule;
        }
        let Some(node) = current else { return Rule::Unexplained };
        let same_write = stat.mzxid == node.mzxid || node.mzxid < 0;
        match shown.data {
            Some(data) if data == node.data && !same_write => Rule::Twice,
            _ if same_write => Rule::Stat,
            _ if stat.version > node.version => Rule::Twice,
            _ => Rule::Unexplained,
        }
    }

    /// What is shown stood there later, or before.
    fn by_time(
        &self,
        states: &[State],
        now: Option<usize>,
        mismatch: &Mismatch,
        is_shown: &dyn Fn(&Node) -> bool,
    ) -> Option<Rule> {
        let shown = |state: &State| state.node.as_deref().is_some_and(is_shown);
        if states[now.map_or(0, |now| now + 1)..].iter().any(shown) {
            return Some(Rule::Future);
        }
        let before = (0..now.unwrap_or_default()).rev().find(|place| shown(&states[*place]))?;
        Some(self.not_shown(&states[before + 1], mismatch))
    }

    /// A write that is not shown although it should be.
    fn not_shown(&self, state: &State, mismatch: &Mismatch) -> Rule {
        let writer = self.by_zxid.get(&state.zxid).map(|id| &self.history.op(*id).request);
        match writer {
            Some(Request::Multi(_)) => Rule::HalfMulti,
            _ if self.history.op(mismatch.at).is_last_look => Rule::Lost,
            _ => Rule::Stale,
        }
    }

    fn of_children(&self, path: &str, names: &[String], stat: &Stat, mismatch: &Mismatch) -> Rule {
        let child = |name: &str| format!("{path}/{name}");
        let (states, now) = self.replay.timeline.of(path, mismatch.zxid);
        let Some(current) = now.and_then(|now| states[now].node.as_deref()) else {
            return self.of_read(path, mismatch, &Shown { data: None, stat: Some(stat) });
        };
        // One child too many, or too few, says most.
        if let Some(missing) = current.children.iter().find(|name| !names.contains(name)) {
            return self.of_read(&child(missing), mismatch, &Shown { data: None, stat: None });
        }
        if let Some(extra) = names.iter().find(|name| !current.children.contains(*name)) {
            let (states, now) = self.replay.timeline.of(&child(extra), mismatch.zxid);
            let was = now.and_then(|now| states[..now].iter().rev().find_map(|state| state.node.clone()));
            if was.as_ref().is_some_and(|node| self.replay.ended.contains_key(&node.owner)) {
                return Rule::Outlived;
            }
            let behind = now.map_or(0, |now| now + 1);
            return match (was, states[behind..].iter().any(|state| state.node.is_some())) {
                (_, true) => Rule::Future,
                (Some(_), false) => self.not_shown(&states[now.unwrap_or_default()], mismatch),
                // Nobody created it, or somebody did more often than he was told.
                (None, false) => Rule::Twice,
            };
        }
        self.of_read(path, mismatch, &Shown { data: None, stat: Some(stat) })
    }

    fn of_write(&self, request: &Request, told: &Told, mismatch: &Mismatch) -> Rule {
        match (told, &mismatch.expected) {
            (Ok(Answer::Created(..)), Ok(Answer::Created(..))) => Rule::Sequence,
            (Ok(Answer::Stat(stat)), Ok(Answer::Stat(expected))) => {
                if stat.version > expected.version {
                    Rule::Twice
                } else if stat.version < expected.version {
                    Rule::Lost
                } else {
                    Rule::Stat
                }
            }
            _ => {
                let owner = request.path().and_then(|path| {
                    let (states, now) = self.replay.timeline.of(path, mismatch.zxid - 1);
                    let nodes = states[..=now?].iter().rev();
                    nodes.filter_map(|state| state.node.as_ref()).map(|node| node.owner).next()
                });
                match owner {
                    Some(owner) if owner != 0 && self.replay.ended.contains_key(&owner) => Rule::Outlived,
                    Some(owner) if owner != 0 => Rule::GoneEarly,
                    _ => Rule::Lost,
                }
            }
        }
    }
}

/// Whether what a Stat tells of a znode itself is true of this one.
fn is_of(node: &Node, told: &Stat) -> bool {
    let own = |stat: &Stat| (stat.version, stat.aversion, stat.ephemeral_owner, stat.data_length);
    let stat = node.stat();
    own(&stat) == own(told) && may_be(stat.czxid, told.czxid) && may_be(stat.mzxid, told.mzxid)
}

/// Whether what it tells of its children is.
fn has_children_of(node: &Node, told: &Stat) -> bool {
    let stat = node.stat();
    (stat.cversion, stat.num_children) == (told.cversion, told.num_children) && may_be(stat.pzxid, told.pzxid)
}

/// What is negative is not known.
fn may_be(zxid: i64, told: i64) -> bool {
    zxid < 0 || zxid == told
}
