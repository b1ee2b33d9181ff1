//! What clients send.
use bytes::{Bytes, BytesMut};
use proto::jute::{connect, frame, request};
use proto::{OpCode, Request};

use crate::bounds::within_bounds;

/// The largest frame of these inputs: small, so that the bound is met.
const FRAME_BYTES_MAX: usize = 1_000;

/// A stream that arrives in pieces, of which the first byte says how large they are: what is cut off it is what stands
/// in it, and nothing is taken that was not sent.
///
/// # Panics
/// This and the following panic if what is said of them does not hold.
pub fn frames(data: &[u8]) {
    let Some((&first, stream)) = data.split_first() else { return };
    within_bounds(stream.len() + FRAME_BYTES_MAX, || {
        let mut buffer = BytesMut::new();
        let mut cut = 0;
        for piece in stream.chunks(usize::from(first).max(1)) {
            buffer.extend_from_slice(piece);
            loop {
                match frame::take(&mut buffer, FRAME_BYTES_MAX) {
                    Ok(Some(frame)) => {
                        assert!(frame.len() <= FRAME_BYTES_MAX, "a frame above the bound");
                        let prefix = i32::from_be_bytes(stream[cut..cut + 4].try_into().unwrap_or_default());
                        assert_eq!(
                            usize::try_from(prefix),
                            Ok(frame.len()),
                            "its length is what stood there"
                        );
                        assert_eq!(
                            stream[cut + 4..cut + 4 + frame.len()],
                            frame,
                            "it holds what stood there"
                        );
                        cut += 4 + frame.len();
                    }
                    Ok(None) => break,
                    Err(overlong) => {
                        let is_so =
                            usize::try_from(overlong.length).is_ok_and(|length| length <= FRAME_BYTES_MAX);
                        assert!(!is_so, "a frame within the bound is refused: {overlong}");
                        return;
                    }
                }
            }
        }
        assert!(stream.len() - cut < 4 + FRAME_BYTES_MAX, "a whole frame was left");
    });
}

/// The first frame of a connection.
pub fn greeting(data: &[u8]) {
    let frame = Bytes::copy_from_slice(data);
    within_bounds(0, || {
        if let Ok(greeting) = connect::read_greeting(frame) {
            assert!(data.len() >= 28 + greeting.password.len(), "more was read than there is");
            assert!(greeting.timeout_ms == i32::from_be_bytes(data[12..16].try_into().unwrap_or_default()));
        }
    });
}

/// A frame behind the greeting: header, record, and the record of a write, which is read where it is applied.
pub fn requests(data: &[u8]) {
    let frame = Bytes::copy_from_slice(data);
    within_bounds(data.len(), || {
        let Ok((_, op, body)) = request::read_header(frame) else {
            assert!(data.len() < 8, "a header that is there is not read");
            return;
        };
        match request::read_body(op, body.clone()) {
            Ok(Request::Write(op, body)) => drop(request::read_write(op, body)),
            Ok(Request::Unserved(number)) => assert_eq!(number, op),
            Ok(_) | Err(_) => {}
        }
    });
}

/// The record of a multi, and of a multiRead.
pub fn multi(data: &[u8]) {
    let body = Bytes::copy_from_slice(data);
    within_bounds(data.len(), || {
        // Only one of them has operations of a kind, and an empty one is both.
        let writes = request::read_write(OpCode::Multi, body.clone());
        let reads = request::read_body(OpCode::MultiRead.to_wire(), body);
        if let (Ok(proto::request::Write::Multi(writes)), Ok(_)) = (&writes, &reads) {
            assert!(writes.is_empty(), "a multi that is a multiRead");
        }
    });
}
