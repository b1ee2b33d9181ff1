//! Members that leave in order, and come back.
#![allow(clippy::unwrap_used, reason = "a test that finds nothing where something should be has failed")]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use harness::ask::flags::PERSISTENT;
use harness::audit::audit;
use harness::watcher::{Returning, Told};
use harness::{Answer, Ask, Connection, Ensemble, Load, Packet, Server, Session, Watcher, wait};

/// Sessions that write: as many on each member.
const SESSIONS: usize = 12;

/// How much every session has to have written before and after each restart.
const SOME: u64 = 40;

/// Longer than any fault of a test.
const TIMEOUT_MS: i32 = 20_000;

/// What is watched.
const WATCHED: &str = "/watched";

/// A watch waits for changes of data.
const CHANGED: i32 = 3;

#[test]
fn a_rolling_restart_costs_no_write_no_session_and_no_event() {
    if Server::under_test() == Server::Apache {
        return; // It loses events.
    }
    let mut ensemble = Ensemble::three();
    let addresses = ensemble.addresses();
    let load = Load::start(&addresses, SESSIONS);
    let counter = Counter::start(&addresses);
    let watchers: Vec<Watcher> = (0..6)
        .map(|number| {
            let mut members = addresses.clone();
            members.rotate_left(number % 3);
            let returning = if number < 3 { Returning::SetWatches } else { Returning::Nothing };
            Watcher::start(&members, TIMEOUT_MS, &[WATCHED], returning)
        })
        .collect();
    let armed = counter.version();
    load.progress(SOME);

    // The leader twice: the second time it is one that has taken over in order.
    let first = ensemble.wait_for_leader();
    let mut turns: Vec<usize> = ensemble.ids().filter(|id| *id != first).collect();
    turns.insert(0, first);
    turns.push(0);
    for id in turns {
        let id = if id == 0 { ensemble.wait_for_leader() } else { id };
        let led = ensemble.leader() == Some(id);
        let status = ensemble.stop(id);
        assert_eq!(status.code(), Some(0), "member {id} says how it went");
        if led {
            let log = ensemble.log(id);
            assert!(log.contains("leadership is handed over"), "member {id} led and says:\n{log}");
        }
        load.progress(SOME);
        ensemble.start_member(id);
        ensemble.wait_until_serving();
        load.progress(SOME);
    }

    let ledgers = load.pause();
    let znodes = audit(&ensemble.addresses(), &ledgers);
    let history = counter.stop();
    eprintln!(
        "{} acknowledged writes, {znodes} znodes, {} changes of what is watched",
        load.acknowledged(),
        history.last
    );
    for watcher in &watchers {
        every_change_was_told(watcher, armed, &history);
    }
}

/// Waits until the watcher knows of the last change, and compares all that it was told with what happened.
#[track_caller]
fn every_change_was_told(watcher: &Watcher, armed: i32, history: &History) {
    let last = *history.acknowledged.last().unwrap();
    let told = wait::until("a watcher was told of the last change", || {
        let told = watcher.told();
        told.iter().any(|told| told.zxid >= last).then_some(told)
    });
    for pair in told.windows(2) {
        let in_order = pair[0].zxid < pair[1].zxid || pair[0].connection < pair[1].connection;
        assert!(in_order, "told out of turn, or twice over one connection: {pair:?}");
    }
    let changes: BTreeSet<i64> = told.iter().map(|told| told.zxid).collect();
    assert!(told.iter().all(|Told { kind, path, .. }| (*kind, path.as_str()) == (CHANGED, WATCHED)));
    // By what was acknowledged, and by number: changes whose replies were lost happened, or not, and were told if so.
    let since = history.acknowledged.iter().filter(|zxid| Some(zxid) >= changes.first().as_ref());
    let missed: Vec<_> = since.filter(|zxid| !changes.contains(zxid)).collect();
    assert!(missed.is_empty(), "never told of the changes {missed:x?}");
    let due = history.last - armed;
    let count = i32::try_from(changes.len()).unwrap();
    assert!(count >= due, "{due} changes at least since the watch was armed, told of {count}");
    assert!(count <= history.last, "{} changes in all, told of {count}", history.last);
}

/// What became of the znode that is watched.
struct History {
    /// The zxids of its acknowledged changes.
    acknowledged: Vec<i64>,
    /// How often it was changed in all.
    last: i32,
}

/// Changes the znode that is watched, all the time.
struct Counter {
    stop: Arc<AtomicBool>,
    address: SocketAddr,
    thread: JoinHandle<Vec<i64>>,
}

impl Counter {
    fn start(members: &[SocketAddr]) -> Self {
        let mut session = Session::open(members, TIMEOUT_MS).unwrap();
        assert_eq!(session.insist(&Ask::create(WATCHED, b"", PERSISTENT)).unwrap().err, 0);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut acknowledged = Vec::new();
            while !stopped.load(Ordering::SeqCst) {
                if let Answer::Reply(reply) = session.call(&Ask::set_data(WATCHED, b"", -1)).unwrap() {
                    assert_eq!(reply.err, 0);
                    acknowledged.push(reply.stat().mzxid);
                }
            }
            acknowledged
        });
        Self { stop, address: members[0], thread }
    }

    /// How often it was changed so far.
    fn version(&self) -> i32 {
        version(self.address, WATCHED)
    }

    fn stop(self) -> History {
        self.stop.store(true, Ordering::SeqCst);
        History { acknowledged: self.thread.join().unwrap(), last: version(self.address, WATCHED) }
    }
}

fn version(member: SocketAddr, path: &str) -> i32 {
    let (mut connection, _) = Connection::open(member, TIMEOUT_MS);
    assert_eq!(connection.call(&Ask::sync(path)).err, 0);
    connection.call(&Ask::exists(path, false)).stat().version
}

#[test]
fn requests_under_way_are_answered_before_a_member_hangs_up() {
    // More than a member takes from one client at a time.
    const REQUESTS: usize = 3_000;
    // Few reads, because each waits for the writes before it, and a member that leaves waits two seconds for all of them: on a
    // slow disk too.
    let reads = |request: usize| request % 100 == 99;
    if Server::under_test() == Server::Apache {
        return; // It hangs up at once.
    }
    let mut ensemble = Ensemble::three();
    let leader = ensemble.wait_for_leader();
    let address = ensemble.address(leader);
    let (mut idle, _) = Connection::open(address, TIMEOUT_MS);
    let (mut busy, _) = Connection::open(address, TIMEOUT_MS);
    assert_eq!(busy.call(&Ask::create("/line", b"", PERSISTENT)).err, 0);
    let mut sent = Vec::new();
    for request in 0..REQUESTS {
        let ask = if reads(request) { Ask::exists("/line", false) } else { Ask::set_data("/line", b"", -1) };
        sent.push(busy.send(&ask).unwrap());
    }
    // The first answer says that the member has begun to read what was sent.
    assert_eq!(busy.reply().xid, sent[0]);
    assert_eq!(ensemble.stop(leader).code(), Some(0));

    // Whole replies without a gap, and then the end.
    let mut answered = 1;
    loop {
        match busy.receive() {
            Ok(Packet::Reply(reply)) => {
                assert_eq!((reply.xid, reply.err), (sent[answered], 0));
                answered += 1;
            }
            Ok(event) => panic!("nobody waits for {event:?}"),
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof, "{error}");
                break;
            }
        }
    }
    idle.expect_hang_up();
    // What was proposed was answered: nothing is done of which the client does not know.
    let done = version(ensemble.address(ensemble.wait_for_leader()), "/line");
    let known = (0..answered).filter(|request| !reads(*request)).count();
    eprintln!("{answered} of {REQUESTS} requests were answered, {done} writes are done");
    assert_eq!(usize::try_from(done).unwrap(), known);
}

#[test]
fn members_that_are_all_told_to_leave_at_once_do_not_wait_for_each_other() {
    if Server::under_test() == Server::Apache {
        return;
    }
    let mut ensemble = Ensemble::three();
    let load = Load::start(&ensemble.addresses(), SESSIONS);
    load.progress(SOME);
    for (id, status) in ensemble.stop_all() {
        assert_eq!(status.code(), Some(0), "member {id} did not leave in order:\n{}", ensemble.log(id));
    }
    for id in ensemble.ids() {
        ensemble.start_member(id);
    }
    ensemble.wait_until_serving();
    load.progress(SOME);
    let ledgers = load.pause();
    audit(&ensemble.addresses(), &ledgers);
}
