//! What the log asks of the world.

use std::fmt;

use proto::request::Write;
use proto::{Attachment, ClusterId, Code, Id, MemberId, OpCode, Seq, SessionId, Text, ZnodePath, Zxid};

use crate::rules::Rules;

/// Milliseconds since the epoch, as the leader stamped them.
pub type Millis = i64;

/// Bytes of a session's password.
pub const PASSWORD_BYTES: usize = 16;

/// One transaction of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// When the leader put it into the log. The world's clock never runs backwards, whatever stands here.
    pub time: Millis,
    /// What the leader's configuration decides about it.
    pub rules: Rules,
    /// What is to be done.
    pub act: Act,
}

/// The connection that a session is, or is to be, attached to. It is drawn once for each connection, so that an
/// open or attach which arrives twice is recognised by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Home {
    /// The member that holds the connection.
    pub member: MemberId,
    /// Which life of that member: drawn at random when its process starts.
    pub boot: u64,
    /// Which connection of that life.
    pub connection: u64,
}

impl fmt::Display for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{:x}/{}", self.member, self.boot, self.connection)
    }
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// A client without a session greets.
    Open {
        /// Its connection.
        home: Home,
        /// Drawn by the member that greets it.
        password: [u8; PASSWORD_BYTES],
        /// As negotiated, in milliseconds.
        timeout_ms: u32,
        /// Where the client calls from: its `ip` identity.
        address: Text,
    },
    /// A client comes back to its session, on whatever member.
    Attach {
        /// Its connection.
        home: Home,
        /// The session that it names.
        session: SessionId,
        /// The password that it gives, of whatever length.
        password: bytes::Bytes,
        /// As negotiated anew, in milliseconds.
        timeout_ms: u32,
        /// The last zxid that the client has seen.
        seen: Zxid,
        /// Where the client calls from: its `ip` identity.
        address: Text,
    },
    /// A session writes.
    Write {
        /// Which session.
        session: SessionId,
        /// Over which of its attachments.
        attachment: Attachment,
        /// Which write of that attachment.
        seq: Seq,
        /// Who the connection has proved to be, besides where it calls from; empty for most.
        identities: Vec<Id>,
        /// What it asks for.
        operation: Operation,
    },
    /// A member reports which watches a session of its own has set and taken away. It takes no zxid, may come late, and
    /// may come twice: a report of something older than what is known changes nothing.
    Watch {
        /// Which session.
        session: SessionId,
        /// Over which attachment the watches were set. It need not be the current one: a client that has been answered
        /// relies on its watch, wherever it has gone since.
        attachment: Attachment,
        /// Which report of that attachment: by it, whoever sent the report sees that it has arrived.
        number: u64,
        /// What happened, in order.
        notes: Vec<WatchNote>,
        /// What the client is known to have received: one-shot watches that were spent until then are done with.
        seen: Zxid,
    },
    /// Who the members are, for clients to read at `/zookeeper/config`. Takes a zxid if it is news to whoever has read
    /// there before; the first time it is what the world begins with.
    Ensemble {
        /// One line for each member, `server.1=…`, in order of their numbers and without line ends.
        lines: Vec<Text>,
    },
    /// Which ensemble this is. The first leader says so, and it holds for ever: a world that has a name keeps it.
    Name {
        /// Drawn by the leader.
        cluster: ClusterId,
    },
    /// The leader has done what a session had asked for of the members, or has found that it cannot be done.
    Reconfigured {
        /// Who had asked.
        session: SessionId,
        /// Over which attachment.
        attachment: Attachment,
        /// With which of its writes.
        seq: Seq,
        /// Why not, if it cannot be done.
        refusal: Option<Code>,
    },
    /// The leader has not heard of a session for longer than its timeout.
    Expire {
        /// Which session.
        session: SessionId,
        /// The attachment that the leader means to end: if the session has been attached since, it lives on.
        attachment: Attachment,
    },
    /// The leader has found a container or TTL znode that seems to have had its time. Whether it still is so is found out
    /// where this is applied: children may have come, or somebody may have written it.
    Reap {
        /// Which znode.
        path: ZnodePath,
        /// After how many milliseconds a container goes that never had a child; 0 for never.
        never_used_ms: Millis,
    },
}

/// What a session did to one watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchNote {
    /// Where it listens.
    pub path: ZnodePath,
    /// To what. A [`WatchKind::Data`] and a [`WatchKind::Exist`] are taken away alike.
    pub kind: WatchKind,
    /// The world that the client was shown in that answer.
    pub zxid: Zxid,
    /// Whether it was set or taken away.
    pub armed: bool,
}

/// What a watch listens to. The numbers are on disk: never reused, never renumbered.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WatchKind {
    /// Once, to a znode that was there.
    Data = 1,
    /// Once, to a znode that was not there.
    Exist = 2,
    /// Once, to the children of a znode.
    Child = 3,
    /// To all that happens to a znode and to its list of children.
    Persistent = 4,
    /// To all that happens to a znode and below it, but to no list of children.
    Recursive = 5,
}

impl WatchKind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Data, Self::Exist, Self::Child, Self::Persistent, Self::Recursive];

    /// The one with this number.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u32 == number)
    }
}

/// What a session asks for, as far as it can be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// The operation's number.
    pub op: OpCode,
    /// What it says; `None` if the body did not parse, which is answered like any other refusal of a write.
    pub write: Option<Write>,
}

/// Who asks: what a znode's ACL is held against.
#[derive(Clone, Copy, Debug)]
pub struct Identities<'a> {
    /// Where the client calls from.
    pub address: &'a Text,
    /// Who it has proved to be.
    pub proved: &'a [Id],
}
