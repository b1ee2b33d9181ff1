//! What is wanted otherwise for clients that come back with their watches (PROTOCOL, section "SetWatches").
//!
//! ZooKeeper compares the lists with the stats of znodes; Corral knows what happened, and when.

use std::ops::Range;

use proto::jute::read::{Malformed, Reader};

use super::Mend;
use crate::differ::exchange::Exchange;
use crate::differ::line::{Line, Said};
use crate::differ::step::Ask;

/// The lists of setWatches2; those that setWatches does not have are empty.
#[derive(Debug, Default)]
struct Lists {
    data: Vec<String>,
    exist: Vec<String>,
    child: Vec<String>,
    persistent: Vec<String>,
    recursive: Vec<String>,
}

impl Lists {
    fn of(ask: &Ask) -> Option<Self> {
        let count = match ask.op {
            101 => 3,
            105 => 5,
            _ => return None,
        };
        Self::read(&mut Reader::new(ask.body.clone()), count).ok()
    }

    fn read(r: &mut Reader, count: usize) -> Result<Self, Malformed> {
        let _since = r.long()?;
        let mut lists = Self::default();
        let all = [
            &mut lists.data,
            &mut lists.exist,
            &mut lists.child,
            &mut lists.persistent,
            &mut lists.recursive,
        ];
        for list in all.into_iter().take(count) {
            let texts = r.vector(Reader::text)?.ok_or(Malformed)?;
            *list = texts.iter().map(ToString::to_string).collect();
        }
        Ok(lists)
    }

    /// Whether a persistent watch among them is told this.
    fn persists(&self, kind: &str, path: &str) -> bool {
        let is_within = |root: &String| {
            path == root
                || root == "/"
                || path.strip_prefix(&**root).is_some_and(|rest| rest.starts_with('/'))
        };
        self.persistent.iter().any(|watched| watched == path)
            || kind != "4" && self.recursive.iter().any(is_within)
    }
}

/// What both told in front of the answer to one of these requests.
struct Told {
    lists: Lists,
    theirs: Range<usize>,
    ours: Range<usize>,
}

fn told(exchange: &Exchange) -> Vec<Told> {
    let [theirs, ours] = &exchange.lines;
    let of = |ask: (usize, &Ask)| {
        let lists = Lists::of(ask.1)?;
        Some(Told { lists, theirs: events_before(theirs, ask.0)?, ours: events_before(ours, ask.0)? })
    };
    exchange.asks.iter().enumerate().filter_map(of).collect()
}

fn events_before(lines: &[Line], place: usize) -> Option<Range<usize>> {
    let end = lines.iter().position(|line| line.said == Said::Reply(place))?;
    let count = lines[..end].iter().rev().take_while(|line| line.said == Said::Event).count();
    Some(end - count..end)
}

fn is_same(a: &Line, b: &Line) -> bool {
    a.field("type") == b.field("type") && a.field("path") == b.field("path")
}

/// The places of events of ours that ZooKeeper has not told, each of its own counted once; and of its that we have not.
fn unmatched(exchange: &Exchange, told: &Told) -> (Vec<usize>, Vec<usize>) {
    let [theirs, ours] = &exchange.lines;
    let mut left: Vec<usize> = told.theirs.clone().collect();
    let mut extra = Vec::new();
    for at in told.ours.clone() {
        match left.iter().position(|place| is_same(&theirs[*place], &ours[at])) {
            Some(place) => {
                left.remove(place);
            }
            None => extra.push(at),
        }
    }
    (extra, left)
}

/// Persistent watches are told everything that happened meanwhile.
pub(super) fn replayed(exchange: &mut Exchange) -> Option<Mend> {
    let mut found = None;
    for told in told(exchange).into_iter().rev() {
        let (extra, _) = unmatched(exchange, &told);
        for at in extra.into_iter().rev() {
            let line = &exchange.lines[1][at];
            let has_place = line.field("zxid").starts_with('+');
            if has_place && told.lists.persists(line.field("type"), line.field("path")) {
                exchange.lines[1].remove(at);
                found = Some(Mend::Nothing);
            }
        }
    }
    found
}

/// A one-shot watch is told what happened first, not what a comparison makes of it.
pub(super) fn first_event(exchange: &mut Exchange) -> Option<Mend> {
    let mut found = None;
    for told in told(exchange).into_iter().rev() {
        let (extra, mut left) = unmatched(exchange, &told);
        // What looks told may have been told to a persistent watch on the same path.
        let matched: Vec<usize> = told.theirs.clone().filter(|place| !left.contains(place)).collect();
        left.extend(matched);
        // What came first is what a one-shot watch was told; what comes later is for others.
        for at in extra {
            let ours = &exchange.lines[1][at];
            let (path, kind) = (ours.field("path"), ours.field("type"));
            // A znode that is younger than what the client has seen has been deleted, even if it is forgotten when.
            let has_place = ours.field("zxid").starts_with('+') || kind == "2";
            // What ZooKeeper told the same watch instead.
            let instead = left.iter().position(|place| {
                let theirs = &exchange.lines[0][*place];
                let is_of = |list: &[String], kinds: [&str; 3]| {
                    let mut earlier = exchange.lines[1][told.ours.start..at].iter();
                    list.iter().any(|watched| watched == path)
                        && kinds.contains(&kind)
                        && kinds.contains(&theirs.field("type"))
                        && !earlier.any(|it| it.field("path") == path && kinds.contains(&it.field("type")))
                };
                theirs.field("path") == path
                    && theirs.field("type") != kind
                    && (is_of(&told.lists.data, ["2", "3", "2"])
                        || is_of(&told.lists.child, ["2", "4", "2"])
                        || is_of(&told.lists.exist, ["1", "2", "3"]))
            });
            if let (true, Some(place)) = (has_place, instead) {
                exchange.lines[1][at] = exchange.lines[0][left.remove(place)].clone();
                found = Some(Mend::Nothing);
            }
        }
    }
    found
}

/// A znode that was waited for came and went.
pub(super) fn came_and_went(exchange: &mut Exchange) -> Option<Mend> {
    for told in told(exchange) {
        let (extra, _) = unmatched(exchange, &told);
        for at in extra {
            let line = &exchange.lines[1][at];
            let path = line.field("path").to_owned();
            if line.is_event(1) && told.lists.exist.contains(&path) {
                exchange.lines[1].remove(at);
                // ZooKeeper's watch still waits.
                return Some(Mend::Unwatch(path));
            }
        }
    }
    None
}

/// What a znode's data and its children are watched for is the same when it is gone.
pub(super) fn told_once(exchange: &mut Exchange) -> Option<Mend> {
    for told in told(exchange) {
        let (_, left) = unmatched(exchange, &told);
        let theirs = &mut exchange.lines[0];
        for at in left {
            let path = theirs[at].field("path").to_owned();
            let is_again =
                told.theirs.clone().any(|other| other != at && theirs[other].field("path") == path);
            let lists = [&told.lists.data, &told.lists.child, &told.lists.exist];
            let is_in_two = lists.iter().filter(|list| list.contains(&path)).count() > 1;
            if is_again && is_in_two {
                theirs.remove(at);
                return Some(Mend::Nothing);
            }
        }
    }
    None
}

/// Where an event that is told late has its place in the history, it is told with it; and such events come in its order.
pub(super) fn in_order(exchange: &mut Exchange) -> Option<Mend> {
    let mut found = None;
    for told in told(exchange) {
        if unmatched(exchange, &told) != (Vec::new(), Vec::new()) {
            continue;
        }
        let [theirs, ours] = &mut exchange.lines;
        let (theirs, ours) = (&theirs[told.theirs.clone()], &mut ours[told.ours.clone()]);
        let are_late = theirs.iter().all(|line| line.field("zxid") == "-1");
        if are_late && theirs != ours && is_ordered(ours) {
            ours.clone_from_slice(theirs);
            found = Some(Mend::Nothing);
        }
    }
    found
}

/// Whether events that have a place in the history stand in its order.
fn is_ordered(lines: &[Line]) -> bool {
    let place = |line: &Line| line.field("zxid").strip_prefix('+').and_then(|zxid| zxid.parse::<u64>().ok());
    lines.iter().filter_map(place).is_sorted()
}
