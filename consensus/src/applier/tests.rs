//! openraft's own tests of a log and a world.

use std::sync::Arc;
use std::time::Duration;

use machine::{Applied, Machine};
use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use proto::MemberId;
use tempfile::TempDir;

use super::*;
use crate::Observer;
use crate::log::{Log, LogStore};

struct Nobody;

impl Observer for Nobody {
    fn applied(&self, _machine: &Machine, _applied: &Applied) {}
    fn replaced(&self, _old: &Machine, _new: &Machine) {}
}

struct Builder;

/// Closes what a test has opened: RocksDB must not be in use when the process ends.
struct Guard {
    log: Option<Log>,
    _dir: TempDir,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let log = self.log.take();
        std::thread::spawn(move || log.map(Log::close)).join().unwrap();
    }
}

impl StoreBuilder<TypeConfig, LogStore, Applier, Guard> for Builder {
    async fn build(&self) -> Result<(Guard, LogStore, Applier), StorageError<TypeConfig>> {
        let dir = tempfile::tempdir().unwrap();
        let log = Log::open(&dir.path().join("log"), MemberId::new(1), Duration::ZERO, u64::MAX).unwrap();
        let (store, machine, progress) = Store::open(&dir.path().join("state")).unwrap();
        let replica = Arc::new(Replica::new(machine, Vec::new(), Arc::new(Nobody)));
        let log_store = log.store();
        let guard = Guard { log: Some(log), _dir: dir };
        Ok((guard, log_store, Applier::new(replica, store, progress, Digests::new(0))))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn openraft_finds_its_contract_kept() {
    Suite::test_all(Builder).await.unwrap();
}
