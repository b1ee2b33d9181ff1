//! What the state on disk is after a stop, a crash, and damage.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use machine::{Act, Applied, Command, Home, Machine, Operation, Rules, Verdict};
use proto::request::{Create, Write};
use proto::{Acl, Attachment, MemberId, OpCode, Seq, SessionId, Text};

use super::{Progress, Store};
use crate::Fault;
use crate::types::{LogId, Membership, StoredMembership};

/// A world that applies entries as the applier does.
pub(crate) struct World {
    pub(crate) machine: Machine,
    pub(crate) progress: Progress,
    session: Option<SessionId>,
    writes: u64,
}

impl World {
    pub(crate) fn new(machine: Machine, progress: Progress) -> Self {
        Self { machine, progress, session: None, writes: 0 }
    }

    fn apply(&mut self, act: Act) -> Applied {
        self.machine.apply(&Command { time: 1, rules: Rules::default(), act })
    }

    /// One entry that creates a znode, handed to the store.
    pub(crate) async fn create(&mut self, store: &Store, path: &str, data: &Bytes) {
        let session = match self.session {
            Some(session) => session,
            None => {
                let home = Home { member: MemberId::new(1), boot: 1, connection: 1 };
                let open = Act::Open { home, password: [1; 16], timeout_ms: 9, address: Text::from("::1") };
                let Verdict::Opened { session, .. } = self.apply(open).verdict else { panic!("not opened") };
                *self.session.insert(session)
            }
        };
        self.writes += 1;
        let create = Create {
            path: Text::from(path),
            data: Some(data.clone()),
            acl: Some(vec![Acl::open()]),
            flags: 0,
            ttl: None,
            container: false,
            with_stat: false,
        };
        let applied = self.apply(Act::Write {
            session,
            attachment: Attachment::new(1),
            seq: Seq::new(self.writes),
            identities: Vec::new(),
            operation: Operation { op: OpCode::Create, write: Some(Write::Create(create)) },
        });
        assert!(matches!(applied.verdict, Verdict::Answered { result: Ok(_), .. }), "{applied:?}");
        let index = self.progress.applied.map_or(0, |applied| applied.index() + 1);
        self.progress = Progress { applied: Some(LogId::new_term_index(1, index)), membership: membership() };
        store.write(self.machine.take_changes(), self.progress.clone()).await.unwrap();
    }
}

fn membership() -> StoredMembership {
    let members = Membership::new_with_defaults(vec![[1, 2, 3].into()], []);
    StoredMembership::new(Some(LogId::new_term_index(0, 0)), members)
}

/// Closes a store; not on a thread of the runtime, because it waits.
pub(crate) async fn close(store: Store) {
    tokio::task::spawn_blocking(move || store.close()).await.unwrap();
}

fn open(root: &Path) -> (Store, World) {
    let (store, machine, progress) = Store::open(root).unwrap();
    (store, World::new(machine, progress))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut world) = open(dir.path());
    assert_eq!(world.progress, Progress::default());
    assert_eq!(world.machine.digest(), Machine::new().digest());
    for number in 0..100 {
        world.create(&store, &format!("/n{number}"), &Bytes::from_static(b"data")).await;
    }
    close(store).await;

    let (store, found) = open(dir.path());
    assert_eq!(found.progress, world.progress);
    assert_eq!(found.machine.digest(), world.machine.digest());
    found.machine.assert_invariants();
    close(store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_leaves_the_world_as_it_was_at_one_place_of_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut world) = open(dir.path());
    let mut digests = vec![world.machine.digest()];
    for number in 0..200 {
        world.create(&store, &format!("/n{number}"), &Bytes::from_static(b"data")).await;
        digests.push(world.machine.digest());
        if number == 120 {
            store.written(world.progress.applied).await.unwrap();
            store.pin().await.unwrap().flush().await.unwrap();
        }
    }
    store.written(world.progress.applied).await.unwrap();
    // What a crash leaves is what the files hold at any moment, without what the process still had in mind.
    let crashed = tempfile::tempdir().unwrap();
    copy(dir.path(), crashed.path());
    close(store).await;

    let (store, found) = open(crashed.path());
    let applied = found.progress.applied.unwrap().index();
    assert!(applied >= 120, "what was flushed is there");
    assert_eq!(found.machine.digest(), digests[usize::try_from(applied).unwrap() + 1]);
    close(store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_left_half_done_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut world) = open(dir.path());
    world.create(&store, "/kept", &Bytes::new()).await;
    close(store).await;
    fs::create_dir(dir.path().join("state-7")).unwrap();
    fs::write(dir.path().join("state-7/half"), "of a snapshot").unwrap();
    fs::write(dir.path().join("CURRENT.new"), "state-7").unwrap();

    let (store, found) = open(dir.path());
    assert_eq!(found.machine.digest(), world.machine.digest());
    assert!(!dir.path().join("state-7").exists());
    close(store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_state_is_not_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut world) = open(dir.path());
    // Not compressible, so that it is found in the file.
    let data: Bytes = (0..4096_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
    world.create(&store, "/data", &data).await;
    close(store).await;
    let mut flipped = 0;
    for file in fs::read_dir(dir.path().join("state-1")).unwrap() {
        let path = file.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        if let Some(at) = bytes.windows(64).position(|window| window == &data[1024..1088]) {
            bytes[at] ^= 1;
            fs::write(&path, bytes).unwrap();
            flipped += 1;
        }
    }
    assert_eq!(flipped, 1);
    let Err(fault) = Store::open(dir.path()) else { panic!("it was loaded") };
    assert!(matches!(fault, Fault::Damaged(_)));
    assert!(fault.to_string().ends_with("start it again: it will be sent everything"), "{fault}");
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
