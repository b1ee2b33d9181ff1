//! Whether Corral says what Apache ZooKeeper says: the same seeded sequences of requests are sent to both, and every
//! reply and every notification is compared, field by field.
//!
//! Positions are compared as differences, times as far as they must be equal to each other, and sessions by their order.
//! A difference is a fault of Corral's, or it is in the list of [`wanted::WANTED`]. The driver knows nothing of what
//! should be answered.
// Layers, lowest first. A module imports only from those above it.
pub mod record;

pub mod line;
pub mod step;
mod vocabulary;

pub mod exchange;

mod pen;
mod wire;

pub mod generate;
mod reset;
mod side;
mod watched;

pub mod wanted;

pub mod tally;

pub mod pair;

pub mod shrink;
