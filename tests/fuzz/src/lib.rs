//! What is fed to each decoder, and what must hold: no panic, and no memory but what the input can account for.
//!
//! The functions take any bytes. The fuzzer calls them with those that it makes up, and a test of the workspace with the
//! seeds, on every run. They are pure, so what they found once they find again.
mod bounds;
#[cfg(feature = "server")]
mod server;
mod wire;

#[cfg(feature = "server")]
pub use server::{config, entries};
pub use wire::{frames, greeting, multi, requests};
