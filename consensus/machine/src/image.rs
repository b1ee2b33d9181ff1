//! The world to and from records.
//!
//! A record is what is written behind to disk and sent as a snapshot: one for each znode and session, and one for the
//! world itself. They are values here; their bytes are the business of whoever stores them.

use std::sync::Arc;

use bytes::Bytes;
use proto::{Acl, SessionId, ZnodePath, Zxid};

use crate::command::Millis;
use crate::session::Session;
use crate::znode::Kind;

/// What a record is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// The world itself.
    World,
    /// A session.
    Session(SessionId),
    /// A znode.
    Znode(ZnodePath),
}

/// One piece of the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// The world itself: exactly one in an image.
    World(WorldRecord),
    /// A living session.
    Session(Session),
    /// A znode.
    Znode(ZnodeRecord),
}

impl Record {
    /// What it is about.
    pub fn key(&self) -> Key {
        match self {
            Self::World(_) => Key::World,
            Self::Session(session) => Key::Session(session.id),
            Self::Znode(znode) => Key::Znode(znode.path.clone()),
        }
    }
}

/// What the world knows besides znodes and sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorldRecord {
    /// The last transaction that took a zxid.
    pub last_zxid: Zxid,
    /// The world's clock: the newest time that a command carried.
    pub now: Millis,
}

/// A znode, whole. Its children are not listed: their own records name them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of the protocol's Stat, where not explained")]
pub struct ZnodeRecord {
    pub path: ZnodePath,
    /// What it holds. Null and empty are different.
    pub data: Option<Bytes>,
    pub acl: Arc<[Acl]>,
    pub czxid: Zxid,
    pub mzxid: Zxid,
    pub pzxid: Zxid,
    pub ctime: Millis,
    pub mtime: Millis,
    pub version: i32,
    pub aversion: i32,
    /// How many children were ever created, which also numbers the sequential ones. `cversion` follows from it.
    pub created: i32,
    /// How long it stays.
    pub kind: Kind,
}

/// Records that are no world.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damaged {
    /// Two records are about the same thing.
    #[error("{0:?} stands twice in the image")]
    Twice(Key),
    /// The image was cut short, or is of something else.
    #[error("{0:?} is missing from the image")]
    Missing(Key),
    /// A znode hangs in the air.
    #[error("the parent of {0} is missing from the image")]
    Orphan(ZnodePath),
    /// An ephemeral znode has outlived its session.
    #[error("{path} belongs to session {owner}, which is missing from the image")]
    Ownerless {
        /// The znode.
        path: ZnodePath,
        /// The session.
        owner: SessionId,
    },
    /// An ephemeral znode has children.
    #[error("{0} is ephemeral and has children")]
    EphemeralParent(ZnodePath),
    /// Two sessions are attached to the same connection.
    #[error("session {0} is attached to the connection of another session")]
    SharedHome(SessionId),
}
