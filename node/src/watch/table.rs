//! Paths to listeners, and listeners to paths (PROTOCOL, section "Watches").
//!
//! The protocol has two tables, *data* and *child*. A one-shot watch stands in one of them, a persistent watch in
//! both, a recursive one in the data table only.
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use machine::WatchKind;
use proto::path::ancestors;

use crate::chance::Hashing;

/// What a connection is called in the table: a place that is given again to another when it is free.
pub(super) type ListenerId = u32;

/// How a listener listens to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Once, to the znode's data and to whether it exists.
    Data,
    /// Once, to the znode's children.
    Child,
    /// Until it is taken away, to both.
    Persistent,
    /// Until it is taken away, to the data of the znode and of everything below it.
    Recursive,
}

impl From<WatchKind> for Kind {
    fn from(kind: WatchKind) -> Self {
        match kind {
            WatchKind::Data | WatchKind::Exist => Self::Data,
            WatchKind::Child => Self::Child,
            WatchKind::Persistent => Self::Persistent,
            WatchKind::Recursive => Self::Recursive,
        }
    }
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::Data, Self::Child, Self::Persistent, Self::Recursive];

    /// The tables that hold it, with the mode that stands there.
    const fn places(self) -> &'static [(Side, Modes)] {
        match self {
            Self::Data => &[(Side::Data, Modes::ONCE)],
            Self::Child => &[(Side::Child, Modes::ONCE)],
            Self::Persistent => &[(Side::Data, Modes::PERSISTENT), (Side::Child, Modes::PERSISTENT)],
            Self::Recursive => &[(Side::Data, Modes::RECURSIVE)],
        }
    }
}

/// One of the two tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// What becomes of a znode.
    Data,
    /// What becomes of its children.
    Child,
}

/// The modes in which one listener listens to one path in one table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Modes(u8);

impl Modes {
    const ONCE: Self = Self(1);
    const PERSISTENT: Self = Self(2);
    const RECURSIVE: Self = Self(4);

    const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// Who listens to one path in one table. Most paths have a single listener, so that one needs no allocation.
#[derive(Debug, Default)]
enum Listeners {
    #[default]
    None,
    One(ListenerId, Modes),
    Many(Box<HashMap<ListenerId, Modes, foldhash::fast::FixedState>>),
}

impl Listeners {
    fn get(&self, id: ListenerId) -> Modes {
        match self {
            Self::One(one, modes) if *one == id => *modes,
            Self::Many(many) => many.get(&id).copied().unwrap_or_default(),
            Self::None | Self::One(..) => Modes::default(),
        }
    }

    fn set(&mut self, id: ListenerId, modes: Modes) {
        match self {
            Self::None if modes.is_empty() => {}
            Self::None => *self = Self::One(id, modes),
            Self::One(one, _) if *one == id && modes.is_empty() => *self = Self::None,
            Self::One(one, old) if *one == id => *old = modes,
            Self::One(..) if modes.is_empty() => {}
            Self::One(one, old) => {
                *self = Self::Many(Box::new([(*one, *old), (id, modes)].into_iter().collect()));
            }
            Self::Many(many) => {
                if modes.is_empty() {
                    many.remove(&id);
                } else {
                    many.insert(id, modes);
                }
                if many.is_empty() {
                    *self = Self::None;
                }
            }
        }
    }

    /// Tells everyone who listens in one of `wanted`, and forgets what was to be told once, if `spend`.
    fn tell(&mut self, wanted: Modes, spend: bool, mut told: impl FnMut(ListenerId, Spent)) {
        let spent = |modes: &mut Modes| {
            let had = modes.has(Modes::ONCE);
            if spend {
                *modes = modes.without(Modes::ONCE);
            }
            Spent { once: spend && had, rest: !modes.is_empty() }
        };
        match self {
            Self::None => {}
            Self::One(id, modes) => {
                if modes.has(wanted) {
                    told(*id, spent(modes));
                    if modes.is_empty() {
                        *self = Self::None;
                    }
                }
            }
            Self::Many(many) => {
                many.retain(|id, modes| {
                    if modes.has(wanted) {
                        told(*id, spent(modes));
                    }
                    !modes.is_empty()
                });
                if many.is_empty() {
                    *self = Self::None;
                }
            }
        }
    }

    const fn is_empty(&self) -> bool {
        matches!(self, Self::None)
    }
}

/// What telling a listener did to its registration.
#[derive(Clone, Copy, Debug)]
struct Spent {
    /// A one-shot mode is gone.
    once: bool,
    /// Another mode is left.
    rest: bool,
}

#[derive(Debug, Default)]
struct Node {
    data: Listeners,
    child: Listeners,
}

impl Node {
    const fn side(&self, side: Side) -> &Listeners {
        match side {
            Side::Data => &self.data,
            Side::Child => &self.child,
        }
    }

    const fn side_mut(&mut self, side: Side) -> &mut Listeners {
        match side {
            Side::Data => &mut self.data,
            Side::Child => &mut self.child,
        }
    }

    fn has(&self, id: ListenerId, kind: Kind) -> bool {
        kind.places().iter().all(|&(side, mode)| self.side(side).get(id).has(mode))
    }

    const fn is_empty(&self) -> bool {
        self.data.is_empty() && self.child.is_empty()
    }
}

/// The paths of one listener.
pub(super) type Paths = HashSet<Arc<str>, Hashing>;

/// The two tables.
///
/// Invariants:
/// * no listener stands anywhere without a mode, and no path without a listener;
/// * a path is among a listener's paths exactly when the listener stands at the path;
/// * `recursive` counts the recursive modes, `watches` the entries of both tables.
#[derive(Debug, Default)]
pub(super) struct Table {
    nodes: HashMap<Arc<str>, Node, Hashing>,
    paths: Vec<Paths>,
    recursive: usize,
    watches: usize,
}

impl Table {
    /// Registers a watch; says whether it was not there yet. To register it twice has no effect.
    pub(super) fn add(&mut self, id: ListenerId, path: &str, kind: Kind) -> bool {
        // Most watches that are set are those of clients that read the same znodes again and again.
        if self.nodes.get(path).is_some_and(|node| node.has(id, kind)) {
            return false;
        }
        let place = id as usize;
        if self.paths.len() <= place {
            self.paths.resize_with(place + 1, Paths::default);
        }
        let path = match self.nodes.get_key_value(path) {
            Some((known, _)) => known.clone(),
            None => path.into(),
        };
        let node = self.nodes.entry(path.clone()).or_default();
        let mut is_new = false;
        for &(side, mode) in kind.places() {
            let listeners = node.side_mut(side);
            let modes = listeners.get(id);
            is_new |= !modes.has(mode);
            self.watches += usize::from(modes.is_empty());
            self.recursive += usize::from(mode == Modes::RECURSIVE && !modes.has(mode));
            listeners.set(id, modes.with(mode));
        }
        if is_new {
            self.paths[place].insert(path);
        }
        is_new
    }

    /// All that a listener waits for, in no particular order.
    pub(super) fn of(&self, id: ListenerId) -> impl Iterator<Item = (&str, Kind)> {
        let paths = self.paths.get(id as usize).into_iter().flatten();
        paths.flat_map(move |path| {
            let kinds = Kind::ALL.into_iter().filter(move |kind| self.has(id, path, *kind));
            kinds.map(move |kind| (&**path, kind))
        })
    }

    /// Whether a watch of this kind is registered.
    pub(super) fn has(&self, id: ListenerId, path: &str, kind: Kind) -> bool {
        self.nodes.get(path).is_some_and(|node| node.has(id, kind))
    }

    /// Takes a watch away; says whether it was there.
    pub(super) fn remove(&mut self, id: ListenerId, path: &str, kind: Kind) -> bool {
        let Some(node) = self.nodes.get_mut(path) else { return false };
        let mut found = false;
        for &(side, mode) in kind.places() {
            let listeners = node.side_mut(side);
            let modes = listeners.get(id);
            if modes.has(mode) {
                found = true;
                let left = modes.without(mode);
                self.watches -= usize::from(left.is_empty());
                self.recursive -= usize::from(mode == Modes::RECURSIVE);
                listeners.set(id, left);
            }
        }
        if found && node.data.get(id).is_empty() && node.child.get(id).is_empty() {
            let empty = node.is_empty();
            self.paths[id as usize].remove(path);
            if empty {
                self.nodes.remove(path);
            }
        }
        found
    }

    /// Finds who is to be told of something that happened at `path`, each as often as modes and ancestors match:
    /// the caller tells each once. What was to be told once is forgotten.
    pub(super) fn trigger(&mut self, side: Side, path: &str, mut told: impl FnMut(ListenerId)) {
        let any = Modes(Modes::ONCE.0 | Modes::PERSISTENT.0 | Modes::RECURSIVE.0);
        if let Some(node) = self.nodes.get_mut(path) {
            let (one, other) = match side {
                Side::Data => (&mut node.data, &node.child),
                Side::Child => (&mut node.child, &node.data),
            };
            let (watches, paths) = (&mut self.watches, &mut self.paths);
            one.tell(any, true, |id, spent| {
                told(id);
                if spent.once && !spent.rest {
                    *watches -= 1;
                    if other.get(id).is_empty() {
                        paths[id as usize].remove(path);
                    }
                }
            });
            if node.is_empty() {
                self.nodes.remove(path);
            }
        }
        if side == Side::Data && self.recursive > 0 {
            for ancestor in ancestors(path) {
                if let Some(node) = self.nodes.get_mut(ancestor) {
                    node.data.tell(Modes::RECURSIVE, false, |id, _| told(id));
                }
            }
        }
    }

    /// Takes the list of a listener's paths; they are then to be given to [`Self::forget`].
    pub(super) fn take_paths(&mut self, id: ListenerId) -> Paths {
        self.paths.get_mut(id as usize).map(std::mem::take).unwrap_or_default()
    }

    /// Takes all of a listener's watches on this path away.
    pub(super) fn forget(&mut self, id: ListenerId, path: &str) {
        for kind in Kind::ALL {
            self.remove(id, path, kind);
        }
    }

    /// Entries of both tables: a persistent watch that is not recursive counts twice, as in ZooKeeper.
    pub(super) const fn len(&self) -> usize {
        self.watches
    }

    #[cfg(test)]
    pub(super) fn assert_invariants(&self) {
        let (mut watches, mut recursive, mut pairs) = (0, 0, 0);
        for (path, node) in &self.nodes {
            assert!(!node.is_empty(), "{path} has no listener");
            let mut ids = std::collections::HashSet::<ListenerId>::new();
            for side in [&node.data, &node.child] {
                let all: Vec<_> = match side {
                    Listeners::None => Vec::new(),
                    Listeners::One(id, modes) => vec![(*id, *modes)],
                    Listeners::Many(many) => many.iter().map(|(id, modes)| (*id, *modes)).collect(),
                };
                for (id, modes) in all {
                    assert!(!modes.is_empty(), "{id} stands at {path} without a mode");
                    assert!(self.paths[id as usize].contains(path), "{id} does not know of {path}");
                    watches += 1;
                    recursive += usize::from(modes.has(Modes::RECURSIVE));
                    ids.insert(id);
                }
            }
            pairs += ids.len();
        }
        assert_eq!(pairs, self.paths.iter().map(HashSet::len).sum::<usize>());
        assert_eq!((watches, recursive), (self.watches, self.recursive));
    }
}
