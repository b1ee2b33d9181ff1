//! Makes an ensemble of its own out of the one member that is left of a majority.

use std::collections::BTreeMap;
use std::path::PathBuf;

use machine::Machine;
use openraft::{BasicNode, EntryPayload};
use proto::{ClusterId, MemberId, Zxid};

use super::folders::Folders;
use super::inspect::Place;
use crate::log::{self, Beginning, ClosedLog};
use crate::state::{self, Progress};
use crate::types::{Batch, LogId, Membership, StoredMembership, Vote};
use crate::{Config, Fault, entry};

/// What the member has, on which everything will be built.
#[derive(Clone, Debug)]
pub struct Survivor {
    /// The member.
    pub member: MemberId,
    /// The ensemble that it was in.
    pub cluster: Option<ClusterId>,
    /// Who voted there.
    pub voters: Vec<MemberId>,
    /// The last entry of its log.
    pub last: Place,
    /// Up to where it knew that a majority had acknowledged. What lies behind that, up to the last entry, may have been
    /// acknowledged or not, and is kept.
    pub committed: Option<Place>,
    /// Where its world stands, with all of its log applied.
    pub zxid: Zxid,
    /// Znodes in that world.
    pub znodes: usize,
    /// Sessions in it, all of which will end.
    pub sessions: usize,
}

/// What was made of it.
#[derive(Clone, Debug)]
pub struct Forced {
    /// What there was.
    pub survivor: Survivor,
    /// The new ensemble.
    pub cluster: ClusterId,
    /// Where its zxids begin.
    pub zxid: Zxid,
    /// Where the old folders went.
    pub aside: Vec<PathBuf>,
}

/// A survivor, loaded.
struct Loaded {
    survivor: Survivor,
    world: Machine,
    last: LogId,
    vote: Option<Vote>,
}

/// Looks at what the member has. Changes nothing.
///
/// # Errors
/// A [`Fault`] if the member runs, or what it has cannot be trusted.
pub fn survey(config: &Config) -> Result<Survivor, Fault> {
    let folders = Folders::of(config);
    let _held = folders.hold()?;
    load(&folders).map(|loaded| loaded.survivor)
}

/// Makes the member an ensemble of its own, called `cluster`: with all that is in its log, whether it was known to be
/// committed or not, and without the sessions. The old folders are moved aside.
///
/// # Errors
/// As [`survey`].
pub fn force_new_ensemble(config: &Config, cluster: ClusterId) -> Result<Forced, Fault> {
    let folders = Folders::of(config);
    let _held = folders.hold()?;
    let Loaded { survivor, mut world, last, vote } = load(&folders)?;
    world.begin_anew(cluster, Zxid::ZERO);
    let zxid = world.last_zxid();
    let aside = begin(&folders, alone(config)?, &world, (last, vote), cluster)?;
    Ok(Forced { survivor, cluster, zxid, aside })
}

/// This member, of an ensemble of its own.
fn alone(config: &Config) -> Result<Membership, Fault> {
    let member = config.member.get();
    let address = config.members.get(&config.member).cloned().unwrap_or_default();
    let nodes = BTreeMap::from([(member, BasicNode::new(address))]);
    Membership::new(vec![[member].into()], nodes)
        .map_err(|error| Fault::Other(format!("an ensemble of one member: {error}")))
}

/// Puts this world into the folders of a member, as that of an ensemble with these members, and reads it again before
/// anything that was there is touched. The log begins behind `last`, and goes on in a term after that of the vote.
pub(super) fn begin(
    folders: &Folders,
    membership: Membership,
    world: &Machine,
    (last, vote): (LogId, Option<Vote>),
    cluster: ClusterId,
) -> Result<Vec<PathBuf>, Fault> {
    let progress =
        Progress { applied: Some(last), membership: StoredMembership::new(Some(last), membership) };
    let (state_room, log_room) = (Folders::room_beside(&folders.state)?, Folders::room_beside(&folders.log)?);
    state::begin(&state_room, world, &progress)?;
    let written = state::look(&state_room)?.map(|(written, _)| written.digest());
    if written != Some(world.digest()) {
        return Err(Fault::Damaged(format!(
            "what was written to {} is not what is found there: nothing was replaced",
            state_room.display()
        )));
    }
    let beginning = Beginning { member: folders.member, cluster: Some(cluster), behind: Some((last, vote)) };
    log::begin(&log_room, &beginning)?;
    // In between log and state are of different ensembles, which is not started, and this can be done again.
    let state = Folders::replace(&folders.state, &state_room)?;
    let log = Folders::replace(&folders.log, &log_room)?;
    Ok(log.into_iter().chain(state).collect())
}

/// The world behind the last entry of the log.
fn load(folders: &Folders) -> Result<Loaded, Fault> {
    let log = ClosedLog::open(&folders.log)?;
    match log.member()? {
        Some(found) if found == folders.member => {}
        found => {
            let whose = found.map_or_else(|| "nobody".to_owned(), |found| format!("member {found}"));
            return Err(Fault::Other(format!("the log in {} is that of {whose}", folders.log.display())));
        }
    }
    let summary = log.examine()?;
    let (mut world, mut progress) = state::look(&folders.state)?.unwrap_or_default();
    if progress.applied < summary.purged {
        return Err(Fault::Damaged(
            "the state ends before the log begins: out of this member alone nothing can be made".to_owned(),
        ));
    }
    for found in log.entries(progress.applied)? {
        let found = found?;
        match &found.payload {
            EntryPayload::Blank => {}
            EntryPayload::Normal(Batch(batch)) => {
                for command in entry::decode(batch)? {
                    world.apply(&command);
                }
            }
            EntryPayload::Membership(membership) => {
                progress.membership = StoredMembership::new(Some(found.log_id), membership.clone());
            }
        }
    }
    let last = summary.last.max(progress.applied);
    let Some(last) = last else {
        return Err(Fault::Other(format!("member {} has never been in an ensemble", folders.member)));
    };
    let census = world.census();
    let survivor = Survivor {
        member: folders.member,
        cluster: log.cluster()?.or(world.cluster()),
        voters: progress.membership.membership().voter_ids().map(MemberId::new).collect(),
        last: Place::of(last),
        committed: summary.committed.max(progress.applied).map(Place::of),
        zxid: world.last_zxid(),
        znodes: census.znodes,
        sessions: census.sessions,
    };
    Ok(Loaded { survivor, world, last, vote: summary.vote })
}
