//! What a listener missed since a zxid.
//!
//! The tree alone is asked here, as ZooKeeper does: a znode that was deleted and created again looks changed, and one
//! that was created and deleted again looks untouched. What really happened stands in a recent history, where there is
//! one; this comparison remains as the answer to questions that are older than it.

use proto::request::SetWatches;
use proto::{Event, EventKind, Text, ZnodePath, Zxid};

use crate::tree::Tree;
use crate::znode::Znode;

/// What a returning client's list of watches comes to.
#[derive(Debug, Default)]
pub struct CatchUp {
    /// What it missed, in the order of the lists.
    pub events: Vec<Event>,
    /// What it still waits for: the lists of the request without the watches that fired.
    pub waiting: SetWatches,
}

/// Compares a returning client's watches with the tree (PROTOCOL, section "SetWatches").
pub(crate) fn compare(tree: &Tree, watches: &SetWatches) -> CatchUp {
    let since = watches.relative;
    let newer = |zxid: Zxid, kind| (zxid > since).then_some(kind);
    let mut events = Vec::new();
    let mut sort = |paths: &[Text], fired: &dyn Fn(Option<&Znode>) -> Option<EventKind>| -> Vec<Text> {
        let mut waiting = Vec::new();
        for text in paths {
            match (ZnodePath::parse(text), fired(tree.get(text))) {
                (Ok(path), Some(kind)) => events.push(Event { zxid: None, kind, path }),
                // No znode was ever at a path that is not legal, nor will be: there is nothing to tell of it.
                _ => waiting.push(text.clone()),
            }
        }
        waiting
    };
    let data = sort(&watches.data, &|znode| match znode {
        None => Some(EventKind::Deleted),
        Some(znode) => newer(znode.mzxid, EventKind::DataChanged),
    });
    let exist = sort(&watches.exist, &|znode| znode.map(|_| EventKind::Created));
    let child = sort(&watches.child, &|znode| match znode {
        None => Some(EventKind::Deleted),
        Some(znode) => newer(znode.pzxid, EventKind::ChildrenChanged),
    });
    // Persistent watches are told nothing: comparing cannot say what they missed.
    let (persistent, recursive) = (watches.persistent.clone(), watches.recursive.clone());
    CatchUp { events, waiting: SetWatches { relative: since, data, exist, child, persistent, recursive } }
}
