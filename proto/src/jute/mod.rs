//! How requests and replies look on a client's wire (PROTOCOL, sections "Framing" to "Records").
//!
//! Everything is big endian. A frame is a length and that many bytes; [`frame`] finds the frames in a stream.
pub mod read;
pub mod write;

pub mod frame;

mod acl;
pub mod connect;
mod multi;
pub mod reply;
pub mod request;

pub use read::Malformed;

#[cfg(test)]
mod tests;
