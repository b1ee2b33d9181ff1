//! The `zookeeper-client` of crates.io, through the deaths of members.

use std::collections::BTreeSet;
use std::time::Duration;

use harness::ask::flags::PERSISTENT;
use harness::{Ask, Ensemble, Session, wait};
use zookeeper_client as zk;

use crate::changes::{Changes, ROOT};

const ANYONE: zk::Acls<'static> = zk::Acls::anyone_all();

async fn connect(ensemble: &Ensemble) -> zk::Client {
    let connector = zk::Client::connector().with_session_timeout(Duration::from_secs(20));
    connector.connect(&ensemble.connect_string()).await.expect("connect to the ensemble")
}

/// Asks again where the connection broke in between; only for what may be asked twice.
async fn insist<T>(mut ask: impl AsyncFnMut() -> Result<T, zk::Error>) -> Result<T, zk::Error> {
    let end = std::time::Instant::now() + wait::PATIENCE;
    loop {
        match ask().await {
            Err(zk::Error::ConnectionLoss) if std::time::Instant::now() < end => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            done => return done,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rust_client_does_its_work() {
    let ensemble = Ensemble::three();
    let client = connect(&ensemble).await;
    let other = connect(&ensemble).await;
    let persistent = zk::CreateMode::Persistent.with_acls(ANYONE);

    let (_, created) = other.check_and_watch_stat("/jobs").await.unwrap();
    let mut below = other.watch("/jobs", zk::AddWatchMode::PersistentRecursive).await.unwrap();
    let (stat, _) = client.create("/jobs", b"1", &persistent).await.unwrap();
    let event = created.changed().await;
    assert_eq!((event.event_type, event.path.as_str()), (zk::EventType::NodeCreated, "/jobs"));
    assert_eq!(client.get_data("/jobs").await.unwrap(), (b"1".to_vec(), stat));
    assert_eq!(client.create("/jobs", b"", &persistent).await.unwrap_err(), zk::Error::NodeExists);
    assert_eq!(client.set_data("/jobs", b"2", Some(5)).await.unwrap_err(), zk::Error::BadVersion);
    assert_eq!(client.set_data("/jobs", b"2", Some(0)).await.unwrap().version, 1);

    let sequential = zk::CreateMode::PersistentSequential.with_acls(ANYONE);
    for expected in 0..3 {
        let (_, sequence) = client.create("/jobs/n-", b"", &sequential).await.unwrap();
        assert_eq!(sequence.into_i64(), expected);
    }
    other.sync("/").await.unwrap();
    let mut children = other.list_children("/jobs").await.unwrap();
    children.sort();
    assert_eq!(children, ["n-0000000000", "n-0000000001", "n-0000000002"]);

    let mut multi = client.new_multi_writer();
    multi.add_check_version("/jobs", 1).unwrap();
    multi.add_create("/jobs/multi", b"", &persistent).unwrap();
    multi.add_delete("/jobs/n-0000000000", None).unwrap();
    assert_eq!(multi.commit().await.unwrap().len(), 3);
    let mut failing = client.new_multi_writer();
    failing.add_create("/jobs/never", b"", &persistent).unwrap();
    failing.add_delete("/jobs/no-such", None).unwrap();
    assert!(failing.commit().await.is_err());
    assert_eq!(client.check_stat("/jobs/never").await.unwrap(), None);

    let mut reader = client.new_multi_reader();
    reader.add_get_data("/jobs").unwrap();
    reader.add_get_children("/jobs").unwrap();
    assert_eq!(reader.commit().await.unwrap().len(), 2);
    assert_eq!(client.count_descendants_number("/jobs").await.unwrap(), 3);

    let expected = [
        (zk::EventType::NodeCreated, "/jobs"),
        (zk::EventType::NodeDataChanged, "/jobs"),
        (zk::EventType::NodeCreated, "/jobs/n-0000000000"),
        (zk::EventType::NodeCreated, "/jobs/n-0000000001"),
        (zk::EventType::NodeCreated, "/jobs/n-0000000002"),
        (zk::EventType::NodeCreated, "/jobs/multi"),
        (zk::EventType::NodeDeleted, "/jobs/n-0000000000"),
    ];
    for (kind, path) in expected {
        let event = below.changed().await;
        assert_eq!((event.event_type, event.path.as_str()), (kind, path));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rust_client_keeps_session_ephemerals_and_lock_through_the_death_of_a_leader() {
    let mut ensemble = Ensemble::three();
    let client = connect(&ensemble).await;
    let rival = connect(&ensemble).await;
    let session = client.session_id();
    let persistent = zk::CreateMode::Persistent.with_acls(ANYONE);
    let ephemeral = zk::CreateMode::Ephemeral.with_acls(ANYONE);
    client.create("/locks", b"", &persistent).await.unwrap();
    client.create("/mine", b"", &ephemeral).await.unwrap();
    let prefix = || zk::LockPrefix::new_curator("/locks", "lock-").unwrap();
    let held = client.lock(prefix(), b"first", ANYONE).await.unwrap();
    let waiting = tokio::spawn({
        let rival = rival.clone();
        async move { rival.lock(prefix(), b"second", ANYONE).await.map(zk::LockClient::into_owned) }
    });
    wait_for_contenders(&client, 2).await;

    for _ in 0..2 {
        let leader = ensemble.wait_for_leader();
        ensemble.kill9(leader);
        let (_, stat) = loop {
            // Also says whether writes go on; the path is this client's alone.
            if insist(async || client.set_data("/mine", b"x", None).await).await.is_ok() {
                break insist(async || client.get_data("/mine").await).await.unwrap();
            }
        };
        assert_eq!(zk::SessionId(stat.ephemeral_owner), session);
        assert_eq!(client.session_id(), session);
        ensemble.start_member(leader);
        ensemble.wait_until_serving();
    }
    assert!(!waiting.is_finished(), "two hold one lock");
    drop(held);
    let second = waiting.await.unwrap().unwrap();
    let (data, _) = insist(async || rival.get_data(second.lock_path()).await).await.unwrap();
    assert_eq!(data, b"second");
}

async fn wait_for_contenders(client: &zk::Client, count: usize) {
    let end = std::time::Instant::now() + wait::PATIENCE;
    while client.list_children("/locks").await.unwrap().len() < count {
        assert!(std::time::Instant::now() < end, "waited in vain until {count} contended for the lock");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rust_client_is_told_of_every_change_while_members_die() {
    let mut ensemble = Ensemble::three();
    let changes = Changes::prepare(&ensemble.addresses());
    let client = connect(&ensemble).await;
    let session = client.session_id();
    let mut below = client.watch(ROOT, zk::AddWatchMode::PersistentRecursive).await.unwrap();
    let told = tokio::spawn(async move {
        let (mut told, mut seen) = (Vec::new(), BTreeSet::new());
        // The root itself is written when all is over.
        loop {
            let event = below.changed().await;
            let kind = match event.event_type {
                zk::EventType::NodeDataChanged if event.path == ROOT => return told,
                zk::EventType::Session => {
                    assert!(!event.session_state.is_terminated(), "the session was lost");
                    continue;
                }
                kind => kind as i32,
            };
            let event = (event.zxid, kind, event.path);
            // What was delivered right before a connection broke may come again.
            if seen.insert(event.clone()) {
                told.push((event.1, event.2));
            }
        }
    });
    let mut writer = Session::open(&ensemble.addresses(), 20_000).unwrap();
    let must = |writer: &mut Session, ask: Ask| assert_eq!(writer.insist(&ask).unwrap().err, 0);
    must(&mut writer, Ask::create("/once", b"", PERSISTENT));
    client.sync("/once").await.unwrap();

    // One after the other: one of them is the client's, and one leads.
    for victim in ensemble.ids() {
        let path = format!("/once/{victim}");
        let (_, made) = insist(async || client.check_and_watch_stat(&path).await).await.unwrap();
        let (.., changed) = insist(async || client.get_and_watch_data("/once").await).await.unwrap();
        let (_, more) = insist(async || client.list_and_watch_children("/once").await).await.unwrap();
        changes.begin(40);
        ensemble.kill9(victim);
        changes.wait();
        // Others may be asked twice: this znode is made, written and gone for certain, and that is all that counts.
        let _made = writer.insist(&Ask::create(&path, b"", PERSISTENT)).unwrap();
        let _gone = writer.insist(&Ask::delete(&path)).unwrap();
        must(&mut writer, Ask::set_data("/once", b"", -1));
        for (watcher, kind, path) in [
            (made, zk::EventType::NodeCreated, path.as_str()),
            (changed, zk::EventType::NodeDataChanged, "/once"),
            (more, zk::EventType::NodeChildrenChanged, "/once"),
        ] {
            let event = watcher.changed().await;
            assert_eq!((event.event_type, event.path.as_str()), (kind, path), "when member {victim} died");
        }
        ensemble.start_member(victim);
        ensemble.wait_until_serving();
    }

    let expected = changes.finish();
    must(&mut writer, Ask::set_data(ROOT, b"", -1));
    let told = told.await.unwrap();
    let same = told.iter().zip(&expected).take_while(|(told, expected)| told == expected).count();
    assert!(
        told == expected,
        "told of {} changes where {} were made; after the first {same} told {:?} and not {:?}",
        told.len(),
        expected.len(),
        told.get(same),
        expected.get(same),
    );
    assert_eq!(client.session_id(), session);
}
