//! How a transaction that fails on the way leaves no trace.
//!
//! The tree is changed in place, and each change says how to take it back: so there is never a second copy of
//! anything, and an ordinary transaction pays nothing.

use proto::{Shared, ZnodePath};

use crate::tree::{AclMark, DataMark, ParentMark, Tree};
use crate::znode::Znode;

/// One change that can be taken back.
pub(super) enum Undo {
    Create { path: ZnodePath, parent: ParentMark },
    Delete { znode: Box<Znode>, parent: ParentMark },
    SetData { path: ZnodePath, before: DataMark },
    SetAcl { path: ZnodePath, before: AclMark },
    Usage { path: ZnodePath, before: Option<Shared<u8>> },
}

/// Takes changes back, the last one first.
pub(super) fn roll_back(tree: &mut Tree, log: Vec<Undo>) {
    for undo in log.into_iter().rev() {
        match undo {
            Undo::Create { path, parent } => tree.undo_create(&path, parent),
            Undo::Delete { znode, parent } => tree.undo_delete(znode, parent),
            Undo::SetData { path, before } => tree.undo_set_data(&path, before),
            Undo::SetAcl { path, before } => tree.undo_set_acl(&path, before),
            Undo::Usage { path, before } => drop(tree.put_usage(&path, before)),
        }
    }
}
