//! Too much of what would be fine.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use bytes::BytesMut;
use harness::ask::flags::PERSISTENT;
use harness::connection::Greeting;
use harness::{Ask, Connection, Packet, wait};
use proto::jute::write::Writer;

use crate::victim::{Victim, framed, greeting, read_to_end};

#[test]
fn thousands_of_requests_whose_answers_nobody_reads() {
    let mut victim = Victim::alone();
    let mut attacker = victim.attacker();
    assert_eq!(attacker.call(&Ask::create("/large", &vec![7; 500_000], PERSISTENT)).err, 0);
    // Ten gigabytes of answers are asked for. The member stops to listen long before they are made.
    let mut floods = Vec::new();
    for _ in 0..4 {
        let mut flood = victim.attacker().into_stream();
        flood.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
        let request = framed(7, &Ask::get_data("/large", true));
        for _ in 0..5_000 {
            if flood.write_all(&request).is_err() {
                break;
            }
        }
        floods.push(flood);
    }
    victim.stands_and_is_small("four clients that read nothing");
    for flood in &mut floods {
        // They have their answers as soon as they want them.
        let mut some = vec![0; 2 << 20];
        flood.read_exact(&mut some).unwrap();
    }
    drop(floods);
    victim.stands_and_is_small("four clients that have read nothing and gone");
}

#[test]
fn thousands_of_writes_in_one_piece_are_answered_in_order() {
    let mut victim = Victim::alone();
    let mut attacker = victim.attacker();
    assert_eq!(attacker.call(&Ask::create("/many", b"", PERSISTENT)).err, 0);
    let mut all = BytesMut::new();
    for number in 0..20_000 {
        let ask = match number % 4 {
            0 => Ask::set_data("/many", b"x", -1),
            1 => Ask::get_data("/many", false),
            2 => Ask::create("/many/child", b"", 2),
            _ => Ask::sync("/"),
        };
        all.extend_from_slice(&framed(number, &ask));
    }
    let mut writing = attacker.into_stream();
    let mut reading = writing.try_clone().unwrap();
    let writer = std::thread::spawn(move || writing.write_all(&all).map(|()| writing));
    reading.set_read_timeout(Some(wait::PATIENCE)).unwrap();
    for expected in 0..20_000 {
        let mut prefix = [0; 4];
        reading.read_exact(&mut prefix).unwrap();
        let mut frame = vec![0; u32::from_be_bytes(prefix) as usize];
        reading.read_exact(&mut frame).unwrap();
        assert_eq!(i32::from_be_bytes(frame[..4].try_into().unwrap()), expected);
        assert_eq!(frame[12..16], [0; 4], "answer {expected}");
        // The others are served meanwhile.
        if expected % 500 == 0 {
            victim.stands("some of twenty thousand requests in one piece");
        }
    }
    drop(writer.join().unwrap().unwrap());
    victim.stands_and_is_small("twenty thousand requests in one piece");
}

#[test]
fn clients_that_close_one_half() {
    let mut victim = Victim::alone();
    for (what, bytes) in [
        ("nothing", BytesMut::new()),
        ("half a greeting", BytesMut::from(&greeting(&Greeting::new(30_000))[..20])),
        ("a greeting", greeting(&Greeting::new(30_000))),
        ("a greeting and requests", {
            let mut bytes = greeting(&Greeting::new(30_000));
            (0..500).for_each(|xid| bytes.extend_from_slice(&framed(xid, &Ask::exists("/", true))));
            bytes
        }),
    ] {
        let mut stranger = victim.stranger();
        stranger.write_all(&bytes).unwrap();
        stranger.shutdown(Shutdown::Write).unwrap();
        // The member hangs up: what a client does not say, it will not say later.
        let _answers = read_to_end(&mut stranger, what);
        victim.stands(what);

        let mut stranger = victim.stranger();
        stranger.shutdown(Shutdown::Read).unwrap();
        stranger.write_all(&bytes).unwrap();
        victim.stands(what);
        drop(stranger);
        victim.stands(what);
    }
}

#[test]
fn two_thousand_clients_that_vanish() {
    let mut victim = Victim::alone();
    let hello = greeting(&Greeting::new(1_000));
    for number in 0..2_000 {
        let mut stranger = victim.stranger();
        match number % 5 {
            0 => {}
            1 => stranger.write_all(&hello[..number % hello.len()]).unwrap(),
            2 => stranger.write_all(&hello).unwrap(),
            3 => {
                // It leaves its answers unread, which resets the connection.
                stranger.write_all(&hello).unwrap();
                for xid in 0..10 {
                    stranger.write_all(&framed(xid, &Ask::create("/vanished-", &[7; 100], 3))).unwrap();
                }
            }
            _ => {
                stranger.write_all(&hello).unwrap();
                let mut answer = [0; 41];
                stranger.read_exact(&mut answer).unwrap();
                stranger.write_all(&framed(1, &Ask::exists("/witness", true))).unwrap();
            }
        }
        drop(stranger);
        if number % 250 == 249 {
            victim.stands("clients that vanish");
        }
    }
    victim.stands_and_is_small("two thousand clients that vanish");
    // Their sessions end, and what they have made goes with them.
    let mut other = victim.attacker();
    wait::until("the ephemerals of those who vanished were gone", || {
        let left = other.call(&Ask::get_children("/", false)).children();
        (!left.iter().any(|name| name.starts_with("vanished-"))).then_some(())
    });
    wait::until("nobody but the witness was connected", || {
        let answer = victim
            .ensemble
            .four_letter(1, "cons")
            .or_else(|_| victim.ensemble.four_letter(1, "stat"))
            .ok()?;
        (answer.lines().filter(|line| line.starts_with(" /")).count() <= 3).then_some(())
    });
    victim.stands("two thousand clients whose sessions have ended");
}

#[test]
fn lists_of_very_many_watches() {
    let mut victim = Victim::alone();
    let mut attacker = victim.attacker();
    let paths: Vec<String> = (0..100_000).map(|number| format!("/absent/{number}")).collect();
    for piece in paths.chunks(10_000) {
        let piece: Vec<&str> = piece.iter().map(String::as_str).collect();
        assert_eq!(attacker.call(&Ask::set_watches2(0, [&[], &piece, &[], &piece, &piece])).err, 0);
    }
    victim.stands("three hundred thousand watches");
    assert_eq!(attacker.call(&Ask::create("/absent", b"", PERSISTENT)).err, 0);
    assert_eq!(attacker.call(&Ask::ping()).err, 0);
    attacker.send(&Ask::create("/absent/77", b"", PERSISTENT)).unwrap();
    let mut events = Vec::new();
    while let Packet::Event { kind, path, .. } = attacker.receive().unwrap() {
        events.push((kind, path));
    }
    // Its one-shot watch, its persistent one and its recursive one are told the same once.
    assert_eq!(events, [(1, "/absent/77".to_owned())]);
    // What was made since is told at once, as often as it is asked.
    let there = vec!["/absent/77"; 30_000];
    let xid = attacker.send(&Ask::set_watches(0, [&[], &there, &[]])).unwrap();
    loop {
        match attacker.receive().unwrap() {
            Packet::Event { kind, path, .. } => assert_eq!((kind, path.as_str()), (1, "/absent/77")),
            Packet::Reply(reply) => {
                assert_eq!((reply.xid, reply.err), (xid, 0));
                break;
            }
        }
    }
    attacker.hang_up();
    victim.stands_and_is_small("very many watches that have gone");
}

#[test]
fn the_same_watch_a_hundred_thousand_times() {
    let mut victim = Victim::alone();
    let mut attacker = victim.attacker();
    let same = vec!["/same"; 30_000];
    for _ in 0..4 {
        assert_eq!(attacker.call(&Ask::set_watches2(0, [&[], &same, &[], &same, &same])).err, 0);
    }
    attacker.send(&Ask::create("/same", b"", PERSISTENT)).unwrap();
    assert_eq!(attacker.event(), (1, "/same".to_owned()));
    assert_eq!(attacker.reply().err, 0);
    victim.stands_and_is_small("one watch, a hundred thousand times");
}

#[test]
fn sessions_that_are_opened_and_left() {
    let mut victim = Victim::alone();
    let mut left = Vec::new();
    for _ in 0..1_000 {
        let (connection, welcome) = Connection::open(victim.address(), 60_000);
        drop(connection);
        left.push(welcome);
    }
    victim.stands_and_is_small("a thousand sessions that were left");
    // They live, and may be taken up again.
    for welcome in left.iter().step_by(100) {
        let (mut again, _) = Connection::greeted(victim.address(), &Greeting::again(welcome, 0));
        assert_eq!(again.call(&Ask::close_session()).err, 0);
    }
    victim.stands("sessions that were taken up again");
}

#[test]
fn requests_behind_a_close_are_not_done() {
    let mut victim = Victim::alone();
    let mut attacker = victim.attacker();
    let mut all = framed(1, &Ask::close_session());
    for xid in 2..2_000 {
        all.extend_from_slice(&framed(xid, &Ask::create(&format!("/behind-{xid}"), b"", PERSISTENT)));
    }
    let mut half = BytesMut::new();
    half.int(1 << 19);
    all.extend_from_slice(&half);
    attacker.write(&all).unwrap();
    assert_eq!(attacker.reply().xid, 1);
    attacker.expect_hang_up();
    let mut other = victim.attacker();
    let children = other.call(&Ask::get_children("/", false)).children();
    assert!(!children.iter().any(|name| name.starts_with("behind-")), "{children:?}");
    victim.stands("requests behind a close");
}
