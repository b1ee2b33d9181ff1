//! Requests that are under way when the leader goes: each is done once, in order, over the same connection.
#![allow(clippy::unwrap_used, reason = "a test that finds nothing where something should be has failed")]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use harness::ask::flags::{PERSISTENT, SEQUENTIAL};
use harness::connection::{Greeting, Reply};
use harness::tree::Tree;
use harness::{Ask, Connection, Ensemble, Plan, Server, wait};

/// Clients of each member.
const CLIENTS: usize = 4;

/// Requests of one client.
const REQUESTS: usize = 3_000;

/// How many of them are under way at a time.
const AHEAD: usize = 200;

/// Longer than any fault of a test, on a slow disk too: a member that has no leader hangs its clients up after a third of it.
const TIMEOUT_MS: i32 = 240_000;
/// What lets them have it.
const TIMEOUT_MAX: &str = "maxSessionTimeout=240000";

#[test]
fn what_is_under_way_when_the_leader_is_killed_is_done_once_and_in_order() {
    each_request_is_done_once(&Fault {
        strike: |ensemble, leader| ensemble.kill9(leader),
        mend: |ensemble, leader| ensemble.start_member(leader),
        of_the_leader: true,
        spares_its_clients: false,
    });
}

#[test]
fn what_is_under_way_when_the_leader_leaves_is_done_once_and_in_order() {
    each_request_is_done_once(&Fault {
        strike: |ensemble, leader| assert_eq!(ensemble.stop(leader).code(), Some(0)),
        mend: |ensemble, leader| ensemble.start_member(leader),
        of_the_leader: true,
        spares_its_clients: false,
    });
}

#[test]
fn what_is_under_way_when_the_leader_freezes_is_done_once_and_in_order() {
    each_request_is_done_once(&Fault {
        strike: |ensemble, leader| ensemble.pause(leader),
        mend: |ensemble, leader| ensemble.resume(leader),
        of_the_leader: true,
        spares_its_clients: true,
    });
}

#[test]
fn what_is_under_way_when_the_leader_is_cut_off_is_done_once_and_in_order() {
    each_request_is_done_once(&Fault {
        strike: |ensemble, leader| ensemble.cut_off(leader),
        mend: |ensemble, leader| ensemble.rejoin(leader),
        of_the_leader: true,
        spares_its_clients: true,
    });
}

#[test]
fn what_is_under_way_when_a_follower_loses_its_leader_is_done_once_and_in_order() {
    each_request_is_done_once(&Fault {
        strike: |ensemble, follower| ensemble.disconnect(follower),
        mend: |ensemble, follower| ensemble.rejoin(follower),
        of_the_leader: false,
        spares_its_clients: true,
    });
}

/// What happens to a member.
struct Fault {
    strike: fn(&mut Ensemble, usize),
    mend: fn(&mut Ensemble, usize),
    /// To which: the leader, or a follower that must then bring to the same leader again what may have got there.
    of_the_leader: bool,
    /// Whether its own clients keep their connections. What they have under way must wait until it is mended, and what
    /// the leader had begun with it must not count.
    spares_its_clients: bool,
}

#[track_caller]
fn each_request_is_done_once(fault: &Fault) {
    if Server::under_test() == Server::Apache {
        return; // ZooKeeper disconnects, and the client cannot know.
    }
    let mut ensemble = Ensemble::start(&Plan::members(3).wired().line(TIMEOUT_MAX));
    let victim = if fault.of_the_leader { ensemble.wait_for_leader() } else { ensemble.follower() };
    let mut members: Vec<usize> = ensemble.ids().filter(|id| *id != victim).collect();
    let survivors: Vec<SocketAddr> = members.iter().map(|id| ensemble.address(*id)).collect();
    if fault.spares_its_clients {
        members.push(victim);
    }
    let (mut first, _) = Connection::open(survivors[0], TIMEOUT_MS);
    assert_eq!(first.call(&Ask::create("/line", b"", PERSISTENT)).err, 0);

    let clients = members.len() * CLIENTS;
    let lines: Vec<Line> =
        (0..clients).map(|number| Line::start(ensemble.address(members[number / CLIENTS]), number)).collect();
    for line in &lines {
        line.reach(REQUESTS / 4);
    }
    (fault.strike)(&mut ensemble, victim);
    // Its own clients stand at the end, and must wait.
    for line in &lines[..2 * CLIENTS] {
        line.reach(REQUESTS * 3 / 4);
    }
    (fault.mend)(&mut ensemble, victim);
    let mut longest = Duration::ZERO;
    let mut created = Vec::new();
    for (number, line) in lines.into_iter().enumerate() {
        let (paths, wait) = line.finish();
        created.extend(paths);
        if number < 2 * CLIENTS {
            longest = longest.max(wait);
        }
    }
    created.sort();
    eprintln!(
        "{} requests, each once; survivors' clients waited for {longest:?} at most",
        clients * REQUESTS
    );

    // Nothing is there but what was acknowledged, and nothing is missing.
    for survivor in survivors {
        let tree = Tree::read(survivor, "/line").unwrap();
        let mut there: Vec<_> = tree.0.keys().filter(|path| path.contains("/n-")).cloned().collect();
        there.sort();
        assert_eq!(there, created);
        for number in 0..clients {
            let version = tree.0[&counter(number)].stat.version;
            assert_eq!(usize::try_from(version).unwrap(), changes(REQUESTS), "of client {number}");
        }
    }
}

fn counter(number: usize) -> String {
    format!("/line/c{number}")
}

/// What a client asks for: of five requests three change its counter, one creates, and one reads.
fn ask(number: usize, request: usize) -> Ask {
    let text = request.to_string();
    match request % 5 {
        0 | 1 | 3 => {
            // If one was lost or done twice, this one and all behind it would be refused.
            let version = i32::try_from(changes(request)).unwrap();
            Ask::set_data(&counter(number), text.as_bytes(), version)
        }
        2 => Ask::create(&format!("/line/n-{number}-"), text.as_bytes(), SEQUENTIAL),
        _ => Ask::get_data(&counter(number), false),
    }
}

/// How many of a client's first so many requests change its counter.
fn changes(requests: usize) -> usize {
    requests / 5 * 3 + [0, 1, 2, 2, 3][requests % 5]
}

/// A client with many requests under way.
struct Line {
    answered: Arc<AtomicUsize>,
    thread: JoinHandle<(Vec<String>, Duration)>,
}

impl Line {
    fn start(member: SocketAddr, number: usize) -> Self {
        let answered = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&answered);
        let (mut connection, _) = Connection::open(member, TIMEOUT_MS);
        assert_eq!(connection.call(&Ask::create(&counter(number), b"", PERSISTENT)).err, 0);
        let thread = std::thread::spawn(move || {
            let mut created = Vec::new();
            let mut under_way = VecDeque::new();
            let (mut sent, mut zxid, mut longest) = (0, 0, Duration::ZERO);
            for request in 0..REQUESTS {
                while sent < REQUESTS.min(request + AHEAD) {
                    under_way.push_back(connection.send(&ask(number, sent)).unwrap());
                    sent += 1;
                }
                let waited = Instant::now();
                let reply = connection.reply();
                longest = longest.max(waited.elapsed());
                assert_eq!(Some(reply.xid), under_way.pop_front(), "out of order");
                assert!(reply.zxid >= zxid, "back in time: {reply:?} behind {zxid:#x}");
                zxid = reply.zxid;
                judge(request, &reply, &mut created);
                counted.fetch_add(1, Ordering::SeqCst);
            }
            (created, longest)
        });
        Self { answered, thread }
    }

    /// Waits until so many requests are answered, or the client has failed: then `finish` says why.
    #[track_caller]
    fn reach(&self, requests: usize) {
        wait::until("more requests were answered", || {
            (self.answered.load(Ordering::SeqCst) >= requests || self.thread.is_finished()).then_some(())
        });
    }

    fn finish(self) -> (Vec<String>, Duration) {
        self.thread.join().unwrap()
    }
}

fn judge(request: usize, reply: &Reply, created: &mut Vec<String>) {
    let due = i32::try_from(changes(request)).unwrap();
    match request % 5 {
        0 | 1 | 3 => {
            assert_eq!(reply.err, 0, "request {request}, of a counter at {due}");
            assert_eq!(reply.stat().version, due + 1);
        }
        2 => created.push(reply.path()),
        // A read shows the writes before it and none behind it: the counter is nobody else's.
        _ => assert_eq!(reply.data().1.version, due, "request {request}"),
    }
}

#[test]
fn a_greeting_that_was_given_up_does_not_take_the_session_from_the_connection_that_has_it() {
    if Server::under_test() == Server::Apache {
        return;
    }
    let mut ensemble = Ensemble::three();
    let leader = ensemble.wait_for_leader();
    let others: Vec<usize> = ensemble.ids().filter(|id| *id != leader).collect();
    let (frozen, alone) = (others[0], others[1]);
    let (mut client, welcome) = Connection::open(ensemble.address(frozen), TIMEOUT_MS);
    // Its writes come behind the greeting, on the same way.
    let (mut witness, _) = Connection::open(ensemble.address(alone), TIMEOUT_MS);
    assert_eq!(witness.call(&Ask::create("/line", b"", PERSISTENT)).err, 0);

    // For a moment the member that is alone takes the dead leader for one. Nothing that goes there comes back.
    ensemble.pause(frozen);
    ensemble.kill9(leader);
    let mut given_up = Connection::dial(ensemble.address(alone)).unwrap();
    let answer = given_up.greet_within(&Greeting::again(&welcome, 0), Duration::from_millis(200));
    assert!(answer.is_err(), "a member without a leader gives out {answer:?}");
    given_up.hang_up();
    let written = witness.send(&Ask::set_data("/line", b"", 0)).unwrap();
    ensemble.resume(frozen);
    assert_eq!(witness.reply().xid, written);
    assert_eq!(client.call(&Ask::sync("/line")).err, 0);
    assert_eq!(client.call(&Ask::get_data("/line", false)).data().1.version, 1);
}

#[test]
fn reads_go_on_and_writes_wait_while_nobody_leads() {
    if Server::under_test() == Server::Apache {
        return; // ZooKeeper disconnects.
    }
    let mut ensemble = Ensemble::three();
    let leader = ensemble.wait_for_leader();
    let others: Vec<usize> = ensemble.ids().filter(|id| *id != leader).collect();
    let (alone, frozen) = (others[0], others[1]);
    let (mut reader, _) = Connection::open(ensemble.address(alone), TIMEOUT_MS);
    let (mut writer, _) = Connection::open(ensemble.address(alone), TIMEOUT_MS);
    assert_eq!(writer.call(&Ask::create("/line", b"", PERSISTENT)).err, 0);

    ensemble.pause(frozen);
    ensemble.kill9(leader);
    wait::until("the member that is alone said that it does not serve", || {
        let answer = ensemble.four_letter(alone, "srvr").unwrap_or_default();
        answer.contains("not currently serving").then_some(())
    });
    // Nothing of this can be done now, and nothing of it is lost.
    let xids: Vec<i32> =
        (0..100).map(|version| writer.send(&Ask::set_data("/line", b"", version)).unwrap()).collect();
    for _ in 0..100 {
        let (_, stat) = reader.call(&Ask::get_data("/line", false)).data();
        assert_eq!(stat.version, 0);
    }
    ensemble.resume(frozen);
    for (version, xid) in (1..).zip(xids) {
        let reply = writer.reply();
        assert_eq!((reply.xid, reply.stat().version), (xid, version));
    }
}

#[test]
fn clients_of_a_member_that_finds_no_leader_are_sent_away_in_time() {
    if Server::under_test() == Server::Apache {
        return; // ZooKeeper disconnects at once.
    }
    const SHORT_MS: i32 = 9_000;
    let mut ensemble = Ensemble::three();
    let leader = ensemble.wait_for_leader();
    let others: Vec<usize> = ensemble.ids().filter(|id| *id != leader).collect();
    let alone = ensemble.address(others[0]);
    // The one with the shortest timeout of those that are attached decides; it came last, and others went before.
    let (mut patient, _) = Connection::open(alone, TIMEOUT_MS);
    let (mut gone, _) = Connection::open(alone, 2_000);
    assert_eq!(gone.call(&Ask::close_session()).err, 0);
    let (mut hasty, _) = Connection::open(alone, SHORT_MS);

    let cut_off = Instant::now();
    ensemble.kill9(others[1]);
    ensemble.kill9(leader);
    hasty.expect_hang_up();
    let waited = cut_off.elapsed();
    patient.expect_hang_up();
    eprintln!("hung up after {waited:?}, of a timeout of {SHORT_MS} ms");
    let third = Duration::from_millis(u64::try_from(SHORT_MS / 3).unwrap());
    assert!(waited >= third, "sent away after {waited:?}: an election could have ended by then");
}
