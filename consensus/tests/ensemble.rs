//! Members of one process that form an ensemble: what is acknowledged stays, whoever goes and comes back.
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use consensus::{Config, Consensus, Observer, Proposal, Retention, Role, Timing};
use machine::{Applied, Home, Machine, Verdict};
use proto::{Attachment, MemberId, OpCode, Seq, SessionId, Text, ZnodePath, Zxid};
use tempfile::TempDir;
use tokio::sync::mpsc;

const PATIENCE: Duration = Duration::from_secs(20);

/// Passes on what was applied.
struct Ear {
    heard: mpsc::UnboundedSender<Verdict>,
    replaced: AtomicU64,
}

impl Observer for Ear {
    fn applied(&self, _machine: &Machine, applied: &Applied) {
        // A test may have stopped to listen.
        self.heard.send(applied.verdict.clone()).ok();
    }

    fn replaced(&self, _machine: &Machine, _before: Zxid) {
        self.replaced.fetch_add(1, Ordering::SeqCst);
    }
}

struct Running {
    consensus: Consensus,
    ear: Arc<Ear>,
    heard: mpsc::UnboundedReceiver<Verdict>,
}

struct Ensemble {
    dir: TempDir,
    addresses: BTreeMap<MemberId, String>,
    retention: Retention,
    members: BTreeMap<u64, Running>,
    connections: u64,
}

impl Ensemble {
    fn new(size: u64) -> Self {
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
            members: BTreeMap::new(),
            connections: 0,
        }
    }

    async fn start(&mut self, member: u64) {
        let id = MemberId::new(member);
        let dir = self.dir.path().join(member.to_string());
        let config = Config {
            member: id,
            boot: rand(),
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
            tick: Duration::from_secs(2),
            retention: self.retention,
            sync_delay: Duration::ZERO,
        };
        let (sender, heard) = mpsc::unbounded_channel();
        let ear = Arc::new(Ear { heard: sender, replaced: AtomicU64::new(0) });
        let consensus = Consensus::start(config, ear.clone()).await.unwrap();
        self.members.insert(member, Running { consensus, ear, heard });
    }

    async fn start_all(&mut self) {
        for member in 1..=self.addresses.len() as u64 {
            self.start(member).await;
        }
        for running in self.members.values() {
            let mut status = running.consensus.status();
            let ready = status.wait_for(|status| status.recovered && status.leader.is_some());
            tokio::time::timeout(PATIENCE, ready).await.unwrap().unwrap();
        }
    }

    async fn stop(&mut self, member: u64) {
        self.members.remove(&member).unwrap().consensus.shutdown().await;
    }

    async fn stop_all(&mut self) {
        let members = std::mem::take(&mut self.members);
        for running in members.values() {
            running.consensus.shutdown().await;
        }
    }

    async fn leader(&self) -> u64 {
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

    /// Opens a session on a member.
    async fn client(&mut self, member: u64) -> Client {
        self.connections += 1;
        let home = Home { member: MemberId::new(member), boot: 1, connection: self.connections };
        let running = self.members.get_mut(&member).unwrap();
        running.consensus.propose(Proposal::Open {
            home,
            password: [7; 16],
            timeout_ms: 60_000,
            address: Text::from("127.0.0.1"),
        });
        let session = loop {
            match hear(&mut running.heard).await {
                Verdict::Opened { session, home: of, .. } if of == home => break session,
                _ => {}
            }
        };
        Client { member, session, seq: Seq::new(0) }
    }

    /// Creates a znode, and waits until it is acknowledged.
    async fn create(&mut self, client: &mut Client, path: &str) {
        client.seq = client.seq.next();
        let running = self.members.get_mut(&client.member).unwrap();
        running.consensus.propose(Proposal::Write {
            session: client.session,
            attachment: Attachment::new(1),
            seq: client.seq,
            identities: Vec::new(),
            op: OpCode::Create,
            body: create_body(path),
        });
        loop {
            match hear(&mut running.heard).await {
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

    fn digest(&self, member: u64) -> (Zxid, u64) {
        self.members[&member].consensus.read(|machine| {
            machine.assert_invariants();
            (machine.last_zxid(), machine.digest())
        })
    }

    /// Waits until all members that run have the same world.
    async fn agree(&self) -> (Zxid, u64) {
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

    fn znodes(&self, member: u64) -> usize {
        self.members[&member].consensus.read(|machine| machine.census().znodes)
    }
}

struct Client {
    member: u64,
    session: SessionId,
    seq: Seq,
}

async fn hear(heard: &mut mpsc::UnboundedReceiver<Verdict>) -> Verdict {
    tokio::time::timeout(PATIENCE, heard.recv()).await.expect("nothing was applied").unwrap()
}

/// What a client's `create` carries: path, data, one open ACL, persistent.
fn create_body(path: &str) -> Bytes {
    assert!(ZnodePath::parse(path).is_ok());
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

fn rand() -> u64 {
    std::time::UNIX_EPOCH.elapsed().map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(0))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_member_keeps_what_it_acknowledged() {
    let mut ensemble = Ensemble::new(1);
    ensemble.start_all().await;
    let mut client = ensemble.client(1).await;
    for number in 0..50 {
        ensemble.create(&mut client, &format!("/n{number}")).await;
    }
    ensemble.members[&1].consensus.barrier().await.unwrap();
    let before = ensemble.digest(1);
    ensemble.stop_all().await;

    ensemble.start_all().await;
    assert_eq!(ensemble.digest(1), before);
    ensemble.create(&mut client, "/after").await;
    ensemble.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_members_agree_through_the_loss_of_their_leader_and_a_restart_of_all() {
    let mut ensemble = Ensemble::new(3);
    ensemble.start_all().await;
    let leader = ensemble.leader().await;
    let follower = leader % 3 + 1;
    let mut client = ensemble.client(follower).await;
    for number in 0..50 {
        ensemble.create(&mut client, &format!("/n{number}")).await;
    }
    ensemble.agree().await;

    // The client's member lives on, and so does the client.
    ensemble.stop(leader).await;
    for number in 50..100 {
        ensemble.create(&mut client, &format!("/n{number}")).await;
    }
    assert_ne!(ensemble.leader().await, leader);
    ensemble.members[&follower].consensus.barrier().await.unwrap();

    // The old leader was away for a moment, and catches up by the log.
    ensemble.start(leader).await;
    let before = ensemble.agree().await;
    assert_eq!(ensemble.members[&leader].ear.replaced.load(Ordering::SeqCst), 0);

    ensemble.stop_all().await;
    ensemble.start_all().await;
    assert_eq!(ensemble.agree().await, before);
    for member in 1..=3 {
        assert!(ensemble.znodes(member) >= 100);
    }
    ensemble.create(&mut client, "/after").await;
    ensemble.agree().await;
    ensemble.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_was_away_for_long_is_sent_the_state() {
    let mut ensemble = Ensemble::new(3);
    ensemble.retention = Retention { snapshot_every: 20, keep: 5, lag_max: 40 };
    ensemble.start_all().await;
    let leader = ensemble.leader().await;
    let away = leader % 3 + 1;
    let mut client = ensemble.client(leader).await;
    ensemble.create(&mut client, "/seen-by-all").await;
    ensemble.agree().await;
    ensemble.stop(away).await;
    for number in 0..200 {
        ensemble.create(&mut client, &format!("/n{number}")).await;
    }
    ensemble.start(away).await;
    ensemble.agree().await;
    assert!(ensemble.members[&away].ear.replaced.load(Ordering::SeqCst) > 0, "it came by the log");

    // What was received is what the next start begins with.
    ensemble.create(&mut client, "/behind-the-snapshot").await;
    let before = ensemble.agree().await;
    ensemble.stop(away).await;
    ensemble.start(away).await;
    assert_eq!(ensemble.agree().await, before);
    ensemble.stop_all().await;
    ensemble.start_all().await;
    assert_eq!(ensemble.agree().await, before);
    ensemble.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_without_a_quorum_says_that_it_is_none() {
    let mut ensemble = Ensemble::new(3);
    ensemble.start_all().await;
    let leader = ensemble.leader().await;
    let mut status = ensemble.members[&leader].consensus.status();
    assert_eq!(status.borrow().members.len(), 3);
    for member in (1..=3).filter(|member| *member != leader) {
        ensemble.stop(member).await;
    }
    let alone = status.wait_for(|status| status.role == Role::Looking && status.leader.is_none());
    tokio::time::timeout(PATIENCE, alone).await.unwrap().unwrap();
    assert!(ensemble.members[&leader].consensus.barrier().await.is_err());
    ensemble.stop_all().await;
    assert!(status.borrow().stopped);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_lost_its_disk_is_sent_everything() {
    let mut ensemble = Ensemble::new(3);
    ensemble.start_all().await;
    let leader = ensemble.leader().await;
    let lost = leader % 3 + 1;
    let mut client = ensemble.client(leader).await;
    for number in 0..20 {
        ensemble.create(&mut client, &format!("/n{number}")).await;
    }
    ensemble.agree().await;
    ensemble.stop(lost).await;
    std::fs::remove_dir_all(ensemble.dir.path().join(lost.to_string())).unwrap();
    ensemble.create(&mut client, "/meanwhile").await;
    ensemble.start(lost).await;
    ensemble.agree().await;
    assert_eq!(ensemble.leader().await, leader, "the leader was unseated");
    ensemble.create(&mut client, "/after").await;
    let before = ensemble.agree().await;
    assert!(!ensemble.members[&leader].consensus.status().borrow().stopped);

    ensemble.stop_all().await;
    ensemble.start_all().await;
    assert_eq!(ensemble.agree().await, before);
    ensemble.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_lost_its_disk_does_not_help_to_elect_one_that_lacks_what_was_acknowledged() {
    let mut ensemble = Ensemble::new(3);
    ensemble.start_all().await;
    let leader = ensemble.leader().await;
    let (behind, forgetful) = (leader % 3 + 1, (leader + 1) % 3 + 1);
    let mut client = ensemble.client(leader).await;
    ensemble.create(&mut client, "/seen-by-all").await;
    ensemble.agree().await;
    ensemble.stop(behind).await;
    ensemble.create(&mut client, "/acknowledged").await;
    ensemble.stop_all().await;
    std::fs::remove_dir_all(ensemble.dir.path().join(forgetful.to_string())).unwrap();

    // These two are a majority, and neither has what was acknowledged.
    ensemble.start(behind).await;
    ensemble.start(forgetful).await;
    let mut status = ensemble.members[&behind].consensus.status();
    let elected = status.wait_for(|status| status.leader.is_some());
    assert!(tokio::time::timeout(Duration::from_secs(3), elected).await.is_err(), "one was elected");

    ensemble.start(leader).await;
    ensemble.agree().await;
    let seen = ensemble.members[&forgetful].consensus.read(|machine| {
        machine.records().any(|record| format!("{:?}", record.key()).contains("/acknowledged"))
    });
    assert!(seen);
    ensemble.stop_all().await;
}
