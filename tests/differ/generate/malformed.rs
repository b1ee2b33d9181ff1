//! Bodies and frames that do not parse, or not as they were meant.

use bytes::Bytes;
use fastrand::Rng;

use crate::differ::step::Ask;
use crate::differ::vocabulary::pick;

/// The same request with a body that has been cut, lengthened, or changed in one place.
pub(super) fn spoil(rng: &mut Rng, ask: &Ask) -> Ask {
    let mut body = ask.body.to_vec();
    let place = |rng: &mut Rng, len: usize| if len == 0 { 0 } else { rng.usize(..len) };
    match rng.u32(..10) {
        0..4 => body.truncate(place(rng, ask.body.len())),
        4..6 => body.extend_from_slice(&[0xee; 5][..rng.usize(1..5)]),
        6..9 if body.len() >= 4 => {
            // Often where a length stands: in front, or at a multiple of four.
            let at = if rng.bool() { 0 } else { place(rng, body.len() - 3) & !3 };
            let number: i32 = *pick(rng, &[&-1, &-2, &0, &1, &i32::MAX, &i32::MIN, &1000, &0x0010_0000]);
            body[at..at + 4].copy_from_slice(&number.to_be_bytes());
        }
        _ if !body.is_empty() => {
            let at = place(rng, body.len());
            body[at] = rng.u8(..);
        }
        _ => body.push(0),
    }
    Ask { body: Bytes::from(body), ..ask.clone() }
}

/// What is no frame with a request in it.
pub(super) fn noise(rng: &mut Rng) -> Bytes {
    let mut bytes = Vec::new();
    let length: i32 = *pick(rng, &[&-1, &i32::MIN, &i32::MAX, &1_048_576, &0, &3, &4, &7]);
    bytes.extend_from_slice(&length.to_be_bytes());
    if let Ok(length @ 0..16) = usize::try_from(length) {
        bytes.extend((0..length).map(|_| rng.u8(..)));
    }
    Bytes::from(bytes)
}
