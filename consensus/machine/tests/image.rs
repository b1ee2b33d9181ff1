//! What is no world is not restored, and what is restored is the same world.

use machine::{
    Act, ArmedWatch, ChangeKind, Command, Damaged, HistoryRecord, Home, Key, Kind, Machine, Operation,
    PastAcls, Record, Rules, Session, Spent, Verdict, WatchKind, WatchNote, WatchRecord, WorldRecord,
    ZnodeRecord,
};
use proto::request::{Create, Write};
use proto::{
    Acl, Attachment, EventKind, Id, MemberId, OpCode, Permissions, Seq, SessionId, Text, Version, ZnodePath,
    Zxid,
};

/// A world with a session, an ephemeral znode of its own, and a plain one with a child, which the session watches.
fn world() -> Vec<Record> {
    let mut machine = Machine::new();
    let home = Home { member: MemberId::new(1), boot: 1, connection: 1 };
    let address = Text::from_static("10.0.0.1");
    let open = Act::Open { home, password: [9; 16], timeout_ms: 1_000, address };
    let Verdict::Opened { session, .. } =
        machine.apply(&Command { time: 7, rules: Rules::default(), act: open }).verdict
    else {
        panic!("not opened");
    };
    for (seq, (path, flags)) in [("/a", 0), ("/a/b", 0), ("/e", 1)].into_iter().enumerate() {
        let data = Some(bytes::Bytes::from_static(b"data"));
        let acl = Some(vec![Acl::open()]);
        let create =
            Create { path: path.into(), data, acl, flags, ttl: None, container: false, with_stat: false };
        let operation = Operation { op: OpCode::Create, write: Some(Write::Create(create)) };
        let (attachment, seq) = (Attachment::new(1), Seq::new(seq as u64 + 1));
        let act = Act::Write { session, attachment, seq, identities: Vec::new(), operation };
        machine.apply(&Command { time: 8, rules: Rules::default(), act });
    }
    // One that waits, and one that was spent when it became known.
    let note = |kind, zxid| WatchNote { path: path("/a"), kind, zxid: Zxid::new(zxid), armed: true };
    let notes = vec![note(WatchKind::Data, 3), note(WatchKind::Child, 2)];
    let act = Act::Watch { session, attachment: Attachment::new(1), number: 0, notes, seen: Zxid::ZERO };
    machine.apply(&Command { time: 8, rules: Rules::default(), act });
    // It comes back, and takes something away.
    let (home, address) = (Home { connection: 2, ..home }, Text::from_static("10.0.0.1"));
    let password = vec![9; 16].into();
    let seen = Zxid::new(4);
    let act = Act::Attach { home, session, password, timeout_ms: 1_000, seen, address };
    machine.apply(&Command { time: 8, rules: Rules::default(), act });
    let gone =
        |at| WatchNote { path: path(at), kind: WatchKind::Recursive, zxid: Zxid::new(4), armed: false };
    let notes = vec![gone("/a"), gone("/gone")];
    let act = Act::Watch { session, attachment: Attachment::new(2), number: 5, notes, seen: Zxid::ZERO };
    machine.apply(&Command { time: 8, rules: Rules::default(), act });
    machine.records().collect()
}

fn path(path: &str) -> ZnodePath {
    ZnodePath::parse(path).expect("a legal path")
}

fn session(records: &mut [Record]) -> &mut Session {
    let found = records.iter_mut().find_map(|record| match record {
        Record::Session(session) => Some(session),
        _ => None,
    });
    found.expect("a session")
}

fn world_record(records: &mut [Record]) -> &mut WorldRecord {
    let found = records.iter_mut().find_map(|record| match record {
        Record::World(world) => Some(world),
        _ => None,
    });
    found.expect("the world's record")
}

fn znode<'a>(records: &'a mut [Record], path: &str) -> &'a mut ZnodeRecord {
    let found = records.iter_mut().find_map(|record| match record {
        Record::Znode(znode) if znode.path.as_str() == path => Some(znode),
        _ => None,
    });
    found.expect("a znode")
}

fn watches(records: &mut [Record]) -> &mut [ArmedWatch] {
    &mut watch(records, "/a").watches
}

/// What is known of the session at a path.
fn watch<'a>(records: &'a mut [Record], path: &str) -> &'a mut WatchRecord {
    let found = records.iter_mut().find_map(|record| match record {
        Record::Watch(record) if record.path.as_str() == path => Some(record),
        _ => None,
    });
    found.expect("a session that watches there, or has taken something away")
}

/// Of the first transaction that changed anything.
fn history(records: &mut [Record]) -> &mut HistoryRecord {
    let found = records.iter_mut().find_map(|record| match record {
        Record::History(history) => Some(history),
        _ => None,
    });
    found.expect("a transaction that is remembered")
}

#[track_caller]
fn check(damage: impl FnOnce(&mut Vec<Record>), expected: &Damaged) {
    let mut records = world();
    Machine::restore(records.clone()).expect("whole before it was damaged");
    damage(&mut records);
    assert_eq!(Machine::restore(records).err().as_ref(), Some(expected));
}

fn without(key: Key) -> impl FnOnce(&mut Vec<Record>) {
    move |records| records.retain(|record| record.key() != key)
}

fn twice(key: Key) -> impl FnOnce(&mut Vec<Record>) {
    move |records| {
        let again = records.iter().find(|record| record.key() == key).cloned();
        records.extend(again);
    }
}

#[test]
fn something_is_missing() {
    check(Vec::clear, &Damaged::Missing(Key::World));
    check(without(Key::World), &Damaged::Missing(Key::World));
    check(
        without(Key::Znode(path("/zookeeper/quota"))),
        &Damaged::Missing(Key::Znode(path("/zookeeper/quota"))),
    );
    check(without(Key::Znode(path("/a"))), &Damaged::Orphan(path("/a/b")));
}

#[test]
fn something_is_there_twice() {
    let id = SessionId::opened(MemberId::new(1), Zxid::new(1));
    let keys = [
        Key::Watch(id, path("/a")),
        Key::Watch(id, path("/gone")),
        Key::World,
        Key::Znode(path("/a")),
        Key::Znode(path("/")),
        Key::Session(id),
        Key::History(Zxid::new(2)),
    ];
    for key in keys {
        check(twice(key.clone()), &Damaged::Twice(key));
    }
}

#[test]
fn a_session_is_missing_or_is_not_where_it_should_be() {
    let id = SessionId::opened(MemberId::new(1), Zxid::new(1));
    check(without(Key::Session(id)), &Damaged::Ownerless { path: path("/e"), owner: id });
    let other = SessionId::opened(MemberId::new(1), Zxid::new(2));
    let second = |records: &mut Vec<Record>| {
        let second = Session { id: other, ..session(records).clone() };
        records.push(Record::Session(second));
    };
    check(second, &Damaged::SharedHome(other));
}

#[test]
fn an_ephemeral_has_children() {
    let id = SessionId::opened(MemberId::new(1), Zxid::new(1));
    check(|records| znode(records, "/a").kind = Kind::Ephemeral(id), &Damaged::EphemeralParent(path("/a")));
}

#[test]
fn something_comes_from_the_future() {
    let last = |records: &mut Vec<Record>| world_record(records).last_zxid = Zxid::new(3);
    check(last, &Damaged::Future(path("/")));
}

#[test]
fn the_history_is_not_that_of_the_world() {
    let forgotten = |records: &mut Vec<Record>| world_record(records).forgotten = Zxid::new(2);
    check(forgotten, &Damaged::Unhistorical(Zxid::new(2)));
    check(|records| history(records).zxid = Zxid::new(99), &Damaged::Unhistorical(Zxid::new(99)));
    check(|records| history(records).changes.clear(), &Damaged::Unhistorical(Zxid::new(2)));
    check(|records| history(records).zxid = Zxid::new(3), &Damaged::Twice(Key::History(Zxid::new(3))));
}

#[test]
fn a_watch_cannot_be() {
    let id = SessionId::opened(MemberId::new(1), Zxid::new(1));
    let unwatchable = Damaged::Unwatchable(id, path("/a"));
    check(|records| watches(records)[0].armed = Zxid::new(99), &unwatchable);
    check(|records| watches(records)[1].armed = Zxid::new(3), &unwatchable);
    check(|records| watches(records)[1].kind = WatchKind::Exist, &Damaged::Twice(Key::Watch(id, path("/a"))));
    let stranger = SessionId::opened(MemberId::new(1), Zxid::new(2));
    let strange = |records: &mut Vec<Record>| {
        let watch = ArmedWatch { kind: WatchKind::Child, armed: Zxid::ZERO, spent: None };
        records.push(Record::Watch(WatchRecord {
            session: stranger,
            path: path("/b"),
            watches: [watch].into_iter().collect(),
            removed: Vec::new(),
        }));
    };
    check(strange, &Damaged::Unwatchable(stranger, path("/b")));
    let strange = |records: &mut Vec<Record>| watch(records, "/gone").session = stranger;
    check(strange, &Damaged::Unwatchable(stranger, path("/gone")));
    let later =
        |records: &mut Vec<Record>| watch(records, "/gone").removed[0].by.attachment = Attachment::new(3);
    check(later, &Damaged::Unwatchable(id, path("/gone")));
    let empty = |records: &mut Vec<Record>| {
        records.push(Record::Watch(WatchRecord {
            session: id,
            path: path("/b"),
            watches: [].into_iter().collect(),
            removed: Vec::new(),
        }));
    };
    check(empty, &Damaged::Unwatchable(id, path("/b")));
}

fn spent(zxid: u64, kind: EventKind) -> Option<Spent> {
    Some(Spent { zxid: Zxid::new(zxid), kind })
}

/// Whatever differs between two members must be seen, so each field counts.
#[test]
fn every_field_counts_in_the_digest() {
    let digest = |records: Vec<Record>| Machine::restore(records).expect("a whole world").digest();
    let whole = digest(world());
    assert_eq!(whole, digest(world().into_iter().rev().collect()), "the order of records does not count");

    type Damage = fn(&mut Vec<Record>);
    let damages: [(&str, Damage); 40] = [
        ("last zxid", |it| world_record(it).last_zxid = Zxid::new(99)),
        ("clock", |it| world_record(it).now += 1),
        ("forgotten", |it| {
            it.retain(|record| record.key() != Key::History(Zxid::new(2)));
            world_record(it).forgotten = Zxid::new(2);
        }),
        ("history", |it| it.retain(|record| record.key() != Key::History(Zxid::new(2)))),
        ("what happened", |it| history(it).changes[0].kind = ChangeKind::DataChanged),
        ("where it happened", |it| history(it).changes[0].path = path("/b")),
        ("who may know of it", |it| {
            let own = [Acl { permissions: Permissions::ALL, id: Id::new("digest", "a:b") }].into();
            history(it).changes[0].acls = Some(Box::new(PastAcls { own, parent: [Acl::open()].into() }));
        }),
        ("watch", |it| it.retain(|record| !matches!(record, Record::Watch(_)))),
        ("what it listens to", |it| watches(it)[0].kind = WatchKind::Exist),
        ("armed", |it| watches(it)[0].armed = Zxid::new(2)),
        ("spent", |it| watches(it)[1].spent = None),
        ("spent by", |it| watches(it)[1].spent = spent(4, EventKind::ChildrenChanged)),
        ("spent how", |it| watches(it)[1].spent = spent(3, EventKind::Deleted)),
        ("taken away", |it| watch(it, "/a").removed.clear()),
        ("taken away where nothing is left", |it| {
            it.retain(|record| !matches!(record, Record::Watch(record) if record.path.as_str() == "/gone"));
        }),
        ("what was taken away", |it| watch(it, "/gone").removed[0].kind = WatchKind::Persistent),
        ("taken away over", |it| watch(it, "/gone").removed[0].by.attachment = Attachment::new(1)),
        ("taken away by", |it| watch(it, "/gone").removed[0].by.number = 6),
        ("password", |it| session(it).password[15] = 0),
        ("timeout", |it| session(it).timeout_ms += 1),
        ("attachment", |it| session(it).attachment = Attachment::new(3)),
        ("next write", |it| session(it).next_seq = Seq::new(99)),
        ("member", |it| session(it).home.member = MemberId::new(2)),
        ("boot", |it| session(it).home.boot += 1),
        ("connection", |it| session(it).home.connection += 1),
        ("address", |it| session(it).address = Text::from_static("10.0.0.2")),
        ("data", |it| znode(it, "/a").data = Some((*b"date").into())),
        ("null data", |it| znode(it, "/a").data = None),
        ("acl", |it| znode(it, "/a").acl = [].into()),
        ("czxid", |it| znode(it, "/a").czxid = Zxid::ZERO),
        ("mzxid", |it| znode(it, "/a").mzxid = Zxid::ZERO),
        ("pzxid", |it| znode(it, "/a").pzxid = Zxid::ZERO),
        ("ctime", |it| znode(it, "/a").ctime -= 1),
        ("mtime", |it| znode(it, "/a").mtime -= 1),
        ("version", |it| znode(it, "/a").version += 1),
        ("aversion", |it| znode(it, "/a").aversion += 1),
        ("created", |it| znode(it, "/a").created += 1),
        ("kind", |it| znode(it, "/e").kind = Kind::Persistent),
        ("container", |it| znode(it, "/a").kind = Kind::Container),
        ("time to live", |it| znode(it, "/a").kind = Kind::Ttl(1)),
    ];
    for (what, damage) in damages {
        let mut records = world();
        damage(&mut records);
        assert_ne!(digest(records), whole, "{what}");
    }
    let mut records = world();
    let path = path("/a/c");
    let added = ZnodeRecord { path, ..znode(&mut records, "/a/b").clone() };
    *znode(&mut records, "/a/b") = added;
    assert_ne!(digest(records), whole, "path");
}

#[test]
fn a_restored_world_has_no_changes_to_tell() {
    let mut machine = Machine::restore(world()).expect("a whole world");
    assert_eq!(machine.take_changes(), []);
    assert_eq!(Machine::new().take_changes().len(), 5, "the empty world itself is to be written once");
}

#[test]
fn text_is_copied_off_the_buffer_that_it_came_in() {
    let mut records = world();
    let frame = bytes::Bytes::from(vec![b'1'; 1_000]);
    session(&mut records).address = Text::try_from(frame.slice(0..10)).expect("text");
    let machine = Machine::restore(records).expect("a whole world");
    assert!(frame.is_unique(), "the buffer is still in use");
    drop(machine);
}

/// Otherwise a znode of a few bytes would keep a whole batch of the log in memory for as long as it lives.
#[test]
fn what_a_client_writes_is_copied_off_its_frame() {
    let frame = bytes::Bytes::from(vec![b'1'; 1_000]);
    let text = || Text::try_from(frame.slice(0..10)).expect("text");
    let mut machine = Machine::new();
    let home = Home { member: MemberId::new(1), boot: 1, connection: 1 };
    let open = Act::Open { home, password: [9; 16], timeout_ms: 1_000, address: text() };
    let Verdict::Opened { session, .. } =
        machine.apply(&Command { time: 7, rules: Rules::default(), act: open }).verdict
    else {
        panic!("not opened");
    };
    let home = Home { connection: 2, ..home };
    let password = vec![9; 16].into();
    machine.apply(&Command {
        time: 7,
        rules: Rules::default(),
        act: Act::Attach { home, session, password, timeout_ms: 1_000, seen: Zxid::ZERO, address: text() },
    });
    let acl = || {
        let id = Id { scheme: Text::from_static("digest"), id: format!("{}:hash", text()).into() };
        let named = Acl { permissions: Permissions::ALL, id };
        let auth = Acl { permissions: Permissions::ALL, id: Id::new("auth", "") };
        Some(vec![Acl::open(), named, auth])
    };
    let data = Some(frame.slice(10..20));
    let writes = [
        Write::Create(Create {
            path: "/a".into(),
            data,
            acl: acl(),
            flags: 0,
            ttl: None,
            container: false,
            with_stat: false,
        }),
        Write::SetAcl { path: "/a".into(), acl: acl(), version: Version::ANY },
        Write::SetData { path: "/a".into(), data: Some(frame.slice(20..30)), version: Version::ANY },
    ];
    for (seq, write) in writes.into_iter().enumerate() {
        let identities = vec![Id { scheme: Text::from_static("digest"), id: text() }];
        let operation = Operation { op: OpCode::Create, write: Some(write) };
        let (attachment, seq) = (Attachment::new(2), Seq::new(seq as u64 + 1));
        let act = Act::Write { session, attachment, seq, identities, operation };
        let applied = machine.apply(&Command { time: 8, rules: Rules::default(), act });
        assert!(matches!(applied.verdict, Verdict::Answered { result: Ok(_), .. }), "{applied:?}");
    }
    assert!(frame.is_unique(), "the frame is still in use");
    drop(machine);
}
