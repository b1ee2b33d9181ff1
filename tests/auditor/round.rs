//! One round: sessions that watch and sessions that write, what goes wrong meanwhile, and the verdict.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::client::{Client, World};
use super::faults::{self, Trouble};
use super::history::{Habit, History};
use super::paths::{PathId, Paths};
use super::sabotage::Sabotage;
use super::verdict::{Verdict, Violation, Wrong, judge};
use super::watcher::{Sights, Watcher};
use super::writer::{Plot, Writer};
use crate::ask::flags::PERSISTENT;
use crate::{Ask, Ensemble, Session};

/// What a round shall be.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What all chance comes from.
    pub seed: u64,
    /// How many sessions watch.
    pub watchers: usize,
    /// How many sessions write.
    pub writers: usize,
    /// How long a writer rests between two steps, on average.
    pub rest: Duration,
    /// What watchers do when they come back, in turn.
    pub habits: Vec<Habit>,
    /// What goes wrong with members.
    pub troubles: Vec<Trouble>,
    /// How long it goes on.
    pub time: Duration,
    /// What is done to what the first watcher receives, and to the how manieth notification.
    pub sabotage: Option<(Sabotage, u32)>,
}

/// What a round comes to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What sessions were told, against what they were owed.
    pub verdict: Verdict,
    /// What both were found from.
    pub history: History,
    /// The znodes of the round.
    pub paths: Arc<Paths>,
}

/// Runs a round on members that serve. Each round has znodes and sessions of its own.
///
/// # Panics
/// If the members do not serve, before or after a fault.
pub fn run(ensemble: &mut Ensemble, settings: &Settings) -> Outcome {
    let mut rng = Rng::with_seed(settings.seed);
    let land = Land::lay_out(settings, &mut rng);
    land.create(ensemble);
    let paths = Arc::new(land.paths);
    let world = World { members: ensemble.addresses(), paths: Arc::clone(&paths), began: Instant::now() };
    let open = |habit, rng| {
        Client::open(&world, habit, rng).unwrap_or_else(|gone| panic!("a session of the round is {gone:?}"))
    };

    let stop = Arc::new(AtomicBool::new(false));
    let end = Arc::new(AtomicI64::new(0));
    let watchers: Vec<_> = (0..settings.watchers)
        .map(|number| {
            let habit = settings.habits[number % settings.habits.len()];
            let mut client = open(habit, rng.fork());
            client.tamper(settings.sabotage.filter(|_| number == 0));
            let watcher = Watcher::new(client, land.own[number], land.sights.clone());
            let end = Arc::clone(&end);
            std::thread::spawn(move || watcher.run(&end))
        })
        .collect();
    let writers: Vec<_> = land
        .plots
        .into_iter()
        .map(|plot| {
            let writer = Writer::new(open(Habit::Nothing, rng.fork()), plot, settings.rest);
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || writer.run(&stop))
        })
        .collect();

    let faults =
        faults::make(ensemble, &settings.troubles, &mut rng, world.began, Instant::now() + settings.time);
    stop.store(true, Ordering::SeqCst);
    let mut history = History { faults, ..History::default() };
    let mut violations = Vec::new();
    for writer in writers {
        let (changes, wrong) = writer.join().expect("a writer does not panic");
        history.changes.extend(changes);
        violations.extend(wrong);
    }
    let last = history.changes.iter().map(|change| change.zxid).max().unwrap_or(1);
    end.store(last, Ordering::SeqCst);
    for watcher in watchers {
        let (log, changes) = watcher.join().expect("a watcher does not panic");
        history.changes.extend(changes);
        history.sessions.push(log);
    }
    // The changes of a transaction stand in order already: they are of one writer.
    history.changes.sort_by_key(|change| change.zxid);
    let mut verdict = judge(&paths, &history);
    *verdict.tally.wrong.entry(Wrong::Other).or_default() += violations.len() as u64;
    verdict.tally.wrong.retain(|_, count| *count > 0);
    verdict.violations.extend(violations.into_iter().map(|text| Violation {
        wrong: Wrong::Other,
        text,
        place: None,
        event: None,
    }));
    Outcome { verdict, history, paths }
}

/// The znodes of a round.
struct Land {
    paths: Paths,
    /// Those that are there from the beginning to the end, parents first.
    lasting: Vec<PathId>,
    plots: Vec<Plot>,
    /// What each watcher writes itself.
    own: Vec<PathId>,
    sights: Sights,
}

impl Land {
    fn lay_out(settings: &Settings, rng: &mut Rng) -> Self {
        let mut paths = Paths::default();
        let root = format!("/audit-{:016x}", rng.u64(..));
        let mut lasting = vec![paths.add(&root)];
        let mut plots = Vec::new();
        let mut sights = Sights { znodes: Vec::new(), trees: vec![lasting[0]] };
        for writer in 0..settings.writers {
            let base = paths.add(&format!("{root}/w{writer}"));
            lasting.push(base);
            sights.trees.push(base);
            sights.znodes.push(base);
            let mut znodes = Vec::new();
            for znode in 0..5 {
                let path = paths.add(&format!("{root}/w{writer}/n{znode}"));
                let child = |child| paths.add(&format!("{root}/w{writer}/n{znode}/c{child}"));
                let children: Vec<PathId> = (0..3).map(child).collect();
                sights.znodes.push(path);
                sights.znodes.extend(&children);
                znodes.push((path, children));
            }
            plots.push(Plot { base, znodes });
        }
        let own: Vec<PathId> =
            (0..settings.watchers).map(|watcher| paths.add(&format!("{root}/s{watcher}"))).collect();
        lasting.extend(&own);
        Self { paths, lasting, plots, own, sights }
    }

    fn create(&self, ensemble: &Ensemble) {
        let mut session =
            Session::open(&ensemble.addresses(), 30_000).expect("a session to prepare the round");
        for path in &self.lasting {
            let created = session.insist(&Ask::create(self.paths.name(*path), b"", PERSISTENT));
            let created = created.expect("the znodes of the round are made");
            assert!([0, -110].contains(&created.err), "{created:?}");
        }
        let _closed = session.call(&Ask::close_session());
    }
}
