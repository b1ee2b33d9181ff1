//! Property: what the history tells is what happened.
//!
//! A seeded life of one session in a small tree, written down in full as it was reported. Now and then somebody asks
//! what was missed since some zxid, and is to be told what a reader of the whole report finds, as far as the history
//! reaches back: behind that, at least nothing may be told that never happened.

use std::collections::BTreeSet;

use machine::{
    Act, CatchUp, Change, ChangeKind, Command, HistoryBounds, Home, Identities, Machine, Operation, Rules,
    Told, Verdict, WatchKind, WatchNote,
};
use proto::path::ancestors;
use proto::request::{Create, SetWatches, Write};
use proto::{
    Acl, Attachment, Event, EventKind, MemberId, OpCode, Seq, SessionId, Text, Version, ZnodePath, Zxid,
};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

/// More than one run of changes that are kept together, and less than a life.
const BOUNDS: HistoryBounds = HistoryBounds { changes: 700, bytes: u64::MAX };

#[test]
fn what_was_missed_is_what_happened() {
    for seed in 0..20 {
        let mut life = Life::new(seed);
        for step in 0..3_000 {
            life.write();
            if step % 50 == 0 {
                life.ask();
            }
            if step % 500 == 0 {
                life.machine = Machine::restore(life.machine.records()).expect("a whole world");
                life.machine.bound_history(BOUNDS);
            }
        }
        life.machine.assert_invariants();
        assert!(life.told > 1_000 && life.waiting > 100, "a dull life: {} {}", life.told, life.waiting);
    }
}

/// Property: what a one-shot watch is owed is told by the table that all members have, however late the watch was
/// reported, and however often, as far as the history reaches back.
#[test]
fn what_a_watch_is_owed_is_told_to_who_says_nothing() {
    for seed in 0..20 {
        let mut life = Life::new(seed);
        let mut owed = 0;
        for step in 0..1_500 {
            life.write();
            if step % 3 == 0 {
                life.watch();
            }
            if step % 40 == 0 {
                owed += life.come_back();
            }
            if step % 300 == 0 {
                life.machine = Machine::restore(life.machine.records()).expect("a whole world");
                life.machine.bound_history(BOUNDS);
            }
        }
        life.machine.assert_invariants();
        assert!(owed > 50, "a dull life: {owed} events were owed");
    }
}

struct Life {
    rng: SmallRng,
    machine: Machine,
    session: SessionId,
    seq: Seq,
    report: Vec<(Zxid, Change)>,
    told: usize,
    waiting: usize,
    /// What the client was answered, and when: each time that it set a watch.
    armed: Vec<(ZnodePath, WatchKind, Zxid)>,
    unreported: Vec<WatchNote>,
}

impl Life {
    fn new(seed: u64) -> Self {
        let mut machine = Machine::new();
        machine.bound_history(BOUNDS);
        let home = Home { member: MemberId::new(1), boot: 1, connection: 1 };
        let address = Text::from_static("10.0.0.1");
        let open = Act::Open { home, password: [9; 16], timeout_ms: 1_000, address };
        let Verdict::Opened { session, .. } =
            machine.apply(&Command { time: 1, rules: Rules::default(), act: open }).verdict
        else {
            panic!("not opened");
        };
        let (rng, seq) = (SmallRng::seed_from_u64(seed), Seq::new(1));
        Self {
            rng,
            machine,
            session,
            seq,
            report: Vec::new(),
            told: 0,
            waiting: 0,
            armed: Vec::new(),
            unreported: Vec::new(),
        }
    }

    fn write(&mut self) {
        let write = match self.rng.random_range(0..6) {
            0 => Write::Multi((0..3).map(|_| self.one()).collect()),
            _ => self.one(),
        };
        let operation = Operation { op: OpCode::Multi, write: Some(write) };
        let (session, attachment, seq) = (self.session, Attachment::new(1), self.seq);
        let act = Act::Write { session, attachment, seq, identities: Vec::new(), operation };
        let applied = self.machine.apply(&Command { time: 1, rules: Rules::default(), act });
        self.seq = self.seq.next();
        self.report.extend(applied.changes.into_iter().map(|change| (applied.zxid, change)));
    }

    fn one(&mut self) -> Write {
        let (path, version) = (self.path().as_str().into(), Version::ANY);
        let (data, acl) = (None, Some(vec![Acl::open()]));
        match self.rng.random_range(0..5) {
            0..2 => Write::Create(Create {
                path,
                data,
                acl,
                flags: 0,
                ttl: None,
                container: false,
                with_stat: false,
            }),
            2..4 => Write::Delete { path, version },
            _ => Write::SetData { path, data, version },
        }
    }

    fn path(&mut self) -> ZnodePath {
        let depth = self.rng.random_range(1..4);
        let path: String = (0..depth).map(|_| format!("/{}", self.rng.random_range(0..3))).collect();
        ZnodePath::parse(&path).expect("a legal path")
    }

    fn ask(&mut self) {
        let last = self.machine.last_zxid().get();
        let since = Zxid::new(last.saturating_sub(self.rng.random_range(0..900)));
        let paths: BTreeSet<ZnodePath> = (0..12).map(|_| self.path()).collect();
        for path in paths {
            let was_there = self.was_there(&path, since);
            let list = |wanted: bool| if wanted { vec![Text::from(path.as_str())] } else { Vec::new() };
            let none = SetWatches { relative: since, ..SetWatches::default() };
            let one_shots = [
                (SetWatches { data: list(was_there), ..none.clone() }, true, false),
                (SetWatches { exist: list(!was_there), ..none.clone() }, true, false),
                (SetWatches { child: list(was_there), ..none.clone() }, false, true),
            ];
            for (watches, own, children) in one_shots {
                let is_set =
                    !(watches.data.is_empty() && watches.exist.is_empty() && watches.child.is_empty());
                let of_children = |event: &&Event| children && event.kind == EventKind::ChildrenChanged;
                let wanted: Vec<_> = self.happened(since, &path, |event| {
                    event.path == path
                        && (own && event.kind != EventKind::ChildrenChanged || of_children(&event))
                        || children && event.path == path && event.kind == EventKind::Deleted
                });
                let first: Vec<_> = wanted.into_iter().take(usize::from(is_set)).collect();
                self.check(&watches, &first);
            }
            let persistent = self.happened(since, &path, |event| event.path == path);
            self.check(&SetWatches { persistent: list(true), ..none.clone() }, &persistent);
            let recursive = self.happened(since, &path, |event| {
                let below = event.path == path || ancestors(&event.path).any(|above| above == &*path);
                below && event.kind != EventKind::ChildrenChanged
            });
            self.check(&SetWatches { recursive: list(true), ..none }, &recursive);
        }
    }

    /// Sets a watch, as a read does; its home reports it later, together with others, now and then twice.
    fn watch(&mut self) {
        let (path, zxid) = (self.path(), self.machine.last_zxid());
        let kind = match (self.was_there(&path, zxid), self.rng.random()) {
            (false, _) => WatchKind::Exist,
            (true, true) => WatchKind::Data,
            (true, false) => WatchKind::Child,
        };
        self.armed.push((path.clone(), kind, zxid));
        self.unreported.push(WatchNote { path, kind, zxid, armed: true });
        if self.rng.random_ratio(1, 5) {
            self.report_watches();
        }
    }

    fn report_watches(&mut self) {
        let (session, attachment) = (self.session, Attachment::new(1));
        let notes = std::mem::take(&mut self.unreported);
        let act = Act::Watch { session, attachment, number: 0, notes, seen: Zxid::ZERO };
        for _ in 0..self.rng.random_range(1..3) {
            self.machine.apply(&Command { time: 1, rules: Rules::default(), act: act.clone() });
        }
    }

    /// The client comes back with some zxid, and is told; returns how many events it was owed.
    fn come_back(&mut self) -> usize {
        self.report_watches();
        let last = self.machine.last_zxid().get();
        let seen = Zxid::new(last.saturating_sub(self.rng.random_range(0..300)));
        let address = Text::from_static("10.0.0.1");
        let who = Identities { address: &address, proved: &[] };
        let CatchUp { events, waiting, .. } =
            self.machine.missed(self.session, seen, who, &mut Told::default());
        assert!(events.is_sorted_by_key(|event| event.zxid), "{events:?}");
        let mut owed = 0;
        // Of the answers to the client, the last that it has got for each path and mode.
        for (path, kind, armed) in self.armed.iter().filter(|(.., armed)| *armed <= seen) {
            let first = self.first_after(path, *kind, *armed);
            let is_waiting = [&waiting.data, &waiting.exist, &waiting.child]
                .into_iter()
                .any(|list| list.iter().any(|it| it == path.as_str()));
            match first {
                Some(event) if event.zxid > Some(seen) => {
                    assert!(
                        events.contains(&event),
                        "{event:?} is owed since {armed}, seen {seen}: {events:?}"
                    );
                    owed += 1;
                }
                Some(_) => {}
                None => assert!(is_waiting, "{path} {kind:?} waits since {armed}"),
            }
        }
        // Half of what is over is known to be received.
        let act = Act::Watch {
            session: self.session,
            attachment: Attachment::new(1),
            number: 0,
            notes: Vec::new(),
            seen,
        };
        if self.rng.random() {
            self.machine.apply(&Command { time: 1, rules: Rules::default(), act });
            self.armed.retain(|(.., armed)| *armed >= seen);
        }
        owed
    }

    fn first_after(&self, path: &ZnodePath, kind: WatchKind, armed: Zxid) -> Option<Event> {
        let hits = |event: &Event| match (kind, event.kind) {
            (WatchKind::Child, EventKind::ChildrenChanged | EventKind::Deleted) => event.path == *path,
            (WatchKind::Child, _) | (_, EventKind::ChildrenChanged) => false,
            _ => event.path == *path,
        };
        self.happened(armed, path, hits).into_iter().next()
    }

    fn check(&mut self, watches: &SetWatches, expected: &[Event]) {
        let address = Text::from_static("10.0.0.1");
        let who = Identities { address: &address, proved: &[] };
        let CatchUp { events, waiting, .. } = self.machine.catch_up(watches, who, &mut Told::default());
        self.told += events.len();
        self.waiting += waiting.data.len() + waiting.exist.len() + waiting.child.len();
        let known_since = self.machine.records().find_map(|record| match record {
            machine::Record::World(world) => Some(world.forgotten),
            _ => None,
        });
        if Some(watches.relative) >= known_since {
            assert_eq!(events, expected, "{watches:?}");
            return;
        }
        for event in &events {
            match event.zxid {
                Some(_) => assert!(self.events(event.zxid).contains(event), "{event:?} never happened"),
                // A znode may be said to be gone that perhaps never was there. Nothing else is made up.
                None if event.kind == EventKind::Deleted => {}
                None => {
                    let mut past = self.report.iter().filter(|(zxid, _)| *zxid > watches.relative);
                    let touched =
                        past.any(|(_, it)| it.path == event.path || it.path.parent() == Some(&event.path));
                    assert!(touched || !watches.exist.is_empty(), "{event:?} has no reason");
                }
            }
        }
    }

    /// Everything that happened after `since` and was wanted, in order.
    fn happened(&self, since: Zxid, path: &ZnodePath, wanted: impl Fn(&Event) -> bool) -> Vec<Event> {
        let newer = self.report.iter().filter(|(zxid, _)| *zxid > since);
        let near = newer
            .filter(|(_, change)| change.path.starts_with(&**path) || change.path.parent() == Some(path));
        near.flat_map(|(zxid, change)| told(*zxid, change)).filter(|event| wanted(event)).collect()
    }

    fn events(&self, at: Option<Zxid>) -> Vec<Event> {
        let there = self.report.iter().filter(|(zxid, _)| Some(*zxid) == at);
        there.flat_map(|(zxid, change)| told(*zxid, change)).collect()
    }

    fn was_there(&self, path: &ZnodePath, at: Zxid) -> bool {
        let mut past = self.report.iter().rev().filter(|(zxid, change)| *zxid <= at && change.path == *path);
        past.next().is_some_and(|(_, change)| change.kind != ChangeKind::Deleted)
    }
}

/// What a change is reported as, to whoever watches the znode and to whoever watches its parent.
fn told(zxid: Zxid, change: &Change) -> Vec<Event> {
    let zxid = Some(zxid);
    let own = Event { zxid, kind: change.kind.event(), path: change.path.clone() };
    let parent = change.path.parent().filter(|_| change.kind != ChangeKind::DataChanged);
    let parent = parent.map(|path| ZnodePath::parse(path).expect("a legal path"));
    let parent = parent.map(|path| Event { zxid, kind: EventKind::ChildrenChanged, path });
    std::iter::once(own).chain(parent).collect()
}
