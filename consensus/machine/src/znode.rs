//! One znode, as the tree keeps it.

use std::collections::BTreeSet;

use proto::{Acl, SessionId, Shared, Stat, ZnodePath, Zxid};

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

/// One znode.
///
/// A tree has millions of them, and most are leaves that stay until they are deleted: what such a one has nothing to say of lies apart.
#[derive(Clone, Debug)]
pub(crate) struct Znode {
    /// Shared with whoever else speaks of it: its parent, the history, those who watch it.
    pub(crate) path: ZnodePath,
    /// What it holds. Null and empty are different. Whoever reads it shares it.
    pub(crate) data: Option<Shared<u8>>,
    /// Shared with all znodes that have the same list.
    pub(crate) acl: Shared<Acl>,
    pub(crate) czxid: Zxid,
    pub(crate) mzxid: Zxid,
    pub(crate) ctime: Millis,
    pub(crate) mtime: Millis,
    pub(crate) version: i32,
    /// Where in the history its own changes stand.
    own: u32,
    rare: Option<Box<Rare>>,
}

/// What most znodes have as they had it when they were created.
#[derive(Clone, Debug)]
struct Rare {
    pzxid: Zxid,
    aversion: i32,
    created: i32,
    kind: Kind,
    /// Where in the history the changes of its children stand.
    family: u32,
    /// Whole paths, whose text is that of the children's own.
    children: BTreeSet<ZnodePath>,
}

impl Znode {
    /// A znode that a transaction creates.
    pub(crate) fn new(
        path: ZnodePath,
        data: Option<Shared<u8>>,
        acl: Shared<Acl>,
        kind: Kind,
        zxid: Zxid,
        time: Millis,
    ) -> Self {
        let mut znode = Self {
            path,
            data,
            acl,
            czxid: zxid,
            mzxid: zxid,
            ctime: time,
            mtime: time,
            version: 0,
            own: 0,
            rare: None,
        };
        znode.set_kind(kind);
        znode
    }

    /// How long it stays.
    pub(crate) fn kind(&self) -> Kind {
        self.rare.as_ref().map_or(Kind::Persistent, |rare| rare.kind)
    }

    /// The last transaction that created or deleted a child, or that which created the znode.
    pub(crate) fn pzxid(&self) -> Zxid {
        self.rare.as_ref().map_or(self.czxid, |rare| rare.pzxid)
    }

    /// The version of its ACL.
    pub(crate) fn aversion(&self) -> i32 {
        self.rare.as_ref().map_or(0, |rare| rare.aversion)
    }

    /// How many children were ever created here, which also numbers the sequential ones.
    pub(crate) fn created(&self) -> i32 {
        self.rare.as_ref().map_or(0, |rare| rare.created)
    }

    /// Where in the history its changes stand.
    pub(crate) fn places(&self) -> Newest {
        Newest { own: self.own, children: self.rare.as_ref().map_or(0, |rare| rare.family) }
    }

    /// Sets [`Self::kind`].
    pub(crate) fn set_kind(&mut self, kind: Kind) {
        if kind != self.kind() {
            self.rare().kind = kind;
        }
    }

    /// Sets [`Self::pzxid`] and [`Self::created`].
    pub(crate) fn set_births(&mut self, pzxid: Zxid, created: i32) {
        if (pzxid, created) != (self.pzxid(), self.created()) {
            let rare = self.rare();
            (rare.pzxid, rare.created) = (pzxid, created);
        }
    }

    /// Sets [`Self::aversion`].
    pub(crate) fn set_aversion(&mut self, aversion: i32) {
        if aversion != self.aversion() {
            self.rare().aversion = aversion;
        }
    }

    /// Sets [`Self::places`].
    pub(crate) fn set_places(&mut self, places: Newest) {
        self.own = places.own;
        if places.children != self.places().children {
            self.rare().family = places.children;
        }
    }

    /// The children's whole paths, in order of their names.
    pub(crate) fn children(&self) -> impl Iterator<Item = &ZnodePath> {
        self.rare.iter().flat_map(|rare| &rare.children)
    }

    /// How many children there are.
    pub(crate) fn children_count(&self) -> usize {
        self.rare.as_ref().map_or(0, |rare| rare.children.len())
    }

    /// Whether there are none.
    pub(crate) fn is_leaf(&self) -> bool {
        self.children_count() == 0
    }

    /// Whether this is a child.
    pub(crate) fn lists(&self, child: &ZnodePath) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.children.contains(child))
    }

    /// Lists a child.
    pub(crate) fn list(&mut self, child: ZnodePath) {
        self.rare().children.insert(child);
    }

    /// Lists many, which takes least where it has none yet and they come in order.
    pub(crate) fn list_all(&mut self, children: Vec<ZnodePath>) {
        let listed = &mut self.rare().children;
        if listed.is_empty() {
            *listed = children.into_iter().collect();
        } else {
            listed.extend(children);
        }
    }

    /// Lists a child no more.
    pub(crate) fn unlist(&mut self, child: &ZnodePath) {
        if let Some(rare) = &mut self.rare {
            rare.children.remove(child);
        }
    }

    fn rare(&mut self) -> &mut Rare {
        let pzxid = self.czxid;
        self.rare.get_or_insert_with(|| {
            let children = BTreeSet::new();
            Box::new(Rare { pzxid, aversion: 0, created: 0, kind: Kind::Persistent, family: 0, children })
        })
    }

    /// Bytes of data.
    pub(crate) fn data_len(&self) -> usize {
        self.data.as_ref().map_or(0, |data| data.len())
    }

    /// Whether it has had its time: a container that has lost its last child, or that has had none for longer than
    /// `never_used_ms` (0 for ever); a TTL znode without children that nobody has written for its time to live.
    pub(crate) fn is_due(&self, now: Millis, never_used_ms: Millis) -> bool {
        let unwritten = now.saturating_sub(self.mtime);
        let is_over = match self.kind() {
            Kind::Persistent | Kind::Ephemeral(_) => false,
            Kind::Container => self.created() != 0 || never_used_ms != 0 && unwritten > never_used_ms,
            Kind::Ttl(ttl) => unwritten > ttl,
        };
        is_over && self.is_leaf()
    }

    /// The newest transaction that it knows of.
    pub(crate) fn newest(&self) -> Zxid {
        self.czxid.max(self.mzxid).max(self.pzxid())
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
            cversion: self.created().wrapping_mul(2).wrapping_sub(children),
            aversion: self.aversion(),
            ephemeral_owner: self.kind().owner().map_or(0, SessionId::to_wire),
            data_length: as_int(self.data_len()),
            num_children: children,
            pzxid: self.pzxid().to_wire(),
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
        assert!(size_of::<Znode>() <= 72, "{} bytes", size_of::<Znode>());
    }
}
