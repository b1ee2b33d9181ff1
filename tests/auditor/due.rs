//! Which events a session is owed: from what it watched, and from what was done.

use std::collections::HashMap;

use proto::EventKind;

use super::history::{Change, Deed, Fault, Habit, History, Log, Millis, Moment, Watch};
use super::paths::{PathId, Paths};

/// A member tells the others of a watch within milliseconds of its answer. If it has had this long, in which nothing
/// was wrong anywhere, then they know.
const REPORT_MS: Millis = 1_000;

/// How strictly an event is owed, from the loosest to the strictest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Duty {
    /// It may come or not: whether there was a watch is not known, because the answer to setting it or to taking it
    /// away was lost.
    May,
    /// It may be missing: the client says nothing when it comes back, and the member that alone knew of the watch
    /// was killed before it can have told the others.
    Unreported,
    /// It may be missing: the client says nothing when it comes back, and before the member that alone knew of the watch
    /// can have told the others, the client has set the watch anew, taken it away, or gone on to a third connection.
    Outrun,
    /// It must come, but may come late: the client says nothing when it comes back, and the member that alone knew of
    /// the watch may have told the others after the client had gone over to one of them.
    Late,
    /// It must come, and in front of everything that shows what caused it.
    Must,
}

/// An event that a session is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// The transaction.
    pub zxid: i64,
    /// What is to be said.
    pub kind: EventKind,
    /// Of which znode.
    pub path: PathId,
    /// The first of the kinds of watch that it is owed to.
    pub watch: Watch,
    /// How strictly.
    pub duty: Duty,
    /// How many of the watches that it is owed to may be late to be known. For each of them it may come again when it has
    /// come for another already, or because the client has named the watch.
    pub late_watches: u32,
    /// From which connection on.
    pub late_from: u32,
}

/// A watch, from being set to being set anew or taken away.
#[derive(Clone, Copy, Debug)]
struct Lease {
    watch: Watch,
    path: PathId,
    /// Changes after this one.
    after: i64,
    /// Changes up to this one.
    until: i64,
    duty: Duty,
    /// If the connection broke before its member can have told the others of it: on which connection it may be told
    /// late, though it has been told already.
    late_from: Option<u32>,
}

/// All that a session is owed, in the order in which it happened.
pub fn due(paths: &Paths, history: &History, index: &Index, log: &Log) -> Vec<Due> {
    let changes = &history.changes;
    let mut found: Vec<((u32, bool), Due)> = Vec::new();
    for lease in leases(log, &history.faults) {
        let first = changes.partition_point(|change| change.zxid <= lease.after);
        let last = changes.partition_point(|change| change.zxid <= lease.until);
        let range = first as u32..(last as u32).max(first as u32);
        let mut note = |place: u32, is_family: bool, kind, path| {
            let zxid = changes[place as usize].zxid;
            let Lease { watch, duty, .. } = lease;
            let late_watches = u32::from(lease.late_from.is_some());
            let late_from = lease.late_from.unwrap_or(u32::MAX);
            let due = Due { zxid, kind, path, watch, duty, late_watches, late_from };
            found.push(((place, is_family), due));
        };
        match lease.watch {
            Watch::Recursive => {
                for place in range {
                    let Change { path, deed, .. } = changes[place as usize];
                    if paths.is_within(path, lease.path) {
                        note(place, false, deed.event(), path);
                    }
                }
            }
            Watch::Persistent => {
                for place in Index::within(&index.own, lease.path, &range) {
                    note(place, false, changes[place as usize].deed.event(), lease.path);
                }
                for place in Index::within(&index.family, lease.path, &range) {
                    note(place, true, EventKind::ChildrenChanged, lease.path);
                }
            }
            Watch::Data | Watch::Exist | Watch::Child => {
                let is_child = lease.watch == Watch::Child;
                let own = Index::within(&index.own, lease.path, &range)
                    .filter(|place| !is_child || changes[*place as usize].deed == Deed::Deleted);
                let own = own.map(|place| (place, false));
                let family = Index::within(&index.family, lease.path, &range);
                let family = family.filter(|_| is_child).map(|place| (place, true));
                // Whether a watch was there at all may be in doubt: then any of these may be its first.
                let count = if lease.duty == Duty::May { usize::MAX } else { 1 };
                let mut places: Vec<(u32, bool)> = own.chain(family).collect();
                places.sort_unstable();
                for (place, is_family) in places.into_iter().take(count) {
                    let kind = if is_family {
                        EventKind::ChildrenChanged
                    } else {
                        changes[place as usize].deed.event()
                    };
                    note(place, is_family, kind, lease.path);
                }
            }
        }
    }
    // Of what is owed for several reasons the strictest counts. One call of a watch table tells a connection once.
    let rank = |(place, due): &((u32, bool), Due)| (*place, due.path, std::cmp::Reverse(due.duty), due.watch);
    found.sort_unstable_by_key(rank);
    found.dedup_by(|(place, due), (first_place, first)| {
        let is_same = (*place, due.path) == (*first_place, first.path);
        if is_same {
            first.late_watches += due.late_watches;
            first.late_from = first.late_from.min(due.late_from);
        }
        is_same
    });
    found.into_iter().map(|(_, due)| due).collect()
}

/// Where the changes of a znode and of its children stand.
#[derive(Debug, Default)]
pub struct Index {
    own: HashMap<PathId, Vec<u32>>,
    family: HashMap<PathId, Vec<u32>>,
}

impl Index {
    /// Of a history.
    pub fn new(paths: &Paths, changes: &[Change]) -> Self {
        let mut index = Self::default();
        for (place, change) in (0..).zip(changes) {
            index.own.entry(change.path).or_default().push(place);
            if change.deed != Deed::Written
                && let Some(parent) = paths.parent(change.path)
            {
                index.family.entry(parent).or_default().push(place);
            }
        }
        index
    }

    fn within(
        places: &HashMap<PathId, Vec<u32>>,
        path: PathId,
        range: &std::ops::Range<u32>,
    ) -> impl Iterator<Item = u32> {
        let places = places.get(&path).map_or(&[][..], Vec::as_slice);
        let first = places.partition_point(|place| *place < range.start);
        let last = places.partition_point(|place| *place < range.end);
        places[first..last.max(first)].iter().copied()
    }
}

/// What is known of a watch while its session's log is read.
#[derive(Debug, Default)]
struct Known {
    /// Leases that are not over.
    open: Vec<usize>,
    /// When it was set by the present connection, and no write was acknowledged since.
    fresh: Option<Millis>,
    /// Since when the one member that may know of it is not the home any more.
    left: Option<Millis>,
}

fn leases(log: &Log, faults: &[Fault]) -> Vec<Lease> {
    let mut reader =
        LeaseReader { leases: Vec::new(), known: HashMap::new(), shown: 0, pending: None, connection: 0 };
    let (mut home, mut since) = (0, 0);
    for moment in &log.moments {
        match *moment {
            Moment::Connected { member, at, .. } => {
                (home, since) = (member, at);
                reader.connection += 1;
            }
            Moment::Replied { zxid, .. } => reader.shown = reader.shown.max(zxid),
            Moment::Arming(watch, path) => reader.pending = Some((watch, path, true)),
            Moment::Removing(watch, path) => reader.pending = Some((watch, path, false)),
            Moment::Refused => reader.pending = None,
            Moment::Armed { watch, path, zxid, at } => {
                reader.supersede(watch, path, at, faults);
                reader.set(watch, path, zxid, at);
            }
            Moment::Removed { watch, path, zxid, at } => {
                reader.supersede(watch, path, at, faults);
                reader.take_away(watch, path, zxid);
            }
            Moment::Wrote => reader.known.values_mut().for_each(|known| known.fresh = None),
            Moment::Broke { at } => reader.broke(log.habit, (home, since), at, faults),
            Moment::Told { .. } | Moment::Stray(_) => {}
        }
    }
    reader.leases
}

struct LeaseReader {
    leases: Vec<Lease>,
    known: HashMap<(Watch, PathId), Known>,
    /// The last zxid that any reply has shown.
    shown: i64,
    /// What was asked and not answered; whether to set it.
    pending: Option<(Watch, PathId, bool)>,
    /// The number of the connection.
    connection: u32,
}

impl LeaseReader {
    fn open(&mut self, lease: Lease) {
        let known = self.known.entry((lease.watch.mode(), lease.path)).or_default();
        known.open.push(self.leases.len());
        self.leases.push(lease);
    }

    fn close(&mut self, watch: Watch, path: PathId, zxid: i64) {
        if let Some(known) = self.known.get_mut(&(watch.mode(), path)) {
            for lease in known.open.drain(..) {
                self.leases[lease].until = zxid;
            }
        }
    }

    /// Who sets a watch anew or takes it away before the old home has reported it has the new one's word for it.
    fn supersede(&mut self, watch: Watch, path: PathId, at: Millis, faults: &[Fault]) {
        let Some(known) = self.known.get_mut(&(watch.mode(), path)) else { return };
        if known.left.take().is_some_and(|left| quiet(left, at, faults) < REPORT_MS) {
            for &lease in &known.open {
                self.leases[lease].duty = self.leases[lease].duty.min(Duty::Outrun);
            }
        }
    }

    fn set(&mut self, watch: Watch, path: PathId, zxid: i64, at: Millis) {
        self.pending = None;
        self.close(watch, path, zxid);
        self.open(Lease { watch, path, after: zxid, until: i64::MAX, duty: Duty::Must, late_from: None });
        self.known.entry((watch.mode(), path)).or_default().fresh = Some(at);
    }

    /// Once that is answered, all members know.
    fn take_away(&mut self, watch: Watch, path: PathId, zxid: i64) {
        self.pending = None;
        self.close(watch, path, zxid);
        self.known.entry((watch.mode(), path)).or_default().fresh = None;
    }

    fn broke(&mut self, habit: Habit, (home, since): (usize, Millis), at: Millis, faults: &[Fault]) {
        let after = self.shown;
        if let Some((watch, path, is_set)) = self.pending.take() {
            if !is_set {
                // From here on it is in doubt.
                self.close(watch, path, after);
            }
            self.open(Lease { watch, path, after, until: i64::MAX, duty: Duty::May, late_from: None });
        }
        for known in self.known.values_mut() {
            if known.left.is_some_and(|left| quiet(left, at, faults) < REPORT_MS) {
                for &lease in &known.open {
                    self.leases[lease].duty = self.leases[lease].duty.min(Duty::Outrun);
                }
            }
            let Some(fresh) = known.fresh.take() else { continue };
            // Killed while the client was here, or after it had gone.
            let died = faults.iter().any(|fault| {
                let is_ours =
                    fault.is_kill && fault.member == home && fault.from.saturating_add(100) >= since;
                is_ours && quiet(fresh, fault.from, faults) < REPORT_MS
            });
            if !died && quiet(fresh, at, faults) >= REPORT_MS {
                continue;
            }
            for &lease in &known.open {
                // Who names its watches is told by the name on the next connection. But it does not name there what that
                // has told, and when the report comes after it has gone on, nobody can know.
                let next = self.connection + if habit == Habit::Nothing { 1 } else { 2 };
                self.leases[lease].late_from = Some(next);
            }
            if habit == Habit::Nothing {
                let duty = if died { Duty::Unreported } else { Duty::Late };
                known.left = Some(at);
                for &lease in &known.open {
                    self.leases[lease].duty = self.leases[lease].duty.min(duty);
                }
            }
        }
    }
}

/// For how much of the time nothing was wrong with any member.
fn quiet(from: Millis, until: Millis, faults: &[Fault]) -> Millis {
    let mut quiet = 0;
    let mut at = from;
    for fault in faults.iter().filter(|fault| fault.until >= from) {
        quiet += fault.from.min(until).saturating_sub(at);
        at = at.max(fault.until);
    }
    quiet + until.saturating_sub(at)
}
