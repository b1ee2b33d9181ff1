//! What this member's clients proposed, in order, until it is seen applied.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use machine::{Act, Applied, Command, Home, Machine, Verdict};
use parking_lot::Mutex;
use proto::{Attachment, Seq, SessionId};
use tokio::sync::Notify;

use crate::entry::{self, Proposal};
use crate::replica::Hook;

/// What this member's clients proposed and it has not seen applied. Whoever brings it to the leader reads it with a
/// place of his own, and begins again at the oldest whenever the way to the leader has changed: the world does
/// nothing for a repeat.
///
/// Its size has no bound here, because that of what it comes from has one: each connection may have a bounded number
/// of requests under way.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    queue: Mutex<Queue>,
    /// How many there are, so that a member without clients pays nothing for what others' clients do.
    len: AtomicUsize,
    /// Something was proposed.
    proposed: Notify,
    /// Nothing waits any more.
    emptied: Notify,
    /// The whole must be sent again, though the way to the leader is sound.
    again: Notify,
}

/// How much is taken at once at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Portion {
    /// Transactions.
    pub(crate) transactions: usize,
    /// Bytes; a single larger transaction is still taken.
    pub(crate) bytes: usize,
}

/// Where a reader stands: how many were proposed before what he reads next. Everything begins at the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place(u64);

impl Pending {
    /// Puts a proposal behind all others.
    pub(crate) fn propose(&self, proposal: Proposal) {
        let key = Key::of_proposal(&proposal);
        let transaction = entry::encode(proposal);
        let mut queue = self.queue.lock();
        queue.push(key, transaction);
        self.len.store(queue.len(), Ordering::Release);
        drop(queue);
        self.proposed.notify_waiters();
    }

    /// Takes back an open or attach. What has gone down the way to the leader already may be applied all the same, but
    /// it is not sent again.
    pub(crate) fn withdraw(&self, home: Home) {
        self.forget(&Key::Greeting(home));
    }

    /// The next that a reader has not read, as soon as there are any, and where he stands behind them. What was
    /// applied meanwhile is left out.
    pub(crate) async fn next(&self, place: Place, portion: Portion) -> (Vec<Bytes>, Place) {
        loop {
            let mut proposed = std::pin::pin!(self.proposed.notified());
            // From here on nothing that is proposed is missed, though it be proposed before the wait below.
            proposed.as_mut().enable();
            let (transactions, behind) = self.queue.lock().read(place, portion);
            if !transactions.is_empty() {
                return (transactions, behind);
            }
            proposed.await;
        }
    }

    /// Returns when everything must be sent again although nothing is known to be lost on the way.
    pub(crate) async fn again(&self) {
        self.again.notified().await;
    }

    /// How many wait to be seen applied.
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    /// Returns when everything that was proposed here is seen applied.
    pub(crate) async fn drained(&self) {
        loop {
            let mut emptied = std::pin::pin!(self.emptied.notified());
            emptied.as_mut().enable();
            if self.len() == 0 {
                return;
            }
            emptied.await;
        }
    }

    fn forget(&self, key: &Key) {
        let mut queue = self.queue.lock();
        queue.remove(key);
        self.count(&queue);
    }

    fn count(&self, queue: &Queue) {
        self.len.store(queue.len(), Ordering::Release);
        if queue.len() == 0 {
            self.emptied.notify_waiters();
        }
    }
}

impl Hook for Pending {
    fn applied(&self, _machine: &Machine, command: &Command, applied: &Applied) {
        // What is ours was counted before it was sent, and so long before it can be applied.
        if self.len() == 0 || applied.verdict == Verdict::Gap {
            return;
        }
        if let Some(key) = Key::of_act(&command.act) {
            self.forget(&key);
        }
    }

    fn replaced(&self, machine: &Machine) {
        let mut queue = self.queue.lock();
        queue.resync(machine);
        self.count(&queue);
        drop(queue);
        // Some of the rest was applied within what the snapshot skipped, and will never be seen applied; sent again,
        // it comes back as a repeat, or as fenced.
        self.again.notify_one();
    }
}

/// What tells one proposal from all others, for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key {
    /// An open or attach: a connection is opened or attached once.
    Greeting(Home),
    /// A write.
    Write(SessionId, Attachment, Seq),
    /// A report of watches.
    Watch(SessionId, Attachment, u64),
}

impl Key {
    fn of_proposal(proposal: &Proposal) -> Self {
        match proposal {
            Proposal::Open { home, .. } | Proposal::Attach { home, .. } => Self::Greeting(*home),
            Proposal::Write { session, attachment, seq, .. } => Self::Write(*session, *attachment, *seq),
            Proposal::Watch { session, attachment, number, .. } => {
                Self::Watch(*session, *attachment, *number)
            }
        }
    }

    /// `None` for what only a leader proposes.
    fn of_act(act: &Act) -> Option<Self> {
        match act {
            Act::Open { home, .. } | Act::Attach { home, .. } => Some(Self::Greeting(*home)),
            Act::Write { session, attachment, seq, .. } => Some(Self::Write(*session, *attachment, *seq)),
            Act::Watch { session, attachment, number, .. } => {
                Some(Self::Watch(*session, *attachment, *number))
            }
            Act::Expire { .. }
            | Act::Ensemble { .. }
            | Act::Name { .. }
            | Act::Reconfigured { .. }
            | Act::Reap { .. } => None,
        }
    }
}

/// Invariants:
/// * `places` holds exactly the keys of those items of `items` that are still there;
/// * the item at place `first + n` is the `n`th of `items`;
/// * the oldest item is there, unless there is none at all.
#[derive(Debug, Default)]
struct Queue {
    items: VecDeque<Option<(Key, Bytes)>>,
    first: u64,
    places: HashMap<Key, u64>,
}

impl Queue {
    fn len(&self) -> usize {
        self.places.len()
    }

    fn push(&mut self, key: Key, transaction: Bytes) {
        let place = self.first + self.items.len() as u64;
        if self.places.insert(key, place).is_none() {
            self.items.push_back(Some((key, transaction)));
        } else if cfg!(any(debug_assertions, test, simulation)) {
            panic!("{key:?} was proposed twice");
        }
    }

    fn remove(&mut self, key: &Key) {
        let Some(place) = self.places.remove(key) else { return };
        if let Some(item) = self.offset(place).and_then(|offset| self.items.get_mut(offset)) {
            *item = None;
        }
        while let Some(None) = self.items.front() {
            self.items.pop_front();
            self.first += 1;
        }
    }

    fn read(&self, place: Place, portion: Portion) -> (Vec<Bytes>, Place) {
        let mut taken = Vec::new();
        let mut bytes = 0;
        let mut at = place.0.max(self.first);
        let offset = self.offset(at).unwrap_or(self.items.len());
        for item in self.items.range(offset.min(self.items.len())..) {
            if let Some((_, transaction)) = item {
                let full = bytes + transaction.len() > portion.bytes || taken.len() == portion.transactions;
                if full && !taken.is_empty() {
                    break;
                }
                bytes += transaction.len();
                taken.push(transaction.clone());
            }
            at += 1;
        }
        (taken, Place(at))
    }

    /// Drops what `machine` shows to be done, or never to be done.
    fn resync(&mut self, machine: &Machine) {
        let greeted = self.places.keys().any(|key| matches!(key, Key::Greeting(_)));
        let homes: HashSet<Home> =
            if greeted { machine.sessions().map(|session| session.home).collect() } else { HashSet::new() };
        let settled: Vec<Key> = self
            .places
            .keys()
            .filter(|key| match key {
                Key::Greeting(home) => homes.contains(home),
                Key::Write(session, attachment, seq) => machine
                    .session(*session)
                    .is_none_or(|session| (session.attachment, session.next_seq) > (*attachment, *seq)),
                // Nobody can tell; to report again does no harm.
                Key::Watch(session, ..) => machine.session(*session).is_none(),
            })
            .copied()
            .collect();
        for key in settled {
            self.remove(&key);
        }
    }

    fn offset(&self, place: u64) -> Option<usize> {
        usize::try_from(place.checked_sub(self.first)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use proto::{MemberId, OpCode, Text, Zxid};

    use super::*;

    const ALL: Portion = Portion { transactions: usize::MAX, bytes: usize::MAX };

    fn write(session: i64, seq: u64) -> Proposal {
        Proposal::Write {
            session: SessionId::from_wire(session),
            attachment: Attachment::new(1),
            seq: Seq::new(seq),
            identities: Vec::new(),
            op: OpCode::Delete,
            body: Bytes::from_static(b"\0\0\0\x02/a\0\0\0\0"),
        }
    }

    fn open(connection: u64) -> Proposal {
        let home = Home { member: MemberId::new(1), boot: 7, connection };
        Proposal::Open { home, password: [0; 16], timeout_ms: 1_000, address: Text::new() }
    }

    fn command(proposal: &Proposal) -> Command {
        entry::decode(&entry::encode_batch(
            0,
            machine::Rules::default(),
            vec![entry::encode(proposal.clone())],
        ))
        .unwrap()
        .remove(0)
    }

    fn apply(pending: &Pending, proposal: &Proposal, verdict: Verdict) {
        let applied = Applied { zxid: Zxid::ZERO, verdict, changes: Default::default(), over_quota: None };
        pending.applied(&Machine::default(), &command(proposal), &applied);
    }

    fn read(pending: &Pending, place: Place, portion: Portion) -> (Vec<Bytes>, Place) {
        let queue = pending.queue.lock();
        for (key, place) in &queue.places {
            let item = &queue.items[queue.offset(*place).unwrap()];
            assert_eq!(item.as_ref().map(|item| item.0), Some(*key));
        }
        assert_eq!(queue.items.iter().flatten().count(), queue.places.len());
        assert!(!matches!(queue.items.front(), Some(None)));
        queue.read(place, portion)
    }

    fn bytes(proposals: &[Proposal]) -> Vec<Bytes> {
        proposals.iter().cloned().map(entry::encode).collect()
    }

    #[test]
    fn everything_is_read_once_and_in_order() {
        let pending = Pending::default();
        let all = [open(1), write(5, 1), write(5, 2), write(6, 1)];
        for proposal in &all {
            pending.propose(proposal.clone());
        }
        let (first, place) = read(&pending, Place::default(), Portion { transactions: 3, bytes: usize::MAX });
        assert_eq!(first, bytes(&all[..3]));
        let (rest, place) = read(&pending, place, ALL);
        assert_eq!(rest, bytes(&all[3..]));
        assert_eq!(read(&pending, place, ALL), (Vec::new(), place));
    }

    #[test]
    fn a_new_way_to_the_leader_begins_at_the_oldest_that_was_not_seen_applied() {
        let pending = Pending::default();
        let all = [write(5, 1), write(6, 1), write(5, 2), write(5, 3)];
        for proposal in &all {
            pending.propose(proposal.clone());
        }
        let (_, place) = read(&pending, Place::default(), ALL);
        apply(&pending, &all[0], Verdict::Repeat);
        apply(&pending, &all[2], Verdict::Outlived);
        assert_eq!(pending.len(), 2);
        assert_eq!(read(&pending, Place::default(), ALL).0, bytes(&[all[1].clone(), all[3].clone()]));
        // Whoever had read them all still has.
        assert_eq!(read(&pending, place, ALL).0, Vec::<Bytes>::new());
        pending.propose(write(6, 2));
        assert_eq!(read(&pending, place, ALL).0, bytes(&[write(6, 2)]));
    }

    #[test]
    fn a_gap_is_not_seen_as_applied_and_a_fence_is() {
        let pending = Pending::default();
        pending.propose(write(5, 1));
        apply(&pending, &write(5, 1), Verdict::Gap);
        assert_eq!(pending.len(), 1);
        let session = SessionId::from_wire(5);
        let fenced = Verdict::Fenced { session, attachment: Attachment::new(1), seq: Seq::new(1) };
        apply(&pending, &write(5, 1), fenced);
        assert_eq!(pending.len(), 0);
    }

    #[test]
    fn what_others_proposed_changes_nothing() {
        let pending = Pending::default();
        pending.propose(open(1));
        apply(&pending, &open(2), Verdict::Repeat);
        apply(&pending, &write(5, 1), Verdict::Repeat);
        assert_eq!(read(&pending, Place::default(), ALL).0, bytes(&[open(1)]));
        // Applied twice, because it was sent twice.
        apply(&pending, &open(1), Verdict::Repeat);
        apply(&pending, &open(1), Verdict::Repeat);
        assert_eq!(pending.len(), 0);
    }

    #[test]
    fn what_is_withdrawn_is_not_sent_again() {
        let pending = Pending::default();
        let all = [open(1), open(2), write(5, 1)];
        for proposal in &all {
            pending.propose(proposal.clone());
        }
        let Proposal::Open { home, .. } = all[1] else { panic!("not an open") };
        pending.withdraw(home);
        pending.withdraw(home);
        assert_eq!(read(&pending, Place::default(), ALL).0, bytes(&[all[0].clone(), all[2].clone()]));
        // It was on its way.
        apply(&pending, &all[1], Verdict::Repeat);
        assert_eq!(pending.len(), 2);
    }

    #[test]
    fn a_snapshot_settles_what_it_shows_to_be_done() {
        let mut machine = Machine::new();
        let Verdict::Opened { session, .. } = machine.apply(&command(&open(1))).verdict else {
            panic!("not opened")
        };
        machine.apply(&command(&write(session.to_wire(), 1)));
        let pending = Pending::default();
        let rest = [write(session.to_wire(), 2), open(2)];
        for proposal in [open(1), write(session.to_wire(), 1), write(99, 1)].iter().chain(&rest) {
            pending.propose(proposal.clone());
        }
        pending.replaced(&machine);
        assert_eq!(read(&pending, Place::default(), ALL).0, bytes(&rest));
    }

    #[test]
    fn a_portion_is_bounded_but_never_empty() {
        let pending = Pending::default();
        pending.propose(write(5, 1));
        pending.propose(write(5, 2));
        let one_byte = Portion { transactions: 10, bytes: 1 };
        let (first, place) = read(&pending, Place::default(), one_byte);
        assert_eq!(first, bytes(&[write(5, 1)]));
        assert_eq!(read(&pending, place, one_byte).0, bytes(&[write(5, 2)]));
    }

    #[tokio::test]
    async fn it_is_drained_when_the_last_is_seen_applied() {
        use futures_util::FutureExt;

        let pending = Pending::default();
        pending.drained().await;
        pending.propose(write(5, 1));
        pending.propose(write(5, 2));
        let mut drained = std::pin::pin!(pending.drained());
        assert!(drained.as_mut().now_or_never().is_none());
        apply(&pending, &write(5, 1), Verdict::Repeat);
        assert!(drained.as_mut().now_or_never().is_none());
        apply(&pending, &write(5, 2), Verdict::Repeat);
        drained.await;
    }

    #[tokio::test]
    async fn a_waiting_reader_is_woken() {
        let pending = Pending::default();
        let (read, ()) = tokio::join!(pending.next(Place::default(), ALL), async {
            tokio::task::yield_now().await;
            pending.propose(write(5, 1));
        });
        assert_eq!(read.0, bytes(&[write(5, 1)]));
    }
}
