//! Single requests.

use fastrand::Rng;

use super::{Area, Mood, multi, quota, watches};
use crate::differ::pen::Pen;
use crate::differ::step::Ask;
use crate::differ::vocabulary::{acl, chance, credentials, data, good_path, path, pick, stem, version};

/// A request of any kind that the mood allows.
pub(super) fn ask(rng: &mut Rng, mood: &Mood) -> Ask {
    if !mood.limited.is_empty() && chance(rng, 25) {
        return quota::ask(rng, &mood.limited);
    }
    loop {
        let ask = match rng.u32(..1000) {
            0..210 => create(rng, mood),
            210..310 => delete(rng),
            310..400 => set_data(rng),
            400..440 => exists(rng, mood),
            440..500 => read(rng, mood, 4),
            500..550 => read(rng, mood, 8),
            550..590 => read(rng, mood, 12),
            590..620 => Pen::default().text(path(rng).as_deref()).ask(6),
            620..660 if mood.has(Area::Acl) => set_acl(rng, mood),
            660..760 if mood.has(Area::Multi) => multi::multi(rng, mood),
            760..790 if mood.has(Area::Multi) => multi::multi_read(rng),
            790..890 if mood.has(Area::Watches) => watches::ask(rng),
            905..915 => prefix(rng, 103),
            915..930 => Pen::default().text(path(rng).as_deref()).ask(104),
            930..940 if mood.has(Area::Acl) => Pen::default().ask(107),
            940..955 if mood.has(Area::Acl) && mood.wild > 0 => auth(rng),
            955..965 => Pen::default().text(path(rng).as_deref()).ask(9),
            965..975 => Pen::default().ask(11),
            975..977 if mood.has(Area::Sessions) => Pen::default().ask(-11),
            977..982 if mood.has(Area::Reconfig) => reconfig(rng),
            982..984 if mood.has(Area::Sasl) => {
                Pen::default().buffer(Some(&data(rng).unwrap_or_default())).ask(102)
            }
            984..987 if mood.has(Area::Unknown) => unknown(rng),
            987..1000 => Pen::default().text(Some(&good_path(rng))).int(-1).ask(2),
            _ => continue,
        };
        return ask;
    }
}

/// A create that is likely to succeed.
pub(super) fn plain_create(rng: &mut Rng, path: &str) -> Ask {
    Pen::default()
        .text(Some(path))
        .buffer(data(rng).as_deref())
        .acl(acl(rng, 0).as_deref())
        .int(0)
        .ask(*pick(rng, &[&1, &15]))
}

/// Any of the four creates.
pub(super) fn create(rng: &mut Rng, mood: &Mood) -> Ask {
    let kinds = mood.has(Area::Kinds);
    let op = match rng.u32(..20) {
        14 | 15 if kinds => 19,
        16 | 17 if kinds => 21,
        0..9 => 1,
        _ => 15,
    };
    let flags = match rng.u32(..100) {
        0..45 => 0,
        45..60 => 1,
        60..75 => 2,
        75..88 => 3,
        88..91 => 4,
        91..95 if kinds => 5,
        95..98 if kinds => 6,
        _ => *pick(rng, &[&-1, &7, &8, &100, &i32::MIN, &i32::MAX]),
    };
    let flags = match op {
        // Most of those with a time to live are to be what they should be.
        21 if chance(rng, 80) => rng.i32(5..=6),
        19 if chance(rng, 80) => 4,
        _ => flags,
    };
    let path = if matches!(flags, 2 | 3 | 6) { Some(stem(rng)) } else { path(rng) };
    let pen = Pen::default()
        .text(path.as_deref())
        .buffer(data(rng).as_deref())
        .acl(acl(rng, mood.wild).as_deref())
        .int(flags);
    match op {
        21 => {
            // ZooKeeper lets a time to live below 0 pass with the other kinds, and stops over it for ever.
            let ttl = ttl(rng);
            pen.long(if matches!(flags, 5 | 6) { ttl } else { ttl.max(0) }).ask(op)
        }
        _ => pen.ask(op),
    }
}

/// Times to live: long ones, since what is collected when is not compared, and impossible ones.
fn ttl(rng: &mut Rng) -> i64 {
    match rng.u32(..10) {
        0..7 => rng.i64(1_000_000_000..2_000_000_000),
        7 => (1 << 40) - 1,
        _ => *pick(rng, &[&0, &-1, &(1 << 40), &i64::MAX, &i64::MIN]),
    }
}

pub(super) fn delete(rng: &mut Rng) -> Ask {
    Pen::default().text(path(rng).as_deref()).int(version(rng)).ask(2)
}

pub(super) fn set_data(rng: &mut Rng) -> Ask {
    Pen::default().text(path(rng).as_deref()).buffer(data(rng).as_deref()).int(version(rng)).ask(5)
}

fn set_acl(rng: &mut Rng, mood: &Mood) -> Ask {
    Pen::default().text(path(rng).as_deref()).acl(acl(rng, mood.wild).as_deref()).int(version(rng)).ask(7)
}

fn exists(rng: &mut Rng, mood: &Mood) -> Ask {
    read(rng, mood, 3)
}

fn read(rng: &mut Rng, mood: &Mood, op: i32) -> Ask {
    let path = path(rng);
    // In ZooKeeper an empty path can be watched too.
    let watch = mood.has(Area::Watches) && path.as_deref() != Some("") && chance(rng, 50);
    Pen::default().text(path.as_deref()).byte(u8::from(watch)).ask(op)
}

fn prefix(rng: &mut Rng, op: i32) -> Ask {
    let prefix = match rng.u32(..10) {
        0 => None,
        1 => Some(" ".to_owned()),
        2 => Some(String::new()),
        3 => Some("/".to_owned()),
        4 => Some("a".to_owned()),
        _ => path(rng),
    };
    Pen::default().text(prefix.as_deref()).ask(op)
}

fn auth(rng: &mut Rng) -> Ask {
    let (scheme, auth) = credentials(rng);
    let kind = *pick(rng, &[&0, &0, &0, &1, &-1]);
    Pen::default().int(kind).text(scheme.as_deref()).buffer(auth.as_deref()).ask(100)
}

fn reconfig(rng: &mut Rng) -> Ask {
    let line = "server.2=127.0.0.1:2888:3888:participant;2181";
    let mut text = || {
        let texts = [None, None, Some(""), Some("2"), Some("x"), Some(line)];
        texts[rng.usize(..texts.len())]
    };
    let (joining, leaving, members) = (text(), text(), text());
    let config = *pick(rng, &[&-1, &0, &5]);
    Pen::default().text(joining).text(leaving).text(members).long(config).ask(16)
}

/// What nobody may send: unknown operations, and those that servers send each other. A znode that is to be taken away
/// is not there, since ZooKeeper would do it.
fn unknown(rng: &mut Rng) -> Ask {
    match rng.u32(..10) {
        0 => Pen::default().text(Some("/never")).ask(20),
        1 => Pen::default().int(30_000).ask(-10),
        2..4 => Pen::default().text(Some(&good_path(rng))).int(-1).ask(13),
        _ => Pen::default().text(Some("/a")).byte(0).ask(*pick(
            rng,
            &[&0, &-1, &10, &23, &71, &99, &108, &500, &507, &-2, &-12, &i32::MAX, &i32::MIN],
        )),
    }
}
