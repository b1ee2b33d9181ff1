//! Each record of PROTOCOL, section "Records", byte for byte; and what is not such a record.

use bytes::{Bytes, BytesMut};

use super::read::Reader;
use super::request::{read_body, read_header, read_write};
use super::{Malformed, connect, frame, reply};
use crate::request::{Auth, Create, Greeting, Read, Reconfig, Request, SetWatches, WatcherType, Write};
use crate::{
    Acl, Code, EventKind, Id, OpCode, Permissions, Reply, SessionId, Stat, Text, Version, Xid, ZnodePath,
    Zxid,
};

// --- the format's own primitives, written a second time and in another way --------------------------------------

fn int(value: i32) -> Vec<u8> {
    value.to_be_bytes().to_vec()
}

fn long(value: i64) -> Vec<u8> {
    value.to_be_bytes().to_vec()
}

fn byte(value: u8) -> Vec<u8> {
    vec![value]
}

fn text(value: &str) -> Vec<u8> {
    let length = u32::try_from(value.len()).unwrap();
    [&length.to_be_bytes(), value.as_bytes()].concat()
}

fn null() -> Vec<u8> {
    vec![0xff; 4]
}

fn all(parts: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    parts.into_iter().flatten().collect()
}

fn path(path: &str) -> ZnodePath {
    ZnodePath::parse(path).unwrap()
}

/// An open list, of one line.
fn open_acl() -> Vec<u8> {
    all([int(1), int(31), text("world"), text("anyone")])
}

/// The header before each operation of a multi, and behind the last.
fn multi_header(kind: i32, done: u8, err: i32) -> Vec<u8> {
    all([int(kind), byte(done), int(err)])
}

fn stat() -> Stat {
    Stat {
        czxid: 1,
        mzxid: 2,
        ctime: 3,
        mtime: 4,
        version: 5,
        cversion: -6,
        aversion: 7,
        ephemeral_owner: 8,
        data_length: 9,
        num_children: 10,
        pzxid: 11,
    }
}

fn stat_bytes() -> Vec<u8> {
    let bytes = [
        all([long(1), long(2), long(3), long(4)]),
        all([int(5), int(-6), int(7), long(8), int(9), int(10), long(11)]),
    ]
    .concat();
    assert_eq!(bytes.len(), 68);
    bytes
}

// --- requests ---------------------------------------------------------------------------------------------------

/// Every request that is looked at where it arrives, with its bytes.
fn requests() -> Vec<(OpCode, Vec<u8>, Request)> {
    let watched = all([text("/a"), byte(1)]);
    let (a, watch) = (Text::from_static("/a"), true);
    let lists = all([long(7), int(1), text("/d"), int(2), text("/e"), text("/f"), int(0)]);
    let one_shot = SetWatches {
        relative: Zxid::new(7),
        data: vec!["/d".into()],
        exist: vec!["/e".into(), "/f".into()],
        ..SetWatches::default()
    };
    let with_persistent =
        SetWatches { persistent: vec!["/p".into()], recursive: vec!["/r".into()], ..one_shot.clone() };
    let credentials = Bytes::from_static(b"alice:secret");
    let reads = vec![
        Read::GetData { path: a.clone(), watch: false },
        Read::GetChildren { path: Text::from_static("/b"), watch: false },
    ];
    let find = |kind, remove| Request::FindWatches { path: Text::from_static("/a"), kind, remove };
    vec![
        (OpCode::Exists, watched.clone(), Request::Read(Read::Exists { path: a.clone(), watch })),
        (OpCode::GetData, watched.clone(), Request::Read(Read::GetData { path: a.clone(), watch })),
        (OpCode::GetChildren, watched.clone(), Request::Read(Read::GetChildren { path: a.clone(), watch })),
        (OpCode::GetChildren2, watched, Request::Read(Read::GetChildren2 { path: a.clone(), watch })),
        (
            OpCode::GetData,
            all([text("/a"), byte(0)]),
            Request::Read(Read::GetData { path: a.clone(), watch: false }),
        ),
        (OpCode::GetAcl, text("/a"), Request::Read(Read::GetAcl { path: a.clone() })),
        (
            OpCode::GetAllChildrenNumber,
            text("/a"),
            Request::Read(Read::GetAllChildrenNumber { path: a.clone() }),
        ),
        (OpCode::GetEphemerals, text("/a"), Request::Read(Read::GetEphemerals { prefix: Some(a.clone()) })),
        (OpCode::GetEphemerals, null(), Request::Read(Read::GetEphemerals { prefix: None })),
        (
            OpCode::MultiRead,
            all([
                multi_header(4, 0, -1),
                all([text("/a"), byte(1)]),
                multi_header(8, 0, -1),
                all([text("/b"), byte(0)]),
                multi_header(-1, 1, -1),
            ]),
            Request::Read(Read::MultiRead(reads)),
        ),
        (OpCode::Sync, text("/a"), Request::Sync(Some(a.clone()))),
        (OpCode::Sync, null(), Request::Sync(None)),
        (
            OpCode::Auth,
            all([int(0), text("digest"), text("alice:secret")]),
            Request::Auth(Auth { scheme: Text::from_static("digest"), credentials }),
        ),
        (
            OpCode::Auth,
            all([int(9), text("ip"), null()]),
            Request::Auth(Auth { scheme: Text::from_static("ip"), credentials: Bytes::new() }),
        ),
        (OpCode::SetWatches, lists.clone(), Request::SetWatches(one_shot)),
        (
            OpCode::SetWatches2,
            all([lists, int(1), text("/p"), int(1), text("/r")]),
            Request::SetWatches(with_persistent),
        ),
        (
            OpCode::AddWatch,
            all([text("/a"), int(0)]),
            Request::AddWatch { path: a.clone(), recursive: false },
        ),
        (OpCode::AddWatch, all([text("/a"), int(1)]), Request::AddWatch { path: a, recursive: true }),
        (OpCode::CheckWatches, all([text("/a"), int(1)]), find(WatcherType::Children, false)),
        (OpCode::CheckWatches, all([text("/a"), int(2)]), find(WatcherType::Data, false)),
        (OpCode::RemoveWatches, all([text("/a"), int(3)]), find(WatcherType::Any, true)),
        (OpCode::RemoveWatches, all([text("/a"), int(4)]), find(WatcherType::Persistent, true)),
        (OpCode::RemoveWatches, all([text("/a"), int(5)]), find(WatcherType::PersistentRecursive, true)),
    ]
}

/// Every write, with its bytes.
fn writes() -> Vec<(OpCode, Vec<u8>, Write)> {
    let create = Create {
        path: Text::from_static("/a"),
        data: Some(Bytes::from_static(b"xy")),
        acl: Some(vec![Acl::open()]),
        flags: 3,
        ttl: None,
        container: false,
        with_stat: false,
    };
    let create_bytes = all([text("/a"), text("xy"), open_acl(), int(3)]);
    let bare = Create { data: None, acl: None, ..create.clone() };
    let empty = Create { data: Some(Bytes::new()), acl: Some(Vec::new()), ..create.clone() };
    let with_stat = Create { with_stat: true, ..create.clone() };
    let container = Create { container: true, ..with_stat.clone() };
    let ttl = Create { flags: 5, ttl: Some(60_000), ..with_stat.clone() };
    let (a, version) = (Text::from_static("/a"), Version::new(7));
    let delete = Write::Delete { path: a.clone(), version };
    let acl = Acl { permissions: Permissions::READ, id: Id::new("digest", "alice:hash") };
    let operations = vec![
        Write::Create(create.clone()),
        Write::Create(with_stat.clone()),
        Write::Create(container.clone()),
        Write::Create(ttl.clone()),
        delete.clone(),
        Write::SetData { path: a.clone(), data: None, version: Version::ANY },
        Write::Check { path: a.clone(), version },
    ];
    let ttl_bytes = all([text("/a"), text("xy"), open_acl(), int(5), long(60_000)]);
    vec![
        (OpCode::Create, create_bytes.clone(), Write::Create(create)),
        (OpCode::Create, all([text("/a"), null(), null(), int(3)]), Write::Create(bare)),
        (OpCode::Create, all([text("/a"), text(""), int(0), int(3)]), Write::Create(empty)),
        (OpCode::Create2, create_bytes.clone(), Write::Create(with_stat.clone())),
        (OpCode::CreateContainer, create_bytes.clone(), Write::Create(container)),
        (OpCode::CreateTtl, ttl_bytes.clone(), Write::Create(ttl)),
        (OpCode::Delete, all([text("/a"), int(7)]), delete),
        (
            OpCode::SetData,
            all([text("/a"), text("xy"), int(7)]),
            Write::SetData { path: a.clone(), data: Some(Bytes::from_static(b"xy")), version },
        ),
        (
            OpCode::SetAcl,
            all([text("/a"), int(1), int(1), text("digest"), text("alice:hash"), int(7)]),
            Write::SetAcl { path: a.clone(), acl: Some(vec![acl]), version },
        ),
        (OpCode::Check, all([text("/a"), int(7)]), Write::Check { path: a, version }),
        (
            OpCode::Multi,
            [
                all([multi_header(1, 0, -1), create_bytes.clone()]),
                all([multi_header(15, 0, -1), create_bytes.clone()]),
                all([multi_header(19, 0, -1), create_bytes]),
                all([multi_header(21, 0, -1), ttl_bytes]),
                all([multi_header(2, 0, -1), text("/a"), int(7)]),
                all([multi_header(5, 0, -1), text("/a"), null(), int(-1)]),
                all([multi_header(13, 0, -1), text("/a"), int(7)]),
                multi_header(-1, 1, -1),
            ]
            .concat(),
            Write::Multi(operations),
        ),
        (OpCode::Multi, multi_header(-1, 1, -1), Write::Multi(Vec::new())),
    ]
}

#[test]
fn requests_are_read() {
    for (op, bytes, expected) in requests() {
        assert_eq!(read_body(op.to_wire(), bytes.into()), Ok(expected), "{op:?}");
    }
    for (op, expected) in [(OpCode::Ping, Request::Ping), (OpCode::WhoAmI, Request::WhoAmI)] {
        assert_eq!(read_body(op.to_wire(), Bytes::new()), Ok(expected));
    }
}

#[test]
fn writes_are_read() {
    for (op, bytes, expected) in writes() {
        assert_eq!(read_write(op, bytes.into()), Ok(expected), "{op:?}");
    }
    assert_eq!(read_write(OpCode::CloseSession, Bytes::new()), Ok(Write::CloseSession));
}

#[test]
fn the_body_of_a_write_is_carried_as_it_came() {
    let body = Bytes::from_static(b"not looked at");
    for op in [
        OpCode::Create,
        OpCode::Create2,
        OpCode::Delete,
        OpCode::SetData,
        OpCode::SetAcl,
        OpCode::Multi,
        OpCode::CloseSession,
    ] {
        assert_eq!(read_body(op.to_wire(), body.clone()), Ok(Request::Write(op, body.clone())));
    }
}

#[test]
fn what_is_cut_short_is_malformed_and_what_is_too_long_is_not() {
    for (op, bytes, expected) in requests() {
        let bytes = Bytes::from(bytes);
        for length in 0..bytes.len() {
            assert_eq!(
                read_body(op.to_wire(), bytes.slice(..length)),
                Err(Malformed),
                "{op:?} cut to {length}"
            );
        }
        let longer = [&bytes[..], b"trailing"].concat();
        assert_eq!(read_body(op.to_wire(), longer.into()), Ok(expected), "{op:?} and more");
    }
    for (op, bytes, expected) in writes() {
        let bytes = Bytes::from(bytes);
        for length in 0..bytes.len() {
            assert_eq!(read_write(op, bytes.slice(..length)), Err(Malformed), "{op:?} cut to {length}");
        }
        let longer = [&bytes[..], b"trailing"].concat();
        assert_eq!(read_write(op, longer.into()), Ok(expected), "{op:?} and more");
    }
}

/// Lengths and counts are the bytes that hurt when they are wrong: each byte takes its turn in being one of those.
#[test]
fn no_byte_makes_the_reader_panic() {
    let bodies = requests().into_iter().map(|(op, bytes, _)| (op, bytes));
    for (op, bytes) in bodies.chain(writes().into_iter().map(|(op, bytes, _)| (op, bytes))) {
        for index in 0..bytes.len() {
            for value in [0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff] {
                let mut bytes = bytes.clone();
                bytes[index] = value;
                // Whatever it is read as, reading comes to an end.
                let _ = read_body(op.to_wire(), bytes.clone().into());
                let _ = read_write(op, bytes.into());
            }
        }
    }
}

#[test]
fn malformed_is() {
    #[track_caller]
    fn request(op: OpCode, body: Vec<u8>) {
        assert_eq!(read_body(op.to_wire(), body.into()), Err(Malformed));
    }
    #[track_caller]
    fn write(op: OpCode, body: Vec<u8>) {
        assert_eq!(read_write(op, body.into()), Err(Malformed));
    }
    // A path that is null.
    request(OpCode::GetData, all([null(), byte(0)]));
    write(OpCode::Delete, all([null(), int(-1)]));
    write(OpCode::Create, all([null(), null(), open_acl(), int(0)]));
    // An ACL that is null, inside a multi.
    let create = all([text("/a"), null(), null(), int(0)]);
    write(OpCode::Multi, all([multi_header(1, 0, -1), create, multi_header(-1, 1, -1)]));
    // A length that is negative, or more than there is.
    request(OpCode::Sync, all([int(-2), byte(0)]));
    request(OpCode::Sync, all([int(i32::MAX), byte(0)]));
    request(OpCode::Sync, all([int(i32::MIN), byte(0)]));
    // Lists that are null where a list is needed, or longer than there is.
    request(OpCode::SetWatches, all([long(0), null(), int(0), int(0)]));
    request(OpCode::SetWatches, all([long(0), int(0), null(), int(0)]));
    request(OpCode::SetWatches, all([long(0), int(0), int(0), null()]));
    request(OpCode::SetWatches2, all([long(0), int(0), int(0), int(0), null(), int(0)]));
    request(OpCode::SetWatches2, all([long(0), int(0), int(0), int(0), int(0), null()]));
    request(OpCode::SetWatches, all([long(0), int(i32::MAX), int(0), int(0)]));
    write(OpCode::SetAcl, all([text("/a"), int(i32::MAX), int(0)]));
    // Choices that are none.
    request(OpCode::AddWatch, all([text("/a"), int(2)]));
    request(OpCode::CheckWatches, all([text("/a"), int(0)]));
    request(OpCode::RemoveWatches, all([text("/a"), int(6)]));
    // Operations that do not belong together.
    let read = all([text("/a"), byte(0)]);
    write(OpCode::Multi, all([multi_header(4, 0, -1), read.clone(), multi_header(-1, 1, -1)]));
    write(OpCode::Multi, all([multi_header(14, 0, -1), multi_header(-1, 1, -1), multi_header(-1, 1, -1)]));
    write(OpCode::Multi, all([multi_header(-11, 0, -1), multi_header(-1, 1, -1)]));
    write(OpCode::Multi, all([multi_header(7, 0, -1), text("/a"), null(), int(-1), multi_header(-1, 1, -1)]));
    let delete = all([text("/a"), int(-1)]);
    request(OpCode::MultiRead, all([multi_header(2, 0, -1), delete, multi_header(-1, 1, -1)]));
    request(OpCode::MultiRead, all([multi_header(12, 0, -1), read, multi_header(-1, 1, -1)]));
    // Flags that no create has, and a lifetime that is asked for without one, inside a multi.
    for (kind, flags) in [(1, 7), (15, -1), (1, 5), (15, 6), (19, 5)] {
        let create = all([text("/a"), null(), open_acl(), int(flags)]);
        write(OpCode::Multi, all([multi_header(kind, 0, -1), create, multi_header(-1, 1, -1)]));
    }
    // Reads and others are no writes.
    write(OpCode::GetData, all([text("/a"), byte(0)]));
    write(OpCode::Ping, Vec::new());
}

/// Where ZooKeeper comes to judge something else before it trips over them, or never looks at them.
#[test]
fn some_nulls_are_read() {
    let Ok(Write::Create(create)) =
        read_write(OpCode::Create, all([null(), null(), open_acl(), int(7)]).into())
    else {
        panic!("flags that no create has come before a path that is null");
    };
    assert_eq!((&*create.path, create.mode(true)), ("", Err(Code::BadArguments)));
    let read = |op: OpCode, body: Vec<u8>| read_body(op.to_wire(), body.into());
    let path = Text::new();
    assert_eq!(
        read(OpCode::AddWatch, all([null(), int(1)])),
        Ok(Request::AddWatch { path: path.clone(), recursive: true })
    );
    assert_eq!(
        read(OpCode::RemoveWatches, all([null(), int(3)])),
        Ok(Request::FindWatches { path, kind: WatcherType::Any, remove: true })
    );
    // Nobody is let in by a scheme or by credentials that are null.
    for body in [all([int(0), null(), text("ann:a")]), all([int(0), text("digest"), null()])] {
        let read = read(OpCode::Auth, body.clone());
        assert!(matches!(read, Ok(Request::Auth(auth)) if auth.scheme.is_empty()), "{body:?}");
    }
}

#[test]
fn text_is_read_as_java_reads_it() {
    let read = |bytes: Vec<u8>| Reader::new(bytes.into()).text().map(|text| text.to_string());
    assert_eq!(read(text("/å")), Ok("/å".to_owned()));
    assert_eq!(read(vec![0, 0, 0, 2, b'/', 0xff]), Ok("/\u{fffd}".to_owned()));
    // A null scheme or id is nobody's.
    let list = all([text("/a"), int(1), int(31), null(), null(), int(-1)]);
    let nobody = Acl { permissions: Permissions::ALL, id: Id::new("", "") };
    let set_acl =
        Write::SetAcl { path: Text::from_static("/a"), acl: Some(vec![nobody]), version: Version::ANY };
    assert_eq!(read_write(OpCode::SetAcl, list.into()), Ok(set_acl));
    // A negative count that is not null is nothing.
    let lists = all([long(-1), int(-2), int(0), int(0)]);
    let nothing = Request::SetWatches(SetWatches::default());
    assert_eq!(read_body(OpCode::SetWatches.to_wire(), lists.into()), Ok(nothing));
}

#[test]
fn a_reconfig_is_read() {
    let body = all([null(), text("3,4"), null(), long(0x10)]);
    let leaving = Reconfig { joining: None, leaving: Some("3,4".into()), members: None, version: 16 };
    assert_eq!(read_write(OpCode::Reconfig, body.into()), Ok(Write::Reconfig(leaving)));
    assert_eq!(read_write(OpCode::Reconfig, all([null(), null(), null(), int(1)]).into()), Err(Malformed));
    let inside = all([multi_header(16, 0, -1), null(), null(), null(), long(-1), multi_header(-1, 1, -1)]);
    assert_eq!(read_write(OpCode::Multi, inside.into()), Err(Malformed), "it stands alone only");
}

#[test]
fn what_is_not_served_is_named() {
    // Numbers that nobody knows, and those that are known and not there yet.
    for op in [-1, 0, 10, 71, 500, 13] {
        assert_eq!(read_body(op, Bytes::from_static(b"anything")), Ok(Request::Unserved(op)), "{op}");
    }
    for op in [-10, 20] {
        assert_eq!(read_body(op, Bytes::new()), Ok(Request::Internal), "{op}");
    }
    for op in -200..=600 {
        assert!(OpCode::from_wire(op).is_none_or(|code| code.to_wire() == op), "{op}");
    }
}

#[test]
fn headers_are_read() {
    let frame = Bytes::from(all([int(-8), int(101), byte(1)]));
    assert_eq!(read_header(frame.clone()), Ok((Xid::new(-8), 101, Bytes::from_static(&[1]))));
    for length in 0..8 {
        assert_eq!(read_header(frame.slice(..length)), Err(Malformed));
    }
}

// --- the greeting -----------------------------------------------------------------------------------------------

#[test]
fn greetings_are_read_in_both_forms() {
    let password = [7; 16];
    let old = all([int(0), long(9), int(30_000), long(5), int(16), password.to_vec()]);
    assert_eq!(old.len(), 44);
    let greeting = Greeting {
        last_zxid: Zxid::new(9),
        timeout_ms: 30_000,
        session: SessionId::from_wire(5),
        password: Bytes::copy_from_slice(&password),
        read_only: None,
    };
    assert_eq!(connect::read_greeting(old.clone().into()), Ok(greeting.clone()));
    for (byte, read_only) in [(0, false), (1, true)] {
        let new = Bytes::from([&old[..], &[byte]].concat());
        let greeting = Greeting { read_only: Some(read_only), ..greeting.clone() };
        assert_eq!(connect::read_greeting(new), Ok(greeting));
    }
    let whole = Bytes::from(old);
    for length in 0..whole.len() {
        assert_eq!(connect::read_greeting(whole.slice(..length)), Err(Malformed), "cut to {length}");
    }
    let no_password = all([int(0), long(-1), int(-5), long(0), null()]);
    let greeting = connect::read_greeting(no_password.into()).unwrap();
    assert_eq!((greeting.last_zxid, greeting.timeout_ms, greeting.password.len()), (Zxid::ZERO, -5, 0));
}

#[test]
fn the_answer_to_a_greeting_has_the_length_that_the_client_expects() {
    let welcome = |read_only| {
        let mut out = BytesMut::new();
        connect::write_welcome(&mut out, SessionId::from_wire(5), &[7; 16], 30_000, read_only);
        out.to_vec()
    };
    let body = all([int(0), int(30_000), long(5), int(16), vec![7; 16]]);
    assert_eq!(welcome(None), all([int(36), body.clone()]));
    assert_eq!(welcome(Some(false)), all([int(37), body.clone(), byte(0)]));
    assert_eq!(welcome(Some(true)), all([int(37), body, byte(1)]));

    let refusal = |read_only| {
        let mut out = BytesMut::new();
        connect::write_refusal(&mut out, read_only);
        out.to_vec()
    };
    let body = all([int(0), int(0), long(0), int(16), vec![0; 16]]);
    assert_eq!(refusal(None), all([int(36), body.clone()]));
    assert_eq!(refusal(Some(false)), all([int(37), body, byte(0)]));
}

// --- replies ----------------------------------------------------------------------------------------------------

#[track_caller]
fn check_body(reply: &Reply, body: &[u8]) {
    let mut out = BytesMut::from(&b"before"[..]);
    reply::write_reply(&mut out, Xid::new(3), Zxid::new(0x2a), &Ok(reply.clone()));
    let length = int(i32::try_from(16 + body.len()).unwrap());
    let expected = all([b"before".to_vec(), length, int(3), long(0x2a), int(0), body.to_vec()]);
    assert_eq!(out.to_vec(), expected, "{reply:?}");
}

#[test]
fn replies_are_written() {
    let children = vec![path("/a/x"), path("/a/yz")];
    let names = all([int(2), text("x"), text("yz")]);
    let acl = Acl { permissions: Permissions::READ, id: Id::new("digest", "alice:x") };
    let acl_bytes = all([int(1), int(1), text("digest"), text("alice:x")]);
    check_body(&Reply::Empty, &[]);
    check_body(&Reply::Path(path("/a")), &text("/a"));
    check_body(&Reply::PathStat(path("/a"), stat()), &all([text("/a"), stat_bytes()]));
    check_body(&Reply::Stat(stat()), &stat_bytes());
    check_body(&Reply::Data(Some((*b"xy").into()), stat()), &all([text("xy"), stat_bytes()]));
    check_body(&Reply::Data(Some([].into()), stat()), &all([int(0), stat_bytes()]));
    check_body(&Reply::Data(None, stat()), &all([null(), stat_bytes()]));
    check_body(&Reply::Children(children.clone()), &names);
    check_body(&Reply::Children(Vec::new()), &int(0));
    check_body(&Reply::ChildrenStat(children.clone(), stat()), &all([names, stat_bytes()]));
    check_body(&Reply::Acl(vec![acl], stat()), &all([acl_bytes, stat_bytes()]));
    check_body(&Reply::Synced(Some(Text::from_static("no path"))), &text("no path"));
    check_body(&Reply::Synced(None), &null());
    check_body(&Reply::Ephemerals(children), &all([int(2), text("/a/x"), text("/a/yz")]));
    check_body(&Reply::Count(7), &int(7));
    check_body(&Reply::NoError, &int(0));
    check_body(&Reply::Token(None), &null());
    check_body(&Reply::Token(Some(Bytes::from_static(b"xy"))), &text("xy"));
    let ids = vec![Id::new("ip", "10.0.0.1"), Id::new("digest", "alice")];
    check_body(
        &Reply::Identities(ids),
        &all([int(2), text("ip"), text("10.0.0.1"), text("digest"), text("alice")]),
    );
}

#[test]
fn results_of_a_multi_are_written() {
    let results = vec![
        (OpCode::Create, Ok(Reply::Path(path("/a")))),
        (OpCode::Create2, Ok(Reply::PathStat(path("/b"), stat()))),
        (OpCode::Delete, Ok(Reply::Empty)),
        (OpCode::SetData, Ok(Reply::Stat(stat()))),
        (OpCode::Check, Ok(Reply::Empty)),
    ];
    check_body(
        &Reply::Multi(results),
        &[
            all([multi_header(1, 0, 0), text("/a")]),
            all([multi_header(15, 0, 0), text("/b"), stat_bytes()]),
            multi_header(2, 0, 0),
            all([multi_header(5, 0, 0), stat_bytes()]),
            multi_header(13, 0, 0),
            multi_header(-1, 1, -1),
        ]
        .concat(),
    );
    check_body(&Reply::Multi(Vec::new()), &multi_header(-1, 1, -1));
}

#[test]
fn results_of_a_multi_read_are_written() {
    let results = vec![
        (OpCode::GetData, Ok(Reply::Data(None, stat()))),
        (OpCode::GetChildren, Err(Code::NoAuth)),
        (OpCode::GetChildren, Ok(Reply::Children(vec![path("/a/x")]))),
    ];
    check_body(
        &Reply::Multi(results),
        &all([
            all([multi_header(4, 0, 0), null(), stat_bytes()]),
            all([multi_header(-1, 0, -102), int(-102)]),
            all([multi_header(8, 0, 0), int(1), text("x")]),
            multi_header(-1, 1, -1),
        ]),
    );
}

/// Clients take the first entry that is neither 0 nor -2, or the first that is not 0: both must find the same one.
#[test]
fn a_failed_multi_tells_which_operation_failed() {
    check_body(
        &Reply::MultiFailed { operations: 4, failing: 1, code: Code::BadVersion },
        &all([
            all([multi_header(-1, 0, 0), int(0)]),
            all([multi_header(-1, 0, -103), int(-103)]),
            all([multi_header(-1, 0, -2), int(-2)]),
            all([multi_header(-1, 0, -2), int(-2)]),
            multi_header(-1, 1, -1),
        ]),
    );
}

#[test]
fn a_refusal_is_a_header_alone() {
    let mut out = BytesMut::new();
    reply::write_reply(&mut out, Xid::new(-7), Zxid::new(1), &Err(Code::NoNode));
    assert_eq!(out.to_vec(), all([int(16), int(-7), long(1), int(-101)]));
}

#[test]
fn notifications_are_written() {
    for (zxid, number) in [(Some(Zxid::new(5)), 5), (None, -1)] {
        for (kind, wire) in [
            (EventKind::Created, 1),
            (EventKind::Deleted, 2),
            (EventKind::DataChanged, 3),
            (EventKind::ChildrenChanged, 4),
        ] {
            let mut out = BytesMut::new();
            reply::write_event(&mut out, zxid, kind, "/a");
            assert_eq!(
                out.to_vec(),
                all([int(30), int(-1), long(number), int(0), int(wire), int(3), text("/a")])
            );
        }
    }
}

// --- frames -----------------------------------------------------------------------------------------------------

#[test]
fn frames_are_taken_off_a_stream_however_it_arrives() {
    let stream = all([text("one"), text(""), text("three")]);
    for chunk in 1..=stream.len() {
        let mut buffer = BytesMut::new();
        let mut frames = Vec::new();
        for bytes in stream.chunks(chunk) {
            buffer.extend_from_slice(bytes);
            while let Some(frame) = frame::take(&mut buffer, 5).unwrap() {
                frames.push(frame);
            }
        }
        assert_eq!(frames, ["one", "", "three"], "in chunks of {chunk}");
        assert!(buffer.is_empty());
    }
}

#[test]
fn a_frame_that_no_client_may_send_ends_the_stream() {
    for length in [-1, i32::MIN, 6, i32::MAX] {
        let mut buffer = BytesMut::from(&int(length)[..]);
        assert_eq!(frame::take(&mut buffer, 5), Err(frame::Overlong { length, max: 5 }));
    }
}

#[test]
fn the_numbers_of_refusals_are_the_protocol_s() {
    let table = [
        (Code::RuntimeInconsistency, -2),
        (Code::MarshallingError, -5),
        (Code::Unimplemented, -6),
        (Code::BadArguments, -8),
        (Code::NewConfigNoQuorum, -13),
        (Code::ReconfigInProgress, -14),
        (Code::NoNode, -101),
        (Code::NoAuth, -102),
        (Code::BadVersion, -103),
        (Code::NoChildrenForEphemerals, -108),
        (Code::NodeExists, -110),
        (Code::NotEmpty, -111),
        (Code::SessionExpired, -112),
        (Code::InvalidAcl, -114),
        (Code::AuthFailed, -115),
        (Code::SessionMoved, -118),
        (Code::NotReadOnly, -119),
        (Code::EphemeralOnLocalSession, -120),
        (Code::NoWatcher, -121),
        (Code::ReconfigDisabled, -123),
        (Code::SessionClosedRequireSaslAuth, -124),
        (Code::QuotaExceeded, -125),
        (Code::ThrottledOp, -127),
    ];
    for (code, number) in table {
        assert_eq!(code.to_wire(), number, "{code:?}");
    }
}

#[test]
fn a_multi_looks_at_the_flags_of_a_create_again() {
    #[track_caller]
    fn check(op: OpCode, flags: i32, ttl: Option<i64>, container: bool, with_stat: bool) {
        let mut record = all([text("/a"), null(), open_acl(), int(flags)]);
        if op == OpCode::CreateTtl {
            record.extend(long(9));
        }
        let body = all([multi_header(op.to_wire(), 0, -1), record, multi_header(-1, 1, -1)]);
        let Ok(Write::Multi(operations)) = read_write(OpCode::Multi, body.into()) else {
            panic!("{op:?} with flags {flags} is malformed");
        };
        let [Write::Create(create)] = &operations[..] else { panic!("{operations:?}") };
        let found = (create.flags, create.ttl, create.container, create.with_stat);
        assert_eq!(found, (flags, ttl, container, with_stat), "{op:?}");
    }
    check(OpCode::Create, 4, None, true, true);
    check(OpCode::Create2, 4, None, true, true);
    check(OpCode::CreateContainer, 1, None, true, true);
    check(OpCode::CreateTtl, 6, Some(9), false, true);
    check(OpCode::CreateTtl, 1, None, false, false);
    check(OpCode::CreateTtl, 4, None, true, true);
    check(OpCode::CreateTtl, 99, None, false, false);
}
