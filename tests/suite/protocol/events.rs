//! Notifications of those who are connected.

use harness::ask::flags::PERSISTENT;
use harness::{Ask, Ensemble, Packet};

use crate::{CHILDREN_CHANGED, CREATED, DATA_CHANGED, DELETED, alone, make, open};

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
