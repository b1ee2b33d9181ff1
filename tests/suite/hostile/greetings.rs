//! Greetings that no client library sends.

use std::io::Write;

use bytes::{BufMut, BytesMut};
use harness::connection::Greeting;
use harness::{Ask, Connection, Welcome};
use proto::jute::write::Writer;

use crate::victim::{Victim, greeting_record, in_frame, is_apache, read_to_end};

/// What a member says to this in a frame, and then hangs up; it must not say anything.
#[track_caller]
fn check_nothing(victim: &Victim, what: &str, record: &[u8]) {
    let mut stranger = victim.stranger();
    stranger.write_all(&in_frame(record)).unwrap();
    assert_eq!(read_to_end(&mut stranger, what), b"", "{what}");
}

/// What a member answers to this in a frame.
#[track_caller]
fn welcome(victim: &Victim, what: &str, record: &[u8]) -> Welcome {
    let mut connection = Connection::dial(victim.address()).unwrap();
    connection.greet_with(&in_frame(record)).unwrap_or_else(|error| panic!("{what}: {error}"))
}

#[test]
fn greetings_of_every_length() {
    let mut victim = Victim::alone();
    let whole = greeting_record(&Greeting::new(30_000));
    assert_eq!(whole.len(), 45);
    for length in 0..=96 {
        let mut record = whole.clone();
        record.resize(length, 0);
        let what = format!("a greeting of {length} bytes");
        if length < 44 {
            check_nothing(&victim, &what, &record);
        } else {
            let welcome = welcome(&victim, &what, &record);
            let form = if length == 44 { (36, None) } else { (37, Some(false)) };
            assert_eq!((welcome.bytes, welcome.read_only), form, "{what}");
            assert_eq!((welcome.timeout_ms, welcome.session > 0), (30_000, true), "{what}");
        }
        victim.stands(&what);
    }
}

#[test]
fn passwords_of_every_kind() {
    let mut victim = Victim::alone();
    let (mut owner, session) = Connection::open(victim.address(), 30_000);
    let long = vec![7; 900_000];
    let short_of_one = &session.password[..15];
    let and_one = [&session.password[..], &[0]].concat();
    let passwords: [(&str, Option<&[u8]>); 8] = [
        ("null", None),
        ("empty", Some(&[])),
        ("of one byte", Some(&[0])),
        ("of zeros", Some(&[0; 16])),
        ("that is wrong", Some(&[0xff; 16])),
        ("short of one byte", Some(short_of_one)),
        ("with a byte too many", Some(&and_one)),
        ("of 900,000 bytes", Some(&long)),
    ];
    for (what, password) in passwords {
        // ZooKeeper hangs up on the owner of a session before it looks at the password.
        let theirs = if is_apache() { session.session + 0x1_0000 } else { session.session };
        for (id, opens) in [(0, true), (theirs, false), (-1, false), (i64::MIN, false), (i64::MAX, false)] {
            let mut record = BytesMut::new();
            record.int(0);
            record.long(0);
            record.int(30_000);
            record.long(id);
            record.buffer(password);
            record.boolean(false);
            let what = format!("password {what}, session {id:#x}");
            let welcome = welcome(&victim, &what, &record);
            assert_eq!(welcome.session != 0, opens, "{what}");
            assert_eq!(welcome.timeout_ms != 0, opens, "{what}");
            assert_eq!(welcome.password.len(), 16, "{what}");
            assert_eq!(welcome.password == [0; 16], !opens, "{what}");
        }
        assert_eq!(owner.call(&Ask::ping()).err, 0, "the owner behind a password {what}");
        victim.stands(what);
    }
}

#[test]
fn passwords_whose_length_cannot_be() {
    let mut victim = Victim::alone();
    for length in [-2, i32::MIN, i32::MAX, 17, 1 << 20] {
        let mut record = BytesMut::new();
        record.int(0);
        record.long(0);
        record.int(30_000);
        record.long(0);
        record.int(length);
        record.put_slice(&[0; 16]);
        let what = format!("a password that says it has {length} bytes");
        check_nothing(&victim, &what, &record);
        victim.stands(&what);
    }
}

#[test]
fn numbers_of_every_size() {
    let mut victim = Victim::alone();
    let numbers = [i64::MIN, i64::from(i32::MIN), -2, -1, 0, 1];
    for number in numbers {
        for protocol in [i32::MIN, -1, 0, 1, i32::MAX] {
            let mut record = BytesMut::new();
            record.int(protocol);
            record.long(number);
            record.int(i32::try_from(number).unwrap_or(i32::MIN));
            record.long(0);
            record.buffer(Some(&[0; 16]));
            record.put_u8(0xff);
            let what = format!("version {protocol}, seen {number}, timeout {number}");
            let welcome = welcome(&victim, &what, &record);
            assert_eq!((welcome.protocol_version, welcome.timeout_ms), (0, 1_000), "{what}");
            assert_eq!(welcome.read_only, Some(false), "{what}");
        }
    }
    victim.stands("greetings with strange numbers");
}

#[test]
fn who_greets_twice_has_said_an_operation_that_nobody_knows() {
    let mut victim = Victim::alone();
    let mut attacker = victim.attacker();
    // Read as a request: the number is the protocol's version, the operation the first half of the zxid.
    let again = greeting_record(&Greeting { last_zxid: 0x7777_0000_0000, ..Greeting::new(30_000) });
    attacker.write(&in_frame(&again)).unwrap();
    let reply = attacker.reply();
    assert_eq!((reply.xid, reply.err), (0, -6));
    victim.stands("a second greeting");
}

#[test]
fn a_stolen_number_of_a_session_opens_nothing_and_disturbs_nobody() {
    let mut victim = Victim::alone();
    if is_apache() {
        return; // ZooKeeper hangs up on the owner before it looks at the password.
    }
    let (mut owner, session) = Connection::open(victim.address(), 30_000);
    assert_eq!(owner.call(&Ask::create("/owned", b"", 1)).err, 0);
    assert_eq!(owner.call(&Ask::get_data("/owned", true)).err, 0);
    for round in 0..200_u8 {
        let greeting = Greeting { password: vec![round; 16], ..Greeting::again(&session, 0) };
        let (mut thief, answer) = Connection::greeted(victim.address(), &greeting);
        assert_eq!((answer.session, answer.timeout_ms, answer.password), (0, 0, vec![0; 16]));
        thief.expect_hang_up();
    }
    victim.stands("two hundred thieves");
    // Its watch is where it was, and its ephemeral too.
    let mut other = victim.attacker();
    assert_eq!(other.call(&Ask::delete("/owned")).err, 0);
    assert_eq!(owner.event(), (2, "/owned".to_owned()));
}
