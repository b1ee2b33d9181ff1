//! A member that is attacked, and a session on it that has nothing to do with that.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use harness::ask::flags::PERSISTENT;
use harness::connection::{Greeting, Reply};
use harness::{Ask, Connection, Ensemble, Packet, Plan, Server, wait};
use proto::jute::frame;
use proto::jute::write::Writer;

/// By how much a member may be larger behind an attack than in front of it, in bytes: allocators keep what they had,
/// and apply keeps a history. What an attack is made of is several times this, wherever it is meant to fill memory.
pub(crate) const GROWTH_MAX: u64 = 192 << 20;

const TIMEOUT_MS: i32 = 60_000;
const DATA_CHANGED: i32 = 3;

/// A member, and its witness: a session that lives beside the attack, and listens to all that it makes itself.
pub(crate) struct Victim {
    pub(crate) ensemble: Ensemble,
    pid: u32,
    size: u64,
    witness: Connection,
    writes: u32,
}

impl Victim {
    /// One member that stands alone.
    #[track_caller]
    pub(crate) fn alone() -> Self {
        Self::of(&Plan::members(1))
    }

    /// The first member of an ensemble.
    #[track_caller]
    pub(crate) fn of(plan: &Plan) -> Self {
        let ensemble = Ensemble::start(plan);
        let pid = ensemble.pid(1).unwrap();
        let (mut witness, _) = Connection::open(ensemble.address(1), TIMEOUT_MS);
        assert_eq!(witness.call(&Ask::create("/witness", b"", PERSISTENT)).err, 0);
        assert_eq!(witness.call(&Ask::add_watch("/witness", 1)).err, 0);
        let mut victim = Self { ensemble, pid, size: 0, witness, writes: 0 };
        victim.stands("before anything");
        victim.size = victim.resident();
        victim
    }

    /// Where it listens to clients.
    pub(crate) fn address(&self) -> SocketAddr {
        self.ensemble.address(1)
    }

    /// A session of an attacker's.
    #[track_caller]
    pub(crate) fn attacker(&self) -> Connection {
        Connection::open(self.address(), TIMEOUT_MS).0
    }

    /// A connection of an attacker's, who says nothing yet.
    #[track_caller]
    pub(crate) fn stranger(&self) -> TcpStream {
        let stream = TcpStream::connect_timeout(&self.address(), Duration::from_secs(5)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(wait::PATIENCE)).unwrap();
        stream
    }

    /// Fails unless the member lives, nothing in it has panicked, and the witness is served and told its own event only.
    #[track_caller]
    pub(crate) fn stands(&mut self, behind: &str) {
        assert_eq!(self.ensemble.pid(1), Some(self.pid), "behind {behind}");
        assert!(
            fs::metadata(format!("/proc/{}", self.pid)).is_ok(),
            "behind {behind} the member is gone: {}",
            self.ensemble.log(1)
        );
        let log = self.ensemble.log(1);
        assert!(!log.contains("panicked at"), "behind {behind} something has panicked: {log}");
        self.writes += 1;
        let written = Ask::set_data("/witness", self.writes.to_string().as_bytes(), -1);
        self.witness
            .send(&written)
            .unwrap_or_else(|error| panic!("behind {behind} the witness has no connection: {error}"));
        match self.witness.receive() {
            Ok(Packet::Event { kind: DATA_CHANGED, path, .. }) if path == "/witness" => {}
            other => panic!("behind {behind} the witness should hear of its write, and there is {other:?}"),
        }
        assert_eq!(self.witness.reply().err, 0, "behind {behind}");
        let pong = self.witness.call(&Ask::ping());
        assert_eq!((pong.err, pong.body.len()), (0, 0), "behind {behind}");
    }

    /// The same, and the member has not grown by more than [`GROWTH_MAX`] since it was new.
    #[track_caller]
    pub(crate) fn stands_and_is_small(&mut self, behind: &str) {
        self.stands_and_has_grown_by_at_most(GROWTH_MAX, behind);
    }

    /// The same with another bound.
    #[track_caller]
    pub(crate) fn stands_and_has_grown_by_at_most(&mut self, bytes: u64, behind: &str) {
        self.stands(behind);
        // How much Java takes is decided by its collector.
        if is_apache() {
            return;
        }
        let size = self.size;
        let grown = wait::within(Duration::from_secs(10), || {
            (self.resident().saturating_sub(size) <= bytes).then_some(())
        });
        assert!(grown.is_some(), "behind {behind} the member has grown from {size} to {}", self.resident());
    }

    /// Bytes of memory that the member has.
    pub(crate) fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().unwrap_or_default();
        kilobytes << 10
    }
}

/// Whether this is a server that does as ZooKeeper does where we mean to do better.
pub(crate) fn is_apache() -> bool {
    Server::under_test().is_apache()
}

/// A request as a frame.
pub(crate) fn framed(xid: i32, ask: &Ask) -> BytesMut {
    let mut out = BytesMut::new();
    frame::put(&mut out, |out| {
        out.int(xid);
        out.int(ask.op);
        out.put_slice(&ask.body);
    });
    out
}

/// A greeting as a frame.
pub(crate) fn greeting(greeting: &Greeting) -> BytesMut {
    in_frame(&greeting_record(greeting))
}

/// A frame around a record.
pub(crate) fn in_frame(record: &[u8]) -> BytesMut {
    let mut out = BytesMut::new();
    frame::put(&mut out, |out| out.put_slice(record));
    out
}

/// A greeting without the frame around it.
pub(crate) fn greeting_record(greeting: &Greeting) -> BytesMut {
    let mut out = BytesMut::new();
    out.int(0);
    out.long(greeting.last_zxid);
    out.int(greeting.timeout_ms);
    out.long(greeting.session);
    out.buffer(Some(&greeting.password));
    if let Some(read_only) = greeting.read_only {
        out.boolean(read_only);
    }
    out
}

/// Reads until the member hangs up; returns what came.
#[track_caller]
pub(crate) fn read_to_end(stream: &mut TcpStream, of: &str) -> Vec<u8> {
    use std::io::{ErrorKind, Read};
    let mut all = Vec::new();
    match stream.read_to_end(&mut all) {
        Ok(_) => all,
        Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => all,
        Err(error) => panic!("the member should hang up on {of}: {error}"),
    }
}

/// The code of a reply, which has no body where it is a refusal.
#[track_caller]
pub(crate) fn refused(reply: &Reply) -> i32 {
    // ZooKeeper sends an end marker behind the refusal of a multi; clients pass over it.
    let is_bare = reply.body.is_empty() || is_apache();
    assert!(reply.err == 0 || is_bare, "a refusal has no body: {reply:?}");
    reply.err
}
