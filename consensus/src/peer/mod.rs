//! What members say to each other, and over which connections.

mod client;
mod dial;
mod introduction;
mod message;
mod server;

pub(crate) use dial::Peers;
pub(crate) use server::{Answering, serve};
