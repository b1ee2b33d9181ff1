//! What members say to each other, and over which connections.

mod client;
mod complaint;
mod dial;
mod hold;
mod introduction;
mod merge;
mod message;
mod network;
mod patience;
mod reach;
mod server;
#[cfg(any(test, simulation))]
pub(crate) mod simulated;

pub(crate) use dial::Peers;
pub(crate) use hold::Holds;
pub(crate) use network::{Network, Tcp};
pub(crate) use patience::Patience;
pub(crate) use server::{Answering, answers};
