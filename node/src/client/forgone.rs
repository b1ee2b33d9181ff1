//! What a client has taken away itself since it came back.
//!
//! Its old home may be slow to report what the client set there. The client may have thought better of it here
//! meanwhile, and then the report is not to bring the watch back. (What it has set here anew, the members know of.)
use foldhash::fast::RandomState;
use hashbrown::HashSet;
use machine::WatchKind;
use proto::Text;
use proto::limits::FORGONE_WATCHES_MAX;
use proto::request::{SetWatches, WatcherType};

use crate::watch::meant_by;

/// The watches that a connection has taken away, if its session had another connection before.
#[derive(Debug, Default)]
pub(super) struct Forgone {
    has_returned: bool,
    watches: HashSet<(Text, WatchKind), RandomState>,
}

impl Forgone {
    /// Of a connection, whose session may have had another one before.
    pub(super) fn new(has_returned: bool) -> Self {
        Self { has_returned, watches: HashSet::default() }
    }

    /// Notes that watches were taken away, whether they were there or not.
    pub(super) fn taken_away(&mut self, path: &Text, meant: WatcherType) {
        for &kind in meant_by(meant) {
            if self.has_returned && self.watches.len() < FORGONE_WATCHES_MAX {
                self.watches.insert((path.clone(), kind));
            }
        }
    }

    /// Notes that a watch was set.
    pub(super) fn set(&mut self, path: &Text, kind: WatchKind) {
        if !self.watches.is_empty() {
            self.watches.remove(&(path.clone(), one_of_mode(kind)));
        }
    }

    /// Strikes out of a late report what the client has taken away, and returns that: the members take it for set now.
    pub(super) fn strike(&self, late: &mut SetWatches) -> Vec<(Text, WatchKind)> {
        let mut struck = Vec::new();
        let SetWatches { relative: _, data, exist, child, persistent, recursive } = late;
        for (list, kind) in [
            (data, WatchKind::Data),
            (exist, WatchKind::Exist),
            (child, WatchKind::Child),
            (persistent, WatchKind::Persistent),
            (recursive, WatchKind::Recursive),
        ] {
            list.retain(|path| {
                let watch = (path.clone(), one_of_mode(kind));
                let is_forgone = self.watches.contains(&watch);
                struck.extend(is_forgone.then_some(watch));
                !is_forgone
            });
        }
        struck
    }
}

/// Watches for a znode that is there and for one that is not are the same to who takes them away.
const fn one_of_mode(kind: WatchKind) -> WatchKind {
    match kind {
        WatchKind::Exist => WatchKind::Data,
        kind => kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn late() -> SetWatches {
        let list = |paths: &[&str]| paths.iter().map(|path| Text::from(*path)).collect();
        SetWatches {
            data: list(&["/a", "/b"]),
            exist: list(&["/c"]),
            persistent: list(&["/a"]),
            ..SetWatches::default()
        }
    }

    #[test]
    fn what_was_taken_away_is_struck_out_unless_it_was_set_again() {
        let mut forgone = Forgone::new(true);
        forgone.taken_away(&"/a".into(), WatcherType::Persistent);
        forgone.taken_away(&"/b".into(), WatcherType::Any);
        forgone.taken_away(&"/c".into(), WatcherType::Data);
        forgone.set(&"/b".into(), WatchKind::Exist);
        let mut late = late();
        let expected = [("/c".into(), WatchKind::Data), ("/a".into(), WatchKind::Persistent)];
        assert_eq!(forgone.strike(&mut late), expected);
        assert_eq!((late.data.len(), late.exist.len(), late.persistent.len()), (2, 0, 0));
    }

    #[test]
    fn who_has_not_come_back_has_no_old_home() {
        let mut forgone = Forgone::new(false);
        forgone.taken_away(&"/a".into(), WatcherType::Any);
        assert_eq!(forgone.strike(&mut late()), []);
    }
}
