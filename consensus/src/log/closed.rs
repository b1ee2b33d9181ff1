//! A log that no member has open: looked at, or made.

use std::path::Path;
use std::time::Duration;

use prost::Message;
use proto::{ClusterId, MemberId};

use super::disk::{Database, Disk, Found, Sizes, after, claimed_by};
use super::keys;
use crate::types::{Entry, LogId, Vote};
use crate::{Fault, wire};

/// A log that is read, and cannot be changed.
pub(crate) struct ClosedLog {
    database: Database,
}

/// What the small records of a log say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Summary {
    pub(crate) purged: Option<LogId>,
    pub(crate) last: Option<LogId>,
    pub(crate) vote: Option<Vote>,
    pub(crate) committed: Option<LogId>,
    /// Whether the member has yet to catch up with a leader before it votes.
    pub(crate) is_new: bool,
}

impl ClosedLog {
    /// Opens the log in `dir`.
    ///
    /// # Errors
    /// A [`Fault`] if it is damaged so that it cannot be opened, or of another format.
    pub(crate) fn open(dir: &Path) -> Result<Self, Fault> {
        let database = Database::open_to_read(dir)?;
        match database.number(&keys::FORMAT_KEY)? {
            Some(keys::FORMAT) => Ok(Self { database }),
            Some(format) => Err(Fault::Other(format!(
                "the log in {} has format {format}, and this version reads format {}",
                dir.display(),
                keys::FORMAT
            ))),
            None => Err(Fault::Damaged(format!("the log in {} does not say its format", dir.display()))),
        }
    }

    /// Whose log it is.
    pub(crate) fn member(&self) -> Result<Option<MemberId>, Fault> {
        Ok(self.database.number(&keys::MEMBER_KEY)?.map(MemberId::new))
    }

    /// Of which ensemble that member is, as far as it knows.
    pub(crate) fn cluster(&self) -> Result<Option<ClusterId>, Fault> {
        Ok(self.database.number(&keys::CLUSTER_KEY)?.and_then(ClusterId::new))
    }

    /// Reads everything, as a start does.
    pub(crate) fn examine(&self) -> Result<Summary, Fault> {
        let Found { tail, vote, committed, new, .. } = self.database.examine(0)?;
        Ok(Summary { purged: tail.purged(), last: tail.last(), vote, committed, is_new: new })
    }

    /// The entry with this number, if it is there.
    pub(crate) fn log_id_at(&self, index: u64) -> Result<Option<LogId>, Fault> {
        let first = self.database.entries(index)?.next().transpose()?;
        Ok(first.map(|entry| entry.log_id).filter(|found| found.index() == index))
    }

    /// The entries behind this place, in order.
    pub(crate) fn entries(
        &self,
        behind: Option<LogId>,
    ) -> Result<impl Iterator<Item = Result<Entry, Fault>>, Fault> {
        self.database.entries(after(behind))
    }
}

/// How a log begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beginning {
    pub(crate) member: MemberId,
    pub(crate) cluster: Option<ClusterId>,
    /// What comes before this log, and is in the state; with the vote that was given then.
    pub(crate) behind: Option<(LogId, Option<Vote>)>,
}

/// Makes a log in `dir`, where there is none. With nothing behind it, it takes the place of one with which the member
/// has voted: the member has no vote until it was filled again. Safe on return.
pub(crate) fn begin(dir: &Path, beginning: &Beginning) -> Result<(), Fault> {
    let Beginning { member, cluster, behind } = *beginning;
    std::fs::create_dir_all(dir)
        .map_err(|error| Fault::disk(format!("make the directory {}", dir.display()), error))?;
    let (mut database, _) = Database::open(dir, member, Duration::ZERO, Sizes::LEAST)?;
    let mut batch = claimed_by(member);
    if let Some(cluster) = cluster {
        batch.put(&keys::CLUSTER_KEY, cluster.get().to_be_bytes());
    }
    match behind {
        None => batch.put(&keys::NEW_KEY, [keys::NEW_FORGETFUL]),
        Some((last, vote)) => {
            batch.delete(&keys::NEW_KEY);
            batch.put(&keys::PURGED_KEY, wire::position(&last).encode_to_vec());
            batch.put(&keys::COMMITTED_KEY, wire::position(&last).encode_to_vec());
            if let Some(vote) = vote {
                batch.put(&keys::VOTE_KEY, wire::vote(&vote).encode_to_vec());
            }
        }
    }
    database.write(batch, true)
}
