//! How much memory the world may take, and what a leader does about it.
//!
//! Every member sees how much its own world takes, but only the leader decides whether that is too much: it says so in the entries that
//! it proposes (`Rules::FULL`), and all members go by what stands there. What it proposes is applied later, so what is on its way
//! counts as well, and nobody knows how much that will come to before it is applied. So near the bound entries go one by one:
//! each finds a world in which everything before it has been done. What goes beyond the bound is what one entry adds, or a few of
//! them where a new leader has not applied yet what others left on the way.

use std::sync::atomic::{AtomicU64, Ordering};

use machine::{Applied, Command, Machine};
use parking_lot::Mutex;
use proto::limits::{BATCH_BYTES_MAX, BATCHES_IN_FLIGHT_MAX};
use tracing::{info, warn};

use crate::replica::Hook;

/// How much more the world takes than the requests do that make it so. The shortest that creates a znode is a part of a multi of
/// some fifty bytes, of which become up to six hundred: a znode without data, ephemeral, the first child of its parent.
const GROWTH: u64 = 12;

/// So near to the bound entries go one by one: as much as those may come to that may be on their way otherwise, and the next.
const NEAR_BYTES: u64 = GROWTH * (BATCHES_IN_FLIGHT_MAX as u64 + 1) * BATCH_BYTES_MAX as u64;

/// How much the world of a member takes, and may take.
#[derive(Debug)]
pub(crate) struct Room {
    max: Option<u64>,
    taken: AtomicU64,
    told: Mutex<Told>,
}

impl Room {
    /// Of a world as it was found on disk; without a bound, if it has none.
    pub(crate) fn new(max: Option<u64>, machine: &Machine) -> Self {
        let room = Self { max, taken: AtomicU64::new(0), told: Mutex::default() };
        room.takes(machine.world_bytes());
        room
    }

    /// Whether what adds to the world is to be refused.
    pub(crate) fn is_full(&self) -> bool {
        self.max.is_some_and(|max| self.taken() > max)
    }

    /// How many entries may be on their way at a time.
    pub(crate) fn entries_at_once(&self) -> usize {
        // In a full world nothing grows, and it is to be emptied as fast as it can be.
        let is_near = |max| !self.is_full() && self.taken() + NEAR_BYTES > max;
        if self.max.is_some_and(is_near) { 1 } else { BATCHES_IN_FLIGHT_MAX }
    }

    fn taken(&self) -> u64 {
        self.taken.load(Ordering::Acquire)
    }

    pub(crate) fn takes(&self, bytes: u64) {
        self.taken.store(bytes, Ordering::Release);
        let Some(max) = self.max else { return };
        let mut told = self.told.lock();
        let before = *told;
        *told = before.next(bytes, max);
        match (before, *told) {
            (Told::Roomy, Told::Near) => {
                warn!(bytes, max, "the world takes nine tenths of the memory that it may");
            }
            (Told::Roomy | Told::Near, Told::Full) => warn!(
                bytes,
                max,
                "the world takes more memory than it may: what adds to it is refused while a leader finds it so"
            ),
            (Told::Near | Told::Full, Told::Roomy) => {
                info!(bytes, max, "the world takes less than eight tenths of the memory that it may again");
            }
            _ => {}
        }
    }
}

impl Hook for Room {
    fn applied(&self, machine: &Machine, _command: &Command, _applied: &Applied) {
        self.takes(machine.world_bytes());
    }

    fn replaced(&self, machine: &Machine) {
        self.takes(machine.world_bytes());
    }
}

/// What the log was told last. A world that stays near one of its marks is told of once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Told {
    #[default]
    Roomy,
    Near,
    Full,
}

impl Told {
    fn next(self, bytes: u64, max: u64) -> Self {
        let tenths = |tenths: u64| max / 10 * tenths;
        match self {
            _ if bytes > max => Self::Full,
            _ if bytes < tenths(8) => Self::Roomy,
            Self::Roomy if bytes >= tenths(9) => Self::Near,
            told => told,
        }
    }
}

#[cfg(test)]
mod tests {
    use machine::{Act, Home, Rules};
    use proto::{MemberId, Text};

    use super::*;

    fn of(max: Option<u64>, bytes: u64) -> Room {
        let room = Room::new(max, &Machine::new());
        room.takes(bytes);
        room
    }

    #[test]
    fn entries_go_one_by_one_near_the_bound_and_are_marked_beyond_it() {
        let max = 1 << 30;
        for (bytes, at_once, is_full) in [
            (0, BATCHES_IN_FLIGHT_MAX, false),
            (max - NEAR_BYTES, BATCHES_IN_FLIGHT_MAX, false),
            (max - NEAR_BYTES + 1, 1, false),
            (max, 1, false),
            (max + 1, BATCHES_IN_FLIGHT_MAX, true),
        ] {
            let room = of(Some(max), bytes);
            assert_eq!((room.entries_at_once(), room.is_full()), (at_once, is_full), "{bytes} bytes");
        }
        let unbounded = of(None, u64::MAX);
        assert_eq!((unbounded.entries_at_once(), unbounded.is_full()), (BATCHES_IN_FLIGHT_MAX, false));
    }

    #[test]
    fn what_the_log_is_told_does_not_flap() {
        let mut told = Told::Roomy;
        for (bytes, expected) in [
            (899, Told::Roomy),
            (900, Told::Near),
            (850, Told::Near),
            (950, Told::Near),
            (1_000, Told::Near),
            (1_001, Told::Full),
            (999, Told::Full),
            (1_001, Told::Full),
            (800, Told::Full),
            (799, Told::Roomy),
            (899, Told::Roomy),
            (1_001, Told::Full),
        ] {
            told = told.next(bytes, 1_000);
            assert_eq!(told, expected, "{bytes} bytes");
        }
    }

    #[test]
    fn it_follows_what_is_applied_and_what_is_taken_over() {
        let mut machine = Machine::new();
        let empty = machine.world_bytes();
        let room = Room::new(Some(empty), &machine);
        assert!(!room.is_full());
        let home = Home { member: MemberId::new(1), boot: 1, connection: 1 };
        let open = Act::Open { home, password: [0; 16], timeout_ms: 1_000, address: Text::from("10.0.0.1") };
        let command = Command { time: 1, rules: Rules::default(), act: open };
        let applied = machine.apply(&command);
        room.applied(&machine, &command, &applied);
        assert!(room.is_full() && room.taken() == machine.world_bytes());
        room.replaced(&Machine::new());
        assert!(!room.is_full() && room.taken() == empty);
    }
}
