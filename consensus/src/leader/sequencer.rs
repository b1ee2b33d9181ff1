//! The order of the log: what waits is packed into one entry, stamped, and proposed.
//!
//! Proposals come on *ways*, one from each member that has clients. A way keeps its order, and it holds for one
//! epoch: as soon as anything that was proposed may be lost, the epoch ends, all ways with it, and the members send
//! again, on new ways, everything that they have not seen applied.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use machine::Rules;
use openraft::ReadPolicy;
use openraft::impls::OneshotResponder;
use proto::limits::{BATCH_BYTES_MAX, BATCH_TRANSACTIONS_MAX, SEQUENCER_QUEUE_MAX};
use tokio::sync::mpsc;
use tracing::debug;

use crate::applier::Raft;
use crate::clock::Clock;
use crate::entry;
use crate::leader::Leadership;
use crate::replica::{Amount, Observer};
use crate::room::Room;
use crate::runtime::watch;
use crate::tasks::Tasks;
use crate::types::Batch;

/// How long a leader that was refused waits before it tries again. A refusal is mostly that of a new leader which a
/// quorum has not answered yet, and that takes a round trip.
const REFUSED_PAUSE: Duration = Duration::from_millis(5);

/// The log, as the sequencer sees it.
pub(crate) trait Log: Send + Sync + 'static {
    /// Asks a quorum whether this member leads, so that what is proposed next is not refused for want of
    /// an answer.
    fn confirm(&self) -> impl Future<Output = Result<(), Refused>> + Send;

    /// Proposes an entry, in `term` and no other. Entries are in the log in the order of these calls. What is
    /// returned resolves when the entry was applied here, or when it may never be.
    fn append(
        &self,
        term: u64,
        batch: Bytes,
    ) -> impl Future<Output = BoxFuture<'static, Result<(), Refused>>> + Send;
}

/// Why an entry may not be in the log. Whether it is, nobody knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Refused(pub(crate) String);

/// Where proposals wait to be packed.
#[derive(Clone, Debug)]
pub(crate) struct Sequencer {
    queue: mpsc::Sender<Item>,
    epoch: watch::Receiver<Option<u64>>,
}

/// A way into the log, for one epoch.
#[derive(Clone, Debug)]
pub(crate) struct Entrance {
    epoch: u64,
    queue: mpsc::Sender<Item>,
    current: watch::Receiver<Option<u64>>,
}

/// The epoch of an [`Entrance`] has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no longer the leader that it was")]
pub(crate) struct EpochEnded;

#[derive(Debug)]
struct Item {
    epoch: u64,
    transaction: Bytes,
}

impl Sequencer {
    /// Begins to sequence whenever this member leads, by the rules of its own configuration, and by the room that there is.
    pub(crate) fn start(
        tasks: &Tasks,
        log: impl Log,
        leadership: watch::Receiver<Leadership>,
        rules: Rules,
        room: Arc<Room>,
    ) -> Self {
        let (queue, waiting) = mpsc::channel(SEQUENCER_QUEUE_MAX);
        let (announce, epoch) = watch::channel(None);
        let clock = Clock::default();
        let reign = Reign { log, leadership, announce, queue: waiting, clock, rules, room, epoch: 0 };
        tasks.spawn("sequence", reign.run());
        Self { queue, epoch }
    }

    /// A way in, if this member leads and is ready.
    pub(crate) fn enter(&self) -> Option<Entrance> {
        let epoch = (*self.epoch.borrow())?;
        Some(Entrance { epoch, queue: self.queue.clone(), current: self.epoch.clone() })
    }

    /// A way in, as soon as there is one.
    pub(crate) async fn entrance(&self) -> Result<Entrance, EpochEnded> {
        let mut epoch = self.epoch.clone();
        epoch.wait_for(Option::is_some).await.map_err(|_| EpochEnded)?;
        drop(epoch);
        self.enter().ok_or(EpochEnded)
    }
}

impl Entrance {
    /// Puts a transaction behind those that came this way before. Waits while too many wait already.
    ///
    /// # Errors
    /// [`EpochEnded`] if it will not be proposed. `Ok` says that it waits, and promises nothing.
    pub(crate) async fn push(&self, transaction: Bytes) -> Result<(), EpochEnded> {
        if *self.current.borrow() != Some(self.epoch) {
            return Err(EpochEnded);
        }
        self.queue.send(Item { epoch: self.epoch, transaction }).await.map_err(|_| EpochEnded)
    }

    /// Returns when the epoch has ended.
    pub(crate) async fn ended(&self) {
        let mut current = self.current.clone();
        // An error says that the sequencer is gone, and every epoch with it.
        let _ = current.wait_for(|current| *current != Some(self.epoch)).await;
    }
}

/// The task behind a [`Sequencer`].
struct Reign<L> {
    log: L,
    leadership: watch::Receiver<Leadership>,
    announce: watch::Sender<Option<u64>>,
    queue: mpsc::Receiver<Item>,
    clock: Clock,
    rules: Rules,
    room: Arc<Room>,
    epoch: u64,
}

impl<L: Log> Reign<L> {
    async fn run(mut self) {
        loop {
            let term = match self.leadership.wait_for(|leadership| leadership.own).await {
                Ok(leadership) => leadership.term,
                Err(_) => return,
            };
            if let Err(refused) = self.reign(term).await {
                debug!(term, epoch = self.epoch, %refused, "epoch ended");
                tokio::time::sleep(REFUSED_PAUSE).await;
            }
        }
    }

    /// Returns when this member leads no longer, or with what was refused.
    async fn reign(&mut self, term: u64) -> Result<(), Refused> {
        self.log.confirm().await?;
        self.epoch += 1;
        self.announce.send_replace(Some(self.epoch));
        let ended = self.sequence(term).await;
        self.announce.send_replace(None);
        // Whoever waits for room in the queue is let go; what he puts in will be of an epoch that has passed.
        while self.queue.try_recv().is_ok() {}
        ended
    }

    async fn sequence(&mut self, term: u64) -> Result<(), Refused> {
        let mut in_flight = FuturesUnordered::new();
        let mut waiting = VecDeque::new();
        let mut leadership = self.leadership.clone();
        loop {
            while in_flight.len() < self.room.entries_at_once() {
                self.gather(&mut waiting);
                let transactions = pack(&mut waiting);
                if transactions.is_empty() {
                    break;
                }
                let rules = self.rules | Rules::FULL.when(self.room.is_full());
                let batch = entry::encode_batch(self.clock.stamp(), rules, transactions);
                let applied = self.log.append(term, batch).await;
                in_flight.push(applied);
            }
            tokio::select! {
                biased;
                _ = leadership.wait_for(|now| !now.own || now.term != term) => return Ok(()),
                Some(applied) = in_flight.next() => applied?,
                Some(item) = self.queue.recv(), if in_flight.len() < self.room.entries_at_once() => {
                    self.admit(item, &mut waiting);
                }
            }
        }
    }

    /// Takes what waits in the queue, as much as fits into one entry.
    fn gather(&mut self, waiting: &mut VecDeque<Bytes>) {
        while waiting.len() < BATCH_TRANSACTIONS_MAX {
            let Ok(item) = self.queue.try_recv() else { return };
            self.admit(item, waiting);
        }
    }

    fn admit(&self, item: Item, waiting: &mut VecDeque<Bytes>) {
        if item.epoch == self.epoch {
            waiting.push_back(item.transaction);
        }
    }
}

/// Takes as many as one entry may carry, and at least one if there is any.
fn pack(waiting: &mut VecDeque<Bytes>) -> Vec<Bytes> {
    let mut bytes = 0;
    let fits = waiting.iter().take(BATCH_TRANSACTIONS_MAX).take_while(|transaction| {
        bytes += transaction.len();
        bytes <= BATCH_BYTES_MAX
    });
    let count = fits.count().max(1).min(waiting.len());
    waiting.drain(..count).collect()
}

/// Raft, and who is told what it makes of proposals.
pub(crate) struct Metered {
    pub(crate) raft: Raft,
    pub(crate) observer: Arc<dyn Observer>,
}

impl Log for Metered {
    async fn confirm(&self) -> Result<(), Refused> {
        self.raft.confirm().await
    }

    async fn append(&self, term: u64, batch: Bytes) -> BoxFuture<'static, Result<(), Refused>> {
        self.observer.measured(Amount::Proposed(batch.len()));
        let (begun, observer) = (Instant::now(), self.observer.clone());
        let applied = self.raft.append(term, batch).await;
        Box::pin(async move {
            applied.await?;
            observer.measured(Amount::Committed(begun.elapsed()));
            Ok(())
        })
    }
}

impl Log for Raft {
    async fn confirm(&self) -> Result<(), Refused> {
        match self.get_read_linearizer(ReadPolicy::ReadIndex).await {
            Ok(_) => Ok(()),
            Err(error) => Err(Refused(error.to_string())),
        }
    }

    async fn append(&self, term: u64, batch: Bytes) -> BoxFuture<'static, Result<(), Refused>> {
        let (responder, answer) = OneshotResponder::new_pair();
        let sent = self.write(Batch(batch)).responder(responder).with_leader(term).await;
        Box::pin(async move {
            sent.map_err(|fatal| Refused(fatal.to_string()))?;
            match answer.await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(error)) => Err(Refused(error.to_string())),
                Err(_) => Err(Refused("raft has stopped".to_owned())),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::FutureExt;
    use machine::Machine;
    use parking_lot::Mutex;
    use proto::limits::BATCHES_IN_FLIGHT_MAX;
    use proto::{Attachment, MemberId, SessionId};
    use tokio::sync::oneshot;

    use super::*;

    type Answer = oneshot::Sender<Result<(), Refused>>;

    /// A term, the sessions that an entry names, by which rules, and whom to tell what became of it.
    type Noted = (u64, Vec<i64>, Rules, Option<Answer>);

    /// A log that answers when it is told to.
    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<Noted>>>);

    impl Log for Paper {
        async fn confirm(&self) -> Result<(), Refused> {
            Ok(())
        }

        async fn append(&self, term: u64, batch: Bytes) -> BoxFuture<'static, Result<(), Refused>> {
            let (answer, answered) = oneshot::channel();
            let commands = entry::decode(&batch).unwrap();
            let rules = commands.first().unwrap().rules;
            let sessions = commands.into_iter().map(|command| match command.act {
                machine::Act::Expire { session, .. } => session.to_wire(),
                act => panic!("unexpected {act:?}"),
            });
            self.0.lock().push((term, sessions.collect(), rules, Some(answer)));
            answered.map(|answer| answer.unwrap_or(Err(Refused("lost".to_owned())))).boxed()
        }
    }

    impl Paper {
        fn batches(&self) -> Vec<(u64, Vec<i64>)> {
            self.0.lock().iter().map(|(term, sessions, ..)| (*term, sessions.clone())).collect()
        }

        fn rules(&self) -> Vec<Rules> {
            self.0.lock().iter().map(|(_, _, rules, _)| *rules).collect()
        }

        fn answer(&self, batch: usize, answer: Result<(), Refused>) {
            let sender = self.0.lock()[batch].3.take().unwrap();
            sender.send(answer).unwrap();
        }
    }

    fn numbered(n: i64) -> Bytes {
        entry::encode_expiry(SessionId::from_wire(n), Attachment::new(1))
    }

    fn leads(term: u64) -> Leadership {
        Leadership { leader: Some(MemberId::new(1)), term, own: true }
    }

    async fn settle() {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }

    fn start(leadership: Leadership) -> (Sequencer, Paper, watch::Sender<Leadership>, Tasks) {
        start_with(leadership, Arc::new(Room::new(None, &Machine::new())))
    }

    fn start_with(
        leadership: Leadership,
        room: Arc<Room>,
    ) -> (Sequencer, Paper, watch::Sender<Leadership>, Tasks) {
        let (paper, tasks) = (Paper::default(), Tasks::default());
        let (sender, receiver) = watch::channel(leadership);
        let rules = Rules::QUOTA_ENFORCED;
        (Sequencer::start(&tasks, paper.clone(), receiver, rules, room), paper, sender, tasks)
    }

    #[test]
    fn a_batch_is_bounded_in_bytes_and_in_count() {
        let sized = |bytes: usize| Bytes::from(vec![0; bytes]);
        let mut waiting: VecDeque<_> =
            [BATCH_BYTES_MAX + 1, BATCH_BYTES_MAX - 1, 1, 1].map(sized).into_iter().collect();
        assert_eq!(pack(&mut waiting).len(), 1, "a single one travels alone, however large");
        assert_eq!(pack(&mut waiting).len(), 2);
        assert_eq!(pack(&mut waiting).len(), 1);
        assert!(pack(&mut waiting).is_empty());
        waiting.extend(vec![Bytes::new(); BATCH_TRANSACTIONS_MAX + 1]);
        assert_eq!(pack(&mut waiting).len(), BATCH_TRANSACTIONS_MAX);
        assert_eq!(pack(&mut waiting).len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_while_entries_are_in_flight_goes_together_into_the_next() {
        let (sequencer, paper, _leadership, _tasks) = start(leads(3));
        let entrance = sequencer.entrance().await.unwrap();
        let mut expected = Vec::new();
        for n in 0..BATCHES_IN_FLIGHT_MAX as i64 {
            entrance.push(numbered(n)).await.unwrap();
            settle().await;
            expected.push((3, vec![n]));
        }
        for n in 10..20 {
            entrance.push(numbered(n)).await.unwrap();
        }
        settle().await;
        assert_eq!(paper.batches(), expected);
        paper.answer(1, Ok(()));
        settle().await;
        expected.push((3, (10..20).collect()));
        assert_eq!(paper.batches(), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_entry_ends_all_ways_and_what_waited_on_them() {
        let (sequencer, paper, _leadership, _tasks) = start(leads(3));
        let way = sequencer.entrance().await.unwrap();
        let other = way.clone();
        way.push(numbered(1)).await.unwrap();
        settle().await;
        paper.answer(0, Err(Refused("lease expired".to_owned())));
        way.push(numbered(2)).await.unwrap();
        other.ended().await;
        way.ended().await;
        assert_eq!(way.push(numbered(3)).await, Err(EpochEnded));
        // The next epoch begins without them.
        let way = sequencer.entrance().await.unwrap();
        way.push(numbered(4)).await.unwrap();
        settle().await;
        let later: Vec<_> = paper.batches().into_iter().skip(1).flat_map(|batch| batch.1).collect();
        assert_eq!(later, [4]);
    }

    #[tokio::test(start_paused = true)]
    async fn near_its_bound_each_entry_finds_a_world_with_all_before_it() {
        let empty = Machine::new();
        let room = Arc::new(Room::new(Some(empty.world_bytes()), &empty));
        let (sequencer, paper, _leadership, _tasks) = start_with(leads(3), room.clone());
        let entrance = sequencer.entrance().await.unwrap();
        for n in 0..3 {
            entrance.push(numbered(n)).await.unwrap();
            settle().await;
        }
        assert_eq!(paper.batches(), [(3, vec![0])]);
        paper.answer(0, Ok(()));
        settle().await;
        assert_eq!(paper.batches().last(), Some(&(3, vec![1, 2])));
        room.takes(empty.world_bytes() + 1);
        paper.answer(1, Ok(()));
        for n in 3..5 {
            entrance.push(numbered(n)).await.unwrap();
            settle().await;
        }
        // Nothing grows any more: they need not wait for each other.
        assert_eq!(paper.batches()[2..], [(3, vec![3]), (3, vec![4])]);
        let (own, full) = (Rules::QUOTA_ENFORCED, Rules::QUOTA_ENFORCED | Rules::FULL);
        assert_eq!(paper.rules(), [own, own, full, full]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_term_is_a_new_epoch() {
        let (sequencer, paper, leadership, _tasks) = start(leads(3));
        let way = sequencer.entrance().await.unwrap();
        leadership.send_replace(leads(5));
        way.ended().await;
        let way = sequencer.entrance().await.unwrap();
        way.push(numbered(1)).await.unwrap();
        settle().await;
        assert_eq!(paper.batches(), [(5, vec![1])]);
        leadership.send_replace(Leadership { own: false, ..leads(6) });
        way.ended().await;
        settle().await;
        assert!(sequencer.enter().is_none());
    }
}
