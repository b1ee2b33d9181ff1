//! Operations that nobody knows, and records that are not what they should be.

use bytes::{BufMut, Bytes, BytesMut};
use harness::ask::flags::PERSISTENT;
use harness::{Ask, Connection, Plan};
use proto::jute::write::Writer;

use crate::victim::{Victim, is_apache, refused};

const UNIMPLEMENTED: i32 = -6;
const MALFORMED: i32 = -5;
const INVALID_ACL: i32 = -114;

/// One good request for every operation that has a record, with paths that are there.
fn good() -> Vec<(&'static str, Ask)> {
    let list = |out: &mut BytesMut| {
        out.count(2);
        for (scheme, id) in [("world", "anyone"), ("ip", "10.0.0.0/8")] {
            out.int(31);
            out.text(scheme);
            out.text(id);
        }
    };
    let of_path = |op, rest: &dyn Fn(&mut BytesMut)| {
        Ask::raw(op, |out| {
            out.text("/x");
            rest(out);
        })
    };
    let watches = |op, lists: usize| {
        Ask::raw(op, |out| {
            out.long(0);
            for _ in 0..lists {
                out.count(2);
                out.text("/y");
                out.text("/z");
            }
        })
    };
    let create = |op| {
        Ask::raw(op, |out| {
            out.text("/x/n");
            out.buffer(Some(b"data"));
            list(out);
            out.int(2);
        })
    };
    vec![
        ("create", create(1)),
        ("delete", of_path(2, &|out| out.int(7))),
        ("exists", of_path(3, &|out| out.boolean(true))),
        ("getData", of_path(4, &|out| out.boolean(true))),
        ("setData", Ask::set_data("/x", b"data", -1)),
        ("getACL", of_path(6, &|_| {})),
        (
            "setACL",
            of_path(7, &|out| {
                list(out);
                out.int(-1);
            }),
        ),
        ("getChildren", of_path(8, &|out| out.boolean(true))),
        ("sync", of_path(9, &|_| {})),
        ("getChildren2", of_path(12, &|out| out.boolean(true))),
        ("multi", Ask::multi(&[create(1), create(15), Ask::set_data("/x", b"more", -1)])),
        ("create2", create(15)),
        ("multiRead", multi_read(&[(4, "/x"), (8, "/x")])),
        ("setWatches", watches(101, 3)),
        ("getEphemerals", of_path(103, &|_| {})),
        ("getAllChildrenNumber", of_path(104, &|_| {})),
        ("setWatches2", watches(105, 5)),
        ("addWatch", of_path(106, &|out| out.int(1))),
        ("checkWatches", of_path(17, &|out| out.int(3))),
        ("removeWatches", of_path(18, &|out| out.int(3))),
    ]
}

fn multi_header(out: &mut BytesMut, op: i32, done: bool) {
    out.int(op);
    out.boolean(done);
    out.int(-1);
}

fn multi_read(reads: &[(i32, &str)]) -> Ask {
    Ask::raw(22, |out| {
        for (op, path) in reads {
            multi_header(out, *op, false);
            out.text(path);
            out.boolean(true);
        }
        multi_header(out, -1, true);
    })
}

/// Sends this, and reads past all events to the answer.
#[track_caller]
fn answer(connection: &mut Connection, ask: &Ask, what: &str) -> harness::connection::Reply {
    let xid = connection.send(ask).unwrap_or_else(|error| panic!("{what}: {error}"));
    loop {
        match connection.receive().unwrap_or_else(|error| panic!("{what}: {error}")) {
            harness::Packet::Reply(reply) => {
                assert_eq!(reply.xid, xid, "{what}");
                return reply;
            }
            harness::Packet::Event { .. } => {}
        }
    }
}

#[track_caller]
fn with_x(victim: &Victim) -> Connection {
    let mut attacker = victim.attacker();
    assert_eq!(attacker.call(&Ask::create("/x", b"", PERSISTENT)).err, 0);
    attacker
}

#[test]
fn operations_that_nobody_knows_are_refused_over_a_connection_that_stays() {
    let mut victim = Victim::alone();
    if is_apache() {
        return; // ZooKeeper hangs up.
    }
    let mut attacker = with_x(&victim);
    let numbers =
        [0, -1, 10, 13, 23, 99, 108, 200, 1_000, -2, -9, -12, i32::MIN, i32::MAX, 500, 507, 71, 0x7275_6f6b];
    for op in numbers {
        for body in [Bytes::new(), Ask::set_data("/x", b"by the way", -1).body, vec![0xff; 64].into()] {
            let reply = attacker.call(&Ask { op, body });
            assert_eq!(refused(&reply), UNIMPLEMENTED, "operation {op}");
        }
    }
    assert_eq!(attacker.call(&Ask::get_data("/x", false)).data().0.unwrap().len(), 0);
    victim.stands("operations that nobody knows");
}

#[test]
fn operations_of_zookeepers_own_are_refused_and_the_connection_ends() {
    let mut victim = Victim::alone();
    if is_apache() {
        return; // It does both, for anybody.
    }
    let create_session = Ask::raw(-10, |out| out.int(30_000));
    let delete_container = Ask::raw(20, |out| out.text("/x"));
    with_x(&victim);
    for ask in [create_session, delete_container, Ask::raw(-10, |_| {}), Ask::raw(20, |_| {})] {
        let mut attacker = victim.attacker();
        // What stands in front of it is answered, and what stands behind it is not done.
        attacker.send(&Ask::set_data("/x", b"in front", -1)).unwrap();
        let xid = attacker.send(&ask).unwrap();
        attacker.send(&Ask::create("/behind", b"", PERSISTENT)).unwrap();
        assert_eq!(attacker.reply().err, 0);
        let reply = attacker.reply();
        assert_eq!((reply.xid, refused(&reply)), (xid, UNIMPLEMENTED), "operation {}", ask.op);
        attacker.expect_hang_up();
        let mut other = victim.attacker();
        assert_eq!(other.call(&Ask::exists("/x", false)).err, 0, "behind operation {}", ask.op);
        assert_eq!(other.call(&Ask::exists("/behind", false)).err, -101, "behind operation {}", ask.op);
        victim.stands("an operation of ZooKeeper's own");
    }
}

#[test]
fn records_of_every_operation_cut_short_at_every_byte() {
    let mut victim = Victim::alone();
    let mut attacker = with_x(&victim);
    for (name, whole) in good() {
        for length in 0..whole.body.len() {
            let what = format!("{name} cut to {length} of {} bytes", whole.body.len());
            let cut = Ask { op: whole.op, body: whole.body.slice(..length) };
            assert_eq!(refused(&answer(&mut attacker, &cut, &what)), MALFORMED, "{what}");
        }
        let reply = answer(&mut attacker, &whole, name);
        assert_ne!(reply.err, MALFORMED, "{name}");
        victim.stands(name);
    }
}

#[test]
fn credentials_cut_short_at_every_byte() {
    let mut victim = Victim::alone();
    if is_apache() {
        return; // ZooKeeper hangs up without an answer.
    }
    let mut attacker = victim.attacker();
    let whole = Ask::auth("digest", b"user:password");
    for length in 0..whole.body.len() {
        let cut = Ask { op: whole.op, body: whole.body.slice(..length) };
        assert_eq!(refused(&attacker.call(&cut)), MALFORMED, "cut to {length} bytes");
    }
    assert_eq!(attacker.call(&whole).err, 0);
    victim.stands("credentials cut short");
}

#[test]
fn bytes_behind_the_last_field_mean_nothing() {
    let mut victim = Victim::alone();
    let mut attacker = with_x(&victim);
    for (name, plain) in good() {
        let expected = answer(&mut attacker, &plain, name).err;
        for behind in [&[0_u8][..], &[0xff; 3], &[0; 4], &[0xff; 4], &[0x7f; 1_000]] {
            let body: Bytes = [&plain.body[..], behind].concat().into();
            let reply = answer(&mut attacker, &Ask { op: plain.op, body }, name);
            // Whatever a removeWatches took away, the next one does not find.
            let expected = if name == "removeWatches" { -121 } else { expected };
            assert_eq!(reply.err, expected, "{name} with {} bytes behind it", behind.len());
        }
        victim.stands(name);
    }
}

#[test]
fn counts_and_lengths_that_cannot_be() {
    let mut victim = Victim::alone();
    let mut attacker = with_x(&victim);
    for (name, whole) in good() {
        // Each four bytes of the record, whatever they mean, are made the length or count of something.
        for at in 0..whole.body.len().saturating_sub(3) {
            for number in [-2, 0x00ff_ffff, i32::MAX] {
                let mut body = BytesMut::from(&whole.body[..]);
                body[at..at + 4].copy_from_slice(&number.to_be_bytes());
                let what = format!("{name} with {number} at {at}");
                let _whatever =
                    refused(&answer(&mut attacker, &Ask { op: whole.op, body: body.freeze() }, &what));
            }
        }
        victim.stands_and_is_small(name);
    }
}

#[test]
fn lists_of_acls_with_counts_that_cannot_be() {
    let mut victim = Victim::alone();
    let mut attacker = with_x(&victim);
    // A negative count is an empty list, as in Java; and an empty list is no ACL.
    for (count, err) in [
        (-1, INVALID_ACL),
        (-2, INVALID_ACL),
        (i32::MIN, INVALID_ACL),
        (0, INVALID_ACL),
        (1, MALFORMED),
        (1_000_000, MALFORMED),
        (i32::MAX, MALFORMED),
    ] {
        let create = Ask::raw(1, |out| {
            out.text("/y");
            out.buffer(None);
            out.int(count);
            // Where the list ends here, these are the flags.
            out.int(0);
        });
        assert_eq!(refused(&attacker.call(&create)), err, "a list of {count}");
    }
    victim.stands("lists of ACLs with strange counts");
}

#[test]
fn null_lists_of_watches_do_not_parse() {
    let mut victim = Victim::alone();
    let mut attacker = with_x(&victim);
    for (op, lists) in [(101, 3), (105, 5)] {
        for null in 0..lists {
            let ask = Ask::raw(op, |out| {
                out.long(0);
                for list in 0..lists {
                    out.int(if list == null { -1 } else { 0 });
                }
            });
            assert_eq!(refused(&attacker.call(&ask)), MALFORMED, "operation {op}, list {null}");
        }
        let empty = Ask::raw(op, |out| {
            out.long(i64::MIN);
            (0..lists).for_each(|_| out.int(i32::MIN));
        });
        assert_eq!(refused(&attacker.call(&empty)), 0, "operation {op} with lists of negative count");
    }
    victim.stands("null lists of watches");
}

#[test]
fn modes_and_types_that_nobody_knows() {
    let mut victim = Victim::alone();
    let mut attacker = with_x(&victim);
    for number in [i32::MIN, -1, 2, 3, 256, i32::MAX] {
        assert_eq!(refused(&attacker.call(&Ask::add_watch("/x", number))), MALFORMED, "mode {number}");
    }
    for op in [17, 18] {
        for number in [i32::MIN, -1, 0, 6, 7, 256, i32::MAX] {
            let ask = Ask::raw(op, |out| {
                out.text("/x");
                out.int(number);
            });
            assert_eq!(refused(&attacker.call(&ask)), MALFORMED, "operation {op}, type {number}");
        }
    }
    // Unknown kinds of znode, alone: an argument; in a multi the whole does not parse.
    for flags in [i32::MIN, -1, 7, 8, 256, i32::MAX] {
        let create = Ask::create("/y", b"", flags);
        assert_eq!(refused(&attacker.call(&create)), -8, "flags {flags}");
        assert_eq!(refused(&attacker.call(&Ask::multi(&[create]))), MALFORMED, "flags {flags} in a multi");
    }
    victim.stands("modes and types that nobody knows");
}

#[test]
fn multis_that_cannot_be() {
    let mut victim = Victim::alone();
    let mut attacker = with_x(&victim);
    let set = Ask::set_data("/x", b"never", -1);
    let read = Ask::get_data("/x", false);
    let raw = |op: i32, parts: &[&Ask], ends: bool| {
        Ask::raw(op, |out| {
            for part in parts {
                multi_header(out, part.op, false);
                out.put_slice(&part.body);
            }
            if ends {
                multi_header(out, -1, true);
            }
        })
    };
    let nested = Ask::multi(&[]);
    let deep = (0..10_000).fold(nested.clone(), |inner, _| Ask {
        op: 14,
        body: Ask::raw(14, |out| multi_header(out, 14, false))
            .body
            .iter()
            .chain(&inner.body)
            .copied()
            .collect(),
    });
    let rows = [
        ("a multi without an end", raw(14, &[&set], false)),
        ("a multiRead without an end", raw(22, &[&read], false)),
        ("a multi of nothing without an end", raw(14, &[], false)),
        ("a multi in a multi", raw(14, &[&set, &nested], true)),
        ("ten thousand multis in each other", deep),
        ("a multiRead in a multi", raw(14, &[&Ask::raw(22, |out| multi_header(out, -1, true))], true)),
        ("a write, then a read", raw(14, &[&set, &read], true)),
        ("a read, then a write", raw(14, &[&read, &set], true)),
        ("a multi of reads", raw(14, &[&read], true)),
        ("a multiRead of writes", raw(22, &[&set], true)),
        ("a multiRead that begins with a read", raw(22, &[&read, &set], true)),
        ("an exists in a multiRead", raw(22, &[&Ask::exists("/x", false)], true)),
        ("a setACL in a multi", raw(14, &[&set, &Ask::set_acl("/x", 31, "world", "anyone")], true)),
        ("a closeSession in a multi", raw(14, &[&set, &Ask::close_session()], true)),
        ("an auth in a multi", raw(14, &[&set, &Ask::auth("digest", b"a:b")], true)),
        (
            "an operation of ZooKeeper's own in a multi",
            raw(14, &[&set, &Ask::raw(20, |out| out.text("/x"))], true),
        ),
        ("an operation that nobody knows in a multi", raw(14, &[&set, &Ask::raw(9_999, |_| {})], true)),
        ("an error in a multi", raw(14, &[&set, &Ask::raw(-1, |out| out.int(-101))], true)),
    ];
    for (what, ask) in rows {
        assert_eq!(refused(&answer(&mut attacker, &ask, what)), MALFORMED, "{what}");
        victim.stands(what);
    }
    // Only `done` decides where the end is.
    let early = Ask::raw(14, |out| {
        multi_header(out, 5, true);
        out.put_slice(&set.body);
    });
    assert_eq!(attacker.call(&early).multi_errors(), [0; 0]);
    let (data, stat) = attacker.call(&Ask::get_data("/x", false)).data();
    assert_eq!((data.unwrap().len(), stat.version), (0, 0), "nothing of them was done");
}

#[test]
fn multis_of_a_hundred_thousand_operations() {
    if is_apache() {
        return; // jute.maxbuffer is a system property there.
    }
    const OPERATIONS: usize = 100_000;
    let mut victim = Victim::of(&Plan::members(1).line("jute.maxbuffer=16777216"));
    let mut attacker = with_x(&victim);
    let set = Ask::raw(5, |out| {
        out.text("/x");
        out.buffer(Some(b"1"));
        out.int(-1);
    });
    let mut operations = vec![set; OPERATIONS];
    let reply = attacker.call(&Ask::multi(&operations));
    assert_eq!((reply.err, reply.body.len()), (0, OPERATIONS * (9 + 68) + 9));
    assert_eq!(attacker.call(&Ask::exists("/x", false)).stat().version, 100_000);
    victim.stands("a multi of a hundred thousand writes");

    // The last one fails, and all the others are taken back.
    *operations.last_mut().unwrap() = Ask::set_data("/x", b"", 7);
    let errors = attacker.call(&Ask::multi(&operations)).multi_errors();
    assert_eq!((errors.len(), errors.iter().filter(|err| **err == 0).count()), (OPERATIONS, OPERATIONS - 1));
    assert_eq!(errors.last(), Some(&-103));
    // The first one fails.
    operations.swap(0, OPERATIONS - 1);
    let errors = attacker.call(&Ask::multi(&operations)).multi_errors();
    assert_eq!((errors[0], errors[1], errors.len()), (-103, -2, OPERATIONS));
    assert_eq!(attacker.call(&Ask::exists("/x", false)).stat().version, 100_000);

    let creates: Vec<Ask> =
        (0..OPERATIONS).map(|number| Ask::create(&format!("/x/{number}"), b"", PERSISTENT)).collect();
    assert_eq!(attacker.call(&Ask::multi(&creates)).err, 0);
    let deletes: Vec<Ask> = (0..OPERATIONS).map(|number| Ask::delete(&format!("/x/{number}"))).collect();
    assert_eq!(attacker.call(&Ask::multi(&deletes)).multi_errors().len(), OPERATIONS);
    assert_eq!(attacker.call(&Ask::exists("/x", false)).stat().num_children, 0);
    victim.stands("multis that make and take away a hundred thousand znodes");
}

#[test]
fn giant_lists_of_acls() {
    let mut victim = Victim::alone();
    let mut attacker = with_x(&victim);
    // ZooKeeper compares each line with each other one: a few thousand are enough for it.
    let lines = if is_apache() { 2_000 } else { 30_000 };
    let create = |path: &str, scheme: &str, id: &dyn Fn(usize) -> String| {
        Ask::raw(1, |out| {
            out.text(path);
            out.buffer(None);
            out.count(lines);
            for line in 0..lines {
                out.int(31);
                out.text(scheme);
                out.text(&id(line));
            }
            out.int(0);
        })
    };
    assert_eq!(attacker.call(&create("/same", "world", &|_| "anyone".into())).err, 0);
    assert_eq!(attacker.call(&create("/all", "digest", &|line| format!("user{line}:hash"))).err, 0);
    assert_eq!(refused(&attacker.call(&create("/none", "nobody", &|line| line.to_string()))), INVALID_ACL);
    let one_bad = create("/one", "ip", &|line| {
        if line == 1_999 { "bad".into() } else { format!("10.0.0.{}", line % 256) }
    });
    assert_eq!(refused(&attacker.call(&one_bad)), INVALID_ACL);
    let read = |path: &str| Ask::raw(6, |out| out.text(path));
    // Whoever it names is not here: not even its list may be read.
    assert_eq!(refused(&attacker.call(&read("/all"))), -102);
    assert_eq!(attacker.call(&read("/same")).err, 0);
    assert_eq!(refused(&attacker.call(&Ask::get_data("/all", true))), -102);
    victim.stands_and_is_small("giant lists of ACLs");
}
