//! How long nobody can write when the leader dies, freezes, is cut off, or leaves.
//!
//! `failover-gap --fault kill --times 20 --tree 0` does that to the leader that many times while sessions write all the
//! time, and prints the gaps: from the last acknowledged write before to the first one after, for clients of the other
//! members and for one of the leader's own, which has to move; and the longest one while the member comes back. At the end it checks that nothing acknowledged is missing
//! on any member. With `CORRAL_TEST_SERVER=apache-3.9` it measures Apache ZooKeeper in the same way.
#![allow(clippy::print_stdout, reason = "a program that prints what it measured")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use harness::ask::flags::PERSISTENT;
use harness::audit::audit;
use harness::ensemble::four_letter;
use harness::session::{Answer, Gone, Session};
use harness::tree::pipeline;
use harness::{Ask, Connection, Ensemble, Load, Plan, Server, load, wait};

/// `tickTime` of a usual deployment.
const TICK_MS: u64 = 2_000;

/// Sessions that write besides those that are measured.
const BACKGROUND: usize = 6;

/// Timeout of a client of the leader's: the shortest that members grant. It takes a silent member for dead after two
/// thirds of it.
const MOVING_MS: i32 = 4_000;

/// Znodes that one multi creates, and that are under one parent.
const PER_MULTI: usize = 200;

/// Measures gaps.
#[derive(Debug, Parser)]
struct Arguments {
    /// What happens to the leader.
    #[arg(long, value_enum, default_value_t = Fault::Kill)]
    fault: Fault,
    /// How often.
    #[arg(long, default_value_t = 20)]
    times: usize,
    /// How many znodes there are beforehand.
    #[arg(long, default_value_t = 0)]
    tree: usize,
    /// By how many milliseconds each sync of a disk takes longer.
    #[arg(long, default_value_t = 0)]
    sync_delay: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Fault {
    /// It is killed (-9).
    Kill,
    /// It is frozen (SIGSTOP) until the others have gone on.
    Freeze,
    /// The others do not hear of it, nor it of them. (Of ZooKeeper's members those with a higher number still hold elections
    /// with those with a lower: they call back where they were called from. It does not help the one that is cut off.)
    CutOff,
    /// It is told to leave (SIGTERM).
    Leave,
}

fn main() {
    let Arguments { fault, times, tree, sync_delay } = Arguments::parse();
    let is_apache = Server::under_test().is_apache();
    let mut plan = Plan { tick_ms: TICK_MS, wired: fault == Fault::CutOff, ..Plan::members(3) };
    // As in the file that ZooKeeper comes with; and memory enough for the tree.
    plan = plan.line("initLimit=10").line("syncLimit=5").flag("-Xmx2g");
    plan = plan.slow_syncs(Duration::from_millis(sync_delay));
    let mut ensemble = Ensemble::start(&plan);
    plant(ensemble.address(ensemble.wait_for_leader()), tree);
    let background = Load::start(&ensemble.addresses(), BACKGROUND);
    background.progress(100);

    let mut found = Found::default();
    for time in 1..=times {
        let leader = ensemble.wait_for_leader();
        let survivors: Vec<SocketAddr> =
            ensemble.ids().filter(|id| *id != leader).map(|id| ensemble.address(id)).collect();
        let probes: Vec<Probe> = survivors.iter().map(|member| Probe::start(&[*member], 20_000)).collect();
        let mut moving = vec![ensemble.address(leader)];
        moving.extend(&survivors);
        let moving = Probe::start(&moving, MOVING_MS);
        for probe in probes.iter().chain([&moving]) {
            probe.progress(20);
        }
        let others: Vec<usize> = ensemble.ids().filter(|id| *id != leader).collect();
        slowest_sync(&ensemble, &others);
        let told = Instant::now();
        match fault {
            Fault::Kill => ensemble.kill9(leader),
            Fault::Freeze => ensemble.pause(leader),
            Fault::CutOff => ensemble.cut_off(leader),
            Fault::Leave => assert!(ensemble.stop(leader).success() || is_apache, "member {leader} failed"),
        }
        for probe in probes.iter().chain([&moving]) {
            probe.progress(20);
        }
        let of_leaders_own = longest(&moving.stop().0, told, Instant::now());

        // One that was cut off may still believe that it leads, so the others are asked.
        let leads = || survivors.iter().find(|member| is_leader(**member)).copied();
        let heir = wait::until("one of the others led", leads);
        let meanwhile = slowest_sync(&ensemble, &others);
        let back = Instant::now();
        match fault {
            Fault::Kill | Fault::Leave => ensemble.start_member(leader),
            Fault::Freeze => ensemble.resume(leader),
            Fault::CutOff => ensemble.rejoin(leader),
        }
        ensemble.wait_until_serving();
        background.progress(20);
        found.elections += usize::from(!is_leader(heir));
        let (mut of_this_time, mut of_the_return) = (Vec::new(), Vec::new());
        for probe in probes {
            let (acknowledged, breaks) = probe.stop();
            found.broken += breaks;
            of_this_time.push(longest(&acknowledged, told, back));
            of_the_return.push(longest(&acknowledged, back, Instant::now()));
        }
        println!(
            "time {time:>3}, member {leader}: {}; its own {} ms; at its return {}; slowest sync {meanwhile} and {} ms",
            line(&of_this_time),
            of_leaders_own.as_millis(),
            line(&of_the_return),
            slowest_sync(&ensemble, &others)
        );
        found.others.extend(of_this_time);
        found.own.push(of_leaders_own);
        found.returns.extend(of_the_return);
    }

    let znodes = audit(&ensemble.addresses(), &background.pause());
    println!(
        "{fault:?} of the leader, {times} times, tickTime {TICK_MS} ms, {tree} znodes beforehand, syncs {sync_delay} ms \
         slower; gaps in ms"
    );
    println!("{:<28} {:>6} {:>8} {:>8} {:>8}", "clients", "gaps", "median", "p99", "max");
    row("of the other members", &mut found.others);
    row("of the leader, which move", &mut found.own);
    row("of the others, at its return", &mut found.returns);
    println!("returns after which another led: {}", found.elections);
    println!("connections of other members' clients that broke: {}", found.broken);
    println!(
        "nothing acknowledged is missing on any member: {} writes, {znodes} znodes",
        background.acknowledged()
    );
}

/// What all times came to.
#[derive(Default)]
struct Found {
    /// From the fault to its end, for clients of the other members.
    others: Vec<Duration>,
    /// The same for a client of the leader.
    own: Vec<Duration>,
    /// The longest time without an acknowledgement while the member came back, for clients of the others.
    returns: Vec<Duration>,
    /// How often another led after that.
    elections: usize,
    /// How many connections of the others' clients broke.
    broken: u32,
}

fn row(clients: &str, gaps: &mut [Duration]) {
    gaps.sort_unstable();
    let [median, p99, max] = [50, 99, 100].map(|percent| at(gaps, percent).as_millis());
    println!("{clients:<28} {:>6} {median:>8} {p99:>8} {max:>8}", gaps.len());
}

/// Creates this many znodes of a hundred bytes, many at a time.
fn plant(member: SocketAddr, znodes: usize) {
    if znodes == 0 {
        return;
    }
    let (mut connection, _) = Connection::open(member, 30_000);
    let create = |path: String| Ask::create(&path, &[b'x'; 100], PERSISTENT);
    let mut asks = vec![create("/tree".into())];
    for first in (0..znodes).step_by(PER_MULTI) {
        let parent = format!("/tree/{first}");
        let children =
            (first..znodes.min(first + PER_MULTI)).map(|znode| create(format!("{parent}/{znode}")));
        asks.push(Ask::multi(&[create(parent.clone())].into_iter().chain(children).collect::<Vec<_>>()));
    }
    let replies = pipeline(&mut connection, &asks).expect("plant the tree");
    assert!(replies.iter().all(|reply| reply.err == 0), "the tree cannot be planted");
    connection.hang_up();
}

/// The longest time without an acknowledgement that ends between these moments. A few may still arrive behind the first
/// that were decided before it, so the interval that contains it is not always the gap.
fn longest(acknowledged: &[Instant], from: Instant, until: Instant) -> Duration {
    let pairs = acknowledged.windows(2).filter(|pair| pair[1] > from && pair[1] <= until);
    pairs.map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
}

/// The slowest sync of these members since this was last asked, in milliseconds.
fn slowest_sync(ensemble: &Ensemble, members: &[usize]) -> i64 {
    let slowest = members.iter().map(|id| ensemble.metric(*id, "max_fsynctime")).max();
    members.iter().for_each(|id| drop(ensemble.four_letter(*id, "srst")));
    slowest.unwrap_or_default()
}

/// Whether a member says that it leads.
fn is_leader(member: SocketAddr) -> bool {
    four_letter(member, "srvr").is_ok_and(|answer| answer.contains("Mode: leader"))
}

fn at(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent).div_ceil(100).clamp(1, sorted.len()) - 1]
}

fn line(gaps: &[Duration]) -> String {
    let gaps: Vec<String> = gaps.iter().map(|gap| format!("{} ms", gap.as_millis())).collect();
    gaps.join(", ")
}

/// A session that writes one thing after the other, and notes when each was acknowledged.
struct Probe {
    thread: JoinHandle<(Vec<Instant>, u32)>,
    stop: Arc<AtomicBool>,
    count: Arc<AtomicU64>,
}

impl Probe {
    /// Of the first of these members, as long as that has it.
    fn start(members: &[SocketAddr], timeout_ms: i32) -> Self {
        let mut session = Session::open(members, timeout_ms).expect("open a session to measure");
        let members = members.to_vec();
        let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&count));
        let thread = std::thread::spawn(move || {
            let mut acknowledged = Vec::new();
            while !stopped.load(Ordering::SeqCst) {
                // Not the counter that the audit looks at.
                match session.call(&Ask::set_data(load::ROOT, b"probe", -1)) {
                    Ok(Answer::Reply(_)) => acknowledged.push(Instant::now()),
                    Ok(Answer::Unknown) => {}
                    Err(Gone::Expired) if timeout_ms == MOVING_MS => {
                        session = Session::open(&members, timeout_ms).expect("open a session to measure");
                    }
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
