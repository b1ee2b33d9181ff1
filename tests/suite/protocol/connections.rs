//! Greetings, frames, and replies in their order.

use bytes::Bytes;
use harness::ask::flags::{PERSISTENT, SEQUENTIAL};
use harness::connection::Greeting;
use harness::{Ask, Connection, Ensemble};
use proto::jute::write::Writer;

use crate::{TIMEOUT_MS, alone, is_apache, make, open};

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
    // Operations of other servers, and a check outside a multi.
    for op in [71, 500, 507, 13, 9_999] {
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
