//! Sessions of several homes that wait, in each form.
use std::cell::{Cell, RefCell};

use machine::{Act, Command, Home, Operation, Rules, Verdict, WatchKind, WatchNote};
use proto::request::{Create, Write};
use proto::{Acl, Attachment, OpCode, Seq, Text, Zxid};

use super::*;

struct World {
    machine: Machine,
    connections: u64,
    reports: u64,
    /// Writes of the session that writes.
    writes: Seq,
}

impl World {
    fn new() -> Self {
        Self { machine: Machine::new(), connections: 0, reports: 0, writes: Seq::new(1) }
    }

    fn apply(&mut self, act: Act) -> Verdict {
        self.machine.apply(&Command { time: 1, rules: Rules::default(), act }).verdict
    }

    fn open(&mut self, member: u64) -> SessionId {
        self.connections += 1;
        let home = Home { member: MemberId::new(member), boot: 1, connection: self.connections };
        let address = Text::from_static("10.0.0.1");
        match self.apply(Act::Open { home, password: [9; 16], timeout_ms: 1_000, address }) {
            Verdict::Opened { session, .. } => session,
            other => panic!("{other:?} instead of a session"),
        }
    }

    fn attach(&mut self, session: SessionId, member: u64) {
        self.connections += 1;
        let home = Home { member: MemberId::new(member), boot: 1, connection: self.connections };
        let (password, address) = (vec![9; 16].into(), Text::from_static("10.0.0.1"));
        let verdict =
            self.apply(Act::Attach { home, session, password, timeout_ms: 1_000, seen: Zxid::ZERO, address });
        assert!(matches!(verdict, Verdict::Attached { .. }), "{verdict:?}");
    }

    fn watch(&mut self, session: SessionId, watches: &[(&str, WatchKind)]) {
        let zxid = self.machine.last_zxid();
        let note = |&(path, kind): &(&str, WatchKind)| {
            let path = ZnodePath::parse(path).expect("a path");
            WatchNote { path, kind, zxid, armed: true }
        };
        let notes = watches.iter().map(note).collect();
        let attachment = Attachment::new(1);
        self.reports += 1;
        let verdict =
            self.apply(Act::Watch { session, attachment, number: self.reports, notes, seen: Zxid::ZERO });
        assert!(matches!(verdict, Verdict::Noted { left_out: 0, .. }), "{verdict:?}");
    }

    fn create(&mut self, session: SessionId, path: &str) {
        let (data, acl) = (None, Some(vec![Acl::open()]));
        let create =
            Create { path: path.into(), data, acl, flags: 0, ttl: None, container: false, with_stat: false };
        let operation = Operation { op: OpCode::Create, write: Some(Write::Create(create)) };
        let (attachment, seq) = (Attachment::new(1), self.writes);
        self.writes = seq.next();
        let verdict = self.apply(Act::Write { session, attachment, seq, identities: Vec::new(), operation });
        assert!(matches!(verdict, Verdict::Answered { result: Ok(_), .. }), "{verdict:?}");
    }

    fn gather(&self) -> Watching {
        Watching::gather(|look| look(&self.machine))
    }

    fn text(&self, form: Form) -> String {
        self.gather().text(form).collect()
    }

    fn json(&self, form: Form) -> Value {
        let text: String = self.gather().json("a_command", form).collect();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in\n{text}"))
    }
}

/// Two homes. One session has moved from the first to the second; one has been told what it waited for.
fn waiting() -> World {
    let mut world = World::new();
    let (one, two, told) = (world.open(1), world.open(2), world.open(2));
    world.watch(one, &[("/b", WatchKind::Exist), ("/a", WatchKind::Child), ("/a", WatchKind::Exist)]);
    world.watch(two, &[("/a", WatchKind::Recursive), ("/\"c\"", WatchKind::Persistent)]);
    world.watch(told, &[("/gone", WatchKind::Exist)]);
    let moved = world.open(1);
    world.watch(moved, &[("/gone", WatchKind::Exist), ("/b", WatchKind::Data)]);
    world.attach(moved, 2);
    world.create(one, "/gone");
    world
}

#[test]
fn wchs_reads_well() {
    insta::assert_snapshot!(waiting().text(Form::Summary));
}

#[test]
fn wchc_reads_well() {
    insta::assert_snapshot!(waiting().text(Form::BySession));
}

#[test]
fn wchp_reads_well() {
    insta::assert_snapshot!(waiting().text(Form::ByPath));
}

#[test]
fn each_command_is_json_that_reads_well() {
    for (name, form) in
        [("watch_summary", Form::Summary), ("watches", Form::BySession), ("watches_by_path", Form::ByPath)]
    {
        let text: String = waiting().gather().json(name, form).collect();
        let _: Value = serde_json::from_str(&text).expect("JSON");
        insta::assert_snapshot!(name, text);
    }
}

#[test]
fn where_nobody_waits_there_is_an_answer_too() {
    let mut world = World::new();
    world.open(1);
    assert_eq!(world.text(Form::Summary), "0 connections watching 0 paths\nTotal watches:0\n");
    assert_eq!(world.text(Form::BySession), "\n");
    assert_eq!(world.text(Form::ByPath), "\n");
    assert_eq!(world.json(Form::BySession)["session_id_to_watched_paths"], json!({}));
    assert_eq!(world.json(Form::ByPath)["path_to_session_ids"], json!({}));
    assert_eq!(world.json(Form::Summary)["num_total_watches"], 0);
}

#[test]
fn no_hold_of_the_lock_looks_at_more_than_its_portion() {
    let mut world = World::new();
    let each = limits::LISTING_WATCHES_PER_LOCK_MAX / 4;
    let paths: Vec<String> = (0..each).map(|n| format!("/{n}")).collect();
    let watches: Vec<_> = paths.iter().map(|path| (path.as_str(), WatchKind::Persistent)).collect();
    let sessions: Vec<SessionId> = (0..10).map(|_| world.open(1)).collect();
    for &session in &sessions {
        world.watch(session, &watches);
    }
    // Who has nothing takes time to be looked for, too.
    for _ in 0..limits::LISTING_WATCHES_PER_LOCK_MAX + 1 {
        world.open(1);
    }
    let holds = Cell::new(0);
    let watching = Watching::gather(|look| {
        holds.set(holds.get() + 1);
        look(&world.machine);
    });
    assert_eq!((watching.watchers.len(), watching.summary().2), (10, 10 * each));
    // The ids; then portions of the watches, and of all sessions, each of which is looked for once.
    let work = 10 * each + 10 + limits::LISTING_WATCHES_PER_LOCK_MAX + 1;
    assert_eq!(holds.get(), 1 + work.div_ceil(limits::LISTING_WATCHES_PER_LOCK_MAX));
}

#[test]
fn who_waits_for_much_is_looked_at_in_portions_too() {
    let mut world = World::new();
    let session = world.open(1);
    let paths: Vec<String> =
        (0..3 * limits::LISTING_WATCHES_PER_LOCK_MAX).map(|n| format!("/many/{n:04}")).collect();
    let stays: Vec<_> = paths.iter().map(|path| (path.as_str(), WatchKind::Persistent)).collect();
    world.watch(session, &stays);
    world.watch(session, &[("/many/0000", WatchKind::Child), ("/many/1023", WatchKind::Child)]);
    let world = RefCell::new(world);
    let holds = Cell::new(0);
    let watching = Watching::gather(|look| {
        look(&world.borrow().machine);
        // What comes and goes in front of the place where the next portion begins, moves nobody away from there.
        holds.set(holds.get() + 1);
        let path = format!("/a/{}", holds.get());
        world.borrow_mut().watch(session, &[(&path, WatchKind::Data)]);
    });
    assert_eq!(holds.get(), 1 + 4);
    let told = &watching.watchers[0];
    assert!(paths.iter().all(|path| told.paths.iter().filter(|it| it.as_str() == path).count() == 1));
    // The first was set between the sessions and the watches.
    assert_eq!((told.paths.len(), told.watches), (paths.len() + 1, paths.len() + 2 + 1));
}

#[test]
fn who_ends_meanwhile_is_left_out_and_who_stays_is_told() {
    let mut world = World::new();
    let (stays, ends) = (world.open(1), world.open(1));
    world.watch(stays, &[("/a", WatchKind::Data)]);
    world.watch(ends, &[("/a", WatchKind::Data)]);
    let world = RefCell::new(world);
    let watching = Watching::gather(|look| {
        look(&world.borrow().machine);
        let attachment = Attachment::new(1);
        world.borrow_mut().apply(Act::Expire { session: ends, attachment });
    });
    assert_eq!(watching.watchers.iter().map(|it| it.session).collect::<Vec<_>>(), [stays]);
}

#[test]
fn an_answer_comes_in_pieces() {
    let mut world = World::new();
    let session = world.open(1);
    let long = "x".repeat(limits::LISTING_PIECE_BYTES / 4);
    let paths: Vec<String> = (0..10).map(|n| format!("/{long}{n}")).collect();
    world.watch(session, &paths.iter().map(|path| (path.as_str(), WatchKind::Data)).collect::<Vec<_>>());
    let pieces: Vec<String> = world.gather().text(Form::BySession).collect();
    assert_eq!(pieces.len(), 3);
    assert!(pieces.iter().all(|piece| piece.len() < 2 * limits::LISTING_PIECE_BYTES));
    assert_eq!(pieces.concat(), format!("{session}\n\t{}\n\n", paths.join("\n\t")));
}
