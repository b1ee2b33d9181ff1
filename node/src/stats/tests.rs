//! What connections count, and what is told of it.
use proto::{OpCode, SessionId, Xid, Zxid};

use super::*;

fn address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 4_711))
}

fn answer(traffic: &mut Traffic, xid: i32, op: OpCode, millis: u64) {
    let now = Instant::now();
    let request = Request { arrived: now, op: op as i32 };
    traffic.answered(Xid::new(xid), request, Zxid::new(7), now + Duration::from_millis(millis));
}

fn reading(stats: &Stats, name: &str) -> Value {
    stats.readings().into_iter().find(|reading| reading.name == name).expect("a reading").value
}

fn keyed(stats: &Stats, name: &str) -> Vec<(String, u64, u64)> {
    let Value::Keyed { spreads, .. } = reading(stats, name) else { panic!("{name} has no keys") };
    spreads.into_iter().map(|(key, spread)| (key, spread.count, spread.sum)).collect()
}

#[test]
fn what_is_told_adds_up_and_outlives_the_connection() {
    let stats = Arc::new(Stats::new());
    assert_eq!(stats.took().max, Duration::ZERO);
    let mut traffic = stats.enter(address(), 0);
    traffic.received(40);
    traffic.received(30);
    traffic.replied(Xid::new(1), 104);
    traffic.replied(Xid::PING, 20);
    answer(&mut traffic, 1, OpCode::GetData, 1);
    answer(&mut traffic, 2, OpCode::SetData, 3);
    assert_eq!(stats.packets(), (0, 0), "nothing was told yet");
    traffic.tell(1);
    traffic.tell(1);
    assert_eq!((stats.packets(), stats.outstanding()), ((2, 2), 1));
    assert_eq!(reading(&stats, "bytes_received_count"), Value::Count(78));
    assert_eq!(reading(&stats, "response_bytes"), Value::Count(100));
    let [line] = stats.connections()[..] else { panic!("one connection") };
    assert_eq!((line.address, line.queued, line.received, line.sent), (address(), 1, 2, 2));
    traffic.notified(2, 80);
    drop(traffic);
    assert_eq!((stats.packets(), stats.connections().len(), stats.outstanding()), ((2, 4), 0, 0));
    assert_eq!(reading(&stats, "watch_bytes"), Value::Count(72));
    let took = stats.took();
    assert_eq!((took.min, took.max), (Duration::from_millis(1), Duration::from_millis(3)));
    assert!((took.average_ms - 2.0).abs() < 1e-9);
    for (name, micros) in [("readlatency", 1_000), ("updatelatency", 3_000)] {
        let Value::Summary { spread: (spread, quantiles), .. } = reading(&stats, name) else {
            panic!("{name}")
        };
        assert_eq!((spread.count, spread.sum, quantiles.p50), (1, micros, micros), "{name}");
    }
    stats.reset();
    assert_eq!((stats.packets(), stats.took().max), ((0, 0), Duration::ZERO));
}

#[test]
fn a_connection_tells_what_its_session_did_last() {
    let stats = Arc::new(Stats::new());
    let mut traffic = stats.enter(address(), 1_234);
    let line = || stats.connections()[0];
    assert_eq!((line().session, line().established_ms), (None, 1_234));
    traffic.settled(SessionId::from_wire(0x17), 4_000, Some((Duration::from_millis(2), Zxid::new(3))));
    let session = line().session.expect("a session");
    assert_eq!((session.id, session.timeout_ms), (SessionId::from_wire(0x17), 4_000));
    assert_eq!(
        (session.last_op, session.last_cxid, session.last_zxid),
        ("SESS", Some(0), Some(Zxid::new(3)))
    );
    assert_eq!(session.latency_ms, [2, 2, 2, 2]);
    answer(&mut traffic, 5, OpCode::Create, 10);
    // What a library numbers for itself is not the client's.
    answer(&mut traffic, -2, OpCode::Ping, 0);
    // Of credentials nothing is told.
    answer(&mut traffic, -4, OpCode::Auth, 500);
    traffic.tell(0);
    let session = line().session.expect("a session");
    assert_eq!(
        (session.last_op, session.last_cxid, session.last_zxid),
        ("PING", Some(5), Some(Zxid::new(7)))
    );
    assert_eq!(session.latency_ms, [0, 0, 4, 10]);
    stats.reset_connections();
    let session = line().session.expect("a session");
    assert_eq!((session.last_op, session.last_cxid, session.last_zxid), ("NA", None, None));
    assert_eq!((session.latency_ms, line().received), ([0; 4], 0));
}

#[test]
fn reads_are_counted_by_the_top_level_znode() {
    let stats = Arc::new(Stats::new());
    let mut traffic = stats.enter(address(), 0);
    for (path, data) in [("/a/b", 100), ("/a", 10), ("/b", 0), ("/a", 1), ("/", 5)] {
        traffic.received(10);
        traffic.read(path, data);
    }
    traffic.tell(0);
    let expected = [("a".to_owned(), 3, 4 + 2 + 2 + 111 + 3 * 68), ("b".to_owned(), 1, 2 + 68)];
    assert_eq!(keyed(&stats, "read_per_namespace"), expected);
    stats.namespaces().wrote("/b/c", 6);
    assert_eq!(keyed(&stats, "write_per_namespace"), [("b".to_owned(), 1, 10)]);
    stats.reset();
    assert_eq!((keyed(&stats, "read_per_namespace"), keyed(&stats, "write_per_namespace")), (vec![], vec![]));
}

#[test]
fn many_requests_that_took_the_same_are_one_run() {
    let stats = Arc::new(Stats::new());
    let mut traffic = stats.enter(address(), 0);
    let now = Instant::now();
    for xid in 1..=64 {
        traffic.answered(
            Xid::new(xid),
            Request { arrived: now, op: OpCode::GetData as i32 },
            Zxid::new(1),
            now,
        );
    }
    assert_eq!(traffic.tally.runs.len(), 1);
    traffic.tell(0);
    let Value::Summary { spread: (spread, _), .. } = reading(&stats, "readlatency") else { panic!() };
    assert_eq!(spread.count, 64);
}
