//! What may happen to members: one kind of trouble after the other, drawn from a seed.
// Layers, lowest first. A module imports only from those above it.
pub mod kind;

mod disks;
mod members;

mod act;

pub mod maker;

pub use kind::Kind;
pub use maker::{Done, make};
pub use members::CHANGEABLE;
