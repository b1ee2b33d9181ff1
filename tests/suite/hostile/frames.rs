//! Frames that are not what they say they are.

use std::io::Write;

use bytes::{BufMut, BytesMut};
use harness::connection::Greeting;
use harness::{Ask, Plan};

use crate::victim::{Victim, framed, greeting, is_apache, read_to_end};

/// The largest frame, by default: `jute.maxbuffer`.
const FRAME_BYTES_MAX: usize = 0xf_ffff;

/// First bytes after which nobody can say where the next frame begins.
const FATAL: [(&str, &[u8]); 12] = [
    ("of length -1", &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]),
    ("of length -2", &[0xff, 0xff, 0xff, 0xfe, 0, 0, 0, 0]),
    ("of the most negative length", &[0x80, 0, 0, 0, 0, 0, 0, 0]),
    ("of the greatest length", &[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]),
    ("one byte above jute.maxbuffer", &[0, 0x10, 0, 0, 0, 0, 0, 0]),
    ("empty", &[0, 0, 0, 0]),
    ("of one byte", &[0, 0, 0, 1, 7]),
    ("of three bytes", &[0, 0, 0, 3, 1, 2, 3]),
    ("of four bytes, which hold a number and no operation", &[0, 0, 0, 4, 0, 0, 0, 1]),
    ("of seven bytes", &[0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0]),
    ("that is an HTTP request", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    ("that is a TLS hello", &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03, 0x00]),
];

#[test]
fn a_frame_that_cannot_be_ends_a_session_without_a_word() {
    let mut victim = Victim::alone();
    for (what, bytes) in FATAL {
        let mut attacker = victim.attacker();
        attacker.write(bytes).unwrap_or_else(|error| panic!("send a frame {what}: {error}"));
        attacker.expect_hang_up();
        victim.stands(what);
    }
}

#[test]
fn a_frame_that_cannot_be_ends_a_greeting_without_a_word() {
    let mut victim = Victim::alone();
    for (what, bytes) in FATAL {
        let mut stranger = victim.stranger();
        stranger.write_all(bytes).unwrap_or_else(|error| panic!("send a frame {what}: {error}"));
        assert_eq!(read_to_end(&mut stranger, what), b"", "a greeting {what}");
        victim.stands(what);
    }
}

#[test]
fn a_whole_life_comes_one_byte_at_a_time() {
    let mut victim = Victim::alone();
    let mut slow = harness::Connection::dial(victim.address()).unwrap();
    let mut bytes = greeting(&Greeting::new(30_000));
    bytes.put_slice(&framed(1, &Ask::create("/slow", b"byte by byte", 0)));
    bytes.put_slice(&framed(2, &Ask::get_data("/slow", true)));
    bytes.put_slice(&framed(3, &Ask::close_session()));
    for byte in bytes {
        slow.write(&[byte]).unwrap();
    }
    // The welcome reads like a reply whose number is the protocol's version.
    assert_eq!(slow.reply().xid, 0);
    assert_eq!(slow.reply().path(), "/slow");
    assert_eq!(&slow.reply().data().0.unwrap()[..], b"byte by byte");
    assert_eq!((slow.reply().xid, slow.receive().is_err()), (3, true));
    victim.stands("a client that says one byte at a time");
}

#[test]
fn frames_that_never_end_hold_nobody_up() {
    let mut victim = Victim::alone();
    let greeting = greeting(&Greeting::new(30_000));
    let request = framed(1, &Ask::create("/never", &[7; 100], 0));
    let mut held = Vec::new();
    // Every place at which a frame may stop, in a greeting and in a request; all of them stay open.
    for end in 1..greeting.len() {
        let mut stranger = victim.stranger();
        stranger.write_all(&greeting[..end]).unwrap();
        held.push(stranger);
    }
    for end in 1..request.len() {
        let mut attacker = victim.attacker();
        attacker.write(&request[..end]).unwrap();
        held.push(attacker.into_stream());
    }
    victim.stands("half frames");
    drop(held);
    let mut other = victim.attacker();
    assert_eq!(other.call(&Ask::exists("/never", false)).err, -101);
    victim.stands("half frames whose clients have gone");
}

#[test]
fn promises_of_large_frames_cost_no_memory() {
    if is_apache() {
        return; // It takes what is promised, and runs out of memory.
    }
    let mut victim = Victim::alone();
    let prefix = u32::try_from(FRAME_BYTES_MAX).unwrap().to_be_bytes();
    // A gigabyte is promised, and four bytes of each are sent.
    let held: Vec<_> = (0..1_000)
        .map(|_| {
            let mut stranger = victim.stranger();
            stranger.write_all(&prefix).unwrap();
            stranger
        })
        .collect();
    victim.stands_and_is_small("a thousand promises of a frame");
    drop(held);
}

#[test]
fn jute_maxbuffer_is_kept_to_the_byte() {
    let mut victim = Victim::alone();
    for (bytes, passes) in [(FRAME_BYTES_MAX, true), (FRAME_BYTES_MAX + 1, false)] {
        let mut attacker = victim.attacker();
        let mut frame = BytesMut::new();
        frame.put_u32(u32::try_from(bytes).unwrap());
        // A ping that has much behind it.
        frame.put_i32(-2);
        frame.put_i32(11);
        frame.resize(4 + bytes, 7);
        // The member may hang up before it has been told everything.
        let _ = attacker.write(&frame);
        match passes {
            true => assert_eq!(attacker.reply().xid, -2),
            false => attacker.expect_hang_up(),
        }
        victim.stands("a frame at the bound");
    }
}

#[test]
fn jute_maxbuffer_of_the_configuration_is_kept_to_the_byte() {
    if is_apache() {
        return; // A system property there.
    }
    let mut victim = Victim::of(&Plan::members(1).line("jute.maxbuffer=4096"));
    for (data, passes) in [(4_000, true), (4_096, false)] {
        let mut attacker = victim.attacker();
        let path = format!("/data-{data}");
        let _ = attacker.write(&framed(1, &Ask::create(&path, &vec![7; data], 0)));
        match passes {
            true => assert_eq!(attacker.reply().err, 0),
            false => attacker.expect_hang_up(),
        }
        victim.stands("a frame at a bound of the operator's");
    }
}
