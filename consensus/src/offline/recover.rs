//! Makes room in a member whose disk is damaged, so that the others fill it again.

use std::path::PathBuf;

use proto::ClusterId;

use super::folders::{Folders, failed};
use crate::log::{self, Beginning, ClosedLog};
use crate::{Config, Fault, state};

/// What was found and done.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// What was wrong, in words; empty if nothing was.
    pub damage: Vec<String>,
    /// Where the damaged folders went.
    pub aside: Vec<PathBuf>,
    /// The ensemble that will fill the member: no other may. `None` if it could not be read anywhere.
    pub cluster: Option<ClusterId>,
}

/// Moves log and state aside, and leaves behind that this member has voted: when it is started it has no vote until a
/// leader has filled it.
///
/// # Errors
/// A [`Fault`] if the member runs, if nobody could fill it, or if nothing is wrong and not `even_if_well`.
pub fn recover(config: &Config, even_if_well: bool) -> Result<Recovered, Fault> {
    let folders = Folders::of(config);
    if config.members.len() < 2 {
        return Err(Fault::Other(format!(
            "member {} has no others that could fill it: what can be done is to restore a backup into an empty directory",
            folders.member
        )));
    }
    let _held = folders.hold()?;
    let damage = damage(&folders);
    if damage.is_empty() && !even_if_well {
        return Err(Fault::Other(format!(
            "nothing is wrong with the log and the state of member {}: nothing was done",
            folders.member
        )));
    }
    let cluster = cluster(&folders);
    for folder in [&folders.log, &folders.state] {
        let parent = folder.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent).map_err(|error| failed("make the directory", parent, error))?;
    }
    let room = Folders::room_beside(&folders.log)?;
    log::begin(&room, &Beginning { member: folders.member, cluster, behind: None })?;
    // The state first: a damaged log still refuses to start, and one without a state may not.
    let state = Folders::move_aside(&folders.state)?;
    let log = Folders::replace(&folders.log, &room)?;
    Ok(Recovered { damage, aside: log.into_iter().chain(state).collect(), cluster })
}

/// What a start would stumble over.
fn damage(folders: &Folders) -> Vec<String> {
    let Folders { member, log, state } = folders;
    let look_at_log = || {
        if !log.exists() {
            return Err(Fault::Damaged(format!("there is no log in {}", log.display())));
        }
        let closed = ClosedLog::open(log)?;
        match closed.member()? {
            Some(found) if found != *member => Err(Fault::Other(format!(
                "the log in {} is that of member {found}, and this is member {member}",
                log.display()
            ))),
            _ => closed.examine(),
        }
    };
    let look_at_state = || match state::look(state)? {
        Some((machine, progress)) => Ok((machine.cluster(), progress)),
        None => Err(Fault::Damaged(format!("there is no state in {}", state.display()))),
    };
    match (look_at_log(), look_at_state()) {
        (Ok(log), Ok((_, progress))) if progress.applied < log.purged => {
            vec!["the state ends before the log begins".to_owned()]
        }
        (log, state) => log.err().into_iter().chain(state.err()).map(|fault| fault.to_string()).collect(),
    }
}

/// The ensemble of the member, wherever it can still be read.
fn cluster(folders: &Folders) -> Option<ClusterId> {
    let own = |log: ClosedLog| log.member().is_ok_and(|found| found == Some(folders.member)).then_some(log);
    let log = || ClosedLog::open(&folders.log).ok().and_then(own)?.cluster().ok().flatten();
    let state = || state::look(&folders.state).ok().flatten()?.0.cluster();
    log().or_else(state)
}
