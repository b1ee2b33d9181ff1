//! What a listener missed since a zxid.
//!
//! The history says what really happened. What lies behind its beginning is the *gap*: of that, only what it left in
//! the tree can be told, by comparing stats as ZooKeeper does.

mod told;

use foldhash::fast::RandomState;
use hashbrown::HashSet;
use proto::request::SetWatches;
use proto::{Event, EventKind, Permissions, Text, ZnodePath, Zxid, limits};

use crate::acl::permits;
use crate::command::{Identities, WatchKind};
use crate::history::{History, Past, Place};
use crate::outcome::ChangeKind;
use crate::tree::Tree;
use crate::watch::{ArmedWatch, Spent};
use crate::znode::Znode;
use told::Seen;

pub use told::Told;

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
    /// recursive watch neither. Nor are they if there were more than [`limits::CATCH_UP_EVENTS_MAX`].
    pub whole: bool,
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
    let data = missed.waiting(WatchKind::Data, &watches.data, told);
    let exist = missed.waiting(WatchKind::Exist, &watches.exist, told);
    let child = missed.waiting(WatchKind::Child, &watches.child, told);
    let (persistent, recursive) = (parse(&watches.persistent), parse(&watches.recursive));
    missed.persistent(&persistent);
    missed.recursive(&recursive);
    let Missed { concluded, seen, .. } = missed;
    let (events, fits) = told.without_repeats(concluded, seen);
    told.told_since(since, persistent, recursive);
    let whole =
        fits && since >= history.forgotten() || watches.persistent.is_empty() && watches.recursive.is_empty();
    let (persistent, recursive) = (watches.persistent.clone(), watches.recursive.clone());
    CatchUp {
        events,
        waiting: SetWatches { relative: since, data, exist, child, persistent, recursive },
        whole,
    }
}

/// Finds what a session missed since what it has seen, of which the members know that it waits for these watches.
pub(crate) fn missed<'a>(
    tree: &Tree,
    history: &History,
    watches: impl Iterator<Item = (&'a ZnodePath, &'a ArmedWatch)>,
    since: Zxid,
    who: Identities<'_>,
    told: &mut Told,
) -> CatchUp {
    let mut missed = Missed { tree, history, since, who, concluded: Vec::new(), seen: Vec::new() };
    let mut waiting = SetWatches { relative: since, ..SetWatches::default() };
    let (mut persistent, mut recursive) = (Vec::new(), Vec::new());
    // Persistent watches that were set after that: their client was not shown that they were, and is told only of what
    // came then.
    let mut younger = Vec::new();
    // The table keeps them in no order; what is told of them is to be the same wherever the session is.
    let mut watches: Vec<_> = watches.collect();
    watches.sort_unstable_by_key(|(path, watch)| (*path, watch.kind));
    for (path, watch) in watches {
        let list = match watch.kind {
            WatchKind::Data => &mut waiting.data,
            WatchKind::Exist => &mut waiting.exist,
            WatchKind::Child => &mut waiting.child,
            WatchKind::Persistent => {
                if watch.armed <= since {
                    persistent.push(path.clone());
                }
                &mut waiting.persistent
            }
            WatchKind::Recursive => {
                if watch.armed <= since {
                    recursive.push(path.clone());
                }
                &mut waiting.recursive
            }
        };
        let is_waiting = match watch.kind {
            WatchKind::Data | WatchKind::Exist | WatchKind::Child => {
                let first = missed.once(path, watch);
                // The client had seen what spent it, and has not set it again.
                let is_over = watch.spent.is_some_and(|spent| spent.zxid <= since);
                let is_waiting = missed.settle(path.clone(), first) && !is_over;
                if is_waiting {
                    told.waits(watch.kind, path);
                }
                is_waiting
            }
            WatchKind::Persistent | WatchKind::Recursive => {
                if watch.armed > since {
                    younger.push((watch.armed, watch.kind, [path.clone()]));
                }
                true
            }
        };
        if is_waiting {
            list.push(Text::from(path.as_str()));
        }
    }
    missed.persistent(&persistent);
    missed.recursive(&recursive);
    for (armed, kind, path) in &younger {
        missed.since = *armed;
        match kind {
            WatchKind::Recursive => missed.recursive(path),
            _ => missed.persistent(path),
        }
    }
    let Missed { concluded, seen, .. } = missed;
    let (events, fits) = told.without_repeats(concluded, seen);
    let whole = fits && since >= history.forgotten() || persistent.is_empty() && recursive.is_empty();
    told.told_since(since, persistent, recursive);
    for (armed, kind, [path]) in younger {
        match kind {
            WatchKind::Recursive => told.told_since(armed, Vec::new(), vec![path]),
            _ => told.told_since(armed, vec![path], Vec::new()),
        }
    }
    CatchUp { events, waiting, whole }
}

/// What has spent a one-shot watch since it was armed.
pub(crate) fn spent(
    tree: &Tree,
    history: &History,
    path: &str,
    kind: WatchKind,
    armed: Zxid,
) -> Option<Spent> {
    let nobody = Identities { address: &Text::new(), proved: &[] };
    let missed = Missed { tree, history, since: armed, who: nobody, concluded: Vec::new(), seen: Vec::new() };
    match missed.first(path, kind) {
        First::Waiting => None,
        First::Seen(_, kind, past) => Some(Spent { zxid: past.zxid, kind }),
        // When is not known any more, but not later than this.
        First::Concluded(kind) => Some(Spent { zxid: history.forgotten().max(armed.next()), kind }),
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

/// What a one-shot watch comes to.
#[derive(Clone, Copy, Debug)]
enum First<'a> {
    /// Nothing has happened to it.
    Waiting,
    /// By the look of the tree, this must have happened.
    Concluded(EventKind),
    /// This happened first.
    Seen(Place, EventKind, &'a Past),
}

impl<'a> Missed<'a> {
    /// Sorts a list of one-shot watches: notes what fired, and returns what did not. What was left waiting before is
    /// neither: it has been told what became of it, or still waits.
    fn waiting(&mut self, kind: WatchKind, paths: &[Text], told: &mut Told) -> Vec<Text> {
        let mut waiting = Vec::new();
        for text in paths {
            let Ok(path) = ZnodePath::parse(text) else {
                waiting.push(text.clone());
                continue;
            };
            if told.is_waiting(kind, &path) {
                continue;
            }
            let first = self.first(&path, kind);
            if self.settle(path.clone(), first) {
                told.waits(kind, &path);
                waiting.push(text.clone());
            }
        }
        waiting
    }

    /// Notes what a one-shot watch comes to, and says whether it still waits.
    fn settle(&mut self, path: ZnodePath, first: First<'_>) -> bool {
        match first {
            First::Waiting => return true,
            First::Concluded(kind) => self.concluded.push(Event { zxid: None, kind, path }),
            First::Seen(place, kind, past) => {
                let is_readable = self.is_readable(past, kind);
                let event = Event { zxid: Some(past.zxid), kind, path };
                self.seen.push(Seen { place, is_once: true, is_readable, event });
            }
        }
        false
    }

    /// A one-shot watch that the members know of. It may stand for an older one at the same path, whose client was
    /// told neither what spent that, nor that this one was set: so what counts is the first event that the client has
    /// not seen, and not the first since the watch was armed.
    fn once(&self, path: &'a str, watch: &ArmedWatch) -> First<'a> {
        let forgotten = self.history.forgotten();
        let since = match watch.spent {
            Some(spent) if spent.zxid <= self.since => return First::Waiting,
            _ if self.since >= forgotten => self.since,
            Some(spent) if spent.zxid <= forgotten => return First::Concluded(spent.kind),
            Some(_) => forgotten,
            None if watch.armed > self.since => return self.first(path, watch.kind),
            None => return First::Waiting,
        };
        let own = self.history.of_node(self.tree, path, since);
        let first = match watch.kind {
            WatchKind::Child => {
                let deleted = own.filter(|(_, past)| past.change.kind == ChangeKind::Deleted).last();
                let deleted = deleted.map(|found| (found, EventKind::Deleted));
                let changed = self.history.of_children(self.tree, path, since).last();
                let changed = changed.map(|found| (found, EventKind::ChildrenChanged));
                deleted.into_iter().chain(changed).min_by_key(|((place, _), _)| *place)
            }
            _ => own.last().map(|found| (found, found.1.change.kind.event())),
        };
        first.map_or(First::Waiting, |((place, past), kind)| First::Seen(place, kind, past))
    }

    fn first(&self, path: &'a str, kind: WatchKind) -> First<'a> {
        match kind {
            WatchKind::Data => self.data(path),
            WatchKind::Exist => self.exist(path),
            WatchKind::Child => self.child(path),
            WatchKind::Persistent | WatchKind::Recursive => First::Waiting,
        }
    }

    /// A watch on a znode that was there: what becomes of it.
    fn data(&self, path: &'a str) -> First<'a> {
        let first = self.history.of_node(self.tree, path, self.since).last();
        match (first, self.tree.get(path)) {
            (first, znode) if self.is_new(first, znode) => First::Concluded(EventKind::Deleted),
            (Some((place, past)), _) => First::Seen(place, past.change.kind.event(), past),
            (None, Some(znode)) if self.is_in_gap(znode.mzxid) => First::Concluded(EventKind::DataChanged),
            (None, _) => First::Waiting,
        }
    }

    /// A watch on a znode that was not there.
    fn exist(&self, path: &'a str) -> First<'a> {
        match self.history.of_node(self.tree, path, self.since).last() {
            Some((place, past)) if past.change.kind == ChangeKind::Created => {
                First::Seen(place, EventKind::Created, past)
            }
            None if self.tree.get(path).is_none() => First::Waiting,
            // It was there before the first thing that is known of it.
            _ => First::Concluded(EventKind::Created),
        }
    }

    /// A watch on the children of a znode that was there.
    fn child(&self, path: &'a str) -> First<'a> {
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
            (Some((place, past)), None, _) => First::Seen(place, EventKind::Deleted, past),
            (Some((place, past)), Some((later, _)), _) if place < later => {
                First::Seen(place, EventKind::Deleted, past)
            }
            (_, Some((place, past)), _) => First::Seen(place, EventKind::ChildrenChanged, past),
            (None, None, Some(znode)) if self.is_in_gap(znode.pzxid()) => {
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
                self.note(place, past, past.change.kind.event(), path);
            }
            for (place, past) in history.of_children(self.tree, path, self.since) {
                self.note(place, past, EventKind::ChildrenChanged, path);
            }
            self.conclude_root(path, first);
            if let Some(znode) = self.tree.get(path)
                && self.is_in_gap(znode.pzxid())
                && znode.pzxid() != znode.czxid
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
            self.note(place, past, past.change.kind.event(), &past.change.path);
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

    fn note(&mut self, place: Place, past: &Past, kind: EventKind, path: &ZnodePath) {
        if self.is_readable(past, kind) {
            let event = Event { zxid: Some(past.zxid), kind, path: path.clone() };
            self.seen.push(Seen { place, is_once: false, is_readable: true, event });
        }
    }

    /// Whether the ACL that stood there lets whoever asks be told of this.
    fn is_readable(&self, past: &Past, kind: EventKind) -> bool {
        past.change.acls.as_ref().is_none_or(|acls| {
            let acl = if kind == EventKind::ChildrenChanged { &acls.parent } else { &acls.own };
            permits(acl, self.who, Permissions::READ)
        })
    }
}
