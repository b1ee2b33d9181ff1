//! Members whose world takes as much memory as it may: what adds to it is refused, and all else goes on.
#![allow(clippy::unwrap_used, reason = "a test that finds nothing where something should be has failed")]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use harness::ask::flags::{EPHEMERAL, PERSISTENT};
use harness::{Answer, Ask, Connection, Ensemble, Plan, Server, Session, wait};

/// Longer than any fault of a test.
const TIMEOUT_MS: i32 = 30_000;

/// What the world of these members may take.
const MAX: i64 = 8 << 20;

/// Bytes that each znode has.
const LARGE: usize = 10_000;

/// Sessions that write, one with each member at first.
const WRITERS: usize = 3;

/// Requests that a session has under way where it has many.
const AT_ONCE: usize = 450;

/// What one entry adds to a world at most, of such znodes as there are here.
const ENTRY_MAX: i64 = 12 << 17;

const THROTTLED: i32 = -127;
const NO_NODE: i32 = -101;

/// Under what all of it happens.
const ROOT: &str = "/full";

/// What the log says, in this order.
const NEAR: &str = "the world takes nine tenths of the memory that it may";
const FULL: &str = "the world takes more memory than it may";
const ROOMY: &str = "the world takes less than eight tenths of the memory that it may again";

/// A session that creates and deletes, and what it knows of that.
struct Writer {
    session: Session,
    number: usize,
    next: usize,
    /// What it has created, and not deleted, by what it was told.
    there: BTreeSet<String>,
    /// What may be there or not, because a connection broke.
    unknown: BTreeSet<String>,
    /// What it was told that nobody should be.
    strange: Vec<String>,
}

impl Writer {
    fn open(members: &[SocketAddr], number: usize) -> Self {
        let mut members = members.to_vec();
        members.rotate_left(number);
        let session = Session::open(&members, TIMEOUT_MS).expect("a session");
        let (there, unknown) = (BTreeSet::new(), BTreeSet::new());
        Self { session, number, next: 0, there, unknown, strange: Vec::new() }
    }

    /// Creates a znode; whether it was refused for want of room.
    fn create(&mut self) -> bool {
        let name = format!("{}-{:05}", self.number, self.next);
        self.next += 1;
        match self.session.call(&Ask::create(&format!("{ROOT}/{name}"), &[7; LARGE], PERSISTENT)) {
            Ok(Answer::Reply(reply)) if reply.err == 0 => drop(self.there.insert(name)),
            Ok(Answer::Reply(reply)) if reply.err == THROTTLED => return true,
            Ok(Answer::Unknown) => drop(self.unknown.insert(name)),
            other => self.strange.push(format!("create {name}: {other:?}")),
        }
        false
    }

    /// Deletes the oldest that it has.
    fn delete(&mut self) {
        let Some(name) = self.there.pop_first() else { return };
        match self.session.call(&Ask::delete(&format!("{ROOT}/{name}"))) {
            Ok(Answer::Reply(reply)) if reply.err == 0 => {}
            Ok(Answer::Unknown) => drop(self.unknown.insert(name)),
            other => self.strange.push(format!("delete {name}: {other:?}")),
        }
    }

    /// Creates until there is no room again and again.
    fn fill(&mut self) {
        let mut refused = 0;
        while refused < 3 && self.strange.is_empty() {
            refused = if self.create() { refused + 1 } else { 0 };
            assert!(self.there.len() < 2 * MAX as usize / LARGE, "nothing is refused");
        }
    }

    /// Creates, and deletes now and then, until it is told to stop.
    fn churn(&mut self, stop: &AtomicBool, refused: &AtomicU64) {
        while !stop.load(Ordering::SeqCst) {
            for _ in 0..4 {
                refused.fetch_add(u64::from(self.create()), Ordering::SeqCst);
            }
            self.delete();
        }
    }
}

/// What a session at a member comes to, which ends behind it: otherwise the world would take less when it expires.
fn with<T>(ensemble: &Ensemble, member: usize, ask: impl FnOnce(&mut Connection) -> T) -> T {
    let (mut client, _) = Connection::open(ensemble.address(member), TIMEOUT_MS);
    let result = ask(&mut client);
    assert_eq!(client.call(&Ask::close_session()).err, 0);
    result
}

/// What the world takes, when all members say the same.
#[track_caller]
fn world_bytes(ensemble: &Ensemble) -> i64 {
    wait::until("all members said the same of their worlds", || {
        let all: BTreeSet<i64> = ensemble.ids().map(|id| ensemble.metric(id, "corral_world_bytes")).collect();
        all.first().copied().filter(|_| all.len() == 1)
    })
}

/// Each member has what was acknowledged, and nothing else but what may be there.
#[track_caller]
fn check(ensemble: &Ensemble, writers: &[Writer]) {
    for writer in writers {
        assert_eq!(writer.strange, Vec::<String>::new(), "writer {}", writer.number);
    }
    for member in ensemble.ids() {
        let there: BTreeSet<String> = with(ensemble, member, |client| {
            assert_eq!(client.call(&Ask::sync(ROOT)).err, 0);
            client.call(&Ask::get_children(ROOT, false)).children().into_iter().collect()
        });
        for writer in writers {
            let lost: Vec<_> = writer.there.difference(&there).collect();
            assert!(lost.is_empty(), "member {member} has lost {lost:?}");
        }
        let known =
            |name: &&String| writers.iter().any(|it| it.there.contains(*name) || it.unknown.contains(*name));
        let made_up: Vec<_> = there.iter().filter(|name| !known(name)).collect();
        assert!(made_up.is_empty(), "member {member} has {made_up:?}");
    }
}

/// Everything that does not make the znodes take more, where nothing that does is done.
#[track_caller]
fn all_else_goes_on(client: &mut Connection, writer: &mut Writer) {
    let mut err = |ask: &Ask| client.call(ask).err;
    let name = writer.there.pop_first().unwrap();
    let (path, other) = (format!("{ROOT}/{name}"), format!("{ROOT}/{name}'"));
    assert_eq!(err(&Ask::get_data(&path, false)), 0);
    assert_eq!(err(&Ask::create("/more", b"", PERSISTENT)), THROTTLED);
    assert_eq!(err(&Ask::create("/more", b"", EPHEMERAL)), THROTTLED);
    assert_eq!(err(&Ask::set_data(&path, &[8; LARGE + 1], -1)), THROTTLED);
    assert_eq!(err(&Ask::set_data(&path, &[8; LARGE], -1)), 0);
    assert_eq!(err(&Ask::multi(&[Ask::check(&path, -1)])), 0);
    // A multi counts in sum, and is refused as a whole.
    let longer = [Ask::delete(&path), Ask::create(&other, &[9; LARGE], PERSISTENT)];
    assert_eq!(err(&Ask::multi(&longer)), THROTTLED);
    assert_eq!(err(&Ask::exists(&path, false)), 0);
    assert_eq!(err(&Ask::exists(&other, false)), NO_NODE);
    let shorter = [Ask::delete(&path), Ask::create(&other, &[9; LARGE - 1], PERSISTENT)];
    assert_eq!(err(&Ask::multi(&shorter)), 0);
    assert_eq!(err(&Ask::exists(&path, false)), NO_NODE);
    writer.there.insert(format!("{name}'"));
}

#[test]
fn what_adds_to_a_full_world_is_refused_and_all_else_goes_on_also_when_the_leader_dies() {
    if Server::under_test().is_apache() {
        return; // It runs out of memory.
    }
    let plan = Plan::members(3).with_admin().line(&format!("corral.memoryMaxMiB={}", MAX >> 20));
    let mut ensemble = Ensemble::start(&plan);
    let created = with(&ensemble, 1, |client| client.call(&Ask::create(ROOT, b"", PERSISTENT)).err);
    assert_eq!(created, 0);
    let members = ensemble.addresses();
    let mut writers: Vec<Writer> = (0..WRITERS).map(|number| Writer::open(&members, number)).collect();
    std::thread::scope(|scope| {
        for writer in &mut writers {
            scope.spawn(|| writer.fill());
        }
    });
    check(&ensemble, &writers);
    let bytes = world_bytes(&ensemble);
    // One entry more than the bound: what all of them have asked for at the same time.
    let most = MAX + (WRITERS * 2 * LARGE) as i64;
    assert!((MAX + 1..most).contains(&bytes), "it takes {bytes} bytes");
    for id in ensemble.ids() {
        assert_eq!(ensemble.metric(id, "corral_world_bytes_max"), MAX);
        let refused = ensemble.metric(id, "corral_writes_refused_full");
        assert!(refused >= 3 * WRITERS as i64, "member {id} knows of {refused}");
        let log = ensemble.log(id);
        assert!(log.contains(NEAR) && log.find(NEAR) < log.find(FULL) && !log.contains(ROOMY), "{log}");
        with(&ensemble, id, |client| all_else_goes_on(client, &mut writers[id - 1]));
    }
    check(&ensemble, &writers);

    let (stop, refused) = (AtomicBool::new(false), AtomicU64::new(0));
    let leader = ensemble.wait_for_leader();
    std::thread::scope(|scope| {
        for writer in &mut writers {
            scope.spawn(|| writer.churn(&stop, &refused));
        }
        let some_are_refused = |when: &str| {
            let before = refused.load(Ordering::SeqCst);
            wait::until(when, || (refused.load(Ordering::SeqCst) > before + 30).then_some(()));
        };
        some_are_refused("some were refused");
        ensemble.kill9(leader);
        wait::until("another led", || ensemble.leader());
        some_are_refused("some were refused by another leader");
        ensemble.start_member(leader);
        ensemble.wait_until_serving();
        some_are_refused("some were refused when all were back");
        stop.store(true, Ordering::SeqCst);
    });
    check(&ensemble, &writers);
    let bytes = world_bytes(&ensemble);
    assert!((MAX / 10 * 9..most).contains(&bytes), "it takes {bytes} bytes");

    // With room again, all is as before.
    for writer in &mut writers {
        for _ in 0..writer.there.len() / 3 {
            writer.delete();
        }
        assert!((0..10).all(|_| !writer.create()), "refused where there is room");
    }
    check(&ensemble, &writers);
    world_bytes(&ensemble);
    for id in ensemble.ids().filter(|id| *id != leader) {
        let log = ensemble.log(id);
        assert_eq!([NEAR, FULL, ROOMY].map(|line| log.matches(line).count()), [1, 1, 1], "{log}");
    }
    assert_eq!(ensemble.have_one_digest(), Ok(()));
}

#[test]
fn what_is_under_way_does_not_go_far_beyond_the_bound() {
    if Server::under_test().is_apache() {
        return;
    }
    // Disks so slow that entries are as large as they may be.
    let plan = Plan::members(3).line(&format!("corral.memoryMaxMiB={}", MAX >> 20));
    let ensemble = Ensemble::start(&plan.line("corral.syncDelayMs=50"));
    let leader = ensemble.wait_for_leader();
    let errors: Vec<i32> = with(&ensemble, leader, |client| {
        let mut errors = Vec::new();
        let mut sent = 0;
        let mut send = |client: &mut Connection| {
            sent += 1;
            client.send(&Ask::create(&format!("/{sent}"), &[7; LARGE], PERSISTENT)).unwrap();
        };
        (0..AT_ONCE).for_each(|_| send(client));
        while errors.iter().filter(|err| **err == THROTTLED).count() < AT_ONCE {
            errors.push(client.reply().err);
            assert!(errors.len() < 4 * MAX as usize / LARGE, "nothing is refused");
            send(client);
        }
        (0..AT_ONCE).for_each(|_| errors.push(client.reply().err));
        errors
    });
    let (done, refused): (Vec<i32>, Vec<i32>) = errors.into_iter().partition(|err| *err == 0);
    assert!(refused.iter().all(|err| *err == THROTTLED), "{refused:?}");
    let bytes = world_bytes(&ensemble);
    eprintln!("{} were created, and the world takes {} bytes more than it may", done.len(), bytes - MAX);
    assert!((MAX - LARGE as i64..MAX + ENTRY_MAX).contains(&bytes), "it takes {bytes} bytes");
}

#[test]
fn the_bound_of_the_leader_counts_for_all() {
    if Server::under_test().is_apache() {
        return;
    }
    let mut ensemble = Ensemble::start(&Plan::members(3).with_admin().line("corral.memoryMaxMiB=0"));
    let leader = ensemble.wait_for_leader();
    for id in ensemble.ids().filter(|id| *id != leader) {
        ensemble.stop(id);
        ensemble.configure(id, "corral.memoryMaxMiB=1");
        ensemble.start_member(id);
        ensemble.wait_until_serving();
    }
    assert_eq!(ensemble.wait_for_leader(), leader);
    let created = with(&ensemble, leader, |client| client.call(&Ask::create(ROOT, b"", PERSISTENT)).err);
    assert_eq!(created, 0);
    let mut writer = Writer::open(&ensemble.addresses(), 0);
    assert!((0..200).all(|_| !writer.create()), "refused by a member that does not lead");
    check(&ensemble, std::slice::from_ref(&writer));
    assert!(world_bytes(&ensemble) > 200 * LARGE as i64);

    ensemble.kill9(leader);
    let other = wait::until("another led", || ensemble.leader());
    assert_eq!(ensemble.metric(other, "corral_world_bytes_max"), 1 << 20);
    writer.fill();
    ensemble.start_member(leader);
    ensemble.wait_until_serving();
    writer.delete();
    check(&ensemble, &[writer]);
    world_bytes(&ensemble);
    assert_eq!(ensemble.have_one_digest(), Ok(()));
}
