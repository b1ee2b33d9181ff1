//! What every session asked and what it was told: all that the rules look at.

use proto::Stat;
use serde::{Deserialize, Serialize};

use super::logged::Transaction;
use super::numbers;

/// Microseconds since the round began.
pub type Micros = u64;

/// How long a znode stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stay {
    /// Until it is deleted.
    Persistent,
    /// As long as its session.
    Ephemeral,
    /// Until some time after it has lost its last child.
    Container,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// A new znode. A container is asked for with `createContainer`, everything else with `create` or `create2`.
    Create {
        /// Where; the first part of the name if it is sequential.
        path: String,
        /// What it is to hold. No other request of the round carries the same.
        data: String,
        /// How long it stays.
        stay: Stay,
        /// Whether the parent's counter is added to the name.
        sequential: bool,
        /// Whether the Stat is to be told.
        with_stat: bool,
    },
    /// Other data.
    SetData {
        /// Of which znode.
        path: String,
        /// What it is to hold. No other request of the round carries the same, but for others of the same multi.
        data: String,
        /// The version expected, -1 for any.
        version: i32,
    },
    /// A znode less.
    Delete {
        /// Which.
        path: String,
        /// The version expected, -1 for any.
        version: i32,
    },
    /// A version asserted; stands in a multi only.
    Check {
        /// Of which znode.
        path: String,
        /// The version expected, -1 for any.
        version: i32,
    },
    /// All of these or none.
    Multi(Vec<Request>),
    /// `getData`.
    GetData(String),
    /// `exists`.
    Exists(String),
    /// `getChildren2`.
    Children(String),
    /// `sync`.
    Sync(String),
    /// The end of the session.
    Close,
}

impl Request {
    /// Whether it goes through the log and takes a zxid, whatever becomes of it.
    pub fn is_write(&self) -> bool {
        !matches!(self, Self::GetData(_) | Self::Exists(_) | Self::Children(_) | Self::Sync(_))
    }

    /// The znode that it names; a multi and the end of a session name none.
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::Create { path, .. }
            | Self::SetData { path, .. }
            | Self::Delete { path, .. }
            | Self::Check { path, .. }
            | Self::GetData(path)
            | Self::Exists(path)
            | Self::Children(path)
            | Self::Sync(path) => Some(path),
            Self::Multi(_) | Self::Close => None,
        }
    }

    /// What it writes, if it writes data.
    pub fn data(&self) -> Option<&str> {
        match self {
            Self::Create { data, .. } | Self::SetData { data, .. } => Some(data),
            _ => None,
        }
    }

    /// The operations that it consists of: itself, or the parts of a multi.
    pub fn parts(&self) -> &[Self] {
        match self {
            Self::Multi(parts) => parts,
            _ => std::slice::from_ref(self),
        }
    }
}

/// What is told of a znode besides its data. Of times only the numbers of transactions are looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// Of delete, check, sync and the end of a session.
    Done,
    /// Of create and createContainer; the Stat, if it was asked for.
    Created(String, #[serde(with = "numbers::maybe")] Option<Stat>),
    /// Of setData and exists.
    Stat(#[serde(with = "numbers")] Stat),
    /// Of getData.
    Data(String, #[serde(with = "numbers")] Stat),
    /// Of getChildren2: names in order.
    Children(Vec<String>, #[serde(with = "numbers")] Stat),
    /// Of a multi that was done.
    Multi(Vec<Answer>),
    /// Of a multi that was not: one code for each part.
    MultiFailed(Vec<i32>),
}

/// The answer, or the code of the refusal.
pub type Told = Result<Answer, i32>;

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// When it came.
    pub at: Micros,
    /// The how manieth reply of its connection it was.
    pub place: u32,
    /// The zxid in its header.
    pub zxid: i64,
    /// What it says.
    pub told: Told,
}

/// A request and what became of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Op {
    /// The how manieth connection of its session it went out on.
    pub connection: u32,
    /// The member that connection was with, from 1 on.
    pub member: usize,
    /// When it was sent.
    pub invoked: Micros,
    /// What was asked.
    pub request: Request,
    /// What was answered; nothing if the connection broke first, and then it may have been done or not.
    pub reply: Option<Reply>,
    /// Whether it was asked when everything was over, so that what it does not show is lost.
    pub is_last_look: bool,
}

impl Op {
    /// The zxid of its reply.
    pub fn zxid(&self) -> Option<i64> {
        self.reply.as_ref().map(|reply| reply.zxid)
    }
}

/// How a session ended, as far as its client knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// It has not, or its last request was to end it.
    #[default]
    Open,
    /// The client has left without a word, and nothing is heard of it again.
    Abandoned,
    /// A member said at this instant that there is no such session.
    Expired(Micros),
}

/// One session.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Session {
    /// Its id.
    pub id: i64,
    /// What was agreed, in microseconds.
    pub timeout: Micros,
    /// When the greeting of each connection that was welcomed went out, and when the welcome came.
    pub connections: Vec<(Micros, Micros)>,
    /// What was asked, in the order in which it was sent.
    pub ops: Vec<Op>,
    /// How it ended.
    pub end: End,
    /// What came that should never have come, in words.
    pub astray: Vec<String>,
}

impl Session {
    /// The last instant at which the client said something that was answered.
    pub fn last_heard(&self) -> Micros {
        let greeted = self.connections.iter().map(|(greeted, _)| *greeted);
        let asked = self.ops.iter().filter(|op| op.reply.is_some()).map(|op| op.invoked);
        greeted.chain(asked).max().unwrap_or_default()
    }

    /// The zxid of the transaction that opened it, which is part of its id.
    pub fn opened(&self) -> i64 {
        self.id & 0x00ff_ffff_ffff_ffff
    }
}

/// One round.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct History {
    /// All sessions.
    pub sessions: Vec<Session>,
    /// When sessions that were [abandoned](End::Abandoned) must have ended: everything was in order for longer than
    /// their timeouts. Nothing if that was not waited for.
    pub settled: Option<Micros>,
    /// All transactions of the ensemble, in order, out of the log of a member that has kept it from the beginning.
    /// Nothing if there is no such log.
    pub log: Option<Vec<Transaction>>,
}

/// Where an operation stands: session, and place among its operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId {
    /// Place of the session.
    pub session: usize,
    /// Place of the operation.
    pub op: usize,
}

impl History {
    /// All operations.
    pub fn ops(&self) -> impl Iterator<Item = (OpId, &Op)> {
        self.sessions.iter().enumerate().flat_map(|(session, log)| {
            log.ops.iter().enumerate().map(move |(op, it)| (OpId { session, op }, it))
        })
    }

    /// One operation.
    pub fn op(&self, id: OpId) -> &Op {
        &self.sessions[id.session].ops[id.op]
    }

    /// The same, to be changed.
    pub fn op_mut(&mut self, id: OpId) -> &mut Op {
        &mut self.sessions[id.session].ops[id.op]
    }

    /// An operation in one line, for whoever reads of a violation.
    pub fn tell(&self, id: OpId) -> String {
        let (session, op) = (&self.sessions[id.session], self.op(id));
        let reply = match &op.reply {
            None => "unknown".to_owned(),
            Some(Reply { at, zxid, told: Ok(Answer::Children(names, stat)), .. }) if names.len() > 12 => {
                format!("{} names, {stat:?} at zxid {zxid:#x}, {at} µs", names.len())
            }
            Some(reply) => format!("{:?} at zxid {:#x}, {} µs", reply.told, reply.zxid, reply.at),
        };
        format!(
            "session {:#x}, connection {} with member {}, request {} at {} µs: {:?} → {reply}",
            session.id, op.connection, op.member, id.op, op.invoked, op.request
        )
    }
}

/// The parent of a path below the root.
pub(super) fn parent(path: &str) -> &str {
    match path.rfind('/') {
        None | Some(0) => "/",
        Some(slash) => &path[..slash],
    }
}

/// The last part of a path.
pub(super) fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
