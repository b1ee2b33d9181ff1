//! What clients of any member ask for is done once and in order, whoever leads meanwhile.

mod harness;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use consensus::{Leaderless, NoBackup, Unavailable};
use harness::{Client, Ensemble, PATIENCE, Running};
use machine::Verdict;
use proto::{Seq, SessionId};

/// Listens to a member until it has seen the last write of each client, and returns the writes of each in the order
/// in which they were answered.
async fn answers(running: &mut Running, clients: &[Client]) -> BTreeMap<SessionId, Vec<Seq>> {
    let mut answered: BTreeMap<SessionId, Vec<Seq>> = BTreeMap::new();
    while !clients
        .iter()
        .all(|client| answered.get(&client.session).and_then(|seqs| seqs.last()) == Some(&client.seq))
    {
        if let Verdict::Answered { session, seq, result, .. } = running.hear().await {
            assert!(result.is_ok(), "{session} {seq}: {result:?}");
            answered.entry(session).or_default().push(seq);
        }
    }
    answered
}

fn one_to(last: Seq) -> Vec<Seq> {
    (1..=last.get()).map(Seq::new).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_of_all_members_survive_the_leader_each_once_and_in_order() {
    let mut ensemble = Ensemble::new(3);
    ensemble.start_all().await;
    let leader = ensemble.leader().await;
    let survivors: Vec<u64> = (1..=3).filter(|member| *member != leader).collect();
    let mut clients = Vec::new();
    for member in [survivors[0], survivors[1], survivors[0]] {
        clients.push(ensemble.client(member).await);
    }

    // The leader goes in the midst of it, with batches of both of the others under way.
    let propose = |ensemble: &mut Ensemble, clients: &mut [Client], numbers: std::ops::Range<u32>| {
        for number in numbers {
            for client in &mut *clients {
                ensemble.propose_create(client, &format!("/{}-{number}", client.session.to_wire()));
            }
        }
    };
    propose(&mut ensemble, &mut clients, 0..1_000);
    let going = ensemble.members.remove(&leader).unwrap();
    let gone = tokio::spawn(async move { going.consensus.shutdown().await });
    for first in (1_000..3_000).step_by(100) {
        propose(&mut ensemble, &mut clients, first..first + 100);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    gone.await.unwrap();

    for member in &survivors {
        let answered = answers(ensemble.member(*member), &clients).await;
        for client in &clients {
            assert_eq!(client.seq.get(), 3_000);
            // The member heard of everything from its start on, whoever proposed it.
            assert!(answered[&client.session].ends_with(&one_to(client.seq)[1..]), "on member {member}");
            assert_eq!(answered[&client.session].len(), 3_000, "on member {member}");
        }
    }

    ensemble.start(leader).await;
    ensemble.agree().await;
    assert_eq!(ensemble.znodes(leader), ensemble.znodes(survivors[0]));
    ensemble.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leaders_may_come_and_go() {
    let mut ensemble = Ensemble::new(3);
    ensemble.start_all().await;
    let home = ensemble.follower().await;
    let mut client = ensemble.client(home).await;
    for round in 0..3 {
        for number in 0..200 {
            ensemble.propose_create(&mut client, &format!("/{round}-{number}"));
        }
        let leader = ensemble.leader().await;
        // Its own clients' member may lead as well; then it is another one that goes.
        let goes = if leader == home { (1..=3).find(|member| *member != home).unwrap() } else { leader };
        ensemble.stop(goes).await;
        let answered = answers(ensemble.member(home), &[client]).await;
        assert_eq!(answered[&client.session].last(), Some(&client.seq));
        ensemble.start(goes).await;
    }
    ensemble.agree().await;
    assert_eq!(client.seq.get(), 600);
    ensemble.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_barrier_is_all_that_was_acknowledged_anywhere() {
    let mut ensemble = Ensemble::new(3);
    ensemble.start_all().await;
    let writer = ensemble.leader().await;
    let reader = ensemble.follower().await;
    let mut client = ensemble.client(writer).await;
    // What the rounds took that had one barrier each.
    let mut singly = Duration::ZERO;
    for number in 0..100 {
        ensemble.create(&mut client, &format!("/{number}")).await;
        let acknowledged = ensemble.digest(writer).0;
        let start = Instant::now();
        ensemble.members[&reader].consensus.barrier().await.unwrap();
        singly += start.elapsed();
        assert!(ensemble.members[&reader].consensus.read(machine::Machine::last_zxid) >= acknowledged);
    }
    let backup = ensemble.members[&reader].consensus.backup(Leaderless::Refused).await.unwrap();
    assert!(backup.zxid() >= ensemble.digest(writer).0 && !backup.is_stale());
    // Many at once share a round.
    let start = Instant::now();
    let consensus = ensemble.members[&reader].consensus.clone();
    let barriers = (0..2_000).map(|_| {
        let consensus = consensus.clone();
        tokio::spawn(async move { consensus.barrier().await })
    });
    for barrier in barriers.collect::<Vec<_>>() {
        assert_eq!(barrier.await.unwrap(), Ok(()));
    }
    // With a round for each they would take twenty times as long as a hundred; a slow machine is slow at both.
    let limit = Duration::from_secs(5).max(singly * 5);
    assert!(start.elapsed() < limit, "{:?}, and a hundred singly {singly:?}", start.elapsed());

    // Nobody can say what was acknowledged if there is no quorum.
    for member in (1..=3).filter(|member| *member != reader) {
        ensemble.stop(member).await;
    }
    let alone = &ensemble.members[&reader].consensus;
    assert_eq!(alone.barrier().await, Err(Unavailable));
    assert!(matches!(alone.backup(Leaderless::Refused).await, Err(NoBackup::Leaderless)));
    assert!(alone.backup(Leaderless::Stale).await.unwrap().is_stale());
    ensemble.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_when_nobody_hears_of_it_and_not_before() {
    let mut ensemble = Ensemble::new(3);
    ensemble.tick = Duration::from_millis(200);
    ensemble.start_all().await;
    let home = ensemble.follower().await;
    // From before it was opened: nobody knows how long after it we have heard of that.
    let opened = Instant::now();
    let silent = ensemble.client_with_timeout(home, 1_000).await;
    // It lives as long as it is heard of once in its timeout, which a machine that stands still for a moment must not prevent.
    let heard = ensemble.client_with_timeout(home, 3_000).await;

    let mut ended = None;
    while ended.is_none() || opened.elapsed() < Duration::from_secs(9) {
        assert!(opened.elapsed() < PATIENCE, "the session was never ended");
        ensemble.member(home).consensus.touch(heard.session);
        tokio::time::sleep(Duration::from_millis(50)).await;
        while let Ok(verdict) = ensemble.member(home).heard.try_recv() {
            if let Verdict::Closed { session, seq, .. } = verdict {
                assert_eq!((session, seq), (silent.session, None), "who was heard of lives");
                ended = Some(opened.elapsed());
            }
        }
    }
    let ended = ended.unwrap();
    assert!(ended >= Duration::from_millis(1_000), "after {ended:?}");

    // Whoever leads next hears of the sessions from the start, and gives each a full timeout.
    let leader = ensemble.leader().await;
    ensemble.stop(leader).await;
    let stopped = Instant::now();
    while stopped.elapsed() < Duration::from_secs(9) {
        ensemble.member(home).consensus.touch(heard.session);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let lives = ensemble.member(home).consensus.read(|machine| machine.session(heard.session).is_some());
    assert!(lives);
    ensemble.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_alone_ends_sessions_too() {
    let mut ensemble = Ensemble::new(1);
    ensemble.tick = Duration::from_millis(200);
    ensemble.start_all().await;
    let silent = ensemble.client_with_timeout(1, 500).await;
    loop {
        if let Verdict::Closed { session, seq, .. } = ensemble.member(1).hear().await {
            assert_eq!((session, seq), (silent.session, None));
            break;
        }
    }
    ensemble.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_moved_leaves_nothing_behind() {
    let mut ensemble = Ensemble::new(3);
    ensemble.start_all().await;
    let (old, new) = (ensemble.leader().await, ensemble.follower().await);
    let mut client = ensemble.client(old).await;
    ensemble.create(&mut client, "/before").await;
    let mut left = client;
    ensemble.attach(&mut client, new).await;
    assert_eq!(client.attachment, left.attachment.next());

    // What comes over the connection that it has left is refused for ever, and does not hold up anybody.
    ensemble.propose_create(&mut left, "/from-the-old-connection");
    loop {
        if let Verdict::Fenced { session, attachment, .. } = ensemble.member(old).hear().await {
            assert_eq!((session, attachment), (client.session, left.attachment));
            break;
        }
    }
    ensemble.create(&mut client, "/after").await;
    ensemble.agree().await;
    ensemble.stop_all().await;
}
