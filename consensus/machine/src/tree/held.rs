//! What the znodes are reckoned to take in memory.
//!
//! It follows from what they are, and from nothing else: a world that was restored from its records has the same account as one
//! that was built by its transactions. Numbers, and not what the compiler makes of a znode: by them it is decided what is
//! refused where a world is full, and all members must decide alike, whatever release they run.

use foldhash::fast::RandomState;
use hashbrown::HashSet;
use proto::Acl;

use super::Tree;
use crate::acl;
use crate::znode::Kind;

/// A znode besides its path and data: its place in the table and among its parent's children, itself, and what the allocator adds
/// to path and data.
const ZNODE_BYTES: u64 = 192;

/// An ephemeral, a container or a TTL znode besides: the box of what is rare, and its place among its kind.
const FLEETING_BYTES: u64 = 192;

/// A znode with children besides: the box of what is rare, and the first leaf of the set of its children.
const PARENT_BYTES: u64 = 160;

impl Tree {
    /// Bytes that the znodes with their ACLs are reckoned to take.
    pub(crate) fn held(&self) -> u64 {
        self.data_bytes
            + self.znodes.len() as u64 * ZNODE_BYTES
            + self.marked.fleeting_count() as u64 * FLEETING_BYTES
            + self.parents as u64 * PARENT_BYTES
            + self.lists.bytes()
    }

    /// Panics if that is not what a walk through the znodes comes to.
    pub(super) fn assert_held(&self) {
        let mut lists: HashSet<&[Acl], RandomState> = HashSet::default();
        let (mut bytes, mut parents) = (0, 0);
        for (path, znode) in self.iter() {
            bytes += ZNODE_BYTES + (path.len() + znode.data_len()) as u64;
            if znode.kind() != Kind::Persistent {
                bytes += FLEETING_BYTES;
            }
            if !znode.is_leaf() {
                bytes += PARENT_BYTES;
                parents += 1;
            }
            if lists.insert(&znode.acl) {
                bytes += acl::weight(&znode.acl);
            }
        }
        assert_eq!(parents, self.parents, "znodes with children");
        assert_eq!(bytes, self.held(), "what the znodes take");
    }
}
