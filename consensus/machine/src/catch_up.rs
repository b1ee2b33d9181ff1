//! What a listener missed since a zxid.
//!
//! The history says what really happened. What lies behind its beginning is the *gap*: of that, only what it left in
//! the tree can be told, by comparing stats as ZooKeeper does.

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};
use proto::path::ancestors;
use proto::request::SetWatches;
use proto::{Acl, Event, EventKind, Permissions, Text, ZnodePath, Zxid, limits};

use crate::acl::permits;
use crate::command::Identities;
use crate::history::{History, Past, Place};
use crate::outcome::ChangeKind;
use crate::tree::Tree;
use crate::znode::Znode;

/// What a returning client's list of watches comes to.
#[derive(Debug, Default)]
pub struct CatchUp {
    /// What it missed, and has not been told yet. What was concluded from the tree stands in front and carries no
    /// zxid; what the history shows follows in order of its zxids.
    pub events: Vec<Event>,
    /// What it still waits for: the lists of the request without the one-shot watches that fired.
    pub waiting: SetWatches,
    /// Whether the events are all that was missed by the persistent and recursive watches. They are not if history
    /// does not reach back: what came and went in the gap has left nothing to be found, and what was deleted below a
    /// recursive watch neither.
    pub whole: bool,
}

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
}

/// Finds what a returning client missed. A one-shot watch is told its first event, even if the client may not read
/// there: the client has named the znode itself, and ZooKeeper tells it too. A persistent watch is told every event
/// that it would have been told when it happened.
pub(crate) fn catch_up(
    tree: &Tree,
    history: &History,
    watches: &SetWatches,
    who: Identities<'_>,
    told: &mut Told,
) -> CatchUp {
    let since = watches.relative;
    let mut missed = Missed { tree, history, since, who, concluded: Vec::new(), seen: Vec::new() };
    let data = missed.waiting(&watches.data, Missed::data);
    let exist = missed.waiting(&watches.exist, Missed::exist);
    let child = missed.waiting(&watches.child, Missed::child);
    let (persistent, recursive) = (parse(&watches.persistent), parse(&watches.recursive));
    missed.persistent(&persistent);
    missed.recursive(&recursive);
    let Missed { concluded, seen, .. } = missed;
    let events = told.without_repeats(concluded, seen);
    told.told_since(since, persistent, recursive);
    let whole = since >= history.forgotten() || watches.persistent.is_empty() && watches.recursive.is_empty();
    let (persistent, recursive) = (watches.persistent.clone(), watches.recursive.clone());
    CatchUp {
        events,
        waiting: SetWatches { relative: since, data, exist, child, persistent, recursive },
        whole,
    }
}

/// What is no path never had a znode, nor will: there is nothing to tell of it.
fn parse(paths: &[Text]) -> Vec<ZnodePath> {
    paths.iter().filter_map(|path| ZnodePath::parse(path).ok()).collect()
}

/// What one list of watches missed.
struct Missed<'a> {
    tree: &'a Tree,
    history: &'a History,
    since: Zxid,
    who: Identities<'a>,
    /// From the tree, in the order of the lists.
    concluded: Vec<Event>,
    /// From the history.
    seen: Vec<Seen>,
}

/// An event that the history shows.
#[derive(Debug)]
struct Seen {
    place: Place,
    /// It is the first event of a one-shot watch, rather than one of many.
    is_once: bool,
    event: Event,
}

impl Seen {
    /// What it is: the same for every watch that is told it. A deletion comes before what it means to the parent.
    fn identity(&self) -> (Place, bool) {
        (self.place, self.event.kind == EventKind::ChildrenChanged)
    }
}

/// What a one-shot watch comes to.
enum First {
    /// Nothing has happened to it.
    Waiting,
    /// By the look of the tree, this must have happened.
    Concluded(EventKind),
    /// This happened first.
    Seen(Place, EventKind, Zxid),
}

impl<'a> Missed<'a> {
    /// Sorts a list of one-shot watches: notes what fired, and returns what did not.
    fn waiting(&mut self, paths: &[Text], first: impl Fn(&Self, &str) -> First) -> Vec<Text> {
        let mut waiting = Vec::new();
        for text in paths {
            let Ok(path) = ZnodePath::parse(text) else {
                waiting.push(text.clone());
                continue;
            };
            match first(self, &path) {
                First::Waiting => waiting.push(text.clone()),
                First::Concluded(kind) => self.concluded.push(Event { zxid: None, kind, path }),
                First::Seen(place, kind, zxid) => {
                    let event = Event { zxid: Some(zxid), kind, path };
                    self.seen.push(Seen { place, is_once: true, event });
                }
            }
        }
        waiting
    }

    /// A watch on a znode that was there: what becomes of it.
    fn data(&self, path: &str) -> First {
        let first = self.history.of_node(self.tree, path, self.since).last();
        match (first, self.tree.get(path)) {
            (first, znode) if self.is_new(first, znode) => First::Concluded(EventKind::Deleted),
            (Some((place, past)), _) => First::Seen(place, past.change.kind.event(), past.zxid),
            (None, Some(znode)) if self.is_in_gap(znode.mzxid) => First::Concluded(EventKind::DataChanged),
            (None, _) => First::Waiting,
        }
    }

    /// A watch on a znode that was not there.
    fn exist(&self, path: &str) -> First {
        match self.history.of_node(self.tree, path, self.since).last() {
            Some((place, past)) if past.change.kind == ChangeKind::Created => {
                First::Seen(place, EventKind::Created, past.zxid)
            }
            None if self.tree.get(path).is_none() => First::Waiting,
            // It was there before the first thing that is known of it.
            _ => First::Concluded(EventKind::Created),
        }
    }

    /// A watch on the children of a znode that was there.
    fn child(&self, path: &str) -> First {
        let (mut first, mut deleted) = (None, None);
        for found in self.history.of_node(self.tree, path, self.since) {
            first = Some(found);
            if found.1.change.kind == ChangeKind::Deleted {
                deleted = Some(found);
            }
        }
        let znode = self.tree.get(path);
        if self.is_new(first, znode) {
            return First::Concluded(EventKind::Deleted);
        }
        let changed = self.history.of_children(self.tree, path, self.since).last();
        match (deleted, changed, znode) {
            (Some((place, past)), None, _) => First::Seen(place, EventKind::Deleted, past.zxid),
            (Some((place, past)), Some((later, _)), _) if place < later => {
                First::Seen(place, EventKind::Deleted, past.zxid)
            }
            (_, Some((place, past)), _) => First::Seen(place, EventKind::ChildrenChanged, past.zxid),
            (None, None, Some(znode)) if self.is_in_gap(znode.pzxid) => {
                First::Concluded(EventKind::ChildrenChanged)
            }
            (None, None, _) => First::Waiting,
        }
    }

    /// Whether a znode that was there at some time up to `since` was not there any more when what is known of it
    /// begins, or was another one.
    fn is_new(&self, first: Option<(Place, &Past)>, znode: Option<&Znode>) -> bool {
        match (first, znode) {
            (Some((_, past)), _) if past.change.kind == ChangeKind::Created => true,
            (_, Some(znode)) => self.is_in_gap(znode.czxid),
            (first, None) => first.is_none(),
        }
    }

    fn persistent(&mut self, paths: &[ZnodePath]) {
        let history = self.history;
        for path in paths {
            let mut first = None;
            for (place, past) in history.of_node(self.tree, path, self.since) {
                first = Some(past.change.kind);
                let acl = past.change.acls.as_ref().map(|acls| &*acls.own);
                self.note(place, past, acl, past.change.kind.event(), path);
            }
            for (place, past) in history.of_children(self.tree, path, self.since) {
                let acl = past.change.acls.as_ref().map(|acls| &*acls.parent);
                self.note(place, past, acl, EventKind::ChildrenChanged, path);
            }
            self.conclude_root(path, first);
            if let Some(znode) = self.tree.get(path)
                && self.is_in_gap(znode.pzxid)
                && znode.pzxid != znode.czxid
            {
                self.conclude(EventKind::ChildrenChanged, path, znode);
            }
        }
    }

    fn recursive(&mut self, paths: &[ZnodePath]) {
        if paths.is_empty() {
            return;
        }
        let roots: HashSet<ZnodePath, RandomState> = paths.iter().cloned().collect();
        let history = self.history;
        for (place, past) in history.below(&roots, self.since) {
            let acl = past.change.acls.as_ref().map(|acls| &*acls.own);
            self.note(place, past, acl, past.change.kind.event(), &past.change.path);
        }
        if self.since >= self.history.forgotten() {
            return;
        }
        let tree = self.tree;
        let mut room = limits::CATCH_UP_ZNODES_MAX;
        for root in paths {
            let first = history.of_node(self.tree, root, self.since).last();
            self.conclude_root(root, first.map(|(_, past)| past.change.kind));
            let mut left: Vec<&ZnodePath> = tree.get(root).into_iter().flat_map(Znode::children).collect();
            while let Some(path) = left.pop() {
                let Some(znode) = tree.get(path) else { continue };
                let Some(less) = room.checked_sub(1) else { return };
                room = less;
                if self.is_in_gap(znode.czxid) {
                    self.conclude(EventKind::Created, path, znode);
                } else if self.is_in_gap(znode.mzxid) {
                    self.conclude(EventKind::DataChanged, path, znode);
                }
                left.extend(znode.children());
            }
        }
    }

    /// Notes what the gap has left of the znode that a persistent watch names, of which `first` is known to have
    /// happened since. That it was deleted is told even if perhaps it never was there: rather that than not at all.
    fn conclude_root(&mut self, path: &ZnodePath, first: Option<ChangeKind>) {
        let tree = self.tree;
        match (first, tree.get(path)) {
            _ if self.since >= self.history.forgotten() => {}
            (Some(ChangeKind::Created), _) | (None, None) => {
                self.concluded.push(Event { zxid: None, kind: EventKind::Deleted, path: path.clone() });
            }
            (_, Some(znode)) if self.is_in_gap(znode.czxid) => self.conclude(EventKind::Created, path, znode),
            (_, Some(znode)) if self.is_in_gap(znode.mzxid) => {
                self.conclude(EventKind::DataChanged, path, znode);
            }
            _ => {}
        }
    }

    /// Whether this happened after `since`, and is older than what the history knows.
    fn is_in_gap(&self, zxid: Zxid) -> bool {
        self.since < zxid && zxid <= self.history.forgotten()
    }

    fn conclude(&mut self, kind: EventKind, path: &ZnodePath, znode: &Znode) {
        if permits(&znode.acl, self.who, Permissions::READ) {
            self.concluded.push(Event { zxid: None, kind, path: path.clone() });
        }
    }

    fn note(&mut self, place: Place, past: &Past, acl: Option<&[Acl]>, kind: EventKind, path: &ZnodePath) {
        if acl.is_none_or(|acl| permits(acl, self.who, Permissions::READ)) {
            let event = Event { zxid: Some(past.zxid), kind, path: path.clone() };
            self.seen.push(Seen { place, is_once: false, event });
        }
    }
}

impl Told {
    /// Puts what was missed in order, leaves out what was told, and notes the rest as told.
    fn without_repeats(&mut self, concluded: Vec<Event>, mut seen: Vec<Seen>) -> Vec<Event> {
        // In front of its like stands what has to be told in any case.
        seen.sort_unstable_by_key(|seen| (seen.identity(), !seen.is_once));
        seen.dedup_by_key(|seen| seen.identity());
        seen.retain(|seen| !self.holds(&seen.event));
        if seen.len() > limits::CATCH_UP_EVENTS_MAX {
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
        events
    }

    /// Notes that these watches have been told everything since, and will be told whatever comes.
    fn told_since(&mut self, since: Zxid, persistent: Vec<ZnodePath>, recursive: Vec<ZnodePath>) {
        for (known, paths) in [(&mut self.persistent, persistent), (&mut self.recursive, recursive)] {
            for path in paths {
                let known = known.entry(path).or_insert(since);
                *known = since.min(*known);
            }
        }
    }

    fn holds(&self, event: &Event) -> bool {
        let told = |known: &HashMap<ZnodePath, Zxid, RandomState>, path: &str| {
            known.get(path).is_some_and(|&since| event.zxid.is_some_and(|zxid| zxid > since))
        };
        let (path, is_family) = (&*event.path, event.kind == EventKind::ChildrenChanged);
        told(&self.persistent, path)
            || (!is_family && !self.recursive.is_empty())
                && std::iter::once(path).chain(ancestors(path)).any(|path| told(&self.recursive, path))
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
