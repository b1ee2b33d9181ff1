//! The one door through which the world changes: admit, perform, report.

use proto::request::{Reconfig, SetWatches, Write};
use proto::{Attachment, ClusterId, Code, Id, Seq, SessionId, Text, ZnodePath, Zxid};
use smallvec::SmallVec;

use crate::command::{
    Act, Command, Home, Identities, Millis, Operation, PASSWORD_BYTES, WatchKind, WatchNote,
};
use crate::ensemble::{Reconfiguration, Underway};
use crate::history::{History, HistoryBounds};
use crate::image::WorldRecord;
use crate::outcome::{Applied, Change, OverQuota, Verdict};
use crate::rules::Rules;
use crate::session::{Admission, Session, Sessions};
use crate::tree::Tree;
use crate::txn::{Txn, delete_due, delete_ephemerals, reconfig};
use crate::watch::{ArmedWatch, Arming, Reported, Watches};
use crate::{catch_up, ensemble};

/// The world.
///
/// Invariants, besides those of its parts:
/// * who owns an ephemeral znode, or waits for something, is a living session;
/// * nothing is newer than the last zxid;
/// * what happened since `world.forgotten` is in the history, and nothing else.
#[derive(Debug)]
pub struct Machine {
    pub(crate) world: WorldRecord,
    pub(crate) tree: Tree,
    pub(crate) sessions: Sessions,
    pub(crate) history: History,
    pub(crate) watches: Watches,
    pub(crate) reconfiguration: Underway,
    /// The world as it stood when its changes were last taken.
    pub(crate) taken: Option<WorldRecord>,
}

impl Default for Machine {
    fn default() -> Self {
        Self::new()
    }
}

impl Machine {
    /// An empty world: `/`, `/zookeeper`, `/zookeeper/quota` and `/zookeeper/config`.
    pub fn new() -> Self {
        Self {
            world: WorldRecord::default(),
            tree: Tree::new(),
            sessions: Sessions::default(),
            history: History::new(HistoryBounds::default(), Zxid::ZERO),
            watches: Watches::default(),
            reconfiguration: Underway::default(),
            taken: None,
        }
    }

    /// The only way the world changes.
    pub fn apply(&mut self, command: &Command) -> Applied {
        // Leaders have clocks of their own, and one of them may be behind its predecessor's.
        self.world.now = self.world.now.max(command.time);
        let (verdict, done) = match &command.act {
            Act::Open { home, password, timeout_ms, address } => {
                (self.open(*home, *password, *timeout_ms, address), Done::default())
            }
            Act::Attach { home, session, password, timeout_ms, seen, address } => {
                (self.attach(*home, *session, password, *timeout_ms, *seen, address), Done::default())
            }
            Act::Write { session, attachment, seq, identities, operation } => {
                self.write(*session, *attachment, *seq, identities, operation, command.rules)
            }
            Act::Reconfigured { session, attachment, seq, refusal } => {
                self.reconfigured(*session, *attachment, *seq, *refusal)
            }
            Act::Expire { session, attachment } => self.expire(*session, *attachment),
            Act::Ensemble { lines } => self.describe(lines),
            Act::Name { cluster } => (self.name(*cluster), Done::default()),
            Act::Watch { session, attachment, number, notes, seen } => {
                (self.watch(*session, *attachment, *number, notes, *seen), Done::default())
            }
            Act::Reap { path, never_used_ms } => self.reap(path, *never_used_ms),
        };
        let Done { changes, over_quota } = done;
        if !changes.is_empty() {
            self.history.record(&mut self.tree, self.world.last_zxid, &changes);
            for change in &changes {
                self.watches.spend(self.world.last_zxid, change);
            }
            self.world.forgotten = self.history.forgotten();
        }
        Applied { zxid: self.world.last_zxid, verdict, changes, over_quota }
    }

    /// Panics if the world contradicts itself. Reads everything: for tests.
    pub fn assert_invariants(&self) {
        self.tree.assert_invariants();
        self.sessions.assert_invariants();
        self.history.assert_invariants(&self.tree);
        self.watches.assert_invariants();
        for session in self.watches.sessions() {
            assert!(self.sessions.get(session).is_some(), "watches have outlived session {session}");
        }
        assert_eq!(self.history.forgotten(), self.world.forgotten, "what is forgotten");
        for record in self.history.records() {
            assert!(record.zxid <= self.world.last_zxid, "{} comes from the future", record.zxid);
        }
        for owner in self.tree.owners() {
            assert!(self.sessions.get(owner).is_some(), "ephemerals have outlived session {owner}");
        }
        for (path, znode) in self.tree.iter() {
            assert!(znode.newest() <= self.world.last_zxid, "{path} comes from the future");
            assert!(znode.ctime.max(znode.mtime) <= self.world.now, "{path} comes from the future");
        }
    }

    fn open(
        &mut self,
        home: Home,
        password: [u8; PASSWORD_BYTES],
        timeout_ms: u32,
        address: &Text,
    ) -> Verdict {
        if self.sessions.holds(home) {
            return Verdict::Repeat;
        }
        let id = SessionId::opened(home.member, self.world.next_zxid());
        let opened = self.sessions.insert(Session {
            id,
            password,
            timeout_ms,
            attachment: Attachment::new(1),
            next_seq: Seq::new(1),
            home,
            address: detached(address),
            arrivals: SmallVec::new(),
        });
        assert!(opened, "the zxid in a session's id makes it new");
        Verdict::Opened { session: id, home, password, timeout_ms }
    }

    fn attach(
        &mut self,
        home: Home,
        id: SessionId,
        password: &[u8],
        timeout_ms: u32,
        seen: Zxid,
        address: &Text,
    ) -> Verdict {
        if self.sessions.holds(home) {
            return Verdict::Repeat;
        }
        match self.sessions.attach(id, password, home, timeout_ms, seen, detached(address)) {
            None => Verdict::NotAttached { home, session: id },
            Some((previous, session)) => Verdict::Attached {
                session: id,
                attachment: session.attachment,
                home,
                previous,
                password: session.password,
                timeout_ms,
            },
        }
    }

    fn write(
        &mut self,
        session: SessionId,
        attachment: Attachment,
        seq: Seq,
        proved: &[Id],
        operation: &Operation,
        rules: Rules,
    ) -> (Verdict, Done) {
        let who = match self.sessions.admit(session, attachment, seq) {
            Admission::Next(session) => Identities { address: &session.address, proved },
            Admission::Repeat => return (Verdict::Repeat, Done::default()),
            Admission::Gap => return (Verdict::Gap, Done::default()),
            Admission::Fenced => return (Verdict::Fenced { session, attachment, seq }, Done::default()),
        };
        let result = match &operation.write {
            Some(Write::CloseSession) => return self.close(session, Some(seq)),
            Some(Write::Reconfig(request)) => {
                let result = self.reconfigure(session, attachment, seq, proved, request, rules);
                return (result, Done::default());
            }
            Some(write) => Ok(write),
            // Refused like any other, at the cost of a zxid like any other.
            None => Err(Code::MarshallingError),
        };
        let zxid = self.world.next_zxid();
        let mut txn = Txn::new(&mut self.tree, zxid, self.world.now, session, who, rules);
        let result = result.and_then(|write| txn.perform(write));
        let done = Done { changes: txn.changes, over_quota: txn.over_quota };
        (Verdict::Answered { session, attachment, seq, result }, done)
    }

    fn expire(&mut self, session: SessionId, attachment: Attachment) -> (Verdict, Done) {
        // The leader decided on what it had heard by then. If the session has been attached since, its client lives.
        match self.sessions.get(session) {
            Some(living) if living.attachment == attachment => self.close(session, None),
            _ => (Verdict::Outlived, Done::default()),
        }
    }

    /// Writes down who the members are. The version of the znode stands still, and that of the text is the zxid that
    /// brought it (PROTOCOL, sections "Stat rules" and "`/zookeeper/config` and reconfig").
    fn describe(&mut self, lines: &[Text]) -> (Verdict, Done) {
        if ensemble::says(&self.tree, lines) {
            return (Verdict::Repeat, Done::default());
        }
        let is_first = ensemble::is_unsaid(&self.tree);
        let zxid = if is_first { Zxid::ZERO } else { self.world.next_zxid() };
        let change = ensemble::write(&mut self.tree, lines, zxid, self.world.now);
        let changes = if is_first { SmallVec::new() } else { SmallVec::from_iter([change]) };
        (Verdict::Described, Done { changes, over_quota: None })
    }

    /// Refuses a change of members, or lets the leader see to it.
    fn reconfigure(
        &mut self,
        session: SessionId,
        attachment: Attachment,
        seq: Seq,
        proved: &[Id],
        request: &Reconfig,
        rules: Rules,
    ) -> Verdict {
        let Some(living) = self.sessions.get(session) else { return Verdict::Outlived };
        let who = Identities { address: &living.address, proved };
        let underway = self.reconfiguration.get().is_some();
        match reconfig(&self.tree, who, rules, underway, request) {
            Ok(lines) => {
                self.reconfiguration.begin(Reconfiguration { session, attachment, seq, lines });
                Verdict::Reconfiguring { session, attachment }
            }
            Err(code) => {
                self.world.next_zxid();
                Verdict::Answered { session, attachment, seq, result: Err(code) }
            }
        }
    }

    /// Ends the change of members that is under way: the new ones are written down, or nothing is.
    fn reconfigured(
        &mut self,
        session: SessionId,
        attachment: Attachment,
        seq: Seq,
        refusal: Option<Code>,
    ) -> (Verdict, Done) {
        let Some(ended) = self.reconfiguration.end(session, attachment, seq) else {
            return (Verdict::Repeat, Done::default());
        };
        let zxid = self.world.next_zxid();
        let (result, changes) = match refusal {
            Some(code) => (Err(code), SmallVec::new()),
            None => {
                let change = ensemble::write(&mut self.tree, &ended.lines, zxid, self.world.now);
                (Ok(ensemble::reply(&self.tree)), SmallVec::from_iter([change]))
            }
        };
        (Verdict::Answered { session, attachment, seq, result }, Done { changes, over_quota: None })
    }

    /// Takes in what a member reports of a session's watches. All of it may have come before, and some of it is older
    /// than what is known: see [`Watches`].
    fn watch(
        &mut self,
        id: SessionId,
        attachment: Attachment,
        number: u64,
        notes: &[WatchNote],
        seen: Zxid,
    ) -> Verdict {
        let Some(session) = self.sessions.get(id) else { return Verdict::Outlived };
        let (current, left_with) = (session.attachment, session.seen_over(attachment));
        let by = Reported { attachment, number };
        let mut left_out = 0;
        let mut late = SetWatches::default();
        let mut shown = Zxid::ZERO;
        for note in notes {
            // Whoever reports has applied what it reports of, and then asked the log: so this holds of all that is true.
            let zxid = note.zxid.min(self.world.last_zxid);
            shown = shown.max(zxid);
            let path = self.tree.find(&note.path).map_or(&note.path, |(path, _)| path);
            if !note.armed {
                // Over an earlier attachment it was never answered, or it would have been known before the session moved;
                // and in the same world the client may have set the watch anew at its new home.
                let until = if attachment < current { Zxid::new(zxid.get().saturating_sub(1)) } else { zxid };
                self.watches.disarm(id, path, note.kind, until, by);
                continue;
            }
            // Between the answer to the client and this moment, it may have been spent.
            let spent = (zxid < self.world.last_zxid)
                .then(|| catch_up::spent(&self.tree, &self.history, path, note.kind, zxid))
                .flatten();
            let watch = ArmedWatch { kind: note.kind, armed: zxid, spent };
            let arming = self.watches.arm(id, path, watch, by);
            left_out += usize::from(arming == Arming::NoRoom);
            // What was known when the session moved was told to its new home then, and what it has set there since it
            // waits for already.
            if attachment < current && arming != Arming::Known {
                let list = match note.kind {
                    WatchKind::Data => &mut late.data,
                    WatchKind::Exist => &mut late.exist,
                    WatchKind::Child => &mut late.child,
                    WatchKind::Persistent => &mut late.persistent,
                    WatchKind::Recursive => &mut late.recursive,
                };
                list.push(Text::from(path.as_str()));
            }
        }
        self.watches.seen(id, seen);
        let late = (late != SetWatches::default()).then(|| {
            // The old home has told its client of these watches as long as it was there, and nobody has since. If it is
            // forgotten what the client had seen when it left, what the answers showed is known to have been told.
            late.relative = left_with.unwrap_or(shown);
            Box::new(late)
        });
        Verdict::Noted { session: id, attachment, number, current, late, left_out }
    }

    fn name(&mut self, cluster: ClusterId) -> Verdict {
        if self.world.cluster.is_some() {
            return Verdict::Outlived;
        }
        self.world.cluster = Some(cluster);
        Verdict::Named
    }

    /// Ends a session that lives, and all that goes with it.
    fn close(&mut self, id: SessionId, seq: Option<Seq>) -> (Verdict, Done) {
        let Some(ended) = self.sessions.remove(id) else { return (Verdict::Outlived, Done::default()) };
        self.watches.end(id);
        let zxid = self.world.next_zxid();
        let nobody = Identities { address: &ended.address, proved: &[] };
        let mut txn = Txn::new(&mut self.tree, zxid, self.world.now, id, nobody, Rules::default());
        delete_ephemerals(&mut txn);
        let done = Done { changes: txn.changes, over_quota: None };
        (Verdict::Closed { session: id, attachment: ended.attachment, home: ended.home, seq }, done)
    }

    /// Deletes a container or TTL znode, if it still is to go. Otherwise nothing happens, and no zxid is taken.
    fn reap(&mut self, path: &ZnodePath, never_used_ms: Millis) -> (Verdict, Done) {
        let (zxid, nobody) = (self.world.last_zxid.next(), Text::new());
        let who = Identities { address: &nobody, proved: &[] };
        let (session, rules) = (SessionId::NONE, Rules::default());
        let mut txn = Txn::new(&mut self.tree, zxid, self.world.now, session, who, rules);
        if !delete_due(&mut txn, path, never_used_ms) {
            return (Verdict::Outlived, Done::default());
        }
        let changes = txn.changes;
        self.world.last_zxid = zxid;
        (Verdict::Reaped, Done { changes, over_quota: None })
    }
}

/// What came of a command besides its verdict.
#[derive(Default)]
struct Done {
    changes: SmallVec<[Change; 1]>,
    over_quota: Option<Box<OverQuota>>,
}

impl WorldRecord {
    fn next_zxid(&mut self) -> Zxid {
        self.last_zxid = self.last_zxid.next();
        self.last_zxid
    }
}

/// A copy that does not keep the client's request in memory.
fn detached(text: &Text) -> Text {
    Text::from(&**text)
}
