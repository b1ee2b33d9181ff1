//! What ACLs let those do who have proved something, and what they hide from the others.

use harness::ask::flags::PERSISTENT;
use harness::connection::Greeting;
use harness::{Ask, Connection, Ensemble, Packet, Plan, Server};

use crate::digest_md5::authenticate;
use crate::{ALL, AUTH_FAILED, INVALID_ACL, NO_AUTH, READ, TIMEOUT_MS, open, with_property, with_users};

const DATA_CHANGED: i32 = 3;
const CHILDREN_CHANGED: i32 = 4;

#[test]
fn users_of_sasl_own_what_they_make_on_every_member() {
    let (plan, _jaas) = with_users(3);
    let plan = with_property(plan.line("superUser=eve"), "zookeeper.letAnySaslUserDoX", "anybody");
    let mut ensemble = Ensemble::start(&plan);
    let (mut bob, welcome) = Connection::open(ensemble.address(1), TIMEOUT_MS);
    authenticate(&mut bob, "bob", "bobsecret");
    assert_eq!(bob.call(&Ask::create_for("/mine", ALL, "auth", "")).err, 0);
    assert_eq!(bob.call(&Ask::get_acl("/mine")).acl(), ["31 sasl:bob"]);
    assert_eq!(bob.call(&Ask::create_for("/everybodys", ALL, "sasl", "anybody")).err, 0);
    assert_eq!(bob.call(&Ask::create_for("/eves", ALL, "sasl", "eve")).err, 0);
    assert_eq!(bob.call(&Ask::create_for("/digest", ALL, "digest", "bob:hash")).err, 0);
    assert_eq!(bob.call(&Ask::create_for("/no", ALL, "sasl", "a@b@c")).err, INVALID_ACL);

    let rows = [
        (None, [NO_AUTH, NO_AUTH, NO_AUTH, NO_AUTH]),
        (Some(("plain", "plainsecret")), [NO_AUTH, 0, NO_AUTH, NO_AUTH]),
        (Some(("bob", "bobsecret")), [0, 0, NO_AUTH, NO_AUTH]),
        // A super user may do everything, and the user called so whatever the scheme has to say.
        (Some(("eve", "evesecret")), [0, 0, 0, 0]),
        (Some(("super", "supersecret")), [0, 0, 0, NO_AUTH]),
    ];
    for (user, expected) in rows {
        for member in ensemble.ids() {
            let mut connection = open(&ensemble, member);
            if let Some((user, password)) = user {
                authenticate(&mut connection, user, password);
            }
            connection.call(&Ask::sync("/"));
            let read = ["/mine", "/everybodys", "/eves", "/digest"]
                .map(|path| connection.call(&Ask::get_data(path, false)).err);
            assert_eq!(read, expected, "{user:?} reads on member {member}");
            let written = ["/mine", "/everybodys", "/eves", "/digest"]
                .map(|path| connection.call(&Ask::set_data(path, b"", -1)).err);
            assert_eq!(written, expected, "{user:?} writes on member {member}");
        }
    }

    // A session that moves is the same session, and a connection that has proved nothing.
    let seen = bob.call(&Ask::exists("/mine", false)).zxid;
    ensemble.kill9(1);
    ensemble.wait_for_leader();
    let (mut bob, _) = Connection::greeted(ensemble.address(2), &Greeting::again(&welcome, seen));
    assert_eq!(bob.call(&Ask::set_data("/mine", b"", -1)).err, NO_AUTH);
    authenticate(&mut bob, "bob", "bobsecret");
    assert_eq!(bob.call(&Ask::set_data("/mine", b"", -1)).err, 0);
}

#[test]
fn schemes_that_nobody_asked_for_are_known_to_no_acl() {
    let ensemble = Ensemble::start(&Plan::members(1));
    let mut connection = open(&ensemble, 1);
    for (scheme, id) in
        [("sasl", "bob"), ("x509", "CN=bob"), ("ensemble", "x"), ("super", ""), ("world", "x")]
    {
        assert_eq!(connection.call(&Ask::create_for("/a", ALL, scheme, id)).err, INVALID_ACL, "{scheme}");
    }
    for scheme in ["sasl", "x509", "ensemble", "world", "super"] {
        let mut connection = open(&ensemble, 1);
        let reply = connection.call(&Ask::auth(scheme, b"bob"));
        assert_eq!((reply.zxid, reply.err, reply.body.len()), (0, AUTH_FAILED, 0), "{scheme}");
        connection.expect_hang_up();
    }
}

#[test]
fn digests_are_hashed_as_configured_or_not_at_all() {
    let plan = Plan::members(1);
    let ensemble = Ensemble::start(&with_property(
        plan.clone(),
        "zookeeper.DigestAuthenticationProvider.digestAlg",
        "SHA-256",
    ));
    let mut anna = open(&ensemble, 1);
    assert_eq!(anna.call(&Ask::auth("digest", b"super:test")).err, 0);
    assert_eq!(anna.call(&Ask::create_for("/mine", ALL, "auth", "")).err, 0);
    let expected = ["31 digest:super:wjySwxg860UATFtciuZ1lpzrCHrPeov6SPu/ZD56uig="];
    assert_eq!(anna.call(&Ask::get_acl("/mine")).acl(), expected);
    drop(ensemble);

    let ensemble =
        Ensemble::start(&with_property(plan, "zookeeper.DigestAuthenticationProvider.enabled", "false"));
    let mut anna = open(&ensemble, 1);
    assert_eq!(anna.call(&Ask::create_for("/a", ALL, "digest", "a:b")).err, INVALID_ACL);
    assert_eq!(anna.call(&Ask::auth("digest", b"anna:secret")).err, AUTH_FAILED);
    anna.expect_hang_up();
}

#[test]
fn who_looks_for_another_ensemble_is_hung_up() {
    let class = "authProvider.1=org.apache.zookeeper.server.auth.EnsembleAuthenticationProvider";
    let plan = with_property(Plan::members(1).line(class), "zookeeper.ensembleAuthName", "blue,green");
    let ensemble = Ensemble::start(&plan);
    for name in ["blue", "green", ""] {
        let mut connection = open(&ensemble, 1);
        assert_eq!(connection.call(&Ask::auth("ensemble", name.as_bytes())).err, 0, "{name}");
        assert_eq!(connection.call(&Ask::who_am_i()).identities(), ["ip:127.0.0.1"]);
    }
    let mut connection = open(&ensemble, 1);
    connection.send(&Ask::auth("ensemble", b"red")).unwrap();
    connection.expect_hang_up();
}

/// An address is inside or outside of a prefix, whatever the family.
#[test]
fn prefixes_let_in_who_calls_from_there() {
    let ensemble = Ensemble::start(&Plan::members(1));
    let mut connection = open(&ensemble, 1);
    for (number, (id, expected)) in [
        ("127.0.0.1", 0),
        ("127.0.0.0/8", 0),
        ("127.9.9.9/8", 0),
        ("10.0.0.0/0", 0),
        ("127.0.0.2", NO_AUTH),
        ("127.0.0.2/32", NO_AUTH),
        ("::/0", NO_AUTH),
        ("::1", NO_AUTH),
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("/{number}");
        assert_eq!(connection.call(&Ask::create_for(&path, ALL, "ip", id)).err, 0, "{id}");
        assert_eq!(connection.call(&Ask::get_data(&path, false)).err, expected, "{id}");
    }
    for id in
        ["127.0.0.1/33", "127.0.0.1/-1", "127.0.0.1/", "localhost", "::ffff:127.0.0.1", "::1/129", "1::2::3"]
    {
        assert_eq!(connection.call(&Ask::create_for("/no", ALL, "ip", id)).err, INVALID_ACL, "{id}");
    }
}

#[test]
fn what_may_not_be_read_is_not_shown_by_other_ways() {
    let ensemble = Ensemble::start(&Plan::members(1));
    let (mut anna, mut stranger) = (open(&ensemble, 1), open(&ensemble, 1));
    assert_eq!(anna.call(&Ask::auth("digest", b"anna:secret")).err, 0);
    assert_eq!(anna.call(&Ask::create_for("/hidden", ALL, "auth", "")).err, 0);
    for ask in [
        Ask::exists("/hidden", false),
        Ask::get_data("/hidden", false),
        Ask::get_children("/hidden", false),
        Ask::get_acl("/hidden"),
        Ask::raw(104, |out| proto::jute::write::Writer::text(out, "/hidden")),
        Ask::set_data("/hidden", b"", -1),
        Ask::set_acl("/hidden", ALL, "world", "anyone"),
        Ask::create("/hidden/child", b"", PERSISTENT),
    ] {
        assert_eq!(stranger.call(&ask).err, NO_AUTH, "operation {}", ask.op);
    }
    // What does not exist may be asked for by everybody.
    assert_eq!(stranger.call(&Ask::exists("/hidden/no", false)).err, -101);

    // Who may read and not change sees names and no hashes; who may change sees it all.
    let list = Ask::raw(1, |out| {
        use proto::jute::write::Writer;
        out.text("/shown");
        out.buffer(None);
        out.count(2);
        for (permissions, scheme, id) in [(ALL, "auth", ""), (READ, "world", "anyone")] {
            out.int(permissions);
            out.text(scheme);
            out.text(id);
        }
        out.int(PERSISTENT);
    });
    assert_eq!(anna.call(&list).err, 0);
    assert_eq!(stranger.call(&Ask::get_acl("/shown")).acl(), ["31 digest:anna:x", "1 world:anyone"]);
    let whole = anna.call(&Ask::get_acl("/shown")).acl();
    assert!(whole[0].starts_with("31 digest:anna:") && whole[0].len() > 30, "{whole:?}");
}

/// PROTOCOL, section "ACL filter": each event is held against the ACL of the znode that it is about.
#[test]
fn watches_tell_only_what_may_be_read() {
    let ensemble = Ensemble::start(&Plan::members(if Server::under_test().is_apache() { 1 } else { 3 }));
    let mut anna = open(&ensemble, 1);
    assert_eq!(anna.call(&Ask::auth("digest", b"anna:secret")).err, 0);
    for path in ["/data", "/children", "/deleted", "/tree"] {
        assert_eq!(anna.call(&Ask::create(path, b"", PERSISTENT)).err, 0);
    }
    for id in ensemble.ids() {
        let mut stranger = open(&ensemble, id);
        stranger.call(&Ask::sync("/"));
        assert_eq!(stranger.call(&Ask::get_data("/data", true)).err, 0);
        assert_eq!(stranger.call(&Ask::get_children("/children", true)).err, 0);
        assert_eq!(stranger.call(&Ask::exists("/created", true)).err, -101);
        assert_eq!(stranger.call(&Ask::exists("/deleted", true)).err, 0);
        assert_eq!(stranger.call(&Ask::add_watch("/tree", 1)).err, 0);
        assert_eq!(stranger.call(&Ask::create("/mark", b"", PERSISTENT)).err, 0);

        for path in ["/data", "/children", "/deleted"] {
            assert_eq!(anna.call(&Ask::set_acl(path, ALL, "auth", "")).err, 0);
        }
        assert_eq!(anna.call(&Ask::set_data("/data", b"", -1)).err, 0);
        assert_eq!(anna.call(&Ask::create("/children/a", b"", PERSISTENT)).err, 0);
        assert_eq!(anna.call(&Ask::create_for("/created", ALL, "auth", "")).err, 0);
        assert_eq!(anna.call(&Ask::delete("/deleted")).err, 0);
        assert_eq!(anna.call(&Ask::create_for("/tree/hidden", ALL, "auth", "")).err, 0);
        assert_eq!(anna.call(&Ask::create("/tree/shown", b"", PERSISTENT)).err, 0);

        // Only what everybody may read is told; and a one-shot watch that said nothing is spent all the same.
        for path in ["/data", "/children", "/created"] {
            assert_eq!(anna.call(&Ask::set_acl(path, ALL, "world", "anyone")).err, 0);
            assert_eq!(anna.call(&Ask::set_data(path, b"", -1)).err, 0);
        }
        assert_eq!(anna.call(&Ask::delete("/children/a")).err, 0);
        assert_eq!(anna.call(&Ask::delete("/tree/shown")).err, 0);
        assert_eq!(anna.call(&Ask::delete("/tree/hidden")).err, 0);
        assert_eq!(anna.call(&Ask::delete("/created")).err, 0);
        assert_eq!(anna.call(&Ask::delete("/mark")).err, 0);
        stranger.send(&Ask::sync("/")).unwrap();
        let mut told = Vec::new();
        while let Packet::Event { kind, path, .. } = stranger.receive().unwrap() {
            told.push((kind, path));
        }
        assert_eq!(told, [(1, "/tree/shown".to_owned()), (2, "/tree/shown".to_owned())], "by member {id}");
        assert_eq!(anna.call(&Ask::create("/deleted", b"", PERSISTENT)).err, 0);

        // Whoever may read is told, by what it had proved when it happened.
        let mut friend = open(&ensemble, id);
        assert_eq!(friend.call(&Ask::auth("digest", b"anna:secret")).err, 0);
        friend.call(&Ask::sync("/"));
        for path in ["/data", "/children"] {
            assert_eq!(anna.call(&Ask::set_acl(path, ALL, "auth", "")).err, 0);
        }
        friend.call(&Ask::sync("/"));
        assert_eq!(friend.call(&Ask::get_data("/data", true)).err, 0);
        assert_eq!(friend.call(&Ask::get_children("/children", true)).err, 0);
        assert_eq!(anna.call(&Ask::set_data("/data", b"", -1)).err, 0);
        assert_eq!(friend.event(), (DATA_CHANGED, "/data".to_owned()));
        assert_eq!(anna.call(&Ask::create("/children/a", b"", PERSISTENT)).err, 0);
        assert_eq!(friend.event(), (CHILDREN_CHANGED, "/children".to_owned()));
        assert_eq!(anna.call(&Ask::delete("/children/a")).err, 0);
        for path in ["/data", "/children"] {
            assert_eq!(anna.call(&Ask::set_acl(path, ALL, "world", "anyone")).err, 0);
        }
    }
}
