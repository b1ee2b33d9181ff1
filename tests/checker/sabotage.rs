//! Bugs that are put into a recorded history on purpose, to show that each is found by the rule that is meant for it.

use std::collections::HashMap;

use fastrand::Rng;
use proto::Stat;

use super::bounds::Bounds;
use super::history::{Answer, End, History, OpId, Request, Stay, Told};
use super::verdict::Rule;

/// What a server might do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// The last write of a znode is undone: nobody sees it any more.
    LoseWrite,
    /// A sync is answered from a member that is behind.
    SyncBehind,
    /// Two replies of a session change places.
    Reorder,
    /// A session is shown an older zxid than before, on another member if there is one.
    GoBack,
    /// A sequential number is given a second time.
    RepeatNumber,
    /// One of two writes of a multi is not shown.
    HalveMulti,
    /// An ephemeral znode is there although its session has been closed.
    KeepEphemeral,
    /// An ephemeral znode is not there although its session lives.
    DropEphemeral,
    /// A session is declared dead too soon.
    ExpireEarly,
    /// A write that was sent again is done again.
    RepeatWrite,
    /// A Stat has a version that never was.
    MisstateVersion,
    /// A read shows a write that its zxid does not reach.
    ReadAhead,
    /// What a session left behind on a broken connection is done after what it did on the next one.
    DoLate,
    /// A write that came later is ordered before one that had been answered.
    SwapWrites,
}

impl Sabotage {
    /// All of them, with the rule that each must be found by.
    pub const ALL: [(Self, Rule); 14] = [
        (Self::LoseWrite, Rule::Lost),
        (Self::SyncBehind, Rule::Sync),
        (Self::Reorder, Rule::ReplyOrder),
        (Self::GoBack, Rule::ZxidBack),
        (Self::RepeatNumber, Rule::Sequence),
        (Self::HalveMulti, Rule::HalfMulti),
        (Self::KeepEphemeral, Rule::Outlived),
        (Self::DropEphemeral, Rule::GoneEarly),
        (Self::ExpireEarly, Rule::GoneEarly),
        (Self::RepeatWrite, Rule::Twice),
        (Self::MisstateVersion, Rule::Stat),
        (Self::ReadAhead, Rule::Future),
        (Self::DoLate, Rule::Late),
        (Self::SwapWrites, Rule::RealTime),
    ];

    /// Does it to a history, where chance has it; `false` if there is no place for it.
    pub fn commit(self, history: &mut History, rng: &mut Rng) -> bool {
        let mut ids: Vec<OpId> =
            history.ops().filter(|(_, op)| op.reply.is_some()).map(|(id, _)| id).collect();
        rng.shuffle(&mut ids);
        if self == Self::ExpireEarly {
            return expire_early(history, rng);
        }
        let books = Books::of(history);
        ids.into_iter().any(|id| self.commit_at(history, &books, id))
    }

    fn commit_at(self, history: &mut History, books: &Books, id: OpId) -> bool {
        match self {
            Self::LoseWrite => lose_write(history, books, id),
            Self::SyncBehind => sync_behind(history, books, id),
            Self::Reorder => reorder(history, id),
            Self::GoBack => go_back(history, id),
            Self::RepeatNumber => repeat_number(history, id),
            Self::HalveMulti => halve_multi(history, books, id),
            Self::KeepEphemeral => keep_ephemeral(history, id),
            Self::DropEphemeral => drop_ephemeral(history, id),
            Self::ExpireEarly => false,
            Self::RepeatWrite => repeat_write(history, id),
            Self::MisstateVersion => misstate_version(history, id),
            Self::ReadAhead => read_ahead(history, books, id),
            Self::DoLate => do_late(history, id),
            Self::SwapWrites => swap_writes(history, books, id),
        }
    }
}

/// What was written by single requests that were acknowledged, and seen.
struct Books {
    bounds: Bounds,
    /// By path and the zxid of the znode's creation: each data it had by version, with the zxid that brought it.
    states: HashMap<(String, i64), HashMap<i32, (String, Stat)>>,
    /// The last reads of all.
    last_looks: Vec<OpId>,
}

impl Books {
    fn of(history: &History) -> Self {
        let mut states: HashMap<(String, i64), HashMap<i32, (String, Stat)>> = HashMap::new();
        let mut last_looks = Vec::new();
        for (id, op) in history.ops() {
            let (Some(path), Some(Ok(answer))) = (op.request.path(), told(history, id)) else { continue };
            let state = match (&op.request, answer) {
                (_, Answer::Data(data, stat)) => (data.clone(), *stat),
                (Request::SetData { data, .. }, Answer::Stat(stat)) => (data.clone(), *stat),
                _ => continue,
            };
            states.entry((path.to_owned(), state.1.czxid)).or_default().insert(state.1.version, state);
            if op.is_last_look {
                last_looks.push(id);
            }
        }
        Self { bounds: Bounds::of(history), states, last_looks }
    }

    /// What a znode held at another version than it has now.
    fn other(&self, path: &str, stat: &Stat, versions: i32) -> Option<(String, Stat)> {
        self.states.get(&(path.to_owned(), stat.czxid))?.get(&(stat.version + versions)).cloned()
    }
}

fn told(history: &History, id: OpId) -> Option<&Told> {
    history.op(id).reply.as_ref().map(|reply| &reply.told)
}

fn zxid(history: &History, id: OpId) -> i64 {
    history.op(id).zxid().unwrap_or_default()
}

fn retell(history: &mut History, id: OpId, told: Told) -> bool {
    let reply = history.op_mut(id).reply.as_mut();
    reply.map(|reply| reply.told = told).is_some()
}

fn rezxid(history: &mut History, id: OpId, zxid: i64) -> bool {
    let reply = history.op_mut(id).reply.as_mut();
    reply.map(|reply| reply.zxid = zxid).is_some()
}

/// A Stat as it is told of a znode whose data changed in between.
fn with_data_of(stat: &Stat, other: &Stat) -> Stat {
    Stat { version: other.version, mzxid: other.mzxid, data_length: other.data_length, ..*stat }
}

/// The path and the answer of a getData that found something.
fn data_read(history: &History, id: OpId) -> Option<(String, String, Stat)> {
    match (&history.op(id).request, told(history, id)) {
        (Request::GetData(path), Some(Ok(Answer::Data(data, stat)))) => {
            Some((path.clone(), data.clone(), *stat))
        }
        _ => None,
    }
}

/// All that were told a Stat of this path.
fn stats_of(history: &History, path: &str) -> Vec<(OpId, Stat)> {
    let of = history.ops().filter(|(_, op)| op.request.path() == Some(path));
    of.filter_map(|(id, _)| match told(history, id) {
        Some(Ok(Answer::Data(_, stat) | Answer::Stat(stat) | Answer::Children(_, stat))) => Some((id, *stat)),
        _ => None,
    })
    .collect()
}

fn restat(history: &mut History, id: OpId, data: Option<&str>, stat: Stat) {
    let Some(reply) = history.op_mut(id).reply.as_mut() else { return };
    match &mut reply.told {
        Ok(Answer::Data(its, other)) => {
            if let Some(data) = data {
                data.clone_into(its);
            }
            *other = stat;
        }
        Ok(Answer::Stat(other) | Answer::Children(_, other)) => *other = stat,
        _ => {}
    }
}

fn lose_write(history: &mut History, books: &Books, id: OpId) -> bool {
    let (Request::SetData { path, .. }, Some(Ok(Answer::Stat(stat)))) =
        (history.op(id).request.clone(), told(history, id).cloned())
    else {
        return false;
    };
    let is_last = books.last_looks.iter().any(|look| {
        data_read(history, *look).is_some_and(|(its, _, seen)| its == path && seen.mzxid == stat.mzxid)
    });
    let Some((data, before)) = books.other(&path, &stat, -1).filter(|_| is_last) else { return false };
    for (read, seen) in stats_of(history, &path) {
        if seen.mzxid == stat.mzxid && read != id {
            restat(history, read, Some(&data), with_data_of(&seen, &before));
        }
    }
    true
}

fn sync_behind(history: &mut History, books: &Books, id: OpId) -> bool {
    let op = history.op(id);
    let session = &history.sessions[id.session];
    let before = session.ops[..id.op].iter().filter_map(super::history::Op::zxid).max();
    let floor = before.unwrap_or_else(|| session.opened());
    let is_sync = matches!(op.request, Request::Sync(_));
    is_sync && books.bounds.shown_before(op.invoked) > floor && rezxid(history, id, floor)
}

fn reorder(history: &mut History, id: OpId) -> bool {
    let Some(next) = history.sessions[id.session].ops.get(id.op + 1) else { return false };
    let (op, other) = (history.op(id), OpId { op: id.op + 1, ..id });
    let (Some(one), Some(two)) = (&op.reply, &next.reply) else { return false };
    let (one, two, is_one) = (one.place, two.place, op.connection == next.connection);
    if is_one {
        for (id, place) in [(id, two), (other, one)] {
            if let Some(reply) = &mut history.op_mut(id).reply {
                reply.place = place;
            }
        }
    }
    is_one
}

fn go_back(history: &mut History, id: OpId) -> bool {
    let Some(before) = id.op.checked_sub(1).map(|op| OpId { op, ..id }) else { return false };
    let (op, earlier) = (history.op(id), history.op(before));
    let has_moved = op.member != earlier.member;
    match earlier.zxid() {
        Some(zxid) if has_moved && !op.request.is_write() => rezxid(history, id, zxid - 1),
        _ => false,
    }
}

fn repeat_number(history: &mut History, id: OpId) -> bool {
    let Request::Create { path, sequential: true, .. } = history.op(id).request.clone() else { return false };
    let Some(Ok(Answer::Created(_, stat))) = told(history, id).cloned() else { return false };
    let other = history.ops().find_map(|(other, op)| match (&op.request, told(history, other)) {
        (Request::Create { path: its, sequential: true, .. }, Some(Ok(Answer::Created(name, _))))
            if *its == path && zxid(history, other) < zxid(history, id) =>
        {
            Some(name.clone())
        }
        _ => None,
    });
    other.is_some_and(|name| retell(history, id, Ok(Answer::Created(name, stat))))
}

fn halve_multi(history: &mut History, books: &Books, id: OpId) -> bool {
    let Some((path, _, stat)) = data_read(history, id) else { return false };
    let is_of_multi = history.ops().any(|(_, op)| {
        let is_pair =
            op.request.parts().iter().filter(|part| matches!(part, Request::SetData { .. })).count() > 1;
        op.zxid() == Some(stat.mzxid) && op.request.is_write() && is_pair
    });
    let before = books.other(&path, &stat, -1).filter(|_| is_of_multi);
    let Some((data, before)) = before else { return false };
    restat(history, id, Some(&data), with_data_of(&stat, &before));
    true
}

fn keep_ephemeral(history: &mut History, id: OpId) -> bool {
    let (Request::Exists(path), Some(Err(-101))) = (history.op(id).request.clone(), told(history, id)) else {
        return false;
    };
    let now = zxid(history, id);
    let closed: HashMap<i64, i64> = history
        .ops()
        .filter(|(_, op)| op.request == Request::Close)
        .filter_map(|(close, op)| Some((history.sessions[close.session].id, op.zxid()?)))
        .collect();
    let seen = stats_of(history, &path).into_iter().find(|(_, stat)| {
        closed.get(&stat.ephemeral_owner).is_some_and(|closed| stat.czxid < *closed && *closed <= now)
    });
    seen.is_some_and(|(_, stat)| retell(history, id, Ok(Answer::Stat(stat))))
}

fn drop_ephemeral(history: &mut History, id: OpId) -> bool {
    let now = zxid(history, id);
    let (Request::Exists(path) | Request::GetData(path)) = history.op(id).request.clone() else {
        return false;
    };
    let Some(Ok(Answer::Stat(stat) | Answer::Data(_, stat))) = told(history, id) else { return false };
    let owner = history.sessions.iter().find(|session| session.id == stat.ephemeral_owner);
    let lives_on = owner.is_some_and(|owner| {
        owner.ops.iter().any(|op| op.request != Request::Close && op.zxid() > Some(now))
    });
    // What nobody was answered might have deleted it.
    let may_be_deleted = history.ops().any(|(_, op)| {
        op.reply.is_none()
            && op
                .request
                .parts()
                .iter()
                .any(|part| matches!(part, Request::Delete { path: its, .. } if *its == path))
    });
    lives_on && !may_be_deleted && retell(history, id, Err(-101))
}

fn expire_early(history: &mut History, rng: &mut Rng) -> bool {
    let mut numbers: Vec<usize> = (0..history.sessions.len()).collect();
    rng.shuffle(&mut numbers);
    let closed = numbers.into_iter().find(|number| {
        let ops = &history.sessions[*number].ops;
        ops.len() > 1 && ops.last().is_some_and(|op| op.request == Request::Close && op.reply.is_some())
    });
    let Some(session) = closed.map(|number| &mut history.sessions[number]) else { return false };
    session.ops.pop();
    session.end = End::Expired(session.last_heard() + session.timeout / 2);
    true
}

fn repeat_write(history: &mut History, id: OpId) -> bool {
    let Some((path, _, stat)) = data_read(history, id) else { return false };
    let now = zxid(history, id);
    let is_acknowledged = history
        .ops()
        .any(|(_, op)| op.zxid() == Some(stat.mzxid) && matches!(op.request, Request::SetData { .. }));
    if !is_acknowledged || now == stat.mzxid {
        return false;
    }
    for (read, seen) in stats_of(history, &path) {
        if seen.czxid == stat.czxid && zxid(history, read) >= now {
            let mzxid = if seen.mzxid == stat.mzxid { now } else { seen.mzxid };
            restat(history, read, None, Stat { version: seen.version + 1, mzxid, ..seen });
        }
    }
    true
}

fn misstate_version(history: &mut History, id: OpId) -> bool {
    let Some((_, _, stat)) = data_read(history, id) else { return false };
    restat(history, id, None, Stat { version: stat.version + 1, ..stat });
    true
}

fn read_ahead(history: &mut History, books: &Books, id: OpId) -> bool {
    let Some((path, _, stat)) = data_read(history, id) else { return false };
    let next = books.other(&path, &stat, 1).filter(|(_, next)| next.mzxid > zxid(history, id));
    let Some((data, next)) = next else { return false };
    restat(history, id, Some(&data), with_data_of(&stat, &next));
    true
}

fn do_late(history: &mut History, id: OpId) -> bool {
    let Some(before) = id.op.checked_sub(1).map(|op| OpId { op, ..id }) else { return false };
    let (Request::SetData { data, .. }, Some(Ok(_))) = (history.op(id).request.clone(), told(history, id))
    else {
        return false;
    };
    let is_seen =
        history.ops().any(|(read, _)| data_read(history, read).is_some_and(|(_, its, _)| its == data));
    let earlier = history.op(before);
    if !is_seen || earlier.reply.is_none() || !earlier.request.is_write() {
        return false;
    }
    // It goes out first and is not answered; what was in front of it comes on the next connection.
    let session = &mut history.sessions[id.session];
    session.ops.swap(before.op, id.op);
    let invoked = session.ops[id.op].invoked;
    session.ops[before.op].invoked = invoked.saturating_sub(1);
    session.ops[before.op].reply = None;
    for op in &mut session.ops[id.op..] {
        op.connection += 1;
    }
    true
}

fn swap_writes(history: &mut History, books: &Books, id: OpId) -> bool {
    let (mine, is_plain) = match &history.op(id).request {
        Request::Create { stay: Stay::Persistent, .. } | Request::SetData { .. } => (zxid(history, id), true),
        _ => (0, false),
    };
    let shown = books.bounds.shown_before(history.op(id).invoked);
    let earlier = history.ops().find(|(_, op)| {
        op.request.is_write()
            && op.zxid().is_some_and(|zxid| zxid <= shown && zxid < mine && zxid + 20 > mine)
    });
    let Some((other, its)) = earlier.map(|(id, op)| (id, op.zxid().unwrap_or_default())).filter(|_| is_plain)
    else {
        return false;
    };
    rezxid(history, id, its) && rezxid(history, other, mine)
}
