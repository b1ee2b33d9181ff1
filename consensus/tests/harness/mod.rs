//! Members in one process that form an ensemble, and clients that are nothing but proposals.
#![allow(dead_code, missing_docs, unreachable_pub, reason = "each test uses a part of it")]
#![allow(clippy::unwrap_used, reason = "it is called by tests only")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use consensus::{
    Amount, Config, Consensus, Description, Observer, Proposal, Reaping, Retention, Role, Status, Timing,
};
use machine::{Applied, Home, Machine, Record, Rules, Verdict};
use proto::{Attachment, Code, Id, MemberId, OpCode, Reply, Seq, SessionId, Text, Zxid};
use tempfile::TempDir;
use tokio::sync::mpsc;

/// How long anything may take. Beyond it a test fails: generous, because a test machine may be busy with others.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// When members stand for election, unless a test says otherwise. Slower than the default: the machine may be busy.
pub const BRISK: Timing = Timing {
    heartbeat: Duration::from_millis(100),
    election_min: Duration::from_millis(300),
    election_max: Duration::from_millis(600),
};

/// For members of whom a test says that they stand for no election by themselves. Any member may that has heard nothing for
/// its time, also where the machine did nothing else for as long; so that time is longer than machines stand still.
pub const STEADY: Timing = Timing {
    heartbeat: Duration::from_millis(100),
    election_min: Duration::from_secs(4),
    election_max: Duration::from_secs(5),
};

/// The password of every session.
pub const PASSWORD: [u8; 16] = [7; 16];

/// Passes on what was applied.
pub struct Ear {
    heard: mpsc::UnboundedSender<Verdict>,
    /// How often the world was replaced as a whole.
    pub replaced: AtomicU64,
    /// For how long a member stands still when it has applied something, before it does anything else.
    pause: Duration,
}

impl Observer for Ear {
    fn applied(&self, _machine: &Machine, applied: &Applied) {
        // A test may have stopped to listen.
        self.heard.send(applied.verdict.clone()).ok();
    }

    fn replaced(&self, _old: &Machine, _new: &Machine) {
        self.replaced.fetch_add(1, Ordering::SeqCst);
    }

    fn measured(&self, amount: Amount) {
        if matches!(amount, Amount::Propagated(_)) && !self.pause.is_zero() {
            tokio::task::block_in_place(|| std::thread::sleep(self.pause));
        }
    }
}

/// A member that runs.
pub struct Running {
    pub consensus: Consensus,
    pub ear: Arc<Ear>,
    pub heard: mpsc::UnboundedReceiver<Verdict>,
}

impl Running {
    /// The next verdict.
    pub async fn hear(&mut self) -> Verdict {
        tokio::time::timeout(PATIENCE, self.heard.recv()).await.expect("nothing was applied").unwrap()
    }
}

/// The members, running or not.
pub struct Ensemble {
    dir: TempDir,
    addresses: BTreeMap<MemberId, String>,
    /// Those of them that do not vote.
    pub observers: BTreeSet<u64>,
    /// Those of them that are in nobody's file but their own.
    pub strangers: BTreeSet<u64>,
    pub retention: Retention,
    pub tick: Duration,
    pub timing: Timing,
    pub rules: Rules,
    pub reaping: Reaping,
    /// For how long a member stands still when it has applied something, before it does anything else.
    pub pause: Duration,
    /// Of all members: also what the ensemble will be called.
    pub boot: u64,
    pub members: BTreeMap<u64, Running>,
    connections: u64,
}

/// A port that nobody listens at, and no other test takes, in this process or another. It lies below the range from which
/// the kernel takes ports for outgoing connections: one of those must not keep a member from starting again.
fn port() -> u16 {
    const FIRST: u16 = 9_000;
    const PORTS_IN_BLOCK: u16 = 200;
    const BLOCKS: u16 = 15;
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    // Ours as long as this process lives: others find the file locked. A member that is down has its port still.
    static BLOCK: LazyLock<(u16, File)> = LazyLock::new(|| {
        let directory = std::env::temp_dir().join("corral-consensus-test-ports");
        std::fs::create_dir_all(&directory).unwrap();
        let claim = |block: u16| {
            let file =
                OpenOptions::new().create(true).append(true).open(directory.join(block.to_string())).ok()?;
            file.try_lock().ok().map(|()| (FIRST + block * PORTS_IN_BLOCK, file))
        };
        (0..BLOCKS).find_map(claim).expect("a block of ports that no other process has")
    });
    let ports = std::iter::repeat_with(|| TAKEN.fetch_add(1, Ordering::Relaxed));
    ports
        .take_while(|taken| *taken < PORTS_IN_BLOCK)
        .map(|taken| BLOCK.0 + taken)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a port of the block that is free")
}

impl Ensemble {
    /// Members from 1 to `size`, none of which runs yet.
    pub fn new(size: u64) -> Self {
        let addresses =
            (1..=size).map(|member| (MemberId::new(member), format!("127.0.0.1:{}", port()))).collect();
        Self {
            dir: tempfile::tempdir().unwrap(),
            addresses,
            observers: BTreeSet::new(),
            strangers: BTreeSet::new(),
            retention: Retention::default(),
            tick: Duration::from_secs(2),
            timing: BRISK,
            rules: Rules::default(),
            reaping: Reaping::default(),
            pause: Duration::ZERO,
            boot: 1,
            members: BTreeMap::new(),
            connections: 0,
        }
    }

    /// Has members that are started from now on believe that one of the others is where a member of another ensemble is.
    pub fn misdirect(&mut self, member: u64, elsewhere: &Self) {
        let id = MemberId::new(member);
        self.addresses.insert(id, elsewhere.addresses[&id].clone());
    }

    /// Where a member keeps everything.
    pub fn directory(&self, member: u64) -> std::path::PathBuf {
        self.dir.path().join(member.to_string())
    }

    pub async fn start(&mut self, member: u64) {
        self.try_start(member).await.unwrap();
    }

    pub async fn try_start(&mut self, member: u64) -> Result<(), consensus::Fault> {
        let config = self.config(member);
        let (sender, heard) = mpsc::unbounded_channel();
        let ear = Arc::new(Ear { heard: sender, replaced: AtomicU64::new(0), pause: self.pause });
        let consensus = Consensus::start(config, ear.clone()).await?;
        self.members.insert(member, Running { consensus, ear, heard });
        Ok(())
    }

    /// What a member is started with.
    pub fn config(&self, member: u64) -> Config {
        let id = MemberId::new(member);
        let dir = self.directory(member);
        let mut known = self.addresses.clone();
        known.retain(|other, _| *other == id || !self.strangers.contains(&other.get()));
        let (observers, members) = known.into_iter().partition(|(id, _)| self.observers.contains(&id.get()));
        let lines = self.addresses.keys().filter(|other| !self.strangers.contains(&other.get()));
        let lines = lines.map(|other| self.line(other.get())).collect();
        Config {
            member: id,
            boot: self.boot,
            members,
            observers,
            listen: (self.addresses.len() > 1).then(|| self.addresses[&id].clone()),
            data_dir: dir.clone(),
            log_dir: dir,
            timing: self.timing,
            tick: self.tick,
            retention: self.retention,
            ensemble: (self.addresses.len() > 1).then_some(Description { lines, is_certain: true }),
            sync_delay: Duration::ZERO,
            rules: self.rules,
            reaping: self.reaping,
            world_bytes_max: None,
        }
    }

    /// One more member, which is in nobody's file but its own.
    pub fn add(&mut self) -> u64 {
        let member = self.addresses.len() as u64 + 1;
        self.addresses.insert(MemberId::new(member), format!("127.0.0.1:{}", port()));
        self.strangers.insert(member);
        member
    }

    /// A member is to be found somewhere else, when it is started the next time.
    pub fn move_away(&mut self, member: u64) {
        self.addresses.insert(MemberId::new(member), format!("127.0.0.1:{}", port()));
    }

    /// A member's line, as files and clients have it.
    pub fn line(&self, member: u64) -> String {
        let role = if self.observers.contains(&member) { "observer" } else { "participant" };
        self.line_as(member, role)
    }

    /// The same, with another role.
    pub fn line_as(&self, member: u64, role: &str) -> String {
        let address = &self.addresses[&MemberId::new(member)];
        // Nobody listens at the port for elections, nor at that for clients.
        format!("server.{member}={address}:{member}:{role};127.0.0.1:{}", 100 + member)
    }

    pub async fn start_all(&mut self) {
        for member in 1..=self.addresses.len() as u64 {
            self.start(member).await;
        }
        for running in self.members.values() {
            let mut status = running.consensus.status();
            let ready = status.wait_for(|status| status.recovered && status.leader.is_some());
            tokio::time::timeout(PATIENCE, ready).await.unwrap().unwrap();
        }
    }

    pub async fn stop(&mut self, member: u64) {
        self.members.remove(&member).unwrap().consensus.shutdown().await;
    }

    pub async fn stop_all(&mut self) {
        let members = std::mem::take(&mut self.members);
        for running in members.values() {
            running.consensus.shutdown().await;
        }
    }

    /// Takes everything from a member that does not run.
    pub fn lose_disk(&self, member: u64) {
        std::fs::remove_dir_all(self.dir.path().join(member.to_string())).unwrap();
    }

    /// A running member.
    pub fn member(&mut self, member: u64) -> &mut Running {
        self.members.get_mut(&member).unwrap()
    }

    /// Who leads, as soon as somebody does.
    pub async fn leader(&self) -> u64 {
        let start = Instant::now();
        loop {
            for (member, running) in &self.members {
                if running.consensus.status().borrow().role == Role::Leader {
                    return *member;
                }
            }
            assert!(start.elapsed() < PATIENCE, "nobody leads");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until one of the members leads and has this status. Who it is may change meanwhile.
    pub async fn led(&self, what: &str, is: impl Fn(&Status) -> bool) {
        let start = Instant::now();
        let leads = |running: &Running| {
            let status = running.consensus.status();
            let status = status.borrow();
            status.role == Role::Leader && is(&status)
        };
        while !self.members.values().any(leads) {
            assert!(start.elapsed() < PATIENCE, "no leader is {what}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// A running member that does not lead.
    pub async fn follower(&self) -> u64 {
        let leader = self.leader().await;
        *self.members.keys().find(|member| **member != leader).unwrap()
    }

    /// Opens a session on a member.
    pub async fn client(&mut self, member: u64) -> Client {
        self.client_with_timeout(member, 60_000).await
    }

    /// Opens a session on a member.
    pub async fn client_with_timeout(&mut self, member: u64, timeout_ms: u32) -> Client {
        let home = self.connection(member);
        let address = Text::from("127.0.0.1");
        let running = self.member(member);
        running.consensus.propose(Proposal::Open { home, password: PASSWORD, timeout_ms, address });
        loop {
            match running.hear().await {
                Verdict::Opened { session, home: of, .. } if of == home => {
                    return Client { member, session, attachment: Attachment::new(1), seq: Seq::new(0) };
                }
                _ => {}
            }
        }
    }

    /// Attaches a session to a member.
    pub async fn attach(&mut self, client: &mut Client, member: u64) {
        let home = self.connection(member);
        let running = self.member(member);
        running.consensus.propose(Proposal::Attach {
            home,
            session: client.session,
            password: Bytes::from_static(&PASSWORD),
            timeout_ms: 60_000,
            seen: Zxid::ZERO,
            address: Text::from("127.0.0.1"),
        });
        loop {
            match running.hear().await {
                Verdict::Attached { attachment, home: of, .. } if of == home => {
                    *client = Client { member, session: client.session, attachment, seq: Seq::new(0) };
                    return;
                }
                Verdict::NotAttached { home: of, .. } if of == home => panic!("the session has ended"),
                _ => {}
            }
        }
    }

    fn connection(&mut self, member: u64) -> Home {
        self.connections += 1;
        Home { member: MemberId::new(member), boot: self.boot, connection: self.connections }
    }

    /// Proposes to create a znode, and does not wait.
    pub fn propose_create(&mut self, client: &mut Client, path: &str) {
        client.seq = client.seq.next();
        self.member(client.member).consensus.propose(Proposal::Write {
            session: client.session,
            attachment: client.attachment,
            seq: client.seq,
            identities: Vec::new(),
            op: OpCode::Create,
            body: create_body(path),
        });
    }

    /// Creates a znode, and waits until it is acknowledged.
    pub async fn create(&mut self, client: &mut Client, path: &str) {
        self.propose_create(client, path);
        loop {
            match self.member(client.member).hear().await {
                Verdict::Answered { session, seq, result, .. }
                    if (session, seq) == (client.session, client.seq) =>
                {
                    result.unwrap();
                    return;
                }
                _ => {}
            }
        }
    }

    /// Asks for other members, and waits for the answer: their text, without its version.
    pub async fn reconfigure(
        &mut self,
        client: &mut Client,
        joining: Option<&str>,
        leaving: Option<&str>,
    ) -> Result<String, Code> {
        client.seq = client.seq.next();
        let mut body = Vec::new();
        for list in [joining, leaving, None] {
            match list {
                Some(list) => text(&mut body, list),
                None => body.extend_from_slice(&(-1_i32).to_be_bytes()),
            }
        }
        body.extend_from_slice(&(-1_i64).to_be_bytes());
        let running = self.member(client.member);
        running.consensus.propose(Proposal::Write {
            session: client.session,
            attachment: client.attachment,
            seq: client.seq,
            identities: vec![Id::new("super", "")],
            op: OpCode::Reconfig,
            body: body.into(),
        });
        loop {
            match self.member(client.member).hear().await {
                Verdict::Answered { session, seq, result, .. }
                    if (session, seq) == (client.session, client.seq) =>
                {
                    return result.map(|reply| match reply {
                        Reply::Data(Some(data), _) => {
                            let text = String::from_utf8(data.to_vec()).unwrap();
                            text.rsplit_once('\n').unwrap().0.to_owned()
                        }
                        reply => panic!("not a text: {reply:?}"),
                    });
                }
                _ => {}
            }
        }
    }

    /// What the world of a member comes to.
    pub fn digest(&self, member: u64) -> (Zxid, u64) {
        self.members[&member].consensus.read(|machine| {
            machine.assert_invariants();
            (machine.last_zxid(), machine.digest())
        })
    }

    /// All that a member's world holds besides its time, and that. The time goes on with whatever is applied, also with what comes
    /// to nothing and takes no zxid: what was proposed a second time because its leader was gone, or the name and the members
    /// where the first that said them was slow.
    pub fn world(&self, member: u64) -> World {
        self.members[&member].consensus.read(|machine| {
            let mut world = World { records: BTreeSet::new(), now: 0 };
            for mut record in machine.records() {
                if let Record::World(of_all) = &mut record {
                    world.now = std::mem::take(&mut of_all.now);
                }
                world.records.insert(format!("{record:?}"));
            }
            world
        })
    }

    /// Waits until all members that run have the same world.
    pub async fn agree(&self) -> (Zxid, u64) {
        let start = Instant::now();
        loop {
            let digests: Vec<_> = self.members.keys().map(|member| self.digest(*member)).collect();
            if digests.iter().all(|digest| *digest == digests[0]) {
                return digests[0];
            }
            assert!(start.elapsed() < PATIENCE, "the worlds differ: {digests:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// How many znodes a member has.
    pub fn znodes(&self, member: u64) -> usize {
        self.members[&member].consensus.read(|machine| machine.census().znodes)
    }
}

/// What a world is made of.
pub struct World {
    records: BTreeSet<String>,
    now: i64,
}

impl World {
    /// It has become this one, and nothing but time has passed.
    #[track_caller]
    pub fn assert_lasts_in(&self, later: &Self) {
        let lost: Vec<_> = self.records.difference(&later.records).collect();
        let new: Vec<_> = later.records.difference(&self.records).collect();
        assert!(lost.is_empty() && new.is_empty(), "it has lost {lost:#?}, and got {new:#?}");
        assert!(self.now <= later.now, "its time was {}, and is {}", self.now, later.now);
    }
}

/// A session, as its client knows it.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    pub member: u64,
    pub session: SessionId,
    pub attachment: Attachment,
    /// Of its last write.
    pub seq: Seq,
}

/// What a client's `create` carries: path, data, one open ACL, persistent.
fn create_body(path: &str) -> Bytes {
    let mut body = Vec::new();
    text(&mut body, path);
    text(&mut body, "some data");
    body.extend_from_slice(&1_i32.to_be_bytes());
    body.extend_from_slice(&31_i32.to_be_bytes());
    text(&mut body, "world");
    text(&mut body, "anyone");
    body.extend_from_slice(&0_i32.to_be_bytes());
    body.into()
}

fn text(body: &mut Vec<u8>, text: &str) {
    body.extend_from_slice(&i32::try_from(text.len()).unwrap().to_be_bytes());
    body.extend_from_slice(text.as_bytes());
}
