//! The table of watches, and how those who stand in it are told.
use std::sync::Arc;

use bytes::BytesMut;
use machine::{Change, ChangeKind, Identities};
use parking_lot::Mutex;
use proto::request::{SetWatches, WatcherType};
use proto::{Acl, EventKind, Id, Permissions, Text, Zxid, jute};

use super::table::{Kind, ListenerId, Side, Table};
use crate::mailbox::{Delivery, Mailbox};
use crate::metrics::Metrics;

/// Watches that are taken away under one hold of the table when a connection closes, so that a client with a
/// million of them does not keep the apply of writes waiting.
const FORGOTTEN_PER_LOCK: usize = 1_024;

/// All watches of this member's clients.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    state: Mutex<State>,
    metrics: Arc<Metrics>,
}

#[derive(Debug, Default)]
struct State {
    table: Table,
    listeners: Vec<Option<Known>>,
    free: Vec<ListenerId>,
    /// Which trigger is being told: a listener that carries its number has been told already.
    turn: u64,
}

/// What is known of a listener: how it is told, and what it may be told.
#[derive(Debug)]
struct Known {
    mailbox: Arc<Mailbox>,
    address: Text,
    proved: Arc<[Id]>,
    told_in: u64,
}

/// One connection's place among those who listen. When it is dropped, the watches of the connection are gone.
#[derive(Debug)]
pub(crate) struct Listener {
    watches: Arc<Watches>,
    id: ListenerId,
}

impl Watches {
    /// An empty table, which counts what it tells.
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        Self { state: Mutex::default(), metrics }
    }

    /// Gives a connection a place.
    pub(crate) fn enlist(
        self: &Arc<Self>,
        mailbox: Arc<Mailbox>,
        address: Text,
        proved: Arc<[Id]>,
    ) -> Listener {
        let known = Some(Known { mailbox, address, proved, told_in: 0 });
        let mut state = self.state.lock();
        let id = match state.free.pop() {
            Some(id) => {
                state.listeners[id as usize] = known;
                id
            }
            None => {
                state.listeners.push(known);
                // As many connections as a u32 can count do not fit into a process.
                u32::try_from(state.listeners.len() - 1).unwrap_or(u32::MAX)
            }
        };
        Listener { watches: self.clone(), id }
    }

    /// Tells everyone who listens of these changes, in their order. The caller holds the replica for writing, and
    /// has not yet told the one who asked for the changes that they are done.
    pub(crate) fn trigger(&self, zxid: Zxid, changes: &[Change]) {
        if changes.is_empty() {
            return;
        }
        let mut state = self.state.lock();
        if state.table.len() == 0 {
            return;
        }
        let told: u64 = changes.iter().map(|change| state.change(zxid, change)).sum();
        self.metrics.fired.inc_by(told);
    }

    /// Entries of both tables, as `zk_watch_count` counts them.
    pub(crate) fn len(&self) -> usize {
        self.state.lock().table.len()
    }
}

impl State {
    /// The triggers of PROTOCOL, section "Transactions and events". Says how many notifications it came to.
    fn change(&mut self, zxid: Zxid, change: &Change) -> u64 {
        let path = &change.path;
        self.turn += 1;
        let mut told = self.tell(zxid, Side::Data, change.kind.event(), path, &change.acl);
        if change.kind == ChangeKind::Deleted {
            // The same turn: who has heard of the deletion does not hear of it again as a child's listener. Its
            // one-shot watch is spent all the same.
            told += self.tell(zxid, Side::Child, EventKind::Deleted, path, &change.acl);
        }
        if change.kind == ChangeKind::DataChanged {
            return told;
        }
        if let Some(parent) = path.parent() {
            self.turn += 1;
            told += self.tell(zxid, Side::Child, EventKind::ChildrenChanged, parent, &change.parent_acl);
        }
        told
    }

    fn tell(&mut self, zxid: Zxid, side: Side, kind: EventKind, path: &str, acl: &[Acl]) -> u64 {
        let Self { table, listeners, turn, .. } = self;
        // Encoded once, when the first listener is found, and shared by all.
        let mut frame = None;
        let open = is_open(acl);
        let mut told = 0;
        table.trigger(side, path, |id| {
            let Some(Some(known)) = listeners.get_mut(id as usize) else { return };
            if known.told_in == *turn {
                return;
            }
            known.told_in = *turn;
            let who = Identities { address: &known.address, proved: &known.proved };
            if open || machine::permits(acl, who, Permissions::READ) {
                let frame = frame.get_or_insert_with(|| encode(zxid, kind, path));
                known.mailbox.push(Delivery::Event(frame.clone()));
                told += 1;
            }
        });
        told
    }
}

/// Whether everybody may read, whoever it is: most znodes are so, and then nobody's identities are looked at.
fn is_open(acl: &[Acl]) -> bool {
    acl.iter().any(|acl| {
        acl.permissions.intersects(Permissions::READ) && acl.id.scheme == "world" && acl.id.id == "anyone"
    })
}

fn encode(zxid: Zxid, kind: EventKind, path: &str) -> bytes::Bytes {
    let mut out = BytesMut::new();
    jute::reply::write_event(&mut out, Some(zxid), kind, path);
    out.freeze()
}

impl Listener {
    /// Where is counted what becomes of watches.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.watches.metrics
    }

    /// Registers a watch. The caller holds the replica for reading, and has not let go of it since the read that
    /// the watch stands for.
    pub(crate) fn watch(&self, path: &str, kind: Kind) {
        self.watches.state.lock().table.add(self.id, path, kind);
    }

    /// Registers what a returning client still waits for.
    pub(crate) fn watch_all(&self, waiting: &SetWatches) {
        let lists = [
            (&waiting.data, Kind::Data),
            (&waiting.exist, Kind::Data),
            (&waiting.child, Kind::Child),
            (&waiting.persistent, Kind::Persistent),
            (&waiting.recursive, Kind::Recursive),
        ];
        let mut state = self.watches.state.lock();
        for (paths, kind) in lists {
            for path in paths {
                state.table.add(self.id, path, kind);
            }
        }
    }

    /// Whether this connection listens to exactly this path in one of the ways meant; takes them away if `remove`.
    pub(crate) fn find(&self, path: &str, meant: WatcherType, remove: bool) -> bool {
        let kinds = match meant {
            WatcherType::Children => &[Kind::Child][..],
            WatcherType::Data => &[Kind::Data],
            WatcherType::Persistent => &[Kind::Persistent],
            WatcherType::PersistentRecursive => &[Kind::Recursive],
            WatcherType::Any => &Kind::ALL,
        };
        let table = &mut self.watches.state.lock().table;
        let mut found = false;
        for &kind in kinds {
            found |= if remove { table.remove(self.id, path, kind) } else { table.has(self.id, path, kind) };
        }
        found
    }

    /// Notes who the connection has proved to be: events are held against it from now on.
    pub(crate) fn proved(&self, proved: Arc<[Id]>) {
        if let Some(Some(known)) = self.watches.state.lock().listeners.get_mut(self.id as usize) {
            known.proved = proved;
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut state = self.watches.state.lock();
        state.listeners[self.id as usize] = None;
        let mut paths = state.table.take_paths(self.id).into_iter();
        drop(state);
        loop {
            let mut state = self.watches.state.lock();
            let mut left = FORGOTTEN_PER_LOCK;
            for path in paths.by_ref().take(FORGOTTEN_PER_LOCK) {
                state.table.forget(self.id, &path);
                left -= 1;
            }
            // The place is given to another only when nothing points at it any more.
            if left > 0 {
                state.free.push(self.id);
                return;
            }
        }
    }
}

#[cfg(test)]
#[path = "live_tests.rs"]
mod tests;
