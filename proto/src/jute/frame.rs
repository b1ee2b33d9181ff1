//! Frames in a stream: a length, then that many bytes.

use bytes::{Buf, Bytes, BytesMut};

/// The stream holds a length that no frame may have; there is no way to find the next frame behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {length} bytes, where at most {max} are allowed")]
pub struct Overlong {
    /// The length that stood in the stream.
    pub length: i32,
    /// The bound: `jute.maxbuffer`.
    pub max: usize,
}

/// Bytes of the next frame, whether it has all arrived or not; `None` if its length has not, or cannot be one.
pub fn announced(buffer: &[u8]) -> Option<usize> {
    usize::try_from(i32::from_be_bytes(*buffer.first_chunk()?)).ok()
}

/// Takes the next whole frame off the front of `buffer`, its length not included; `None` if it has not all arrived.
///
/// # Errors
/// [`Overlong`] if the length is negative or more than `max`: the connection cannot go on.
pub fn take(buffer: &mut BytesMut, max: usize) -> Result<Option<Bytes>, Overlong> {
    let Some(prefix) = buffer.first_chunk::<4>() else { return Ok(None) };
    let length = i32::from_be_bytes(*prefix);
    match usize::try_from(length) {
        Ok(size) if size <= max => {
            if buffer.len() < 4 + size {
                buffer.reserve(4 + size - buffer.len());
                return Ok(None);
            }
            buffer.advance(4);
            Ok(Some(buffer.split_to(size).freeze()))
        }
        _ => Err(Overlong { length, max }),
    }
}

/// Appends a frame: `body` writes it, and the length is filled in afterwards.
pub fn put(buffer: &mut BytesMut, body: impl FnOnce(&mut BytesMut)) {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; 4]);
    body(buffer);
    let length = i32::try_from(buffer.len() - start - 4).unwrap_or(i32::MAX);
    buffer[start..start + 4].copy_from_slice(&length.to_be_bytes());
}
