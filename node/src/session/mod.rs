//! What a session is on this member: a connection that it is attached to, and the mailbox of that connection.
// Layers, lowest first.
mod read_only;

mod registry;

pub(crate) use registry::{Entered, Registry, Seat};
