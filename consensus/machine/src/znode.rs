//! One znode, as the tree keeps it.

use std::collections::BTreeSet;
use std::sync::Arc;

use proto::{Acl, SessionId, Stat, ZnodePath, Zxid};

use crate::command::Millis;

/// How long a znode stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Until it is deleted.
    Persistent,
    /// Until it is deleted, or the session that owns it ends.
    Ephemeral(SessionId),
    /// Until it is deleted, or has lost its last child.
    Container,
    /// Until it is deleted, or has no children and was not written for so many milliseconds.
    Ttl(Millis),
}

impl Kind {
    /// The session that the znode goes with.
    pub const fn owner(self) -> Option<SessionId> {
        match self {
            Self::Ephemeral(owner) => Some(owner),
            Self::Persistent | Self::Container | Self::Ttl(_) => None,
        }
    }
}

/// Where in the history the newest changes of a path stand: the low halves of their places. What stands there may be
/// something else, if they have been forgotten, or if there never was one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Newest {
    /// The znode's own.
    pub(crate) own: u32,
    /// That of its children.
    pub(crate) children: u32,
}

/// One znode. Its path is the key under which the tree keeps it.
#[derive(Clone, Debug)]
pub(crate) struct Znode {
    /// What it holds. Null and empty are different. Whoever reads it shares it.
    pub(crate) data: Option<Arc<[u8]>>,
    /// Shared with all znodes that have the same list.
    pub(crate) acl: Arc<[Acl]>,
    pub(crate) czxid: Zxid,
    pub(crate) mzxid: Zxid,
    pub(crate) pzxid: Zxid,
    pub(crate) ctime: Millis,
    pub(crate) mtime: Millis,
    pub(crate) version: i32,
    pub(crate) aversion: i32,
    /// How many children were ever created here, which also numbers the sequential ones.
    pub(crate) created: i32,
    pub(crate) kind: Kind,
    pub(crate) newest: Newest,
    /// Whole paths, whose text is shared with the keys of the tree.
    #[expect(clippy::box_collection, reason = "most znodes are leaves: each pays 8 bytes here, not 24")]
    pub(crate) children: Option<Box<BTreeSet<ZnodePath>>>,
}

impl Znode {
    /// A znode that a transaction creates.
    pub(crate) fn new(
        data: Option<Arc<[u8]>>,
        acl: Arc<[Acl]>,
        kind: Kind,
        zxid: Zxid,
        time: Millis,
    ) -> Self {
        Self {
            data,
            acl,
            czxid: zxid,
            mzxid: zxid,
            pzxid: zxid,
            ctime: time,
            mtime: time,
            version: 0,
            aversion: 0,
            created: 0,
            kind,
            newest: Newest::default(),
            children: None,
        }
    }

    /// The children's whole paths, in order of their names.
    pub(crate) fn children(&self) -> impl Iterator<Item = &ZnodePath> {
        self.children.iter().flat_map(|children| children.iter())
    }

    /// How many children there are.
    pub(crate) fn children_count(&self) -> usize {
        self.children.as_ref().map_or(0, |children| children.len())
    }

    /// Bytes of data.
    pub(crate) fn data_len(&self) -> usize {
        self.data.as_ref().map_or(0, |data| data.len())
    }

    /// Whether it has had its time: a container that has lost its last child, or that has had none for longer than
    /// `never_used_ms` (0 for ever); a TTL znode without children that nobody has written for its time to live.
    pub(crate) fn is_due(&self, now: Millis, never_used_ms: Millis) -> bool {
        let unwritten = now.saturating_sub(self.mtime);
        let is_over = match self.kind {
            Kind::Persistent | Kind::Ephemeral(_) => false,
            Kind::Container => self.created != 0 || never_used_ms != 0 && unwritten > never_used_ms,
            Kind::Ttl(ttl) => unwritten > ttl,
        };
        is_over && self.children.is_none()
    }

    /// The newest transaction that it knows of.
    pub(crate) fn newest(&self) -> Zxid {
        self.czxid.max(self.mzxid).max(self.pzxid)
    }

    /// What a client reads of it.
    pub(crate) fn stat(&self) -> Stat {
        let children = as_int(self.children_count());
        Stat {
            czxid: self.czxid.to_wire(),
            mzxid: self.mzxid.to_wire(),
            ctime: self.ctime,
            mtime: self.mtime,
            version: self.version,
            // Creations and deletions of children. The ones that the empty world begins with were never created,
            // which is why clients find -1 at the root of an empty server.
            cversion: self.created.wrapping_mul(2).wrapping_sub(children),
            aversion: self.aversion,
            ephemeral_owner: self.kind.owner().map_or(0, SessionId::to_wire),
            data_length: as_int(self.data_len()),
            num_children: children,
            pzxid: self.pzxid.to_wire(),
        }
    }
}

/// The version that follows. One number is left out: -1 is what a client says for "any version".
pub(crate) const fn next_version(version: i32) -> i32 {
    match version.wrapping_add(1) {
        -1 => 0,
        next => next,
    }
}

/// A count as the protocol carries it.
pub(crate) fn as_int(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_wraps_and_is_never_any() {
        assert_eq!(next_version(0), 1);
        assert_eq!(next_version(i32::MAX), i32::MIN);
        assert_eq!(next_version(-2), 0);
        assert_eq!(next_version(-1), 0);
    }

    #[test]
    fn a_znode_stays_small() {
        assert!(size_of::<Znode>() <= 120, "{} bytes", size_of::<Znode>());
    }
}
