//! The table of watches, and how those who stand in it are told.
use std::sync::Arc;

use bytes::BytesMut;
use machine::{Change, ChangeKind, Identities, Machine, Told, WatchKind};
use parking_lot::Mutex;
use proto::request::{SetWatches, WatcherType};
use proto::{Acl, EventKind, Id, Permissions, Text, Zxid, jute};

use super::report::lists;
use super::table::{Kind, ListenerId, Side, Table};
use crate::mailbox::{Delivery, Mailbox};
use crate::metrics::{Cause, Metrics};

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

    /// Where is counted what becomes of watches.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
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
        let mut all = 0;
        for change in changes {
            let [own, children] = state.change(zxid, change);
            all += own + children;
            self.measure(change.kind, own, children);
        }
        self.metrics.watching.fired.inc_by(all);
    }

    /// Counts how many were told of one change. Where nobody was, ZooKeeper counts nothing.
    fn measure(&self, kind: ChangeKind, own: u64, children: u64) {
        let summaries = &self.metrics.summaries;
        if own > 0 {
            match kind {
                ChangeKind::Created => summaries.node_created_watch_count.add(own),
                ChangeKind::Deleted => summaries.node_deleted_watch_count.add(own),
                ChangeKind::DataChanged => summaries.node_changed_watch_count.add(own),
            }
        }
        if children > 0 {
            summaries.node_children_watch_count.add(children);
        }
    }

    /// Tells everyone what led from one world to another that has taken its place, and leaves them waiting for what
    /// they still wait for. The caller holds the replica for writing.
    pub(crate) fn replaced(&self, old: &Machine, new: &Machine) {
        let mut state = self.state.lock();
        let State { table, listeners, .. } = &mut *state;
        for (id, known) in (0..).zip(listeners.iter()) {
            let Some(known) = known else { continue };
            let waited = waited(table, id, old);
            let who = Identities { address: &known.address, proved: &known.proved };
            let caught_up = new.catch_up(&waited, who, &mut Told::default());
            for (kind, paths) in lists(&waited) {
                for path in paths {
                    table.remove(id, path, kind.into());
                }
            }
            for (kind, paths) in lists(&caught_up.waiting) {
                for path in paths {
                    table.add(id, path, kind.into());
                }
            }
            self.metrics.watching.replayed(Cause::Snapshot).inc_by(caught_up.events.len() as u64);
            self.metrics.watching.catch_ups_not_whole.inc_by(u64::from(!caught_up.whole));
            if let Some(delivery) = Delivery::caught_up(&caught_up.events) {
                known.mailbox.push(delivery);
            }
        }
    }

    /// Entries of both tables, as `zk_watch_count` counts them.
    pub(crate) fn len(&self) -> usize {
        self.state.lock().table.len()
    }
}

impl State {
    /// The triggers of PROTOCOL, section "Transactions and events". Says how many notifications it came to: of the znode
    /// itself, and of its parent's children.
    fn change(&mut self, zxid: Zxid, change: &Change) -> [u64; 2] {
        let path = &change.path;
        self.turn += 1;
        let mut told = self.tell(zxid, Side::Data, change.kind.event(), path, &change.acl);
        if change.kind == ChangeKind::Deleted {
            // The same turn: who has heard of the deletion does not hear of it again as a child's listener. Its
            // one-shot watch is spent all the same.
            told += self.tell(zxid, Side::Child, EventKind::Deleted, path, &change.acl);
        }
        if change.kind == ChangeKind::DataChanged {
            return [told, 0];
        }
        let Some(parent) = path.parent() else { return [told, 0] };
        self.turn += 1;
        [told, self.tell(zxid, Side::Child, EventKind::ChildrenChanged, parent, &change.parent_acl)]
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

/// What a listener waits for in a world, as a client would list it that comes back with it.
fn waited(table: &Table, id: ListenerId, world: &Machine) -> SetWatches {
    let mut waited = SetWatches { relative: world.last_zxid(), ..SetWatches::default() };
    for (path, kind) in table.of(id) {
        let list = match kind {
            // What has not been told yet waits for what is there, or for what is not.
            Kind::Data if world.holds(path) => &mut waited.data,
            Kind::Data => &mut waited.exist,
            Kind::Child => &mut waited.child,
            Kind::Persistent => &mut waited.persistent,
            Kind::Recursive => &mut waited.recursive,
        };
        list.push(Text::from(path));
    }
    waited
}

/// What is meant by who asks for watches or takes them away. One for a znode that is there and one for a znode that is
/// not are the same to him.
pub(crate) const fn meant_by(watcher_type: WatcherType) -> &'static [WatchKind] {
    match watcher_type {
        WatcherType::Children => &[WatchKind::Child],
        WatcherType::Data => &[WatchKind::Data],
        WatcherType::Persistent => &[WatchKind::Persistent],
        WatcherType::PersistentRecursive => &[WatchKind::Recursive],
        WatcherType::Any => &[WatchKind::Data, WatchKind::Child, WatchKind::Persistent, WatchKind::Recursive],
    }
}

impl Listener {
    /// Where is counted what becomes of watches.
    pub(crate) fn metrics(&self) -> &Metrics {
        self.watches.metrics()
    }

    /// Registers watches, and leaves of them those that were not there yet. The caller holds the replica for reading,
    /// and has not let go of it since the reads that the watches stand for.
    pub(crate) fn watch_new(&self, watches: &mut Vec<(Text, WatchKind)>) {
        for kind in WatchKind::ALL {
            let count = watches.iter().filter(|(_, armed)| *armed == kind).count();
            if count > 0 {
                self.metrics().watching.armed(kind).inc_by(count as u64);
            }
        }
        let table = &mut self.watches.state.lock().table;
        watches.retain(|(path, kind)| table.add(self.id, path, (*kind).into()));
    }

    /// Registers what a returning client still waits for, and names to `new` what was not there yet.
    pub(crate) fn watch_all(&self, waiting: &SetWatches, mut new: impl FnMut(&str, WatchKind)) {
        let mut state = self.watches.state.lock();
        for (kind, paths) in lists(waiting) {
            for path in paths {
                if state.table.add(self.id, path, kind.into()) {
                    new(path, kind);
                }
            }
        }
    }

    /// In which of the ways meant this connection listens to exactly this path; takes them away if `remove`.
    pub(crate) fn find(&self, path: &str, meant: WatcherType, remove: bool) -> Vec<WatchKind> {
        let table = &mut self.watches.state.lock().table;
        let mut found = meant_by(meant).to_vec();
        found.retain(|&kind| {
            let kind = kind.into();
            if remove { table.remove(self.id, path, kind) } else { table.has(self.id, path, kind) }
        });
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
