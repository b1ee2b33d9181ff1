//! The world to and from records.
//!
//! A record is what is written behind to disk and sent as a snapshot: one for each znode, session and transaction of
//! late, and one for the world itself. They are values here; their bytes are the business of whoever stores them.

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};
use proto::{Acl, ClusterId, SessionId, Shared, Text, ZnodePath, Zxid};

use crate::command::Millis;
use crate::ensemble::{Reconfiguration, Underway};
use crate::history::{History, HistoryBounds, HistoryRecord};
use crate::session::{Session, Sessions};
use crate::tree::{RESERVED, Tree};
use crate::watch::{ArmedWatch, RemovedWatch, WatchRecord, Watches};
use crate::znode::{Kind, Znode};

/// Room that is made before a record has been seen, in znodes. An iterator that promises more is believed as it goes.
const RESERVE_MAX: usize = 1 << 24;

/// What a record is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// The world itself.
    World,
    /// A session.
    Session(SessionId),
    /// A znode.
    Znode(ZnodePath),
    /// What a transaction changed.
    History(Zxid),
    /// What a session waits for at a path.
    Watch(SessionId, ZnodePath),
    /// The change of members that is under way.
    Reconfiguration,
}

/// One piece of the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// The world itself: exactly one in an image.
    World(WorldRecord),
    /// A living session.
    Session(Session),
    /// A znode.
    Znode(ZnodeRecord),
    /// What a transaction changed, as long as it is remembered.
    History(HistoryRecord),
    /// What a session waits for at a path.
    Watch(WatchRecord),
    /// The change of members that is under way, if one is.
    Reconfiguration(Reconfiguration),
}

impl Record {
    /// What it is about.
    pub fn key(&self) -> Key {
        match self {
            Self::World(_) => Key::World,
            Self::Session(session) => Key::Session(session.id),
            Self::Znode(znode) => Key::Znode(znode.path.clone()),
            Self::History(history) => Key::History(history.zxid),
            Self::Watch(record) => Key::Watch(record.session, record.path.clone()),
            Self::Reconfiguration(_) => Key::Reconfiguration,
        }
    }
}

/// What the world knows besides what has records of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorldRecord {
    /// The last transaction that took a zxid.
    pub last_zxid: Zxid,
    /// The world's clock: the newest time that a command carried.
    pub now: Millis,
    /// The newest transaction whose changes are not remembered any more.
    pub forgotten: Zxid,
    /// Which ensemble this is; `None` before its first leader has said so.
    pub cluster: Option<ClusterId>,
}

/// A znode, whole. Its children are not listed: their own records name them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of the protocol's Stat, where not explained")]
pub struct ZnodeRecord {
    pub path: ZnodePath,
    /// What it holds. Null and empty are different.
    pub data: Option<Shared<u8>>,
    pub acl: Shared<Acl>,
    pub czxid: Zxid,
    pub mzxid: Zxid,
    pub pzxid: Zxid,
    pub ctime: Millis,
    pub mtime: Millis,
    pub version: i32,
    pub aversion: i32,
    /// How many children were ever created, which also numbers the sequential ones. `cversion` follows from it.
    pub created: i32,
    /// How long it stays.
    pub kind: Kind,
}

/// Records that are no world.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damaged {
    /// Two records are about the same thing.
    #[error("{0:?} stands twice in the image")]
    Twice(Key),
    /// The image was cut short, or is of something else.
    #[error("{0:?} is missing from the image")]
    Missing(Key),
    /// A znode hangs in the air.
    #[error("the parent of {0} is missing from the image")]
    Orphan(ZnodePath),
    /// An ephemeral znode has outlived its session.
    #[error("{path} belongs to session {owner}, which is missing from the image")]
    Ownerless {
        /// The znode.
        path: ZnodePath,
        /// The session.
        owner: SessionId,
    },
    /// An ephemeral znode has children.
    #[error("{0} is ephemeral and has children")]
    EphemeralParent(ZnodePath),
    /// A znode is newer than the world's last transaction.
    #[error("{0} is newer than the world of the image")]
    Future(ZnodePath),
    /// A transaction that is remembered changed nothing, or lies outside of what the world says that it remembers.
    #[error("what transaction {0} changed is no part of the history of the image")]
    Unhistorical(Zxid),
    /// A watch has outlived its session, waits for nothing, was spent before it was armed, or was taken away over an
    /// attachment that is still to come.
    #[error("session {0} cannot have the watch at {1} that stands in the image")]
    Unwatchable(SessionId, ZnodePath),
    /// Two sessions are attached to the same connection.
    #[error("session {0} is attached to the connection of another session")]
    SharedHome(SessionId),
}

/// All records of a world, in no particular order.
pub(crate) fn records(
    world: WorldRecord,
    tree: &Tree,
    sessions: &Sessions,
    history: &History,
    watches: &Watches,
    reconfiguration: &Underway,
) -> impl Iterator<Item = Record> {
    std::iter::once(Record::World(world))
        .chain(sessions.iter().map(|session| Record::Session(session.clone())))
        .chain(tree.iter().map(|(_, znode)| Record::Znode(to_record(znode))))
        .chain(history.records().map(Record::History))
        .chain(watches.records().map(Record::Watch))
        .chain(reconfiguration.get().cloned().map(Record::Reconfiguration))
}

/// The records of what was touched since this was last asked, in order of keys; `None` for what is gone.
pub(crate) fn take_changes(
    tree: &mut Tree,
    sessions: &mut Sessions,
    history: &mut History,
    watches: &mut Watches,
    reconfiguration: &mut Underway,
) -> Vec<(Key, Option<Record>)> {
    let mut touched_sessions = sessions.take_touched();
    touched_sessions.sort_unstable();
    let mut touched_znodes = tree.take_touched();
    touched_znodes.sort_unstable();
    let sessions = touched_sessions
        .into_iter()
        .map(|id| (Key::Session(id), sessions.get(id).map(|session| Record::Session(session.clone()))));
    let znodes = touched_znodes.into_iter().map(|path| {
        let record = tree.get(&path).map(|znode| Record::Znode(to_record(znode)));
        (Key::Znode(path), record)
    });
    let history = history.take_changes().into_iter();
    let history = history.map(|(zxid, record)| (Key::History(zxid), record.map(Record::History)));
    let mut touched_watches = watches.take_touched();
    touched_watches.sort_unstable();
    let watches = touched_watches.into_iter().map(|(session, path)| {
        let record = watches.get(session, &path).map(Record::Watch);
        (Key::Watch(session, path), record)
    });
    let reconfiguration = reconfiguration
        .take_touched()
        .then(|| (Key::Reconfiguration, reconfiguration.get().cloned().map(Record::Reconfiguration)));
    sessions.chain(znodes).chain(history).chain(watches).chain(reconfiguration).collect()
}

/// The world of these records.
pub(crate) fn restore(
    records: impl IntoIterator<Item = Record>,
) -> Result<(WorldRecord, Tree, Sessions, History, Watches, Underway), Damaged> {
    let (mut world, mut tree, mut sessions) = (None, Tree::empty(), Sessions::default());
    let (mut transactions, mut waiting) = (Vec::new(), Vec::new());
    let (mut reconfiguration, mut families) = (None, Families::default());
    let records = records.into_iter();
    tree.reserve(records.size_hint().0.min(RESERVE_MAX));
    for record in records {
        match record {
            Record::World(record) => match world.replace(record) {
                None => {}
                Some(_) => return Err(Damaged::Twice(Key::World)),
            },
            Record::Session(session) => {
                let id = session.id;
                if sessions.get(id).is_some() {
                    return Err(Damaged::Twice(Key::Session(id)));
                }
                let session = Session { address: Text::from(&*session.address), ..session };
                if !sessions.insert(session) {
                    return Err(Damaged::SharedHome(id));
                }
            }
            Record::Znode(record) => {
                let path = record.path.clone();
                let znode = from_record(&mut tree, record);
                if !tree.place(Box::new(znode)) {
                    return Err(Damaged::Twice(Key::Znode(path)));
                }
                families.add(&mut tree, path);
            }
            Record::History(mut record) => {
                record.changes.iter_mut().for_each(|change| share(&mut change.path, &tree));
                transactions.push(record);
            }
            Record::Watch(record) => waiting.push(record),
            Record::Reconfiguration(record) => match reconfiguration.replace(record) {
                None => {}
                Some(_) => return Err(Damaged::Twice(Key::Reconfiguration)),
            },
        }
    }
    let world = world.ok_or(Damaged::Missing(Key::World))?;
    if let Some(orphan) = families.settle_all(&mut tree) {
        return Err(Damaged::Orphan(orphan));
    }
    check(world, &tree, &sessions)?;
    sessions.take_touched();
    let history = remember(world, &mut tree, transactions)?;
    let watches = watch(world, &tree, &sessions, waiting)?;
    Ok((world, tree, sessions, history, watches, Underway::restored(reconfiguration)))
}

/// Children of whom their parents are still to be told.
#[derive(Default)]
struct Families {
    /// Where records come in order of paths, a parent is there before its children, most of whom follow each other: a sorted run,
    /// of which a set is built at once.
    run: Option<(ZnodePath, Vec<ZnodePath>)>,
    /// By parents that were not there yet.
    waiting: HashMap<String, Vec<ZnodePath>, RandomState>,
}

impl Families {
    fn add(&mut self, tree: &mut Tree, child: ZnodePath) {
        let Some(parent) = child.parent() else { return };
        match &mut self.run {
            Some((of, run)) if *of.as_str() == *parent => return run.push(child),
            _ => self.settle(tree),
        }
        match tree.find(parent) {
            Some((parent, _)) => self.run = Some((parent.clone(), vec![child])),
            None => self.waiting.entry_ref(parent).or_default().push(child),
        }
    }

    fn settle(&mut self, tree: &mut Tree) {
        if let Some((parent, children)) = self.run.take() {
            tree.adopt(&parent, children);
        }
    }

    /// When all records have come. Returns the first by its path whose parent is not among them.
    fn settle_all(mut self, tree: &mut Tree) -> Option<ZnodePath> {
        self.settle(tree);
        let mut orphan: Option<ZnodePath> = None;
        for (parent, children) in self.waiting {
            if tree.get(&parent).is_none() {
                orphan = orphan.into_iter().chain(children).min();
                continue;
            }
            tree.adopt(&parent, children);
        }
        orphan
    }
}

/// Lets a path be that which the tree has for the same znode, if it has one.
fn share(path: &mut ZnodePath, tree: &Tree) {
    if let Some((shared, _)) = tree.find(path) {
        *path = shared.clone();
    }
}

/// The watches of these records, which share their paths with the tree.
fn watch(
    world: WorldRecord,
    tree: &Tree,
    sessions: &Sessions,
    records: Vec<WatchRecord>,
) -> Result<Watches, Damaged> {
    let mut watches = Watches::default();
    for record in records {
        let is_sound = |watch: &ArmedWatch| {
            watch.armed <= world.last_zxid
                && watch.spent.is_none_or(|spent| watch.armed < spent.zxid && spent.zxid <= world.last_zxid)
        };
        let session = sessions.get(record.session);
        let is_past = |removed: &RemovedWatch| {
            session.is_some_and(|session| removed.by.attachment <= session.attachment)
        };
        if session.is_none()
            || record.watches.is_empty() && record.removed.is_empty()
            || !record.watches.iter().all(is_sound)
            || !record.removed.iter().all(is_past)
        {
            return Err(Damaged::Unwatchable(record.session, record.path));
        }
        let path = tree.find(&record.path).map_or(&record.path, |(path, _)| path);
        if !watches.restore(&record, path) {
            return Err(Damaged::Twice(record_key(record)));
        }
    }
    Ok(watches)
}

fn record_key(record: WatchRecord) -> Key {
    Key::Watch(record.session, record.path)
}

/// The history of these transactions, which share their paths and ACLs with the tree and with each other.
fn remember(
    world: WorldRecord,
    tree: &mut Tree,
    mut transactions: Vec<HistoryRecord>,
) -> Result<History, Damaged> {
    transactions.sort_unstable_by_key(|record| record.zxid);
    let mut history = History::new(HistoryBounds::default(), world.forgotten);
    let mut gone: HashSet<ZnodePath, RandomState> = HashSet::default();
    let mut last = world.forgotten;
    for mut record in transactions {
        let zxid = record.zxid;
        if zxid == last && zxid > world.forgotten {
            return Err(Damaged::Twice(Key::History(zxid)));
        }
        if zxid <= last || zxid > world.last_zxid || record.changes.is_empty() {
            return Err(Damaged::Unhistorical(zxid));
        }
        last = zxid;
        for change in &mut record.changes {
            change.path = match tree.find(&change.path) {
                Some((path, _)) => path.clone(),
                None => gone.get_or_insert_with(&*change.path, |_| change.path.clone()).clone(),
            };
            if let Some(acls) = &mut change.acls {
                acls.own = tree.intern(&acls.own);
                acls.parent = tree.intern(&acls.parent);
            }
        }
        history.restore(tree, record);
    }
    Ok(history)
}

/// What holds of every world, and of records only if nobody has lost or mixed any.
fn check(world: WorldRecord, tree: &Tree, sessions: &Sessions) -> Result<(), Damaged> {
    for path in RESERVED {
        if tree.get(path).is_none() {
            let path = ZnodePath::parse(path).unwrap_or_else(|_| ZnodePath::root());
            return Err(Damaged::Missing(Key::Znode(path)));
        }
    }
    let newer = tree.iter().filter(|(_, znode)| znode.newest() > world.last_zxid).map(|(path, _)| path);
    if let Some(path) = newer.min() {
        return Err(Damaged::Future(path.clone()));
    }
    for owner in tree.owners() {
        for path in tree.ephemerals(owner) {
            if sessions.get(owner).is_none() {
                return Err(Damaged::Ownerless { path: path.clone(), owner });
            }
            if tree.get(path).is_some_and(|znode| !znode.is_leaf()) {
                return Err(Damaged::EphemeralParent(path.clone()));
            }
        }
    }
    Ok(())
}

fn to_record(znode: &Znode) -> ZnodeRecord {
    ZnodeRecord {
        path: znode.path.clone(),
        data: znode.data.clone(),
        acl: znode.acl.clone(),
        czxid: znode.czxid,
        mzxid: znode.mzxid,
        pzxid: znode.pzxid(),
        ctime: znode.ctime,
        mtime: znode.mtime,
        version: znode.version,
        aversion: znode.aversion(),
        created: znode.created(),
        kind: znode.kind(),
    }
}

fn from_record(tree: &mut Tree, record: ZnodeRecord) -> Znode {
    let acl = tree.intern(&record.acl);
    let mut znode = Znode::new(record.path, record.data, acl, record.kind, record.czxid, record.ctime);
    (znode.mzxid, znode.mtime, znode.version) = (record.mzxid, record.mtime, record.version);
    znode.set_births(record.pzxid, record.created);
    znode.set_aversion(record.aversion);
    znode
}
