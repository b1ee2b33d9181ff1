//! The parts of a running member, begun and ended in order.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use openraft::BasicNode;
use parking_lot::Mutex;
use proto::limits::DRAIN_WAIT_MAX;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::applier::{Applier, Raft};
use crate::barrier::Barrier;
use crate::franchise::Franchise;
use crate::leader::{self, Expiry, Sequencer};
use crate::log::Log;
use crate::peer::{self, Answering, Peers};
use crate::propose::{self, Pending};
use crate::replica::{Hook, Replica};
use crate::state::Store;
use crate::status::{Recovery, Reporter};
use crate::tasks::Tasks;
use crate::touch::{Teller, Touches};
use crate::{Config, Fault, Observer, Status};

/// A member that runs. What its clients use is here for as long as anybody holds it; the rest goes at shutdown.
pub(crate) struct Member {
    pub(crate) replica: Arc<Replica>,
    pub(crate) pending: Arc<Pending>,
    pub(crate) barrier: Barrier,
    pub(crate) touches: Arc<Touches>,
    pub(crate) status: watch::Receiver<Status>,
    engine: Mutex<Option<Engine>>,
}

/// What votes, listens and writes.
struct Engine {
    raft: Raft,
    tasks: Tasks,
    status: watch::Sender<Status>,
    pending: Arc<Pending>,
    teller: Teller,
    silence_max: Duration,
    disks: Disks,
    // Last, so that whatever else is dropped still finds it.
    runtime: OwnRuntime,
}

struct Disks {
    log: Log,
    store: Store,
}

impl Member {
    /// Starts a member on a runtime of its own: a flood of clients must not delay a heartbeat.
    pub(crate) async fn start(config: Config, observer: Arc<dyn Observer>) -> Result<Self, Fault> {
        let runtime = OwnRuntime::new()?;
        let handle = runtime.handle();
        // Everything that Raft starts, it starts on the runtime that it is made on.
        let started = handle.spawn(begin(config, observer, runtime)).await;
        started.map_err(|error| Fault::Other(format!("the member could not be started: {error}")))?
    }

    /// Lets another member lead, if this one does and another can.
    pub(crate) async fn hand_over(&self) {
        let engine = self.engine.lock().as_ref().map(|engine| (engine.raft.clone(), engine.silence_max));
        if let Some((raft, silence_max)) = engine {
            leader::hand_over(&raft, silence_max).await;
        }
    }

    /// Leaves the ensemble, writes what has gathered, and closes what is on disk. The second time it does nothing.
    pub(crate) async fn stop(&self) {
        let Some(engine) = self.engine.lock().take() else { return };
        let handle = engine.runtime.handle();
        // On its own runtime too, so that it goes on if whoever asked does not wait.
        if let Err(error) = handle.spawn(end(engine)).await {
            warn!(%error, "the member was not stopped cleanly");
        }
    }
}

async fn begin(config: Config, observer: Arc<dyn Observer>, runtime: OwnRuntime) -> Result<Member, Fault> {
    let raft_config = Arc::new(config.raft()?);
    let member = config.member;
    let (log, store, machine, progress) = {
        let config = config.clone();
        let opened = tokio::task::spawn_blocking(move || open(&config)).await;
        opened.map_err(|error| Fault::Other(format!("opening what is on disk was given up: {error}")))??
    };
    let log_store = log.store();
    let franchise = Franchise::new(&log_store);
    let recovery = Recovery::new(log_store.last());

    let tasks = Tasks::default();
    let pending = Arc::new(Pending::default());
    let expiry = Arc::new(Expiry::new(config.tick));
    let hooks: Vec<Arc<dyn Hook>> = vec![pending.clone(), expiry.clone()];
    let replica = Arc::new(Replica::new(machine, hooks, observer));
    let peers = Peers::new(member, config.members.clone());
    let applier = Applier::new(replica.clone(), store.clone(), progress);
    let raft = Raft::new(member.get(), raft_config, peers.clone(), log_store.clone(), applier)
        .await
        .map_err(|error| Fault::Other(format!("the log and the state do not fit each other: {error}")))?;

    tasks.spawn("earn the vote", franchise.clone().earn(raft.clone(), log_store));
    let leadership = leader::follow(&tasks, &raft);
    let sequencer = Sequencer::start(&tasks, raft.clone(), leadership.clone());
    let silence_max = config.silence_max();
    expiry.start(&tasks, leadership.clone(), replica.clone(), sequencer.clone(), raft.clone(), silence_max);
    propose::start(&tasks, pending.clone(), leadership.clone(), sequencer.clone(), peers.clone());
    let barrier = Barrier::start(&tasks, raft.clone(), leadership.clone(), peers.clone());
    let (touches, teller) = Touches::start(&tasks, config.tick, leadership, peers, expiry.clone());

    let (status_sender, status) = watch::channel(Status::default());
    let reporter = Reporter {
        raft: raft.clone(),
        status: status_sender.clone(),
        period: config.timing.heartbeat,
        silence_max,
        recovery,
    };
    tasks.spawn("report status", reporter.run());

    let disks = Disks { log, store: store.clone() };
    let engine = Engine {
        raft: raft.clone(),
        tasks: tasks.clone(),
        status: status_sender,
        pending: pending.clone(),
        teller,
        silence_max,
        disks,
        runtime,
    };
    let member = Member { replica, pending, barrier, touches, status, engine: Mutex::new(Some(engine)) };
    if let Err(fault) = join(&config, raft, franchise, store, sequencer, expiry, &tasks).await {
        member.stop().await;
        return Err(fault);
    }
    Ok(member)
}

/// Listens to the others, and begins an ensemble with them if this member has never been in one.
async fn join(
    config: &Config,
    raft: Raft,
    franchise: Franchise,
    store: Store,
    sequencer: Sequencer,
    expiry: Arc<Expiry>,
    tasks: &Tasks,
) -> Result<(), Fault> {
    if let Some(listen) = config.listen.as_deref().filter(|_| config.members.len() > 1) {
        let answering = Answering { raft: raft.clone(), franchise, store, sequencer, expiry };
        peer::serve(tasks, config.member, listen, answering).await?;
    }
    let failed = |error: &dyn std::fmt::Display| Fault::Other(format!("begin an ensemble: {error}"));
    if raft.is_initialized().await.map_err(|error| failed(&error))? {
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

fn open(config: &Config) -> Result<(Log, Store, machine::Machine, crate::state::Progress), Fault> {
    let make = |dir: &Path| {
        std::fs::create_dir_all(dir)
            .map_err(|error| Fault::disk(format!("make the directory {}", dir.display()), error))
    };
    let log_dir = config.log_dir.join("log");
    make(&log_dir)?;
    make(&config.data_dir)?;
    let log = Log::open(&log_dir, config.member, config.sync_delay)?;
    match Store::open(&config.data_dir.join("state")) {
        Ok((store, machine, progress)) => Ok((log, store, machine, progress)),
        Err(fault) => {
            log.close();
            Err(fault)
        }
    }
}

/// Leaves nothing undone that the others would miss.
async fn take_leave(
    raft: &Raft,
    status: &watch::Sender<Status>,
    pending: &Pending,
    teller: &Teller,
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
        leader::hand_over(raft, silence_max).await;
    };
    tokio::select! {
        biased;
        () = stopped => {}
        () = leave => {}
    }
}

/// Returns the runtime, which is dropped elsewhere, because this runs on it.
async fn end(engine: Engine) -> OwnRuntime {
    let Engine { raft, tasks, status, pending, teller, silence_max, disks, runtime } = engine;
    take_leave(&raft, &status, &pending, &teller, silence_max).await;
    tasks.shutdown().await;
    if let Err(error) = raft.shutdown().await {
        warn!(%error, "raft did not stop cleanly");
    }
    status.send_modify(Status::stop);
    let closed = tokio::task::spawn_blocking(move || {
        // The log first: the state may then be ahead of it only by what others have.
        disks.log.close();
        disks.store.close();
    });
    if let Err(error) = closed.await {
        warn!(%error, "what is on disk was not closed cleanly");
    }
    runtime
}

/// A runtime that may be dropped anywhere, also on a thread of its own.
struct OwnRuntime(Option<Runtime>);

impl OwnRuntime {
    fn new() -> Result<Self, Fault> {
        // Three at least, because an apply of many transactions keeps one of them for a while.
        let threads = std::thread::available_parallelism().map_or(3, |threads| threads.get().clamp(3, 8));
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("raft")
            .enable_all()
            .build()
            .map(|runtime| Self(Some(runtime)))
            .map_err(|error| Fault::Other(format!("start the threads of Raft: {error}")))
    }

    fn handle(&self) -> tokio::runtime::Handle {
        #[expect(clippy::expect_used, reason = "it is taken out only when this is dropped")]
        self.0.as_ref().expect("the runtime runs").handle().clone()
    }
}

impl Drop for OwnRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
