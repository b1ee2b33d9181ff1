//! Compares what members that do not run have on disk, at one place of the log.

use std::path::PathBuf;

use machine::Machine;
use openraft::EntryPayload;
use proto::{MemberId, Zxid};

use super::difference::{self, Difference};
use super::folders::{Folders, Held};
use super::inspect::Place;
use crate::log::{ClosedLog, Summary};
use crate::types::{Batch, LogId};
use crate::{Fault, entry, state};

/// Where a member's log and state lie, and what it is called in what is said of it.
#[derive(Clone, Debug)]
pub struct Data {
    /// As the operator calls it.
    pub name: String,
    /// Its log.
    pub log: PathBuf,
    /// Its state.
    pub state: PathBuf,
}

/// What a member has.
#[derive(Clone, Debug)]
pub struct Standing {
    /// As the operator calls it.
    pub name: String,
    /// Whose data it is, if there is a log that says so.
    pub member: Option<MemberId>,
    /// The last entry that is in its state.
    pub applied: Option<Place>,
    /// Where the world of the state stands.
    pub zxid: Zxid,
    /// The checksum of that world.
    pub digest: u64,
    /// What it comes to at the place where all are compared, or why it cannot be brought there.
    pub brought: Result<Brought, String>,
}

/// A world that was brought to the place where all are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Brought {
    /// Entries of the log that were applied to the state for that.
    pub entries: u64,
    /// Whether they were taken from another member's log, because its own does not reach from here to there.
    pub by_another_log: bool,
    /// Where the world stands then.
    pub zxid: Zxid,
    /// Its checksum.
    pub digest: u64,
}

/// What has come of it.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// Where they were compared: the last entry that one of them knows to be committed; `None` if there is none.
    pub at: Option<Place>,
    /// What each has, in the order in which they were given.
    pub members: Vec<Standing>,
    /// Which two differ, by their places in that list, and where, if any do.
    pub difference: Option<(usize, usize, Difference)>,
}

struct Opened<'a> {
    data: &'a Data,
    log: Option<(ClosedLog, Summary)>,
    applied: Option<LogId>,
    /// What is compared must not change meanwhile.
    _held: Held,
}

/// Brings the state of each to the same place, with its own log or else another's, and compares it with that of the first
/// that could be brought there. Nothing is changed. Two worlds are held in memory at a time.
///
/// # Errors
/// A [`Fault`] if a member runs, or what it has cannot be read, or they are of different ensembles.
pub fn compare(all: &[Data]) -> Result<Comparison, Fault> {
    let opened: Vec<Opened<'_>> = all.iter().map(open).collect::<Result<_, _>>()?;
    of_one_ensemble(&opened)?;
    let committed = |opened: &Opened<'_>| opened.log.as_ref().and_then(|(_, log)| log.committed);
    let target = opened.iter().map(|opened| opened.applied.max(committed(opened))).max().flatten();
    let mut reference: Option<(usize, Machine, u64)> = None;
    let (mut members, mut difference) = (Vec::new(), None);
    for (number, one) in opened.iter().enumerate() {
        let (mut world, _) = state::look(&one.data.state)?.unwrap_or_default();
        let mut standing = Standing {
            name: one.data.name.clone(),
            member: match &one.log {
                Some((log, _)) => log.member()?,
                None => None,
            },
            applied: one.applied.map(Place::of),
            zxid: world.last_zxid(),
            digest: world.digest(),
            brought: Err("there is nothing to compare it with".to_owned()),
        };
        standing.brought = match bring(&mut world, one, &opened, target)? {
            Err(why) => Err(why),
            Ok((entries, by_another_log)) => {
                let digest = if entries == 0 { standing.digest } else { world.digest() };
                Ok(Brought { entries, by_another_log, zxid: world.last_zxid(), digest })
            }
        };
        if let Ok(Brought { digest, .. }) = standing.brought {
            match &reference {
                None => reference = Some((number, world, digest)),
                Some((first, known, expected)) if *expected != digest && difference.is_none() => {
                    // Two digests that differ are of two worlds that do.
                    difference = difference::between(known, &world).map(|found| (*first, number, found));
                }
                Some(_) => {}
            }
        }
        members.push(standing);
    }
    Ok(Comparison { at: target.map(Place::of), members, difference })
}

fn open(data: &Data) -> Result<Opened<'_>, Fault> {
    let log = if data.log.is_dir() {
        let log = ClosedLog::open(&data.log)?;
        let summary = log.examine()?;
        Some((log, summary))
    } else {
        None
    };
    let member = match &log {
        Some((log, _)) => log.member()?,
        None => None,
    };
    let folders = Folders {
        member: member.unwrap_or(MemberId::new(0)),
        log: data.log.clone(),
        state: data.state.clone(),
    };
    let held = folders.hold()?;
    let applied = state::progress(&data.state)?.and_then(|progress| progress.applied);
    Ok(Opened { data, log, applied, _held: held })
}

fn of_one_ensemble(opened: &[Opened<'_>]) -> Result<(), Fault> {
    let mut known = None;
    for one in opened {
        let Some((log, _)) = &one.log else { continue };
        let Some(cluster) = log.cluster()? else { continue };
        match known {
            None => known = Some((cluster, &one.data.name)),
            Some((other, whose)) if other != cluster => {
                return Err(Fault::Other(format!(
                    "{whose} is of ensemble {other}, and {} of ensemble {cluster}: they have nothing in common",
                    one.data.name
                )));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Applies what is missing. Returns how many entries that took and whether they are another's, or why it cannot be done.
fn bring(
    world: &mut Machine,
    one: &Opened<'_>,
    all: &[Opened<'_>],
    target: Option<LogId>,
) -> Result<Result<(u64, bool), String>, Fault> {
    let Some(target) = target else { return Ok(Ok((0, false))) };
    if one.applied == Some(target) {
        return Ok(Ok((0, false)));
    }
    let own = one.log.iter().map(|log| (log, false));
    let others = all.iter().filter(|other| !std::ptr::eq(*other, one));
    let others = others.filter_map(|other| other.log.as_ref()).map(|log| (log, true));
    for ((log, summary), by_another) in own.chain(others) {
        // An entry of this number and this term is the same in every log, and so is all in front of it.
        if summary.purged <= one.applied && log.log_id_at(target.index())? == Some(target) {
            return Ok(Ok((replay(world, log, one.applied, target)?, by_another)));
        }
    }
    Ok(Err(format!(
        "its state ends with {}, and no log leads from there to {}",
        one.applied.map_or_else(|| "nothing".to_owned(), |applied| Place::of(applied).to_string()),
        Place::of(target)
    )))
}

fn replay(world: &mut Machine, log: &ClosedLog, behind: Option<LogId>, target: LogId) -> Result<u64, Fault> {
    let mut entries = 0;
    for found in log.entries(behind)? {
        let found = found?;
        if found.log_id.index() > target.index() {
            break;
        }
        if let EntryPayload::Normal(Batch(batch)) = &found.payload {
            for command in entry::decode(batch)? {
                world.apply(&command);
            }
        }
        entries += 1;
    }
    Ok(entries)
}
