//! Two older clients of crates.io: `tokio-zookeeper`, which knows one address, and `zookeeper-async`.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use harness::{Ensemble, Session, wait};
use tokio_zookeeper as tz;
use zookeeper_async as za;
use zookeeper_async::ZooKeeperExt as _;

/// The client of one member does its work, and notices nothing of the death of the leader.
#[tokio::test(flavor = "multi_thread")]
async fn tokio_zookeeper_does_its_work_through_the_death_of_a_leader() {
    let mut ensemble = Ensemble::three();
    let home = ensemble.follower();
    let (client, _events) = tz::ZooKeeper::connect(&ensemble.address(home)).await.unwrap();
    let open = || tz::Acl::open_unsafe();
    let persistent = tz::CreateMode::Persistent;

    assert_eq!(client.watch().exists("/jobs").await.unwrap(), None);
    let created = client.create("/jobs", &b"1"[..], open(), persistent).await.unwrap();
    assert_eq!(created.as_deref(), Ok("/jobs"));
    let again = client.create("/jobs", &b"1"[..], open(), persistent).await.unwrap();
    assert_eq!(again, Err(tz::error::Create::NodeExists));
    let (watched, found) =
        client.with_watcher().get_data("/jobs").await.unwrap().map(|(e, d, s)| (e, (d, s))).unwrap();
    assert_eq!((found.0, found.1.version), (b"1".to_vec(), 0));
    assert_eq!(client.set_data("/jobs", Some(0), &b"2"[..]).await.unwrap().unwrap().version, 1);
    assert!(client.set_data("/jobs", Some(0), &b"3"[..]).await.unwrap().is_err());
    let event = watched.await.unwrap();
    assert_eq!((event.event_type, event.path.as_str()), (tz::WatchedEventType::NodeDataChanged, "/jobs"));
    let made =
        client.create("/jobs/n-", &b""[..], open(), tz::CreateMode::EphemeralSequential).await.unwrap();
    assert_eq!(made.as_deref(), Ok("/jobs/n-0000000000"));
    assert_eq!(client.get_children("/jobs").await.unwrap(), Some(vec!["n-0000000000".to_owned()]));
    let multi = client
        .multi()
        .check("/jobs", 1)
        .create("/jobs/multi", &b""[..], open(), persistent)
        .delete("/jobs/multi", None)
        .run()
        .await
        .unwrap();
    assert!(multi.iter().all(Result::is_ok), "{multi:?}");
    let failing = client.multi().delete("/no-such", None).check("/jobs", 1).run().await.unwrap();
    assert!(failing.iter().all(Result::is_err), "{failing:?}");

    for round in 0..2 {
        let leader = ensemble.wait_for_leader();
        // It is about the clients of members that live: the second leader may be this one's own.
        if leader == home {
            break;
        }
        ensemble.kill9(leader);
        // None of these comes back with an error: the connection has not been lost.
        for number in 0..20 {
            let path = format!("/jobs/{round}-{number}");
            assert_eq!(client.create(&path, &b""[..], open(), persistent).await.unwrap(), Ok(path.clone()));
            assert!(client.exists(&path).await.unwrap().is_some());
        }
        ensemble.start_member(leader);
        ensemble.wait_until_serving();
    }
    let owned = client.exists("/jobs/n-0000000000").await.unwrap().expect("its ephemeral is there");
    assert_ne!(owned.ephemeral_owner, 0);
    drop(client);
    let mut other = Session::open(&ensemble.addresses(), 10_000).unwrap();
    wait::until("who was dropped closed its session", || {
        let reply = other.insist(&harness::Ask::exists("/jobs/n-0000000000", false)).ok()?;
        (reply.err == -101).then_some(())
    });
}

/// Asks again where the connection broke in between; only for what may be asked twice.
async fn insist<T>(mut ask: impl AsyncFnMut() -> za::ZkResult<T>) -> za::ZkResult<T> {
    let end = std::time::Instant::now() + wait::PATIENCE;
    loop {
        match ask().await {
            Err(za::ZkError::ConnectionLoss | za::ZkError::OperationTimeout)
                if std::time::Instant::now() < end =>
            {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            done => return done,
        }
    }
}

/// Calls, watches, and a session that lives through the deaths of its members.
#[tokio::test(flavor = "multi_thread")]
async fn zookeeper_async_keeps_its_session_while_members_die() {
    let mut ensemble = Ensemble::three();
    let timeout = Duration::from_secs(20);
    let client = za::ZooKeeper::connect(&ensemble.connect_string(), timeout, |_| {}).await.unwrap();
    let acl = || za::Acl::open_unsafe().clone();
    client.create("/box", vec![], acl(), za::CreateMode::Container).await.unwrap();
    client.create("/box/mine", b"1".to_vec(), acl(), za::CreateMode::Ephemeral).await.unwrap();
    client.ensure_path("/a/b/c").await.unwrap();
    assert_eq!(
        client.create("/a", vec![], acl(), za::CreateMode::Persistent).await,
        Err(za::ZkError::NodeExists)
    );
    assert_eq!(client.get_children("/a", false).await.unwrap(), ["b"]);
    assert_eq!(client.get_acl("/a").await.unwrap().0, acl());
    let told = Arc::new(Mutex::new(Vec::new()));
    let note = {
        let told = told.clone();
        move |event: za::WatchedEvent| told.lock().unwrap().push((event.event_type, event.path))
    };
    client.get_data_w("/a/b", note).await.unwrap();
    client.set_data("/a/b", b"x".to_vec(), Some(0)).await.unwrap();
    client.exists("/a", false).await.unwrap();
    wait::until("a watch told", || (!told.lock().unwrap().is_empty()).then_some(()));
    assert_eq!(*told.lock().unwrap(), [(za::WatchedEventType::NodeDataChanged, Some("/a/b".to_owned()))]);
    let owner = client.exists("/box/mine", false).await.unwrap().unwrap().ephemeral_owner;

    // One after the other: one of them is the client's, and one leads.
    for victim in ensemble.ids() {
        ensemble.kill9(victim);
        insist(async || client.set_data("/box/mine", b"2".to_vec(), None).await).await.unwrap();
        let stat = insist(async || client.exists("/box/mine", false).await).await.unwrap().unwrap();
        assert_eq!(stat.ephemeral_owner, owner, "the session became another");
        ensemble.start_member(victim);
        ensemble.wait_until_serving();
    }
    insist(async || client.delete_recursive("/a").await).await.unwrap();
    client.close().await.unwrap();
}
