//! What a client may rely on, frame by frame.
#![allow(clippy::unwrap_used, reason = "a test that finds nothing where something should be has failed")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes};
use harness::ask::flags::{EPHEMERAL, PERSISTENT, SEQUENTIAL};
use harness::connection::Greeting;
use harness::{Ask, Connection, Ensemble, Packet, Plan, Server, wait};
use proto::jute::write::Writer;

const CREATED: i32 = 1;
const DELETED: i32 = 2;
const DATA_CHANGED: i32 = 3;
const CHILDREN_CHANGED: i32 = 4;

const NO_NODE: i32 = -101;

const TIMEOUT_MS: i32 = 10_000;

fn alone() -> Ensemble {
    Ensemble::start(&Plan::members(1))
}

#[track_caller]
fn open(ensemble: &Ensemble, member: usize) -> Connection {
    Connection::open(ensemble.address(member), TIMEOUT_MS).0
}

#[track_caller]
fn make(connection: &mut Connection, path: &str, data: &str) {
    let reply = connection.call(&Ask::create(path, data.as_bytes(), PERSISTENT));
    assert_eq!((reply.err, reply.path().as_str()), (0, path));
}

/// What a znode holds, or the refusal.
#[track_caller]
fn text(connection: &mut Connection, path: &str) -> Result<String, i32> {
    let reply = connection.call(&Ask::get_data(path, false));
    match reply.err {
        0 => Ok(String::from_utf8_lossy(&reply.data().0.unwrap_or_default()).into_owned()),
        err => Err(err),
    }
}

/// Whether this is a server that does as ZooKeeper does where we mean to do better.
fn is_apache() -> bool {
    Server::under_test().is_apache()
}

#[test]
fn the_greeting_is_answered_in_the_form_it_came_in() {
    let ensemble = alone();
    for (read_only, bytes) in [(Some(false), 37), (Some(true), 37), (None, 36)] {
        let greeting = Greeting { read_only, ..Greeting::new(TIMEOUT_MS) };
        let (_connection, welcome) = Connection::greeted(ensemble.address(1), &greeting);
        assert_eq!((welcome.bytes, welcome.protocol_version), (bytes, 0));
        assert_eq!(
            welcome.read_only,
            read_only.map(|_| false),
            "a member that has a quorum is not read-only"
        );
        assert_eq!(welcome.password.len(), 16);
        assert_ne!(welcome.password, [0; 16]);
        assert!(welcome.session > 0, "{:#x}", welcome.session);
        assert_eq!(welcome.timeout_ms, TIMEOUT_MS);
    }
}

#[test]
fn timeouts_are_brought_within_bounds() {
    let ensemble = alone();
    for (asked, given) in [(-1, 1_000), (0, 1_000), (1, 1_000), (7_000, 7_000), (i32::MAX, 60_000)] {
        assert_eq!(Connection::open(ensemble.address(1), asked).1.timeout_ms, given, "asked for {asked}");
    }
}

#[test]
fn requests_behind_the_greeting_wait_for_it() {
    let ensemble = alone();
    let mut connection = Connection::dial(ensemble.address(1)).unwrap();
    let mut early = bytes::BytesMut::new();
    proto::jute::frame::put(&mut early, |out| {
        out.int(0);
        out.long(0);
        out.int(TIMEOUT_MS);
        out.long(0);
        out.buffer(Some(&[0; 16]));
        out.boolean(false);
    });
    proto::jute::frame::put(&mut early, |out| {
        out.int(77);
        out.int(3);
        out.text("/");
        out.boolean(false);
    });
    connection.write(&early).unwrap();
    // The welcome looks like a reply whose number is the protocol version.
    let welcome = connection.reply();
    assert_eq!(welcome.xid, 0);
    assert_eq!(connection.reply().xid, 77);
}

#[test]
fn what_is_not_served_is_answered_on_a_connection_that_stays_open() {
    if is_apache() {
        return; // ZooKeeper hangs up.
    }
    let ensemble = alone();
    let mut connection = open(&ensemble, 1);
    // Operations of other servers; a check outside a multi; and what Corral does not serve yet: reconfig, containers
    // and znodes with a time to live.
    for op in [71, 500, 507, 13, 16, 19, 21, 9_999] {
        let reply = connection.call(&Ask::raw(op, |out| out.text("/nothing")));
        assert_eq!((reply.err, reply.body.len()), (-6, 0), "operation {op}");
        assert!(connection.call(&Ask::exists("/", false)).err == 0, "after operation {op}");
    }
}

#[test]
fn a_body_that_does_not_parse_is_refused_on_a_connection_that_stays_open() {
    let ensemble = alone();
    let mut connection = open(&ensemble, 1);
    let bodies: [(&str, Bytes); 3] = [
        ("nothing", Bytes::new()),
        ("a length beyond the frame", Bytes::from_static(&[0, 0, 1, 0, b'/'])),
        ("a null path", Bytes::from_static(&[0xff; 4])),
    ];
    for op in [1, 2, 3, 4, 5, 6, 7, 8, 12, 15] {
        for (what, body) in &bodies {
            let reply = connection.call(&Ask { op, body: body.clone() });
            assert_eq!((reply.err, reply.body.len()), (-5, 0), "operation {op} with {what}");
        }
    }
    let wrong_mode = connection.call(&Ask::add_watch("/", 7));
    assert_eq!(wrong_mode.err, -5);
    make(&mut connection, "/still-open", "");
}

#[test]
fn frames_that_cannot_be_are_answered_by_hanging_up() {
    let ensemble = alone();
    let frames: [(&str, &[u8]); 4] = [
        ("shorter than a header", &[0, 0, 0, 3, 1, 2, 3]),
        ("of negative length", &[0xff, 0xff, 0xff, 0xf0, 0, 0, 0, 0]),
        ("longer than jute.maxbuffer", &[0, 0x10, 0, 0, 0, 0, 0, 0]),
        ("absurdly long", &[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]),
    ];
    for (what, bytes) in frames {
        let mut connection = open(&ensemble, 1);
        connection.write(bytes).unwrap_or_else(|error| panic!("send a frame {what}: {error}"));
        connection.expect_hang_up();
    }
}

#[test]
fn replies_to_pipelined_requests_come_in_order_on_every_member() {
    let ensemble = Ensemble::three();
    for member in ensemble.ids() {
        let mut connection = open(&ensemble, member);
        let root = format!("/pipeline{member}");
        make(&mut connection, &root, "");
        let counter = format!("{root}/counter");
        make(&mut connection, &counter, "");
        // What is sent, and what has to come back at that place.
        let mut expected: Vec<(i32, i32)> = Vec::new();
        let rounds = 60;
        for round in 0..rounds {
            let asks = [
                (Ask::set_data(&counter, round.to_string().as_bytes(), -1), 0),
                (Ask::get_data(&counter, false), 0),
                (Ask::ping(), 0),
                (Ask::create(&format!("{root}/q-"), b"", SEQUENTIAL), 0),
                (Ask::delete(&format!("{root}/no-such")), -101),
                (Ask::exists(&format!("{root}/no-such"), false), -101),
                (Ask::create(&counter, b"", PERSISTENT), -110),
            ];
            for (ask, err) in asks {
                expected.push((connection.send(&ask).unwrap(), err));
            }
        }
        let (mut zxid, mut reads, mut names) = (0, 0, Vec::new());
        for (place, (xid, err)) in expected.into_iter().enumerate() {
            let reply = connection.reply();
            assert_eq!((reply.xid, reply.err), (xid, err), "at place {place} on member {member}");
            assert!(reply.zxid >= zxid, "zxid goes back from {zxid:#x} to {:#x}", reply.zxid);
            zxid = reply.zxid;
            match place % 7 {
                1 => {
                    let (data, stat) = reply.data();
                    assert_eq!(
                        data.unwrap(),
                        reads.to_string(),
                        "a read shows the write in front of it, and no later"
                    );
                    assert_eq!(stat.version, reads + 1);
                    reads += 1;
                }
                3 => names.push(reply.path()),
                _ => {}
            }
        }
        assert!(names.is_sorted(), "{names:?}");
        assert_eq!(names.len(), usize::try_from(rounds).unwrap());
    }
}

#[test]
fn the_event_comes_before_anything_that_shows_the_change() {
    let ensemble = Ensemble::three();
    let mut writer = open(&ensemble, 1);
    make(&mut writer, "/watched", "0");
    for (member, round) in (1..=3).flat_map(|member| (0..30).map(move |round| (member, round))) {
        let mut watcher = open(&ensemble, member);
        watcher.call(&Ask::sync("/"));
        let before = watcher.call(&Ask::get_data("/watched", true)).data().1.version;
        // Reads are on their way all the time while the change happens.
        for _ in 0..20 {
            watcher.send(&Ask::get_data("/watched", false)).unwrap();
        }
        writer.send(&Ask::set_data("/watched", b"x", -1)).unwrap();
        let mut told = false;
        let mut showed_change = false;
        while !showed_change {
            match watcher.receive().unwrap() {
                Packet::Event { kind, path, .. } => {
                    assert_eq!(
                        (kind, path.as_str(), told),
                        (DATA_CHANGED, "/watched", false),
                        "round {round}"
                    );
                    told = true;
                }
                Packet::Reply(reply) => {
                    showed_change = reply.data().1.version > before;
                    assert!(told || !showed_change, "member {member} shows the change before it tells of it");
                    watcher.send(&Ask::get_data("/watched", false)).unwrap();
                }
            }
        }
        assert_eq!(writer.reply().err, 0);
        watcher.send(&Ask::close_session()).unwrap();
    }
}

#[test]
fn the_event_of_an_own_write_comes_before_its_reply_and_only_once() {
    let ensemble = alone();
    let mut connection = open(&ensemble, 1);
    assert_eq!(connection.call(&Ask::exists("/a", true)).err, -101);
    connection.call(&Ask::get_children("/", true));
    let xid = connection.send(&Ask::create("/a", b"", PERSISTENT)).unwrap();
    assert_eq!(connection.event(), (CREATED, "/a".into()));
    assert_eq!(connection.event(), (CHILDREN_CHANGED, "/".into()));
    assert_eq!(connection.reply().xid, xid);
    // Both are spent: a further change is told to nobody.
    assert_eq!(connection.call(&Ask::set_data("/a", b"1", -1)).err, 0);
    make(&mut connection, "/a/b", "");

    // A data watch and a child watch on a znode that is deleted: one event.
    connection.call(&Ask::get_data("/a/b", true));
    connection.call(&Ask::get_children("/a/b", true));
    let xid = connection.send(&Ask::delete("/a/b")).unwrap();
    assert_eq!(connection.event(), (DELETED, "/a/b".into()));
    assert_eq!(connection.reply().xid, xid);
}

#[test]
fn persistent_watches_tell_every_change() {
    let ensemble = alone();
    let (mut watcher, mut writer) = (open(&ensemble, 1), open(&ensemble, 1));
    for (path, mode) in [("/p", 0), ("/r", 1)] {
        let reply = watcher.call(&Ask::add_watch(path, mode));
        assert_eq!(
            (reply.err, &reply.body[..]),
            (0, &[0; 4][..]),
            "addWatch is answered with an error record"
        );
    }
    for root in ["/p", "/r"] {
        make(&mut writer, root, "");
        make(&mut writer, &format!("{root}/child"), "");
        writer.call(&Ask::set_data(&format!("{root}/child"), b"1", -1));
        writer.call(&Ask::set_data(root, b"1", -1));
        writer.call(&Ask::set_data(root, b"2", -1));
        writer.call(&Ask::delete(&format!("{root}/child")));
        writer.call(&Ask::delete(root));
    }
    let expected = [
        (CREATED, "/p"),
        (CHILDREN_CHANGED, "/p"),
        (DATA_CHANGED, "/p"),
        (DATA_CHANGED, "/p"),
        (CHILDREN_CHANGED, "/p"),
        (DELETED, "/p"),
        (CREATED, "/r"),
        (CREATED, "/r/child"),
        (DATA_CHANGED, "/r/child"),
        (DATA_CHANGED, "/r"),
        (DATA_CHANGED, "/r"),
        (DELETED, "/r/child"),
        (DELETED, "/r"),
    ];
    for (kind, path) in expected {
        assert_eq!(watcher.event(), (kind, path.to_owned()));
    }
}

#[test]
fn a_session_moves_to_another_member_with_all_that_it_has() {
    let ensemble = Ensemble::three();
    let (mut old, welcome) = Connection::open(ensemble.address(1), TIMEOUT_MS);
    let created = old.call(&Ask::create("/mine", b"1", EPHEMERAL));
    assert_eq!(created.err, 0);

    for member in [2, 3, 1] {
        let (mut new, again) =
            Connection::greeted(ensemble.address(member), &Greeting::again(&welcome, created.zxid));
        assert_eq!((again.session, &again.password), (welcome.session, &welcome.password));
        assert_eq!(again.timeout_ms, welcome.timeout_ms);
        // What the session has seen, it sees here without a sync.
        let (data, stat) = new.call(&Ask::get_data("/mine", false)).data();
        assert_eq!((data.unwrap().as_ref(), stat.ephemeral_owner), (b"1".as_slice(), welcome.session));

        // The connection that was left is good for nothing.
        let stale = format!("/from-the-old-connection-{member}");
        let _may_fail = old.send(&Ask::create(&stale, b"", PERSISTENT));
        old.expect_hang_up();
        assert_eq!(new.call(&Ask::sync("/")).err, 0);
        assert_eq!(text(&mut new, &stale), Err(-101));
        old = new;
    }
    // And it is still the session that owns what it made.
    assert_eq!(old.call(&Ask::close_session()).err, 0);
    let mut other = open(&ensemble, 2);
    other.call(&Ask::sync("/"));
    assert_eq!(text(&mut other, "/mine"), Err(-101));
}

#[test]
fn a_wrong_password_opens_nothing_and_disturbs_nobody() {
    let ensemble = Ensemble::three();
    let (mut owner, welcome) = Connection::open(ensemble.address(1), TIMEOUT_MS);
    // ZooKeeper hangs up on the owner before it looks at the password, if both are on one member.
    let members: &[usize] = if is_apache() { &[2, 3] } else { &[1, 2, 3] };
    let wrong = [vec![7; 16], vec![0; 16], vec![], welcome.password[..15].to_vec()];
    for member in members {
        for password in &wrong {
            let greeting = Greeting { password: password.clone(), ..Greeting::again(&welcome, 0) };
            check_refused(ensemble.address(*member), &greeting);
        }
        let unknown = Greeting { session: welcome.session + 1_000_000, ..Greeting::again(&welcome, 0) };
        check_refused(ensemble.address(*member), &unknown);
    }
    make(&mut owner, "/undisturbed", "");
}

#[track_caller]
fn check_refused(address: SocketAddr, greeting: &Greeting) {
    for (read_only, bytes) in [(Some(false), 37), (None, 36)] {
        let (mut connection, welcome) =
            Connection::greeted(address, &Greeting { read_only, ..greeting.clone() });
        assert_eq!((welcome.timeout_ms, welcome.session), (0, 0));
        assert_eq!((welcome.password, welcome.bytes), (vec![0; 16], bytes));
        connection.expect_hang_up();
    }
}

#[test]
fn a_client_from_the_future_is_sent_away_without_a_word() {
    let ensemble = alone();
    let greeting = Greeting { last_zxid: i64::MAX / 2, ..Greeting::new(TIMEOUT_MS) };
    let mut connection = Connection::dial(ensemble.address(1)).unwrap();
    assert!(connection.greet(&greeting).is_err());
}

#[test]
fn a_silent_session_expires_and_takes_its_ephemerals_along() {
    let ensemble = Ensemble::three();
    let timeout = Duration::from_secs(3);
    let (mut silent, welcome) = Connection::open(ensemble.address(1), 3_000);
    let (mut pinging, _) = Connection::open(ensemble.address(1), 3_000);
    let mut observer = open(&ensemble, 2);
    assert_eq!(silent.call(&Ask::create("/silent", b"", EPHEMERAL)).err, 0);
    assert_eq!(pinging.call(&Ask::create("/pinging", b"", EPHEMERAL)).err, 0);
    let last_heard = Instant::now();
    observer.call(&Ask::sync("/"));
    assert_eq!(observer.call(&Ask::exists("/silent", true)).err, 0);

    let event = wait::until("the ephemeral of the silent session went", || {
        pinging.call(&Ask::ping());
        observer.send(&Ask::ping()).unwrap();
        match observer.receive().unwrap() {
            Packet::Reply(_) => None,
            event => {
                assert_eq!(observer.reply().xid, -2);
                Some(event)
            }
        }
    });
    assert!(matches!(event, Packet::Event { kind: DELETED, path, .. } if path == "/silent"));
    assert!(last_heard.elapsed() >= timeout, "expired after {:?}", last_heard.elapsed());
    silent.expect_hang_up();
    check_refused(ensemble.address(3), &Greeting::again(&welcome, 0));
    assert_eq!(text(&mut observer, "/pinging"), Ok(String::new()), "who pings lives on");
}

#[test]
fn closing_takes_the_ephemerals_along_answers_and_hangs_up() {
    let ensemble = alone();
    let mut leaving = open(&ensemble, 1);
    let mut staying = open(&ensemble, 1);
    for path in ["/one", "/two"] {
        leaving.call(&Ask::create(path, b"", EPHEMERAL));
    }
    let xid = leaving.send(&Ask::close_session()).unwrap();
    let _too_late = leaving.send(&Ask::create("/too-late", b"", PERSISTENT));
    let reply = leaving.reply();
    assert_eq!((reply.xid, reply.err, reply.body.len()), (xid, 0, 0));
    leaving.expect_hang_up();
    for path in ["/one", "/two", "/too-late"] {
        assert_eq!(text(&mut staying, path), Err(-101), "{path}");
    }
}

/// One row of the table of what a returning client is told of its watches.
struct Row {
    what: &'static str,
    /// Which list the path stands in: data, exist, child, persistent, recursive.
    list: usize,
    path: &'static str,
    told: &'static [(i32, &'static str)],
    /// What is done afterwards, and the event that must come then.
    then: Option<(Ask, i32, &'static str)>,
}

#[test]
fn a_returning_client_is_told_what_its_watches_missed() {
    let ensemble = Ensemble::three();
    let mut writer = open(&ensemble, 1);
    for path in ["/same", "/changed", "/deleted", "/more-children", "/present"] {
        make(&mut writer, path, "");
    }
    let seen = writer.call(&Ask::exists("/", false)).zxid;
    writer.call(&Ask::set_data("/changed", b"1", -1));
    writer.call(&Ask::delete("/deleted"));
    make(&mut writer, "/more-children/one", "");

    let set = |path: &str| Ask::set_data(path, b"2", -1);
    let rows = [
        Row {
            what: "data, unchanged",
            list: 0,
            path: "/same",
            told: &[],
            then: Some((set("/same"), DATA_CHANGED, "/same")),
        },
        Row {
            what: "data, changed",
            list: 0,
            path: "/changed",
            told: &[(DATA_CHANGED, "/changed")],
            then: None,
        },
        Row { what: "data, deleted", list: 0, path: "/deleted", told: &[(DELETED, "/deleted")], then: None },
        Row { what: "exist, present", list: 1, path: "/present", told: &[(CREATED, "/present")], then: None },
        Row {
            what: "exist, missing",
            list: 1,
            path: "/missing",
            told: &[],
            then: Some((Ask::create("/missing", b"", PERSISTENT), CREATED, "/missing")),
        },
        Row {
            what: "child, unchanged",
            list: 2,
            path: "/same",
            told: &[],
            then: Some((Ask::create("/same/one", b"", PERSISTENT), CHILDREN_CHANGED, "/same")),
        },
        Row {
            what: "child, changed",
            list: 2,
            path: "/more-children",
            told: &[(CHILDREN_CHANGED, "/more-children")],
            then: None,
        },
        Row { what: "child, deleted", list: 2, path: "/deleted", told: &[(DELETED, "/deleted")], then: None },
        Row {
            what: "persistent",
            list: 3,
            path: "/same",
            // By the rows above.
            told: &[(DATA_CHANGED, "/same"), (CHILDREN_CHANGED, "/same")],
            then: Some((set("/same"), DATA_CHANGED, "/same")),
        },
        Row {
            what: "recursive",
            list: 4,
            path: "/more-children",
            told: &[(CREATED, "/more-children/one")],
            then: Some((set("/more-children/one"), DATA_CHANGED, "/more-children/one")),
        },
    ];
    for (member, row) in rows.into_iter().enumerate().map(|(index, row)| (index % 3 + 1, row)) {
        let mut returning = open(&ensemble, member);
        returning.call(&Ask::sync("/"));
        let mut lists: [&[&str]; 5] = [&[]; 5];
        let path = [row.path];
        lists[row.list] = &path;
        let ask = if row.list < 3 {
            Ask::set_watches(seen, [lists[0], lists[1], lists[2]])
        } else {
            Ask::set_watches2(seen, lists)
        };
        // Under the number that the C client uses.
        returning.send_as(-8, &ask).unwrap();
        for &(kind, path) in row.told {
            assert_eq!(returning.event(), (kind, path.to_owned()), "{}", row.what);
        }
        let reply = returning.reply();
        assert_eq!((reply.xid, reply.err, reply.body.len()), (-8, 0, 0), "{}", row.what);
        if let Some((change, kind, path)) = row.then {
            assert_eq!(writer.call(&change).err, 0, "{}", row.what);
            assert_eq!(returning.event(), (kind, path.to_owned()), "{}", row.what);
        }
    }
}

#[test]
fn who_comes_back_with_its_watches_is_told_what_happened_and_not_only_what_is_left_of_it() {
    comes_back(true);
}

#[test]
fn who_comes_back_and_says_nothing_is_told_the_same() {
    comes_back(false);
}

/// A client loses its member, and comes back to another one. Either its watches are known to the client alone, or to
/// the members alone.
fn comes_back(speaks: bool) {
    if is_apache() {
        return; // ZooKeeper compares the tree, which has forgotten.
    }
    let mut ensemble = Ensemble::three();
    let mut writer = open(&ensemble, 1);
    for path in ["/remade", "/family", "/kept"] {
        make(&mut writer, path, "");
    }
    let (mut away, welcome) = Connection::greeted(ensemble.address(2), &Greeting::new(TIMEOUT_MS));
    away.call(&Ask::sync("/"));
    if !speaks {
        assert_eq!(away.call(&Ask::get_data("/remade", true)).err, 0);
        assert_eq!(away.call(&Ask::exists("/kept", true)).err, 0);
        assert_eq!(away.call(&Ask::exists("/came-and-went", true)).err, NO_NODE);
        assert_eq!(away.call(&Ask::get_children("/remade", true)).err, 0);
        assert_eq!(away.call(&Ask::add_watch("/family", 0)).err, 0);
        assert_eq!(away.call(&Ask::add_watch("/family", 1)).err, 0);
        // What was set in front of a write is known everywhere when the write is done.
        make(&mut away, "/mark", "");
    }
    let seen = away.call(&Ask::exists("/kept", false)).zxid;
    ensemble.kill9(2);

    assert_eq!(writer.call(&Ask::delete("/remade")).err, 0);
    make(&mut writer, "/remade", "again");
    make(&mut writer, "/came-and-went", "");
    assert_eq!(writer.call(&Ask::delete("/came-and-went")).err, 0);
    make(&mut writer, "/family/child", "");
    let last = writer.call(&Ask::set_data("/family/child", b"1", -1)).zxid;

    let (mut back, _) = Connection::greeted(ensemble.address(3), &Greeting::again(&welcome, seen));
    let xid = if speaks {
        let (data, exist, child): (&[&str], &[&str], &[&str]) =
            (&["/remade", "/kept"], &["/came-and-went"], &["/remade"]);
        let lists = [data, exist, child, &["/family"], &["/family"]];
        back.send_as(-8, &Ask::set_watches2(seen, lists)).unwrap();
        -8
    } else {
        back.send(&Ask::exists("/", false)).unwrap()
    };
    let mut told = Vec::new();
    let reply = loop {
        match back.receive().unwrap() {
            Packet::Event { zxid, kind, path } => told.push((zxid, kind, path)),
            Packet::Reply(reply) => break reply,
        }
    };
    assert_eq!((reply.xid, reply.err), (xid, 0));
    let what: Vec<(i32, &str)> = told.iter().map(|(_, kind, path)| (*kind, path.as_str())).collect();
    let expected = [
        (DELETED, "/remade"),
        (CREATED, "/came-and-went"),
        (CREATED, "/family/child"),
        (CHILDREN_CHANGED, "/family"),
        (DATA_CHANGED, "/family/child"),
    ];
    assert_eq!(what, expected);
    assert!(told.is_sorted_by_key(|(zxid, ..)| *zxid), "in the order in which it happened: {told:?}");
    assert!(told.iter().all(|(zxid, ..)| (seen + 1..=last).contains(zxid)), "with its own zxid: {told:?}");
    // What was told is spent, and what was not told still waits.
    assert_eq!(back.call(&Ask::set_data("/remade", b"", -1)).err, 0);
    back.send(&Ask::set_data("/kept", b"", -1)).unwrap();
    assert_eq!(back.event(), (DATA_CHANGED, "/kept".to_owned()));
    assert_eq!(back.reply().err, 0);
}

#[test]
fn who_comes_back_and_asks_nothing_at_all_is_told_too() {
    if is_apache() {
        return; // ZooKeeper has forgotten what its clients watched.
    }
    let mut ensemble = Ensemble::three();
    let mut writer = open(&ensemble, 1);
    let (mut away, welcome) = Connection::greeted(ensemble.address(2), &Greeting::new(TIMEOUT_MS));
    assert_eq!(away.call(&Ask::exists("/awaited", true)).err, NO_NODE);
    make(&mut away, "/mark", "");
    let seen = away.call(&Ask::exists("/mark", false)).zxid;
    ensemble.kill9(2);
    make(&mut writer, "/awaited", "");
    let (mut back, _) = Connection::greeted(ensemble.address(3), &Greeting::again(&welcome, seen));
    assert_eq!(back.event(), (CREATED, "/awaited".to_owned()));
}

#[test]
fn a_watch_of_a_member_that_is_cut_off_is_told_by_another_as_soon_as_it_is_known() {
    if is_apache() {
        return; // ZooKeeper has forgotten what its clients watched.
    }
    let mut ensemble = Ensemble::start(&Plan::members(3).wired());
    let old = ensemble.follower();
    let new = ensemble.ids().find(|id| *id != old).unwrap();
    let (mut away, welcome) = Connection::greeted(ensemble.address(old), &Greeting::new(TIMEOUT_MS));
    make(&mut away, "/a", "");
    let mut writer = open(&ensemble, new);
    ensemble.cut_off(old);
    // Answered all the same: a read does not wait for anybody.
    let armed = away.call(&Ask::get_data("/a", true));
    assert_eq!(armed.err, 0);

    let (mut back, _) = Connection::greeted(ensemble.address(new), &Greeting::again(&welcome, armed.zxid));
    assert_eq!(back.call(&Ask::exists("/a", false)).err, 0, "nothing is known of a watch");
    let changed = writer.call(&Ask::set_data("/a", b"1", -1)).zxid;
    ensemble.rejoin(old);
    match back.receive().unwrap() {
        Packet::Event { zxid, kind, path } => {
            assert_eq!((zxid, kind, path.as_str()), (changed, DATA_CHANGED, "/a"));
        }
        other => panic!("{other:?} instead of what the watch was owed"),
    }
    ensemble.wait_until_serving();
}

/// Processor time that a process has spent.
fn spent(process: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // The name may hold anything, also blanks; what follows it does not. User and system time are the 14th and 15th.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = [11, 12].iter().map(|&index| fields[index].parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

#[test]
fn members_that_nobody_asks_anything_rest() {
    let ensemble = Ensemble::three();
    let processes: Vec<u32> = ensemble.ids().map(|id| ensemble.pid(id).unwrap()).collect();
    let before: Vec<Duration> = processes.iter().map(|process| spent(*process)).collect();
    // Heartbeats take a few hundredths of it. A busy machine gives them less of it, never more.
    let while_resting = Duration::from_secs(3);
    std::thread::sleep(while_resting);
    for (process, before) in processes.iter().zip(before) {
        let spent = spent(*process) - before;
        assert!(spent < while_resting / 5, "spent {spent:?} of {while_resting:?} on nothing");
    }
}

#[test]
fn a_multi_is_done_whole_or_not_at_all() {
    let ensemble = Ensemble::three();
    let mut connection = open(&ensemble, 1);
    let good =
        [Ask::create("/m", b"", PERSISTENT), Ask::create("/m/a", b"", PERSISTENT), Ask::delete("/m/a")];
    let reply = connection.call(&Ask::multi(&good));
    assert_eq!(reply.err, 0);
    assert_eq!(text(&mut connection, "/m"), Ok(String::new()));

    let bad = [
        Ask::create("/m/b", b"", PERSISTENT),
        Ask::set_data("/m", b"changed", -1),
        Ask::delete("/m/no-such"),
        Ask::create("/m/c", b"", PERSISTENT),
    ];
    let reply = connection.call(&Ask::multi(&bad));
    assert_eq!((reply.err, reply.multi_errors()), (0, vec![0, 0, -101, -2]));
    for member in ensemble.ids() {
        let mut reader = open(&ensemble, member);
        reader.call(&Ask::sync("/"));
        assert_eq!(text(&mut reader, "/m"), Ok(String::new()));
        assert_eq!(reader.call(&Ask::get_children("/m", false)).children(), Vec::<String>::new());
    }
    let nothing = connection.call(&Ask::multi(&[]));
    assert_eq!((nothing.err, nothing.multi_errors()), (0, vec![]));
}

#[test]
fn a_read_behind_a_sync_shows_what_was_written_elsewhere() {
    let ensemble = Ensemble::three();
    let mut clients: Vec<Connection> = ensemble.ids().map(|id| open(&ensemble, id)).collect();
    make(&mut clients[0], "/synced", "");
    for round in 0..150 {
        let value = round.to_string();
        assert_eq!(clients[round % 3].call(&Ask::set_data("/synced", value.as_bytes(), -1)).err, 0);
        for (index, client) in clients.iter_mut().enumerate() {
            assert_eq!(client.call(&Ask::sync("/synced")).path(), "/synced");
            assert_eq!(text(client, "/synced"), Ok(value.clone()), "on member {}", index + 1);
        }
    }
}

#[test]
fn credentials_are_judged_and_acls_kept() {
    let ensemble = alone();
    let mut owner = open(&ensemble, 1);
    let mut stranger = open(&ensemble, 1);
    let reply = owner.call(&Ask::auth("digest", b"anna:secret"));
    assert_eq!((reply.xid, reply.zxid, reply.err), (-4, 0, 0));
    let secret = Ask::raw(1, |out| {
        out.text("/secret");
        out.buffer(None);
        out.count(1);
        out.int(31);
        out.text("auth");
        out.text("");
        out.int(PERSISTENT);
    });
    assert_eq!(owner.call(&secret).err, 0);
    // Null is not empty.
    assert_eq!(owner.call(&Ask::get_data("/secret", false)).data().0, None);
    for ask in [
        Ask::get_data("/secret", false),
        Ask::set_data("/secret", b"", -1),
        Ask::get_children("/secret", false),
    ] {
        assert_eq!(stranger.call(&ask).err, -102, "{ask:?}");
    }
    // Nobody has authenticated here whom `auth` could mean.
    assert_eq!(stranger.call(&secret).err, -114);

    stranger.send(&Ask::auth("no-such-scheme", b"x")).unwrap();
    let reply = stranger.reply();
    assert_eq!((reply.xid, reply.err), (-4, -115));
    stranger.expect_hang_up();
}

#[test]
fn words_are_answered_and_stop_nobody() {
    let ensemble = Ensemble::three();
    let mut client = open(&ensemble, 1);
    make(&mut client, "/words", "");
    for id in ensemble.ids() {
        assert_eq!(ensemble.four_letter(id, "ruok").unwrap(), "imok");
        assert_eq!(ensemble.four_letter(id, "isro").unwrap().trim(), "rw");
        let expected = [
            ("srvr", "Mode: "),
            ("stat", "Mode: "),
            ("mntr", "zk_server_state\t"),
            ("conf", &format!("clientPort={}", ensemble.address(id).port())),
            ("envi", "zookeeper.version="),
        ];
        for (word, expected) in expected {
            let answer = ensemble.four_letter(id, word).unwrap();
            assert!(answer.contains(expected), "{word} of member {id} does not say `{expected}`:\n{answer}");
        }
    }
    let modes = |mode: &str| {
        let says = |id: &usize| ensemble.four_letter(*id, "srvr").unwrap().contains(&format!("Mode: {mode}"));
        ensemble.ids().filter(says).count()
    };
    assert_eq!((modes("leader"), modes("follower")), (1, 2));

    let mut half_a_word = Connection::dial(ensemble.address(1)).unwrap();
    let mut odd = bytes::BytesMut::new();
    odd.put_slice(b"xyzw");
    half_a_word.write(&odd).unwrap();
    half_a_word.expect_hang_up();
    make(&mut client, "/words/still", "");
}
