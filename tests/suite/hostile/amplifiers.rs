//! Small requests that ask for very much.

use std::io::Write;
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use harness::ask::flags::PERSISTENT;
use harness::connection::Greeting;
use harness::{Ask, Connection};
use proto::jute::write::Writer;

use crate::victim::{GROWTH_MAX, Victim, framed, is_apache, refused};

const MALFORMED: i32 = -5;
const INVALID_ACL: i32 = -114;

/// What RocksDB may keep of what is written, in bytes: four buffers of 64 MiB.
const BUFFERS: u64 = 256 << 20;

fn multi_read(op: i32, path: &str, times: usize) -> Ask {
    Ask::raw(22, |out| {
        for _ in 0..times {
            out.int(op);
            out.boolean(false);
            out.int(-1);
            out.text(path);
            out.boolean(false);
        }
        out.int(-1);
        out.boolean(true);
        out.int(-1);
    })
}

#[test]
fn a_frame_of_reads_that_comes_to_fifty_gigabytes() {
    let mut victim = Victim::alone();
    if is_apache() {
        return; // It runs out of memory.
    }
    let mut attacker = victim.attacker();
    assert_eq!(attacker.call(&Ask::create("/l", &vec![7; 1_000_000], PERSISTENT)).err, 0);
    assert_eq!(attacker.call(&Ask::create("/p", b"", PERSISTENT)).err, 0);
    let children: Vec<Ask> =
        (0..1_000).map(|n| Ask::create(&format!("/p/{n:0100}"), b"", PERSISTENT)).collect();
    assert_eq!(attacker.call(&Ask::multi(&children)).err, 0);
    for (op, path) in [(4, "/l"), (8, "/p")] {
        for _ in 0..5 {
            let reply = attacker.call(&multi_read(op, path, 50_000));
            assert_eq!(refused(&reply), MALFORMED, "a multiRead of operation {op}");
        }
        // What is within the bound is answered in full.
        let reply = attacker.call(&multi_read(op, path, 20));
        assert_eq!(reply.err, 0, "a multiRead of operation {op}");
        assert!(reply.body.len() > 20 * 100_000, "{}", reply.body.len());
    }
    victim.stands_and_is_small("reads that come to fifty gigabytes");
}

#[test]
fn a_large_parent_of_many_children() {
    let mut victim = Victim::alone();
    // Every child that comes or goes writes its parent to the state on disk: a gigabyte.
    let mut attacker = victim.attacker();
    assert_eq!(attacker.call(&Ask::create("/l", &vec![7; 1_000_000], PERSISTENT)).err, 0);
    for n in 0..500 {
        attacker.send(&Ask::create(&format!("/l/{n}"), b"", PERSISTENT)).unwrap();
    }
    (0..500).for_each(|_| assert_eq!(attacker.reply().err, 0));
    for n in 0..500 {
        attacker.send(&Ask::delete(&format!("/l/{n}"))).unwrap();
    }
    (0..500).for_each(|_| assert_eq!(attacker.reply().err, 0));
    victim.stands_and_has_grown_by_at_most(GROWTH_MAX + BUFFERS, "children of a large parent");
}

#[test]
fn listings_of_a_large_parent_that_nobody_reads() {
    let mut victim = Victim::alone();
    let mut attacker = victim.attacker();
    assert_eq!(attacker.call(&Ask::create("/p", b"", PERSISTENT)).err, 0);
    for piece in 0..20 {
        let creates: Vec<Ask> =
            (0..1_000).map(|n| Ask::create(&format!("/p/{piece}-{n}"), b"", PERSISTENT)).collect();
        assert_eq!(attacker.call(&Ask::multi(&creates)).err, 0);
    }
    // Each answer lists 20,000 children; 8,000 of them are asked for.
    let mut floods = Vec::new();
    for _ in 0..8 {
        let mut flood = victim.attacker().into_stream();
        flood.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
        let mut all = BytesMut::new();
        (0..1_000).for_each(|xid| all.put_slice(&framed(xid, &Ask::get_children("/p", false))));
        let _ = flood.write_all(&all);
        floods.push(flood);
    }
    victim.stands_and_is_small("listings that nobody reads");
    drop(floods);
    victim.stands_and_is_small("listings that nobody has read");
}

#[test]
fn credentials_without_end() {
    let mut victim = Victim::alone();
    // Each write carries who its client is. What was proved at length would be written to the log every time.
    let mut attacker = victim.attacker();
    assert_eq!(attacker.call(&Ask::create("/open", b"", PERSISTENT)).err, 0);
    let long = |n: usize| [format!("{n}").into_bytes(), vec![b'u'; 900_000], b":password".to_vec()].concat();
    let mut taken = 0;
    for n in 0..100 {
        let Ok(-4) = attacker.send(&Ask::auth("digest", &long(n))) else { break };
        match attacker.receive() {
            Ok(harness::Packet::Reply(reply)) if reply.err == 0 => taken += 1,
            _ => break,
        }
    }
    if !is_apache() {
        assert_eq!(taken, 0, "credentials of a megabyte prove nothing");
    }
    let mut attacker = victim.attacker();
    let mut proved = 0;
    for n in 0..10_000 {
        let Ok(-4) = attacker.send(&Ask::auth("digest", format!("user{n}:password").as_bytes())) else {
            break;
        };
        match attacker.receive() {
            Ok(harness::Packet::Reply(reply)) if reply.err == 0 => proved += 1,
            _ => break,
        }
    }
    assert!(proved >= 100, "a hundred identities are more than anybody has, and only {proved} were taken");
    victim.stands_and_is_small("credentials without end");
}

#[test]
fn who_has_many_names_and_a_list_that_means_all_of_them() {
    let mut victim = Victim::alone();
    if is_apache() {
        return; // It takes minutes.
    }
    let mut attacker = victim.attacker();
    for n in 0..100 {
        assert_eq!(attacker.call(&Ask::auth("digest", format!("user{n}:password").as_bytes())).err, 0);
    }
    // Every line stands for all names of the client: four million lines.
    let create = |path: &str, lines: i32| {
        Ask::raw(1, |out| {
            out.text(path);
            out.buffer(None);
            out.int(lines);
            for line in 0..lines {
                out.int(31);
                out.text("auth");
                out.text(&line.to_string());
            }
            out.int(0);
        })
    };
    assert_eq!(attacker.call(&create("/few", 10)).err, 0);
    for n in 0..5 {
        let reply = attacker.call(&create(&format!("/many-{n}"), 40_000));
        assert_eq!(refused(&reply), INVALID_ACL);
    }
    victim.stands_and_is_small("a list that means many names many times");
}

#[test]
fn watches_that_hold_on_to_large_frames() {
    let mut victim = Victim::alone();
    let (mut attacker, welcome) = Connection::open(victim.address(), 60_000);
    // What stands behind the last field means nothing, and must not be kept with the path in front of it.
    let padded = |ask: &Ask| {
        let mut body = BytesMut::from(&ask.body[..]);
        body.resize(1_000_000, 0);
        Ask { op: ask.op, body: body.freeze() }
    };
    let remove = |path: &str| padded(&Ask::remove_watches(path, 3));
    if is_apache() {
        return; // It takes minutes.
    }
    for n in 0..600 {
        let path = format!("/absent-{n}");
        assert_eq!(attacker.call(&padded(&Ask::exists(&path, true))).err, -101);
        assert_eq!(attacker.call(&padded(&Ask::add_watch(&path, 1))).err, 0);
    }
    victim.stands_and_is_small("watches in large frames");
    attacker.hang_up();
    let (mut again, _) = Connection::greeted(victim.address(), &Greeting::again(&welcome, 0));
    for n in 0..600 {
        let err = again.call(&remove(&format!("/absent-{n}"))).err;
        assert!([0, -121].contains(&err), "{err}");
    }
    victim.stands_and_is_small("watches taken away in large frames");
    for n in 0..600 {
        let reply = again.call(&padded(&Ask::create(&format!("/small-{n}"), b"x", PERSISTENT)));
        assert_eq!(reply.err, 0);
    }
    // They are in the log, of which the newest entries are kept, and in RocksDB's buffers.
    victim.stands_and_has_grown_by_at_most(GROWTH_MAX + BUFFERS, "small znodes in large frames");
}
