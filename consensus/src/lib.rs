//! One log and one world out of several members.
//!
//! The rest of the server sees [`Consensus`]: it proposes, reads, asks for a barrier, and is told through an
//! [`Observer`] what was applied. Nobody outside knows openraft, RocksDB or tonic.
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use machine::{Applied, Home, Machine};
use proto::{Attachment, Id, MemberId, OpCode, Seq, SessionId, Text, Zxid};
use tokio::sync::watch;

/// Who this member is, who the others are, and where everything lies.
#[derive(Clone, Debug)]
pub struct Config {
    /// This member.
    pub member: MemberId,
    /// Drawn at random when the process starts; names this life of the member.
    pub boot: u64,
    /// All members that vote, this one among them, with the `host:port` of their peer traffic. A single member
    /// needs no address and listens to no peer.
    pub members: BTreeMap<MemberId, String>,
    /// Where peers are listened to, as `host:port`.
    pub listen: Option<String>,
    /// Where the state is kept.
    pub data_dir: PathBuf,
    /// Where the log is kept.
    pub log_dir: PathBuf,
    /// The rhythm of elections.
    pub timing: Timing,
    /// How often members tell the leader which sessions they have heard of, and it looks for those that are overdue.
    pub tick: Duration,
}

/// The rhythm of elections.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How often a leader is heard of when it has nothing to say.
    pub heartbeat: Duration,
    /// After how long a silence a member asks to be elected, at least.
    pub election_min: Duration,
    /// … and at most.
    pub election_max: Duration,
}

/// Why this member must stop: something is wrong here, not with a request.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Disk, network or configuration.
    #[error("{0}")]
    Other(String),
}

/// No leader answered in time; nothing is known of whether it will.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no leader can be reached")]
pub struct Unavailable;

/// What this member is in the ensemble.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// It orders the log.
    Leader,
    /// It follows a leader.
    Follower,
    /// It follows a leader, and has no vote.
    Observer,
    /// It knows no leader.
    #[default]
    Looking,
}

/// What this member knows of the ensemble.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// What it is.
    pub role: Role,
    /// Who leads, if anybody does.
    pub leader: Option<MemberId>,
    /// The Raft term.
    pub term: u64,
    /// Whether it has applied all that it had acknowledged before it was last started: it must not serve before.
    pub recovered: bool,
    /// Members with their peer addresses; `true` for those that vote.
    pub members: BTreeMap<MemberId, (String, bool)>,
    /// On the leader: how many of the others are in step.
    pub followers_in_step: usize,
    /// Whether a fault has stopped this member's part in the ensemble.
    pub stopped: bool,
}

/// The one arrow that points up: who is told what was applied, while the world is locked for writing.
pub trait Observer: Send + Sync + 'static {
    /// A command was applied. `machine` is the world right behind it.
    fn applied(&self, machine: &Machine, applied: &Applied);

    /// The whole world was replaced by a snapshot; what led there was not told one by one.
    fn replaced(&self, machine: &Machine, before: Zxid);
}

/// What a member asks the log for, on behalf of one of its clients. It becomes a `machine::Act`; the body of a write
/// is the client's own bytes, carried unchanged and parsed where it is applied.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the fields are those of `machine::Act`")]
pub enum Proposal {
    Open { home: Home, password: [u8; 16], timeout_ms: u32, address: Text },
    Attach { home: Home, session: SessionId, password: Bytes, timeout_ms: u32, address: Text },
    Write { session: SessionId, attachment: Attachment, seq: Seq, identities: Vec<Id>, op: OpCode, body: Bytes },
}

/// This member's part in the ensemble.
#[derive(Clone)]
pub struct Consensus {
    _private: Arc<()>,
}

#[expect(clippy::unimplemented, reason = "signatures first, so that the crates above can be written against them")]
#[expect(clippy::unused_async, reason = "signatures first")]
impl Consensus {
    /// Opens what is on disk, joins the peers, and starts to vote. Returns before the world has caught up:
    /// [`Status::recovered`] says when it has.
    ///
    /// # Errors
    /// A [`Fault`] if what is on disk cannot be trusted, or an address not be listened to.
    pub async fn start(_config: Config, _observer: Arc<dyn Observer>) -> Result<Self, Fault> {
        unimplemented!()
    }

    /// Puts an act of one of this member's clients on its way into the log. Acts of one session enter the log in the
    /// order in which they are proposed. What is proposed is sent again, until it is seen applied, through changes
    /// of leader; the observer is told. Never waits: what a client may have under way is bounded by its lane.
    pub fn propose(&self, _proposal: Proposal) {
        unimplemented!()
    }

    /// Looks at the world. Whatever `look` queues for clients stands behind everything applied so far, and in front
    /// of everything applied later. It must be short: it keeps the writer out.
    pub fn read<T>(&self, _look: impl FnOnce(&Machine) -> T) -> T {
        unimplemented!()
    }

    /// Waits until this member has applied everything that was committed anywhere when this was called: a quorum is
    /// asked whether the leader still leads.
    ///
    /// # Errors
    /// [`Unavailable`] if no leader answers.
    pub async fn barrier(&self) -> Result<(), Unavailable> {
        unimplemented!()
    }

    /// Notes that a session's client was heard of just now.
    pub fn touch(&self, _session: SessionId) {
        unimplemented!()
    }

    /// What this member knows of the ensemble, now and whenever it changes.
    pub fn status(&self) -> watch::Receiver<Status> {
        unimplemented!()
    }

    /// Leaves: stops voting, and returns when what was acknowledged is safe and everything is closed.
    pub async fn shutdown(&self) {
        unimplemented!()
    }
}
