//! Clients that others wrote, against three members.
#![allow(clippy::unwrap_used, reason = "a test that finds nothing where something should be has failed")]

#[path = "clients/auth.rs"]
mod auth;
#[path = "clients/c.rs"]
mod c;
#[path = "clients/changes.rs"]
mod changes;
#[path = "clients/curator.rs"]
mod curator;
#[path = "clients/kazoo.rs"]
mod kazoo;
#[path = "clients/kazoo_suite.rs"]
mod kazoo_suite;
#[path = "clients/older_rust.rs"]
mod older_rust;
#[path = "clients/program.rs"]
mod program;
#[path = "clients/recipes.rs"]
mod recipes;
#[path = "clients/rust.rs"]
mod rust;
#[path = "clients/zkcli.rs"]
mod zkcli;
