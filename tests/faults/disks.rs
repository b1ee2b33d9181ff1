//! Disks that fail, are damaged, or are lost.
//!
//! One disk at a time: what only two of three members have on disk is lost with both, and no server can help that. So
//! whoever takes a disk away waits first until all others have caught up with theirs.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use fastrand::Rng;

use crate::disk::Fault;
use crate::{Ensemble, corral, wait};

/// What a disk may fail in.
const FAULTS: [(Fault, &str); 5] = [
    (Fault::Full, "/data/"),
    (Fault::Write, "/data/log/"),
    (Fault::Sync, "/data/log/"),
    (Fault::Write, "/data/state/"),
    (Fault::Sync, "/data/state/"),
];

/// Smaller logs are not damaged: in their front could be what was written last, and a damage there cannot be told from a
/// record that was being written when the member died.
const LONG_LOG: u64 = 65_536;

/// Of which part of a file, counted from its front, a bit may change: one in so many.
const FRONT: u64 = 4;

/// Bytes of a block of the log that RocksDB writes, and of the header of each piece of a record in it.
const BLOCK: u64 = 32 << 10;
const HEADER: u64 = 7;
/// The kinds of such a piece that is a whole record, and that is the first of several.
const FULL: u8 = 1;
const FIRST: u8 = 2;

/// Waits until no member fills an empty disk any more.
pub(super) fn await_all_caught_up(ensemble: &Ensemble) {
    for id in ensemble.ids() {
        wait::until("a member has caught up with its new log", || {
            ensemble.four_letter(id, "mntr").ok().filter(|told| told.contains("zk_corral_log_new\t0\n"))
        });
    }
}

/// The disk fails, the member ends, the disk is mended, and the member starts again.
pub(super) fn fail(ensemble: &mut Ensemble, rng: &mut Rng, id: usize) -> String {
    let (fault, of) = FAULTS[rng.usize(..FAULTS.len())];
    ensemble.break_disk(id, Some((fault, of)));
    let status = ensemble.await_end(id);
    assert_eq!(
        status.code(),
        Some(1),
        "member {id} with a broken disk ended otherwise:\n{}",
        ensemble.log(id)
    );
    ensemble.break_disk(id, None);
    ensemble.start_member(id);
    format!("member {id}, {fault:?} of {of}")
}

/// The first bytes of a record stand behind the last whole one.
pub(super) fn tear(ensemble: &mut Ensemble, rng: &mut Rng, id: usize) -> String {
    ensemble.kill9(id);
    let mut logs = files(&ensemble.directory(id).join("data/log"));
    logs.retain(|path| path.extension().is_some_and(|ending| ending == "log"));
    logs.sort();
    let log = logs.last().expect("a member has a log");
    let written = fs::metadata(log).expect("a member has a log").len();
    let (record, there, length) = torn_record(rng, written);
    let mut file = OpenOptions::new().append(true).open(log).expect("a member's log can be written");
    file.write_all(&record).expect("a member's log can be written");
    ensemble.start_member(id);
    format!("member {id}, {there} bytes of {length}")
}

/// What RocksDB would have begun to write behind so many bytes: a check sum, a length, a kind, and less than the length says. No
/// piece of a record crosses the end of a block, so what has no room there is the first piece of one.
fn torn_record(rng: &mut Rng, written: u64) -> (Vec<u8>, u16, u16) {
    let left = BLOCK - written % BLOCK;
    // Where there is no room for a header the block is filled up.
    let (filling, room) = if left < HEADER { (left, BLOCK - HEADER) } else { (0, left - HEADER) };
    let whole = rng.u16(200..2_000);
    let (kind, length) = match u16::try_from(room) {
        Ok(room) if room < whole => (FIRST, room),
        _ => (FULL, whole),
    };
    let there = rng.u16(..=length.saturating_sub(1).min(200));
    let mut record = vec![0; usize::try_from(filling).unwrap_or(0)];
    record.extend(rng.u32(..).to_le_bytes());
    record.extend(length.to_le_bytes());
    record.push(kind);
    record.extend(std::iter::repeat_with(|| rng.u8(..)).take(usize::from(there)));
    (record, there, length)
}

/// A bit changes.
pub(super) fn damage(ensemble: &mut Ensemble, rng: &mut Rng, id: usize) -> String {
    await_all_caught_up(ensemble);
    ensemble.kill9(id);
    let data = ensemble.directory(id).join("data");
    let size = |path: &PathBuf| fs::metadata(path).map_or(0, |it| it.len());
    let mut found = files(&data);
    found.retain(|path| {
        let name = path.to_string_lossy();
        let is_log = name.contains("/log/") && name.ends_with(".log") && size(path) >= LONG_LOG;
        is_log || (name.contains("/state/") && name.ends_with(".sst"))
    });
    found.sort();
    let mut what = format!("member {id} has nothing to damage");
    if !found.is_empty() {
        let path = &found[rng.usize(..found.len())];
        let at = rng.u64(..size(path) / FRONT);
        let mut bytes = fs::read(path).expect("a member's files can be read");
        bytes[usize::try_from(at).expect("a file fits into memory")] ^= 1 << rng.u8(..8);
        fs::write(path, bytes).expect("a member's files can be written");
        let name = path.strip_prefix(&data).unwrap_or(path).display();
        what = format!("member {id}, byte {at} of {name}");
    }
    ensemble.start_member(id);
    if ensemble.serves_or_ends(id) {
        return format!("{what}, and served");
    }
    recover(ensemble, id);
    ensemble.start_member(id);
    format!("{what}, and was recovered")
}

/// All is gone but the member's number.
pub(super) fn lose(ensemble: &mut Ensemble, id: usize) -> String {
    await_all_caught_up(ensemble);
    ensemble.kill9(id);
    empty(ensemble, id);
    ensemble.start_member(id);
    format!("member {id}")
}

/// Leaves nothing in the folder of a member's data but its number.
pub(super) fn empty(ensemble: &Ensemble, id: usize) {
    let data = ensemble.directory(id).join("data");
    fs::remove_dir_all(&data).and_then(|()| fs::create_dir_all(&data)).expect("a member's disk can be lost");
    fs::write(data.join("myid"), format!("{id}\n")).expect("a member can be told its number");
}

fn recover(ensemble: &Ensemble, id: usize) {
    let mut command = Command::new(corral().expect("there is a server under test"));
    let output = command.arg("recover").arg(ensemble.directory(id).join("zoo.cfg")).output();
    let output = output.expect("run corral recover");
    let said = [&*output.stdout, &*output.stderr].map(String::from_utf8_lossy).concat();
    assert!(
        output.status.success(),
        "member {id} refused, and is not recovered: {said}\n{}",
        ensemble.log(id)
    );
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a member's folder can be read") {
            let path = entry.expect("a member's folder can be read").path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found
}
