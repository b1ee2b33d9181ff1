//! What requests do.

use harness::ask::flags::PERSISTENT;
use harness::{Ask, Connection, Ensemble};
use proto::jute::write::Writer;

use crate::{alone, make, open, text};

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
