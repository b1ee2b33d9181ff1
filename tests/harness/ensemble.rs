//! Real server processes on loopback, which a test may kill, freeze and start again.

mod digests;
mod metrics;
mod mishaps;
mod wires;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, ExitStatus};

use anyhow::Result;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

pub use metrics::number;

pub use crate::calls::{four_letter, gives_sessions};
use crate::ports::Block;
use crate::relay::Relay;
use crate::turn::Turn;
use crate::{Plan, Server, clock, disk, preload, wait};

/// The members, until dropped. Members are named by their id, from 1 on.
#[derive(Debug)]
pub struct Ensemble {
    members: Vec<Member>,
    /// How many of them are named: a keeper is not.
    named: usize,
    server: Server,
    flags: Vec<String>,
    /// What stands between the members and their system.
    preload: Vec<PathBuf>,
    /// From whom to whom.
    wires: BTreeMap<(usize, usize, Line), Relay>,
    // Dropped in this order, after the members: first the files, then the ports, then the turn.
    directory: Option<TempDir>,
    _ports: Block,
    _turn: Option<Turn>,
}

/// What members say to each other by a wire. Corral's have one port for all; ZooKeeper's hold their elections at another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Line {
    Peer,
    Election,
}

#[derive(Debug)]
struct Member {
    id: usize,
    client: SocketAddr,
    admin: Option<SocketAddr>,
    directory: PathBuf,
    child: Option<Child>,
    frozen: bool,
}

/// What `zoo.cfg` calls the number of entries that are kept behind a purge.
const LOG_KEEP: &str = "corral.logKeep";

impl Ensemble {
    /// Three members of the server under test, serving.
    ///
    /// # Panics
    /// If they do not start.
    #[track_caller]
    pub fn three() -> Self {
        Self::start(&Plan::members(3))
    }

    /// Members as planned, serving.
    ///
    /// # Panics
    /// If they do not start.
    #[track_caller]
    pub fn start(plan: &Plan) -> Self {
        let mut ensemble = Self::prepare(plan);
        for id in 1..=ensemble.members.len() {
            ensemble.start_member(id);
        }
        ensemble.wait_until_serving();
        ensemble
    }

    /// Members as planned, not one of them started.
    ///
    /// # Panics
    /// If there is no place for their files, or no ports are free.
    #[track_caller]
    pub fn prepare(plan: &Plan) -> Self {
        let turn = (!plan.beside).then(Turn::wait);
        Self::lay_out(plan, turn).unwrap_or_else(|error| panic!("prepare an ensemble: {error:#}"))
    }

    fn lay_out(plan: &Plan, turn: Option<Turn>) -> Result<Self> {
        let mut ports = Block::claim()?;
        let directory = tempfile::Builder::new().prefix("ensemble-").tempdir_in(plan.folder())?;
        let (mut members, mut peer_ports) = (Vec::new(), Vec::new());
        for id in 1..=plan.members + usize::from(plan.keeper) {
            let client = SocketAddr::from((Ipv4Addr::LOCALHOST, ports.take()?));
            peer_ports.push((id, ports.take()?, ports.take()?));
            let admin = if plan.admin { Some((Ipv4Addr::LOCALHOST, ports.take()?).into()) } else { None };
            let directory = directory.path().join(id.to_string());
            members.push(Member { id, client, admin, directory, child: None, frozen: false });
        }
        let mut wires = BTreeMap::new();
        for member in &members {
            let data = member.directory.join("data");
            std::fs::create_dir_all(&data)?;
            std::fs::write(data.join("myid"), format!("{}\n", member.id))?;
            let mut cfg = format!("tickTime={}\ninitLimit=20\nsyncLimit=10\n", plan.tick_ms);
            writeln!(cfg, "dataDir={}\nclientPort={}", data.display(), member.client.port())?;
            // Faults of a test are long on a busy machine: clients may ask for more than 20 ticks.
            cfg.push_str("clientPortAddress=127.0.0.1\nmaxClientCnxns=0\nmaxSessionTimeout=60000\n");
            cfg.push_str("4lw.commands.whitelist=*\n");
            match member.admin {
                Some(admin) => writeln!(cfg, "admin.serverPort={}", admin.port())?,
                None => cfg.push_str("admin.enableServer=false\n"),
            }
            let keeper = plan.keeper.then_some(plan.members + 1);
            let keeps_all = keeper == Some(member.id);
            for line in plan.lines.iter().filter(|line| !(keeps_all && line.starts_with(LOG_KEEP))) {
                writeln!(cfg, "{line}")?;
            }
            if keeps_all {
                writeln!(cfg, "{LOG_KEEP}=1000000000")?;
            }
            if plan.members > 1 {
                for (id, mut port, mut election) in peer_ports.iter().copied() {
                    if plan.wired && id != member.id {
                        for (line, port) in [(Line::Peer, &mut port), (Line::Election, &mut election)] {
                            let wire = Relay::to((Ipv4Addr::LOCALHOST, *port).into())?;
                            *port = wire.address().port();
                            wires.insert((member.id, id, line), wire);
                        }
                    }
                    let role = if keeper == Some(id) { ":observer" } else { "" };
                    writeln!(cfg, "server.{id}=127.0.0.1:{port}:{election}{role}")?;
                }
            }
            std::fs::write(member.directory.join("zoo.cfg"), cfg)?;
        }
        let (server, flags) = (plan.server, plan.flags.clone());
        let mut preload = Vec::new();
        if plan.faulty_disks {
            preload.push(preload::library(disk::SOURCE)?);
            let slow = Some(plan.slow_syncs).filter(|delay| !delay.is_zero());
            for member in &members {
                disk::say(
                    &member.directory.join("zoo.cfg"),
                    slow.map(|delay| (disk::Fault::SlowSync(delay), "/")),
                )?;
            }
        }
        if plan.shifting_clocks {
            preload.push(preload::library(clock::SOURCE)?);
            for member in &members {
                clock::shift(&clock::shift_of(&member.directory.join("zoo.cfg")), 0)?;
            }
        }
        Ok(Self {
            members,
            named: plan.members,
            server,
            flags,
            preload,
            wires,
            directory: Some(directory),
            _ports: ports,
            _turn: turn,
        })
    }

    /// The members' ids; not that of a [keeper](Plan::keeper).
    pub fn ids(&self) -> impl Iterator<Item = usize> + use<> {
        1..=self.named
    }

    /// The id of the member that keeps the whole log, if there is one.
    pub fn keeper(&self) -> Option<usize> {
        (self.members.len() > self.named).then_some(self.members.len())
    }

    /// Where a member's clients go.
    pub fn address(&self, id: usize) -> SocketAddr {
        self.members[id - 1].client
    }

    /// Where clients go, member by member.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.ids().map(|id| self.address(id)).collect()
    }

    /// The same as clients are told it.
    pub fn connect_string(&self) -> String {
        let addresses: Vec<String> = self.addresses().iter().map(ToString::to_string).collect();
        addresses.join(",")
    }

    /// The number of the member's process, if it runs.
    pub fn pid(&self, id: usize) -> Option<u32> {
        self.members[id - 1].child.as_ref().map(Child::id)
    }

    /// A member's folder: `zoo.cfg`, `log`, and `data` in it.
    pub fn directory(&self, id: usize) -> PathBuf {
        self.members[id - 1].directory.clone()
    }

    /// Lets the members' files be when the ensemble is dropped; where they are.
    pub fn keep(&mut self) -> PathBuf {
        let kept = self.directory.take().map(TempDir::keep);
        kept.or_else(|| Some(self.members.first()?.directory.parent()?.to_owned())).unwrap_or_default()
    }

    /// What a member has said so far.
    pub fn log(&self, id: usize) -> String {
        let path = self.members[id - 1].directory.join("log");
        std::fs::read(path)
            .map_or_else(|_| String::new(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Adds a line to a member's `zoo.cfg`, of which it hears when it is started again.
    ///
    /// # Panics
    /// If the file cannot be read or written.
    #[track_caller]
    pub fn configure(&self, id: usize, line: &str) {
        let path = self.members[id - 1].directory.join("zoo.cfg");
        let text = std::fs::read_to_string(&path).expect("a member has a zoo.cfg");
        std::fs::write(&path, format!("{}\n{line}\n", text.trim_end())).expect("it can be written");
    }

    /// Starts a member that does not run. Does not wait for it.
    ///
    /// # Panics
    /// If its process cannot be started.
    #[track_caller]
    pub fn start_member(&mut self, id: usize) {
        let member = &mut self.members[id - 1];
        assert!(member.child.is_none(), "member {id} runs already");
        let (zoo_cfg, log) = (member.directory.join("zoo.cfg"), member.directory.join("log"));
        let child = self.server.spawn(&zoo_cfg, &log, &self.flags, &self.preload);
        member.child = Some(child.unwrap_or_else(|error| panic!("start member {id}: {error:#}")));
    }

    /// Kills a member as a power cut does (-9), and waits until it is gone.
    ///
    /// # Panics
    /// If it does not run.
    #[track_caller]
    pub fn kill9(&mut self, id: usize) {
        let mut child =
            self.members[id - 1].child.take().unwrap_or_else(|| panic!("member {id} does not run"));
        self.members[id - 1].frozen = false;
        child.kill().and_then(|()| child.wait()).unwrap_or_else(|error| panic!("kill member {id}: {error}"));
    }

    /// Asks a member to end (SIGTERM), and waits until it has.
    ///
    /// # Panics
    /// If it does not run, or does not end.
    #[track_caller]
    pub fn stop(&mut self, id: usize) -> ExitStatus {
        self.signal(id, Signal::TERM);
        self.await_end(id)
    }

    /// Asks all members that run to end, all at once, and waits until they have.
    ///
    /// # Panics
    /// If one does not end.
    #[track_caller]
    pub fn stop_all(&mut self) -> Vec<(usize, ExitStatus)> {
        let running: Vec<usize> = self.ids().filter(|id| self.members[id - 1].child.is_some()).collect();
        for id in &running {
            self.signal(*id, Signal::TERM);
        }
        running.into_iter().map(|id| (id, self.await_end(id))).collect()
    }

    /// Waits until a member has ended.
    ///
    /// # Panics
    /// If it does not run, or does not end.
    #[track_caller]
    pub fn await_end(&mut self, id: usize) -> ExitStatus {
        let mut child =
            self.members[id - 1].child.take().unwrap_or_else(|| panic!("member {id} does not run"));
        wait::within(wait::PATIENCE, || child.try_wait().ok().flatten()).unwrap_or_else(|| {
            let _killed = child.kill().and_then(|()| child.wait());
            panic!("member {id} does not end:\n{}", self.tail(id));
        })
    }

    /// Freezes a member (SIGSTOP): its connections stay open and it says nothing.
    ///
    /// # Panics
    /// If it does not run.
    #[track_caller]
    pub fn pause(&mut self, id: usize) {
        self.signal(id, Signal::STOP);
        self.members[id - 1].frozen = true;
    }

    /// Lets a frozen member go on (SIGCONT).
    ///
    /// # Panics
    /// If it does not run.
    #[track_caller]
    pub fn resume(&mut self, id: usize) {
        self.signal(id, Signal::CONT);
        self.members[id - 1].frozen = false;
    }

    #[track_caller]
    fn signal(&self, id: usize, signal: Signal) {
        let child = self.members[id - 1].child.as_ref().unwrap_or_else(|| panic!("member {id} does not run"));
        kill_process(Pid::from_child(child), signal)
            .unwrap_or_else(|error| panic!("signal member {id}: {error}"));
    }

    /// The answer to a four-letter word.
    ///
    /// # Errors
    /// If the member does not answer.
    pub fn four_letter(&self, id: usize, word: &str) -> Result<String> {
        four_letter(self.address(id), word)
    }

    /// The member that says it leads, if there is exactly one that does.
    pub fn leader(&self) -> Option<usize> {
        let leads = |id: &usize| self.mode(*id).is_some_and(|mode| mode == "leader" || mode == "standalone");
        let leaders: Vec<usize> = self.ids().filter(leads).collect();
        match leaders[..] {
            [leader] => Some(leader),
            _ => None,
        }
    }

    /// Waits until exactly one member says that it leads.
    ///
    /// # Panics
    /// If that does not come to be.
    #[track_caller]
    pub fn wait_for_leader(&self) -> usize {
        wait::until("exactly one member said that it leads", || self.leader())
    }

    /// A running member that does not lead.
    ///
    /// # Panics
    /// If there is none.
    #[track_caller]
    pub fn follower(&self) -> usize {
        wait::until("some member said that it follows", || {
            self.ids().find(|id| self.mode(*id).as_deref() == Some("follower"))
        })
    }

    fn mode(&self, id: usize) -> Option<String> {
        if self.members[id - 1].child.is_none() || self.members[id - 1].frozen {
            return None;
        }
        let answer = self.four_letter(id, "srvr").ok()?;
        answer.lines().find_map(|line| line.strip_prefix("Mode: ")).map(str::to_owned)
    }

    /// Waits until there is one leader and every member that runs gives sessions.
    ///
    /// # Panics
    /// If that does not come to be, or a member ends.
    #[track_caller]
    pub fn wait_until_serving(&mut self) {
        let serving = wait::within(wait::PATIENCE, || {
            self.fail_if_one_ended();
            let running = self.members.iter().filter(|member| member.child.is_some() && !member.frozen);
            (self.leader().is_some() && running.clone().all(|member| gives_sessions(member.client)))
                .then_some(())
        });
        assert!(serving.is_some(), "the ensemble does not serve{}", self.story());
    }

    #[track_caller]
    fn fail_if_one_ended(&mut self) {
        let ended = self.members.iter_mut().find_map(|member| {
            let status = member.child.as_mut()?.try_wait().ok()??;
            Some((member.id, status))
        });
        if let Some((id, status)) = ended {
            self.members[id - 1].child = None;
            panic!("member {id} ended by itself ({status}):\n{}", self.tail(id));
        }
    }

    /// What every member says about itself, and the ends of their logs.
    fn story(&self) -> String {
        let mut story = String::new();
        for id in self.ids() {
            let mode = self.mode(id).unwrap_or_else(|| "no answer".into());
            let _written = write!(story, "\n--- member {id} ({mode}):\n{}", self.tail(id));
        }
        story
    }

    fn tail(&self, id: usize) -> String {
        let log = self.log(id);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

impl Drop for Ensemble {
    fn drop(&mut self) {
        let failed = std::thread::panicking();
        if failed {
            eprintln!("the members when the test failed:{}", self.story());
        }
        for child in self.members.iter_mut().filter_map(|member| member.child.as_mut()) {
            let _gone = child.kill().and_then(|()| child.wait());
        }
        if failed && let Some(directory) = self.directory.take() {
            eprintln!("their files are kept in {}", directory.keep().display());
        }
    }
}
