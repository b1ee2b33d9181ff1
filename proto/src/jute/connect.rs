//! The greeting of a connection and the answer to it (PROTOCOL, section "Connection start").

use bytes::{Bytes, BytesMut};

use super::frame;
use super::read::{Malformed, Reader};
use super::write::Writer;
use crate::request::Greeting;
use crate::{SessionId, Zxid};

/// Bytes of a session's password, always.
pub const PASSWORD_BYTES: usize = 16;

/// Reads a greeting, with or without the `readOnly` byte that came with ZooKeeper 3.4.
///
/// # Errors
/// [`Malformed`] if it is too short.
pub fn read_greeting(frame: Bytes) -> Result<Greeting, Malformed> {
    let mut reader = Reader::new(frame);
    let _protocol_version = reader.int()?;
    let last_zxid = Zxid::from_wire(reader.long()?);
    let timeout_ms = reader.int()?;
    let session = SessionId::from_wire(reader.long()?);
    let password = reader.buffer()?.unwrap_or_default();
    let read_only = if reader.is_empty() { None } else { Some(reader.boolean()?) };
    Ok(Greeting { last_zxid, timeout_ms, session, password, read_only })
}

/// Writes the frame that welcomes a client. `read_only` says whether it may only read; it is `None` if the greeting did
/// not carry the `readOnly` byte: the answer carries it exactly then, because clients read an answer of fixed length.
pub fn write_welcome(
    out: &mut BytesMut,
    session: SessionId,
    password: &[u8; PASSWORD_BYTES],
    timeout_ms: i32,
    read_only: Option<bool>,
) {
    frame::put(out, |out| {
        out.int(0);
        out.int(timeout_ms);
        out.long(session.to_wire());
        out.buffer(Some(password));
        if let Some(read_only) = read_only {
            out.boolean(read_only);
        }
    });
}

/// Writes the frame that tells a client that its session is gone (or that its password is wrong: the two are not
/// told apart).
pub fn write_refusal(out: &mut BytesMut, read_only: Option<bool>) {
    write_welcome(out, SessionId::NONE, &[0; PASSWORD_BYTES], 0, read_only);
}
