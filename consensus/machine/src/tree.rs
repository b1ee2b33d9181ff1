//! Paths to znodes, with parents and children kept in step.

mod held;
mod mark;
mod marked;

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::hash_table::Entry;
use hashbrown::{HashMap, HashSet, HashTable};
use proto::{Acl, Id, Permissions, SessionId, Shared, Stat, ZnodePath, Zxid, path};

use crate::acl::Lists;
use crate::command::Millis;
use crate::quota::{self, Track};
use crate::znode::{Kind, Newest, Znode, next_version};
use marked::Marked;

pub(crate) use mark::{AclMark, DataMark, ParentMark};

/// The znodes that nobody can delete.
pub(crate) const RESERVED: [&str; 4] = ["/", "/zookeeper", "/zookeeper/quota", CONFIG];

/// Where clients read who the members are.
pub(crate) const CONFIG: &str = "/zookeeper/config";

/// All znodes.
///
/// Invariants:
/// * every znode but the root has its parent here;
/// * a parent lists a child exactly when that child is here;
/// * no ephemeral znode has children;
/// * ephemerals, what goes by itself and quotas are listed exactly as long as they are here;
/// * a quota whose usage no client has written, with no other quota below it, says what there is;
/// * what is gone is not here;
/// * what is reserved is here.
#[derive(Debug)]
pub(crate) struct Tree {
    // By their paths. In boxes, because a table grows by doubling and would hold much empty room of the size of a znode.
    znodes: HashTable<Box<Znode>>,
    hasher: RandomState,
    marked: Marked,
    data_bytes: u64,
    /// How many znodes have children.
    parents: usize,
    lists: Lists,
    touched: HashSet<ZnodePath, RandomState>,
    /// Where the history of a path goes on that has no znode any more, as long as it is remembered.
    gone: HashMap<ZnodePath, Newest, RandomState>,
}

impl Tree {
    /// What every world begins with: created by nobody, at no time.
    pub(crate) fn new() -> Self {
        let mut tree = Self::empty();
        let open = tree.intern(&[Acl::open()]);
        let readable = tree.intern(&[Acl { permissions: Permissions::READ, id: Id::anyone() }]);
        for path in RESERVED {
            let path = ZnodePath::parse(path).expect("a reserved path is legal");
            let (is_config, empty) = (path.as_str() == CONFIG, Some([].into()));
            let acl = if is_config { &readable } else { &open };
            let mut znode = Znode::new(path.clone(), empty, acl.clone(), Kind::Persistent, Zxid::ZERO, 0);
            znode.set_aversion(if is_config { -1 } else { 0 });
            tree.touched.insert(path.clone());
            tree.insert(Box::new(znode));
            tree.link(&path);
        }
        tree
    }

    /// No znodes at all, which is no world yet.
    pub(crate) fn empty() -> Self {
        Self {
            znodes: HashTable::new(),
            hasher: RandomState::default(),
            marked: Marked::default(),
            data_bytes: 0,
            parents: 0,
            lists: Lists::default(),
            touched: HashSet::default(),
            gone: HashMap::default(),
        }
    }

    /// The znode at this path.
    pub(crate) fn get(&self, path: &str) -> Option<&Znode> {
        let found = self.znodes.find(self.hasher.hash_one(path), |znode| *znode.path == *path);
        found.map(|znode| &**znode)
    }

    /// The znode at this path, and the path as the tree keeps it: a clone of that shares its text.
    pub(crate) fn find(&self, path: &str) -> Option<(&ZnodePath, &Znode)> {
        self.get(path).map(|znode| (&znode.path, znode))
    }

    /// All znodes, in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&ZnodePath, &Znode)> {
        self.znodes.iter().map(|znode| (&znode.path, &**znode))
    }

    /// How many znodes there are.
    pub(crate) fn len(&self) -> usize {
        self.znodes.len()
    }

    /// How many of them are ephemeral.
    pub(crate) fn ephemerals_count(&self) -> usize {
        self.marked.ephemerals_count()
    }

    /// Bytes of paths and data.
    pub(crate) fn data_bytes(&self) -> u64 {
        self.data_bytes
    }

    /// A session's ephemerals, in order of their paths.
    pub(crate) fn ephemerals(&self, owner: SessionId) -> impl Iterator<Item = &ZnodePath> {
        self.marked.ephemerals(owner)
    }

    /// Who owns ephemerals.
    pub(crate) fn owners(&self) -> impl Iterator<Item = SessionId> {
        self.marked.owners()
    }

    /// Containers and TTL znodes behind a path, or from the first one on, in order of paths.
    pub(crate) fn passing(&self, behind: Option<&ZnodePath>) -> impl Iterator<Item = &ZnodePath> {
        self.marked.passing(behind)
    }

    /// The paths that have a quota, in no particular order.
    pub(crate) fn limited(&self) -> impl Iterator<Item = &str> {
        self.marked.limited()
    }

    /// The nearest path that has a quota, from this one upwards.
    pub(crate) fn quota_of<'a>(&self, path: &'a str) -> Option<&'a str> {
        self.marked.quota_of(path)
    }

    /// How many znodes there are from this one downwards, and bytes of their data. Reads all of them.
    pub(crate) fn weigh(&self, path: &str) -> (i64, i64) {
        let (mut count, mut bytes) = (0, 0);
        let mut left: Vec<&Znode> = self.get(path).into_iter().collect();
        while let Some(znode) = left.pop() {
            count += 1;
            bytes += znode.data_len() as i64;
            left.extend(znode.children().filter_map(|child| self.get(child)));
        }
        (count, bytes)
    }

    /// The one copy of this list.
    pub(crate) fn intern(&mut self, list: &[Acl]) -> Shared<Acl> {
        self.lists.intern(list)
    }

    /// The paths whose znodes came, went or were changed since this was last asked; not sorted.
    pub(crate) fn take_touched(&mut self) -> Vec<ZnodePath> {
        self.touched.drain().collect()
    }

    /// Puts a znode where there is none, under a parent that is there.
    pub(crate) fn create(&mut self, mut znode: Znode) -> ParentMark {
        let (path, zxid) = (znode.path.clone(), znode.czxid);
        if !self.gone.is_empty()
            && let Some(newest) = self.gone.remove(&path)
        {
            znode.set_places(newest);
        }
        self.insert(Box::new(znode));
        self.touched.insert(path.clone());
        let parent = self.link(&path);
        let mark = parent.mark();
        parent.set_births(zxid, mark.created.wrapping_add(1));
        self.touch_parent(&path);
        mark
    }

    /// Takes a znode away that is there, has no children and is not the root.
    pub(crate) fn delete(&mut self, path: &ZnodePath, zxid: Zxid) -> (Box<Znode>, ParentMark) {
        let znode = self.remove(path);
        self.gone.insert(path.clone(), znode.places());
        let parent = self.unlink(path);
        let mark = parent.mark();
        parent.set_births(zxid, mark.created);
        self.touch_parent(path);
        (znode, mark)
    }

    /// Writes the data of a znode that is there. `data` must not share a client's request.
    pub(crate) fn set_data(
        &mut self,
        path: &ZnodePath,
        data: Option<Shared<u8>>,
        zxid: Zxid,
        time: Millis,
    ) -> (DataMark, Stat) {
        let version = next_version(self.expect(path).version);
        self.put_data(path, DataMark { data, mzxid: zxid, mtime: time, version })
    }

    /// Writes who the members are, which moves no version.
    pub(crate) fn set_config(&mut self, data: Shared<u8>, zxid: Zxid, time: Millis) {
        let path = ZnodePath::parse(CONFIG).expect("a reserved path is legal");
        self.put_data(&path, DataMark { data: Some(data), mzxid: zxid, mtime: time, version: -1 });
    }

    /// Writes the usage of a quota over the data of a znode that is there, and returns what it held: no version, no time
    /// and nobody who watches learns of it.
    pub(crate) fn put_usage(&mut self, path: &ZnodePath, usage: Option<Shared<u8>>) -> Option<Shared<u8>> {
        let znode = self.expect(path);
        let (mzxid, mtime, version) = (znode.mzxid, znode.mtime, znode.version);
        self.put_data(path, DataMark { data: usage, mzxid, mtime, version }).0.data
    }

    /// Writes the ACL of a znode that is there.
    pub(crate) fn set_acl(&mut self, path: &ZnodePath, acl: Shared<Acl>) -> (AclMark, Stat) {
        let aversion = next_version(self.expect(path).aversion());
        self.put_acl(path, AclMark { acl, aversion })
    }

    /// Undoes [`Self::set_acl`].
    pub(crate) fn undo_set_acl(&mut self, path: &ZnodePath, mark: AclMark) {
        self.put_acl(path, mark);
    }

    /// Undoes [`Self::create`].
    pub(crate) fn undo_create(&mut self, path: &ZnodePath, mark: ParentMark) {
        let newest = self.remove(path).places();
        if newest != Newest::default() {
            self.gone.insert(path.clone(), newest);
        }
        self.unlink(path).restore(mark);
    }

    /// Undoes [`Self::delete`].
    pub(crate) fn undo_delete(&mut self, znode: Box<Znode>, mark: ParentMark) {
        let path = znode.path.clone();
        self.gone.remove(&path);
        self.insert(znode);
        self.link(&path).restore(mark);
    }

    /// Where the history of a path goes on, whether it has a znode or not.
    pub(crate) fn newest(&self, path: &str) -> Newest {
        let newest = self.get(path).map(Znode::places);
        newest.or_else(|| self.gone.get(path).copied()).unwrap_or_default()
    }

    /// Sets where the history of a path goes on, and returns where it did.
    pub(crate) fn lead(&mut self, path: &str, lead: impl FnOnce(&mut Newest) -> u32) -> u32 {
        if let Some(znode) = self.get_mut(path) {
            let mut places = znode.places();
            let before = lead(&mut places);
            znode.set_places(places);
            return before;
        }
        if let Some(newest) = self.gone.get_mut(path) {
            return lead(newest);
        }
        // Only where a history is taken up that others have written.
        let mut newest = Newest::default();
        let before = lead(&mut newest);
        if let Ok(path) = ZnodePath::parse(path) {
            self.gone.insert(path, newest);
        }
        before
    }

    /// Notes that the deletion at `place` is not remembered any more.
    pub(crate) fn forget(&mut self, path: &str, place: u32) {
        if self.gone.get(path).is_some_and(|newest| newest.own == place) {
            self.gone.remove(path);
        }
    }

    /// The paths that are gone and remembered.
    pub(crate) fn gone(&self) -> impl Iterator<Item = &ZnodePath> {
        self.gone.keys()
    }

    /// Undoes [`Self::set_data`].
    pub(crate) fn undo_set_data(&mut self, path: &ZnodePath, mark: DataMark) {
        self.put_data(path, mark);
    }

    /// Puts a znode in its place without telling its parent, who may not be there yet: [`Self::adopt`] does that when
    /// all are. `false` if the place is taken.
    #[must_use]
    pub(crate) fn place(&mut self, znode: Box<Znode>) -> bool {
        let Self { znodes, hasher, .. } = self;
        let hash = |znode: &Znode| hasher.hash_one(znode.path.as_str());
        match znodes.entry(hash(&znode), |other| other.path == znode.path, |other| hash(other)) {
            Entry::Occupied(_) => return false,
            Entry::Vacant(place) => {
                self.data_bytes += weight(&znode);
                self.marked.add(&znode.path, znode.kind());
                self.lists.take(&znode.acl);
                place.insert(znode);
            }
        }
        true
    }

    /// Gives a znode that is there many children at once.
    pub(crate) fn adopt(&mut self, parent: &str, children: Vec<ZnodePath>) {
        let parent = self.expect(parent);
        let was_leaf = parent.is_leaf();
        parent.list_all(children);
        let is_leaf = parent.is_leaf();
        self.parents += usize::from(was_leaf && !is_leaf);
    }

    /// Makes room for so many znodes more.
    pub(crate) fn reserve(&mut self, znodes: usize) {
        let hasher = &self.hasher;
        self.znodes.reserve(znodes, |znode| hasher.hash_one(znode.path.as_str()));
    }

    /// Panics if an invariant does not hold.
    pub(crate) fn assert_invariants(&self) {
        let (mut children, mut bytes) = (0, 0);
        for (path, znode) in self.iter() {
            if let Some(parent) = path.parent() {
                let is_listed = self.get(parent).is_some_and(|parent| parent.lists(path));
                assert!(is_listed, "{path} is not listed by its parent");
            }
            let may_be = znode.kind().owner().is_none() || znode.is_leaf();
            assert!(may_be, "{path} is ephemeral and has children");
            children += znode.children_count();
            bytes += weight(znode);
        }
        // Each znode is listed by its parent, and there are as many listed: so nothing is listed that is not here.
        assert_eq!(children + 1, self.znodes.len(), "children that are not there");
        self.marked.assert_invariants(self.iter().map(|(path, znode)| (path, znode.kind())));
        assert_eq!(bytes, self.data_bytes, "bytes of data");
        self.assert_held();
        for path in RESERVED {
            assert!(self.get(path).is_some(), "{path} is gone");
        }
        self.assert_usage();
    }

    /// Panics if what a quota says that there is differs from what there is. Of quotas inside each other only the
    /// innermost counts what comes and goes, and whoever writes a usage himself has his way.
    fn assert_usage(&self) {
        for of in self.limited() {
            let has_inner = self.limited().any(|other| path::ancestors(other).any(|above| above == of));
            let stats = self.get(&quota::stats_path(of)).filter(|stats| stats.version == 0);
            if let Some(stats) = stats.filter(|_| !has_inner) {
                let (count, bytes) = self.weigh(of);
                let usage = Track::parse_usage(stats.data.as_deref());
                assert_eq!(usage, Some(Track::usage(count, bytes)), "what the quota of {of} counts");
            }
        }
    }

    fn insert(&mut self, znode: Box<Znode>) {
        assert!(self.place(znode), "a znode was overwritten");
    }

    fn remove(&mut self, path: &ZnodePath) -> Box<Znode> {
        let hash = self.hasher.hash_one(path.as_str());
        let place = self.znodes.find_entry(hash, |znode| znode.path == *path);
        let (znode, _) = place.expect("only what is there is removed").remove();
        assert!(znode.is_leaf(), "a znode was removed from above its children");
        self.data_bytes -= weight(&znode);
        self.marked.remove(path, znode.kind());
        self.lists.leave(&znode.acl);
        self.touched.insert(path.clone());
        znode
    }

    /// Lists a child with its parent; the root is nobody's child, and answers for itself.
    fn link(&mut self, path: &ZnodePath) -> &mut Znode {
        let Some(parent) = path.parent() else { return self.expect(path) };
        let Self { znodes, hasher, parents, .. } = self;
        let parent = expect(znodes, hasher, parent);
        *parents += usize::from(parent.is_leaf());
        parent.list(path.clone());
        parent
    }

    fn unlink(&mut self, path: &ZnodePath) -> &mut Znode {
        let Self { znodes, hasher, parents, .. } = self;
        let parent = expect(znodes, hasher, path.parent().expect("the root stays"));
        parent.unlist(path);
        *parents -= usize::from(parent.is_leaf());
        parent
    }

    fn put_acl(&mut self, path: &ZnodePath, mark: AclMark) -> (AclMark, Stat) {
        self.touched.insert(path.clone());
        let Self { znodes, hasher, lists, .. } = self;
        let znode = expect(znodes, hasher, path);
        // First what comes: where both are the same list, it is never without a znode.
        lists.take(&mark.acl);
        lists.leave(&znode.acl);
        let before = AclMark { acl: std::mem::replace(&mut znode.acl, mark.acl), aversion: znode.aversion() };
        znode.set_aversion(mark.aversion);
        (before, znode.stat())
    }

    fn put_data(&mut self, path: &ZnodePath, mark: DataMark) -> (DataMark, Stat) {
        self.touched.insert(path.clone());
        let added = mark.data.as_ref().map_or(0, |data| data.len()) as u64;
        let znode = self.expect(path);
        let removed = znode.data_len() as u64;
        let before = DataMark {
            data: std::mem::replace(&mut znode.data, mark.data),
            mzxid: std::mem::replace(&mut znode.mzxid, mark.mzxid),
            mtime: std::mem::replace(&mut znode.mtime, mark.mtime),
            version: std::mem::replace(&mut znode.version, mark.version),
        };
        let stat = znode.stat();
        self.data_bytes = self.data_bytes - removed + added;
        (before, stat)
    }

    fn touch_parent(&mut self, path: &ZnodePath) {
        if let Some(parent) = path.parent()
            && !self.touched.contains(parent)
            && let Some(parent) = self.get(parent).map(|parent| parent.path.clone())
        {
            self.touched.insert(parent);
        }
    }

    fn get_mut(&mut self, path: &str) -> Option<&mut Znode> {
        let found = self.znodes.find_mut(self.hasher.hash_one(path), |znode| *znode.path == *path);
        found.map(|znode| &mut **znode)
    }

    fn expect(&mut self, path: &str) -> &mut Znode {
        expect(&mut self.znodes, &self.hasher, path)
    }
}

/// A znode that is there: of the table alone, so that the rest of the tree can be changed with it.
fn expect<'a>(znodes: &'a mut HashTable<Box<Znode>>, hasher: &RandomState, path: &str) -> &'a mut Znode {
    let found = znodes.find_mut(hasher.hash_one(path), |znode| *znode.path == *path);
    found.expect("whoever changes a znode has seen that it is there")
}

fn weight(znode: &Znode) -> u64 {
    (znode.path.len() + znode.data_len()) as u64
}
