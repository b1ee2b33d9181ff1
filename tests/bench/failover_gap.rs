//! How long nobody can write when the leader dies.
//!
//! `failover-gap [KILLS]` kills the leader that many times (20 if not said) while sessions write all the time, starts
//! it again, and prints the gaps: for a client of a surviving member, from its last acknowledged write before the
//! kill to its first one after. At the end it checks that nothing acknowledged is missing on any member. With
//! `CORRAL_TEST_SERVER=apache` it measures Apache ZooKeeper in the same way.
#![allow(clippy::print_stdout, reason = "a program that prints what it measured")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use harness::audit::audit;
use harness::session::{Answer, Session};
use harness::{Ask, Ensemble, Load, Plan, load, wait};

/// `tickTime` of a usual deployment.
const TICK_MS: u64 = 2_000;

/// Sessions that write besides those that are measured.
const BACKGROUND: usize = 6;

fn main() {
    let kills: usize = std::env::args().nth(1).map_or(20, |kills| kills.parse().expect("a number of kills"));
    let mut ensemble = Ensemble::start(&Plan { tick_ms: TICK_MS, ..Plan::members(3) });
    let background = Load::start(&ensemble.addresses(), BACKGROUND);
    background.progress(100);

    let mut gaps = Vec::new();
    let mut broken = 0;
    for kill in 1..=kills {
        let leader = ensemble.wait_for_leader();
        let probes: Vec<Probe> =
            ensemble.ids().filter(|id| *id != leader).map(|id| Probe::start(ensemble.address(id))).collect();
        for probe in &probes {
            probe.progress(20);
        }
        let killed = Instant::now();
        ensemble.kill9(leader);
        for probe in &probes {
            probe.progress(20);
        }
        let mut of_this_kill = Vec::new();
        for probe in probes {
            let (acknowledged, breaks) = probe.stop();
            broken += breaks;
            of_this_kill.push(gap(&acknowledged, killed));
        }
        println!("kill {kill:>3} of member {leader}: {}", line(&of_this_kill));
        gaps.extend(of_this_kill);
        ensemble.start_member(leader);
        ensemble.wait_until_serving();
        background.progress(20);
    }

    let znodes = audit(&ensemble.addresses(), &background.pause());
    gaps.sort_unstable();
    println!("{kills} kills, {} gaps of clients of survivors, tickTime {TICK_MS} ms", gaps.len());
    println!(
        "min {}  median {}  p99 {}  max {} ms",
        gaps[0].as_millis(),
        at(&gaps, 50).as_millis(),
        at(&gaps, 99).as_millis(),
        gaps[gaps.len() - 1].as_millis()
    );
    println!("connections of survivors' clients that broke: {broken}");
    println!(
        "nothing acknowledged is missing on any member: {} writes, {znodes} znodes",
        background.acknowledged()
    );
}

/// The longest time without an acknowledgement that ends after the kill. A few may still arrive after the kill
/// that were decided before, so the interval that contains the kill itself is not always the gap.
fn gap(acknowledged: &[Instant], killed: Instant) -> Duration {
    let pairs = acknowledged.windows(2).filter(|pair| pair[1] > killed);
    pairs.map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
}

fn at(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent).div_ceil(100).clamp(1, sorted.len()) - 1]
}

fn line(gaps: &[Duration]) -> String {
    let gaps: Vec<String> = gaps.iter().map(|gap| format!("{} ms", gap.as_millis())).collect();
    gaps.join(", ")
}

/// A session of one member that writes one thing after the other, and notes when each was acknowledged.
struct Probe {
    thread: JoinHandle<(Vec<Instant>, u32)>,
    stop: Arc<AtomicBool>,
    count: Arc<AtomicU64>,
}

impl Probe {
    fn start(member: SocketAddr) -> Self {
        let mut session = Session::open(&[member], 20_000).expect("open a session to measure");
        let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&count));
        let thread = std::thread::spawn(move || {
            let mut acknowledged = Vec::new();
            while !stopped.load(Ordering::SeqCst) {
                // Not the counter that the audit looks at.
                match session.call(&Ask::set_data(load::ROOT, b"probe", -1)) {
                    Ok(Answer::Reply(_)) => acknowledged.push(Instant::now()),
                    Ok(Answer::Unknown) => {}
                    Err(gone) => panic!("the session that measures is gone: {gone:?}"),
                }
                counted.store(acknowledged.len() as u64, Ordering::SeqCst);
            }
            let _closed = session.call(&Ask::close_session());
            (acknowledged, session.broken)
        });
        Self { thread, stop, count }
    }

    fn progress(&self, more: u64) {
        let start = self.count.load(Ordering::SeqCst);
        wait::until("the session that measures wrote on", || {
            (self.count.load(Ordering::SeqCst) >= start + more).then_some(())
        });
    }

    fn stop(self) -> (Vec<Instant>, u32) {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().expect("the session that measures lives")
    }
}
