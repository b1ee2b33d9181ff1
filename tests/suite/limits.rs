//! What clients may ask of a member at a time, and what becomes of those who ask for more.
//!
//! Writes take as long as the test says (`corral.syncDelayMs`), so that what is under way is under way for a while. That is
//! no timed assertion: however long it takes, the outcome is the same.
#![allow(clippy::unwrap_used, reason = "a test that finds nothing where something should be has failed")]

use std::io::{ErrorKind, Write};
use std::time::Duration;

use bytes::BytesMut;
use harness::ask::flags::PERSISTENT;
use harness::connection::Greeting;
use harness::ensemble::number;
use harness::{Ask, Connection, Ensemble, Plan, Server, wait};
use proto::jute::frame;
use proto::jute::write::Writer;

const TIMEOUT_MS: i32 = 30_000;

const THROTTLED: i32 = -127;
const NO_NODE: i32 = -101;

/// A member with these lines in its configuration; nothing if it is ZooKeeper's, which has no such delay and takes most
/// of these keys as system properties only.
fn alone(lines: &[&str]) -> Option<Ensemble> {
    let plan = lines.iter().fold(Plan::members(1), |plan, line| plan.line(line));
    (!Server::under_test().is_apache()).then(|| Ensemble::start(&plan))
}

#[track_caller]
fn open(ensemble: &Ensemble) -> Connection {
    Connection::open(ensemble.address(1), TIMEOUT_MS).0
}

fn create(path: &str, bytes: usize) -> Ask {
    Ask::create(path, &vec![7; bytes], PERSISTENT)
}

/// Sends all of it in one piece; the requests are numbered from 1.
fn send_at_once(connection: &mut Connection, asks: &[Ask]) {
    let mut all = BytesMut::new();
    for (xid, ask) in (1..).zip(asks) {
        frame::put(&mut all, |out| {
            out.int(xid);
            out.int(ask.op);
            out.extend_from_slice(&ask.body);
        });
    }
    connection.write(&all).unwrap();
}

#[test]
fn connections_of_one_address_and_of_all() {
    for key in ["maxClientCnxns", "maxCnxns"] {
        let Some(ensemble) = alone(&[&format!("{key}=3")]) else { return };
        // Words are connections, too, until they are over: of those who asked whether the member serves, and of those that
        // ask it for its metrics.
        let mut inside: Vec<Connection> = Vec::new();
        wait::until("three were inside", || {
            let mut connection = Connection::dial(ensemble.address(1)).ok()?;
            inside.extend(connection.greet(&Greeting::new(TIMEOUT_MS)).is_ok().then_some(connection));
            (inside.len() == 3).then_some(())
        });
        for _ in 0..5 {
            let mut outside = Connection::dial(ensemble.address(1)).unwrap();
            let refused = outside.greet(&Greeting::new(TIMEOUT_MS));
            assert!(refused.is_err(), "{key}: {refused:?}");
        }
        assert!(inside.iter_mut().all(|connection| connection.call(&Ask::ping()).err == 0), "{key}");
        inside.pop().unwrap().hang_up();
        // One word: the next might find that the connection of the first is not over yet.
        let told = wait::until("there was room for a word", || ensemble.four_letter(1, "mntr").ok());
        let rejected = number(&told, "connection_rejected");
        assert!(rejected >= 5, "{key}: {rejected}");
        wait::until("there was room for another client", || {
            Connection::dial(ensemble.address(1)).ok()?.greet(&Greeting::new(TIMEOUT_MS)).ok()
        });
    }
}

#[test]
fn requests_that_are_not_answered() {
    let Some(ensemble) = alone(&["globalOutstandingLimit=5", "corral.syncDelayMs=100"]) else { return };
    let mut deep = open(&ensemble);
    let asks: Vec<Ask> = (0..60).map(|number| create(&format!("/deep-{number}"), 1)).collect();
    send_at_once(&mut deep, &asks);
    let mut other = open(&ensemble);
    let (mut most, mut answered) = (0, 0);
    wait::until("all was answered", || {
        most = most.max(ensemble.metric(1, "outstanding_requests"));
        // Whoever waits for nothing is heard, however much the others ask.
        assert_eq!(other.call(&Ask::exists("/", false)).err, 0);
        while let Ok(packet) = deep.receive_within(Duration::from_millis(1)) {
            answered += 1;
            assert!(
                matches!(packet, harness::Packet::Reply(reply) if (reply.xid, reply.err) == (answered, 0))
            );
        }
        (answered == 60).then_some(())
    });
    // One more than the limit is let in, as in ZooKeeper; and there is the other client.
    assert!((1..=7).contains(&most), "{most} requests were not answered at a time");
    assert_eq!(ensemble.metric(1, "outstanding_requests"), 0);
}

#[test]
fn greetings_that_come_too_often() {
    let lines = ["connectionMaxTokens=20", "connection_throttle_fill_time=3600000"];
    let Some(ensemble) = alone(&lines) else { return };
    let mut inside = Vec::new();
    let refused = loop {
        let mut connection = Connection::dial(ensemble.address(1)).unwrap();
        match connection.greet(&Greeting::new(TIMEOUT_MS)) {
            Ok(welcome) => {
                assert_ne!(welcome.session, 0);
                inside.push(connection);
            }
            Err(error) => break error,
        }
        assert!(inside.len() <= 20, "the bucket holds 20");
    };
    // Whoever asked whether the member serves has taken some of them.
    assert!(inside.len() > 5, "{}: {refused}", inside.len());
    assert!(ensemble.metric(1, "connection_rejected") > 0);
    assert!(ensemble.metric(1, "cnt_connection_token_deficit") > 0);
    assert!(inside.iter_mut().all(|connection| connection.call(&Ask::ping()).err == 0));
    assert!(ensemble.four_letter(1, "srvr").unwrap().contains("Mode: standalone"), "words are no greetings");
}

#[test]
fn requests_under_way_and_those_that_wait_for_them() {
    let lines = [
        "zookeeper.request_throttle_max_requests=1",
        "requestThrottleStallTime=20",
        "corral.syncDelayMs=100",
    ];
    let Some(ensemble) = alone(&lines) else { return };
    let (mut one, mut other) = (open(&ensemble), open(&ensemble));
    let asks = |name: &str| (0..5).map(|number| create(&format!("/{name}-{number}"), 1)).collect::<Vec<_>>();
    send_at_once(&mut one, &asks("one"));
    send_at_once(&mut other, &asks("other"));
    for connection in [&mut one, &mut other] {
        for xid in 1..=5 {
            let reply = connection.reply();
            assert_eq!((reply.xid, reply.err), (xid, 0));
        }
    }
    assert!(ensemble.metric(1, "request_throttle_wait_count") > 0);
    assert_eq!(ensemble.metric(1, "throttled_ops"), 0);
    assert_eq!(open(&ensemble).call(&Ask::get_children("/", false)).children().len(), 11);
}

#[test]
fn requests_that_have_waited_for_too_long_are_refused_in_turn() {
    let lines = [
        "request_throttle_max_requests=1",
        "request_throttle_stall_time=20",
        "zookeeper.throttled_op_wait_time=1",
        "corral.syncDelayMs=300",
    ];
    let Some(ensemble) = alone(&lines) else { return };
    let mut client = open(&ensemble);
    let asks = [
        create("/done", 1),
        create("/refused", 1),
        Ask::exists("/done", true),
        Ask::sync("/"),
        Ask::ping(),
        Ask::auth("ip", b""),
    ];
    send_at_once(&mut client, &asks);
    let errors: Vec<i32> = (0..asks.len()).map(|_| client.reply().err).collect();
    assert_eq!(errors, [0, THROTTLED, THROTTLED, THROTTLED, 0, 0]);
    assert_eq!(client.call(&Ask::exists("/done", false)).err, 0);
    assert_eq!(client.call(&Ask::exists("/refused", false)).err, NO_NODE);
    assert_eq!(ensemble.metric(1, "throttled_ops"), 3);
    assert_eq!(client.call(&Ask::close_session()).err, 0);
}

#[test]
fn requests_that_have_outlived_their_client() {
    let lines = [
        "request_throttle_max_requests=1",
        "request_throttle_stall_time=20",
        "request_stale_latency_check=true",
        "corral.syncDelayMs=2500",
    ];
    let Some(ensemble) = alone(&lines) else { return };
    let (mut client, welcome) = Connection::open(ensemble.address(1), 2_000);
    assert_eq!(welcome.timeout_ms, 2_000);
    send_at_once(&mut client, &[create("/first", 1), create("/stale", 1), create("/behind", 1)]);
    // It lives, and says so; or its connection would be closed for its silence. Whatever is answered before, it is closed,
    // and what waited is not done.
    loop {
        match client.receive_within(Duration::from_millis(200)) {
            Err(error) if error.kind() != ErrorKind::TimedOut => break,
            _ if client.send(&Ask::ping()).is_err() => break,
            _ => {}
        }
    }
    assert!(ensemble.metric(1, "stale_requests") > 0);
    // With the pings behind them.
    assert!(ensemble.metric(1, "stale_requests_dropped") >= 2);
    let mut other = open(&ensemble);
    for path in ["/stale", "/behind"] {
        assert_eq!(other.call(&Ask::exists(path, false)).err, NO_NODE, "{path}");
    }
}

#[test]
fn large_requests_all_together() {
    let lines = ["largeRequestThreshold=1000", "largeRequestMaxBytes=5000", "corral.syncDelayMs=500"];
    let Some(ensemble) = alone(&lines) else { return };
    let mut small = open(&ensemble);
    let asks: Vec<Ask> = (0..10).map(|number| create(&format!("/small-{number}"), 800)).collect();
    send_at_once(&mut small, &asks);
    assert!((0..10).all(|_| small.reply().err == 0), "what is not large does not count");

    let mut greedy = open(&ensemble);
    // Its length is enough.
    greedy.write(&5_001_u32.to_be_bytes()).unwrap();
    greedy.expect_hang_up();
    assert_eq!(ensemble.metric(1, "large_requests_rejected"), 1);

    let (mut one, mut other) = (open(&ensemble), open(&ensemble));
    send_at_once(&mut one, &[create("/large-1", 2_000), create("/large-2", 2_000)]);
    wait::until("two large requests had come", || {
        (ensemble.metric(1, "outstanding_requests") >= 2).then_some(())
    });
    send_at_once(&mut other, &[create("/large-3", 2_000)]);
    other.expect_hang_up();
    assert_eq!([one.reply().err, one.reply().err], [0, 0]);
    assert_eq!(ensemble.metric(1, "large_requests_rejected"), 2);
    // What was answered, and what was turned away, is given back.
    for number in 4..10 {
        assert_eq!(open(&ensemble).call(&create(&format!("/large-{number}"), 4_000)).err, 0);
    }
}

#[test]
fn answers_that_few_clients_take() {
    let Some(ensemble) = alone(&["jute.maxbuffer=4096"]) else { return };
    let mut client = open(&ensemble);
    assert_eq!(client.call(&create("/parent", 1)).err, 0);
    for number in 0..100 {
        assert_eq!(client.call(&create(&format!("/parent/{number:060}"), 1)).err, 0);
    }
    assert_eq!(ensemble.metric(1, "corral_large_replies"), 0);
    // It is not cut off: whoever set a larger bound takes it.
    assert_eq!(client.call(&Ask::get_children("/parent", false)).children().len(), 100);
    assert_eq!(ensemble.metric(1, "corral_large_replies"), 1);
    wait::until("the log told of it", || {
        ensemble.log(1).contains("larger than jute.maxbuffer").then_some(())
    });
}

#[test]
fn connections_over_which_nobody_greets() {
    let Some(ensemble) = alone(&[]) else { return };
    let mut silent = Connection::dial(ensemble.address(1)).unwrap().into_stream();
    let mut halting = Connection::dial(ensemble.address(1)).unwrap().into_stream();
    halting.write_all(&[0, 0, 0, 45, 0]).unwrap();
    for stream in [&mut silent, &mut halting] {
        stream.set_read_timeout(Some(wait::PATIENCE)).unwrap();
        let mut said = Vec::new();
        std::io::Read::read_to_end(stream, &mut said).unwrap();
        assert_eq!(said, b"");
    }
    assert_eq!(ensemble.metric(1, "sessionless_connections_expired"), 2);
}

#[test]
fn flags_for_java_and_keys_that_nobody_knows() {
    let Some(ensemble) = alone(&["foo=bar", "tickTmie=2000"]) else { return };
    let log = ensemble.log(1);
    assert!(log.contains("foo") && log.contains("did you mean `tickTime`?"), "{log}");
}
