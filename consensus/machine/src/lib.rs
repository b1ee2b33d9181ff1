//! The replicated world of znodes and sessions: one pure, synchronous function.
//!
//! [`Machine::apply`] is the only way it changes. It cannot fail, wait, log, or look at a clock: the same commands
//! make the same world on every member.
// Layers, lowest first. A module imports only from those above it; the tidy test checks.
mod quota;
mod rules;

pub mod command;
pub mod outcome;

mod acl;
mod znode;

mod tree;

mod ensemble;
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
use proto::{Attachment, ClusterId, Code, Permissions, Reply, SessionId, Text, ZnodePath, Zxid};

pub use acl::{ANY_SASL_USER, permits};
pub use apply::Machine;
pub use catch_up::{CatchUp, Told};
pub use command::{Act, Command, Home, Identities, Millis, Operation, PASSWORD_BYTES, WatchKind, WatchNote};
pub use digest::Digest;
pub use ensemble::Reconfiguration;
pub use history::{HistoryBounds, HistoryRecord, PastAcls, PastChange};
pub use image::{Damaged, Key, Record, WorldRecord, ZnodeRecord};
pub use outcome::{Applied, Change, ChangeKind, OverQuota, Verdict};
pub use query::Quota;
pub use quota::{Limit, Limits};
pub use rules::Rules;
pub use session::Session;
pub use watch::{ArmedWatch, RemovedWatch, Reported, Spent, WatchBounds, WatchRecord};
pub use znode::Kind;

/// What may be asked of the world.
impl Machine {
    /// Where the world stands: the zxid of the last transaction that took one.
    pub fn last_zxid(&self) -> Zxid {
        self.world.last_zxid
    }

    /// Which ensemble this is; `None` before its first leader has said so.
    pub fn cluster(&self) -> Option<ClusterId> {
        self.world.cluster
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

    /// Whether a leader has to write down who the members are, given as in [`Act::Ensemble`]. `is_certain` says that it
    /// may contradict what stands there.
    pub fn wants_description(&self, lines: &[Text], is_certain: bool) -> bool {
        if is_certain { !ensemble::says(&self.tree, lines) } else { ensemble::is_unsaid(&self.tree) }
    }

    /// The change of members that is under way, if one is.
    pub fn reconfiguration(&self) -> Option<&Reconfiguration> {
        self.reconfiguration.get()
    }

    /// Who the members are, as it is written down: one line for each, in order of their numbers. Empty if nobody has said.
    pub fn members(&self) -> Vec<Text> {
        ensemble::lines(&self.tree)
    }

    /// The version of what is written down of the members: the zxid of the change that brought it, 0 before the first.
    pub fn members_version(&self) -> i64 {
        ensemble::members(&self.tree).map_or(0, |(_, version)| version)
    }

    /// Whether there is a znode at a path, whoever may read it.
    pub fn holds(&self, path: &str) -> bool {
        self.tree.get(path).is_some()
    }

    /// Bytes of the data at a path, whoever may read it; zero if there is no znode.
    pub fn data_bytes_at(&self, path: &str) -> usize {
        self.tree.get(path).map_or(0, znode::Znode::data_len)
    }

    /// What all sessions wait for and have taken away, in no particular order.
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

    /// Whether somebody may do all of this at a path, each by itself.
    pub fn permits_all(&self, path: &str, who: Identities<'_>, wanted: Permissions) -> bool {
        let each = (0..i32::BITS).map(|bit| 1 << bit).filter(|bit| wanted.bits() & bit != 0);
        self.tree
            .get(path)
            .is_some_and(|znode| each.map(Permissions::from_bits).all(|one| permits(&znode.acl, who, one)))
    }

    /// A session's ephemerals, in order of their paths.
    pub fn ephemerals_of(&self, session: SessionId) -> impl Iterator<Item = &ZnodePath> {
        self.tree.ephemerals(session)
    }

    /// All living sessions, in no particular order.
    pub fn sessions(&self) -> impl Iterator<Item = &Session> {
        self.sessions.iter()
    }

    /// The containers and TTL znodes behind a path, or from the first one on, in order of paths: so all of them can be
    /// looked at in portions, between which the world changes.
    pub fn passing(&self, behind: Option<&ZnodePath>) -> impl Iterator<Item = &ZnodePath> {
        self.tree.passing(behind)
    }

    /// Whether a container or TTL znode has had its time at `now`: what an [`Act::Reap`] would find.
    pub fn is_due(&self, path: &str, now: Millis, never_used_ms: Millis) -> bool {
        self.tree.get(path).is_some_and(|znode| znode.is_due(now.max(self.world.now), never_used_ms))
    }

    /// All quotas, in no particular order.
    pub fn quotas(&self) -> impl Iterator<Item = Quota> {
        query::quotas(&self.tree)
    }

    /// Bytes that the znodes, the sessions and their watches are reckoned to take in memory. It follows from what they are, and
    /// costs nothing to ask. The history, which has a bound of its own, is not among it.
    pub fn world_bytes(&self) -> u64 {
        self.tree.held() + self.sessions.bytes() + self.watches.bytes()
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
            world_bytes: self.world_bytes(),
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

/// A world out of which another ensemble begins.
impl Machine {
    /// Gives the world a name of its own, and leaves out all zxids that the old ensemble may have given meanwhile: the
    /// next one is the first of what ZooKeeper would call the next epoch. Every session ends, with its ephemerals and its
    /// watches: a client may have seen what is not in this world, and is to begin anew rather than to rely on it.
    ///
    /// `seen` is a zxid that is left out as well, for clients may have seen it although this world does not know it.
    ///
    /// For worlds that nobody serves: members do not do this by themselves.
    pub fn begin_anew(&mut self, cluster: ClusterId, seen: Zxid) {
        let base = self.next_epoch(seen);
        let mut sessions: Vec<(SessionId, Attachment)> =
            self.sessions().map(|session| (session.id, session.attachment)).collect();
        sessions.sort_unstable();
        for (session, attachment) in sessions {
            let act = Act::Expire { session, attachment };
            self.apply(&Command { time: self.world.now, rules: Rules::default(), act });
        }
        self.world.cluster = Some(cluster);
        self.world.last_zxid = base;
    }

    /// Where the zxids of such a world begin.
    pub fn next_epoch(&self, seen: Zxid) -> Zxid {
        Zxid::new(((self.world.last_zxid.max(seen).get() >> 32) + 1) << 32)
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
            &mut self.reconfiguration,
        ));
        changes
    }

    /// The whole world, in no particular order. Cloning a record copies no data.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        image::records(
            self.world,
            &self.tree,
            &self.sessions,
            &self.history,
            &self.watches,
            &self.reconfiguration,
        )
    }

    /// The world of these records, in whatever order they come. Data is copied, so that a record may share the buffer
    /// that it was read from.
    ///
    /// # Errors
    /// [`Damaged`] if they are no whole world.
    pub fn restore(records: impl IntoIterator<Item = Record>) -> Result<Self, Damaged> {
        let (world, tree, sessions, history, watches, reconfiguration) = image::restore(records)?;
        Ok(Self { world, tree, sessions, history, watches, reconfiguration, taken: Some(world) })
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
    /// Bytes that znodes, sessions and watches are reckoned to take.
    pub world_bytes: u64,
}
