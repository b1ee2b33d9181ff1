//! The digest of this member's state at marks in the log.
//!
//! A mark is an entry that changes nothing. Whoever applies it pins the state right behind it and adds it up on a thread
//! of its own: so members are compared at one place while the world goes on, and nobody waits.

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::sync::Arc;

use machine::{Digest, Record};
use prost::Message;
use proto::limits::{DIGEST_WAIT_MAX, DIGESTS_KEPT_MAX, SNAPSHOT_CHUNKS_AHEAD_MAX};
use proto::{Zxid, image};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::{info, warn};

use crate::Fault;
use crate::runtime::watch;
use crate::state::{Pinned, Promise, Store, parse};

/// What a state comes to at one place of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digested {
    /// The term of the last entry that is in it.
    pub term: u64,
    /// The number of that entry.
    pub index: u64,
    /// Where its world stands.
    pub zxid: Zxid,
    /// The checksum of that world; see `machine::Digest`.
    pub digest: u64,
    /// How many records it has.
    pub records: u64,
}

/// A digest, or why there is none.
pub(crate) type Found = Result<Digested, String>;

/// What was found at the last marks. Cloning shares it.
#[derive(Clone, Debug)]
pub(crate) struct Digests {
    found: Arc<watch::Sender<Marks>>,
    /// The last entry that stood in the log when this member started. It goes through those once more, and nobody waits for
    /// what it would find there. (How old a mark is does not tell: clocks of members may be wrong by days.)
    known: u64,
}

/// The last marks in their order; `None` where it is still being found out.
type Marks = VecDeque<(NonZeroU64, Option<Found>)>;

impl Digests {
    /// Of a member whose log ended with the entry of this index when it started.
    pub(crate) fn new(known: u64) -> Self {
        Self { found: Arc::new(watch::Sender::new(VecDeque::new())), known }
    }

    /// A mark was applied, as the entry of this index, and all changes up to it were handed to the store. Waits for nothing.
    ///
    /// # Errors
    /// A [`Fault`] if the store takes nothing any more.
    pub(crate) async fn passed(&self, mark: NonZeroU64, index: u64, store: &Store) -> Result<(), Fault> {
        if index <= self.known || !self.begin(mark) {
            return Ok(());
        }
        let promise = store.pin_behind().await?;
        let this = self.clone();
        let thread = std::thread::Builder::new().name("digest".to_owned());
        let made = thread.spawn(move || this.end(mark, take(promise)));
        if let Err(error) = made {
            self.end(mark, Err(format!("start a thread: {error}")));
        }
        Ok(())
    }

    /// What was found at a mark, as soon as this member has come so far.
    pub(crate) async fn at(&self, mark: NonZeroU64) -> Found {
        let mut found = self.found.subscribe();
        let known = |found: &Marks| {
            found.iter().find_map(|(name, found)| if *name == mark { found.clone() } else { None })
        };
        let here = timeout(DIGEST_WAIT_MAX, found.wait_for(|found| known(found).is_some())).await;
        match here {
            Ok(Ok(found)) => known(&found).unwrap_or_else(|| Err("it was forgotten".to_owned())),
            Ok(Err(_)) => Err("the member stops".to_owned()),
            Err(_) => Err("it has not come so far in time, or was sent a snapshot instead".to_owned()),
        }
    }

    /// Makes a place for what will be found; `false` if none is to be looked for.
    fn begin(&self, mark: NonZeroU64) -> bool {
        let mut free = false;
        self.found.send_modify(|found| {
            free = found.iter().all(|(_, found)| found.is_some());
            let busy = || Some(Err("another digest is being made".to_owned()));
            found.push_back((mark, if free { None } else { busy() }));
            if found.len() > DIGESTS_KEPT_MAX {
                found.pop_front();
            }
        });
        free
    }

    fn end(&self, mark: NonZeroU64, result: Found) {
        match &result {
            Ok(Digested { index, zxid, digest, .. }) => {
                info!(index, %zxid, digest = format!("{digest:016x}"), "took the digest of the state");
            }
            Err(why) => warn!(why, "the digest of the state was not taken"),
        }
        self.found.send_modify(|found| {
            if let Some((_, place)) = found.iter_mut().find(|(name, _)| *name == mark) {
                *place = Some(result);
            }
        });
    }
}

fn take(promise: Promise) -> Found {
    let pinned = promise.blocking_recv().map_err(|_| "the state was closed".to_owned())?;
    pinned.and_then(|pinned| of(&*pinned)).map_err(|fault| fault.to_string())
}

/// Adds up a pinned state. Waits for the disk.
fn of(pinned: &dyn Pinned) -> Result<Digested, Fault> {
    let (reader, mut pieces) = mpsc::channel(SNAPSHOT_CHUNKS_AHEAD_MAX);
    pinned.send_to(reader);
    let (mut digest, mut records, mut world) = (Digest::default(), 0, None);
    while let Some(piece) = pieces.blocking_recv() {
        let piece = image::Piece::decode(piece?)
            .map_err(|error| Fault::Other(format!("a piece of the state does not parse: {error}")))?;
        for image::Record { key, value } in piece.records {
            let Some(record) = parse(&key, value)? else { continue };
            if let Record::World(record) = &record {
                world = Some(record.last_zxid);
            }
            digest.add(&record);
            records += 1;
        }
    }
    let applied = pinned.progress().applied;
    let (Some(applied), Some(zxid)) = (applied, world) else {
        return Err(Fault::Other("there is no world in the state".to_owned()));
    };
    let (term, index) = (**applied.committed_leader_id(), applied.index());
    Ok(Digested { term, index, zxid, digest: digest.get(), records })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::state::tests::{World, close};

    fn mark(name: u64) -> NonZeroU64 {
        NonZeroU64::new(name).unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_digest_is_that_of_the_world_at_the_mark() {
        let dir = tempfile::tempdir().unwrap();
        let (store, machine, progress) = Store::open(dir.path()).unwrap();
        let mut world = World::new(machine, progress);
        for number in 0..300 {
            world.create(&store, &format!("/n{number}"), &Bytes::from(vec![7; 4_000])).await;
        }
        let digests = Digests::new(0);
        let (digest, zxid) = (world.machine.digest(), world.machine.last_zxid());
        let records = world.machine.records().count() as u64;
        let index = world.progress.applied.unwrap().index();
        digests.passed(mark(1), index, &store).await.unwrap();
        // What comes behind the mark is not in it.
        world.create(&store, "/later", &Bytes::new()).await;
        let found = digests.at(mark(1)).await;
        assert_eq!(found, Ok(Digested { term: 1, index, zxid, digest, records }));
        assert_ne!(world.machine.digest(), digest);
        close(store).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn old_marks_are_passed_over_and_the_oldest_digests_are_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let (store, machine, progress) = Store::open(dir.path()).unwrap();
        let mut world = World::new(machine, progress);
        world.create(&store, "/a", &Bytes::new()).await;
        let digests = Digests::new(7);
        digests.passed(mark(99), 7, &store).await.unwrap();
        assert!(digests.found.borrow().is_empty());
        for name in 1..=DIGESTS_KEPT_MAX as u64 + 3 {
            digests.passed(mark(name), 7 + name, &store).await.unwrap();
            assert!(digests.at(mark(name)).await.is_ok());
        }
        assert_eq!(digests.found.borrow().len(), DIGESTS_KEPT_MAX);
        close(store).await;
    }

    #[test]
    fn one_is_made_at_a_time() {
        let digests = Digests::new(0);
        let [one, two] = [1, 2].map(mark);
        assert!(digests.begin(one));
        assert!(!digests.begin(two));
        digests.end(one, Err("no".to_owned()));
        assert!(digests.begin(mark(3)));
    }
}
