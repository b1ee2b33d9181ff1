//! How long nobody can write when the leader dies, or leaves.
//!
//! `failover-gap [TIMES] [kill|leave]` kills the leader that many times (20 if not said) while sessions write all the
//! time, or tells it to leave, starts it again, and prints the gaps: for a client of another member, from its last
//! acknowledged write before to its first one after. At the end it checks that nothing acknowledged is missing on any
//! member. With `CORRAL_TEST_SERVER=apache` it measures Apache ZooKeeper in the same way.
#![allow(clippy::print_stdout, reason = "a program that prints what it measured")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use harness::audit::audit;
use harness::session::{Answer, Session};
use harness::{Ask, Ensemble, Load, Plan, Server, load, wait};

/// `tickTime` of a usual deployment.
const TICK_MS: u64 = 2_000;

/// Sessions that write besides those that are measured.
const BACKGROUND: usize = 6;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let times: usize = arguments.next().map_or(20, |times| times.parse().expect("how many times"));
    let leaves = match arguments.next().as_deref() {
        None | Some("kill") => false,
        Some("leave") => true,
        Some(other) => panic!("the leader may be told to `kill` or to `leave`, not to `{other}`"),
    };
    let mut ensemble = Ensemble::start(&Plan { tick_ms: TICK_MS, ..Plan::members(3) });
    let background = Load::start(&ensemble.addresses(), BACKGROUND);
    background.progress(100);

    let mut gaps = Vec::new();
    let mut broken = 0;
    for time in 1..=times {
        let leader = ensemble.wait_for_leader();
        let probes: Vec<Probe> =
            ensemble.ids().filter(|id| *id != leader).map(|id| Probe::start(ensemble.address(id))).collect();
        for probe in &probes {
            probe.progress(20);
        }
        let told = Instant::now();
        if leaves {
            assert!(ensemble.stop(leader).success() || Server::under_test() == Server::Apache);
        } else {
            ensemble.kill9(leader);
        }
        for probe in &probes {
            probe.progress(20);
        }
        let mut of_this_time = Vec::new();
        for probe in probes {
            let (acknowledged, breaks) = probe.stop();
            broken += breaks;
            of_this_time.push(gap(&acknowledged, told));
        }
        println!("time {time:>3}, member {leader}: {}", line(&of_this_time));
        gaps.extend(of_this_time);
        ensemble.start_member(leader);
        ensemble.wait_until_serving();
        background.progress(20);
    }

    let znodes = audit(&ensemble.addresses(), &background.pause());
    gaps.sort_unstable();
    let what = if leaves { "leaders left in order" } else { "leaders killed" };
    println!("{times} {what}, {} gaps of other members' clients, tickTime {TICK_MS} ms", gaps.len());
    println!(
        "min {}  median {}  p99 {}  max {} ms",
        gaps[0].as_millis(),
        at(&gaps, 50).as_millis(),
        at(&gaps, 99).as_millis(),
        gaps[gaps.len() - 1].as_millis()
    );
    println!("connections of other members' clients that broke: {broken}");
    println!(
        "nothing acknowledged is missing on any member: {} writes, {znodes} znodes",
        background.acknowledged()
    );
}

/// The longest time without an acknowledgement that ends after the leader was told. A few may still arrive
/// then that were decided before, so the interval that contains that moment is not always the gap.
fn gap(acknowledged: &[Instant], told: Instant) -> Duration {
    let pairs = acknowledged.windows(2).filter(|pair| pair[1] > told);
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
