//! The parts of a running member, begun and ended in order.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use machine::Machine;
use openraft::BasicNode;
use parking_lot::Mutex;
use proto::ClusterId;
use proto::limits::DRAIN_WAIT_MAX;
use tracing::{info, warn};

use crate::applier::{Applier, Raft};
use crate::barrier::Barrier;
use crate::candidacy::Candidacy;
use crate::cluster::agree;
use crate::compare::Comparison;
use crate::digest::Digests;
use crate::directory::Directory;
use crate::franchise::Franchise;
use crate::leader::{self, Asked, Expiry, Metered, Reaper, Reconfigurer, Sequencer};
use crate::log::{Log, LogStore};
use crate::newcomers::Newcomers;
use crate::peer::{self, Answering, Network, Patience, Peers, Tcp};
use crate::propose::{self, Pending};
use crate::purge::Purger;
use crate::recollection::Recollection;
use crate::replica::{Hook, Replica};
use crate::room::Room;
#[cfg(any(test, simulation))]
use crate::runtime::bugs::{Bug, is_in};
use crate::runtime::own::OwnRuntime;
use crate::runtime::watch;
use crate::standing::Inquiry;
use crate::state::{Progress, Store};
use crate::status::{Recovery, Reporter};
use crate::tasks::Tasks;
use crate::touch::{Teller, Touches};
use crate::trim::Trimmer;
use crate::{Amount, Config, Fault, Observer, Status, runtime};

/// A member that runs. What its clients use is here for as long as anybody holds it; the rest goes at shutdown.
pub(crate) struct Member {
    pub(crate) replica: Arc<Replica>,
    pub(crate) pending: Arc<Pending>,
    pub(crate) barrier: Barrier,
    pub(crate) touches: Arc<Touches>,
    pub(crate) expiry: Arc<Expiry>,
    pub(crate) comparison: Comparison,
    pub(crate) store: Store,
    pub(crate) status: watch::Receiver<Status>,
    engine: Mutex<Option<Engine>>,
}

/// What a member stands on: what was found on its disks, and the way to the others.
pub(crate) struct Ground {
    pub(crate) log: LogStore,
    pub(crate) store: Store,
    pub(crate) machine: Machine,
    pub(crate) progress: Progress,
    pub(crate) network: Arc<dyn Network>,
    /// Writes what has gathered, and closes what is on disk.
    pub(crate) close: BoxFuture<'static, ()>,
}

/// What votes, listens and writes.
struct Engine {
    raft: Raft,
    log: LogStore,
    tasks: Tasks,
    status: watch::Sender<Status>,
    pending: Arc<Pending>,
    teller: Teller,
    silence_max: Duration,
    newcomers: Newcomers,
    close: BoxFuture<'static, ()>,
    // Last, so that whatever else is dropped still finds it.
    runtime: OwnRuntime,
}

impl Member {
    /// Starts a member on a runtime of its own: a flood of clients must not delay a heartbeat.
    pub(crate) async fn start(config: Config, observer: Arc<dyn Observer>) -> Result<Self, Fault> {
        let runtime = OwnRuntime::new()?;
        let handle = runtime.handle();
        // Everything that Raft starts, it starts on the runtime that it is made on.
        let started = runtime::spawn_on(&handle, async move {
            let begun = Instant::now();
            let (found, sync_time) = {
                let config = config.clone();
                runtime::blocking(move || open(&config)).await?
            };
            let config = Config { timing: config.timing.for_disk(sync_time), ..config };
            observer.measured(Amount::Opened(begun.elapsed()));
            begin(config, observer, found, runtime).await
        });
        started.await.map_err(|error| Fault::Other(format!("the member could not be started: {error}")))?
    }

    /// Starts a member on other ground than that of this machine, on the current runtime.
    #[cfg(any(test, simulation))]
    pub(crate) async fn start_on(
        ground: Ground,
        config: Config,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, Fault> {
        begin(config, observer, ground, OwnRuntime::borrowed()).await
    }

    /// The Raft of a member that runs.
    #[cfg(any(test, simulation))]
    pub(crate) fn raft(&self) -> Option<Raft> {
        self.engine.lock().as_ref().map(|engine| engine.raft.clone())
    }

    /// Lets another member lead, if this one does and another can.
    pub(crate) async fn hand_over(&self) {
        let known = self
            .engine
            .lock()
            .as_ref()
            .map(|engine| (engine.raft.clone(), engine.newcomers.clone(), engine.silence_max));
        if let Some((raft, newcomers, silence_max)) = known {
            leader::hand_over(&raft, &newcomers, silence_max).await;
        }
    }

    /// Leaves the ensemble, writes what has gathered, and closes what is on disk. The second time it does nothing.
    pub(crate) async fn stop(&self) {
        let Some(engine) = self.engine.lock().take() else { return };
        let handle = engine.runtime.handle();
        // On its own runtime too, so that it goes on if whoever asked does not wait.
        if let Err(error) = runtime::spawn_on(&handle, end(engine)).await {
            warn!(%error, "the member was not stopped cleanly");
        }
    }
}

async fn begin(
    config: Config,
    observer: Arc<dyn Observer>,
    ground: Ground,
    runtime: OwnRuntime,
) -> Result<Member, Fault> {
    let Ground { log, store, machine, progress, network, close } = ground;
    if let Some(applied) = progress.applied {
        log.follow_state(applied).await.map_err(|error| Fault::disk("read the log", error))?;
    }
    log.look_for_ensemble(progress.applied).await.map_err(|error| Fault::disk("read the log", error))?;
    let candidacy = Candidacy::new(Franchise::first_fitness(&log));
    let raft_config = openraft::Config { enable_elect: candidacy.may_stand(), ..config.raft()? };
    #[cfg(any(test, simulation))]
    let raft_config = openraft::Config {
        enable_leader_restore: Some(is_in(Bug::LeaderRestored)),
        allow_log_reversion: Some(!is_in(Bug::ReversionForbidden)),
        ..raft_config
    };
    let member = config.member;
    log.measure_for(observer.clone());
    let belonging = log.belonging().clone();
    // What a candidate is still to be told it hears within one election, whoever gave his vote and is gone.
    let franchise = Franchise::new(&log, candidacy.clone(), 2 * config.timing.election_max);
    let patience = Patience::new(config.timing.election_min);
    let newcomers = Newcomers::default();
    let recovery = Recovery::new(log.last());

    let tasks = Tasks::default();
    let pending = Arc::new(Pending::default());
    let expiry = Arc::new(Expiry::new(config.tick));
    let asked = Arc::new(Asked::default());
    let room = Arc::new(Room::new(config.world_bytes_max, &machine));
    let hooks: Vec<Arc<dyn Hook>> =
        vec![pending.clone(), expiry.clone(), Arc::new(belonging.clone()), asked.clone(), room.clone()];
    let replica = Arc::new(Replica::new(machine, hooks, observer.clone()));
    let configured = config.members.iter().chain(&config.observers);
    let directory = Directory::new(configured.map(|(id, address)| (*id, address.clone())).collect());
    directory.learn(progress.membership.membership());
    let peers =
        Peers::new(network.clone(), member, &log, directory.clone(), candidacy.clone(), patience.clone());
    let digests = Digests::new(log.last().map_or(0, |last| last.index()));
    let applier = Applier::new(replica.clone(), store.clone(), progress, digests.clone());
    let safe = applier.safe().clone();
    let raft = Raft::new(member.get(), Arc::new(raft_config), peers.clone(), log.clone(), applier)
        .await
        .map_err(|error| Fault::Other(format!("the log and the state do not fit each other: {error}")))?;

    tasks.spawn("await the votes", patience.clone().keep(raft.clone(), candidacy.clone()));
    tasks.spawn("earn the vote", franchise.clone().earn(raft.clone()));
    let trimmer = Trimmer {
        raft: raft.clone(),
        safe: safe.clone(),
        log: log.clone(),
        peers: peers.clone(),
        bytes_max: config.retention.bytes_max,
        keep: config.retention.keep,
    };
    tasks.spawn("trim the log", trimmer.run());
    let purger = Purger::new(raft.clone(), safe, peers.holds().clone(), config.retention);
    tasks.spawn("purge the log", purger.run());
    tasks.spawn("remember the ensemble", log.clone().remember_ensemble());
    let leadership = leader::follow(&tasks, &raft);
    let metered = Metered { raft: raft.clone(), observer };
    let sequencer = Sequencer::start(&tasks, metered, leadership.clone(), config.rules, room);
    let silence_max = config.silence_max();
    expiry.start(&tasks, leadership.clone(), replica.clone(), sequencer.clone(), raft.clone(), silence_max);
    let reconfigurer = Reconfigurer {
        own: member,
        description: config.ensemble.clone(),
        observers: config.observers.clone(),
        raft: raft.clone(),
        replica: replica.clone(),
        sequencer: sequencer.clone(),
        leadership: leadership.clone(),
        asked,
        silence_max,
        newcomers: newcomers.clone(),
    };
    tasks.spawn("change the members", reconfigurer.run());
    if let Some(drawn) = ClusterId::new(config.boot) {
        let (leadership, replica, sequencer) = (leadership.clone(), replica.clone(), sequencer.clone());
        tasks.spawn("name the ensemble", leader::name(drawn, leadership, replica, sequencer));
    }
    let reaper = Reaper {
        config: config.reaping,
        leadership: leadership.clone(),
        replica: replica.clone(),
        sequencer: sequencer.clone(),
    };
    reaper.start(&tasks);
    propose::start(&tasks, pending.clone(), leadership.clone(), sequencer.clone(), peers.clone());
    let barrier = Barrier::start(&tasks, raft.clone(), leadership.clone(), peers.clone());
    let (touches, teller) = Touches::start(&tasks, leadership.clone(), peers.clone(), expiry.clone());

    let (status_sender, status) = watch::channel(Status::default());
    let outside = Arc::new(AtomicBool::new(false));
    let reporter = Reporter {
        raft: raft.clone(),
        status: status_sender.clone(),
        period: config.timing.heartbeat,
        silence_max,
        recovery,
        log: log.clone(),
        belonging: belonging.clone(),
        directory: directory.clone(),
        outside: outside.clone(),
        reported: None,
    };
    tasks.spawn("report status", reporter.run());
    let comparison = Comparison {
        own: member,
        raft: raft.clone(),
        leadership,
        status: status.clone(),
        peers: peers.clone(),
        digests: digests.clone(),
    };
    let recollection = Recollection {
        own: member,
        configured: config.members.keys().map(|id| id.get()).collect(),
        directory: directory.clone(),
        peers: peers.clone(),
        raft: raft.clone(),
        log: log.clone(),
        franchise: franchise.clone(),
    };
    let inquiry = Inquiry { own: member, directory, peers, candidacy: candidacy.clone() };
    tasks.spawn("ask for its standing", inquiry.clone().watch(raft.clone(), status.clone(), outside));

    let engine = Engine {
        raft: raft.clone(),
        log: log.clone(),
        tasks: tasks.clone(),
        status: status_sender,
        pending: pending.clone(),
        teller,
        silence_max,
        newcomers: newcomers.clone(),
        close,
        runtime,
    };
    let answering = Answering {
        raft: raft.clone(),
        belonging,
        log: log.clone(),
        franchise,
        candidacy,
        patience,
        newcomers,
        store: store.clone(),
        sequencer,
        expiry: expiry.clone(),
        digests,
        status: status.clone(),
    };
    let engine = Mutex::new(Some(engine));
    let member = Member { replica, pending, barrier, touches, expiry, comparison, store, status, engine };
    if let Err(fault) = join(&config, answering, inquiry, network, &tasks).await {
        member.stop().await;
        return Err(fault);
    }
    // Not before it has made the first entry of its log, if it is to: Raft makes none once it has voted.
    tasks.spawn("ask what it may have forgotten", recollection.run());
    Ok(member)
}

/// Listens to the others, and begins an ensemble with them if this member has never been in one.
async fn join(
    config: &Config,
    answering: Answering,
    inquiry: Inquiry,
    network: Arc<dyn Network>,
    tasks: &Tasks,
) -> Result<(), Fault> {
    let raft = answering.raft.clone();
    let was_in_one = answering.franchise.is_forgetful();
    if let Some(listen) = &config.listen {
        network.listen(tasks, listen, peer::answers(tasks, config.member, answering)).await?;
    }
    let failed = |error: &dyn std::fmt::Display| Fault::Other(format!("begin an ensemble: {error}"));
    if raft.is_initialized().await.map_err(|error| failed(&error))? {
        return Ok(());
    }
    // A member that was in an ensemble before waits for its leader, whatever the others have forgotten.
    if was_in_one {
        info!("waits to be filled by the other members");
        return Ok(());
    }
    if !config.members.contains_key(&config.member) {
        info!("waits for the leader: members without a vote begin no ensemble");
        return Ok(());
    }
    if inquiry.ensemble_has_begun().await {
        info!("waits for the leader: the ensemble has begun, and this member comes with nothing");
        return Ok(());
    }
    // Every member writes the same first entry, so it does not matter who is first, nor that more than one is.
    let members: std::collections::BTreeMap<u64, BasicNode> =
        config.members.iter().map(|(id, address)| (id.get(), BasicNode::new(address))).collect();
    match raft.initialize(members).await {
        Ok(()) => {
            info!(members = config.members.len(), "began an ensemble");
            Ok(())
        }
        // Another member was quicker, and this one has heard of it in the meantime.
        Err(openraft::errors::RaftError::APIError(openraft::errors::InitializeError::NotAllowed(_))) => {
            Ok(())
        }
        Err(error) => Err(failed(&error)),
    }
}

/// Opens what is on disk, and says how long a sync of the log takes.
fn open(config: &Config) -> Result<(Ground, Duration), Fault> {
    let make = |dir: &Path| {
        std::fs::create_dir_all(dir)
            .map_err(|error| Fault::disk(format!("make the directory {}", dir.display()), error))
    };
    let log_dir = config.log_dir.join("log");
    make(&log_dir)?;
    make(&config.data_dir)?;
    let state_dir = config.data_dir.join("state");
    // Each of them reads all that it has, and neither needs the other for that.
    let (log, state) = std::thread::scope(|scope| {
        let state = scope.spawn(|| Store::open(&state_dir));
        let log = Log::open(&log_dir, config.member, config.sync_delay, config.retention.bytes_max);
        (log, state.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    let (log, (store, machine, progress)) = match (log, state) {
        (Ok(log), Ok(state)) => (log, state),
        (Ok(log), Err(fault)) => {
            log.close();
            return Err(fault);
        }
        (Err(fault), state) => {
            if let Ok((store, ..)) = state {
                store.close();
            }
            return Err(fault);
        }
    };
    let agreed = agree(log.store().belonging(), &machine); // In the `if let` the log would still be in use.
    if let Err(fault) = agreed {
        store.close();
        log.close();
        return Err(fault);
    }
    let (log_store, closing, sync_time) = (log.store(), store.clone(), log.sync_time());
    let close = Box::pin(async {
        let closed = runtime::blocking(move || {
            // The log first: the state may then be ahead of it only by what others have, and lacks nothing that was applied.
            log.close();
            closing.close();
            Ok(())
        });
        if let Err(fault) = closed.await {
            warn!(%fault, "what is on disk was not closed cleanly");
        }
    });
    let ground = Ground { log: log_store, store, machine, progress, network: Arc::new(Tcp), close };
    Ok((ground, sync_time))
}

/// Leaves nothing undone that the others would miss.
async fn take_leave(
    raft: &Raft,
    status: &watch::Sender<Status>,
    pending: &Pending,
    teller: &Teller,
    newcomers: &Newcomers,
    silence_max: Duration,
) {
    // Without Raft nothing is applied any more, and nobody can be told.
    let stopped = async {
        let _ = status.subscribe().wait_for(|status| status.stopped).await;
    };
    let leave = async {
        if tokio::time::timeout(DRAIN_WAIT_MAX, pending.drained()).await.is_err() {
            warn!(proposals = pending.len(), "leaves without having seen applied what its clients proposed");
        }
        // A client that was heard of here a moment ago has its whole timeout to find another member.
        teller.tell_now().await;
        leader::hand_over(raft, newcomers, silence_max).await;
    };
    tokio::select! {
        biased;
        () = stopped => {}
        () = leave => {}
    }
}

/// Returns the runtime, which is dropped elsewhere, because this runs on it.
async fn end(engine: Engine) -> OwnRuntime {
    let Engine { raft, log, tasks, status, pending, teller, silence_max, newcomers, close, runtime } = engine;
    take_leave(&raft, &status, &pending, &teller, &newcomers, silence_max).await;
    tasks.shutdown().await;
    // The task that does so may have been ended just before it got to it.
    if log.belonging().known().is_some() {
        log.remember_ensemble().await;
    }
    if let Err(error) = raft.shutdown().await {
        warn!(%error, "raft did not stop cleanly");
    }
    status.send_modify(Status::stop);
    close.await;
    runtime
}
