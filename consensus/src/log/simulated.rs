//! A log on a disk that is simulated: it knows what was handed to it from what is safe, and a crash knows it too.
//!
//! What is written together is there as a whole or not at all after a crash: of a record that was torn, the checksum of the
//! database's own log would say so, and nothing behind it was safe.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use openraft::entry::RaftEntry;
use parking_lot::Mutex;
use prost::Message;
use proto::{ClusterId, image};
use tokio::sync::oneshot;

use super::changes::{Change, Changes};
use super::disk::{self, Disk, Entries, Found};
use super::keys;
use super::record;
use super::store::LogStore;
use super::thread::{Job, Writer};
use crate::runtime::bugs::Bug;
use crate::runtime::dice::{Dice, pass};
use crate::runtime::life::Life;
use crate::runtime::witness::Witness;
use crate::types::{Entry, LogId};
use crate::{Fault, runtime, wire};

/// Bytes of entries that are kept in memory: few, so that some are read from the disk.
const MEMORY: usize = 2_000;

/// What keeps a log from one life of a member to the next. Cloning shares it.
#[derive(Clone)]
pub(crate) struct Platter(Arc<Mutex<Surface>>);

struct Surface {
    /// How long a write takes, in milliseconds.
    pace: Range<u64>,
    /// A disk that says "safe" of what it has only heard of.
    lies: bool,
    health: Health,
    /// What a reader is given.
    current: Image,
    /// What a crash leaves for sure.
    safe: Image,
    /// What stands between the two.
    cached: Vec<Changes>,
}

/// Whether a disk does what it is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    Sound,
    /// The next write fails.
    Failing,
    /// A write has failed, and from then on all of them do.
    Failed,
}

#[derive(Clone, Default)]
struct Image {
    small: BTreeMap<&'static [u8], Vec<u8>>,
    entries: BTreeMap<u64, Vec<u8>>,
}

impl Platter {
    /// A disk with nothing on it.
    pub(crate) fn new(lies: bool) -> Self {
        let image = Image::blank();
        let (safe, cached, health) = (image.clone(), Vec::new(), Health::Sound);
        Self(Arc::new(Mutex::new(Surface { pace: 0..1, lies, health, current: image, safe, cached })))
    }

    /// The next write will fail, if none has failed yet.
    pub(crate) fn fail(&self) {
        let mut surface = self.0.lock();
        if surface.health == Health::Sound {
            surface.health = Health::Failing;
        }
    }

    /// Whether a write has failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.0.lock().health == Health::Failed
    }

    /// It does again what it is asked to do.
    pub(crate) fn mend(&self) {
        self.0.lock().health = Health::Sound;
    }

    /// Turns over one bit of an entry, if there is any: what is damaged is none of those that can be purged soon.
    pub(crate) fn damage(&self, dice: &Dice) -> bool {
        let mut surface = self.0.lock();
        let Some(mut last) = surface.safe.entries.last_entry() else { return false };
        let record = last.get_mut();
        let bit = dice.within(0..8 * record.len() as u64);
        record[usize::try_from(bit / 8).unwrap_or(0)] ^= 1 << (bit % 8);
        surface.current = surface.safe.clone();
        true
    }

    /// From now on a write takes so many milliseconds.
    pub(crate) fn set_pace(&self, pace: Range<u64>) {
        self.0.lock().pace = pace;
    }

    /// How long a write takes in the middle, as a member finds out when it starts.
    pub(crate) fn sync_time(&self) -> Duration {
        let pace = self.0.lock().pace.clone();
        Duration::from_millis(pace.start.midpoint(pace.end))
    }

    /// The power fails: of what is not safe some is there, and nothing behind what is not.
    pub(crate) fn crash(&self, dice: &Dice) {
        let mut surface = self.0.lock();
        let cached = std::mem::take(&mut surface.cached);
        let kept = usize::try_from(dice.within(0..cached.len() as u64 + 1)).unwrap_or(0);
        for changes in &cached[..kept] {
            surface.safe.change(changes);
        }
        surface.current = surface.safe.clone();
    }

    /// The disk is replaced by a new one.
    pub(crate) fn lose(&self) {
        let mut surface = self.0.lock();
        surface.cached.clear();
        surface.safe = Image::blank();
        surface.current = Image::blank();
    }

    /// The index of the first entry on it.
    pub(crate) fn first(&self) -> Option<u64> {
        self.0.lock().current.entries.keys().next().copied()
    }

    /// Where the log ends that a crash leaves.
    pub(crate) fn last(&self) -> Option<LogId> {
        let surface = self.0.lock();
        let (index, record) = surface.safe.entries.last_key_value()?;
        Some(record::decode(*index, record).ok()?.log_id())
    }

    /// While its member does not run: the log is one of which nobody has caught up yet, with what was sent up
    /// to there.
    pub(crate) fn make_new(&self, upto: u64) {
        let mut surface = self.0.lock();
        assert!(surface.safe.entries.contains_key(&0), "nothing was purged");
        surface.safe.entries.retain(|index, _| *index <= upto);
        surface.safe.small.retain(|key, _| *key == keys::VOTE_KEY.as_slice());
        surface.safe.small.insert(keys::NEW_KEY.as_slice(), vec![keys::NEW_HEARD]);
        surface.current = surface.safe.clone();
    }

    /// While its member does not run: the entries of the last term are as if they had never been written, and others of the
    /// term before, which they have overruled, are still in their places and one further on.
    pub(crate) fn end_with_older(&self) {
        let mut surface = self.0.lock();
        let safe = &mut surface.safe;
        let read = |(index, record): (&u64, &Vec<u8>)| record::decode(*index, record).expect("it is whole");
        let last = safe.entries.last_key_value().map(read).expect("there is an entry");
        let term = |entry: &Entry| **entry.log_id.committed_leader_id();
        let first =
            safe.entries.iter().map(read).find(|entry| term(entry) == term(&last)).expect("it is one");
        let before =
            safe.entries.range(..first.index()).next_back().map(read).expect("there was a term before");
        for index in first.index()..=last.index() + 1 {
            let log_id = LogId::new_term_index(term(&before), index);
            let entry: Entry = RaftEntry::new(log_id, openraft::EntryPayload::Blank);
            let mut bytes = Vec::new();
            record::encode(&entry, &mut bytes);
            safe.entries.insert(index, bytes);
        }
        safe.small.remove(keys::COMMITTED_KEY.as_slice());
        surface.current = surface.safe.clone();
    }

    /// While its member does not run: up to where a quorum was known to have acknowledged was not written down.
    pub(crate) fn forget_committed(&self) {
        let mut surface = self.0.lock();
        surface.safe.small.remove(keys::COMMITTED_KEY.as_slice());
        surface.current = surface.safe.clone();
    }

    /// Whether its member has not yet caught up with a leader since it had nothing on it.
    pub(crate) fn is_new(&self) -> bool {
        self.0.lock().safe.small.contains_key(keys::NEW_KEY.as_slice())
    }

    /// Opens the log in a life of its member. What is returned besides writes what has gathered, and closes it.
    pub(crate) fn open(&self, life: &Arc<Life>) -> Result<(LogStore, BoxFuture<'static, ()>), Fault> {
        let found = {
            let mut surface = self.0.lock();
            if life.bug == Some(Bug::EmptyDiskVotes) {
                let Surface { current, safe, .. } = &mut *surface;
                for image in [current, safe] {
                    image.small.remove(keys::NEW_KEY.as_slice());
                }
            }
            surface.current.examine()?
        };
        let (store, jobs) = LogStore::new(found, Arc::new(self.clone()));
        let head = Head { platter: self.clone(), life: life.clone(), begun: false };
        let writer = Writer { disk: head, jobs, saved: store.newest() };
        let (ended, end) = oneshot::channel::<()>();
        runtime::spawn(run(writer, self.clone(), life.dice.clone(), ended));
        let jobs = store.jobs();
        let close = Box::pin(async move {
            let _ = jobs.send(Job::Stop).await;
            drop(jobs);
            let _ = end.await;
        });
        Ok((store, close))
    }
}

/// What the log thread does, in simulated time.
async fn run(
    mut writer: Writer<Head, Arc<super::store::Newest>>,
    platter: Platter,
    dice: Dice,
    ended: oneshot::Sender<()>,
) {
    while let Some(first) = writer.jobs.recv().await {
        let gathered = writer.gather(first);
        let stop = gathered.stop;
        writer.disk.begin(&gathered.batch);
        let pace = platter.0.lock().pace.clone();
        let time: Duration = dice.millis(pace);
        pass(time).await;
        if let Err(fault) = writer.write(gathered) {
            writer.jobs.close();
            while let Some(job) = writer.jobs.recv().await {
                job.refuse(&fault);
            }
            break;
        }
        if stop {
            break;
        }
    }
    drop(ended);
}

/// The arm that writes.
struct Head {
    platter: Platter,
    life: Arc<Life>,
    /// Whether what is to be written next was handed over already.
    begun: bool,
}

impl Head {
    /// The disk begins to write: from now on a crash may leave it there.
    fn begin(&mut self, changes: &Changes) {
        self.platter.0.lock().cached.push(changes.clone());
        self.begun = true;
    }
}

impl Disk for Head {
    fn write(&mut self, changes: Changes, sync: bool) -> Result<(), Fault> {
        let mut surface = self.platter.0.lock();
        let surface = &mut *surface;
        let begun = std::mem::take(&mut self.begun);
        if surface.health != Health::Sound {
            surface.health = Health::Failed;
            if self.life.bug == Some(Bug::FailedWriteAcknowledged) {
                surface.cached.pop_if(|_| begun);
                return Ok(());
            }
            // Whether any of it is there after all, nobody knows.
            return Err(Fault::disk("write the log", "the simulated disk is broken"));
        }
        surface.current.testify(self.life.member, &changes, &self.life.witness);
        if !begun {
            surface.cached.push(changes.clone());
        }
        surface.current.change(&changes);
        let is_vote =
            |change: &Change| matches!(change, Change::Put { key, .. } if *key == keys::VOTE_KEY.as_slice());
        let late = self.life.bug == Some(Bug::VoteNotFlushed) && changes.list().iter().all(is_vote);
        let left = if surface.lies { 8 } else { 0 };
        if sync && !late && surface.cached.len() > left {
            let safe = surface.cached.len() - left;
            for changes in surface.cached.drain(..safe) {
                if self.life.bug == Some(Bug::TruncationNotFlushed) {
                    surface.safe.change_but_truncate(&changes);
                } else {
                    surface.safe.change(&changes);
                }
            }
        }
        Ok(())
    }

    fn free(&mut self, _upto: u64) -> Result<(), Fault> {
        Ok(())
    }
}

impl Entries for Platter {
    fn read(&self, range: Range<u64>, bytes_max: usize) -> Result<Vec<Entry>, Fault> {
        let surface = self.0.lock();
        if surface.health == Health::Failed {
            return Err(Fault::disk("read the log", "the simulated disk is broken"));
        }
        disk::collect(surface.current.entries(range.start), range, bytes_max)
    }
}

impl Image {
    fn blank() -> Self {
        let small = BTreeMap::from([(keys::NEW_KEY.as_slice(), Vec::new())]);
        Self { small, entries: BTreeMap::new() }
    }

    fn change(&mut self, changes: &Changes) {
        changes.list().iter().for_each(|change| self.make(change));
    }

    /// The same, but for the end of the log, which is not cut off.
    fn change_but_truncate(&mut self, changes: &Changes) {
        let truncates = |change: &&Change| matches!(change, Change::DeleteEntries { end: None, .. });
        changes.list().iter().filter(|change| !truncates(change)).for_each(|change| self.make(change));
    }

    fn make(&mut self, change: &Change) {
        match change {
            Change::Put { key, value } => {
                self.small.insert(key, value.clone());
            }
            Change::Delete { key } => {
                self.small.remove(key);
            }
            Change::Entry { index, record } => {
                self.entries.insert(*index, record.clone());
            }
            Change::DeleteEntries { from, end } => {
                let mut behind = self.entries.split_off(from);
                if let Some(end) = end {
                    self.entries.append(&mut behind.split_off(end));
                }
            }
        }
    }

    fn entries(&self, from: u64) -> impl Iterator<Item = Result<Entry, Fault>> {
        self.entries.range(from..).map(|(index, record)| record::decode(*index, record))
    }

    fn message<M: Message + Default>(&self, key: &[u8]) -> Option<M> {
        self.small.get(key).map(|value| M::decode(value.as_slice()).expect("a small record parses"))
    }

    fn purged(&self) -> Option<LogId> {
        self.message::<image::Position>(&keys::PURGED_KEY).map(wire::log_id)
    }

    fn cluster(&self) -> Option<ClusterId> {
        let name = self.small.get(keys::CLUSTER_KEY.as_slice())?;
        ClusterId::new(u64::from_be_bytes(name.as_slice().try_into().ok()?))
    }

    fn examine(&self) -> Result<Found, Fault> {
        let purged = self.purged();
        let start = purged.map_or(0, |purged| purged.index() + 1);
        let tail = disk::examine(purged, self.entries(start), MEMORY)?;
        let committed = self.message::<image::Position>(&keys::COMMITTED_KEY).map(wire::log_id);
        let new = self.small.get(keys::NEW_KEY.as_slice()).map(Vec::as_slice);
        Ok(Found {
            forgetful: disk::says(new, keys::NEW_FORGETFUL),
            heard: disk::says(new, keys::NEW_HEARD),
            new: new.is_some(),
            vote: self.message::<image::Vote>(&keys::VOTE_KEY).map(wire::read_vote),
            committed: committed.min(tail.last()),
            cluster: self.cluster(),
            tail,
        })
    }

    /// Tells of entries that are about to be written behind what is here.
    fn testify(&self, member: u64, changes: &Changes, witness: &Witness) {
        let mut written = BTreeMap::new();
        for change in changes.list() {
            let Change::Entry { index, record } = change else { continue };
            let entry = record::decode(*index, record).expect("what is written can be read");
            let term = **entry.log_id.committed_leader_id();
            let before = index.checked_sub(1).and_then(|before| {
                let on_disk =
                    || self.entries.get(&before).and_then(|record| record::decode(before, record).ok());
                let purged = || self.purged().filter(|purged| purged.index() == before);
                let here = written.get(&before).copied();
                here.or_else(|| on_disk().map(|entry| entry.log_id())).or_else(purged)
            });
            let before = before.map(|before: LogId| **before.committed_leader_id());
            witness.wrote(member, term, *index, before, record);
            written.insert(*index, entry.log_id());
        }
    }
}
