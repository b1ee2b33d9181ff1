//! The whole state as one stream that can be kept and restored: taken from a pinned view while the world goes on.
//!
//! It is read twice: once to know how long it will be and what it comes to, once to send it. Nothing is held in memory
//! but the pieces on their way.

use std::sync::Arc;

use bytes::Bytes;
use machine::{Digest, Record};
use prost::Message;
use proto::image::{self, BackupHead, BackupPart, BackupTail, backup_part::Part};
use proto::limits::SNAPSHOT_CHUNKS_AHEAD_MAX;
use proto::{ClusterId, MemberId, Zxid};
use tokio::sync::mpsc;

use crate::snapshot::Checksum;
use crate::state::{Pinned, parse};
use crate::{Fault, clock, wire};

/// What every backup begins with.
pub(crate) const MAGIC: &[u8] = b"corral backup\n";

/// What this version writes and reads.
pub(crate) const FORMAT: u32 = 1;

/// What is done if no leader says what is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaderless {
    /// There is no backup.
    Refused,
    /// It is of what this member has, and says so.
    Stale,
}

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum NoBackup {
    /// What was acknowledged elsewhere might not be in it.
    #[error("no leader says what is committed, so a backup might lack what was acknowledged")]
    Leaderless,
    /// The state cannot be read.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// A backup that can be sent.
pub struct Backup {
    pinned: Arc<dyn Pinned>,
    head: BackupHead,
    digest: u64,
    bytes: u64,
}

impl Backup {
    /// Of a pinned state of this member, which may be `stale`. Waits for the disk.
    pub(crate) fn of(pinned: Arc<dyn Pinned>, member: MemberId, stale: bool) -> Result<Self, Fault> {
        let (mut digest, mut records, mut znodes, mut world) = (Digest::default(), 0, 0, None);
        let (mut bytes, mut checksum) = (0, Checksum::default());
        for piece in pieces(&*pinned) {
            let piece = piece?;
            checksum.add(&piece);
            bytes += length(&BackupPart { part: Some(Part::Piece(piece.clone())) });
            for record in records_of(piece)? {
                match &record {
                    Record::World(record) => world = Some(*record),
                    Record::Znode(_) => znodes += 1,
                    _ => {}
                }
                digest.add(&record);
                records += 1;
            }
        }
        let progress = pinned.progress();
        let (Some(at), Some(world)) = (&progress.applied, world) else {
            return Err(Fault::Other("there is no world to make a backup of".to_owned()));
        };
        let head = BackupHead {
            format: FORMAT,
            at: Some(wire::position(at)),
            zxid: world.last_zxid.get(),
            cluster: world.cluster.map_or(0, ClusterId::get),
            member: member.get(),
            time_ms: clock::wall(),
            records,
            znodes,
            stale,
        };
        let (of_pieces, crc) = checksum.get();
        let tail = BackupTail { bytes: of_pieces, crc, digest: digest.get() };
        bytes += MAGIC.len() as u64
            + length(&BackupPart { part: Some(Part::Head(head)) })
            + length(&BackupPart { part: Some(Part::Tail(tail)) });
        Ok(Self { pinned, head, digest: tail.digest, bytes })
    }

    /// Where its world stands.
    pub fn zxid(&self) -> Zxid {
        Zxid::new(self.head.zxid)
    }

    /// Whether no leader said what was committed, so that it may lack what was acknowledged before it was asked for.
    pub const fn is_stale(&self) -> bool {
        self.head.stale
    }

    /// How many bytes it has in all.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// All of it, in pieces that are read as they are taken. An error ends them.
    pub fn stream(self) -> mpsc::Receiver<Result<Bytes, Fault>> {
        let (sender, receiver) = mpsc::channel(SNAPSHOT_CHUNKS_AHEAD_MAX);
        let failing = sender.clone();
        let thread = std::thread::Builder::new().name("backup".to_owned());
        // Whoever takes the pieces may go at any moment; then there is nothing left to do.
        if let Err(error) = thread.spawn(move || self.send(&sender)) {
            failing.try_send(Err(Fault::Other(format!("start a thread: {error}")))).ok();
        }
        receiver
    }

    fn send(self, sender: &mpsc::Sender<Result<Bytes, Fault>>) -> Option<()> {
        let put = |part: Part| {
            let bytes = BackupPart { part: Some(part) }.encode_length_delimited_to_vec();
            sender.blocking_send(Ok(bytes.into())).ok()
        };
        sender.blocking_send(Ok(Bytes::from_static(MAGIC))).ok()?;
        put(Part::Head(self.head))?;
        let mut checksum = Checksum::default();
        for piece in pieces(&*self.pinned) {
            match piece {
                Ok(piece) => {
                    checksum.add(&piece);
                    put(Part::Piece(piece))?;
                }
                Err(fault) => return sender.blocking_send(Err(fault)).ok(),
            }
        }
        let (bytes, crc) = checksum.get();
        put(Part::Tail(BackupTail { bytes, crc, digest: self.digest }))
    }
}

/// The records of a piece that are about the world.
pub(crate) fn records_of(piece: Bytes) -> Result<Vec<Record>, Fault> {
    let piece = image::Piece::decode(piece)
        .map_err(|error| Fault::Other(format!("a piece of the state does not parse: {error}")))?;
    let records = piece.records.into_iter().map(|image::Record { key, value }| parse(&key, value));
    records.filter_map(Result::transpose).collect()
}

fn pieces(pinned: &dyn Pinned) -> impl Iterator<Item = Result<Bytes, Fault>> {
    let (reader, mut pieces) = mpsc::channel(SNAPSHOT_CHUNKS_AHEAD_MAX);
    pinned.send_to(reader);
    std::iter::from_fn(move || pieces.blocking_recv())
}

fn length(part: &BackupPart) -> u64 {
    let bytes = part.encoded_len();
    (bytes + prost::length_delimiter_len(bytes)) as u64
}
