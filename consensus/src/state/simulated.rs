//! A state on a disk that is simulated: a crash leaves the world as it was at one place of the log, not before the last
//! flush.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use machine::{Key, Machine, Record};
use parking_lot::Mutex;
use proto::{image, limits};
use tokio::sync::{mpsc, oneshot};

use super::database::Progress;
use super::kept::{Incoming, Kept, Pinned, Promise, Reader, Store};
use super::load::parse;
use super::{keys, pin, record};
use crate::runtime::bugs::{Bug, is_in};
use crate::runtime::dice::{Dice, pass};
use crate::runtime::life::Life;
use crate::runtime::{watch, witness};
use crate::types::LogId;
use crate::{Fault, runtime};

/// Milliseconds until a state is pinned.
const PINNING: Range<u64> = 0..4;

/// Where a record lies: an image is copied often, and its keys are not.
type Place = Arc<[u8]>;
type Image = BTreeMap<Place, Bytes>;
type Changes = Vec<(Place, Option<Bytes>)>;

/// What keeps a state from one life of a member to the next. Cloning shares it.
#[derive(Clone)]
pub(crate) struct Platter(Arc<Mutex<Surface>>);

struct Surface {
    /// How long a write takes, in milliseconds.
    pace: Range<u64>,
    /// Milliseconds until a whole state is read that is to be sent.
    reading: u64,
    /// How often the whole was replaced.
    generation: u64,
    /// What the next write comes to.
    health: Health,
    /// What a crash leaves for sure.
    safe: Image,
    /// What was written since, some of which a crash may leave.
    written: Vec<Changes>,
}

/// Whether a disk does what it is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    Sound,
    /// The next write fails, and all behind it.
    Failing,
    Failed,
}

/// Is told what the state of a member comes to when it has applied the log up to there, and whether its world stands just
/// there too.
pub(crate) type Look = Arc<dyn Fn(LogId, u64, bool) + Send + Sync>;

impl Platter {
    /// A disk with an empty world.
    pub(crate) fn new() -> Self {
        let (health, written) = (Health::Sound, Vec::new());
        Self(Arc::new(Mutex::new(Surface {
            pace: 0..1,
            reading: 0,
            generation: 0,
            health,
            safe: blank(),
            written,
        })))
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

    /// From now on a write takes so many milliseconds.
    /// From now on it takes so many milliseconds to read a whole state that is to be sent.
    pub(crate) fn set_reading(&self, millis: u64) {
        self.0.lock().reading = millis;
    }

    pub(crate) fn set_pace(&self, pace: Range<u64>) {
        self.0.lock().pace = pace;
    }

    /// The power fails.
    pub(crate) fn crash(&self, dice: &Dice, bug: Option<Bug>) {
        let mut surface = self.0.lock();
        let written = std::mem::take(&mut surface.written);
        let kept = usize::try_from(dice.within(0..written.len() as u64 + 1)).unwrap_or(0);
        let lacks =
            if bug == Some(Bug::StateOutOfOrder) { dice.within(0..kept.max(1) as u64) } else { u64::MAX };
        for (_, changes) in (0..).zip(written.into_iter().take(kept)).filter(|(place, _)| *place != lacks) {
            change(&mut surface.safe, &changes);
        }
    }

    /// If the power fails now, nothing will be there but what is safe.
    pub(crate) fn forget(&self) {
        self.0.lock().written.clear();
    }

    /// The disk is replaced by a new one.
    pub(crate) fn lose(&self) {
        let mut surface = self.0.lock();
        surface.written.clear();
        surface.safe = blank();
    }

    /// Opens the state in a life of its member.
    pub(crate) fn open(&self, life: &Arc<Life>, look: Look) -> Result<(Store, Machine, Progress), Fault> {
        let image = self.current();
        let (machine, progress) = load(&image)?;
        let (jobs, waiting) = mpsc::channel(limits::PERSIST_BATCHES_MAX);
        let (sender, written) = watch::channel(Some(progress.applied));
        runtime::spawn(run(self.clone(), life.dice.clone(), waiting, sender.clone()));
        let sums = Sums::of(&image);
        // What a start finds is what others had there.
        progress.applied.into_iter().for_each(|applied| look(applied, sums.all, false));
        let sums = Arc::new(Mutex::new(sums));
        let dice = life.dice.clone();
        let kept = Simulated { platter: self.clone(), jobs, sender, written, look, sums, dice };
        Ok((Store::over(Arc::new(kept)), machine, progress))
    }

    fn current(&self) -> Image {
        let surface = self.0.lock();
        let mut image = surface.safe.clone();
        surface.written.iter().for_each(|changes| change(&mut image, changes));
        image
    }

    fn flush(&self) -> Result<(), Fault> {
        self.see_to_write()?;
        let mut surface = self.0.lock();
        for changes in std::mem::take(&mut surface.written) {
            change(&mut surface.safe, &changes);
        }
        Ok(())
    }

    fn see_to_write(&self) -> Result<(), Fault> {
        let mut surface = self.0.lock();
        if surface.health == Health::Sound {
            return Ok(());
        }
        surface.health = Health::Failed;
        Err(Fault::disk("write the state", "the simulated disk is broken"))
    }
}

/// What records come to, each and all together.
struct Sums {
    single: BTreeMap<Place, u64>,
    all: u64,
}

impl Sums {
    fn of(image: &Image) -> Self {
        let mut sums = Self { single: BTreeMap::new(), all: 0 };
        image.iter().for_each(|(key, value)| sums.put(key, Some(value)));
        sums
    }

    fn put(&mut self, key: &Place, value: Option<&Bytes>) {
        // How far in the log it leads is that of the member, not of the world.
        if **key == keys::PROGRESS_KEY {
            return;
        }
        let sum = |value: &Bytes| witness::mix(witness::bytes(key), witness::bytes(value));
        let before = match value.map(sum) {
            Some(sum) => {
                self.all = self.all.wrapping_add(sum);
                self.single.insert(key.clone(), sum)
            }
            None => self.single.remove(key),
        };
        self.all = self.all.wrapping_sub(before.unwrap_or(0));
    }
}

struct Job {
    generation: u64,
    changes: Changes,
    applied: Option<LogId>,
}

/// What the state thread does, in simulated time.
async fn run(platter: Platter, dice: Dice, mut jobs: mpsc::Receiver<Job>, written: watch::Sender<Written>) {
    while let Some(job) = jobs.recv().await {
        let pace = platter.0.lock().pace.clone();
        pass(dice.millis(pace)).await;
        if platter.see_to_write().is_err() {
            written.send_replace(None);
            return;
        }
        let mut surface = platter.0.lock();
        if surface.generation == job.generation {
            surface.written.push(job.changes);
            drop(surface);
            written.send_replace(Some(job.applied));
        }
    }
}

/// How far the state is written; `None` when it is written no more.
type Written = Option<Option<LogId>>;

struct Simulated {
    platter: Platter,
    jobs: mpsc::Sender<Job>,
    sender: watch::Sender<Written>,
    written: watch::Receiver<Written>,
    look: Look,
    sums: Arc<Mutex<Sums>>,
    dice: Dice,
}

impl Kept for Simulated {
    fn write(
        &self,
        changes: Vec<(Key, Option<Record>)>,
        progress: Progress,
    ) -> BoxFuture<'_, Result<(), Fault>> {
        let mut changes: Changes = changes
            .iter()
            .map(|(key, value)| {
                (keys::encode(key).into(), value.as_ref().map(|value| record::encode(value).into()))
            })
            .collect();
        let sum = {
            let mut sums = self.sums.lock();
            changes.iter().for_each(|(key, value)| sums.put(key, value.as_ref()));
            sums.all
        };
        // The world stands right behind these changes, and nobody else has had a turn since.
        progress.applied.into_iter().for_each(|applied| (self.look)(applied, sum, true));
        changes.push((keys::PROGRESS_KEY.into(), Some(progress.encode().into())));
        let generation = self.platter.0.lock().generation;
        Box::pin(async move {
            let job = Job { generation, changes, applied: progress.applied };
            self.jobs.send(job).await.map_err(|_| Fault::Other("the state was closed".to_owned()))
        })
    }

    fn written(&self, applied: Option<LogId>) -> BoxFuture<'_, Result<(), Fault>> {
        let mut written = self.written.clone();
        Box::pin(async move {
            let is_over = |written: &Written| written.is_none_or(|written| written >= applied);
            let over = written.wait_for(is_over).await.map(|written| written.is_some());
            if over == Ok(true) { Ok(()) } else { Err(Fault::Other("the state was closed".to_owned())) }
        })
    }

    fn pin(&self) -> BoxFuture<'_, Result<Arc<dyn Pinned>, Fault>> {
        Box::pin(async move {
            // What was handed over may be written meanwhile, or not.
            pass(self.dice.millis(PINNING)).await;
            let mut image = self.platter.current();
            if is_in(Bug::SnapshotBehind) {
                let now = image.get(keys::PROGRESS_KEY.as_slice()).cloned();
                image = self.platter.0.lock().safe.clone();
                now.map(|now| image.insert(keys::PROGRESS_KEY.into(), now));
            }
            if is_in(Bug::SnapshotWithoutWatches) {
                image.retain(|key, _| !matches!(keys::decode(key), Some(Key::Watch(..))));
            }
            let progress = progress(&image)?;
            let platter = self.platter.clone();
            Ok(Arc::new(Pin { image, progress, platter, dice: self.dice.clone() }) as Arc<dyn Pinned>)
        })
    }

    fn pin_behind(&self) -> BoxFuture<'_, Result<Promise, Fault>> {
        Box::pin(async move {
            let (pinned, promise) = oneshot::channel();
            // Nobody puts a mark into a simulated log: what stands here is for those who only ask.
            pinned.send(self.pin().await).ok();
            Ok(promise)
        })
    }

    fn incoming(&self) -> Result<Box<dyn Incoming>, Fault> {
        self.platter.see_to_write()?;
        let (platter, written) = (self.platter.clone(), self.sender.clone());
        let (look, sums) = (self.look.clone(), self.sums.clone());
        Ok(Box::new(Received { image: Image::new(), platter, written, look, sums }))
    }

    fn close(&self) {
        // The next start takes from the log what is not there.
        self.platter.flush().ok();
    }
}

struct Pin {
    image: Image,
    progress: Progress,
    platter: Platter,
    dice: Dice,
}

impl Pinned for Pin {
    fn progress(&self) -> &Progress {
        &self.progress
    }

    fn send_to(&self, reader: Reader) {
        let records = self
            .image
            .iter()
            .map(|(key, value)| Ok(image::Record { key: key.to_vec().into(), value: value.clone() }));
        let mut pieces = Vec::new();
        pin::send(records, |piece| {
            pieces.push(piece);
            Ok(())
        })
        .ok();
        let reading = self.platter.0.lock().reading;
        runtime::spawn(async move {
            pass(Duration::from_millis(reading)).await;
            for piece in pieces {
                if reader.send(piece).await.is_err() {
                    return;
                }
            }
        });
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), Fault>> {
        Box::pin(async move {
            let pace = self.platter.0.lock().pace.clone();
            pass(self.dice.millis(pace)).await;
            if is_in(Bug::PurgedTooEarly) { Ok(()) } else { self.platter.flush() }
        })
    }
}

struct Received {
    image: Image,
    platter: Platter,
    written: watch::Sender<Written>,
    look: Look,
    sums: Arc<Mutex<Sums>>,
}

impl Incoming for Received {
    fn write(&mut self, records: &[image::Record]) -> Result<(), Fault> {
        for image::Record { key, value } in records {
            self.image.insert(Arc::from(&**key), value.clone());
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Progress, Fault> {
        progress(&self.image)
    }

    fn install(self: Box<Self>) -> Result<(Machine, Progress), Fault> {
        self.platter.see_to_write()?;
        let (machine, progress) = load(&self.image)?;
        let sums = Sums::of(&self.image);
        progress.applied.into_iter().for_each(|applied| (self.look)(applied, sums.all, false));
        *self.sums.lock() = sums;
        let mut surface = self.platter.0.lock();
        surface.generation += 1;
        surface.safe = self.image;
        surface.written.clear();
        drop(surface);
        self.written.send_replace(Some(progress.applied));
        Ok((machine, progress))
    }
}

fn blank() -> Image {
    let world = Machine::new();
    let records =
        world.records().map(|record| (keys::encode(&record.key()).into(), record::encode(&record).into()));
    records.chain([(keys::FORMAT_KEY.into(), keys::FORMAT.to_be_bytes().to_vec().into())]).collect()
}

fn change(image: &mut Image, changes: &Changes) {
    for (key, value) in changes {
        match value {
            Some(value) => image.insert(key.clone(), value.clone()),
            None => image.remove(key),
        };
    }
}

fn progress(image: &Image) -> Result<Progress, Fault> {
    image
        .get(keys::PROGRESS_KEY.as_slice())
        .map_or_else(|| Ok(Progress::default()), |bytes| Progress::decode(bytes))
}

fn load(image: &Image) -> Result<(Machine, Progress), Fault> {
    let records: Vec<Option<Record>> =
        image.iter().map(|(key, value)| parse(key, value.clone())).collect::<Result<_, _>>()?;
    let machine = Machine::restore(records.into_iter().flatten())
        .map_err(|error| Fault::Damaged(format!("the state is no whole world: {error}")))?;
    Ok((machine, progress(image)?))
}
