//! Deliveries to frames.
use std::time::Instant;

use bytes::BytesMut;
use proto::jute;

use super::lane::Lane;
use crate::mailbox::Delivery;
use crate::stats::{Request, Traffic};

/// A write was answered whose turn it was not. The log keeps the order of a session's writes, so this is a fault of
/// ours, and the client must not be told the wrong answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OutOfTurn;

/// Appends the frame of a delivery. Returns the bytes of an answer, and nothing of a notification.
///
/// # Errors
/// [`OutOfTurn`], and then nothing was appended.
pub(super) fn write(
    out: &mut BytesMut,
    delivery: Delivery,
    lane: &mut Lane<Request>,
    traffic: &mut Traffic,
    now: Instant,
) -> Result<usize, OutOfTurn> {
    let before = out.len();
    match delivery {
        Delivery::Event(frame) => {
            out.extend_from_slice(&frame);
            traffic.notified(1, frame.len());
            return Ok(0);
        }
        Delivery::CaughtUp { frames, count } => {
            out.extend_from_slice(&frames);
            traffic.notified(count, frames.len());
            return Ok(0);
        }
        Delivery::Answer { xid, zxid, result } => {
            jute::reply::write_reply(out, xid, zxid, &result);
            traffic.replied(xid, out.len() - before);
        }
        Delivery::Written { seq, zxid, result } => {
            let done = lane.written(seq).ok_or(OutOfTurn)?;
            traffic.answered(done.xid, done.arrived, zxid, now);
            jute::reply::write_reply(out, done.xid, zxid, &result);
            traffic.replied(done.xid, out.len() - before);
        }
        // A connection greets once, and the answer was taken by the handshake; the rest is for the connection.
        Delivery::Welcome(_)
        | Delivery::Refused
        | Delivery::Noted { .. }
        | Delivery::Reconfiguring
        | Delivery::Late(_)
        | Delivery::Replaced { .. } => return Err(OutOfTurn),
    }
    Ok(out.len() - before)
}
