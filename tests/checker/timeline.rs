//! What stood at each path, one state after the other.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::model::Node;

/// What stood at a path from a zxid on.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) zxid: i64,
    pub(super) node: Option<Arc<Node>>,
}

/// Paths, with what stands there now.
pub(super) type Changes = BTreeMap<String, Option<Arc<Node>>>;

/// All states of all paths.
#[derive(Debug, Default)]
pub(super) struct Timeline(HashMap<String, Vec<State>>);

impl Timeline {
    pub(super) fn add(&mut self, zxid: i64, changed: &Changes) {
        for (path, node) in changed {
            self.0.entry(path.clone()).or_default().push(State { zxid, node: node.clone() });
        }
    }

    /// The states of a path, the oldest first, and which of them is that of `zxid`; nothing if there was none yet.
    pub(super) fn of(&self, path: &str, zxid: i64) -> (&[State], Option<usize>) {
        let states = self.0.get(path).map_or(&[][..], Vec::as_slice);
        let behind = states.partition_point(|state| state.zxid <= zxid);
        (states, behind.checked_sub(1))
    }
}
