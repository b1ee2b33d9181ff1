//! Real server processes on loopback, which a test may kill, freeze and start again.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::connection::{Connection, Greeting};
use crate::ports::Block;
use crate::relay::Relay;
use crate::turn::Turn;
use crate::{Ask, Server, scratch, wait};

/// What an ensemble shall be.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How many members; one means a standalone server.
    pub members: usize,
    /// `tickTime` in milliseconds.
    pub tick_ms: u64,
    /// Further lines for every member's `zoo.cfg`.
    pub lines: Vec<String>,
    /// What it consists of.
    pub server: Server,
    /// Whether the members speak to each other through wires that a test may cut.
    pub wired: bool,
}

impl Plan {
    /// This many members of the server under test.
    pub fn members(members: usize) -> Self {
        Self { members, tick_ms: 500, lines: Vec::new(), server: Server::under_test(), wired: false }
    }

    /// The same, with members that can be [cut off](Ensemble::cut_off) from each other.
    #[must_use]
    pub fn wired(mut self) -> Self {
        self.wired = true;
        self
    }

    /// The same with one more line in `zoo.cfg`.
    #[must_use]
    pub fn line(mut self, line: &str) -> Self {
        self.lines.push(line.to_owned());
        self
    }
}

/// The members, until dropped. Members are named by their id, from 1 on.
#[derive(Debug)]
pub struct Ensemble {
    members: Vec<Member>,
    server: Server,
    /// From whom to whom.
    wires: BTreeMap<(usize, usize), Relay>,
    // Dropped in this order, after the members: first the files, then the ports, then the turn.
    directory: Option<TempDir>,
    _ports: Block,
    _turn: Turn,
}

#[derive(Debug)]
struct Member {
    id: usize,
    client: SocketAddr,
    directory: PathBuf,
    child: Option<Child>,
    frozen: bool,
}

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
        for id in 1..=plan.members {
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
        let turn = Turn::wait();
        Self::lay_out(plan, turn).unwrap_or_else(|error| panic!("prepare an ensemble: {error:#}"))
    }

    fn lay_out(plan: &Plan, turn: Turn) -> Result<Self> {
        let mut ports = Block::claim()?;
        let directory = tempfile::Builder::new().prefix("ensemble-").tempdir_in(scratch())?;
        let (mut members, mut peer_ports) = (Vec::new(), Vec::new());
        for id in 1..=plan.members {
            let client = SocketAddr::from((Ipv4Addr::LOCALHOST, ports.take()?));
            peer_ports.push((id, ports.take()?, ports.take()?));
            let directory = directory.path().join(id.to_string());
            members.push(Member { id, client, directory, child: None, frozen: false });
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
            cfg.push_str("4lw.commands.whitelist=*\nadmin.enableServer=false\n");
            for line in &plan.lines {
                writeln!(cfg, "{line}")?;
            }
            if plan.members > 1 {
                for (id, mut port, election) in peer_ports.iter().copied() {
                    if plan.wired && id != member.id {
                        let wire = Relay::to((Ipv4Addr::LOCALHOST, port).into())?;
                        port = wire.address().port();
                        wires.insert((member.id, id), wire);
                    }
                    writeln!(cfg, "server.{id}=127.0.0.1:{port}:{election}")?;
                }
            }
            std::fs::write(member.directory.join("zoo.cfg"), cfg)?;
        }
        let server = plan.server;
        Ok(Self { members, server, wires, directory: Some(directory), _ports: ports, _turn: turn })
    }

    /// The members' ids.
    pub fn ids(&self) -> impl Iterator<Item = usize> + use<> {
        1..=self.members.len()
    }

    /// Where a member's clients go.
    pub fn address(&self, id: usize) -> SocketAddr {
        self.members[id - 1].client
    }

    /// Where clients go, member by member.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.members.iter().map(|member| member.client).collect()
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

    /// What a member has said so far.
    pub fn log(&self, id: usize) -> String {
        let path = self.members[id - 1].directory.join("log");
        std::fs::read(path)
            .map_or_else(|_| String::new(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Starts a member that does not run. Does not wait for it.
    ///
    /// # Panics
    /// If its process cannot be started.
    #[track_caller]
    pub fn start_member(&mut self, id: usize) {
        let server = self.server;
        let member = &mut self.members[id - 1];
        assert!(member.child.is_none(), "member {id} runs already");
        let child = server.spawn(&member.directory.join("zoo.cfg"), &member.directory.join("log"));
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

    #[track_caller]
    fn await_end(&mut self, id: usize) -> ExitStatus {
        let mut child =
            self.members[id - 1].child.take().unwrap_or_else(|| panic!("member {id} does not run"));
        wait::within(wait::PATIENCE, || child.try_wait().ok().flatten()).unwrap_or_else(|| {
            let _killed = child.kill().and_then(|()| child.wait());
            panic!("member {id} does not end on SIGTERM:\n{}", self.tail(id));
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

    /// Cuts a member off from the others; its clients still reach it. The ensemble must be [`Plan::wired`].
    ///
    /// # Panics
    /// This and [`Self::rejoin`] panic if it is not.
    #[track_caller]
    pub fn cut_off(&self, id: usize) {
        self.wires_of(id).for_each(Relay::cut);
    }

    /// Breaks a member's connections with the others, and lets nobody make new ones. Other than when it is
    /// [cut off](Self::cut_off), what is under way is lost, and all hear of it.
    ///
    /// # Panics
    /// If the ensemble is not wired.
    #[track_caller]
    pub fn disconnect(&self, id: usize) {
        self.wires_of(id).for_each(Relay::tear);
    }

    /// Lets a member that was cut off or disconnected speak to the others again.
    #[track_caller]
    pub fn rejoin(&self, id: usize) {
        self.wires_of(id).for_each(Relay::mend);
    }

    #[track_caller]
    fn wires_of(&self, id: usize) -> impl Iterator<Item = &Relay> {
        assert!(!self.wires.is_empty(), "the members of this ensemble cannot be cut off");
        self.wires.iter().filter(move |((from, to), _)| *from == id || *to == id).map(|(_, wire)| wire)
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
    /// If the member does not answer within two seconds.
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

/// Whether whoever listens at `address` gives a new client a session.
pub fn gives_sessions(address: SocketAddr) -> bool {
    let Ok(mut connection) = Connection::dial(address) else { return false };
    let welcome = connection.greet_within(&Greeting::new(5_000), Duration::from_secs(5));
    if !welcome.is_ok_and(|welcome| welcome.session != 0) {
        return false;
    }
    connection.send(&Ask::close_session()).is_ok()
        && connection.receive_within(Duration::from_secs(5)).is_ok()
}

/// The answer of whoever listens at `address` to a four-letter word.
///
/// # Errors
/// If there is none within two seconds.
pub fn four_letter(address: SocketAddr, word: &str) -> Result<String> {
    let patience = Duration::from_secs(2);
    let mut stream = TcpStream::connect_timeout(&address, patience).context("connect")?;
    stream.set_read_timeout(Some(patience))?;
    stream.write_all(word.as_bytes()).context("send the word")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).context("read the answer")?;
    if answer.is_empty() {
        bail!("hung up without an answer");
    }
    Ok(answer)
}
