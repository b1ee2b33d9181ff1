//! Property: the same commands make the same world, also where it was restored from its records on the way.
//!
//! A seeded life of some sessions in a small tree, where commands often meet each other. One machine lives through all
//! of it. The others begin again and again as what an image gives: the whole records, or an older image with the
//! changes since written over it.

use std::collections::BTreeMap;

use bytes::Bytes;
use machine::{
    Act, Applied, Command, HistoryBounds, Home, Key, Machine, Operation, Record, Rules, Verdict, WatchBounds,
    WatchKind, WatchNote,
};
use proto::request::{Create, Write};
use proto::{
    Acl, Attachment, Code, Id, MemberId, OpCode, Permissions, Reply, Seq, SessionId, Text, Version,
    ZnodePath, Zxid,
};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

/// Less than happens between two images, now and then.
const BOUNDS: HistoryBounds = HistoryBounds { changes: 20, bytes: 2_000 };

/// The same of the watches that a session has taken away.
const REMOVED_MAX: usize = 3;

#[test]
fn members_agree_whenever_they_began() {
    let lives: Vec<Lived> = (0..60).map(live).collect();
    assert!(
        lives.iter().map(|life| life.reaped).sum::<usize>() > 40,
        "hardly anything was reaped: {lives:?}"
    );
    assert!(
        lives.iter().map(|life| life.over_quota).sum::<usize>() > 40,
        "hardly a quota was in the way: {lives:?}"
    );
    assert!(lives.iter().map(|life| life.full).sum::<usize>() > 400, "hardly a world was full: {lives:?}");
    let removed = lives.iter().map(|life| life.removed).max();
    assert_eq!(removed, Some(REMOVED_MAX), "nothing had to be forgotten of what was taken away");
}

#[test]
fn a_life_is_repeated_by_its_seed() {
    assert_eq!(live(7), live(7));
    assert_ne!(live(7), live(8));
}

/// What a life came to.
#[derive(Debug, PartialEq, Eq)]
struct Lived {
    digest: u64,
    reaped: usize,
    over_quota: usize,
    full: usize,
    /// The most watches of one session that were remembered for having been taken away.
    removed: usize,
}

/// Lives one life.
fn live(seed: u64) -> Lived {
    let mut client = Client::new(seed);
    let mut veteran = Machine::new();
    bound(&mut veteran);
    let mut image = Image::default();
    image.write(veteran.take_changes());
    let mut restored = world_of(&image);
    let mut removed = 0;
    for step in 0..700 {
        let passing: Vec<_> = veteran.passing(None).cloned().collect();
        let command = client.next(&passing);
        let (before, taken) = (znodes(&veteran), veteran.world_bytes());
        let applied = veteran.apply(&command);
        if command.rules.contains(Rules::FULL) && matches!(command.act, Act::Write { .. }) {
            let grown = veteran.world_bytes() > taken;
            assert!(!grown, "seed {seed}, step {step}: grew in a full world: {command:?}");
        }
        let is_refused = matches!(applied.verdict, Verdict::Answered { result: Err(Code::ThrottledOp), .. });
        assert!(!is_refused || command.rules.contains(Rules::FULL), "seed {seed}, step {step}: {command:?}");
        if !is_done(&applied.verdict) {
            assert!(applied.changes.is_empty(), "seed {seed}, step {step}: {applied:?}");
            assert!(
                before == znodes(&veteran),
                "seed {seed}, step {step}: a refusal left a trace: {command:?}"
            );
        }
        assert_eq!(applied, restored.apply(&command), "seed {seed}, step {step}: {command:?}");
        assert_eq!(veteran.world_bytes(), restored.world_bytes(), "seed {seed}, step {step}: {command:?}");
        client.learn(&applied);
        if step % 29 == 0 {
            image.write(veteran.take_changes());
            restored = world_of(&image);
            restored.assert_invariants();
            assert_eq!(veteran.digest(), restored.digest(), "seed {seed}, step {step}: from changes");
        }
        if step % 41 == 0 {
            restored = Machine::restore(client.shuffled(veteran.records())).expect("a whole world");
            bound(&mut restored);
            assert_eq!(veteran.digest(), restored.digest(), "seed {seed}, step {step}: from records");
            assert_eq!(veteran.census(), restored.census());
        }
        if step % 5 == 0 {
            veteran.assert_invariants();
            removed = removed.max(most_removed(&veteran));
        }
    }
    assert!(client.refused > 30 && client.done > 40, "a dull life: {} {}", client.refused, client.done);
    assert!(client.multis_done > 3 && client.multis_failed > 3, "no multis");
    assert!(client.closed > 3, "no session ended");
    assert!(client.noted > 10, "no watches");
    Lived {
        digest: veteran.digest(),
        reaped: client.reaped,
        over_quota: client.over_quota,
        full: client.full,
        removed,
    }
}

fn most_removed(machine: &Machine) -> usize {
    let mut removed: BTreeMap<SessionId, usize> = BTreeMap::new();
    for record in machine.watches() {
        *removed.entry(record.session).or_default() += record.removed.len();
    }
    removed.into_values().max().unwrap_or(0)
}

/// Whether anything in the tree may have changed.
fn is_done(verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Answered { result, .. } => !matches!(result, Err(_) | Ok(Reply::MultiFailed { .. })),
        Verdict::Closed { .. } | Verdict::Reaped => true,
        _ => false,
    }
}

fn znodes(machine: &Machine) -> BTreeMap<Key, Record> {
    let records = machine.records().filter(|record| matches!(record, Record::Znode(_)));
    records.map(|record| (record.key(), record)).collect()
}

fn world_of(image: &Image) -> Machine {
    let mut machine = Machine::restore(image.0.values().cloned()).expect("a whole world");
    bound(&mut machine);
    machine
}

fn bound(machine: &mut Machine) {
    machine.bound_history(BOUNDS);
    machine.bound_watches(WatchBounds { removed_per_session: REMOVED_MAX, ..WatchBounds::default() });
}

/// What is on disk: changes written over what stood there.
#[derive(Default)]
struct Image(BTreeMap<Key, Record>);

impl Image {
    fn write(&mut self, changes: Vec<(Key, Option<Record>)>) {
        assert!(changes.is_sorted_by(|(a, _), (b, _)| a < b), "changes stand in order of keys, each once");
        for (key, record) in changes {
            match record {
                Some(record) => {
                    assert_eq!(record.key(), key);
                    self.0.insert(key, record);
                }
                None => {
                    self.0.remove(&key);
                }
            }
        }
    }
}

struct Client {
    rng: SmallRng,
    connection: u64,
    time: i64,
    /// Sessions with their attachment and next write, as far as they are known to live.
    sessions: Vec<(SessionId, Attachment, Seq)>,
    refused: usize,
    done: usize,
    multis_done: usize,
    multis_failed: usize,
    closed: usize,
    noted: usize,
    reaped: usize,
    over_quota: usize,
    /// Writes that were refused because the world was full.
    full: usize,
    last: Zxid,
}

impl Client {
    fn new(seed: u64) -> Self {
        Self {
            rng: SmallRng::seed_from_u64(seed),
            connection: 0,
            time: 0,
            sessions: Vec::new(),
            refused: 0,
            done: 0,
            multis_done: 0,
            multis_failed: 0,
            closed: 0,
            noted: 0,
            reaped: 0,
            over_quota: 0,
            full: 0,
            last: Zxid::ZERO,
        }
    }

    fn next(&mut self, passing: &[ZnodePath]) -> Command {
        // Clocks of leaders may step back.
        self.time += self.rng.random_range(-3..10);
        let rules = match self.rng.random_range(0..3) {
            0 => Rules::default(),
            _ => Rules::QUOTA_ENFORCED,
        };
        // Mostly there is room, or there would be nothing to refuse.
        let rules = rules | Rules::FULL.when(self.rng.random_ratio(1, 8));
        let act = match self.rng.random_range(0..106) {
            _ if self.sessions.is_empty() => self.open(),
            0..4 => self.open(),
            4..8 => {
                let (session, ..) = self.session();
                let password = if self.rng.random_ratio(1, 5) { vec![1; 16] } else { vec![9; 16] };
                let home = self.home();
                let address = Text::from_static("10.0.0.2");
                Act::Attach {
                    home,
                    session,
                    password: password.into(),
                    timeout_ms: 2_000,
                    seen: Zxid::ZERO,
                    address,
                }
            }
            8..10 => {
                let (session, attachment, _) = self.session();
                Act::Expire { session, attachment }
            }
            10..12 => self.operation(OpCode::CloseSession, Some(Write::CloseSession)),
            12..14 => self.operation(OpCode::Create, None),
            100..106 => {
                let found = passing.get(self.rng.random_range(0..=passing.len())).cloned();
                let path = found.unwrap_or_else(|| ZnodePath::parse(&self.path()).expect("a legal path"));
                Act::Reap { path, never_used_ms: self.rng.random_range(0..100) }
            }
            14..22 => self.watch(),
            22..40 => {
                let count = self.rng.random_range(0..6);
                let operations = (0..count).map(|_| self.write(true)).collect();
                self.operation(OpCode::Multi, Some(Write::Multi(operations)))
            }
            _ => {
                let write = self.write(false);
                self.operation(OpCode::Create, Some(write))
            }
        };
        Command { time: self.time, rules, act }
    }

    /// Follows what became of the command, as a member does.
    fn learn(&mut self, applied: &Applied) {
        self.last = applied.zxid;
        self.over_quota += usize::from(applied.over_quota.is_some());
        match &applied.verdict {
            Verdict::Noted { .. } => self.noted += 1,
            Verdict::Reaped => self.reaped += 1,
            Verdict::Opened { session, .. } => {
                self.sessions.push((*session, Attachment::new(1), Seq::new(1)));
            }
            Verdict::Attached { session, attachment, .. } => {
                for known in self.sessions.iter_mut().filter(|known| known.0 == *session) {
                    *known = (*session, *attachment, Seq::new(1));
                }
            }
            Verdict::Answered { session, seq, result, .. } => {
                for known in self.sessions.iter_mut().filter(|known| known.0 == *session) {
                    known.2 = seq.next();
                }
                match result {
                    Ok(Reply::Multi(_)) => self.multis_done += 1,
                    Ok(Reply::MultiFailed { .. }) => self.multis_failed += 1,
                    Ok(_) => self.done += 1,
                    Err(code) => {
                        self.refused += 1;
                        self.full += usize::from(*code == Code::ThrottledOp);
                    }
                }
            }
            Verdict::Closed { session, .. } => {
                self.sessions.retain(|known| known.0 != *session);
                self.closed += 1;
            }
            _ => {}
        }
    }

    fn shuffled(&mut self, records: impl Iterator<Item = Record>) -> Vec<Record> {
        let mut records: Vec<_> = records.collect();
        for index in (1..records.len()).rev() {
            records.swap(index, self.rng.random_range(0..=index));
        }
        records
    }

    fn open(&mut self) -> Act {
        let home = self.home();
        Act::Open { home, password: [9; 16], timeout_ms: 1_000, address: Text::from_static("10.0.0.1") }
    }

    fn home(&mut self) -> Home {
        // Now and then the same connection asks twice.
        self.connection += u64::from(self.rng.random_ratio(4, 5));
        Home { member: MemberId::new(self.connection % 3 + 1), boot: 1, connection: self.connection }
    }

    fn session(&mut self) -> (SessionId, Attachment, Seq) {
        self.sessions[self.rng.random_range(0..self.sessions.len())]
    }

    /// A report of watches, which may be late, and may have come before.
    fn watch(&mut self) -> Act {
        let (session, attachment, _) = self.session();
        let notes = (0..self.rng.random_range(0..4)).map(|_| {
            let path = ZnodePath::parse(&self.path()).expect("a legal path");
            let kind = WatchKind::ALL[self.rng.random_range(0..WatchKind::ALL.len())];
            let armed = self.rng.random_ratio(3, 5);
            WatchNote { path, kind, zxid: self.past(), armed }
        });
        let notes = notes.collect();
        let seen = if self.rng.random_ratio(1, 3) { self.past() } else { Zxid::ZERO };
        let attachment = if self.rng.random_ratio(1, 3) { Attachment::new(1) } else { attachment };
        Act::Watch { session, attachment, number: self.rng.random_range(0..8), notes, seen }
    }

    fn past(&mut self) -> Zxid {
        Zxid::new(self.last.get().saturating_sub(self.rng.random_range(0..60)))
    }

    fn operation(&mut self, op: OpCode, write: Option<Write>) -> Act {
        let (session, attachment, seq) = self.session();
        let (attachment, seq) = match self.rng.random_range(0..30) {
            0 => (attachment, seq.next()),
            1 => (attachment, Seq::new(1)),
            2 => (attachment.next(), seq),
            _ => (attachment, seq),
        };
        let identities = match self.rng.random_range(0..3) {
            0 => vec![Id::new("digest", "alice:hash")],
            _ => Vec::new(),
        };
        Act::Write { session, attachment, seq, identities, operation: Operation { op, write } }
    }

    fn write(&mut self, in_multi: bool) -> Write {
        if self.rng.random_ratio(1, 8) {
            return self.write_quota();
        }
        let path = self.path();
        // In a multi one failure is enough, so most of its operations are to succeed.
        let version = match self.rng.random_range(0..if in_multi { 12 } else { 4 }) {
            0 => Version::new(0),
            _ => Version::ANY,
        };
        match self.rng.random_range(0..10) {
            0..5 => self.create(path, in_multi),
            5..7 => Write::SetData { path, data: self.data(), version },
            7 if in_multi => Write::Check { path, version },
            7 => Write::SetAcl { path, acl: Some(self.acl()), version },
            _ => Write::Delete { path, version },
        }
    }

    fn create(&mut self, path: Text, in_multi: bool) -> Write {
        let (flags, ttl, container) = match self.rng.random_range(0..8) {
            0 => (5, Some(self.rng.random_range(1..60)), false),
            1 => (2, None, true),
            _ if in_multi => (self.rng.random_range(1..4), None, false),
            _ => (self.rng.random_range(0..5), None, false),
        };
        let (data, acl, with_stat) = (self.data(), Some(self.acl()), self.rng.random());
        Write::Create(Create { path, data, acl, flags, ttl, container, with_stat })
    }

    /// Makes a quota, or changes or ends one. What it counts is held against what there is with the other invariants.
    fn write_quota(&mut self) -> Write {
        const QUOTAS: [&str; 4] = ["", "/0", "/1", "/0/1"];
        let of = QUOTAS[self.rng.random_range(0..QUOTAS.len())];
        let name = ["", "/zookeeper_limits", "/zookeeper_stats"][self.rng.random_range(0..3)];
        let path = Text::from(format!("/zookeeper/quota{of}{name}"));
        let (count, bytes) = (self.rng.random_range(-1..8), self.rng.random_range(-1..8));
        let says = format!("count=-1,bytes=-1=;byteHardLimit={bytes};countHardLimit={count}");
        let data = Some(Bytes::from(says));
        match self.rng.random_range(0..12) {
            0..8 => {
                let acl = Some(vec![Acl::open()]);
                Write::Create(Create {
                    path,
                    data,
                    acl,
                    flags: 0,
                    ttl: None,
                    container: false,
                    with_stat: true,
                })
            }
            8 if name == "/zookeeper_limits" => Write::SetData { path, data, version: Version::ANY },
            _ => Write::Delete { path, version: Version::ANY },
        }
    }

    fn path(&mut self) -> Text {
        let depth = self.rng.random_range(1..4);
        (0..depth).map(|_| format!("/{}", self.rng.random_range(0..3))).collect::<String>().into()
    }

    fn data(&mut self) -> Option<Bytes> {
        match self.rng.random_range(0..4) {
            0 => None,
            length => Some(vec![b'x'; length - 1].into()),
        }
    }

    fn acl(&mut self) -> Vec<Acl> {
        match self.rng.random_range(0..12) {
            0 => vec![Acl { permissions: Permissions::ALL, id: Id::new("digest", "alice:hash") }],
            1 => vec![Acl { permissions: Permissions::ALL, id: Id::new("auth", "") }],
            2 => vec![Acl { permissions: Permissions::READ, id: Id::anyone() }],
            _ => vec![Acl::open()],
        }
    }
}
