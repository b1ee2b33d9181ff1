//! Members in one process that form an ensemble, and clients that are nothing but proposals.
#![allow(dead_code, missing_docs, unreachable_pub, reason = "each test uses a part of it")]
#![allow(clippy::unwrap_used, reason = "it is called by tests only")]

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use consensus::{Config, Consensus, Observer, Proposal, Retention, Role, Timing};
use machine::{Applied, Home, Machine, Verdict};
use proto::{Attachment, MemberId, OpCode, Seq, SessionId, Text, Zxid};
use tempfile::TempDir;
use tokio::sync::mpsc;

/// How long anything may take. Beyond it a test fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The password of every session.
pub const PASSWORD: [u8; 16] = [7; 16];

/// Passes on what was applied.
pub struct Ear {
    heard: mpsc::UnboundedSender<Verdict>,
    /// How often the world was replaced as a whole.
    pub replaced: AtomicU64,
}

impl Observer for Ear {
    fn applied(&self, _machine: &Machine, applied: &Applied) {
        // A test may have stopped to listen.
        self.heard.send(applied.verdict.clone()).ok();
    }

    fn replaced(&self, _old: &Machine, _new: &Machine) {
        self.replaced.fetch_add(1, Ordering::SeqCst);
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
    pub retention: Retention,
    pub tick: Duration,
    pub members: BTreeMap<u64, Running>,
    connections: u64,
}

impl Ensemble {
    /// Members from 1 to `size`, none of which runs yet.
    pub fn new(size: u64) -> Self {
        // Held all at once, so that they differ.
        let ports: Vec<TcpListener> = (0..size).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let addresses = (1..=size)
            .zip(&ports)
            .map(|(member, port)| (MemberId::new(member), port.local_addr().unwrap().to_string()))
            .collect();
        Self {
            dir: tempfile::tempdir().unwrap(),
            addresses,
            retention: Retention::default(),
            tick: Duration::from_secs(2),
            members: BTreeMap::new(),
            connections: 0,
        }
    }

    pub async fn start(&mut self, member: u64) {
        let id = MemberId::new(member);
        let dir = self.dir.path().join(member.to_string());
        let config = Config {
            member: id,
            boot: 1,
            members: self.addresses.clone(),
            listen: (self.addresses.len() > 1).then(|| self.addresses[&id].clone()),
            data_dir: dir.clone(),
            log_dir: dir,
            // Slower than the default: the machine may be busy with other tests.
            timing: Timing {
                heartbeat: Duration::from_millis(100),
                election_min: Duration::from_millis(300),
                election_max: Duration::from_millis(600),
            },
            tick: self.tick,
            retention: self.retention,
            sync_delay: Duration::ZERO,
        };
        let (sender, heard) = mpsc::unbounded_channel();
        let ear = Arc::new(Ear { heard: sender, replaced: AtomicU64::new(0) });
        let consensus = Consensus::start(config, ear.clone()).await.unwrap();
        self.members.insert(member, Running { consensus, ear, heard });
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
        Home { member: MemberId::new(member), boot: 1, connection: self.connections }
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

    /// What the world of a member comes to.
    pub fn digest(&self, member: u64) -> (Zxid, u64) {
        self.members[&member].consensus.read(|machine| {
            machine.assert_invariants();
            (machine.last_zxid(), machine.digest())
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
    let text = |body: &mut Vec<u8>, text: &str| {
        body.extend_from_slice(&i32::try_from(text.len()).unwrap().to_be_bytes());
        body.extend_from_slice(text.as_bytes());
    };
    text(&mut body, path);
    text(&mut body, "some data");
    body.extend_from_slice(&1_i32.to_be_bytes());
    body.extend_from_slice(&31_i32.to_be_bytes());
    text(&mut body, "world");
    text(&mut body, "anyone");
    body.extend_from_slice(&0_i32.to_be_bytes());
    body.into()
}
