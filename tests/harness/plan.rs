//! What an ensemble shall be, before it is one.

use std::path::PathBuf;
use std::time::Duration;

use crate::{Server, scratch};

/// What an ensemble shall be.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How many members; one means a standalone server.
    pub members: usize,
    /// `tickTime` in milliseconds.
    pub tick_ms: u64,
    /// Further lines for every member's `zoo.cfg`.
    pub lines: Vec<String>,
    /// What it consists of.
    pub server: Server,
    /// Whether the members speak to each other through wires that a test may cut.
    pub wired: bool,
    /// Java's system properties, each as `-Dname=value`: as a JVM is told them, or Corral by `SERVER_JVMFLAGS`.
    pub flags: Vec<String>,
    /// Whether it runs beside another ensemble of the same test, which has waited for its turn already.
    pub beside: bool,
    /// Whether the members' files are in memory, where there is such a place: for tests of what is said, not of what is
    /// kept.
    pub in_memory: bool,
    /// Whether there is one member more, which observes, keeps the whole log, and is not [named](crate::Ensemble::ids)
    /// with the others: nobody does it any harm.
    pub keeper: bool,
    /// Whether the members' disks [may fail](crate::Ensemble::break_disk).
    pub faulty_disks: bool,
    /// By how much each sync of a member's disk takes longer, from its first start on.
    pub slow_syncs: Duration,
    /// Whether each member has an [`AdminServer`](crate::Ensemble::admin).
    pub admin: bool,
    /// Whether the members' wall clocks [may be wrong](crate::Ensemble::shift_clock).
    pub shifting_clocks: bool,
}

impl Plan {
    /// This many members of the server under test.
    pub fn members(members: usize) -> Self {
        Self {
            members,
            tick_ms: 500,
            lines: Vec::new(),
            server: Server::under_test(),
            wired: false,
            flags: Vec::new(),
            beside: false,
            in_memory: false,
            keeper: false,
            faulty_disks: false,
            slow_syncs: Duration::ZERO,
            admin: false,
            shifting_clocks: false,
        }
    }

    /// The same, with a [keeper](Self::keeper).
    #[must_use]
    pub fn with_keeper(mut self) -> Self {
        self.keeper = true;
        self
    }

    /// The same, with members that can be [cut off](crate::Ensemble::cut_off) from each other.
    #[must_use]
    pub fn wired(mut self) -> Self {
        self.wired = true;
        self
    }

    /// The same, with disks that [may fail](crate::Ensemble::break_disk).
    #[must_use]
    pub fn faulty_disks(mut self) -> Self {
        self.faulty_disks = true;
        self
    }

    /// The same, with disks of which each sync takes longer by as much.
    #[must_use]
    pub fn slow_syncs(mut self, delay: Duration) -> Self {
        self.slow_syncs = delay;
        self.faulty_disks |= !delay.is_zero();
        self
    }

    /// The same, with an `AdminServer` for each member.
    #[must_use]
    pub fn with_admin(mut self) -> Self {
        self.admin = true;
        self
    }

    /// The same, with wall clocks that [may be wrong](crate::Ensemble::shift_clock).
    #[must_use]
    pub fn shifting_clocks(mut self) -> Self {
        self.shifting_clocks = true;
        self
    }

    /// The same with one more of what `SERVER_JVMFLAGS` may hold.
    #[must_use]
    pub fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    /// The same with one more line in `zoo.cfg`.
    #[must_use]
    pub fn line(mut self, line: &str) -> Self {
        self.lines.push(line.to_owned());
        self
    }

    /// Where the members' files go.
    pub(crate) fn folder(&self) -> PathBuf {
        let memory = PathBuf::from("/dev/shm");
        if self.in_memory && memory.is_dir() { memory } else { scratch() }
    }
}
