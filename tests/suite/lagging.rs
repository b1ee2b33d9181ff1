//! Members that lag behind: they come back into step while the others go on, and nobody else notices.
#![allow(clippy::unwrap_used, reason = "a test that finds nothing where something should be has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use harness::ask::flags::PERSISTENT;
use harness::audit::audit;
use harness::load::Ledger;
use harness::watcher::{Returning, Told, Watcher};
use harness::{Ask, Connection, Ensemble, Load, Plan, Server, wait};

/// Longer than any fault of a test.
const TIMEOUT_MS: i32 = 30_000;

/// Sessions that write: as many on each member.
const SESSIONS: usize = 6;

/// How much every session has to have written before, during and after an absence.
const SOME: u64 = 60;

/// What a member says when it was sent the state.
const BY_THE_STATE: &str = "the state was replaced by a snapshot";

/// A znode was created, and its data changed.
const CREATED: i32 = 1;
const CHANGED: i32 = 3;

/// Up to where a member's log was purged, by its numbers.
const PURGED: &str = "corral_log_purged";

/// Far more entries than anybody writes between two purges, where the state is made safe every 50.
const WRITTEN_BETWEEN_PURGES_MAX: i64 = 1_000;

/// A member is away while the others are written to, until its log does not do any more if that is to be, and comes back. Says
/// whether it was sent the state.
#[track_caller]
fn is_sent_the_state_after_an_absence(plan: &Plan, is_long: bool) -> bool {
    let mut ensemble = Ensemble::start(plan);
    let leader = ensemble.wait_for_leader();
    let away = ensemble.follower();
    let others: Vec<usize> = ensemble.ids().filter(|id| *id != away).collect();
    // One whose member goes, and one whose member stays.
    let mut members = vec![ensemble.address(away)];
    members.extend(others.iter().map(|id| ensemble.address(*id)));
    let moving = Watcher::start(&members, TIMEOUT_MS, &["/"], Returning::Nothing);
    let staying = Watcher::start(&[ensemble.address(leader)], TIMEOUT_MS, &["/"], Returning::Nothing);
    let load = Load::start(&ensemble.addresses(), SESSIONS);
    load.progress(SOME);
    let elections = elections(&ensemble, &others);

    ensemble.kill9(away);
    load.progress(SOME);
    if is_long {
        // Raft keeps what it was sending to a member until it has seen that the member is gone.
        let end = ensemble.metric(leader, PURGED) + WRITTEN_BETWEEN_PURGES_MAX;
        wait::until("the log was purged", || (ensemble.metric(leader, PURGED) > end).then_some(()));
    }
    ensemble.start_member(away);
    ensemble.wait_until_serving();
    load.progress(SOME);

    let ledgers = load.pause();
    assert_eq!(ensemble.wait_for_leader(), leader, "another member leads");
    assert_eq!(self::elections(&ensemble, &others), elections, "somebody looked for a leader");
    audit(&ensemble.addresses(), &ledgers);
    for ledger in &ledgers {
        assert_eq!(ledger.violations, Vec::<String>::new(), "session {}", ledger.number);
        // They were opened at the members in turn.
        let home = ledger.number % ensemble.ids().count() + 1;
        assert!(home == away || ledger.broken == 0, "a connection to member {home} broke");
    }
    for watcher in [&moving, &staying] {
        wait::until("a watcher was told everything", || {
            missing(&ledgers, &watcher.told()).is_empty().then_some(())
        });
    }
    ensemble.log(away).contains(BY_THE_STATE)
}

/// How often members have looked for a leader.
fn elections(ensemble: &Ensemble, members: &[usize]) -> Vec<i64> {
    members.iter().map(|id| ensemble.metric(*id, "looking_count")).collect()
}

/// What sessions were acknowledged and a watcher of everything was not told. What was told behind its last answer is told again
/// when it comes back: it says of that answer that it is the last that it has seen.
fn missing(ledgers: &[Ledger], told: &[Told]) -> Vec<String> {
    let mut events: BTreeMap<(i32, &str), i32> = BTreeMap::new();
    let told: BTreeSet<_> = told.iter().map(|event| (event.zxid, event.kind, &*event.path)).collect();
    for (_, kind, path) in told {
        *events.entry((kind, path)).or_default() += 1;
    }
    let times = |kind: i32, path: &str| events.get(&(kind, path)).copied().unwrap_or_default();
    let mut missing = Vec::new();
    for ledger in ledgers {
        let named = ledger.named.iter().filter(|(_, acknowledged)| **acknowledged).map(|(path, _)| path);
        let created = named.chain(ledger.sequential.keys()).filter(|path| times(CREATED, path) != 1);
        missing.extend(created.map(|path| format!("that {path} was created")));
        let (counter, count) = (format!("{}/counter", ledger.home()), ledger.counter);
        let changes = times(CHANGED, &counter);
        if changes < count.acknowledged || changes > count.acknowledged + count.unknown {
            missing.push(format!("{counter} changed {changes} times, of {count:?}"));
        }
    }
    missing
}

#[test]
fn a_member_that_was_away_for_a_moment_comes_back_by_the_log_and_nobody_notices() {
    if Server::under_test().is_apache() {
        return; // It loses events of persistent watches.
    }
    assert!(!is_sent_the_state_after_an_absence(&Plan::members(3), false));
}

#[test]
fn a_member_that_was_away_for_long_comes_back_by_the_state_and_nobody_notices() {
    if Server::under_test().is_apache() {
        return;
    }
    // Settings under which a short absence is a long one.
    let plan = Plan::members(3).line("corral.snapshotEvery=50").line("corral.logKeep=10");
    assert!(is_sent_the_state_after_an_absence(&plan, true));
}

/// What the log of the members of one test may have.
const LOG_MIB: u64 = 16;

/// Bytes that each write of that test has.
const LARGE: usize = 100_000;

/// Sessions that write them.
const WRITERS: usize = 4;

#[test]
fn a_member_whose_disk_is_always_slower_than_the_load_does_not_fill_the_disks_of_the_others() {
    if Server::under_test().is_apache() {
        return;
    }
    let mut ensemble = Ensemble::start(&Plan::members(3).line(&format!("corral.logMaxMiB={LOG_MIB}")));
    let leader = ensemble.wait_for_leader();
    let slow = ensemble.follower();
    ensemble.stop(slow);
    ensemble.configure(slow, "corral.syncDelayMs=2000");
    ensemble.start_member(slow);
    ensemble.wait_until_serving();
    assert_eq!(ensemble.wait_for_leader(), leader);

    let (stop, written) = (AtomicBool::new(false), AtomicU64::new(0));
    let log = ensemble.directory(leader).join("data/log");
    let mut largest = 0;
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (address, stop, written) = (ensemble.address(leader), &stop, &written);
            scope.spawn(move || write_much(address, writer, stop, written));
        }
        // Long enough for many times the bound, and for the member to be left behind.
        let done = wait::within(wait::PATIENCE, || {
            largest = largest.max(bytes_of(&log));
            let is_sent = ensemble.log(slow).contains(BY_THE_STATE);
            (is_sent && written.load(Ordering::SeqCst) > 8 * (LOG_MIB << 20)).then_some(())
        });
        stop.store(true, Ordering::SeqCst);
        let (written, largest) = (written.load(Ordering::SeqCst) >> 20, largest >> 20);
        eprintln!("{written} MiB were written, and the leader's log took up to {largest} MiB");
        assert!(done.is_some(), "the member was not sent the state:\n{}", ensemble.log(slow));
    });
    // Twice the bound, and what may be written meanwhile on a busy machine.
    assert!(largest <= 4 * (LOG_MIB << 20), "the leader's log took {} MiB", largest >> 20);

    // It comes into step, and stays there.
    let (mut client, _) = Connection::open(ensemble.address(leader), TIMEOUT_MS);
    assert_eq!(client.call(&Ask::create("/after", b"", PERSISTENT)).err, 0);
    let is_there = || {
        let (mut client, _) = Connection::open(ensemble.address(slow), TIMEOUT_MS);
        (client.call(&Ask::get_data("/after", false)).err == 0).then_some(())
    };
    wait::until("the slow member was in step", is_there);
    assert_eq!(ensemble.wait_for_leader(), leader, "another member leads");
    let times = ensemble.log(slow).matches(BY_THE_STATE).count();
    eprintln!("the member was sent the state {times} times");
    for writer in 0..WRITERS {
        let path = format!("/large-{writer}");
        let read = |id: usize| {
            let (mut client, _) = Connection::open(ensemble.address(id), TIMEOUT_MS);
            client.call(&Ask::get_data(&path, false)).data()
        };
        assert!(read(slow) == read(leader), "{path} is another on member {slow}");
    }
}

/// Writes large data again and again until it is told to stop.
fn write_much(member: SocketAddr, writer: usize, stop: &AtomicBool, written: &AtomicU64) {
    let (mut client, _) = Connection::open(member, TIMEOUT_MS);
    let path = format!("/large-{writer}");
    assert_eq!(client.call(&Ask::create(&path, b"", PERSISTENT)).err, 0);
    let mut random = fastrand::Rng::with_seed(writer as u64);
    while !stop.load(Ordering::SeqCst) {
        let data: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(LARGE).collect();
        assert_eq!(client.call(&Ask::set_data(&path, &data, -1)).err, 0);
        written.fetch_add(LARGE as u64, Ordering::SeqCst);
        // Several times what the slow disk takes, and not as much as can be.
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What a folder takes on disk. Files may go while it is looked at.
fn bytes_of(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap();
    entries.filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len())).sum()
}
