//! The differences that are wanted: what PROTOCOL marks as a hole of ZooKeeper's, or as ours to do better.

mod returning;

use proto::jute::read::Reader;
use proto::request::Write;
use proto::{OpCode, Text};

use super::exchange::Exchange;
use super::line::{Line, Said};
use super::record::{self, Value};
use super::step::{Ask, is_served};

/// What is to be done so that both servers are in the same state again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mend {
    /// They are.
    Nothing,
    /// The client hangs up on both.
    HangUp,
    /// The client takes its one-shot watch on the data of this path away on both.
    Unwatch(String),
    /// Corral has a position that ZooKeeper does not have: what is told as this.
    Hole(i64),
    /// They cannot be brought together again: the sequence ends here.
    End,
}

/// A wanted difference.
#[derive(Debug)]
pub struct Wanted {
    /// What it is called in reports.
    pub name: &'static str,
    /// Where it is marked in PROTOCOL.
    pub marked: &'static str,
    /// Why Corral does it otherwise.
    pub why: &'static str,
    /// Takes it out of what was said, if it is there.
    take_out: fn(&mut Exchange) -> Option<Mend>,
}

/// All of them.
pub const WANTED: &[Wanted] = &[
    // In front of those that take a line over as ZooKeeper said it: it changes positions.
    Wanted {
        name: "position of what does not parse",
        marked: "4.6",
        why: "its refusal stands in the log like any other; ZooKeeper 3.9 takes a position for some of them only",
        take_out: position_of_malformed,
    },
    Wanted {
        name: "unknown operation",
        marked: "4.6",
        why: "a probe for an operation need not cost the client its connection",
        take_out: unknown_operation,
    },
    Wanted {
        name: "operation between servers",
        marked: "4.6",
        why: "createSession and deleteContainer are not for clients: they are refused as unknown",
        take_out: operation_between_servers,
    },
    Wanted {
        name: "empty path",
        marked: "7.1",
        why: "an empty path is not another name of the root: no client library lets it through",
        take_out: empty_path,
    },
    Wanted {
        name: "record behind a refusal",
        marked: "4.1",
        why: "a refusal has no record: ZooKeeper puts a useless one behind that of a multiRead",
        take_out: record_behind_refusal,
    },
    Wanted {
        name: "text beyond U+FFFF",
        marked: "1",
        why: "what was UTF-8 stays UTF-8: ZooKeeper sends back two sequences that are not",
        take_out: text_beyond,
    },
    Wanted {
        name: "null in an ACL",
        marked: "10.3",
        why: "an ACL that names nobody is not usable, whichever part is missing",
        take_out: null_in_acl,
    },
    Wanted {
        name: "order of who auth stands for",
        marked: "10.3",
        why: "in the order in which they have proved themselves; ZooKeeper's set of them has none",
        take_out: order_of_auth,
    },
    Wanted {
        name: "write that shrinks",
        marked: "15",
        why: "who is beyond a quota can come back below it: what adds nothing is not refused",
        take_out: write_that_shrinks,
    },
    Wanted {
        name: "quota inside a multi",
        marked: "15",
        why: "each part is judged by what the parts before it leave; ZooKeeper looks at what was there before the multi",
        take_out: quota_inside_multi,
    },
    Wanted {
        name: "container that looks ephemeral",
        marked: "9.1",
        why: "createContainer makes a container whatever its flags say, also while ZooKeeper has yet to apply it",
        take_out: container_that_looks_ephemeral,
    },
    Wanted {
        name: "true first event",
        marked: "14.3 L3 and L4",
        why: "a one-shot watch is told what happened first",
        take_out: returning::first_event,
    },
    Wanted {
        name: "missed events of persistent watches",
        marked: "14.3 L2",
        why: "whoever comes back is told what happened meanwhile",
        take_out: returning::replayed,
    },
    Wanted {
        name: "came and went",
        marked: "14.3 L1",
        why: "whoever waits for a znode is told of it also if it is gone again",
        take_out: returning::came_and_went,
    },
    Wanted {
        name: "told once",
        marked: "14.2",
        why: "who is in two lists with the same path is told once that it is gone",
        take_out: returning::told_once,
    },
    Wanted {
        name: "place of late events",
        marked: "14.4",
        why: "what is told late has the position of what caused it, and comes in this order",
        take_out: returning::in_order,
    },
];

/// Takes all wanted differences out of what was said, and tells which there were.
pub(super) fn take_out(exchange: &mut Exchange) -> Vec<(usize, Mend)> {
    let mut used = Vec::new();
    for (number, wanted) in WANTED.iter().enumerate() {
        // Each time one of them is found, it is taken out.
        while exchange.lines[0] != exchange.lines[1]
            && let Some(mend) = (wanted.take_out)(exchange)
        {
            used.push((number, mend));
        }
    }
    used
}

/// What both answered to the same request otherwise, with the request.
fn answers(exchange: &mut Exchange) -> impl Iterator<Item = (&Ask, &mut Line, &mut Line)> {
    let [theirs, ours] = &mut exchange.lines;
    let asks = &exchange.asks;
    // Events may stand in between.
    let is_reply = |line: &&mut Line| matches!(line.said, Said::Reply(_));
    theirs.iter_mut().filter(is_reply).zip(ours.iter_mut().filter(is_reply)).filter_map(|(one, other)| {
        let Said::Reply(place) = one.said else { return None };
        (one.said == other.said && one != other).then_some((asks.get(place)?, one, other))
    })
}

/// A container that was asked for with the flags of an ephemeral znode, in front of what is created below it: until it is
/// applied, ZooKeeper judges it by the flags.
fn container_that_looks_ephemeral(exchange: &mut Exchange) -> Option<Mend> {
    let containers: Vec<Text> = exchange.asks.iter().filter_map(ephemeral_container).collect();
    let found = answers(exchange).any(|(ask, one, other)| {
        let parent = created(ask).and_then(|path| Some(path.rsplit_once('/')?.0.to_owned()));
        one.is_reply_with(-108)
            && !other.is_reply_with(-108)
            && parent.is_some_and(|parent| containers.iter().any(|path| **path == *parent))
    });
    found.then(|| {
        let [theirs, ours] = &mut exchange.lines;
        ours.clone_from(theirs);
        Mend::End
    })
}

/// Where a create of any kind creates.
fn created(ask: &Ask) -> Option<Text> {
    let is_create = matches!(ask.op, 1 | 15 | 19 | 21);
    if is_create { Reader::new(ask.body.clone()).text().ok() } else { None }
}

/// The path of a container that is asked for with the flags of an ephemeral znode.
fn ephemeral_container(ask: &Ask) -> Option<Text> {
    let create = proto::jute::request::read_write(OpCode::CreateContainer, ask.body.clone());
    match create {
        Ok(Write::Create(create)) if ask.op == 19 && matches!(create.flags, 1 | 3) => Some(create.path),
        _ => None,
    }
}

/// Both refuse a write whose record does not parse, and only Corral counts it.
fn position_of_malformed(exchange: &mut Exchange) -> Option<Mend> {
    let hole = answers(exchange).find_map(|(ask, one, other)| {
        let is_write = matches!(ask.op, 1 | 2 | 5 | 7 | 14..=16 | 19 | 21);
        let place = |line: &Line| line.field("zxid").strip_prefix('+')?.parse::<i64>().ok();
        let is_next = place(other) == place(one).map(|place| place + 1);
        let is_it = is_write && is_next && one.is_reply_with(-5) && other.is_reply_with(-5);
        is_it.then(|| place(other)).flatten()
    })?;
    leave_out(&mut exchange.lines[1], hole);
    Some(Mend::Hole(hole))
}

/// Tells positions behind one that is not counted any more as the ones before them.
pub(super) fn leave_out(lines: &mut [Line], hole: i64) {
    for (name, value) in lines.iter_mut().flat_map(|line| &mut line.fields) {
        if name.ends_with("zxid")
            && let Some(told) = value.strip_prefix('+').and_then(|told| told.parse::<i64>().ok())
            && told >= hole
        {
            *value = format!("+{}", told - 1);
        }
    }
}

/// The same entries, which ZooKeeper gives out in the order of a hash table.
fn order_of_auth(exchange: &mut Exchange) -> Option<Mend> {
    let sorted = |line: &Line| {
        let list = line.field("acl");
        let inner = list.strip_prefix('[').and_then(|list| list.strip_suffix(']'));
        let mut entries: Vec<String> = inner.unwrap_or(list).split(", ").map(str::to_owned).collect();
        entries.sort();
        entries
    };
    answers(exchange).find_map(|(ask, one, other)| {
        let is_it = ask.op == 6 && one.field("acl") != other.field("acl") && sorted(one) == sorted(other);
        is_it.then(|| {
            let theirs = one.field("acl").to_owned();
            let ours = other.fields.iter_mut().find(|(name, _)| name == "acl");
            ours.into_iter().for_each(|(_, list)| list.clone_from(&theirs));
            Mend::Nothing
        })
    })
}

/// ZooKeeper refuses whatever changes the size, as long as it is beyond the limit afterwards.
fn write_that_shrinks(exchange: &mut Exchange) -> Option<Mend> {
    let found = answers(exchange).any(|(ask, one, other)| {
        ask.op == 5 && one.is_reply_with(-125) && (other.is_reply_with(0) || other.is_reply_with(-103))
    });
    found.then(|| end(exchange))
}

/// They do not agree on what exceeds a quota.
fn quota_inside_multi(exchange: &mut Exchange) -> Option<Mend> {
    let is_exceeded =
        |line: &Line| line.fields.iter().any(|(name, value)| name.ends_with(".err") && value == "-125");
    let found =
        answers(exchange).any(|(ask, one, other)| ask.op == 14 && (is_exceeded(one) || is_exceeded(other)));
    found.then(|| end(exchange))
}

fn end(exchange: &mut Exchange) -> Mend {
    exchange.lines[1] = exchange.lines[0].clone();
    Mend::End
}

/// sync gives its path back, whatever it is.
fn text_beyond(exchange: &mut Exchange) -> Option<Mend> {
    answers(exchange).find_map(|(ask, one, other)| {
        let path = Reader::new(ask.body.clone()).text().ok()?;
        let is_it = ask.op == 9
            && path.chars().any(|c| u32::from(c) > 0xffff)
            && other.field("path") == format!("{path:?}");
        is_it.then(|| {
            other.clone_from(one);
            Mend::Nothing
        })
    })
}

/// ZooKeeper trips over an id that is null, and says so. If that was in a multi, what its parts in front had done stands for a
/// while, though nothing of it is done: what is sent behind it may be judged by that.
fn null_in_acl(exchange: &mut Exchange) -> Option<Mend> {
    let (tripped, is_refused) = answers(exchange).find_map(|(ask, one, other)| {
        let asked = record::read_request(ask.op, ask.body.clone()).ok()?;
        let has_null = |value: &Value| matches!(value, Value::Words(words) if words.contains(":null may") || words.contains("null:"));
        let names_nobody = asked.iter().any(|(name, value)| name.ends_with("acl") && has_null(value));
        let is_refused = other.is_reply_with(-114)
            || ask.op == 14
                && other.fields.iter().any(|(name, code)| name.ends_with(".err") && code == "-114");
        if !names_nobody || !one.is_reply_with(-5) {
            return None;
        }
        other.clone_from(one);
        Some((one.said.clone(), is_refused))
    })?;
    let Said::Reply(tripped) = tripped else { return None };
    let is_behind = |one: &Line| matches!(one.said, Said::Reply(place) if place > tripped);
    if exchange.asks[tripped].op == 14 && answers(exchange).any(|(_, one, _)| is_behind(one)) {
        return Some(end(exchange));
    }
    // Among others who are somebody, Corral passes over an `auth` without an id, as ZooKeeper does over a single one.
    Some(if is_refused { Mend::Nothing } else { Mend::End })
}

/// ZooKeeper hangs up behind -6, with -1 for a position. Corral tells its position and goes on.
fn unknown_operation(exchange: &mut Exchange) -> Option<Mend> {
    let [ask] = &exchange.asks[..] else { return None };
    if is_served(ask.op) || matches!(ask.op, -10 | 20) {
        return None;
    }
    let [theirs, ours] = &mut exchange.lines;
    let ([reply, end], [our_reply, barrier]) = (&theirs[..], &ours[..]) else { return None };
    let is_it = reply.is_reply_with(-6)
        && reply.field("zxid") == "-1"
        // A ping may slip in between.
        && matches!(end.said, Said::End | Said::Barrier)
        && our_reply.is_reply_with(-6)
        && barrier.said == Said::Barrier;
    is_it.then(|| {
        ours.clone_from(theirs);
        Mend::HangUp
    })
}

/// ZooKeeper answers for the root, and Corral that there is nothing.
fn empty_path(exchange: &mut Exchange) -> Option<Mend> {
    let [theirs, ours] = &mut exchange.lines;
    let mut found = None;
    for (one, other) in theirs.iter_mut().zip(ours) {
        let Said::Reply(place) = one.said else { continue };
        let Some(ask) = exchange.asks.get(place) else { continue };
        if one.said != other.said || one == other {
            continue;
        }
        let Ok(asked) = record::read_request(ask.op, ask.body.clone()) else { continue };
        let is_empty = |value: &Value| *value == Value::Words("\"\"".into());
        match ask.op {
            // What was asked with a watch can be asked about.
            3 | 4 | 6 | 8 | 12 | 17 | 18 | 104 => {
                let names_it = asked.iter().any(|(name, value)| name == "path" && is_empty(value));
                if names_it && (other.is_reply_with(-101) || other.is_reply_with(-121)) {
                    other.clone_from(one);
                    found = Some(Mend::Nothing);
                }
            }
            22 => {
                let named = asked.iter().filter(|(name, value)| name.ends_with(".path") && is_empty(value));
                for part in named.filter_map(|(name, _)| name.strip_suffix(".path")) {
                    if other.field(&format!("{part}.err")) == "-101" {
                        let inner = format!("{part}.");
                        for line in [&mut *one, &mut *other] {
                            line.fields.retain(|(name, _)| name != part && !name.starts_with(&inner));
                        }
                        found = Some(Mend::Nothing);
                    }
                }
            }
            _ => {}
        }
    }
    found
}

/// It is what the multiRead had come to so far.
fn record_behind_refusal(exchange: &mut Exchange) -> Option<Mend> {
    let [theirs, ours] = &mut exchange.lines;
    let mut found = None;
    for (one, other) in theirs.iter_mut().zip(ours) {
        let Said::Reply(place) = one.said else { continue };
        let is_it = exchange.asks.get(place).is_some_and(|ask| ask.op == 22)
            && one.is_reply_with(-5)
            && other.is_reply_with(-5)
            && !one.field("body").is_empty()
            && other.field("body").is_empty();
        if is_it {
            one.fields.retain(|(name, _)| name != "body");
            found = Some(Mend::Nothing);
        }
    }
    found
}

/// ZooKeeper does what such a request says.
fn operation_between_servers(exchange: &mut Exchange) -> Option<Mend> {
    let [ask] = &exchange.asks[..] else { return None };
    let [theirs, ours] = &mut exchange.lines;
    let is_it = matches!(ask.op, -10 | 20)
        && matches!(&ours[..], [reply, end] if reply.is_reply_with(-6) && end.said == Said::End);
    is_it.then(|| {
        ours.clone_from(theirs);
        Mend::HangUp
    })
}
