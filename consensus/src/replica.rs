//! The lock around the world, and who is told what happened behind it.

use std::sync::Arc;
use std::time::Duration;

use machine::{Applied, Command, Machine};
use parking_lot::RwLock;
use proto::Zxid;

/// The one arrow that points up: who is told what was applied, while the world is locked for writing.
pub trait Observer: Send + Sync + 'static {
    /// A command was applied. `machine` is the world right behind it.
    fn applied(&self, machine: &Machine, applied: &Applied);

    /// The whole world was replaced by a snapshot; what led from the `old` one to the `new` one was not told one by one.
    fn replaced(&self, old: &Machine, new: &Machine);

    /// Something of this part's own work was measured. It is told from any thread, and nothing is locked.
    fn measured(&self, _amount: Amount) {}
}

/// What this part measures of its own work, for operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// The state and the log on disk were opened.
    Opened(Duration),
    /// The log was written and synced, with so many entries.
    LogSynced {
        /// How long that took.
        took: Duration,
        /// How many entries were among it.
        entries: usize,
    },
    /// This member, as the leader, put an entry of so many bytes into the log.
    Proposed(usize),
    /// Such an entry was committed and applied here, so long after.
    Committed(Duration),
    /// Transactions were applied so long after the leader had stamped them, by the clocks of both.
    Propagated(Duration),
    /// The state on disk was made firm.
    StateFlushed {
        /// How long that took.
        took: Duration,
        /// Where the world stood when it began.
        zxid: Zxid,
    },
    /// The whole state of another member was received and taken over.
    StateReceived(Duration),
}

/// Who inside this crate is told what was applied, ahead of the [`Observer`], under the same hold of the lock. It
/// must be quick, and must not touch the replica.
pub(crate) trait Hook: Send + Sync {
    /// `command` was applied and came to `applied`; `machine` is the world right behind it.
    fn applied(&self, machine: &Machine, command: &Command, applied: &Applied);

    /// The whole world was replaced by a snapshot; what led there was not told one by one.
    fn replaced(&self, machine: &Machine);
}

/// This member's copy of the world.
pub(crate) struct Replica {
    machine: RwLock<Machine>,
    hooks: Vec<Arc<dyn Hook>>,
    observer: Arc<dyn Observer>,
}

impl Replica {
    /// The world as it was found on disk.
    pub(crate) fn new(machine: Machine, hooks: Vec<Arc<dyn Hook>>, observer: Arc<dyn Observer>) -> Self {
        Self { machine: RwLock::new(machine), hooks, observer }
    }

    /// Tells what was measured.
    pub(crate) fn measured(&self, amount: Amount) {
        self.observer.measured(amount);
    }

    /// Looks at the world. Readers and the writer take turns, so `look` must be short.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&Machine) -> T) -> T {
        look(&self.machine.read())
    }

    /// Applies `commands` under one hold of the lock, and returns what `behind` makes of the world right behind them.
    pub(crate) fn apply<T>(&self, commands: &[Command], behind: impl FnOnce(&mut Machine) -> T) -> T {
        let mut machine = self.machine.write();
        for command in commands {
            #[cfg(any(test, simulation))]
            let tampered = crate::runtime::bugs::tampered(&machine, command);
            #[cfg(any(test, simulation))]
            let command = tampered.as_ref().unwrap_or(command);
            let applied = machine.apply(command);
            for hook in &self.hooks {
                hook.applied(&machine, command, &applied);
            }
            self.observer.applied(&machine, &applied);
        }
        behind(&mut machine)
    }

    /// Puts another world in the place of this one.
    pub(crate) fn replace(&self, world: Machine) {
        // The old world is large: it is torn down after the lock is released, so that no reader waits for that.
        let _old = {
            let mut machine = self.machine.write();
            let old = std::mem::replace(&mut *machine, world);
            for hook in &self.hooks {
                hook.replaced(&machine);
            }
            self.observer.replaced(&old, &machine);
            old
        };
    }
}
