//! Members of different ensembles, at each other's addresses.
#![allow(clippy::unwrap_used, reason = "it holds nothing but tests")]

mod harness;

use std::time::Duration;

use harness::{Ensemble, PATIENCE, STEADY};
use proto::ClusterId;

fn called(boot: u64, size: u64) -> Ensemble {
    let mut ensemble = Ensemble::new(size);
    ensemble.boot = boot;
    ensemble
}

fn name(ensemble: &Ensemble, member: u64) -> Option<u64> {
    ensemble.members[&member].consensus.read(|machine| machine.cluster().map(ClusterId::get))
}

async fn named(ensemble: &Ensemble) {
    let named = async {
        while ensemble.members.keys().any(|member| name(ensemble, *member).is_none()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, named).await.expect("the ensemble was given no name");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_members_know_one_name_and_keep_it() {
    let mut ensemble = called(0xa11ce, 3);
    ensemble.start_all().await;
    named(&ensemble).await;
    assert!((1..=3).all(|member| name(&ensemble, member) == Some(0xa11ce)));
    ensemble.stop_all().await;
    // Whoever leads now would have drawn another.
    ensemble.boot = 0xb0b;
    ensemble.start_all().await;
    assert!((1..=3).all(|member| name(&ensemble, member) == Some(0xa11ce)));
    for member in 1..=3 {
        let status = ensemble.members[&member].consensus.status().borrow().clone();
        assert_eq!(status.cluster, ClusterId::new(0xa11ce));
    }
    ensemble.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_of_another_ensemble_neither_votes_nor_takes_entries() {
    let mut ours = Ensemble::new(3);
    // Whoever calls for votes here is one of the others.
    ours.timing = STEADY;
    ours.start_all().await;
    named(&ours).await;
    let mut client = ours.client(1).await;
    ours.create(&mut client, "/ours").await;
    let before = ours.agree().await;
    let (leader, term) = (ours.leader().await, ours.members[&1].consensus.status().borrow().term);

    // The third of the others is looked for where the third of ours is. They have begun before: whoever has not would find that
    // an ensemble exists, and wait to be let into it.
    let mut others = called(0xb0b, 3);
    others.start_all().await;
    named(&others).await;
    // Nor would they vote, if they were stopped before they have caught up, without having heard the third.
    for member in 1..=3 {
        let mut status = others.members[&member].consensus.status();
        let grown_up = status.wait_for(|status| status.grown_up);
        tokio::time::timeout(PATIENCE, grown_up).await.expect("it has not caught up").unwrap();
    }
    others.stop_all().await;
    others.misdirect(3, &ours);
    others.start(1).await;
    others.start(2).await;
    let status = others.members[&1].consensus.status();
    let led = async |is_led: bool| {
        let mut status = status.clone();
        let came = status.wait_for(|status| status.recovered && status.leader.is_some() == is_led);
        tokio::time::timeout(PATIENCE, came).await.expect("it is not so").unwrap();
    };
    led(true).await;
    let mut theirs = others.client(1).await;
    for number in 0..50 {
        others.create(&mut theirs, &format!("/theirs{number}")).await;
    }

    // Two of three are a majority without it; one is none with it.
    others.stop(2).await;
    led(false).await;
    let elected = tokio::time::timeout(Duration::from_secs(3), async {
        status.clone().wait_for(|status| status.leader.is_some()).await.map(drop)
    });
    assert!(elected.await.is_err(), "a member of ours has voted for one of the others");

    assert_eq!(ours.agree().await, before);
    assert_eq!(ours.leader().await, leader);
    assert_eq!(ours.members[&1].consensus.status().borrow().term, term, "the others have called for votes");
    ours.create(&mut client, "/ours/still").await;
    ours.agree().await;
    others.stop_all().await;
    ours.stop_all().await;
}

/// Puts the state of one ensemble beside the log of another. Their members end as soon as they have names, and stand still for so long
/// whenever they have applied something, in front of everything that is done about that.
async fn a_log_and_a_state_of_different_ensembles(pause: Duration) {
    let mut ours = Ensemble::new(1);
    ours.pause = pause;
    ours.start_all().await;
    named(&ours).await;
    ours.stop_all().await;
    let mut others = called(0xb0b, 1);
    others.pause = pause;
    others.start_all().await;
    named(&others).await;
    others.stop_all().await;
    std::fs::remove_dir_all(ours.directory(1).join("state")).unwrap();
    std::fs::rename(others.directory(1).join("state"), ours.directory(1).join("state")).unwrap();
    let refused = ours.try_start(1).await.unwrap_err().to_string();
    assert!(
        refused.starts_with(
            "the log is of ensemble 0000000000000001, and the state of ensemble 0000000000000b0b: "
        ),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_and_a_state_of_different_ensembles_are_not_opened() {
    a_log_and_a_state_of_different_ensembles(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_are_they_if_their_members_ended_as_soon_as_they_had_names() {
    a_log_and_a_state_of_different_ensembles(Duration::from_millis(500)).await;
}
