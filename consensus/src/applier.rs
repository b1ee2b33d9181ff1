//! What openraft asks of the world: apply what is committed, and carry it to others.

use std::io;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{Stream, StreamExt};
use machine::Command;
use openraft::entry::RaftEntry;
use openraft::storage::{ApplyResponder, EntryResponder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder};
use proto::limits;

use crate::digest::Digests;
use crate::replica::Replica;
use crate::runtime::blocking;
use crate::safe::Safe;
use crate::snapshot::{Snapshot, SnapshotHandle, SnapshotReceiver};
use crate::state::{Incoming, Progress, Store};
use crate::types::{Batch, Entry, LogId, SnapshotMeta, StoredMembership, TypeConfig};
use crate::{Amount, Fault, clock, entry};

/// The consensus of this member, with its own way to apply.
pub(crate) type Raft = openraft::Raft<TypeConfig, Applier>;

/// Applies what is committed to the replica, and hands what changed to the store behind it. Never touches a disk.
pub(crate) struct Applier {
    replica: Arc<Replica>,
    store: Store,
    progress: Progress,
    safe: Safe,
    digests: Digests,
}

impl Applier {
    /// An applier of entries behind `progress`, which is where the replica and the state on disk stand.
    pub(crate) fn new(replica: Arc<Replica>, store: Store, progress: Progress, digests: Digests) -> Self {
        let safe = Safe::new(progress.applied);
        Self { replica, store, progress, safe, digests }
    }

    /// Up to where the state on disk is safe.
    pub(crate) fn safe(&self) -> &Safe {
        &self.safe
    }

    /// Applies a few entries: changes the world, tells who waits, and hands on what changed.
    async fn perform(&mut self, gathered: &mut Gathered) -> Result<(), Fault> {
        let Gathered { commands, responders, progress, mark } = std::mem::take(gathered);
        let Some(progress) = progress else { return Ok(()) };
        let mut changes = Vec::new();
        let mut chunks = commands.chunks(limits::APPLY_TRANSACTIONS_PER_LOCK_MAX).peekable();
        while let Some(chunk) = chunks.next() {
            let last = chunks.peek().is_none();
            self.replica.apply(chunk, |machine| {
                // Only whole entries go to the state on disk, so what they changed is taken behind the last of them.
                if last {
                    changes = machine.take_changes();
                }
            });
        }
        if let Some(last) = commands.last() {
            let late = u64::try_from(clock::wall() - last.time).unwrap_or(0);
            self.replica.measured(Amount::Propagated(Duration::from_millis(late)));
        }
        for responder in responders {
            responder.send(());
        }
        self.progress = progress;
        self.store.write(changes, self.progress.clone()).await?;
        match mark.zip(self.progress.applied) {
            Some((mark, applied)) => self.digests.passed(mark, applied.index(), &self.store).await,
            None => Ok(()),
        }
    }
}

/// Entries that are decoded and not yet applied.
#[derive(Default)]
struct Gathered {
    commands: Vec<Command>,
    responders: Vec<ApplyResponder<TypeConfig>>,
    /// Where the log stands behind them; `None` if there are none.
    progress: Option<Progress>,
    /// What the last of them asks besides: nothing is to be applied together with what follows it.
    mark: Option<NonZeroU64>,
}

impl Gathered {
    fn add(
        &mut self,
        before: &Progress,
        entry: Entry,
        responder: Option<ApplyResponder<TypeConfig>>,
    ) -> Result<(), Fault> {
        let progress = self.progress.get_or_insert_with(|| before.clone());
        let log_id = entry.log_id();
        progress.applied = Some(log_id);
        match entry.payload {
            EntryPayload::Blank => {}
            EntryPayload::Normal(Batch(bytes)) => {
                let (mut commands, mark) = entry::decode_marked(&bytes)?;
                if self.commands.is_empty() {
                    self.commands = commands;
                } else {
                    self.commands.append(&mut commands);
                }
                self.mark = mark;
            }
            EntryPayload::Membership(membership) => {
                progress.membership = StoredMembership::new(Some(log_id), membership);
            }
        }
        self.responders.extend(responder);
        Ok(())
    }
}

impl RaftStateMachine<TypeConfig> for Applier {
    type SnapshotData = SnapshotHandle;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        Ok((self.progress.applied, self.progress.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> Result<(), io::Error>
    where
        S: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + OptionalSend,
    {
        let mut gathered = Gathered::default();
        while let Some(item) = entries.next().await {
            let (entry, responder) = item?;
            gathered.add(&self.progress, entry, responder)?;
            if gathered.mark.is_some() || gathered.commands.len() >= limits::APPLY_TRANSACTIONS_PER_LOCK_MAX {
                self.perform(&mut gathered).await?;
            }
        }
        Ok(self.perform(&mut gathered).await?)
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        let (store, replica) = (self.store.clone(), self.replica.clone());
        Builder {
            store,
            safe: self.safe.clone(),
            applied: self.progress.applied,
            zxid: replica.read(machine::Machine::last_zxid),
            replica,
        }
    }

    async fn install_snapshot(
        &mut self,
        _meta: &SnapshotMeta,
        data: SnapshotHandle,
    ) -> Result<(), io::Error> {
        let begun = Instant::now();
        let incoming = match data.take_received() {
            Some(incoming) => incoming,
            None => copy(&self.store, &data).await?,
        };
        let (machine, progress) = blocking(move || incoming.install()).await?;
        self.store.written(progress.applied).await?;
        self.safe.reaches(progress.applied);
        self.progress = progress;
        tracing::info!(last_zxid = %machine.last_zxid(), "the state was replaced by a snapshot");
        self.replica.replace(machine);
        self.replica.measured(Amount::StateReceived(begun.elapsed()));
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, io::Error> {
        let handle = SnapshotHandle::pin(&self.store).await?;
        // A world of which nothing stands in the log is nobody's snapshot.
        let meaningful = handle.meta().last_log_id.is_some();
        Ok(meaningful.then(|| Snapshot { meta: handle.meta().clone(), snapshot: handle }))
    }
}

/// Makes the state on disk safe up to a place in the log, so that the log before it may go.
pub(crate) struct Builder {
    store: Store,
    safe: Safe,
    applied: Option<LogId>,
    zxid: proto::Zxid,
    replica: Arc<Replica>,
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    type SnapshotData = SnapshotHandle;

    async fn build_snapshot(&mut self) -> Result<Snapshot, io::Error> {
        let begun = Instant::now();
        self.store.written(self.applied).await?;
        // First pinned, then flushed: what the snapshot claims to hold is then surely safe, and may leave the log.
        let handle = SnapshotHandle::pin(&self.store).await?;
        handle.flush().await?;
        self.safe.reaches(handle.meta().last_log_id);
        self.replica.measured(Amount::StateFlushed { took: begun.elapsed(), zxid: self.zxid });
        Ok(Snapshot { meta: handle.meta().clone(), snapshot: handle })
    }
}

/// A copy of a snapshot of this member's own.
async fn copy(store: &Store, data: &SnapshotHandle) -> Result<Box<dyn Incoming>, Fault> {
    let mut pieces = data.chunks();
    let (store, meta) = (store.clone(), data.meta().clone());
    let handle = blocking(move || {
        let mut checksum = crate::snapshot::Checksum::default();
        let mut receiver = SnapshotReceiver::new(&store, meta)?;
        while let Some(piece) = pieces.blocking_recv() {
            let piece = piece?;
            checksum.add(&piece);
            receiver.push(piece)?;
        }
        let (bytes, crc) = checksum.get();
        receiver.finish(bytes, crc)
    })
    .await?;
    handle.take_received().ok_or_else(|| Fault::Other("a snapshot was installed twice".to_owned()))
}

#[cfg(test)]
mod tests;
