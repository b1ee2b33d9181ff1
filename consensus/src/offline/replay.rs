//! What a whole log comes to: its commands with the zxids that they took, which the log itself does not say.

use std::path::Path;

use machine::{Applied, Command, Machine};
use openraft::EntryPayload;
use openraft::entry::RaftEntry;

use super::inspect::Place;
use crate::log::ClosedLog;
use crate::types::Batch;
use crate::{Fault, entry};

/// Applies all that is known to be committed of a log to an empty world, and hands over each command with what it came
/// to. Returns where it ended.
///
/// # Errors
/// A [`Fault`] at the first thing that cannot be read; and if the log does not reach back to its first entry.
pub fn replay_log(
    dir: &Path,
    mut each: impl FnMut(Place, &Command, &Applied),
) -> Result<Option<Place>, Fault> {
    let log = ClosedLog::open(dir)?;
    let summary = log.examine()?;
    if let Some(purged) = summary.purged.map(Place::of) {
        return Err(Fault::Other(format!(
            "the log begins behind {purged}, and without what came before nobody can tell the zxids"
        )));
    }
    let mut world = Machine::new();
    for found in log.entries(None)? {
        let found = found?;
        if Some(found.log_id()) > summary.committed {
            break;
        }
        if let EntryPayload::Normal(Batch(batch)) = &found.payload {
            let place = Place::of(found.log_id());
            for command in entry::decode(batch)? {
                let applied = world.apply(&command);
                each(place, &command, &applied);
            }
            // Nobody stores it.
            let _changes = world.take_changes();
        }
    }
    Ok(summary.committed.map(Place::of))
}
