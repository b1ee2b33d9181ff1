//! Input that no client library sends: malformed, oversized, endless, or meant to do harm.
//!
//! Each kind of it is a test, or a row of one. Behind every one of them the member must live, in the same process and
//! without a panic; a session that has nothing to do with it must be served, and be told nothing but what is its own;
//! and the member must not have kept the memory.
#![allow(clippy::unwrap_used, reason = "a test that finds nothing where something should be has failed")]

#[path = "hostile/victim.rs"]
mod victim;

#[path = "hostile/amplifiers.rs"]
mod amplifiers;
#[path = "hostile/floods.rs"]
mod floods;
#[path = "hostile/frames.rs"]
mod frames;
#[path = "hostile/greetings.rs"]
mod greetings;
#[path = "hostile/paths.rs"]
mod paths;
#[path = "hostile/ports.rs"]
mod ports;
#[path = "hostile/requests.rs"]
mod requests;
