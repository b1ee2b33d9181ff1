//! Very many sessions that lose their member, or their life.
//!
//! `CORRAL_STORM_SESSIONS=10000 cargo test -p tests --test storm -- --test-threads=1 --nocapture` makes storms of the size that is
//! promised, one at a time, because each takes as many file descriptors; the suite is content with less.
#![allow(clippy::unwrap_used, reason = "a test that finds nothing where something should be has failed")]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use harness::ask::flags::PERSISTENT;
use harness::audit::audit;
use harness::watcher::Returning;
use harness::{Ask, Connection, Crowd, Ensemble, Load, Plan, Server, Watcher, crowd, wait};

/// What the ephemerals are under.
const PARENT: &str = "/crowd";

/// Long enough for a whole storm.
const TIMEOUT_MS: i32 = 60_000;

/// A znode is gone.
const DELETED: i32 = 2;

fn sessions() -> usize {
    std::env::var("CORRAL_STORM_SESSIONS").map_or(2_000, |sessions| sessions.parse().unwrap())
}

/// Three members, and what the ephemerals will be under.
fn prepare() -> (Ensemble, Connection) {
    let mut ensemble = Ensemble::start(&Plan::members(3).wired());
    let (mut connection, _) = Connection::open(ensemble.address(ensemble.follower()), TIMEOUT_MS);
    assert_eq!(connection.call(&Ask::create(PARENT, b"", PERSISTENT)).err, 0);
    ensemble.wait_until_serving();
    (ensemble, connection)
}

fn crowd(timeout_ms: i32) -> crowd::Plan {
    crowd::Plan { sessions: sessions(), timeout_ms, ephemerals: Some(PARENT.to_owned()) }
}

/// How many ephemerals a member shows, after a sync.
fn ephemerals(member: SocketAddr) -> usize {
    let (mut connection, _) = Connection::open(member, TIMEOUT_MS);
    assert_eq!(connection.call(&Ask::sync(PARENT)).err, 0);
    let count = connection.call(&Ask::get_children(PARENT, false)).children().len();
    assert_eq!(connection.call(&Ask::close_session()).err, 0);
    count
}

/// What a member has said of sessions that expire.
fn expiries(ensemble: &Ensemble, id: usize) -> Vec<String> {
    let says = |line: &&str| ["session expires", "sessions expire"].iter().any(|words| line.contains(words));
    ensemble.log(id).lines().filter(says).map(str::to_owned).collect()
}

#[test]
fn sessions_whose_member_dies_find_another_without_one_expiry() {
    all_find_another(Ensemble::kill9);
}

#[test]
fn sessions_whose_member_leaves_find_another_without_one_expiry() {
    all_find_another(|ensemble, leader| assert!(ensemble.stop(leader).success()));
}

#[test]
fn sessions_whose_member_is_cut_off_find_another_without_one_expiry() {
    if Server::under_test() == Server::Apache {
        return; // It hangs up at once.
    }
    all_find_another(|ensemble, leader| ensemble.cut_off(leader));
}

#[track_caller]
fn all_find_another(end: impl Fn(&mut Ensemble, usize)) {
    let (mut ensemble, _) = prepare();
    let doomed = ensemble.wait_for_leader();
    let survivors: Vec<usize> = ensemble.ids().filter(|id| *id != doomed).collect();
    let begun = Instant::now();
    let crowd = Crowd::start(&crowd(10_000), &[ensemble.address(doomed)], &ensemble.addresses());
    crowd.wait_until_attached();
    eprintln!("{} sessions opened within {:?}", crowd.attached(), begun.elapsed());
    let before = crowd.longest_away();

    let told = Instant::now();
    end(&mut ensemble, doomed);
    let ended = told.elapsed();
    wait::until("every session had lost its connection", || (crowd.broken() >= sessions()).then_some(()));
    crowd.wait_until_attached();
    eprintln!(
        "it took {ended:?}, and all were attached again within {:?}; one was away for {:?} at most (first \
         opening: {before:?})",
        told.elapsed(),
        crowd.longest_away()
    );
    for id in survivors {
        assert_eq!(ephemerals(ensemble.address(id)), sessions(), "on member {id}");
        assert!(
            expiries(&ensemble, id).is_empty(),
            "member {id} says:\n{}",
            expiries(&ensemble, id).join("\n")
        );
    }
    crowd.wait_until_attached();
}

#[test]
fn sessions_that_expire_together_are_all_ended_and_everybody_is_told() {
    const SHORT_MS: i32 = 6_000;
    let (mut ensemble, mut asking) = prepare();
    let addresses = ensemble.addresses();
    let mut crowd = Crowd::start(&crowd(SHORT_MS), &addresses, &addresses);
    crowd.wait_until_attached();
    let all: BTreeSet<String> = (0..sessions()).map(|number| format!("{PARENT}/e{number}")).collect();
    let watchers: Vec<Watcher> = addresses
        .iter()
        .map(|member| Watcher::start(&[*member], TIMEOUT_MS, &[PARENT], Returning::SetWatches))
        .collect();
    // One-shot watches on single ones and on their parent.
    let watched: BTreeSet<String> = all.iter().take(50).cloned().collect();
    for path in &watched {
        assert_eq!(asking.call(&Ask::exists(path, true)).err, 0);
    }
    assert_eq!(asking.call(&Ask::get_children(PARENT, true)).children().len(), sessions());

    let load = Load::start(&addresses, 6);
    load.progress(40);
    crowd.cut();
    let cut = Instant::now();
    // Others go on all the time; the longest that one of them waited is the price.
    let mut others = Pace::start(&load);
    wait::until("all ephemerals were gone", || {
        others.note(&load);
        (ephemerals(addresses[0]) == 0).then_some(())
    });
    eprintln!("{} sessions ended {:?} after they were cut; {others}", sessions(), cut.elapsed());
    for member in &addresses {
        assert_eq!(ephemerals(*member), 0);
    }
    for watcher in &watchers {
        let told = wait::until("a watcher was told of every deletion", || {
            let told = watcher.told();
            (told.iter().filter(|told| told.kind == DELETED).count() >= sessions()).then_some(told)
        });
        let deleted: Vec<String> =
            told.into_iter().filter(|told| told.kind == DELETED).map(|told| told.path).collect();
        assert_eq!(deleted.len(), sessions(), "each once");
        assert_eq!(deleted.into_iter().collect::<BTreeSet<_>>(), all);
    }
    let mut told = BTreeSet::new();
    let mut children = 0;
    for _ in 0..=watched.len() {
        match asking.event() {
            (DELETED, path) => assert!(told.insert(path), "told twice"),
            (4, path) if path == PARENT => children += 1,
            event => panic!("nobody waits for {event:?}"),
        }
    }
    assert_eq!((told, children), (watched, 1));

    load.progress(40);
    audit(&addresses, &load.pause());
    let lines: usize = ensemble.ids().map(|id| expiries(&ensemble, id).len()).sum();
    assert!(lines < sessions() / 10, "the log has {lines} lines about {} sessions", sessions());
    ensemble.wait_until_serving();
}

/// How the load goes on.
struct Pace {
    begun: Instant,
    acknowledged: u64,
    last: (Instant, u64),
    longest: Duration,
}

impl Pace {
    fn start(load: &Load) -> Self {
        let (now, acknowledged) = (Instant::now(), load.acknowledged());
        Self { begun: now, acknowledged, last: (now, acknowledged), longest: Duration::ZERO }
    }

    fn note(&mut self, load: &Load) {
        let (now, acknowledged) = (Instant::now(), load.acknowledged());
        if acknowledged > self.last.1 {
            self.longest = self.longest.max(now - self.last.0);
            self.last = (now, acknowledged);
        }
    }
}

impl std::fmt::Display for Pace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let writes = self.last.1 - self.acknowledged;
        write!(
            f,
            "meanwhile {writes} writes in {:?}, never {:?} without one",
            self.begun.elapsed(),
            self.longest
        )
    }
}

#[test]
fn a_leader_that_froze_for_longer_than_a_timeout_ends_no_session() {
    const SHORT_MS: i32 = 4_000;
    let (mut ensemble, _) = prepare();
    let addresses = ensemble.addresses();
    let plan = crowd::Plan { sessions: 300, ..crowd(SHORT_MS) };
    let crowd = Crowd::start(&plan, &addresses, &addresses);
    crowd.wait_until_attached();

    let frozen = ensemble.wait_for_leader();
    ensemble.pause(frozen);
    outlast(2 * SHORT_MS, &crowd);
    ensemble.resume(frozen);
    ensemble.wait_until_serving();
    // Whatever the thawed leader believed of their deadlines would show by now.
    outlast(2 * SHORT_MS, &crowd);
    crowd.wait_until_attached();
    for id in ensemble.ids() {
        assert_eq!(ephemerals(ensemble.address(id)), plan.sessions, "on member {id}");
        assert!(
            expiries(&ensemble, id).is_empty(),
            "member {id} says:\n{}",
            expiries(&ensemble, id).join("\n")
        );
    }
    eprintln!("{} connections broke, and one was away for {:?}", crowd.broken(), crowd.longest_away());
}

#[test]
fn a_lone_server_that_froze_ends_no_session() {
    const SHORT_MS: i32 = 4_000;
    let mut ensemble = Ensemble::start(&Plan::members(1));
    let addresses = ensemble.addresses();
    let (mut connection, _) = Connection::open(addresses[0], TIMEOUT_MS);
    assert_eq!(connection.call(&Ask::create(PARENT, b"", PERSISTENT)).err, 0);
    let plan = crowd::Plan { sessions: 300, ..crowd(SHORT_MS) };
    let crowd = Crowd::start(&plan, &addresses, &addresses);
    crowd.wait_until_attached();
    ensemble.pause(1);
    outlast(2 * SHORT_MS, &crowd);
    ensemble.resume(1);
    outlast(2 * SHORT_MS, &crowd);
    crowd.wait_until_attached();
    assert_eq!(ephemerals(addresses[0]), plan.sessions);
}

/// Lets so much time pass: it is what happens here, and nothing that could be waited for.
fn outlast(ms: i32, crowd: &Crowd) {
    let (begun, time) = (Instant::now(), Duration::from_millis(u64::try_from(ms).unwrap()));
    wait::until("the time had passed", || {
        assert_eq!(crowd.expired(), 0, "sessions that were told that they have expired");
        (begun.elapsed() >= time).then_some(())
    });
}
