//! What sessions have taken away, so that what comes late does not bring it back.
//!
//! A home that is cut off or frozen may report what was set there long after its client has thought better of it
//! elsewhere. By then the table knows nothing of the watch, and would take it for a new one.

use std::collections::BTreeMap;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use proto::{SessionId, ZnodePath};

use super::record::{RemovedWatch, Reported};
use super::{Mode, WatchBounds};

/// What one of them is reckoned to take besides its path: an entry of a tree that is half full, on all members alike.
const REMOVED_BYTES: u64 = 80;

type OfSession = BTreeMap<(ZnodePath, Mode), Reported>;

/// What all sessions have taken away.
///
/// Invariants:
/// * no session is here that has taken nothing away.
#[derive(Debug, Default)]
pub(super) struct Removed {
    sessions: HashMap<SessionId, OfSession, RandomState>,
    bytes: u64,
}

impl Removed {
    /// Bytes that all of it is reckoned to take.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Notes that a watch was taken away. Where there is no room the oldest of the same session are forgotten, and this one
    /// if it is the oldest itself: `left` are the bytes that the watches leave. Returns the paths of what was forgotten.
    pub(super) fn note(
        &mut self,
        session: SessionId,
        path: &ZnodePath,
        mode: Mode,
        by: Reported,
        bounds: WatchBounds,
        left: u64,
    ) -> Vec<ZnodePath> {
        let of_session = self.sessions.entry(session).or_default();
        match of_session.get_mut(&(path.clone(), mode)) {
            // A report may come twice, and the older one last.
            Some(known) => *known = by.max(*known),
            None => {
                of_session.insert((path.clone(), mode), by);
                self.bytes += weight(path);
            }
        }
        let mut forgotten = Vec::new();
        while of_session.len() > bounds.removed_per_session || self.bytes > bounds.removed_bytes.min(left) {
            let oldest = of_session.iter().min_by_key(|(key, by)| (**by, *key));
            let Some((path, mode)) = oldest.map(|(key, _)| key.clone()) else { break };
            of_session.remove(&(path.clone(), mode));
            self.bytes -= weight(&path);
            forgotten.push(path);
        }
        if of_session.is_empty() {
            self.sessions.remove(&session);
        }
        forgotten
    }

    /// Whether what was reported so of a watch is over: it was taken away since.
    pub(super) fn is_over(&self, session: SessionId, path: &ZnodePath, mode: Mode, by: Reported) -> bool {
        let Some(of_session) = self.sessions.get(&session) else { return false };
        of_session.get(&(path.clone(), mode)).is_some_and(|removed| by < *removed)
    }

    /// What a session has taken away at a path, in order of modes.
    pub(super) fn at(
        &self,
        session: SessionId,
        path: &ZnodePath,
    ) -> impl Iterator<Item = RemovedWatch> + use<'_> {
        let range = (path.clone(), Mode::Data)..=(path.clone(), Mode::Recursive);
        let of_session = self.sessions.get(&session).into_iter();
        of_session
            .flat_map(move |it| it.range(range.clone()))
            .map(|((_, mode), by)| RemovedWatch { kind: mode.kind(), by: *by })
    }

    /// Where sessions have taken something away, in no particular order of sessions, and each path of one once.
    pub(super) fn places(&self) -> impl Iterator<Item = (SessionId, &ZnodePath)> {
        self.sessions.iter().flat_map(|(session, of_session)| {
            let mut last: Option<&ZnodePath> = None;
            let paths = of_session.keys().map(|(path, _)| path);
            paths.filter(move |path| last.replace(path) != Some(path)).map(|path| (*session, path))
        })
    }

    /// Who has taken something away.
    pub(super) fn sessions(&self) -> impl Iterator<Item = SessionId> {
        self.sessions.keys().copied()
    }

    /// Forgets what a session has taken away that has ended, and returns where that was.
    pub(super) fn end(&mut self, session: SessionId) -> Vec<ZnodePath> {
        let ended = self.sessions.remove(&session).unwrap_or_default();
        let paths: Vec<_> = ended.into_keys().map(|(path, _)| path).collect();
        self.bytes -= paths.iter().map(weight).sum::<u64>();
        paths
    }

    /// Takes in what a record says; `false` if it is here already.
    #[must_use]
    pub(super) fn restore(&mut self, session: SessionId, path: &ZnodePath, removed: RemovedWatch) -> bool {
        let key = (path.clone(), Mode::of(removed.kind));
        let is_new = self.sessions.entry(session).or_default().insert(key, removed.by).is_none();
        self.bytes += if is_new { weight(path) } else { 0 };
        is_new
    }

    /// Panics if an invariant does not hold.
    pub(super) fn assert_invariants(&self) {
        let mut bytes = 0;
        for (session, of_session) in &self.sessions {
            assert!(!of_session.is_empty(), "{session} has taken nothing away");
            bytes += of_session.keys().map(|(path, _)| weight(path)).sum::<u64>();
        }
        assert_eq!(bytes, self.bytes, "bytes of what was taken away");
    }
}

fn weight(path: &ZnodePath) -> u64 {
    REMOVED_BYTES + path.len() as u64
}
