//! What a session is on this member: a connection that it is attached to, and the mailbox of that connection.
mod registry;

pub(crate) use registry::{Registry, Seat};
