//! Clients that others wrote, against three members.
#![allow(clippy::unwrap_used, reason = "a test that finds nothing where something should be has failed")]

#[path = "clients/changes.rs"]
mod changes;
#[path = "clients/curator.rs"]
mod curator;
#[path = "clients/kazoo.rs"]
mod kazoo;
#[path = "clients/rust.rs"]
mod rust;
#[path = "clients/zkcli.rs"]
mod zkcli;
