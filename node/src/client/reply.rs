//! Deliveries to frames.
use std::time::Instant;

use bytes::BytesMut;
use proto::jute;

use super::lane::Lane;
use crate::mailbox::Delivery;
use crate::stats::Traffic;

/// A write was answered whose turn it was not. The log keeps the order of a session's writes, so this is a fault of
/// ours, and the client must not be told the wrong answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OutOfTurn;

/// Appends the frame of a delivery.
///
/// # Errors
/// [`OutOfTurn`], and then nothing was appended.
pub(super) fn write(
    out: &mut BytesMut,
    delivery: Delivery,
    lane: &mut Lane<Instant>,
    traffic: &mut Traffic,
    now: Instant,
) -> Result<(), OutOfTurn> {
    match delivery {
        Delivery::Event(frame) => out.extend_from_slice(&frame),
        Delivery::CaughtUp { frames, count } => {
            out.extend_from_slice(&frames);
            // Each is a packet; the last one is counted below, like every other.
            (1..count).for_each(|_| traffic.sent());
        }
        Delivery::Answer { xid, zxid, result } => jute::reply::write_reply(out, xid, zxid, &result),
        Delivery::Written { seq, zxid, result } => {
            let done = lane.written(seq).ok_or(OutOfTurn)?;
            traffic.answered(now.saturating_duration_since(done.arrived));
            jute::reply::write_reply(out, done.xid, zxid, &result);
        }
        // A connection greets once, and the answer was taken by the handshake; the rest is for the connection.
        Delivery::Welcome(_)
        | Delivery::Refused
        | Delivery::Noted { .. }
        | Delivery::Late(_)
        | Delivery::Replaced { .. } => return Err(OutOfTurn),
    }
    traffic.sent();
    Ok(())
}
