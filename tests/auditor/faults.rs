//! What goes wrong with members during a round.

use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use fastrand::Rng;

use super::history::{Fault, Millis};
use crate::Ensemble;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// A member is killed (-9) and started again.
    Kill,
    /// A member is frozen for a while (SIGSTOP, SIGCONT).
    Freeze,
    /// A member is cut off from the others for a while.
    Cut,
}

impl FromStr for Trouble {
    type Err = anyhow::Error;

    fn from_str(word: &str) -> Result<Self> {
        Ok(match word {
            "kill" => Self::Kill,
            "freeze" => Self::Freeze,
            "cut" => Self::Cut,
            _ => bail!("`{word}` is not a fault; there are kill, freeze and cut"),
        })
    }
}

/// How long others take to come to terms with what has happened, beyond the moment when the member serves again.
const AFTERMATH_MS: Millis = 500;

/// What is going on until a fault is over.
const WITHOUT_END: Millis = Millis::MAX;

/// Makes trouble until `end`, one thing after the other, and leaves everything in order. Returns what it did.
pub(super) fn make(
    ensemble: &mut Ensemble,
    kinds: &[Trouble],
    rng: &mut Rng,
    began: Instant,
    end: Instant,
) -> Vec<Fault> {
    let mut maker = Maker { ensemble, rng, began, faults: Vec::new() };
    loop {
        let rest = Duration::from_millis(maker.rng.u64(200..2_500));
        std::thread::sleep(rest.min(end.saturating_duration_since(Instant::now())));
        if Instant::now() >= end {
            return maker.faults;
        }
        if let Some(kind) = maker.rng.choice(kinds) {
            maker.trouble(*kind);
        }
    }
}

struct Maker<'a> {
    ensemble: &'a mut Ensemble,
    rng: &'a mut Rng,
    began: Instant,
    faults: Vec<Fault>,
}

impl Maker<'_> {
    fn trouble(&mut self, kind: Trouble) {
        let member = self.choose();
        let first = self.faults.len();
        self.note(member, kind == Trouble::Kill);
        match kind {
            Trouble::Kill => {
                self.ensemble.kill9(member);
                self.pass(..1_200);
                self.ensemble.start_member(member);
            }
            Trouble::Freeze => {
                self.ensemble.pause(member);
                self.pass(100..4_000);
                // Now and then a second one is killed at the same time, and for a moment there is no quorum.
                if self.rng.u8(..8) == 0 {
                    let other = self.ensemble.ids().find(|id| *id != member).unwrap_or(member);
                    self.note(other, true);
                    self.ensemble.kill9(other);
                    self.pass(..500);
                    self.ensemble.start_member(other);
                }
                self.ensemble.resume(member);
            }
            Trouble::Cut => {
                self.ensemble.cut_off(member);
                self.pass(300..4_000);
                self.ensemble.rejoin(member);
            }
        }
        self.ensemble.wait_until_serving();
        let until = self.now() + AFTERMATH_MS;
        for fault in &mut self.faults[first..] {
            fault.until = until;
        }
    }

    /// The leader half of the time: its death has the most to it.
    fn choose(&mut self) -> usize {
        let any = self.rng.usize(1..=self.ensemble.ids().count());
        if self.rng.bool() { self.ensemble.leader().unwrap_or(any) } else { any }
    }

    fn note(&mut self, member: usize, is_kill: bool) {
        let from = self.now();
        self.faults.push(Fault { member, is_kill, from, until: WITHOUT_END });
    }

    fn pass(&mut self, millis: impl std::ops::RangeBounds<u64>) {
        std::thread::sleep(Duration::from_millis(self.rng.u64(millis)));
    }

    fn now(&self) -> Millis {
        Millis::try_from(self.began.elapsed().as_millis()).unwrap_or(Millis::MAX - AFTERMATH_MS)
    }
}
