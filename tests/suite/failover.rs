//! Members that die, freeze and come back, under sessions that write all the time.
#![allow(clippy::unwrap_used, reason = "a test that finds nothing where something should be has failed")]

use harness::ask::flags::{PERSISTENT, SEQUENTIAL};
use harness::audit::audit;
use harness::connection::Greeting;
use harness::load::Ledger;
use harness::tree::Tree;
use harness::{Ask, Connection, Ensemble, Load, Plan, Server, wait};

/// How much every session has to have written before and after each fault.
const SOME: u64 = 60;

/// Sessions that write: as many on each member.
const SESSIONS: usize = 6;

/// Reads every member and compares with what the sessions were told; all members must be there.
#[track_caller]
fn check(ensemble: &Ensemble, load: &Load, after: &str) {
    let ledgers = load.pause();
    let znodes = audit(&ensemble.addresses(), &ledgers);
    let unknown: usize = ledgers
        .iter()
        .map(|ledger| ledger.named.values().filter(|acknowledged| !**acknowledged).count())
        .sum();
    eprintln!(
        "after {after}: {} acknowledged writes, {unknown} unknown creates, {znodes} znodes",
        load.acknowledged()
    );
    load.resume();
}

#[test]
fn nothing_acknowledged_is_lost_when_members_are_killed() {
    let mut ensemble = Ensemble::three();
    let load = Load::start(&ensemble.addresses(), SESSIONS);
    load.progress(SOME);

    let leader = ensemble.wait_for_leader();
    ensemble.kill9(leader);
    load.progress(SOME);
    ensemble.start_member(leader);
    ensemble.wait_until_serving();
    check(&ensemble, &load, "the death of the leader");
    load.progress(SOME);

    let follower = ensemble.follower();
    ensemble.kill9(follower);
    load.progress(SOME);
    ensemble.start_member(follower);
    ensemble.wait_until_serving();
    check(&ensemble, &load, "the death of a follower");
    load.progress(SOME);

    for id in ensemble.ids() {
        ensemble.kill9(id);
    }
    for id in ensemble.ids() {
        ensemble.start_member(id);
    }
    ensemble.wait_until_serving();
    load.progress(SOME);
    check(&ensemble, &load, "the death of all");
}

#[test]
fn nothing_acknowledged_is_lost_when_leaders_die_one_after_the_other() {
    let mut ensemble = Ensemble::three();
    let load = Load::start(&ensemble.addresses(), SESSIONS);
    for _ in 0..4 {
        load.progress(SOME / 2);
        let leader = ensemble.wait_for_leader();
        ensemble.kill9(leader);
        // It comes back while the others still elect.
        ensemble.start_member(leader);
    }
    load.progress(SOME);
    ensemble.wait_until_serving();
    check(&ensemble, &load, "four deaths of leaders");
}

#[test]
fn a_leader_that_freezes_is_replaced_and_steps_down_when_it_thaws() {
    let mut ensemble = Ensemble::three();
    let load = Load::start(&ensemble.addresses(), SESSIONS);
    load.progress(SOME);
    let frozen = ensemble.wait_for_leader();
    ensemble.pause(frozen);
    let new = wait::until("another member led", || ensemble.leader().filter(|leader| *leader != frozen));
    load.progress(SOME);
    ensemble.resume(frozen);
    ensemble.wait_until_serving();
    assert_ne!(
        ensemble.wait_for_leader(),
        frozen,
        "a member that comes back does not unseat a good leader ({new})"
    );
    check(&ensemble, &load, "a frozen leader");
}

#[test]
fn a_leader_that_is_cut_off_is_replaced_and_follows_when_it_is_back() {
    let mut ensemble = Ensemble::start(&Plan::members(3).wired());
    let load = Load::start(&ensemble.addresses(), SESSIONS);
    load.progress(SOME);
    let alone = ensemble.wait_for_leader();
    ensemble.cut_off(alone);
    let new = wait::until("another member led", || ensemble.leader().filter(|leader| *leader != alone));
    load.progress(SOME);
    ensemble.rejoin(alone);
    ensemble.wait_until_serving();
    assert_ne!(
        ensemble.wait_for_leader(),
        alone,
        "a member that comes back does not unseat a good leader ({new})"
    );
    check(&ensemble, &load, "a leader that was cut off");
}

#[test]
fn clients_of_the_survivors_keep_their_connection_when_the_leader_dies() {
    if Server::under_test().is_apache() {
        return; // ZooKeeper disconnects every client of every member.
    }
    let mut ensemble = Ensemble::three();
    let leader = ensemble.wait_for_leader();
    let survivors: Vec<_> =
        ensemble.ids().filter(|id| *id != leader).map(|id| ensemble.address(id)).collect();
    let load = Load::start(&survivors, SESSIONS);
    load.progress(SOME);
    ensemble.kill9(leader);
    load.progress(SOME);
    let ledgers = load.pause();
    audit(&survivors, &ledgers);
    let broken: Vec<u32> = ledgers.iter().map(|ledger: &Ledger| ledger.broken).collect();
    assert_eq!(broken, vec![0; SESSIONS], "broken connections, session by session");
}

#[test]
fn writes_under_way_when_the_leader_dies_are_done_once_and_in_order() {
    if Server::under_test().is_apache() {
        return; // ZooKeeper disconnects, and the client cannot know.
    }
    const WRITES: usize = 3_000;
    const AHEAD: usize = 200;
    let mut ensemble = Ensemble::three();
    let leader = ensemble.wait_for_leader();
    let (mut client, _) = Connection::open(ensemble.address(ensemble.follower()), 20_000);
    assert_eq!(client.call(&Ask::create("/line", b"", PERSISTENT)).err, 0);
    let mut sent = Vec::new();
    for done in 0..WRITES {
        while sent.len() < WRITES.min(done + AHEAD) {
            let value = sent.len().to_string();
            sent.push(client.send(&Ask::create("/line/n-", value.as_bytes(), SEQUENTIAL)).unwrap());
        }
        if done == WRITES / 3 {
            ensemble.kill9(leader);
        }
        let reply = client.reply();
        // Nobody else writes here: a write that was lost would leave a hole in the replies, one that was done twice a
        // hole in the numbers.
        assert_eq!((reply.xid, reply.err, reply.path()), (sent[done], 0, format!("/line/n-{done:010}")));
    }
    let tree = Tree::read(ensemble.address(ensemble.wait_for_leader()), "/line").unwrap();
    for number in 0..WRITES {
        assert_eq!(tree.text(&format!("/line/n-{number:010}")), Some(number.to_string()));
    }
    assert_eq!(tree.0.len(), WRITES + 1);
}

#[test]
fn a_member_that_was_away_catches_up_from_the_log() {
    let mut ensemble = Ensemble::three();
    let load = Load::start(&ensemble.addresses(), SESSIONS);
    load.progress(SOME);
    let away = ensemble.follower();
    ensemble.kill9(away);
    load.progress(SOME * 2);
    ensemble.start_member(away);
    ensemble.wait_until_serving();
    check(&ensemble, &load, "an absence");
    drop(load);
    the_members_show_the_same(&ensemble);
}

#[test]
fn a_member_that_was_away_for_long_catches_up_from_a_snapshot() {
    let mut ensemble = Ensemble::start(&frequent_snapshots());
    let load = Load::start(&ensemble.addresses(), SESSIONS);
    load.progress(SOME);
    let away = ensemble.follower();
    ensemble.kill9(away);
    load.progress(SOME * 10);
    ensemble.start_member(away);
    ensemble.wait_until_serving();
    check(&ensemble, &load, "a long absence");
    drop(load);
    the_members_show_the_same(&ensemble);
}

#[test]
fn a_member_that_lost_its_disk_is_filled_by_the_others() {
    let mut ensemble = Ensemble::start(&frequent_snapshots());
    let load = Load::start(&ensemble.addresses(), SESSIONS);
    load.progress(SOME);
    let blank = ensemble.follower();
    ensemble.kill9(blank);
    let data = ensemble.directory(blank).join("data");
    std::fs::remove_dir_all(&data).unwrap();
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("myid"), blank.to_string()).unwrap();
    load.progress(SOME);
    ensemble.start_member(blank);
    ensemble.wait_until_serving();
    check(&ensemble, &load, "the loss of a disk");
    drop(load);
    the_members_show_the_same(&ensemble);
}

/// Settings under which a short absence is a long one.
fn frequent_snapshots() -> Plan {
    let plan = Plan::members(3);
    match plan.server {
        Server::Corral => plan.line("corral.snapshotEvery=50").line("corral.logKeep=10"),
        Server::Apache | Server::Apache39 => plan.line("snapCount=200").line("preAllocSize=100"),
    }
}

#[test]
fn a_member_stops_at_once_and_cleanly_when_asked_to() {
    let mut ensemble = Ensemble::three();
    let mut client = Connection::open(ensemble.address(1), 10_000).0;
    assert_eq!(client.call(&Ask::create("/kept", b"1", PERSISTENT)).err, 0);
    for id in ensemble.ids() {
        let status = ensemble.stop(id);
        // ZooKeeper's JVM says 143 (killed by SIGTERM) when all went well.
        let good = if Server::under_test().is_apache() { Some(143) } else { Some(0) };
        assert_eq!(status.code(), good, "member {id}");
    }
    for id in ensemble.ids() {
        ensemble.start_member(id);
    }
    ensemble.wait_until_serving();
    for id in ensemble.ids() {
        let tree = Tree::read(ensemble.address(id), "/").unwrap();
        assert_eq!(tree.text("/kept").as_deref(), Some("1"), "on member {id}");
    }
}

#[test]
fn members_with_slow_disks_elect_a_leader_and_another_when_it_dies() {
    if Server::under_test().is_apache() {
        return; // It cannot be told to be slow.
    }
    let mut ensemble = Ensemble::start(&Plan::members(3).line("corral.syncDelayMs=100"));
    let load = Load::start(&ensemble.addresses(), SESSIONS);
    load.progress(SOME / 10);
    let leader = ensemble.wait_for_leader();
    ensemble.kill9(leader);
    load.progress(SOME / 10);
    ensemble.start_member(leader);
    ensemble.wait_until_serving();
    check(&ensemble, &load, "the death of a leader with a slow disk");
}

#[test]
fn the_vote_of_a_member_with_a_slow_disk_is_waited_for() {
    if Server::under_test().is_apache() {
        return; // It cannot be told to be slow.
    }
    let mut ensemble = Ensemble::three();
    let slow = ensemble.follower();
    ensemble.stop(slow);
    // Longer than a member with a quick disk waits for its own vote.
    ensemble.configure(slow, "corral.syncDelayMs=200");
    ensemble.start_member(slow);
    ensemble.wait_until_serving();
    let leader = ensemble.wait_for_leader();
    let load = Load::start(&ensemble.addresses(), SESSIONS);
    load.progress(SOME / 10);
    let gone = if leader == slow { ensemble.follower() } else { leader };
    ensemble.kill9(gone);
    load.progress(SOME / 10);
    ensemble.start_member(gone);
    ensemble.wait_until_serving();
    check(&ensemble, &load, "an election that one with a slow disk had to decide");
}

#[test]
fn two_of_three_are_enough_and_one_is_not() {
    let mut ensemble = Ensemble::three();
    let leader = ensemble.wait_for_leader();
    let others: Vec<usize> = ensemble.ids().filter(|id| *id != leader).collect();
    let (mut client, welcome) = Connection::open(ensemble.address(leader), 20_000);
    ensemble.kill9(others[0]);
    assert_eq!(client.call(&Ask::create("/by-two", b"", PERSISTENT)).err, 0);

    ensemble.kill9(others[1]);
    // Nobody is told that this is done: the connection ends, and no new one is welcomed.
    let _sent = client.send(&Ask::create("/by-one", b"", PERSISTENT));
    client.expect_hang_up();
    let alone = ensemble.address(leader);
    let greeted = Connection::dial(alone).and_then(|mut connection| connection.greet(&Greeting::new(20_000)));
    assert!(greeted.is_err(), "a member without a quorum gives out {greeted:?}");

    for id in others {
        ensemble.start_member(id);
    }
    ensemble.wait_until_serving();
    let (mut client, again) = Connection::greeted(alone, &Greeting::again(&welcome, 0));
    assert_eq!(again.session, welcome.session, "a session outlives the time without a quorum");
    assert_eq!(client.call(&Ask::exists("/by-two", false)).err, 0);
}

/// Everything that a client can see, Stats included, is equal on every member.
#[track_caller]
fn the_members_show_the_same(ensemble: &Ensemble) {
    let mut trees: Vec<Tree> =
        ensemble.addresses().iter().map(|address| Tree::read(*address, "/").unwrap()).collect();
    if Server::under_test().is_apache() {
        // There each member writes this one by itself, with its own clock, when it starts.
        for tree in &mut trees {
            tree.0.remove("/zookeeper/config");
        }
    }
    for (tree, id) in trees.iter().zip(ensemble.ids()) {
        assert_eq!(trees[0].differences(tree), Vec::<String>::new(), "member {id}, unlike member 1");
    }
}
