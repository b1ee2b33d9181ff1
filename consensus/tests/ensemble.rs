//! What is acknowledged stays, whichever members go and come back.

mod harness;

use std::sync::atomic::Ordering;
use std::time::Duration;

use consensus::{Retention, Role, Status};
use harness::{Ensemble, PATIENCE, STEADY};

#[tokio::test(flavor = "multi_thread")]
async fn a_single_member_keeps_what_it_acknowledged() {
    let mut ensemble = Ensemble::new(1);
    ensemble.start_all().await;
    let mut client = ensemble.client(1).await;
    for number in 0..50 {
        ensemble.create(&mut client, &format!("/n{number}")).await;
    }
    ensemble.members[&1].consensus.barrier().await.unwrap();
    let before = ensemble.digest(1);
    ensemble.stop_all().await;

    ensemble.start_all().await;
    assert_eq!(ensemble.digest(1), before);
    ensemble.create(&mut client, "/after").await;
    ensemble.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_members_agree_through_the_loss_of_their_leader_and_a_restart_of_all() {
    let mut ensemble = Ensemble::new(3);
    ensemble.start_all().await;
    let leader = ensemble.leader().await;
    let follower = leader % 3 + 1;
    let mut client = ensemble.client(follower).await;
    for number in 0..50 {
        ensemble.create(&mut client, &format!("/n{number}")).await;
    }
    ensemble.agree().await;

    // The client's member lives on, and so does the client.
    ensemble.stop(leader).await;
    for number in 50..100 {
        ensemble.create(&mut client, &format!("/n{number}")).await;
    }
    assert_ne!(ensemble.leader().await, leader);
    ensemble.members[&follower].consensus.barrier().await.unwrap();

    // The old leader was away for a moment, and catches up by the log.
    ensemble.start(leader).await;
    ensemble.agree().await;
    let before = ensemble.world(leader);
    assert_eq!(ensemble.members[&leader].ear.replaced.load(Ordering::SeqCst), 0);

    ensemble.stop_all().await;
    ensemble.start_all().await;
    ensemble.agree().await;
    before.assert_lasts_in(&ensemble.world(leader));
    for member in 1..=3 {
        assert!(ensemble.znodes(member) >= 100);
    }
    ensemble.create(&mut client, "/after").await;
    ensemble.agree().await;
    ensemble.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_was_away_for_long_is_sent_the_state() {
    let mut ensemble = Ensemble::new(3);
    ensemble.retention = Retention { snapshot_every: 20, keep: 5, bytes_max: u64::MAX };
    ensemble.start_all().await;
    let leader = ensemble.leader().await;
    let away = leader % 3 + 1;
    let mut client = ensemble.client(leader).await;
    ensemble.create(&mut client, "/seen-by-all").await;
    ensemble.agree().await;
    ensemble.stop(away).await;
    let status = ensemble.members[&leader].consensus.status();
    for number in 0..200 {
        ensemble.create(&mut client, &format!("/n{number}")).await;
    }
    // Each znode took an entry. Raft keeps what it has begun to send to a member until it learns that the member is gone,
    // which the next call tells it, a moment later: one that is back within that moment is still sent the log.
    let dropped = |status: &Status| status.purged > 100;
    tokio::time::timeout(PATIENCE, status.clone().wait_for(dropped))
        .await
        .expect("nothing is dropped")
        .unwrap();
    ensemble.start(away).await;
    ensemble.agree().await;
    assert_eq!(ensemble.members[&away].ear.replaced.load(Ordering::SeqCst), 1, "it came by the log");

    // What was received is what the next start begins with.
    ensemble.create(&mut client, "/behind-the-snapshot").await;
    ensemble.agree().await;
    let before = ensemble.world(away);
    ensemble.stop(away).await;
    ensemble.start(away).await;
    ensemble.agree().await;
    before.assert_lasts_in(&ensemble.world(away));
    ensemble.stop_all().await;
    ensemble.start_all().await;
    ensemble.agree().await;
    before.assert_lasts_in(&ensemble.world(away));
    ensemble.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_hands_over_follows_another_and_its_clients_go_on() {
    let mut ensemble = Ensemble::new(3);
    // No vote but the one that is asked for.
    ensemble.timing = STEADY;
    ensemble.start_all().await;
    let first = ensemble.leader().await;
    let (mut here, mut there) = (ensemble.client(first).await, ensemble.client(first % 3 + 1).await);
    let term = ensemble.members[&first].consensus.status().borrow().term;

    // Under way while the leader changes.
    for number in 0..200 {
        ensemble.propose_create(&mut here, &format!("/here{number}"));
        ensemble.propose_create(&mut there, &format!("/there{number}"));
    }
    // A leader that the others do not confirm in time hands over nothing, and this member may hear of its heir later than
    // that leads.
    let mut status = ensemble.members[&first].consensus.status();
    for _ in 0..PATIENCE.as_secs() {
        ensemble.members[&first].consensus.hand_over().await;
        let heard = status.wait_for(|status| status.term > term);
        if tokio::time::timeout(Duration::from_secs(1), heard).await.is_ok() {
            break;
        }
    }
    assert_ne!(ensemble.leader().await, first);
    assert_eq!(status.borrow().term, term + 1, "it took more than the one vote that was asked for");
    ensemble.create(&mut here, "/here").await;
    ensemble.create(&mut there, "/there").await;
    ensemble.agree().await;
    assert!(ensemble.znodes(first) >= 402);

    // To hand over what one does not have does nothing.
    ensemble.members[&first].consensus.hand_over().await;
    assert_eq!(ensemble.members[&first].consensus.status().borrow().term, term + 1);
    ensemble.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_proposed_here_is_done_when_the_member_has_left() {
    let mut ensemble = Ensemble::new(3);
    ensemble.start_all().await;
    // The leader last: what its own client proposed must outlive its own reign.
    for leaves in [ensemble.follower().await, ensemble.leader().await] {
        let mut client = ensemble.client(leaves).await;
        let other = leaves % 3 + 1;
        let before = ensemble.agree().await.0;
        for number in 0..300 {
            ensemble.propose_create(&mut client, &format!("/of{leaves}-{number}"));
        }
        ensemble.stop(leaves).await;
        ensemble.members[&other].consensus.barrier().await.unwrap();
        let done = ensemble.digest(other).0.get() - before.get();
        assert!(done >= 300, "{done} of 300");
        ensemble.start(leaves).await;
        ensemble.agree().await;
    }
    ensemble.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_without_a_quorum_says_that_it_is_none() {
    let mut ensemble = Ensemble::new(3);
    ensemble.start_all().await;
    let leader = ensemble.leader().await;
    let mut status = ensemble.members[&leader].consensus.status();
    assert_eq!(status.borrow().members.len(), 3);
    for member in (1..=3).filter(|member| *member != leader) {
        ensemble.stop(member).await;
    }
    let alone = status.wait_for(|status| status.role == Role::Looking && status.leader.is_none());
    tokio::time::timeout(PATIENCE, alone).await.unwrap().unwrap();
    assert!(ensemble.members[&leader].consensus.barrier().await.is_err());
    ensemble.stop_all().await;
    assert!(status.borrow().stopped);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_lost_its_disk_is_sent_everything() {
    let mut ensemble = Ensemble::new(3);
    ensemble.timing = STEADY;
    ensemble.start_all().await;
    let leader = ensemble.leader().await;
    let lost = leader % 3 + 1;
    let mut client = ensemble.client(leader).await;
    for number in 0..20 {
        ensemble.create(&mut client, &format!("/n{number}")).await;
    }
    ensemble.agree().await;
    ensemble.stop(lost).await;
    ensemble.lose_disk(lost);
    ensemble.create(&mut client, "/meanwhile").await;
    ensemble.start(lost).await;
    ensemble.agree().await;
    // For as long as any of them waits before it stands for election.
    tokio::time::sleep(STEADY.election_max * 2).await;
    assert_eq!(ensemble.leader().await, leader, "the leader was unseated");
    ensemble.create(&mut client, "/after").await;
    let before = ensemble.agree().await;
    assert!(!ensemble.members[&leader].consensus.status().borrow().stopped);

    ensemble.stop_all().await;
    ensemble.start_all().await;
    assert_eq!(ensemble.agree().await, before);
    ensemble.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_lost_its_disk_does_not_help_to_elect_one_that_lacks_what_was_acknowledged() {
    let mut ensemble = Ensemble::new(3);
    ensemble.start_all().await;
    let leader = ensemble.leader().await;
    let (behind, forgetful) = (leader % 3 + 1, (leader + 1) % 3 + 1);
    let mut client = ensemble.client(leader).await;
    ensemble.create(&mut client, "/seen-by-all").await;
    ensemble.agree().await;
    ensemble.stop(behind).await;
    ensemble.create(&mut client, "/acknowledged").await;
    ensemble.stop_all().await;
    ensemble.lose_disk(forgetful);

    // These two are a majority, and neither has what was acknowledged.
    ensemble.start(behind).await;
    ensemble.start(forgetful).await;
    let mut status = ensemble.members[&behind].consensus.status();
    let elected = status.wait_for(|status| status.leader.is_some());
    assert!(tokio::time::timeout(Duration::from_secs(3), elected).await.is_err(), "one was elected");

    ensemble.start(leader).await;
    ensemble.agree().await;
    let seen = ensemble.members[&forgetful].consensus.read(|machine| {
        machine.records().any(|record| format!("{:?}", record.key()).contains("/acknowledged"))
    });
    assert!(seen);
    ensemble.stop_all().await;
}
