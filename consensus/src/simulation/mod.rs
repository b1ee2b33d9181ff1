//! A whole ensemble in one thread and in simulated time, by a seed: the real machine, log, elections, forwarding, expiry
//! and snapshots, over a network and disks that are simulated, and with faults of every kind.
//!
//! A seed is one such ensemble: three to five voters and perhaps an observer begin, two to five clients write; for up to four
//! seconds there is harm, of the kinds that the seed draws, every few hundred milliseconds, and in one seed of three members
//! are added, removed, promoted and demoted meanwhile; then all faults end, everybody must serve within a bound, and all is
//! compared. That takes some six simulated seconds. The same seed gives the same run.
//!
//! The bugs that can be put in (`runtime::bugs`) are found: those that are listed in the tests within so many seeds, the others
//! in scenes.
//!
//! What it must never come to is what `Witness` sees at every write and apply, and what the clients know of themselves.
#![cfg_attr(
    not(test),
    allow(dead_code, reason = "scenes and bugs put in on purpose are of this crate's own tests")
)]
// Layers, lowest first. A module imports only from those above it.
mod ear;
mod words;

mod guests;
mod seat;
mod world;

mod talk;

mod client;
mod operator;
mod storm;

mod run;

mod seeds;

#[cfg(test)]
mod tests;

pub use guests::{Guests, Surroundings, Tenancy};
pub use run::{Outcome, run_with_guests};
pub use seeds::{attempt, run_as_told};

pub use crate::runtime::dice::Dice;

/// Bytes by the seed of the life whose task runs now.
///
/// # Panics
/// Outside a life.
pub fn secret() -> [u8; 16] {
    let life = crate::runtime::life::current().expect("a member draws");
    (u128::from(life.dice.number()) << 64 | u128::from(life.dice.number())).to_be_bytes()
}
