//! The words of which requests are made: few, so that they meet.

use fastrand::Rng;

/// Who may do what, in the order of the record; null scheme and id included.
pub(super) type Entry = (i32, Option<String>, Option<String>);

/// What the super user's credentials are, and the digest of them that both servers are configured with.
pub(super) const SUPER: &str = "super:secret";
pub(super) const SUPER_DIGEST: &str = "super:lK75jTNcA+U9vtVEw5vB51mj/w4=";

/// What clients prove themselves with where nobody else is served.
pub(super) const EVERYBODY: &str = "bob:b";

/// Users of scheme digest: what they say, and how they stand in ACLs.
const USERS: [(&str, &str); 3] = [
    ("ann:a", "ann:i9V/d2HTT0sehGWzvQcFNipywIQ="),
    ("bob:b", "bob:LcrmCNs/wfVD+i5a5yaz89GyjIM="),
    ("eve", "eve:M2ZwAPIjzotojdTeKZYsgbua+2M="),
];

/// Paths of znodes that come and go.
const PATHS: [&str; 12] =
    ["/a", "/b", "/c", "/a/a", "/a/b", "/b/a", "/b/b", "/a/a/a", "/a/a/b", "/a/b/a", "/ab", "/a/a/a/a"];

/// Paths that are always there.
const RESERVED: [&str; 4] = ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"];

/// Paths that are not legal, or not legal everywhere, each for a reason of its own.
const BAD: [&str; 25] = [
    "",
    "a",
    "a/b",
    "//",
    "/a/",
    "/a//b",
    "/.",
    "/..",
    "/a/.",
    "/a/..",
    "/a/../b",
    "/./a",
    "/a/...",
    "/a\u{0}",
    "/a/\u{1}b",
    "/a/\u{1f}",
    "/a/\u{7f}",
    "/a/\u{9f}x",
    "/a/\u{e000}",
    "/a/\u{f8ff}",
    "/a/\u{fff0}",
    "/a/\u{ffff}",
    "/a/\u{1f600}",
    "/zookeeper/",
    "/a b",
];

/// Legal ones that look unusual.
const ODD: [&str; 6] = ["/a/\u{e4}\u{20ac}", "/a/.x", "/a/..x", "/a/x.", "/a/\u{a0}", "/a/b c"];

/// One of these.
pub(super) fn pick<'a, T: ?Sized>(rng: &mut Rng, words: &[&'a T]) -> &'a T {
    words[rng.usize(..words.len())]
}

/// With this chance in a hundred.
pub(super) fn chance(rng: &mut Rng, percent: u32) -> bool {
    rng.u32(..100) < percent
}

/// A path that is likely to be there, or to be made.
pub(super) fn good_path(rng: &mut Rng) -> String {
    // Those in front are parents of those behind.
    let within = if chance(rng, 60) { 6 } else { PATHS.len() };
    PATHS[rng.usize(..within)].to_owned()
}

/// Any path; null now and then.
pub(super) fn path(rng: &mut Rng) -> Option<String> {
    Some(match rng.u32(..100) {
        0..78 => good_path(rng),
        78..86 => sequential(rng),
        86..92 => pick(rng, &RESERVED).to_owned(),
        92..94 => pick(rng, &ODD).to_owned(),
        94..99 => pick(rng, &BAD).to_owned(),
        _ => return None,
    })
}

/// The name of a sequential znode that may be there.
fn sequential(rng: &mut Rng) -> String {
    let stem = pick(rng, &["/a/s", "/b/s", "/a/", "/s"]);
    format!("{stem}{:010}", rng.u32(..6))
}

/// The stem of a sequential znode's name.
pub(super) fn stem(rng: &mut Rng) -> String {
    match rng.u32(..10) {
        0..6 => pick(rng, &["/a/s", "/b/s", "/a/", "/s", "/a/a/s", "/"]).to_owned(),
        6..9 => good_path(rng),
        _ => pick(rng, &BAD).to_owned(),
    }
}

/// A version that is sometimes the right one.
pub(super) fn version(rng: &mut Rng) -> i32 {
    match rng.u32(..20) {
        0..11 => -1,
        11..14 => 0,
        14..16 => 1,
        16..18 => rng.i32(2..5),
        18 => rng.i32(-3..-1),
        _ => pick(rng, &[&i32::MAX, &i32::MIN, &100]).to_owned(),
    }
}

/// Data: null, empty, short, and now and then longer.
pub(super) fn data(rng: &mut Rng) -> Option<Vec<u8>> {
    Some(match rng.u32(..20) {
        0 => return None,
        1..3 => Vec::new(),
        3..19 => (0..rng.usize(1..12)).map(|_| rng.u8(b'a'..=b'f')).collect(),
        _ => vec![b'x'; rng.usize(200..2000)],
    })
}

fn perms(rng: &mut Rng) -> i32 {
    match rng.u32(..12) {
        0..5 => 31,
        5..7 => 1,
        7..10 => rng.i32(0..32),
        10 => 31 & !(1 << rng.i32(0..5)),
        _ => pick(rng, &[&-1, &32, &0x400, &i32::MIN]).to_owned(),
    }
}

fn entry(rng: &mut Rng) -> Entry {
    let perms = perms(rng);
    let (scheme, id) = match rng.u32(..100) {
        0..35 => ("world", "anyone"),
        35..55 => ("digest", USERS[rng.usize(..USERS.len())].1),
        55..65 => ("auth", pick(rng, &["", "", "ann", "whoever:x"])),
        65..80 => (
            "ip",
            pick(
                rng,
                &[
                    "127.0.0.1",
                    "127.0.0.0/8",
                    "10.0.0.1",
                    "0.0.0.0/0",
                    "127.0.0.1/32",
                    "126.0.0.0/7",
                    "::1",
                    "::/0",
                    "127.0.0.1/33",
                    "127.0.0.1/-1",
                    "127.0.0.1/",
                    "127.0.0.1/x",
                    "127.0.0",
                    "127.0.0.256",
                    "localhost",
                    "",
                    "1.2.3.4.5",
                    "fe80::1/64",
                    "::ffff:127.0.0.1",
                ],
            ),
        ),
        80..86 => ("digest", pick(rng, &["", "ann", "ann:", ":", "ann:x:y", "ann:x:", ":x", "ann:x", "::"])),
        86..89 => ("world", pick(rng, &["", "bob", "Anyone", "anyone "])),
        89..91 => ("x509", pick(rng, &["CN=ann", "ann", ""])),
        91..93 => ("sasl", pick(rng, &["ann", "ann@REALM", "", "a/b/c@d"])),
        93..95 => ("super", pick(rng, &["", "super"])),
        95..98 => (pick(rng, &["", "none", "Digest", "wor ld"]), "anyone"),
        98 => return (perms, None, Some("anyone".into())),
        _ => return (perms, Some(pick(rng, &["world", "digest", "ip", "auth"]).to_owned()), None),
    };
    (perms, Some(scheme.into()), Some(id.into()))
}

/// An ACL that leaves most seeds alive: often open, now and then anything.
pub(super) fn acl(rng: &mut Rng, wild: u32) -> Option<Vec<Entry>> {
    let open = (31, Some("world".to_owned()), Some("anyone".to_owned()));
    if !chance(rng, wild) {
        return Some(vec![open]);
    }
    let count = match rng.u32(..20) {
        0 => return None,
        1 => 0,
        2..12 => 1,
        12..17 => 2,
        _ => 3,
    };
    let mut entries: Vec<Entry> = (0..count).map(|_| entry(rng)).collect();
    if count > 1 && chance(rng, 30) {
        entries.push(entries[0].clone());
    }
    if chance(rng, 20) {
        entries.push(open);
    }
    Some(entries)
}

/// Credentials: scheme and what it asks for.
pub(super) fn credentials(rng: &mut Rng) -> (Option<String>, Option<Vec<u8>>) {
    let (scheme, auth) = match rng.u32(..100) {
        0..60 => ("digest", USERS[rng.usize(..USERS.len())].0),
        60..72 => ("digest", SUPER),
        72..80 => ("digest", pick(rng, &["", ":", "a:b:c", "super:wrong", "ann:wrong"])),
        80..88 => ("ip", pick(rng, &["", "127.0.0.1", "10.0.0.1"])),
        88..96 => (pick(rng, &["world", "super", "sasl", "none", "auth", "x509", ""]), "anyone"),
        96 => return (None, Some(b"ann:a".to_vec())),
        97 => return (Some("digest".into()), None),
        _ => return (Some("digest".into()), Some(vec![0xff, b':', 0xc3, 0x28])),
    };
    (Some(scheme.into()), Some(auth.into()))
}
