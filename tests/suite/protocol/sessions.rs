//! Sessions: how they move, end, and expire.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use harness::ask::flags::{EPHEMERAL, PERSISTENT};
use harness::connection::Greeting;
use harness::{Ask, Connection, Ensemble, Packet, wait};

use crate::{DELETED, TIMEOUT_MS, alone, is_apache, make, open, text};

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
    const TIMEOUT_MS: i32 = 6_000;
    let timeout = Duration::from_millis(u64::try_from(TIMEOUT_MS).unwrap());
    let (mut silent, welcome) = Connection::open(ensemble.address(1), TIMEOUT_MS);
    let (mut pinging, _) = Connection::open(ensemble.address(1), TIMEOUT_MS);
    let mut observer = open(&ensemble, 2);
    // From before it speaks: nobody knows how long after it the answer was read.
    let last_heard = Instant::now();
    assert_eq!(silent.call(&Ask::create("/silent", b"", EPHEMERAL)).err, 0);
    assert_eq!(pinging.call(&Ask::create("/pinging", b"", EPHEMERAL)).err, 0);
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
