//! Every key of the state on disk, which are also those of a snapshot.
//!
//! Tags are on disk: never reused, never renumbered.

use machine::Key;
use proto::{SessionId, ZnodePath, Zxid};

/// What this version reads and writes. A state with another number is not opened.
pub(super) const FORMAT: u64 = 1;

/// `tag` → format version: u64be
pub(super) const FORMAT_KEY: [u8; 1] = [1];

/// `tag` → `image.Progress`
pub(super) const PROGRESS_KEY: [u8; 1] = [2];

/// `tag` → `image.World`
const WORLD: u8 = 16;

/// `tag session:i64be` → `image.Session`
const SESSION: u8 = 17;

/// `tag path` → `image.Znode`
const ZNODE: u8 = 18;

/// `tag zxid:u64be` → `image.History`
const HISTORY: u8 = 19;

/// `tag session:i64be path` → `image.Watch`
const WATCH: u8 = 20;

/// `tag` → `image.Reconfiguration`
const RECONFIGURATION: u8 = 21;

/// Where a record lies.
pub(super) fn encode(key: &Key) -> Vec<u8> {
    match key {
        Key::World => vec![WORLD],
        Key::Session(session) => tagged(SESSION, &session.to_wire().to_be_bytes()),
        Key::Znode(path) => tagged(ZNODE, path.as_str().as_bytes()),
        Key::History(zxid) => tagged(HISTORY, &zxid.get().to_be_bytes()),
        Key::Watch(session, path) => {
            let mut key = tagged(WATCH, &session.to_wire().to_be_bytes());
            key.extend_from_slice(path.as_str().as_bytes());
            key
        }
        Key::Reconfiguration => vec![RECONFIGURATION],
    }
}

/// What lies under this key; `None` if it is none of the world's.
pub(super) fn decode(key: &[u8]) -> Option<Key> {
    let (tag, rest) = key.split_first()?;
    match *tag {
        WORLD if rest.is_empty() => Some(Key::World),
        SESSION => Some(Key::Session(SessionId::from_wire(i64::from_be_bytes(rest.try_into().ok()?)))),
        ZNODE => Some(Key::Znode(ZnodePath::parse(std::str::from_utf8(rest).ok()?).ok()?)),
        HISTORY => Some(Key::History(Zxid::new(u64::from_be_bytes(rest.try_into().ok()?)))),
        WATCH => {
            let (session, path) = rest.split_first_chunk()?;
            let path = ZnodePath::parse(std::str::from_utf8(path).ok()?).ok()?;
            Some(Key::Watch(SessionId::from_wire(i64::from_be_bytes(*session)), path))
        }
        RECONFIGURATION if rest.is_empty() => Some(Key::Reconfiguration),
        _ => None,
    }
}

/// Whether the key is one of ours that says nothing about the world itself.
pub(super) fn is_about_the_state(key: &[u8]) -> bool {
    key == FORMAT_KEY || key == PROGRESS_KEY
}

fn tagged(tag: u8, rest: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + rest.len());
    key.push(tag);
    key.extend_from_slice(rest);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back_as_they_were() {
        for key in [
            Key::World,
            Key::Session(SessionId::from_wire(0x0100_0000_0000_0007)),
            Key::Znode(ZnodePath::root()),
            Key::Znode(ZnodePath::parse("/a/b").unwrap()),
            Key::History(Zxid::new(0x1_0000_0007)),
            Key::Watch(SessionId::from_wire(7), ZnodePath::root()),
            Key::Reconfiguration,
        ] {
            assert_eq!(decode(&encode(&key)), Some(key));
        }
        assert_eq!(decode(&FORMAT_KEY), None);
        assert_eq!(decode(&[SESSION, 1, 2]), None);
        assert_eq!(decode(&[HISTORY, 1, 2]), None);
        assert_eq!(decode(&[WATCH, 0, 0, 0, 0, 0, 0, 0, 7]), None);
        assert_eq!(decode(b"\x12no/slash"), None);
    }
}
