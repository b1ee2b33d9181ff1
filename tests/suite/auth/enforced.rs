//! Members that serve only those who have proved who they are.

use harness::ask::flags::PERSISTENT;
use harness::connection::Greeting;
use harness::{Ask, Connection, Ensemble, Plan, Server};

use crate::digest_md5::{authenticate, log_in, token};
use crate::{AUTH_REQUIRED, SASL_CLASS, TIMEOUT_MS, open, with_users};

fn questions() -> Vec<Ask> {
    vec![
        Ask::ping(),
        Ask::create("/a", b"", PERSISTENT),
        Ask::get_data("/", true),
        Ask::exists("/", false),
        Ask::sync("/"),
        Ask::who_am_i(),
        Ask::set_watches(0, [&["/"], &[], &[]]),
        Ask::multi(&[]),
        Ask::close_session(),
    ]
}

#[test]
fn whoever_has_proved_nothing_is_hung_up_whatever_it_asks() {
    let plan = Plan::members(1).line("enforce.auth.enabled=true").line("enforce.auth.schemes=digest");
    let mut ensemble = Ensemble::prepare(&plan);
    ensemble.start_member(1);
    ensemble.wait_until_serving();
    for ask in questions() {
        let mut connection = open(&ensemble, 1);
        let reply = connection.call(&ask);
        assert_eq!((reply.zxid, reply.err, reply.body.len()), (0, AUTH_REQUIRED, 0), "operation {}", ask.op);
        connection.expect_hang_up();
    }
    // Proving where it calls from is not enough, and neither is proving nothing at all.
    let mut connection = open(&ensemble, 1);
    assert_eq!(connection.call(&Ask::auth("ip", b"")).err, 0);
    assert_eq!(connection.call(&Ask::ping()).err, AUTH_REQUIRED);
    connection.expect_hang_up();

    let mut connection = open(&ensemble, 1);
    assert_eq!(connection.call(&Ask::auth("digest", b"anna:secret")).err, 0);
    for ask in questions().into_iter().filter(|ask| ask.op != 101) {
        assert_eq!(connection.call(&ask).err, 0, "operation {}", ask.op);
    }
}

#[test]
fn a_session_that_proves_nothing_lives_until_it_expires_and_its_client_may_come_back() {
    let (plan, _jaas) = with_users(3);
    let ensemble = Ensemble::start(&plan.line("sessionRequireClientSASLAuth=true"));
    let (mut connection, welcome) = Connection::open(ensemble.address(1), TIMEOUT_MS);
    assert_eq!(connection.call(&Ask::ping()).err, AUTH_REQUIRED);
    connection.expect_hang_up();

    let (mut connection, again) = Connection::greeted(ensemble.address(2), &Greeting::again(&welcome, 0));
    assert_eq!(again.session, welcome.session);
    authenticate(&mut connection, "bob", "bobsecret");
    assert_eq!(connection.call(&Ask::ping()).err, 0);
    assert_eq!(connection.call(&Ask::create("/a", b"", PERSISTENT)).err, 0);

    // What it proved there it must prove again wherever it comes back.
    let (mut connection, _) = Connection::greeted(ensemble.address(3), &Greeting::again(&welcome, 0));
    assert_eq!(connection.call(&Ask::exists("/a", false)).err, AUTH_REQUIRED);
    connection.expect_hang_up();

    let mut connection = open(&ensemble, 1);
    let (reply, _) = log_in(&mut connection, "bob", "wrong");
    assert_eq!((reply.zxid, reply.err, token(&reply)), (0, AUTH_REQUIRED, None));
    connection.expect_hang_up();
}

#[test]
fn who_is_kept_out_is_told_nothing_that_it_missed() {
    if Server::under_test().is_apache() {
        return; // ZooKeeper tells nobody of what was missed who does not ask.
    }
    let (plan, _jaas) = with_users(2);
    let ensemble = Ensemble::start(&plan.line("sessionRequireClientSASLAuth=true"));
    let (mut watcher, welcome) = Connection::open(ensemble.address(1), TIMEOUT_MS);
    authenticate(&mut watcher, "bob", "bobsecret");
    let seen = watcher.call(&Ask::create("/a", b"", PERSISTENT)).zxid;
    assert_eq!(watcher.call(&Ask::get_data("/a", true)).err, 0);
    assert_eq!(watcher.call(&Ask::create("/mark", b"", PERSISTENT)).err, 0);
    drop(watcher);
    let mut writer = open(&ensemble, 2);
    authenticate(&mut writer, "eve", "evesecret");
    assert_eq!(writer.call(&Ask::set_data("/a", b"1", -1)).err, 0);

    let (mut back, _) = Connection::greeted(ensemble.address(2), &Greeting::again(&welcome, seen));
    // Longer than the grace in which a client may prove who it is before it is told.
    let waited = back.receive_within(std::time::Duration::from_millis(600));
    assert!(waited.is_err_and(|error| error.kind() == std::io::ErrorKind::TimedOut), "it was told something");
    authenticate(&mut back, "bob", "bobsecret");
    assert_eq!(back.event(), (3, "/a".to_owned()));
}

#[test]
fn a_member_that_would_keep_everybody_out_does_not_start() {
    for lines in [
        &["sessionRequireClientSASLAuth=true"][..],
        &["enforce.auth.enabled=true"],
        &["enforce.auth.enabled=true", "enforce.auth.schemes=x509", SASL_CLASS],
    ] {
        let plan = lines.iter().fold(Plan::members(1), |plan, line| plan.line(line));
        let mut ensemble = Ensemble::prepare(&plan);
        ensemble.start_member(1);
        assert!(!ensemble.await_end(1).success(), "{lines:?}");
    }
}
