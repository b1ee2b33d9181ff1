//! What openraft asks of the world: apply what is committed, and carry it to others.

use std::io;
use std::sync::Arc;

use futures_util::Stream;
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::{OptionalSend, RaftSnapshotBuilder};

use crate::replica::Replica;
use crate::snapshot::SnapshotHandle;
use crate::state::Store;
use crate::types::{LogId, Snapshot, SnapshotMeta, StoredMembership, TypeConfig};

/// Applies what is committed to the replica, and hands what changed to the store behind it.
pub(crate) struct Applier {
    replica: Arc<Replica>,
    store: Store,
    applied: Option<LogId>,
    membership: StoredMembership,
}

#[expect(clippy::unimplemented, reason = "signatures first")]
impl RaftStateMachine<TypeConfig> for Applier {
    type SnapshotData = SnapshotHandle;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        unimplemented!()
    }

    async fn apply<S>(&mut self, _entries: S) -> Result<(), io::Error>
    where
        S: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + OptionalSend,
    {
        unimplemented!()
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        unimplemented!()
    }

    async fn install_snapshot(
        &mut self,
        _meta: &SnapshotMeta,
        _data: SnapshotHandle,
    ) -> Result<(), io::Error> {
        unimplemented!()
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, io::Error> {
        unimplemented!()
    }
}

/// Makes the state on disk firm up to a place in the log.
pub(crate) struct Builder {}

#[expect(clippy::unimplemented, reason = "signatures first")]
impl RaftSnapshotBuilder<TypeConfig> for Builder {
    type SnapshotData = SnapshotHandle;

    async fn build_snapshot(&mut self) -> Result<Snapshot, io::Error> {
        unimplemented!()
    }
}
