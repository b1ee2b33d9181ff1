//! What clients that come back are told of their watches.

use harness::ask::flags::PERSISTENT;
use harness::connection::Greeting;
use harness::{Ask, Connection, Ensemble, Packet, Plan};

use crate::{CHILDREN_CHANGED, CREATED, DATA_CHANGED, DELETED, NO_NODE, TIMEOUT_MS, is_apache, make, open};

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
