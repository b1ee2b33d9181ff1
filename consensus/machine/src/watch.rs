//! Which session waits for what, as every member knows it.
//!
//! Who is connected is told by the live table of its home. This one is for those who are not: it knows of each watch
//! when it was armed and, if it tells only once, what has spent it since. Its home reports all that, and late, because
//! no read waits for it. So nothing here depends on when a report comes: each says at which zxid it was true, a newer
//! one stands against an older, and whatever is told once too often is dropped by the client, which knows best what it
//! waits for.

mod record;
mod removed;

use std::collections::BTreeSet;
use std::ops::Bound;

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};
use proto::{Attachment, EventKind, SessionId, ZnodePath, Zxid, limits};
use smallvec::SmallVec;

use crate::command::WatchKind;
use crate::outcome::{Change, ChangeKind};
use removed::Removed;

pub use record::{ArmedWatch, RemovedWatch, Reported, Spent, WatchRecord};

/// What became of a watch that was to be armed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arming {
    /// It is armed.
    New,
    /// As much was known already, or more; or it was taken away since.
    Known,
    /// There is no room for it.
    NoRoom,
}

/// How many watches there may be. It is part of what the members must agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchBounds {
    /// Of one session.
    pub per_session: usize,
    /// Bytes that all of them are reckoned to take, and what was taken away.
    pub bytes: u64,
    /// How many that were taken away are remembered of one session.
    pub removed_per_session: usize,
    /// Bytes that those of all sessions are reckoned to take.
    pub removed_bytes: u64,
}

impl Default for WatchBounds {
    fn default() -> Self {
        Self {
            per_session: limits::WATCHES_PER_SESSION_MAX,
            bytes: limits::WATCHES_BYTES_MAX,
            removed_per_session: limits::REMOVED_WATCHES_PER_SESSION_MAX,
            removed_bytes: limits::REMOVED_WATCHES_BYTES_MAX,
        }
    }
}

/// What one watch is reckoned to take besides its path: its place at the path, and the path's among those of its session. A number, and
/// not what the compiler makes of it: by this it is decided what there is room for, and all members must decide alike.
const WATCH_BYTES: u64 = 88;

/// A watch at its path.
#[derive(Clone, Copy, Debug)]
struct Held {
    session: SessionId,
    watch: ArmedWatch,
}

impl Held {
    fn key(&self) -> (SessionId, Mode) {
        (self.session, Mode::of(self.watch.kind))
    }
}

/// What a session has at most one of at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Mode {
    Data,
    Child,
    Persistent,
    Recursive,
}

impl Mode {
    const fn of(kind: WatchKind) -> Self {
        match kind {
            WatchKind::Data | WatchKind::Exist => Self::Data,
            WatchKind::Child => Self::Child,
            WatchKind::Persistent => Self::Persistent,
            WatchKind::Recursive => Self::Recursive,
        }
    }

    const fn kind(self) -> WatchKind {
        match self {
            Self::Data => WatchKind::Data,
            Self::Child => WatchKind::Child,
            Self::Persistent => WatchKind::Persistent,
            Self::Recursive => WatchKind::Recursive,
        }
    }
}

/// In order of sessions and modes. Most paths have one.
type Listeners = SmallVec<[Held; 1]>;

/// Where one session listens.
#[derive(Debug, Default)]
struct Listening {
    // In order, so that whoever looks at many can let go of the world in between and go on where he was.
    paths: BTreeSet<ZnodePath>,
    /// Paths where a watch has been spent, and perhaps armed anew.
    spent: HashSet<ZnodePath, RandomState>,
    watches: usize,
}

/// The watches of all sessions.
///
/// Invariants:
/// * a path is among those of a session exactly when the session has a watch there;
/// * where a session has a spent watch, that is known of the path;
/// * no path is without a watch, and no session;
/// * what is spent was armed before.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    bounds: WatchBounds,
    // In a box, because a table grows by doubling and would hold much empty room of the size of a watch.
    paths: HashMap<ZnodePath, Box<Listeners>, RandomState>,
    sessions: HashMap<SessionId, Listening, RandomState>,
    len: usize,
    bytes: u64,
    removed: Removed,
    touched: HashSet<(SessionId, ZnodePath), RandomState>,
}

impl Watches {
    /// Sets how many there may be. What is there stays.
    pub(crate) fn set_bounds(&mut self, bounds: WatchBounds) {
        self.bounds = bounds;
    }

    /// How many there are, at how many paths, and of how many sessions.
    pub(crate) fn counts(&self) -> (usize, usize, usize) {
        (self.len, self.paths.len(), self.sessions.len())
    }

    /// Bytes that they are reckoned to take, and what was taken away.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes + self.removed.bytes()
    }

    /// Arms a watch that was reported so. To arm what was armed at the same zxid or later changes nothing, so a report
    /// may come twice; nor does what was reported before the watch was taken away.
    pub(crate) fn arm(
        &mut self,
        session: SessionId,
        path: &ZnodePath,
        watch: ArmedWatch,
        by: Reported,
    ) -> Arming {
        let (held, mode) = (Held { session, watch }, Mode::of(watch.kind));
        if self.removed.is_over(session, path, mode, by) {
            return Arming::Known;
        }
        match self.find(session, path, mode) {
            Some(known) if known.armed >= watch.armed => return Arming::Known,
            // Nothing that it would have told is to be left out.
            Some(known) if matches!(known.kind, WatchKind::Persistent | WatchKind::Recursive) => {
                return Arming::Known;
            }
            Some(known) => {
                *known = watch;
                self.changed(session, path, watch.spent.is_some());
                return Arming::New;
            }
            None => {}
        }
        let count = self.sessions.get(&session).map_or(0, |it| it.watches);
        let bytes = weight(path);
        if count >= self.bounds.per_session || self.bytes() + bytes > self.bounds.bytes {
            return Arming::NoRoom;
        }
        self.insert(path, held);
        self.changed(session, path, watch.spent.is_some());
        Arming::New
    }

    /// Takes a watch away that the client took away at `zxid`, unless it was armed anew since; and remembers it, so that
    /// no older report brings it back.
    pub(crate) fn disarm(
        &mut self,
        session: SessionId,
        path: &ZnodePath,
        kind: WatchKind,
        zxid: Zxid,
        by: Reported,
    ) {
        let mode = Mode::of(kind);
        if self.find(session, path, mode).is_some_and(|known| known.armed <= zxid) {
            self.remove(path, |held| held.key() == (session, mode));
        }
        // Who has had no other home has none that could be late.
        if by.attachment > Attachment::new(1) {
            let left = self.bounds.bytes.saturating_sub(self.bytes);
            let forgotten = self.removed.note(session, path, mode, by, self.bounds, left);
            self.touched.extend(forgotten.into_iter().chain([path.clone()]).map(|path| (session, path)));
        }
    }

    /// Notes that the client has received everything up to `zxid`: what was spent until then has been told.
    pub(crate) fn seen(&mut self, session: SessionId, zxid: Zxid) {
        let is_told =
            |held: &Held| held.session == session && held.watch.spent.is_some_and(|spent| spent.zxid <= zxid);
        let Some(listening) = self.sessions.get_mut(&session) else { return };
        let mut told = Vec::new();
        listening.spent.retain(|path| {
            let held = self.paths.get(&**path).map_or(&[][..], |listeners| of(listeners, session));
            told.extend(held.iter().any(is_told).then(|| path.clone()));
            held.iter().any(|held| held.watch.spent.is_some() && !is_told(held))
        });
        for path in told {
            self.remove(&path, is_told);
        }
    }

    /// Spends the one-shot watches that a change hits.
    pub(crate) fn spend(&mut self, zxid: Zxid, change: &Change) {
        if self.paths.is_empty() {
            return;
        }
        let kind = change.kind.event();
        self.spend_at(&change.path, Spent { zxid, kind }, |mode| {
            mode == Mode::Data || mode == Mode::Child && change.kind == ChangeKind::Deleted
        });
        if let (ChangeKind::Created | ChangeKind::Deleted, Some(parent)) = (change.kind, change.path.parent())
        {
            let spent = Spent { zxid, kind: EventKind::ChildrenChanged };
            self.spend_at(parent, spent, |mode| mode == Mode::Child);
        }
    }

    /// Takes away all watches of a session that has ended.
    pub(crate) fn end(&mut self, session: SessionId) {
        self.touched.extend(self.removed.end(session).into_iter().map(|path| (session, path)));
        let Some(listening) = self.sessions.get(&session) else { return };
        for path in listening.paths.iter().cloned().collect::<Vec<_>>() {
            self.remove(&path, |held| held.session == session);
        }
    }

    /// What a session waits for at a path, or has taken away there.
    pub(crate) fn get(&self, session: SessionId, path: &ZnodePath) -> Option<WatchRecord> {
        let held = self.paths.get(path).map_or(&[][..], |listeners| of(listeners, session));
        let record = self.record(session, path, held);
        (!record.watches.is_empty() || !record.removed.is_empty()).then_some(record)
    }

    /// All that a session waits for, in order of paths.
    pub(crate) fn of_session(&self, session: SessionId) -> impl Iterator<Item = (&ZnodePath, &ArmedWatch)> {
        self.of_session_behind(session, None)
    }

    /// The same behind a path, which need not be among them.
    pub(crate) fn of_session_behind(
        &self,
        session: SessionId,
        behind: Option<&ZnodePath>,
    ) -> impl Iterator<Item = (&ZnodePath, &ArmedWatch)> {
        let range = (behind.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let listening = self.sessions.get(&session).into_iter();
        listening.flat_map(move |listening| listening.paths.range::<ZnodePath, _>(range)).flat_map(
            move |path| {
                let held = self.paths.get(path).map_or(&[][..], |listeners| of(listeners, session));
                held.iter().map(move |held| (path, &held.watch))
            },
        )
    }

    /// All watches and what was taken away, in no particular order.
    pub(crate) fn records(&self) -> impl Iterator<Item = WatchRecord> {
        let waiting = self.paths.iter().flat_map(|(path, listeners)| {
            let of_sessions = listeners.chunk_by(|one, other| one.session == other.session);
            of_sessions.map(|held| self.record(held[0].session, path, held))
        });
        let is_waiting =
            |session, path: &str| self.paths.get(path).is_some_and(|it| !of(it, session).is_empty());
        let left = self.removed.places().filter(move |(session, path)| !is_waiting(*session, path));
        waiting.chain(left.map(|(session, path)| self.record(session, path, &[])))
    }

    fn record(&self, session: SessionId, path: &ZnodePath, held: &[Held]) -> WatchRecord {
        let watches = held.iter().map(|held| held.watch).collect();
        WatchRecord {
            session,
            path: path.clone(),
            watches,
            removed: self.removed.at(session, path).collect(),
        }
    }

    /// Whose watches at which paths were changed since this was last asked; not sorted.
    pub(crate) fn take_touched(&mut self) -> Vec<(SessionId, ZnodePath)> {
        self.touched.drain().collect()
    }

    /// Who has watches, or has taken some away.
    pub(crate) fn sessions(&self) -> impl Iterator<Item = SessionId> {
        self.sessions.keys().copied().chain(self.removed.sessions())
    }

    /// Takes in what a record says; `false` if some of it is here already, or if it says nothing.
    #[must_use]
    pub(crate) fn restore(&mut self, record: &WatchRecord, path: &ZnodePath) -> bool {
        for &watch in &record.watches {
            if self.find(record.session, path, Mode::of(watch.kind)).is_some() {
                return false;
            }
            self.insert(path, Held { session: record.session, watch });
            if watch.spent.is_some() {
                self.note_spent(record.session, path);
            }
        }
        record.removed.iter().all(|&removed| self.removed.restore(record.session, path, removed))
            && !(record.watches.is_empty() && record.removed.is_empty())
    }

    /// Panics if an invariant does not hold.
    pub(crate) fn assert_invariants(&self) {
        self.removed.assert_invariants();
        let (mut bytes, mut pairs, mut watches) = (0, 0, 0);
        for (path, listeners) in &self.paths {
            assert!(!listeners.is_empty(), "nobody listens at {path}");
            assert!(listeners.is_sorted_by(|one, other| one.key() < other.key()), "listeners at {path}");
            for held in listeners.iter() {
                let paths = self.sessions.get(&held.session).map(|it| &it.paths);
                assert!(paths.is_some_and(|it| it.contains(path)), "{} has forgotten {path}", held.session);
                let ArmedWatch { armed, spent, .. } = held.watch;
                let known = self.sessions.get(&held.session).is_some_and(|it| it.spent.contains(path));
                assert!(spent.is_none() || known, "{} does not know what was spent at {path}", held.session);
                assert!(spent.is_none_or(|spent| spent.zxid > armed), "spent before it was armed at {path}");
                bytes += weight(path);
                watches += 1;
            }
            pairs += listeners.chunk_by(|one, other| one.session == other.session).count();
        }
        assert_eq!(bytes, self.bytes, "bytes of watches");
        assert_eq!(watches, self.len, "count of watches");
        assert_eq!(watches, self.sessions.values().map(|it| it.watches).sum(), "watches of sessions");
        assert_eq!(pairs, self.sessions.values().map(|it| it.paths.len()).sum(), "paths of sessions");
        for (session, listening) in &self.sessions {
            assert!(listening.watches > 0, "{session} has no watches");
            assert!(
                listening.spent.iter().all(|path| listening.paths.contains(path)),
                "{session} has spent what it never had"
            );
        }
    }

    fn find(&mut self, session: SessionId, path: &str, mode: Mode) -> Option<&mut ArmedWatch> {
        let listeners = self.paths.get_mut(path)?;
        let place = listeners.binary_search_by_key(&(session, mode), Held::key).ok()?;
        Some(&mut listeners[place].watch)
    }

    fn insert(&mut self, path: &ZnodePath, held: Held) {
        let listeners = self.paths.entry_ref(path).or_default();
        let place = listeners.partition_point(|it| it.key() < held.key());
        listeners.insert(place, held);
        let listening = self.sessions.entry(held.session).or_default();
        listening.watches += 1;
        self.len += 1;
        listening.paths.insert(path.clone());
        self.bytes += weight(path);
    }

    fn remove(&mut self, path: &ZnodePath, goes: impl Fn(&Held) -> bool) {
        let Some(listeners) = self.paths.get_mut(path) else { return };
        let mut gone: SmallVec<[SessionId; 4]> = SmallVec::new();
        listeners.retain(|held| {
            let goes = goes(held);
            gone.extend(goes.then_some(held.session));
            !goes
        });
        for session in gone {
            self.len -= 1;
            self.bytes -= weight(path);
            self.touched.insert((session, path.clone()));
            let Some(listening) = self.sessions.get_mut(&session) else { continue };
            listening.watches -= 1;
            if of(listeners, session).is_empty() {
                listening.paths.remove(path);
                listening.spent.remove(path);
            }
            if listening.watches == 0 {
                self.sessions.remove(&session);
            }
        }
        if listeners.is_empty() {
            self.paths.remove(path);
        }
    }

    fn spend_at(&mut self, path: &str, spent: Spent, hits: impl Fn(Mode) -> bool) {
        let Some((path, _)) = self.paths.get_key_value(path) else { return };
        let path = path.clone();
        let Some(listeners) = self.paths.get_mut(&path) else { return };
        let mut hit: SmallVec<[SessionId; 4]> = SmallVec::new();
        for Held { session, watch } in listeners.iter_mut() {
            if watch.spent.is_none() && watch.armed < spent.zxid && hits(Mode::of(watch.kind)) {
                watch.spent = Some(spent);
                hit.push(*session);
            }
        }
        for session in hit {
            self.changed(session, &path, true);
        }
    }

    fn changed(&mut self, session: SessionId, path: &ZnodePath, spent: bool) {
        self.touched.insert((session, path.clone()));
        if spent {
            self.note_spent(session, path);
        }
    }

    fn note_spent(&mut self, session: SessionId, path: &ZnodePath) {
        if let Some(listening) = self.sessions.get_mut(&session) {
            listening.spent.insert(path.clone());
        }
    }
}

/// The watches of one session among the listeners at a path.
fn of(listeners: &Listeners, session: SessionId) -> &[Held] {
    let first = listeners.partition_point(|held| held.session < session);
    let rest = &listeners[first..];
    &rest[..rest.iter().take_while(|held| held.session == session).count()]
}

fn weight(path: &ZnodePath) -> u64 {
    WATCH_BYTES + path.len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_stays_small() {
        assert!(size_of::<Held>() <= 40, "{} bytes", size_of::<Held>());
    }
}
