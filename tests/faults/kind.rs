//! Kinds of trouble, by the names that an operator of the tests gives them.

use std::fmt;
use std::str::FromStr;

use anyhow::{Result, bail};

/// A kind of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A member is killed (-9) and started again at once.
    Kill,
    /// A member is killed and started again after a while.
    KillLong,
    /// A member is frozen (SIGSTOP), for a moment or beyond the timeout of sessions.
    Freeze,
    /// A member is cut off from the others, the leader half of the time: nobody hears of it, and nothing gets through.
    CutOff,
    /// A member's connections with the others are broken, and it can make no new ones.
    Tear,
    /// The members are parted into two halves, one of which is larger.
    Halves,
    /// What one member says does not reach the others, or one of them, but it hears them.
    OneWay,
    /// Two groups that do not reach each other, and a member that reaches both.
    Bridge,
    /// A member comes back with a disk that syncs slowly, until it is restarted the next time.
    SlowDisk,
    /// A member is told to leave (SIGTERM), the leader half of the time, and started again.
    Leave,
    /// All members leave and come back, one after the other.
    Rolling,
    /// All are killed at once and started again.
    KillAll,
    /// A member's disk is full, or fails to write or to sync its log or its state, until the member has ended; then it is
    /// mended and the member started again. The members need [disks that can](crate::Plan::faulty_disks).
    BrokenDisk,
    /// A member is killed while it writes its log, so that the last record is there in part; what it had acknowledged is
    /// there.
    TornRecord,
    /// A bit of a member's log or state has changed when it is started again: it refuses, is recovered and comes back, or
    /// serves where nothing reads that bit any more.
    Damage,
    /// A member loses all that it had on disk, and comes back with the same number and at the same address.
    LostDisk,
    /// The wall clock of a member, or of all, jumps forward or back, by seconds to hours. The members need
    /// [clocks that can](crate::Plan::shifting_clocks).
    Clock,
    /// A member loses its disk and another takes its place, with the same number and at another address; or one is
    /// removed and added again with what it has. The members must [reach each other directly](crate::Plan::wired), for
    /// where a member is then stands in the log and is the same for all, and [may change](super::CHANGEABLE).
    Members,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::Kill,
        Self::KillLong,
        Self::Freeze,
        Self::CutOff,
        Self::Tear,
        Self::Halves,
        Self::OneWay,
        Self::Bridge,
        Self::SlowDisk,
        Self::Leave,
        Self::Rolling,
        Self::KillAll,
        Self::BrokenDisk,
        Self::TornRecord,
        Self::Damage,
        Self::LostDisk,
        Self::Clock,
        Self::Members,
    ];

    /// Whether it needs wires that can be cut.
    pub fn is_of_wires(self) -> bool {
        matches!(self, Self::CutOff | Self::Tear | Self::Halves | Self::OneWay | Self::Bridge)
    }

    fn word(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::KillLong => "kill-long",
            Self::Freeze => "freeze",
            Self::CutOff => "cut-off",
            Self::Tear => "tear",
            Self::Halves => "halves",
            Self::OneWay => "one-way",
            Self::Bridge => "bridge",
            Self::SlowDisk => "slow-disk",
            Self::Leave => "leave",
            Self::Rolling => "rolling",
            Self::KillAll => "kill-all",
            Self::BrokenDisk => "broken-disk",
            Self::TornRecord => "torn-record",
            Self::Damage => "damage",
            Self::LostDisk => "lost-disk",
            Self::Clock => "clock",
            Self::Members => "members",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for Kind {
    type Err = anyhow::Error;

    fn from_str(word: &str) -> Result<Self> {
        match Self::ALL.into_iter().find(|kind| kind.word() == word) {
            Some(kind) => Ok(kind),
            None => {
                bail!("`{word}` is not a kind of trouble; there are {}", Self::ALL.map(Self::word).join(", "))
            }
        }
    }
}
