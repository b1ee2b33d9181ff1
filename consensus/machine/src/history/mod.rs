//! What happened lately: every change of a znode, by zxid and by path, as long as there is room.
//!
//! This is what is asked when somebody comes back: the tree shows how things are, and not that a znode was deleted and
//! made again, or made and deleted again. What falls out, and when, is the same on every member, because answers that
//! all members must agree on depend on it.
mod runs;
mod stems;

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};
use proto::{Acl, Shared, ZnodePath, Zxid, limits};
use smallvec::SmallVec;

use crate::acl::is_readable;
use crate::outcome::{Change, ChangeKind};
use crate::tree::Tree;
use runs::Runs;

pub(crate) use runs::{Past, Place};

/// What a change is reckoned to take besides its path: its place here, and another among the paths that are gone.
const CHANGE_BYTES: usize = 96;

/// What an entry of an ACL is reckoned to take besides its text.
const ACL_BYTES: usize = 64;

/// How much of the past is kept. It is part of what the members must agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryBounds {
    /// Changes.
    pub changes: usize,
    /// Bytes that they are reckoned to take.
    pub bytes: u64,
}

impl Default for HistoryBounds {
    fn default() -> Self {
        Self { changes: limits::HISTORY_CHANGES_MAX, bytes: limits::HISTORY_BYTES_MAX }
    }
}

/// What one transaction changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryRecord {
    /// The transaction.
    pub zxid: Zxid,
    /// What it changed, in the order in which it did; never nothing.
    pub changes: SmallVec<[PastChange; 1]>,
}

/// What happened to one znode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastChange {
    /// The znode.
    pub path: ZnodePath,
    /// What happened to it.
    pub kind: ChangeKind,
    /// Who may be told of it; `None` is everybody, which is most often so.
    pub acls: Option<Box<PastAcls>>,
}

/// The ACLs that stood there when something happened, as a [`Change`] has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastAcls {
    /// The znode's.
    pub own: Shared<Acl>,
    /// The parent's.
    pub parent: Shared<Acl>,
}

/// The changes of late.
///
/// The changes of one path are a chain, from the newest to the oldest, and another chain are the changes of its
/// children. Where the chains begin is kept by the tree with the znode, because there it costs nothing: whoever changes
/// a znode has just looked it up.
///
/// Invariants:
/// * they stand in order of their transactions, and no transaction is here in part;
/// * none is as old as `forgotten`, and all that are newer are here;
/// * the chains of a path lead through all that concerns it, and through nothing else;
/// * the paths that the tree knows to be gone are those whose last change is a deletion.
#[derive(Debug, Default)]
pub(crate) struct History {
    bounds: HistoryBounds,
    runs: Runs,
    /// ACLs that changes need, and how many do.
    acls: HashMap<Shared<Acl>, usize, RandomState>,
    forgotten: Zxid,
    bytes: u64,
    /// Up to where the changes were taken, to be written behind.
    taken: Place,
    /// Transactions that were taken, and have fallen out since.
    dropped: Vec<Zxid>,
}

/// One of the two chains of a path.
#[derive(Clone, Copy, Debug)]
enum Chain {
    /// What became of the znode.
    Own,
    /// Which children came and went.
    Children,
}

impl History {
    /// Nothing, with room for so much; up to `forgotten` there may have been something.
    pub(crate) fn new(bounds: HistoryBounds, forgotten: Zxid) -> Self {
        Self { bounds, forgotten, ..Self::default() }
    }

    /// The newest transaction of which something may be missing here.
    pub(crate) fn forgotten(&self) -> Zxid {
        self.forgotten
    }

    /// How many changes there are.
    pub(crate) fn len(&self) -> usize {
        (self.runs.next() - self.runs.first()) as usize
    }

    /// Bytes that they are reckoned to take.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Sets how much is kept, and forgets what is over.
    pub(crate) fn set_bounds(&mut self, tree: &mut Tree, bounds: HistoryBounds) {
        self.bounds = bounds;
        self.prune(tree);
    }

    /// Takes in what a transaction changed, and forgets what there is no more room for.
    pub(crate) fn record(&mut self, tree: &mut Tree, zxid: Zxid, changes: &[Change]) {
        for change in changes {
            self.push(tree, zxid, PastChange::from(change));
        }
        self.prune(tree);
    }

    /// Takes in what a record says. Records are to come in their order.
    pub(crate) fn restore(&mut self, tree: &mut Tree, record: HistoryRecord) {
        for change in record.changes {
            self.push(tree, record.zxid, change);
        }
        self.taken = self.runs.next();
    }

    /// What became of the znode at this path after `since`, the newest first.
    pub(crate) fn of_node<'a>(
        &'a self,
        tree: &Tree,
        path: &'a str,
        since: Zxid,
    ) -> impl Iterator<Item = (Place, &'a Past)> + use<'a> {
        self.chain(tree.newest(path).own, Chain::Own, path, since)
    }

    /// Which children of the znode at this path came and went after `since`, the newest first.
    pub(crate) fn of_children<'a>(
        &'a self,
        tree: &Tree,
        path: &'a str,
        since: Zxid,
    ) -> impl Iterator<Item = (Place, &'a Past)> + use<'a> {
        self.chain(tree.newest(path).children, Chain::Children, path, since)
    }

    /// What happened after `since` at these paths and everywhere below them, in order.
    pub(crate) fn below<'a>(
        &'a self,
        roots: &'a HashSet<ZnodePath, RandomState>,
        since: Zxid,
    ) -> impl Iterator<Item = (Place, &'a Past)> {
        self.runs.below(roots, since)
    }

    /// The changes as records, in order.
    pub(crate) fn records(&self) -> impl Iterator<Item = HistoryRecord> {
        self.runs.records(self.runs.first())
    }

    /// The records of what came since this was last asked, `None` for what has gone, in order.
    pub(crate) fn take_changes(&mut self) -> Vec<(Zxid, Option<HistoryRecord>)> {
        let dropped = std::mem::take(&mut self.dropped).into_iter().map(|zxid| (zxid, None));
        let new = self.runs.records(self.taken.max(self.runs.first()));
        let changes = dropped.chain(new.map(|record| (record.zxid, Some(record)))).collect();
        self.taken = self.runs.next();
        changes
    }

    /// Panics if an invariant does not hold.
    pub(crate) fn assert_invariants(&self, tree: &Tree) {
        let (mut bytes, mut last) = (0, self.forgotten);
        let mut chains: HashMap<&str, [Vec<Place>; 2], RandomState> = HashMap::default();
        for place in self.runs.first()..self.runs.next() {
            let past = self.runs.at(place);
            assert!(
                past.zxid >= last && past.zxid > self.forgotten,
                "a change of {} out of order",
                past.zxid
            );
            last = past.zxid;
            bytes += past.change.bytes();
            chains.entry(&past.change.path).or_default()[Chain::Own as usize].push(place);
            if let Some(parent) = past.change.parent() {
                chains.entry(parent).or_default()[Chain::Children as usize].push(place);
            }
        }
        let paths = tree.iter().map(|(path, _)| path).chain(tree.gone());
        let mut gone = 0;
        for path in paths {
            let expected = chains.remove(&**path).unwrap_or_default();
            let own: Vec<Place> = self.of_node(tree, path, Zxid::ZERO).map(|(place, _)| place).collect();
            let children = self.of_children(tree, path, Zxid::ZERO).map(|(place, _)| place).collect();
            let last = own.first().map(|&place| self.runs.at(place).change.kind);
            let is_gone = last == Some(ChangeKind::Deleted);
            assert_eq!(is_gone, tree.get(path).is_none(), "{path} is here, or is gone");
            gone += usize::from(is_gone);
            let found = [own, children].map(|places| places.into_iter().rev().collect::<Vec<_>>());
            assert_eq!(found, expected, "the chains of {path}");
        }
        assert_eq!(gone, tree.gone().count(), "what is gone");
        assert!(chains.is_empty(), "nobody knows where the chains of {:?} begin", chains.keys());
        bytes += self.acls.keys().map(|acl| acl_bytes(acl)).sum::<u64>();
        assert_eq!(bytes, self.bytes, "bytes of changes");
        assert!(
            self.len() <= self.bounds.changes && bytes <= self.bounds.bytes,
            "more than there is room for"
        );
    }

    fn push(&mut self, tree: &mut Tree, zxid: Zxid, change: PastChange) {
        let place = self.runs.next() as u32;
        let back = |before: u32| match place.wrapping_sub(before) {
            // Of what is out of sight, it does not matter how far away it is.
            back if u64::from(back) <= self.runs.next() - self.runs.first() => back,
            _ => 0,
        };
        let own = tree.lead(&change.path, |newest| std::mem::replace(&mut newest.own, place));
        let family = change
            .parent()
            .map(|parent| tree.lead(parent, |newest| std::mem::replace(&mut newest.children, place)));
        let back = [back(own), family.map_or(0, back)];
        self.bytes += change.bytes();
        self.keep(&change);
        self.runs.push(Past { zxid, change, back });
    }

    /// Forgets the oldest transactions until the rest has room.
    fn prune(&mut self, tree: &mut Tree) {
        while self.len() > self.bounds.changes || self.bytes > self.bounds.bytes {
            let oldest = self.runs.at(self.runs.first()).zxid;
            if self.runs.first() < self.taken {
                self.dropped.push(oldest);
            }
            self.forgotten = oldest;
            while self.len() > 0 && self.runs.at(self.runs.first()).zxid == oldest {
                self.forget_first(tree);
            }
        }
    }

    fn forget_first(&mut self, tree: &mut Tree) {
        let place = self.runs.first();
        let past = self.runs.at(place);
        if past.change.kind == ChangeKind::Deleted {
            tree.forget(&past.change.path, place as u32);
        }
        self.bytes -= past.change.bytes();
        if let Some(acls) = past.change.acls.clone() {
            self.let_go(&acls.own);
            self.let_go(&acls.parent);
        }
        self.runs.pop();
    }

    fn keep(&mut self, change: &PastChange) {
        for acl in change.acls.iter().flat_map(|acls| [&acls.own, &acls.parent]) {
            match self.acls.get_mut(acl) {
                Some(users) => *users += 1,
                None => {
                    self.bytes += acl_bytes(acl);
                    self.acls.insert(acl.clone(), 1);
                }
            }
        }
    }

    fn let_go(&mut self, acl: &Shared<Acl>) {
        let Some(users) = self.acls.get_mut(acl) else { return };
        *users -= 1;
        if *users == 0 {
            self.acls.remove(acl);
            self.bytes -= acl_bytes(acl);
        }
    }

    /// A chain from its newest change to the first that is not newer than `since`.
    fn chain<'a>(
        &'a self,
        newest: u32,
        chain: Chain,
        path: &'a str,
        since: Zxid,
    ) -> impl Iterator<Item = (Place, &'a Past)> + use<'a> {
        let runs = &self.runs;
        let back = (runs.next() as u32).wrapping_sub(newest);
        let before = move |place: Place, back: u32| {
            let place = place.checked_sub(u64::from(back)).filter(|&it| it >= runs.first() && back > 0)?;
            // What stands at the end of a chain may have been forgotten long ago, and another be in its place.
            runs.at(place).is_of(chain, path).then_some(place)
        };
        std::iter::successors(before(runs.next(), back), move |&place| {
            before(place, runs.at(place).back[chain as usize])
        })
        .map(|place| (place, runs.at(place)))
        .take_while(move |(_, past)| past.zxid > since)
    }
}

impl Past {
    fn is_of(&self, chain: Chain, path: &str) -> bool {
        match chain {
            Chain::Own => *self.change.path == *path,
            Chain::Children => self.change.parent() == Some(path),
        }
    }
}

impl PastChange {
    /// The parent whose children changed by this.
    pub(crate) fn parent(&self) -> Option<&str> {
        match self.kind {
            ChangeKind::DataChanged => None,
            ChangeKind::Created | ChangeKind::Deleted => self.path.parent(),
        }
    }

    fn bytes(&self) -> u64 {
        (CHANGE_BYTES + self.path.len()) as u64
    }
}

impl From<&Change> for PastChange {
    fn from(change: &Change) -> Self {
        let is_open = is_readable(&change.acl)
            && (change.acl.is(&change.parent_acl) || is_readable(&change.parent_acl));
        let acls = (!is_open)
            .then(|| Box::new(PastAcls { own: change.acl.clone(), parent: change.parent_acl.clone() }));
        Self { path: change.path.clone(), kind: change.kind, acls }
    }
}

fn acl_bytes(acl: &[Acl]) -> u64 {
    acl.iter().map(|acl| (ACL_BYTES + acl.id.scheme.len() + acl.id.id.len()) as u64).sum()
}
