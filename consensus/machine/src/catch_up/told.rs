//! What a connection has been told of what it missed, so that nothing is told twice.

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};
use proto::path::ancestors;
use proto::{Event, EventKind, ZnodePath, Zxid, limits};

use crate::command::WatchKind;
use crate::history::Place;

/// What a connection has been told by way of catching up, so that nothing is told twice where a client's watches come
/// in several lists. It belongs to one connection, and is dropped as soon as the client asks for anything else: from
/// then on it may set the same watches anew.
#[derive(Debug, Default)]
pub struct Told {
    /// What one-shot watches were told, and what was concluded from the tree.
    events: HashSet<(Option<Zxid>, EventKind, ZnodePath), RandomState>,
    /// Persistent watches, each with the zxid since which it has told everything: what was missed, then what came.
    persistent: HashMap<ZnodePath, Zxid, RandomState>,
    /// The same of recursive watches.
    recursive: HashMap<ZnodePath, Zxid, RandomState>,
    /// One-shot watches that were left waiting, by their lists: whatever comes is told when it comes. One for what is
    /// there says nothing of one for what is not. Who has both at a path was not told, since it could not read there,
    /// what ended the older one, and that may still be waited for.
    waiting: HashSet<(WatchKind, ZnodePath), RandomState>,
}

/// An event that the history shows.
#[derive(Debug)]
pub(super) struct Seen {
    /// Where it stands.
    pub(super) place: Place,
    /// It is the first event of a one-shot watch, rather than one of many.
    pub(super) is_once: bool,
    /// The client may read what it is about: if not, no persistent watch has told it.
    pub(super) is_readable: bool,
    /// The event itself.
    pub(super) event: Event,
}

impl Seen {
    /// What it is: the same for every watch that is told it. A deletion comes before what it means to the parent.
    fn identity(&self) -> (Place, bool) {
        (self.place, self.event.kind == EventKind::ChildrenChanged)
    }
}

impl Told {
    /// Whether nothing was told, nor left waiting.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
            && self.persistent.is_empty()
            && self.recursive.is_empty()
            && self.waiting.is_empty()
    }

    /// Puts what was missed in order, leaves out what was told, and notes the rest as told. Says too whether that is
    /// all of it.
    pub(super) fn without_repeats(
        &mut self,
        concluded: Vec<Event>,
        mut seen: Vec<Seen>,
    ) -> (Vec<Event>, bool) {
        // In front of its like stands what has to be told in any case.
        seen.sort_unstable_by_key(|seen| (seen.identity(), !seen.is_once));
        seen.dedup_by_key(|seen| seen.identity());
        seen.retain(|seen| !self.holds(seen));
        let fits = seen.len() <= limits::CATCH_UP_EVENTS_MAX;
        if !fits {
            leave_only_the_last(&mut seen);
        }
        let mut events = concluded;
        events.retain(|event| self.events.insert((None, event.kind, event.path.clone())));
        for Seen { is_once, event, .. } in seen {
            if is_once {
                self.events.insert((event.zxid, event.kind, event.path.clone()));
            }
            events.push(event);
        }
        (events, fits)
    }

    /// Notes that these watches have been told everything since, and will be told whatever comes.
    pub(super) fn told_since(&mut self, since: Zxid, persistent: Vec<ZnodePath>, recursive: Vec<ZnodePath>) {
        for (known, paths) in [(&mut self.persistent, persistent), (&mut self.recursive, recursive)] {
            for path in paths {
                let known = known.entry(path).or_insert(since);
                *known = since.min(*known);
            }
        }
    }

    /// Notes that a one-shot watch was left waiting.
    pub(super) fn waits(&mut self, kind: WatchKind, path: &ZnodePath) {
        self.waiting.insert((kind, path.clone()));
    }

    /// Whether a one-shot watch was left waiting before.
    pub(super) fn is_waiting(&self, kind: WatchKind, path: &ZnodePath) -> bool {
        self.waiting.contains(&(kind, path.clone()))
    }

    fn holds(&self, seen: &Seen) -> bool {
        let Seen { event, is_readable, .. } = seen;
        let told = |known: &HashMap<ZnodePath, Zxid, RandomState>, path: &str| {
            known.get(path).is_some_and(|&since| event.zxid.is_some_and(|zxid| zxid > since))
        };
        let (path, is_family) = (&*event.path, event.kind == EventKind::ChildrenChanged);
        let is_told_by_persistent = || {
            told(&self.persistent, path)
                || (!is_family && !self.recursive.is_empty())
                    && std::iter::once(path).chain(ancestors(path)).any(|path| told(&self.recursive, path))
        };
        *is_readable && is_told_by_persistent()
            || !self.events.is_empty() && self.events.contains(&(event.zxid, event.kind, event.path.clone()))
    }
}

/// Of the events of persistent watches, leaves the last one of each znode and the last one of its children.
fn leave_only_the_last(seen: &mut Vec<Seen>) {
    let mut told: HashSet<(ZnodePath, bool), RandomState> = HashSet::default();
    seen.reverse();
    seen.retain(|seen| told.insert((seen.event.path.clone(), seen.identity().1)) || seen.is_once);
    seen.reverse();
}
