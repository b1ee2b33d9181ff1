//! How a world is read from disk: by several threads, each of which does a part of the work on the same records.
//!
//! One reads bytes, some make records of them, and one builds the world. What is read comes in portions, which go to the parsers in
//! turn and are taken from them in turn, so that the order stays that of the keys.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use bytes::Bytes;
use machine::{Machine, Record};
use rocksdb::{DB, ReadOptions, SnapshotWithThreadMode};

use super::{keys, record};
use crate::Fault;

/// Bytes of records that are read together, and how many portions may wait for each parser and for the builder behind it.
const PORTION_BYTES: usize = 256 << 10;
const PORTIONS_AHEAD_MAX: usize = 4;

/// Threads that make records of bytes: with the one that reads and the one that builds, as many as a machine of four cores runs at once.
const PARSERS: usize = 2;

/// Records as they lie on disk, one behind the other.
#[derive(Default)]
struct Portion {
    bytes: Vec<u8>,
    /// Where each key ends, and where its value does.
    ends: Vec<(usize, usize)>,
}

/// The world of these records. Reads everything; `place` says where they lie.
///
/// # Errors
/// [`Fault::Damaged`] if they cannot be read, do not parse or are no whole world.
pub(super) fn load(snapshot: &SnapshotWithThreadMode<'_, DB>, place: &str) -> Result<Machine, Fault> {
    thread::scope(|scope| {
        let (mut raw, mut lanes, mut threads) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..PARSERS {
            let (portions, coming) = sync_channel(PORTIONS_AHEAD_MAX);
            let (parsed, lane) = sync_channel(PORTIONS_AHEAD_MAX);
            raw.push(portions);
            lanes.push(lane);
            threads.push(scope.spawn(move || parse_all(&coming, &parsed)));
        }
        threads.push(scope.spawn(move || read_all(snapshot, &raw)));
        let restored = Machine::restore(in_turn(lanes));
        // Who finds a fault ends the rest, which then is no whole world: so the fault comes first.
        for thread in threads {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        }
        restored.map_err(|error| {
            Fault::Damaged(format!("the state in {place} is no whole world: {error}. {CURE}"))
        })
    })
}

/// Reads all records, until nobody takes them any more.
fn read_all(snapshot: &SnapshotWithThreadMode<'_, DB>, parsers: &[SyncSender<Portion>]) -> Result<(), Fault> {
    let mut options = ReadOptions::default();
    options.set_readahead_size(2 << 20);
    // A scan of everything must not push out what the compactions use.
    options.fill_cache(false);
    let mut iterator = snapshot.raw_iterator_opt(options);
    iterator.seek_to_first();
    let (mut portion, mut next) = (Portion::default(), parsers.iter().cycle());
    while let Some((key, value)) = iterator.item() {
        portion.bytes.extend_from_slice(key);
        let key_end = portion.bytes.len();
        portion.bytes.extend_from_slice(value);
        portion.ends.push((key_end, portion.bytes.len()));
        if portion.bytes.len() >= PORTION_BYTES
            && next.next().is_some_and(|parser| parser.send(std::mem::take(&mut portion)).is_err())
        {
            return Ok(());
        }
        iterator.next();
    }
    iterator.status().map_err(|error| unreadable(&error))?;
    if let Some(parser) = next.next() {
        // Who takes it no more has found that there is no world.
        parser.send(portion).ok();
    }
    Ok(())
}

/// Makes records of what is read, until nothing comes or nobody takes them any more.
fn parse_all(coming: &Receiver<Portion>, parsed: &SyncSender<Vec<Record>>) -> Result<(), Fault> {
    for Portion { bytes, ends } in coming {
        let bytes = Bytes::from(bytes);
        let (mut records, mut begin) = (Vec::with_capacity(ends.len()), 0);
        for (key_end, end) in ends {
            records.extend(parse(&bytes[begin..key_end], bytes.slice(key_end..end))?);
            begin = end;
        }
        if parsed.send(records).is_err() {
            break;
        }
    }
    Ok(())
}

/// What comes out of these lanes, a portion of each in turn, up to the first of them that ends.
fn in_turn(lanes: Vec<Receiver<Vec<Record>>>) -> impl Iterator<Item = Record> {
    let mut turn = 0;
    std::iter::from_fn(move || {
        let portion = lanes[turn % lanes.len()].recv().ok();
        turn += 1;
        portion
    })
    .flatten()
}

/// `None` for what is not about the world itself.
pub(crate) fn parse(key: &[u8], value: Bytes) -> Result<Option<Record>, Fault> {
    if keys::is_about_the_state(key) {
        return Ok(None);
    }
    let key = keys::decode(key).ok_or_else(|| {
        Fault::Damaged(format!("the state holds a record under the unknown key {key:?}. {CURE}"))
    })?;
    record::decode(key.clone(), value).map(Some).map_err(|error| {
        Fault::Damaged(format!("the state's record of {key:?} does not parse: {error}. {CURE}"))
    })
}

pub(super) fn unreadable(error: &rocksdb::Error) -> Fault {
    Fault::Damaged(format!("the state cannot be read ({error}). {CURE}"))
}

/// What to do about a state that cannot be trusted.
pub(super) const CURE: &str = "If the other members are well, run `corral recover` with this member's configuration, \
     and start it again: it will be sent everything";
