//! The replicated world of znodes and sessions: one pure, synchronous function.
//!
//! [`Machine::apply`] is the only way it changes. It cannot fail, wait, log, or look at a clock: the same commands
//! make the same world on every member.
// Layers, lowest first. A module imports only from those above it; the tidy test checks.
pub mod command;
pub mod outcome;

mod acl;
mod znode;

mod tree;

mod history;
mod watch;

mod session;

mod txn;

mod catch_up;
mod image;
mod query;

mod digest;

mod apply;

use proto::request::{Read, SetWatches};
use proto::{Code, Reply, SessionId, ZnodePath, Zxid};

pub use acl::permits;
pub use apply::Machine;
pub use catch_up::{CatchUp, Told};
pub use command::{Act, Command, Home, Identities, Millis, Operation, PASSWORD_BYTES, WatchKind, WatchNote};
pub use history::{HistoryBounds, HistoryRecord, PastAcls, PastChange};
pub use image::{Damaged, Key, Record, WorldRecord, ZnodeRecord};
pub use outcome::{Applied, Change, ChangeKind, Verdict};
pub use session::Session;
pub use watch::{ArmedWatch, Spent, WatchBounds, WatchRecord};
pub use znode::Kind;

/// What may be asked of the world.
impl Machine {
    /// Where the world stands: the zxid of the last transaction that took one.
    pub fn last_zxid(&self) -> Zxid {
        self.world.last_zxid
    }

    /// Answers a read of this session's client. Registers no watch: the caller does, under the same lock.
    ///
    /// # Errors
    /// The refusals of PROTOCOL, section "Opcodes".
    pub fn read(&self, read: &Read, session: SessionId, who: Identities<'_>) -> Result<Reply, Code> {
        query::answer(&self.tree, read, session, who)
    }

    /// What the watches of a returning client have missed since the zxid that the list gives (PROTOCOL, section
    /// "SetWatches"), and this connection has not been told. `who` asks for it: what somebody may not read is not told
    /// to persistent watches. Registers nothing: the caller does, under the same lock.
    pub fn catch_up(&self, watches: &SetWatches, who: Identities<'_>, told: &mut Told) -> CatchUp {
        catch_up::catch_up(&self.tree, &self.history, watches, who, told)
    }

    /// What a session has missed since `seen`, the last zxid that its client has been shown, of all that the members
    /// know it to wait for; and what it waits for still. For the member that it has come to, as soon as its attach is
    /// applied. Changes nothing: if the connection breaks before the client has got it, it is asked again.
    pub fn missed(&self, session: SessionId, seen: Zxid, who: Identities<'_>, told: &mut Told) -> CatchUp {
        let watches = self.watches.of_session(session);
        catch_up::missed(&self.tree, &self.history, watches, seen, who, told)
    }

    /// The same of those watches alone that have become known late.
    pub fn missed_late(
        &self,
        session: SessionId,
        late: &SetWatches,
        who: Identities<'_>,
        told: &mut Told,
    ) -> CatchUp {
        let SetWatches { relative, data, exist, child, persistent, recursive } = late;
        let lists = [
            (data, WatchKind::Data),
            (exist, WatchKind::Exist),
            (child, WatchKind::Child),
            (persistent, WatchKind::Persistent),
            (recursive, WatchKind::Recursive),
        ];
        let mut watches = Vec::new();
        for (path, kind) in
            lists.into_iter().flat_map(|(list, kind)| list.iter().map(move |path| (path, kind)))
        {
            let record = ZnodePath::parse(path).ok().and_then(|path| self.watches.get(session, &path));
            let Some(WatchRecord { path, watches: of_path, .. }) = record else { continue };
            watches.extend(of_path.into_iter().filter(|it| it.kind == kind).map(|it| (path.clone(), it)));
        }
        let watches = watches.iter().map(|(path, watch)| (path, watch));
        catch_up::missed(&self.tree, &self.history, watches, *relative, who, told)
    }

    /// Whether there is a znode at a path, whoever may read it.
    pub fn holds(&self, path: &str) -> bool {
        self.tree.get(path).is_some()
    }

    /// What all sessions wait for, in no particular order.
    pub fn watches(&self) -> impl Iterator<Item = WatchRecord> {
        self.watches.records()
    }

    /// What one session waits for behind a path, or from the first one on, in order of paths. A path need not be there
    /// to be gone on behind: so many watches can be looked at in portions, between which the world changes.
    pub fn watches_of(
        &self,
        session: SessionId,
        behind: Option<&ZnodePath>,
    ) -> impl Iterator<Item = (&ZnodePath, &ArmedWatch)> {
        self.watches.of_session_behind(session, behind)
    }

    /// A living session.
    pub fn session(&self, id: SessionId) -> Option<&Session> {
        self.sessions.get(id)
    }

    /// All living sessions, in no particular order.
    pub fn sessions(&self) -> impl Iterator<Item = &Session> {
        self.sessions.iter()
    }

    /// Counts for operators.
    pub fn census(&self) -> Census {
        let (watches, watched_paths, watchers) = self.watches.counts();
        Census {
            watches,
            watched_paths,
            watchers,
            watches_bytes: self.watches.bytes(),
            znodes: self.tree.len(),
            ephemerals: self.tree.ephemerals_count(),
            data_bytes: self.tree.data_bytes(),
            sessions: self.sessions.len(),
            history_changes: self.history.len(),
            history_bytes: self.history.bytes(),
        }
    }

    /// Sets how much of the past is kept, if not what [`HistoryBounds::default`] says: for tests. All members must
    /// have the same.
    pub fn bound_history(&mut self, bounds: HistoryBounds) {
        self.history.set_bounds(&mut self.tree, bounds);
        self.world.forgotten = self.history.forgotten();
    }

    /// Sets how many watches there may be, if not what [`WatchBounds::default`] says: for tests. All members must have
    /// the same.
    pub fn bound_watches(&mut self, bounds: WatchBounds) {
        self.watches.set_bounds(bounds);
    }

    /// A checksum of the whole world: equal on every member that has applied the same commands. Reads everything.
    pub fn digest(&self) -> u64 {
        digest::of(self.records())
    }
}

/// The world as records.
impl Machine {
    /// What was touched since this was last asked, in order of keys: its value now, or `None` if it is gone. Written
    /// over an older image, this makes it an image of now. Cloning a record copies no data.
    pub fn take_changes(&mut self) -> Vec<(Key, Option<Record>)> {
        let mut changes = Vec::new();
        if self.taken != Some(self.world) {
            self.taken = Some(self.world);
            changes.push((Key::World, Some(Record::World(self.world))));
        }
        changes.extend(image::take_changes(
            &mut self.tree,
            &mut self.sessions,
            &mut self.history,
            &mut self.watches,
        ));
        changes
    }

    /// The whole world, in no particular order. Cloning a record copies no data.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        image::records(self.world, &self.tree, &self.sessions, &self.history, &self.watches)
    }

    /// The world of these records, in whatever order they come. Data is copied, so that a record may share the buffer
    /// that it was read from.
    ///
    /// # Errors
    /// [`Damaged`] if they are no whole world.
    pub fn restore(records: impl IntoIterator<Item = Record>) -> Result<Self, Damaged> {
        let (world, tree, sessions, history, watches) = image::restore(records)?;
        Ok(Self { world, tree, sessions, history, watches, taken: Some(world) })
    }
}

/// Counts for operators.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Znodes, the root and the reserved ones among them.
    pub znodes: usize,
    /// Znodes that go when their session goes.
    pub ephemerals: usize,
    /// Bytes of paths and data.
    pub data_bytes: u64,
    /// Living sessions.
    pub sessions: usize,
    /// Changes of znodes that are remembered.
    pub history_changes: usize,
    /// Bytes that they are reckoned to take.
    pub history_bytes: u64,
    /// Watches that all members know of.
    pub watches: usize,
    /// Paths at which they are.
    pub watched_paths: usize,
    /// Sessions that have some.
    pub watchers: usize,
    /// Bytes that they are reckoned to take.
    pub watches_bytes: u64,
}
