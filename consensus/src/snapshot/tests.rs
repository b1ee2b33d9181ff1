//! A snapshot on its way from one state to another.

use bytes::Bytes;

use super::{Checksum, SnapshotHandle, SnapshotReceiver};
use crate::state::Store;
use crate::state::tests::{World, close};

async fn world(dir: &std::path::Path, znodes: u32) -> (Store, World) {
    let (store, machine, progress) = Store::open(dir).unwrap();
    let mut world = World::new(machine, progress);
    let data = Bytes::from(vec![7; 10_000]);
    for number in 0..znodes {
        world.create(&store, &format!("/n{number}"), &data).await;
    }
    store.written(world.progress.applied).await.unwrap();
    (store, world)
}

async fn pieces(handle: &SnapshotHandle) -> Vec<Bytes> {
    let mut receiver = handle.chunks();
    let mut pieces = Vec::new();
    while let Some(piece) = receiver.recv().await {
        pieces.push(piece.unwrap());
    }
    pieces
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_received_is_what_was_pinned_and_not_what_came_later() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (store, mut source) = world(dir.path(), 200).await;
    let pinned = (source.machine.digest(), source.progress.clone());
    let handle = SnapshotHandle::pin(&store).await.unwrap();
    assert_eq!(*handle.meta(), pinned.1.meta());
    source.create(&store, "/later", &Bytes::new()).await;
    store.written(source.progress.applied).await.unwrap();
    assert_ne!(source.machine.digest(), pinned.0);

    let pieces = pieces(&handle).await;
    assert!(pieces.len() >= 3, "2 MB travel in {} pieces", pieces.len());
    let (target, _) = world(other.path(), 3).await;
    let install = {
        let (target, meta) = (target.clone(), handle.meta().clone());
        move || {
            let mut checksum = Checksum::default();
            let mut receiver = SnapshotReceiver::new(&target, meta).unwrap();
            for piece in pieces {
                checksum.add(&piece);
                receiver.push(piece).unwrap();
            }
            let (bytes, crc) = checksum.get();
            let received = receiver.finish(bytes, crc).unwrap();
            received.take_received().unwrap().install().unwrap()
        }
    };
    let (machine, progress) = tokio::task::spawn_blocking(install).await.unwrap();
    assert_eq!((machine.digest(), progress.clone()), pinned);
    machine.assert_invariants();
    drop(handle);
    close(store).await;

    // The old state is gone from the disk, and the new one is what the next start finds and goes on with.
    target.written(progress.applied).await.unwrap();
    let mut going_on = World::new(machine, progress);
    going_on.machine.take_changes();
    close(target).await;
    assert!(!other.path().join("state-1").exists());
    let (target, machine, progress) = Store::open(other.path()).unwrap();
    assert_eq!((machine.digest(), progress), pinned);
    close(target).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_in_cut_short_or_damaged_is_thrown_away() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (store, _) = world(dir.path(), 200).await;
    let handle = SnapshotHandle::pin(&store).await.unwrap();
    let all = pieces(&handle).await;
    let mut checksum = Checksum::default();
    all.iter().for_each(|piece| checksum.add(piece));
    let (bytes, crc) = checksum.get();
    let (target, machine, _) = Store::open(other.path()).unwrap();
    let before = machine.digest();

    let (receive, meta) = (target.clone(), handle.meta().clone());
    let refused = tokio::task::spawn_blocking(move || {
        let mut receiver = SnapshotReceiver::new(&receive, meta.clone()).unwrap();
        for piece in &all[1..] {
            receiver.push(piece.clone()).unwrap();
        }
        let cut_short = receiver.finish(bytes, crc).unwrap_err().to_string();

        let mut receiver = SnapshotReceiver::new(&receive, meta.clone()).unwrap();
        for piece in &all {
            let mut piece = piece.to_vec();
            let last = piece.len() - 1;
            piece[last] ^= 1;
            receiver.push(piece.into()).unwrap();
        }
        let damaged = receiver.finish(bytes, crc).unwrap_err().to_string();

        let mut receiver = SnapshotReceiver::new(&receive, Default::default()).unwrap();
        for piece in all {
            receiver.push(piece).unwrap();
        }
        let another = receiver.finish(bytes, crc).unwrap_err().to_string();
        [cut_short, damaged, another]
    });
    assert_eq!(
        refused.await.unwrap(),
        [
            "a snapshot has come in damaged or cut short",
            "a snapshot has come in damaged or cut short",
            "a snapshot is not the one that was announced",
        ]
    );
    drop(handle);
    close(store).await;
    close(target).await;
    let left: Vec<_> =
        std::fs::read_dir(other.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "CURRENT and the state it names: {left:?}");
    let (target, machine, _) = Store::open(other.path()).unwrap();
    assert_eq!(machine.digest(), before);
    close(target).await;
}
