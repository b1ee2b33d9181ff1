//! Puts a mark into the log, while this member leads: an entry that changes nothing, at which digests are taken.

use std::num::NonZeroU64;

use crate::applier::Raft;
use crate::types::Batch;
use crate::{clock, entry};

/// Puts it there, and returns when it is applied here.
///
/// # Errors
/// In words, if this member does not lead or does so no more.
pub(crate) async fn mark(raft: &Raft, mark: NonZeroU64) -> Result<(), String> {
    let entry = entry::encode_mark(clock::wall(), mark);
    raft.client_write(Batch(entry)).await.map(drop).map_err(|error| error.to_string())
}
