//! Whether what clients were told can be true, whatever happened to the members.
//!
//! Clients of one [round](round::run) ask for what comes into a seeded mind, and write down every request and every
//! reply with its zxid. The [verdict](judge) is a pure function of that [history](history::History): zxids are
//! witnesses of the order in which things happened, so that a reply can be held against a tree in which exactly that
//! has happened; what they cannot decide, a [search] for any order that explains it all can. What became of requests
//! that nobody answered, and when sessions ended, a [log](logged) that goes back to the first transaction knows; without
//! one it is concluded from what others were told.
// Layers, lowest first. A module imports only from those above it.
pub mod logged;
mod numbers;

pub mod history;

mod bounds;
mod concern;
mod model;
pub mod verdict;

mod order;
mod pending;
mod sightings;
mod timeline;

mod ledger;

mod evidence;

mod explain;
mod witness;

mod classify;
pub mod search;

pub mod file;
mod judge;
mod keeper;
mod wire;

pub mod client;
pub mod sabotage;
pub mod workload;

pub mod round;

#[cfg(test)]
mod tests;

pub use judge::judge;
