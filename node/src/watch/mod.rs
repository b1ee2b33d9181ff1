//! Who is listening to what on this member, right now.
//!
//! This is the live half of a watch: it fires at memory speed to the clients that are connected here, and is gone
//! with the connection. What every member must know of a watch, so that a session can move without losing an event,
//! is reported to the replicated world.
mod table;

mod live;

mod report;

pub(crate) use live::{Listener, Watches, meant_by};
pub(crate) use report::{Report, Reports};
