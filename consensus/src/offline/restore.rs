//! Makes members of a new ensemble out of a backup.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use machine::{Damaged, Digest, Machine, Record};
use openraft::BasicNode;
use prost::Message;
use proto::image::{BackupHead, BackupPart, backup_part::Part};
use proto::limits::PEER_MESSAGE_BYTES_MAX;
use proto::{ClusterId, MemberId, Zxid};

use super::folders::Folders;
use super::force::begin;
use super::inspect::Place;
use crate::backup::{FORMAT, MAGIC, records_of};
use crate::snapshot::Checksum;
use crate::types::{LogId, Membership, Vote};
use crate::{Config, Fault, state};

/// What a backup says of itself, seen to be true.
#[derive(Clone, Debug)]
pub struct BackupInWords {
    /// Of which ensemble it is.
    pub cluster: Option<ClusterId>,
    /// Which of its members it was taken from.
    pub member: MemberId,
    /// When, in milliseconds since the epoch.
    pub time: i64,
    /// The last entry of the log that is in it.
    pub at: Place,
    /// Where its world stands.
    pub zxid: Zxid,
    /// The checksum of that world.
    pub digest: u64,
    /// Znodes in it.
    pub znodes: u64,
    /// Whether no leader said what was committed when it was taken: it may lack what was acknowledged before.
    pub stale: bool,
}

/// What was made of it.
#[derive(Clone, Debug)]
pub struct Restored {
    /// What it was made of.
    pub backup: BackupInWords,
    /// The new ensemble: the same on all members that are restored alike.
    pub cluster: ClusterId,
    /// Where its zxids begin.
    pub zxid: Zxid,
    /// The checksum of its world, as it was read from the disk again.
    pub digest: u64,
    /// Znodes in it.
    pub znodes: usize,
    /// Sessions that have ended.
    pub sessions: usize,
    /// Where what was there before went.
    pub aside: Vec<PathBuf>,
}

/// How a backup is restored. All members must be restored alike.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner {
    /// Move aside what is there, instead of refusing.
    pub replace: bool,
    /// A zxid that clients may have seen, though it is not in the backup: those of the new ensemble are higher.
    pub seen: Zxid,
}

/// Reads a backup to its end, and sees that nothing of it is missing or damaged. Keeps none of it.
///
/// # Errors
/// A [`Fault`] that says what is wrong with it.
pub fn check_backup(path: &Path) -> Result<BackupInWords, Fault> {
    read(path, |_| {})
}

/// Makes the folders of this member those of a new ensemble, of which the members are those of its configuration. Their
/// world is that of the backup without its sessions. Nothing is changed before all of it has been seen to be whole.
///
/// # Errors
/// A [`Fault`] if the backup cannot be trusted, or the member runs, or has data that is not to be replaced, or its clients
/// would be taken back.
pub fn restore(path: &Path, config: &Config, manner: Manner) -> Result<Restored, Fault> {
    let folders = Folders::of(config);
    let _held = folders.hold()?;
    let is_there = folders.log.exists() || folders.state.exists();
    if is_there && !manner.replace {
        return Err(Fault::Other(format!(
            "member {} has data in {}: to have it moved aside, add --replace",
            folders.member,
            folders.state.parent().unwrap_or(&folders.state).display()
        )));
    }
    let mut records = Vec::new();
    let backup = read(path, |record| {
        // Whoever had asked for a change of members has gone with the old ensemble.
        if !matches!(record, Record::Reconfiguration(_)) {
            records.push(record);
        }
    })?;
    let mut world = Machine::restore(records).map_err(|error| no_world(path, &error))?;
    let sessions = world.census().sessions;
    let base = world.next_epoch(manner.seen);
    // Known to all who restore the same backup in the same manner, and to nobody else: a member that was restored from
    // another one is refused by these.
    let name = backup.digest.wrapping_add(base.get()).max(1);
    let cluster = ClusterId::new(name).ok_or_else(|| Fault::Other("a name that is none".to_owned()))?;
    if is_there {
        leads_forward(&folders, base)?;
    }
    world.begin_anew(cluster, manner.seen);
    let last = LogId::new_term_index(1, backup.at.index);
    let vote = Vote::new(1, folders.member.get());
    for folder in [&folders.log, &folders.state] {
        let parent = folder.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent)
            .map_err(|error| super::folders::failed("make the directory", parent, error))?;
    }
    let aside = begin(&folders, membership(config)?, &world, (last, Some(vote)), cluster)?;
    Ok(Restored {
        backup,
        cluster,
        zxid: world.last_zxid(),
        digest: world.digest(),
        znodes: world.census().znodes,
        sessions,
        aside,
    })
}

/// What was here must have been in front of what will be.
fn leads_forward(folders: &Folders, base: Zxid) -> Result<(), Fault> {
    // What cannot be read says nothing; that is what a backup may be restored for.
    let Ok(Some((old, _))) = state::look(&folders.state) else { return Ok(()) };
    let old = old.last_zxid();
    if old.get() >> 32 < base.get() >> 32 {
        return Ok(());
    }
    Err(Fault::Other(format!(
        "the data of member {} stands at zxid {old}, and the new ensemble would begin at {base}: clients that have seen the \
         old one would be refused. On all members add --zxids-above {old}",
        folders.member
    )))
}

/// Every member writes the same, whatever addresses it knows: where the others are it looks up in its own configuration.
fn membership(config: &Config) -> Result<Membership, Fault> {
    let address = |(id, address): (&MemberId, &String)| (id.get(), BasicNode::new(address));
    let nodes: BTreeMap<u64, BasicNode> =
        config.members.iter().chain(&config.observers).map(address).collect();
    let voters = config.members.keys().map(|id| id.get()).collect();
    Membership::new(vec![voters], nodes).map_err(|error| Fault::Other(format!("no ensemble: {error}")))
}

/// Reads all of it, and hands over its records one by one.
fn read(path: &Path, mut each: impl FnMut(Record)) -> Result<BackupInWords, Fault> {
    let file = File::open(path).map_err(|error| Fault::disk(format!("open {}", path.display()), error))?;
    let mut file = Parts { path, file: BufReader::with_capacity(1 << 20, file) };
    let mut magic = [0; MAGIC.len()];
    let is_one = file.file.read_exact(&mut magic).is_ok() && magic == *MAGIC;
    if !is_one {
        return Err(Fault::Other(format!("{} is no backup of Corral's", path.display())));
    }
    let Part::Head(head) = file.next()? else { return Err(file.damaged("it has no head")) };
    if head.format != FORMAT {
        return Err(Fault::Other(format!(
            "{} is a backup of format {}, and this version reads format {FORMAT}",
            path.display(),
            head.format
        )));
    }
    let (mut checksum, mut digest, mut records) = (Checksum::default(), Digest::default(), 0);
    let tail = loop {
        match file.next()? {
            Part::Piece(piece) => {
                checksum.add(&piece);
                for record in records_of(piece).map_err(|fault| file.damaged(&fault.to_string()))? {
                    digest.add(&record);
                    records += 1;
                    each(record);
                }
            }
            Part::Tail(tail) => break tail,
            Part::Head(_) => return Err(file.damaged("it has two heads")),
        }
    };
    if checksum.get() != (tail.bytes, tail.crc) || records != head.records {
        return Err(file.damaged("its checksum is another"));
    }
    if digest.get() != tail.digest {
        return Err(file.damaged("its digest is another"));
    }
    if file.file.read(&mut [0]).is_ok_and(|read| read > 0) {
        return Err(file.damaged("something stands behind its end"));
    }
    Ok(in_words(&head, tail.digest))
}

fn in_words(head: &BackupHead, digest: u64) -> BackupInWords {
    let at = head.at.unwrap_or_default();
    BackupInWords {
        cluster: ClusterId::new(head.cluster),
        member: MemberId::new(head.member),
        time: head.time_ms,
        at: Place { term: at.term, index: at.index },
        zxid: Zxid::new(head.zxid),
        digest,
        znodes: head.znodes,
        stale: head.stale,
    }
}

/// The parts of a backup that is read.
struct Parts<'a> {
    path: &'a Path,
    file: BufReader<File>,
}

impl Parts<'_> {
    fn next(&mut self) -> Result<Part, Fault> {
        let length = self.length()?;
        if length > PEER_MESSAGE_BYTES_MAX {
            return Err(self.damaged("it has a part of impossible length"));
        }
        let mut bytes = BytesMut::zeroed(length);
        self.file.read_exact(&mut bytes).map_err(|error| self.cut_short(&error))?;
        let part = BackupPart::decode(Bytes::from(bytes)).ok().and_then(|part| part.part);
        part.ok_or_else(|| self.damaged("it has a part that does not parse"))
    }

    /// As protobuf writes lengths: seven bits in a byte, the lowest first.
    fn length(&mut self) -> Result<usize, Fault> {
        let mut bytes = Vec::new();
        loop {
            let mut byte = [0];
            self.file.read_exact(&mut byte).map_err(|error| self.cut_short(&error))?;
            bytes.push(byte[0]);
            if byte[0] < 0x80 || bytes.len() > 10 {
                break;
            }
        }
        prost::decode_length_delimiter(&*bytes)
            .map_err(|_| self.damaged("it has a part of impossible length"))
    }

    fn cut_short(&self, error: &std::io::Error) -> Fault {
        if error.kind() == std::io::ErrorKind::UnexpectedEof {
            return self.damaged("it is cut short");
        }
        Fault::Other(format!("read {}: {error}", self.path.display()))
    }

    fn damaged(&self, how: &str) -> Fault {
        Fault::Damaged(format!("the backup {} is damaged: {how}", self.path.display()))
    }
}

fn no_world(path: &Path, error: &Damaged) -> Fault {
    Fault::Damaged(format!("the backup {} is no whole world: {error}", path.display()))
}
