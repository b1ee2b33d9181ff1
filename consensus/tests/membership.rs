//! Members come, go, and change what they are, while the rest goes on.

mod harness;

use std::time::{Duration, Instant};

use consensus::{Role, Status, Timing};
use harness::{BRISK, Client, Ensemble, PATIENCE, STEADY};
use machine::Rules;
use proto::{Code, MemberId};

async fn begin(size: u64) -> Ensemble {
    begin_with(size, BRISK).await
}

async fn begin_with(size: u64, timing: Timing) -> Ensemble {
    let mut ensemble = Ensemble::new(size);
    ensemble.rules = Rules::RECONFIG_ENABLED;
    ensemble.timing = timing;
    ensemble.start_all().await;
    ensemble
}

/// Asks for other members until the new ones are in step. They have five seconds for it, and whoever is not may be asked for
/// again: how fast they are is not what is tried here.
async fn reconfigure(
    ensemble: &mut Ensemble,
    client: &mut Client,
    joining: Option<&str>,
    leaving: Option<&str>,
) -> String {
    let start = Instant::now();
    loop {
        match ensemble.reconfigure(client, joining, leaving).await {
            Err(Code::NewConfigNoQuorum) => assert!(start.elapsed() < PATIENCE, "they are never in step"),
            Err(code) => panic!("it is refused: {code:?}"),
            Ok(text) => return text,
        }
    }
}

/// Waits until a member's status is as it should be.
async fn until(ensemble: &Ensemble, member: u64, what: &str, is: impl Fn(&Status) -> bool) {
    let mut status = ensemble.members[&member].consensus.status();
    let came = tokio::time::timeout(PATIENCE, status.wait_for(|status| is(status))).await;
    assert!(
        came.is_ok(),
        "member {member} is not {what}: {:?}",
        ensemble.members[&member].consensus.status().borrow()
    );
}

fn plays(role: Role) -> impl Fn(&Status) -> bool {
    move |status| status.role == role
}

async fn fill(ensemble: &mut Ensemble, client: &mut Client, name: &str) {
    for number in 0..20 {
        ensemble.create(client, &format!("/{name}{number}")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_observer_of_the_files_has_everything_and_no_vote() {
    let mut ensemble = Ensemble::new(4);
    ensemble.rules = Rules::RECONFIG_ENABLED;
    ensemble.observers.insert(4);
    ensemble.start_all().await;
    until(&ensemble, 4, "an observer", plays(Role::Observer)).await;
    // What is written through it goes to the leader like anybody's.
    let mut client = ensemble.client(4).await;
    fill(&mut ensemble, &mut client, "n").await;
    ensemble.members[&4].consensus.barrier().await.unwrap();
    ensemble.agree().await;
    ensemble
        .led("in step with it", |status| (status.followers_in_step, status.observers_in_step) == (2, 1))
        .await;
    let leader = ensemble.leader().await;
    let others: Vec<u64> = (1..=3).filter(|member| *member != leader).collect();

    // Of the voters two are left, then one; an observer more makes no quorum.
    ensemble.stop(others[0]).await;
    ensemble.create(&mut client, "/with-two").await;
    ensemble.stop(others[1]).await;
    assert!(ensemble.members[&4].consensus.barrier().await.is_err());
    ensemble.start(others[1]).await;
    ensemble.create(&mut client, "/with-two-again").await;
    ensemble.stop_all().await;
    ensemble.start_all().await;
    until(&ensemble, 4, "an observer", plays(Role::Observer)).await;
    ensemble.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fourth_member_joins_is_promoted_and_leads() {
    let mut ensemble = begin(3).await;
    let mut client = ensemble.client(ensemble.follower().await).await;
    fill(&mut ensemble, &mut client, "before").await;
    let fourth = ensemble.add();
    ensemble.start(fourth).await;
    until(&ensemble, fourth, "outside", |status| status.outside).await;

    let line = ensemble.line_as(fourth, "observer");
    let text = reconfigure(&mut ensemble, &mut client, Some(&line), None).await;
    assert!(text.ends_with(&line), "{text}");
    until(&ensemble, fourth, "an observer", |status| status.role == Role::Observer && !status.outside).await;
    ensemble.agree().await;

    let line = ensemble.line_as(fourth, "participant");
    let text = reconfigure(&mut ensemble, &mut client, Some(&line), None).await;
    assert!(text.ends_with(&line), "{text}");
    until(&ensemble, fourth, "a follower", plays(Role::Follower)).await;
    fill(&mut ensemble, &mut client, "with").await;
    ensemble.agree().await;
    for member in 1..=4 {
        until(&ensemble, member, "one of four", |status| {
            status.lines.len() == 4 && status.members.values().all(|(_, votes)| *votes)
        })
        .await;
    }

    // What it was told it knows again after a restart, whatever its file says.
    ensemble.stop_all().await;
    ensemble.start_all().await;
    let leader = ensemble.leader().await;
    if leader != fourth {
        // Any of the others would do as well; so they are taken out of the way.
        ensemble.members[&leader].consensus.hand_over().await;
    }
    let mut client = ensemble.client(fourth).await;
    ensemble.create(&mut client, "/again").await;
    ensemble.agree().await;
    ensemble.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_is_removed_and_the_rest_goes_on() {
    let mut ensemble = begin_with(3, STEADY).await;
    let leader = ensemble.leader().await;
    let goes = leader % 3 + 1;
    let mut client = ensemble.client(goes).await;
    ensemble.create(&mut client, "/seen-by-all").await;
    // Whoever goes answers its own client, and then it is over.
    let text = reconfigure(&mut ensemble, &mut client, None, Some(&goes.to_string())).await;
    assert!(!text.contains(&format!("server.{goes}=")), "{text}");
    until(&ensemble, goes, "outside", |status| status.outside && status.leader.is_none()).await;

    let term = ensemble.members[&leader].consensus.status().borrow().term;
    ensemble.attach(&mut client, leader).await;
    fill(&mut ensemble, &mut client, "without").await;
    // It has its log still, in which it is a member, and disturbs nobody with it, though it would call for votes soon.
    ensemble.stop(goes).await;
    ensemble.timing = BRISK;
    ensemble.start(goes).await;
    until(&ensemble, goes, "outside", |status| status.outside).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    fill(&mut ensemble, &mut client, "later").await;
    assert_eq!(ensemble.members[&leader].consensus.status().borrow().term, term);

    // It may come back.
    let line = ensemble.line(goes);
    reconfigure(&mut ensemble, &mut client, Some(&line), None).await;
    until(&ensemble, goes, "a follower", |status| status.role == Role::Follower && !status.outside).await;
    ensemble.agree().await;
    ensemble.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_is_removed_and_another_leads() {
    let mut ensemble = begin(3).await;
    let goes = ensemble.leader().await;
    let mut client = ensemble.client(goes).await;
    fill(&mut ensemble, &mut client, "before").await;
    reconfigure(&mut ensemble, &mut client, None, Some(&goes.to_string())).await;
    until(&ensemble, goes, "outside", |status| status.outside).await;
    let leader = ensemble.leader().await;
    assert_ne!(leader, goes);
    ensemble.attach(&mut client, leader).await;
    fill(&mut ensemble, &mut client, "after").await;
    ensemble.stop(goes).await;
    ensemble.agree().await;
    ensemble.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_becomes_an_observer() {
    let mut ensemble = begin(3).await;
    let leader = ensemble.leader().await;
    let mut client = ensemble.client(leader).await;
    let line = ensemble.line_as(leader, "observer");
    let text = reconfigure(&mut ensemble, &mut client, Some(&line), None).await;
    assert!(text.contains(&line), "{text}");
    until(&ensemble, leader, "an observer", plays(Role::Observer)).await;
    fill(&mut ensemble, &mut client, "after").await;
    ensemble.agree().await;
    ensemble.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_members_are_replaced_at_once() {
    let mut ensemble = begin(3).await;
    let mut client = ensemble.client(1).await;
    fill(&mut ensemble, &mut client, "before").await;
    let lines: Vec<String> = (0..3)
        .map(|_| {
            let member = ensemble.add();
            ensemble.line(member)
        })
        .collect();
    for member in 4..=6 {
        ensemble.start(member).await;
    }
    let text = reconfigure(&mut ensemble, &mut client, Some(&lines.join(",")), Some("1,2,3")).await;
    assert_eq!(text, lines.join("\n"));
    for member in 1..=3 {
        until(&ensemble, member, "outside", |status| status.outside).await;
        ensemble.stop(member).await;
    }
    ensemble.attach(&mut client, 4).await;
    fill(&mut ensemble, &mut client, "after").await;
    ensemble.agree().await;
    ensemble.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_member_is_replaced_by_one_elsewhere_with_nothing() {
    let mut ensemble = begin(3).await;
    let leader = ensemble.leader().await;
    let dead = leader % 3 + 1;
    let mut client = ensemble.client(leader).await;
    fill(&mut ensemble, &mut client, "before").await;
    ensemble.stop(dead).await;
    ensemble.lose_disk(dead);
    ensemble.move_away(dead);
    let line = ensemble.line(dead);
    reconfigure(&mut ensemble, &mut client, Some(&line), None).await;
    ensemble.start(dead).await;
    ensemble.agree().await;
    ensemble.led("in step with it", |status| status.followers_in_step == 2).await;
    let at = ensemble.members[&leader].consensus.status().borrow().members[&MemberId::new(dead)].0.clone();
    assert!(line.contains(&at), "{at} in {line}");
    ensemble.stop_all().await;
    ensemble.start_all().await;
    ensemble.agree().await;
    ensemble.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_quorum_of_the_new_members_nothing_changes() {
    let mut ensemble = begin(3).await;
    let leader = ensemble.leader().await;
    let mut client = ensemble.client(leader).await;
    let mut other = ensemble.client(leader % 3 + 1).await;
    ensemble.create(&mut client, "/before").await;
    let lines: Vec<String> = (0..4)
        .map(|_| {
            let member = ensemble.add();
            ensemble.line(member)
        })
        .collect();
    // Nobody runs there, and three of seven are no quorum.
    let refused = ensemble.reconfigure(&mut client, Some(&lines.join(",")), None).await;
    assert_eq!(refused, Err(Code::NewConfigNoQuorum));
    ensemble.create(&mut other, "/after").await;
    for member in 1..=3 {
        until(&ensemble, member, "one of three", |status| status.members.len() == 3).await;
    }
    ensemble.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_leader_goes_on_with_what_was_under_way() {
    let mut ensemble = begin(3).await;
    let leader = ensemble.leader().await;
    let follower = leader % 3 + 1;
    let mut client = ensemble.client(follower).await;
    ensemble.create(&mut client, "/before").await;
    let new = ensemble.add();
    let line = ensemble.line(new);
    // It waits for the new one, which does not run yet; meanwhile the leader ends.
    let here = ensemble.members[&follower].consensus.clone();
    let under_way = async {
        while here.read(|machine| machine.reconfiguration().is_none()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        biased;
        answer = ensemble.reconfigure(&mut client, Some(&line), None) => {
            panic!("nobody has waited for the new member: {answer:?}")
        }
        begun = tokio::time::timeout(PATIENCE, under_way) => begun.expect("nothing is under way"),
    }
    ensemble.stop(leader).await;
    ensemble.start(new).await;
    until(&ensemble, follower, "one of four", |status| {
        status.members.len() == 4 && status.members.values().all(|(_, votes)| *votes)
    })
    .await;
    let start = Instant::now();
    while ensemble.members[&follower].consensus.read(|machine| machine.reconfiguration().is_some()) {
        assert!(start.elapsed() < PATIENCE, "it is not done");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    ensemble.start(leader).await;
    ensemble.agree().await;
    ensemble.stop_all().await;
}
