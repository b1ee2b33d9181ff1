//! A client's journey: accepted by the listener, greeted by the handshake, and then one loop that turns requests
//! into proposals and reads, and deliveries into replies.
// Layers, lowest first.
mod member;

mod lane;

mod forgone;

mod read;
mod receipts;
mod reply;

mod handshake;

mod end;

mod connection;

mod listener;

pub(crate) use listener::Listening;
pub(crate) use member::Member;
