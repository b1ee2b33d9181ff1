//! What every session was told, against what it was owed. A pure function.

use std::collections::HashMap;

use proto::EventKind;

use super::due::{Due, Duty, Index, due};
use super::history::{History, Log, Millis, Moment};
use super::paths::{PathId, Paths};
use super::tally::{Row, Tally};

/// How long a member waits for the watches of a client that has come back. If they come later, it has told what the
/// members know of them already, and what they do not know comes behind that.
const GRACE_MS: Millis = 200;

/// In what way a session was not served as it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wrong {
    /// What it is owed never came.
    Lost,
    /// Something else came in its place.
    Distorted,
    /// What it is owed came behind a reply that shows the world with the change.
    Behind,
    /// An event came behind one that happened later.
    Disordered,
    /// What it was told came again, though it had shown to have seen it, or on the same connection.
    Repeated,
    /// What it is not owed, or what never happened.
    Unowed,
    /// A reply shows an older world than one before.
    Backwards,
    /// Something that has nothing to do with events.
    Other,
}

/// One such case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its kind.
    pub wrong: Wrong,
    /// The case, in words.
    pub text: String,
    /// Which session of the history, and which of its moments, if it is about one.
    pub place: Option<(usize, usize)>,
    /// The event that it is about.
    pub event: Option<(i64, PathId)>,
}

/// What a history comes to.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// The counts.
    pub tally: Tally,
    /// All that is wrong.
    pub violations: Vec<Violation>,
}

/// Compares what sessions were told with what they were owed.
pub fn judge(paths: &Paths, history: &History) -> Verdict {
    let mut verdict = Verdict::default();
    verdict.tally.changes = history.changes.len() as u64;
    let index = Index::new(paths, &history.changes);
    for (session, log) in history.sessions.iter().enumerate() {
        let mut hearing = Hearing::new(paths, (session, log), due(paths, history, &index, log));
        hearing.hear();
        hearing.conclude(&mut verdict);
    }
    verdict
}

/// What has become of an event that is owed, or of several that look the same because they are of one transaction.
#[derive(Debug)]
struct Slot {
    due: Due,
    /// How many are owed.
    count: u32,
    /// How many have been told, on whichever connection told most of them.
    told: u32,
    /// How many have been told on which connection last.
    here: (u32, u32),
    is_distorted: bool,
    is_late: bool,
    /// How often it has come for a watch that may have become known late, after it had come for another.
    told_late: u32,
}

struct Hearing<'a> {
    paths: &'a Paths,
    session: usize,
    log: &'a Log,
    /// Which of its moments is heard.
    moment: usize,
    /// In order of their zxids.
    slots: Vec<Slot>,
    by_event: HashMap<(i64, EventKind, PathId), usize>,
    by_path: HashMap<PathId, Vec<usize>>,
    connection: u32,
    /// What the greeting of this connection said.
    greeted: i64,
    /// The last zxid that any reply has shown, on this connection or before it.
    shown: i64,
    last_event: i64,
    /// When this connection was made, until something was answered on it.
    fresh: Option<Millis>,
    row: Row,
    violations: Vec<Violation>,
}

impl<'a> Hearing<'a> {
    fn new(paths: &'a Paths, (session, log): (usize, &'a Log), owed: Vec<Due>) -> Self {
        let mut slots: Vec<Slot> = Vec::with_capacity(owed.len());
        let mut by_event = HashMap::new();
        let mut by_path: HashMap<PathId, Vec<usize>> = HashMap::new();
        for due in owed {
            let place = *by_event.entry((due.zxid, due.kind, due.path)).or_insert(slots.len());
            match slots.get_mut(place) {
                Some(slot) => {
                    slot.count += 1;
                    slot.due.late_watches += due.late_watches;
                    slot.due.late_from = slot.due.late_from.min(due.late_from);
                    // If one of them may be missing, nobody can tell which one is.
                    slot.due.duty = slot.due.duty.min(due.duty);
                }
                None => {
                    by_path.entry(due.path).or_default().push(place);
                    let (is_distorted, is_late, told_late) = (false, false, 0);
                    slots.push(Slot {
                        due,
                        count: 1,
                        told: 0,
                        here: (0, 0),
                        is_distorted,
                        is_late,
                        told_late,
                    });
                }
            }
        }
        Self {
            paths,
            session,
            log,
            moment: 0,
            slots,
            by_event,
            by_path,
            connection: 0,
            greeted: 0,
            shown: 0,
            last_event: 0,
            fresh: None,
            row: Row::default(),
            violations: Vec::new(),
        }
    }

    fn hear(&mut self) {
        for (place, moment) in self.log.moments.iter().enumerate() {
            self.moment = place;
            match *moment {
                Moment::Connected { seen, at, .. } => {
                    self.connection += 1;
                    self.fresh = Some(at);
                    self.greeted = seen;
                    self.last_event = 0;
                    self.row.connections += 1;
                }
                Moment::Told { zxid, kind, path, at } if zxid > 0 => self.told(zxid, kind, path, at),
                Moment::Told { kind, path, .. } => self.told_without_zxid(kind, path),
                Moment::Stray(ref text) => self.accuse(Wrong::Unowed, None, text),
                Moment::Replied { zxid, .. } | Moment::Armed { zxid, .. } | Moment::Removed { zxid, .. } => {
                    if zxid < self.shown {
                        let text = format!("a reply shows {zxid:#x}, one before showed {:#x}", self.shown);
                        self.accuse(Wrong::Backwards, None, &text);
                    }
                    self.shown = self.shown.max(zxid);
                    self.fresh = None;
                }
                _ => {}
            }
        }
    }

    fn told(&mut self, zxid: i64, kind: EventKind, path: PathId, at: Millis) {
        self.row.notifications += 1;
        let (last_event, shown) = (self.last_event, self.shown);
        self.last_event = self.last_event.max(zxid);
        let Some(&place) = self.by_event.get(&(zxid, kind, path)) else {
            return self.unowed(zxid, kind, path);
        };
        let (connection, greeted) = (self.connection, self.greeted);
        let slot = &mut self.slots[place];
        let here = if slot.here.0 == connection { slot.here.1 + 1 } else { 1 };
        slot.here = (connection, here);
        let is_new = here > slot.told && here <= slot.count;
        let duty = slot.due.duty;
        slot.told = slot.told.max(here).min(slot.count);
        let (late, disordered) = (is_new && zxid <= shown, zxid < last_event);
        if late || disordered {
            slot.is_late = true;
        }
        if !is_new {
            if here <= slot.count && zxid > greeted {
                self.row.again += 1;
            } else if slot.told_late < slot.due.late_watches && connection >= slot.due.late_from {
                slot.told_late += 1;
                slot.is_late = true;
                return;
            } else {
                let again = if here > slot.count { "on the same connection" } else { "though it was seen" };
                return self.accuse_event(Wrong::Repeated, (zxid, kind, path), again);
            }
        }
        if duty < Duty::Must {
            return;
        }
        if late {
            let why = format!("behind a reply that shows {shown:#x}");
            self.accuse_event(Wrong::Behind, (zxid, kind, path), &why);
        } else if disordered && self.fresh.is_none_or(|since| at < since + GRACE_MS) {
            let why = format!("behind an event of {last_event:#x}");
            self.accuse_event(Wrong::Disordered, (zxid, kind, path), &why);
        }
    }

    /// What only a comparison of stats has found, or what a member says that does not say more: it is taken for the
    /// first event of its kind that it can be.
    fn told_without_zxid(&mut self, kind: EventKind, path: PathId) {
        self.row.notifications += 1;
        let (shown, greeted, connection) = (self.shown, self.greeted, self.connection);
        let places = self.by_path.get(&path).map_or(&[][..], Vec::as_slice);
        let fits = |slot: &Slot| slot.due.kind == kind && slot.due.zxid > shown && slot.told < slot.count;
        let first = places.iter().copied().find(|place| fits(&self.slots[*place]));
        if let Some(place) = first {
            let slot = &mut self.slots[place];
            slot.told += 1;
            slot.here = (connection, slot.told);
            return;
        }
        let again =
            |slot: &Slot| slot.due.kind == kind && slot.due.zxid > greeted && slot.here.0 < connection;
        match places.iter().copied().find(|place| again(&self.slots[*place])) {
            Some(place) => {
                self.slots[place].here = (connection, 1);
                self.row.again += 1;
            }
            None => self.unowed(i64::MAX, kind, path),
        }
    }

    fn unowed(&mut self, zxid: i64, kind: EventKind, path: PathId) {
        let places = self.by_path.get(&path).map_or(&[][..], Vec::as_slice);
        let waits = |slot: &Slot| {
            let Due { zxid: owed, watch, duty, .. } = slot.due;
            watch.is_once() && duty > Duty::May && owed <= zxid && slot.told == 0 && !slot.is_distorted
        };
        match places.iter().copied().find(|place| waits(&self.slots[*place])) {
            Some(place) => {
                self.slots[place].is_distorted = true;
                let Due { zxid: owed, kind: instead, .. } = self.slots[place].due;
                let why = format!("where `{instead}` of {owed:#x} is owed");
                self.accuse_event(Wrong::Distorted, (zxid, kind, path), &why);
            }
            None => self.accuse_event(Wrong::Unowed, (zxid, kind, path), "which is not owed"),
        }
    }

    fn conclude(mut self, verdict: &mut Verdict) {
        for text in &self.log.violations {
            let text = self.in_words(text);
            self.violations.push(Violation { wrong: Wrong::Other, text, place: None, event: None });
        }
        let mut lost = Vec::new();
        for slot in &self.slots {
            let Due { zxid, kind, path, watch, duty, .. } = slot.due;
            // What its session did not live to see, nobody can say.
            if zxid > self.shown || duty == Duty::May {
                continue;
            }
            let count = &mut self.row.of(watch);
            let missing = u64::from(slot.count - slot.told);
            count.due += u64::from(slot.count);
            count.told += u64::from(slot.told);
            count.late += u64::from(slot.is_late);
            if missing > 0 && slot.is_distorted {
                count.distorted += missing;
            } else if missing > 0 && duty == Duty::Unreported {
                count.unreported += missing;
            } else if missing > 0 && duty == Duty::Outrun {
                count.outrun += missing;
            } else if missing > 0 {
                count.lost += missing;
                lost.push(((zxid, kind, path), format!("is owed to its watch ({watch:?}) and never came")));
            }
        }
        for (event, why) in lost {
            // Where it should have been told at the latest.
            let shows = |moment: &Moment| matches!(moment, Moment::Replied { zxid, .. } if *zxid >= event.0);
            self.moment = self.log.moments.iter().position(shows).unwrap_or_default();
            self.accuse_event(Wrong::Lost, event, &why);
        }
        verdict.tally.add(self.log.habit, &self.row);
        for violation in &self.violations {
            *verdict.tally.wrong.entry(violation.wrong).or_default() += 1;
        }
        verdict.violations.append(&mut self.violations);
    }

    fn accuse_event(&mut self, wrong: Wrong, (zxid, kind, path): (i64, EventKind, PathId), why: &str) {
        let words = if zxid == i64::MAX { "no zxid".to_owned() } else { format!("{zxid:#x}") };
        let text = format!("`{kind} {}` of {words}: {why}", self.paths.name(path));
        self.accuse(wrong, Some((zxid, path)), &text);
    }

    fn accuse(&mut self, wrong: Wrong, event: Option<(i64, PathId)>, text: &str) {
        let text = format!("{} (connection {})", self.in_words(text), self.connection);
        self.violations.push(Violation { wrong, text, place: Some((self.session, self.moment)), event });
    }

    fn in_words(&self, text: &str) -> String {
        format!("{:#x} {:?}: {text}", self.log.session, self.log.habit)
    }
}
