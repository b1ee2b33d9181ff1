//! A member that has lost the others, and serves reads to those who say that these are enough.
#![allow(clippy::unwrap_used, reason = "a test that finds nothing where something should be has failed")]

use std::io::ErrorKind;

use harness::ask::flags::{EPHEMERAL, PERSISTENT};
use harness::connection::Greeting;
use harness::{Ask, Connection, Ensemble, Packet, Plan, Server, wait};

/// Long enough that nobody is sent away for want of a leader while a test looks.
const TIMEOUT_MS: i32 = 60_000;

const NOT_READ_ONLY: i32 = -119;
const CREATED: i32 = 1;

/// What a client says for which reads are enough.
fn reader() -> Greeting {
    Greeting { read_only: Some(true), ..Greeting::new(TIMEOUT_MS) }
}

/// Three members that serve reads without a leader.
fn ensemble() -> Ensemble {
    let plan = Plan::members(3).flag("-Dreadonlymode.enabled=true");
    // ZooKeeper answers a greeting with something else than an answer where this is not set.
    let is_apache = plan.server.is_apache();
    Ensemble::start(&if is_apache { plan.line("localSessionsEnabled=true") } else { plan })
}

/// Leaves this member alone, and waits until it serves reads.
#[track_caller]
fn leave_alone(ensemble: &mut Ensemble, id: usize) {
    for other in ensemble.ids().filter(|other| *other != id) {
        ensemble.kill9(other);
    }
    wait_for(ensemble, id, "ro");
}

#[track_caller]
fn wait_for(ensemble: &Ensemble, id: usize, isro: &str) {
    let says = || ensemble.four_letter(id, "isro").is_ok_and(|answer| answer == isro).then_some(());
    wait::until(&format!("member {id} said `{isro}`"), says);
}

/// That whoever says this is hung up on without an answer.
#[track_caller]
fn refused(ensemble: &Ensemble, id: usize, greeting: &Greeting) {
    let answer = Connection::dial(ensemble.address(id)).unwrap().greet(greeting);
    let ended = answer.as_ref().is_err_and(|error| error.kind() != ErrorKind::TimedOut);
    assert!(ended, "{greeting:?} should not be answered, and there is {answer:?}");
}

#[test]
fn a_member_that_is_alone_serves_reads_until_there_is_a_leader_again() {
    let mut ensemble = ensemble();
    let is_apache = Server::under_test().is_apache();
    let id = ensemble.follower();
    let (mut waits, _) = Connection::open(ensemble.address(id), TIMEOUT_MS);
    assert_eq!(waits.call(&Ask::create("/a", b"x", PERSISTENT)).err, 0);
    let (mut takes_reads, global) = Connection::greeted(ensemble.address(id), &reader());
    assert_eq!(global.read_only, Some(false), "a member that has a quorum is not read-only");
    let seen = takes_reads.call(&Ask::get_data("/a", false)).zxid;

    leave_alone(&mut ensemble, id);
    // Its session does not become another one under its hands.
    takes_reads.expect_hang_up();
    if !is_apache {
        refused(&ensemble, id, &Greeting { read_only: Some(true), ..Greeting::again(&global, seen) });
    }
    for read_only in [None, Some(false)] {
        refused(&ensemble, id, &Greeting { read_only, ..reader() });
    }
    refused(&ensemble, id, &Greeting { last_zxid: seen + 1, ..reader() });
    if !is_apache {
        // Who said nothing of the kind goes on as in any election: it is served what it reads, and its writes wait.
        assert_eq!(waits.call(&Ask::get_data("/a", false)).data().0.unwrap(), "x");
        waits.send(&Ask::set_data("/a", b"y", -1)).unwrap();
    }

    let (mut reads, local) = Connection::greeted(ensemble.address(id), &reader());
    assert_eq!((local.read_only, local.timeout_ms, local.bytes), (Some(true), TIMEOUT_MS, 37));
    assert_ne!(local.session, 0);
    if !is_apache {
        assert_eq!(local.session >> 56, 0, "the top byte of the ensemble's sessions is not 0");
    }
    let multi = Ask::multi(&[Ask::set_data("/a", b"z", -1)]);
    for write in [
        Ask::create("/b", b"", PERSISTENT),
        Ask::create2("/b", b"", EPHEMERAL),
        Ask::create_container("/b"),
        Ask::create_ttl("/b", b"", 1_000),
        Ask::delete("/a"),
        Ask::set_data("/a", b"z", -1),
        Ask::set_acl("/a", 1, "world", "anyone"),
        multi,
        Ask::sync("/a"),
        Ask::raw(16, |out| out.extend_from_slice(&[0xff; 20])),
        Ask::raw(1, |_| {}),
    ] {
        let reply = reads.call(&write);
        assert_eq!((reply.err, reply.zxid), (NOT_READ_ONLY, seen), "operation {}", write.op);
    }
    let reply = reads.call(&Ask::get_data("/a", true));
    assert_eq!((reply.zxid, reply.data().0.unwrap()), (seen, "x".into()));
    assert_eq!(reads.call(&Ask::get_children("/", true)).children(), ["a", "zookeeper"]);
    assert_eq!(reads.call(&Ask::exists("/b", true)).err, -101);
    assert_eq!(reads.call(&Ask::add_watch("/a", 1)).err, 0);
    assert_eq!(reads.call(&Ask::set_watches(seen, [&["/a"], &["/b"], &["/"]])).err, 0);
    assert_eq!(reads.call(&Ask::ping()).err, 0);
    assert_eq!(reads.call(&Ask::auth("digest", b"joe:secret")).err, 0);
    assert_eq!(reads.call(&Ask::who_am_i()).identities().len(), 2);

    let words = |word: &str| ensemble.four_letter(id, word).unwrap();
    let srvr = words("srvr");
    assert!(srvr.contains("\nREAD-ONLY mode; serving only read-only clients\nLatency"), "{srvr}");
    assert!(srvr.contains("\nMode: read-only\n"), "{srvr}");
    let mntr = words("mntr");
    assert!(mntr.contains("zk_server_state\tread-only\n"), "{mntr}");
    if !is_apache {
        assert!(mntr.contains("zk_local_sessions\t1\n"), "{mntr}");
        assert!(mntr.contains("zk_global_sessions\t2\n"), "{mntr}");
    }

    // It ends at its client's word, or goes on over another connection of the same member.
    let (mut other, ended) = Connection::greeted(ensemble.address(id), &reader());
    assert_ne!(ended.session, local.session);
    assert_eq!(other.call(&Ask::close_session()).err, 0);
    other.expect_hang_up();
    reads.hang_up();
    let again = Greeting { read_only: Some(true), ..Greeting::again(&local, seen) };
    let (mut reads, welcome) = Connection::greeted(ensemble.address(id), &again);
    assert_eq!((welcome.session, welcome.read_only), (local.session, Some(true)));
    let wrong = Greeting { password: vec![1; 16], ..again.clone() };
    assert_eq!(Connection::greeted(ensemble.address(id), &wrong).1.session, 0);

    // With a quorum there is more to be had: the client is to come back for it.
    let back = ensemble.ids().find(|other| *other != id).unwrap();
    ensemble.start_member(back);
    reads.expect_hang_up();
    wait_for(&ensemble, id, "rw");
    if !is_apache {
        let Ok(Packet::Reply(reply)) = waits.receive() else { panic!("the write is answered") };
        assert_eq!((reply.err, reply.stat().version), (0, 1));
    }
    assert_eq!(Connection::greeted(ensemble.address(id), &again).1.session, 0, "a session of one member");
    let (mut anew, welcome) = Connection::greeted(ensemble.address(id), &reader());
    assert_eq!(welcome.read_only, Some(false));
    assert_eq!(anew.call(&Ask::create("/b", b"", PERSISTENT)).err, 0);
    // The session of before is what it was.
    if !is_apache {
        let (mut back, _) = Connection::greeted(ensemble.address(id), &Greeting::again(&global, seen));
        assert_eq!(back.call(&Ask::get_data("/a", false)).data().0.unwrap(), "y");
    }
}

#[test]
fn what_a_reader_watches_is_told_as_long_as_it_is_there() {
    if Server::under_test().is_apache() {
        return;
    }
    let mut ensemble = ensemble();
    let id = ensemble.follower();
    let (mut waits, _) = Connection::open(ensemble.address(id), TIMEOUT_MS);
    leave_alone(&mut ensemble, id);
    waits.send(&Ask::create("/a", b"", PERSISTENT)).unwrap();
    let (mut reads, _) = Connection::greeted(ensemble.address(id), &reader());
    assert_eq!(reads.call(&Ask::exists("/a", true)).err, -101);
    let back = ensemble.ids().find(|other| *other != id).unwrap();
    ensemble.start_member(back);
    // Whether the write comes first or the end, nobody can say; nothing else may come.
    match reads.receive() {
        Ok(Packet::Event { kind, path, .. }) => {
            assert_eq!((kind, path.as_str()), (CREATED, "/a"));
            reads.expect_hang_up();
        }
        Ok(reply) => panic!("an event or nothing should come, and there is {reply:?}"),
        Err(error) => assert_ne!(error.kind(), ErrorKind::TimedOut, "it should be hung up on"),
    }
}

#[test]
fn without_the_mode_nobody_is_served_by_a_member_that_is_alone() {
    let mut ensemble = Ensemble::three();
    let id = ensemble.follower();
    for other in ensemble.ids().filter(|other| *other != id) {
        ensemble.kill9(other);
    }
    wait_for(&ensemble, id, "null");
    // Longer than a member with the mode waits.
    std::thread::sleep(proto::limits::READ_ONLY_WAIT * 2);
    wait_for(&ensemble, id, "null");
    refused(&ensemble, id, &reader());
}
