//! A client's journey: accepted by the listener, greeted by the handshake, and then one loop that turns requests
//! into proposals and reads, and deliveries into replies.
// Layers, lowest first.
mod door;

mod load;

mod member;

mod lane;

mod read;
mod receipts;
mod reply;

mod handshake;

mod wire;

mod end;

mod awaited;
mod share;

mod connection;

mod arrival;

mod listener;

pub(crate) use listener::Listening;
#[cfg(simulation)]
pub(crate) use listener::serve_stream;
pub(crate) use load::Load;
pub(crate) use member::Member;
