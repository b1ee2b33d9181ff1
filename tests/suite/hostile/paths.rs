//! Paths that no znode can have, through every operation that names one (PROTOCOL, section "Validation").

use bytes::BytesMut;
use harness::ask::flags::{PERSISTENT, SEQUENTIAL};
use harness::{Ask, Packet};
use proto::jute::write::Writer;

use crate::victim::{Victim, is_apache, refused};

const MALFORMED: i32 = -5;
const BAD_ARGUMENTS: i32 = -8;
const NO_NODE: i32 = -101;
const NO_WATCHER: i32 = -121;

/// What is wrong with it, the path, and how it is refused by create, by delete, and by exists.
const PATHS: [(&str, &[u8], [i32; 3]); 32] = [
    ("no slash", b"x", [BAD_ARGUMENTS, BAD_ARGUMENTS, NO_NODE]),
    ("no slash in front", b"x/y", [NO_NODE, NO_NODE, NO_NODE]),
    ("a slash at the end", b"/x/", [BAD_ARGUMENTS, NO_NODE, NO_NODE]),
    ("two slashes", b"//", [BAD_ARGUMENTS, NO_NODE, NO_NODE]),
    ("two slashes in front", b"//x", [BAD_ARGUMENTS, NO_NODE, NO_NODE]),
    ("two slashes in the middle", b"/x//y", [NO_NODE, NO_NODE, NO_NODE]),
    ("a dot", b".", [BAD_ARGUMENTS, BAD_ARGUMENTS, NO_NODE]),
    ("a component of one dot", b"/.", [BAD_ARGUMENTS, NO_NODE, NO_NODE]),
    ("a component of two dots", b"/..", [BAD_ARGUMENTS, NO_NODE, NO_NODE]),
    ("one dot at the end", b"/x/.", [BAD_ARGUMENTS, NO_NODE, NO_NODE]),
    ("two dots in the middle", b"/x/../y", [NO_NODE, NO_NODE, NO_NODE]),
    ("NUL", b"/\0", [BAD_ARGUMENTS, BAD_ARGUMENTS, BAD_ARGUMENTS]),
    ("NUL in the middle", b"/x\0y", [BAD_ARGUMENTS, BAD_ARGUMENTS, BAD_ARGUMENTS]),
    ("U+0001", b"/\x01", [BAD_ARGUMENTS, NO_NODE, NO_NODE]),
    ("a line break", b"/x\ny", [BAD_ARGUMENTS, NO_NODE, NO_NODE]),
    ("U+001F", b"/\x1f", [BAD_ARGUMENTS, NO_NODE, NO_NODE]),
    ("U+007F", b"/\x7f", [BAD_ARGUMENTS, NO_NODE, NO_NODE]),
    ("U+009F", b"/\xc2\x9f", [BAD_ARGUMENTS, NO_NODE, NO_NODE]),
    ("U+E000", b"/\xee\x80\x80", [BAD_ARGUMENTS, NO_NODE, NO_NODE]),
    ("U+F8FF", b"/\xef\xa3\xbf", [BAD_ARGUMENTS, NO_NODE, NO_NODE]),
    ("U+FFF0", b"/\xef\xbf\xb0", [BAD_ARGUMENTS, NO_NODE, NO_NODE]),
    ("U+FFFF", b"/\xef\xbf\xbf", [BAD_ARGUMENTS, NO_NODE, NO_NODE]),
    ("U+10000", b"/\xf0\x90\x80\x80", [BAD_ARGUMENTS, NO_NODE, NO_NODE]),
    ("CESU-8, U+10000 as Java writes it", b"/\xed\xa0\x80\xed\xb0\x80", [BAD_ARGUMENTS, NO_NODE, NO_NODE]),
    ("half a surrogate", b"/\xed\xa0\x80", [BAD_ARGUMENTS, NO_NODE, NO_NODE]),
    ("NUL as Java's own UTF-8 has it", b"/\xc0\x80", [BAD_ARGUMENTS, NO_NODE, NO_NODE]),
    ("a byte that begins nothing", b"/\xff", [BAD_ARGUMENTS, NO_NODE, NO_NODE]),
    ("a byte that goes on with nothing", b"/\x80", [BAD_ARGUMENTS, NO_NODE, NO_NODE]),
    ("a sequence cut short", b"/\xe2\x82", [BAD_ARGUMENTS, NO_NODE, NO_NODE]),
    ("a slash in two bytes", b"\xc0\xafx", [BAD_ARGUMENTS, BAD_ARGUMENTS, NO_NODE]),
    ("Latin-1", b"/gr\xf6\xdfe", [BAD_ARGUMENTS, NO_NODE, NO_NODE]),
    ("UTF-16", b"\0/\0x", [BAD_ARGUMENTS, BAD_ARGUMENTS, BAD_ARGUMENTS]),
];

/// A request whose record begins with a path, whatever its bytes.
fn ask(op: i32, path: Option<&[u8]>, rest: impl FnOnce(&mut BytesMut)) -> Ask {
    Ask::raw(op, |out| {
        out.buffer(path);
        rest(out);
    })
}

fn create(path: Option<&[u8]>, flags: i32) -> Ask {
    ask(1, path, |out| {
        out.buffer(Some(b""));
        out.count(1);
        out.int(31);
        out.text("world");
        out.text("anyone");
        out.int(flags);
    })
}

fn versioned(op: i32, path: Option<&[u8]>) -> Ask {
    ask(op, path, |out| out.int(-1))
}

fn set_data(path: Option<&[u8]>) -> Ask {
    ask(5, path, |out| {
        out.buffer(Some(b""));
        out.int(-1);
    })
}

fn set_acl(path: Option<&[u8]>) -> Ask {
    ask(7, path, |out| {
        out.count(1);
        out.int(31);
        out.text("world");
        out.text("anyone");
        out.int(-1);
    })
}

#[test]
fn bad_paths_are_refused_by_every_operation_with_its_own_code() {
    let mut victim = Victim::alone();
    let mut attacker = victim.attacker();
    assert_eq!(attacker.call(&create(Some(b"/x"), PERSISTENT)).err, 0);
    for (what, path, [created, deleted, exists]) in PATHS {
        let mut check = |op: &str, ask: &Ask, expected: i32| {
            assert_eq!(refused(&attacker.call(ask)), expected, "{op} of a path with {what}: {path:?}");
        };
        let path = Some(path);
        check("create", &create(path, PERSISTENT), created);
        check("delete", &versioned(2, path), deleted);
        check("setData", &set_data(path), BAD_ARGUMENTS);
        check("setACL", &set_acl(path), BAD_ARGUMENTS);
        check("exists", &ask(3, path, |out| out.boolean(false)), exists);
        check("getData", &ask(4, path, |out| out.boolean(false)), NO_NODE);
        check("getACL", &ask(6, path, |_| {}), NO_NODE);
        check("getChildren", &ask(8, path, |out| out.boolean(false)), NO_NODE);
        check("getChildren2", &ask(12, path, |out| out.boolean(false)), NO_NODE);
        check("getAllChildrenNumber", &ask(104, path, |_| {}), NO_NODE);
        check("removeWatches", &ask(18, path, |out| out.int(3)), NO_WATCHER);
        // These do not look at the path.
        check("sync", &ask(9, path, |_| {}), 0);
        check("getEphemerals", &ask(103, path, |_| {}), 0);
    }
    victim.stands("bad paths");
}

#[test]
fn bad_paths_are_refused_inside_a_multi() {
    let mut victim = Victim::alone();
    let mut attacker = victim.attacker();
    assert_eq!(attacker.call(&create(Some(b"/x"), PERSISTENT)).err, 0);
    for (what, path, [created, deleted, _]) in PATHS {
        let path = Some(path);
        for (ask, expected) in [
            (create(path, PERSISTENT), created),
            (versioned(2, path), deleted),
            (set_data(path), BAD_ARGUMENTS),
            (versioned(13, path), BAD_ARGUMENTS),
        ] {
            let reply = attacker.call(&Ask::multi(&[set_data(Some(b"/x")), ask.clone()]));
            assert_eq!(reply.multi_errors(), [0, expected], "operation {} with {what}: {path:?}", ask.op);
        }
    }
    victim.stands("multis with bad paths");
}

#[test]
fn a_null_path_does_not_parse() {
    let mut victim = Victim::alone();
    let mut attacker = victim.attacker();
    let boolean = |op| ask(op, None, |out| out.boolean(false));
    for ask in [
        create(None, PERSISTENT),
        versioned(2, None),
        boolean(3),
        boolean(4),
        ask(6, None, |_| {}),
        boolean(8),
        boolean(12),
        ask(104, None, |_| {}),
    ] {
        assert_eq!(refused(&attacker.call(&ask)), MALFORMED, "operation {}", ask.op);
    }
    // These look at the path before they use it, and find it to be none.
    for ask in [set_data(None), set_acl(None)] {
        assert_eq!(refused(&attacker.call(&ask)), BAD_ARGUMENTS, "operation {}", ask.op);
    }
    for ask in [create(None, PERSISTENT), versioned(2, None), set_data(None), versioned(13, None)] {
        assert_eq!(refused(&attacker.call(&Ask::multi(&[ask]))), MALFORMED);
    }
    victim.stands("null paths");
}

#[test]
fn an_empty_path_is_no_path() {
    let mut victim = Victim::alone();
    let mut attacker = victim.attacker();
    for (ask, expected) in [
        (create(Some(b""), PERSISTENT), BAD_ARGUMENTS),
        (versioned(2, Some(b"")), BAD_ARGUMENTS),
        (set_data(Some(b"")), BAD_ARGUMENTS),
        (set_acl(Some(b"")), BAD_ARGUMENTS),
    ] {
        assert_eq!(refused(&attacker.call(&ask)), expected, "operation {}", ask.op);
    }
    if !is_apache() {
        // There it is another name of `/`.
        for op in [3, 4, 8, 12] {
            let reply = attacker.call(&ask(op, Some(b""), |out| out.boolean(false)));
            assert_eq!(refused(&reply), NO_NODE, "operation {op}");
        }
    }
    victim.stands("empty paths");
}

#[test]
fn a_watch_on_a_path_that_cannot_be_is_set_and_tells_nothing() {
    let mut victim = Victim::alone();
    let mut attacker = victim.attacker();
    for (what, path, [.., exists]) in PATHS {
        let reply = attacker.call(&ask(3, Some(path), |out| out.boolean(true)));
        assert_eq!(refused(&reply), exists, "exists of a path with {what}");
        for mode in [0, 1] {
            let reply = attacker.call(&ask(106, Some(path), |out| out.int(mode)));
            assert_eq!(refused(&reply), 0, "addWatch of a path with {what}");
        }
        let reply = attacker.call(&ask(18, Some(path), |out| out.int(3)));
        assert_eq!(refused(&reply), 0, "removeWatches of a path with {what}");
    }
    victim.stands("watches on bad paths");
}

#[test]
fn the_name_of_a_sequential_znode_is_judged_when_it_is_whole() {
    let mut victim = Victim::alone();
    let mut attacker = victim.attacker();
    for (path, err) in [
        ("/", 0),
        ("/s", 0),
        ("/..", 0),
        ("//", BAD_ARGUMENTS),
        ("/s\u{1}", BAD_ARGUMENTS),
        ("s", BAD_ARGUMENTS),
    ] {
        let reply = attacker.call(&create(Some(path.as_bytes()), SEQUENTIAL));
        assert_eq!(refused(&reply), err, "{path:?}");
    }
    victim.stands("stems of sequential znodes");
}

#[test]
fn paths_as_long_as_a_frame() {
    let mut victim = Victim::alone();
    let mut attacker = victim.attacker();
    let long = [&b"/"[..], &vec![b'x'; 1_000_000]].concat();
    let deep = b"/x".repeat(500_000);
    assert_eq!(attacker.call(&create(Some(&long), PERSISTENT)).err, 0);
    assert_eq!(attacker.call(&ask(3, Some(&long), |out| out.boolean(true))).err, 0);
    for _ in 0..20 {
        for (path, missing) in [(&deep, true), (&long, false)] {
            let err = attacker.call(&ask(3, Some(path), |out| out.boolean(true))).err;
            assert_eq!(err == NO_NODE, missing);
            assert_eq!(attacker.call(&ask(106, Some(path), |out| out.int(1))).err, 0);
        }
        assert_eq!(attacker.call(&create(Some(&deep), PERSISTENT)).err, NO_NODE);
    }
    // Whether a path of a megabyte has anything to do with it, is asked at every change.
    victim.stands_and_is_small("paths as long as a frame");
    attacker.send(&versioned(2, Some(&long))).unwrap();
    while matches!(attacker.receive().unwrap(), Packet::Event { .. }) {}
    assert_eq!(attacker.call(&ask(3, Some(&long), |out| out.boolean(false))).err, NO_NODE);
    victim.stands("paths as long as a frame that are gone");
}
