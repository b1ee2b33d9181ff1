//! The process: all that a client or an operator can touch.
// Layers, lowest first. A module imports only from those above it; the tidy test checks.
pub mod bench;
pub mod config;

mod chance;
mod mailbox;
mod metrics;
mod quota;

mod stats;

mod watch;

mod session;

mod observer;

mod auth;
mod reign;
mod tls;

mod serving;

pub mod admin;

mod client;

mod parts;

pub mod server;
#[cfg(simulation)]
pub mod simulated;
