//! The session code in simulated time: clients that speak their protocol to simulated members, which crash, lose each other
//! and stand still, and that must be told every watch event they are owed.
//!
//! The members are those of the simulation of `consensus`, with everything that `node` has above it but sockets. Made with
//! `RUSTFLAGS="--cfg simulation"` (`make simulate-sessions`); without it there is nothing here.
#![cfg(simulation)]
#![allow(clippy::unwrap_used, reason = "a test that finds nothing where something should be has failed")]

// Layers, lowest first.
#[path = "simulated/record.rs"]
mod record;

#[path = "simulated/house.rs"]
mod house;

#[path = "simulated/wire.rs"]
mod wire;

#[path = "simulated/client.rs"]
mod client;

#[path = "simulated/guests.rs"]
mod guests;

use std::sync::Arc;

use consensus::simulation::{Outcome, attempt, run_as_told, run_with_guests};

use guests::Party;

/// Seeds in each run of the tests.
const SEEDS: u64 = 150;

fn run(seed: u64, aloud: bool, is_deaf: bool) -> Outcome {
    run_with_guests(seed, aloud, Arc::new(Party::new(is_deaf)))
}

#[test]
fn whatever_fails_every_session_is_told_what_it_is_owed() {
    run_as_told(SEEDS, &|seed| attempt(seed, "simulate-sessions", |aloud| run(seed, aloud, false)));
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 1_000_000..1_000_004 {
        let (first, second) = (run(seed, false, false), run(seed, false, false));
        assert_eq!(first.trace, second.trace, "seed {seed}: {:?} and {:?}", first.counts, second.counts);
    }
}

/// A simulation that finds nothing has shown nothing.
#[test]
fn a_client_that_misses_an_event_is_found() {
    let found = (0..20).any(|seed| run(seed, false, true).broken.is_some());
    assert!(found, "clients that do not hear one event in fifty were not found out");
}
