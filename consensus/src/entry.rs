//! Proposals as bytes of the log, and back.

use bytes::Bytes;
use machine::Command;

use crate::Fault;

/// The commands of one entry.
#[expect(clippy::unimplemented, reason = "signatures first, so that the store can be written against them")]
pub(crate) fn decode(_batch: &Bytes) -> Result<Vec<Command>, Fault> {
    unimplemented!()
}
