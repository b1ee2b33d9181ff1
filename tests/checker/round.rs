//! One round: clients that ask, what goes wrong meanwhile, a last look at every member, and the verdict.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::client::{Client, World};
use super::history::{Answer, End, History, Request, Session};
use super::verdict::Verdict;
use super::workload::{Workload, lasting};
use super::{judge, keeper};
use crate::Ensemble;
use crate::tree::Tree;

/// The timeout of sessions that outlast every fault, in milliseconds.
const LONG_MS: i32 = 30_000;

/// That of sessions whose clients may leave without a word, and that faults may end.
const SHORT_MS: i32 = 3_000;

/// How long after its timeout a session may still be there, when nothing is wrong any more.
const GRACE: Duration = Duration::from_millis(2_500);

/// How many leaders in a row may not stay for as long as that.
const REIGNS_MAX: usize = 10;

/// How many requests of the last look are on their way at once.
const AHEAD: usize = 50;

/// What a round shall be.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What all chance of the clients comes from.
    pub seed: u64,
    /// How many clients ask, each with a session at a time.
    pub clients: usize,
    /// How long a client rests between two bursts of requests, on average.
    pub rest: Duration,
}

/// What a round comes to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was asked and told.
    pub history: History,
    /// What is wrong with it.
    pub verdict: Verdict,
    /// In what the members' trees differ in the end, or their digests.
    pub differences: Vec<String>,
    /// Why the history was judged without a log, although there is a member that was to keep it.
    pub without_log: Option<String>,
}

impl Outcome {
    /// Whether anything is wrong.
    pub fn is_clean(&self) -> bool {
        self.verdict.violations.is_empty() && self.differences.is_empty()
    }
}

/// Runs a round on members that serve, while `trouble` is made, which leaves them serving again. Each round has znodes
/// of its own.
///
/// # Panics
/// If the members do not serve before or after the trouble.
pub fn run(ensemble: &mut Ensemble, settings: &Settings, trouble: impl FnOnce(&mut Ensemble)) -> Outcome {
    let mut rng = Rng::with_seed(settings.seed);
    let root = format!("/check-{:016x}", rng.u64(..));
    let world = World { members: ensemble.addresses(), began: Instant::now() };
    let mut sessions = vec![prepare(&world, &root, rng.fork())];
    let shared = Arc::new(Shared { stop: AtomicBool::new(false), opened: AtomicU64::new(0) });
    let threads: Vec<_> = (0..settings.clients)
        .map(|number| {
            let worker = Worker {
                world: world.clone(),
                root: root.clone(),
                rng: rng.fork(),
                rest: settings.rest,
                timeout_ms: if number % 3 == 0 { SHORT_MS } else { LONG_MS },
                sessions: Vec::new(),
            };
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || worker.run(&shared))
        })
        .collect();
    trouble(ensemble);
    shared.stop.store(true, Ordering::SeqCst);
    for thread in threads {
        sessions.extend(thread.join().expect("a client of the round does not panic"));
    }
    ensemble.wait_until_serving();
    let mut settled = None;
    if sessions.iter().any(|session| session.end == End::Abandoned) {
        await_ends(ensemble);
        settled = Some(world.now());
    }
    for member in ensemble.addresses() {
        let world = World { members: vec![member], ..world.clone() };
        sessions.push(look(&world, &root, rng.fork()));
    }
    let mut history = History { sessions, settled, log: None };
    let mut without_log = None;
    if ensemble.keeper().is_some() {
        let newest = history.ops().filter_map(|(_, op)| op.zxid()).max().unwrap_or_default();
        match keeper::transactions(ensemble, newest) {
            Ok(mut log) => {
                let first = history.sessions.iter().map(Session::opened).min().unwrap_or_default();
                log.retain(|transaction| transaction.zxid >= first);
                history.log = Some(log);
            }
            Err(error) => without_log = Some(format!("{error:#}")),
        }
    }
    let verdict = judge(&history);
    let mut differences = differences(ensemble, &root);
    if ensemble.admin(1).is_some() {
        differences.extend(ensemble.have_one_digest().err());
    }
    Outcome { history, verdict, differences, without_log }
}

/// Waits until sessions of which nobody is heard must have ended. Who comes to lead meanwhile gives each of them its whole
/// timeout again.
fn await_ends(ensemble: &Ensemble) {
    let elections = || -> i64 {
        let running = ensemble.ids().filter(|id| ensemble.pid(*id).is_some());
        running.map(|id| ensemble.metric(id, "looking_count")).sum()
    };
    for _ in 0..REIGNS_MAX {
        let before = elections();
        std::thread::sleep(Duration::from_millis(u64::from(SHORT_MS.unsigned_abs())) + GRACE);
        if elections() == before {
            return;
        }
    }
    panic!("nothing is wrong any more, and members look for a leader again and again");
}

struct Shared {
    stop: AtomicBool,
    opened: AtomicU64,
}

/// Creates what stands from the beginning to the end.
fn prepare(world: &World, root: &str, rng: Rng) -> Session {
    let mut client = Client::open(world, LONG_MS, rng).expect("open a session to prepare the round");
    for request in lasting(root) {
        let reply = client.insist(&request).expect("prepare the round");
        assert!(matches!(reply.told, Ok(_) | Err(-110)), "{request:?}: {reply:?}");
    }
    client.close()
}

/// Reads all that one member shows in the end.
fn look(world: &World, root: &str, rng: Rng) -> Session {
    let mut client = Client::open(world, LONG_MS, rng).expect("open a session for the last look");
    client.take_last_look();
    client.insist(&Request::Sync(root.to_owned())).expect("take a last look");
    let mut level = vec![root.to_owned()];
    while !level.is_empty() {
        let mut next = Vec::new();
        for paths in level.chunks(AHEAD) {
            let reads = paths.iter().map(|path| Request::GetData(path.clone())).collect();
            client.ask(reads).expect("take a last look");
            for path in paths {
                let children = client.insist(&Request::Children(path.clone())).expect("take a last look");
                if let Ok(Answer::Children(names, _)) = children.told {
                    next.extend(names.iter().map(|name| format!("{path}/{name}")));
                }
            }
        }
        level = next;
    }
    client.close()
}

/// In what the members differ. What goes by itself meanwhile is given time to be gone everywhere.
fn differences(ensemble: &Ensemble, root: &str) -> Vec<String> {
    let mut found = Vec::new();
    for _ in 0..5 {
        found.clear();
        let mut members = ensemble.addresses();
        members.extend(ensemble.keeper().map(|keeper| ensemble.address(keeper)));
        let trees: Vec<_> = members.iter().map(|member| Tree::read(*member, root)).collect();
        let mut first = None;
        for (member, tree) in members.iter().zip(&trees) {
            match (tree, first) {
                (Err(error), _) => found.push(format!("read {member}: {error}")),
                (Ok(tree), None) => first = Some(tree),
                (Ok(tree), Some(first)) => {
                    let lines = Tree::differences(first, tree);
                    found.extend(lines.into_iter().map(|line| format!("{member}: {line}")));
                }
            }
        }
        if found.is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    found
}

struct Worker {
    world: World,
    root: String,
    rng: Rng,
    rest: Duration,
    timeout_ms: i32,
    sessions: Vec<Session>,
}

impl Worker {
    fn run(mut self, shared: &Shared) -> Vec<Session> {
        while !shared.stop.load(Ordering::SeqCst) {
            let Ok(client) = Client::open(&self.world, self.timeout_ms, self.rng.fork()) else { continue };
            let number = shared.opened.fetch_add(1, Ordering::SeqCst);
            let log = self.live(client, Workload::new(&self.root, number), shared);
            self.sessions.push(log);
        }
        self.sessions
    }

    /// One session, until it ends in one way or another.
    fn live(&mut self, mut client: Client, mut workload: Workload, shared: &Shared) -> Session {
        while !shared.stop.load(Ordering::SeqCst) {
            let requests = workload.draw(&mut self.rng);
            let Ok(replies) = client.ask(requests.clone()) else { return client.into_log() };
            workload.learn(&requests, &replies);
            match self.rng.u32(..400) {
                0..12 => client.lose(),
                12..16 => break,
                16..18 if self.timeout_ms == SHORT_MS => return client.abandon(),
                _ => {}
            }
            let millis = u64::try_from(self.rest.as_millis()).unwrap_or_default();
            std::thread::sleep(Duration::from_millis(self.rng.u64(..=2 * millis)));
        }
        client.close()
    }
}
