//! What lies in a log and in a state, in words.

use std::fmt;
use std::path::Path;

use machine::{Act, Census, Machine};
use openraft::EntryPayload;
use openraft::entry::RaftEntry;
use proto::{ClusterId, MemberId, Zxid};

use crate::log::ClosedLog;
use crate::types::{Batch, Entry, LogId, Membership, StoredMembership};
use crate::{Fault, entry, state};

/// A place in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The term of the leader that wrote the entry.
    pub term: u64,
    /// Its number.
    pub index: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "entry {} of term {}", self.index, self.term)
    }
}

impl Place {
    pub(super) fn of(log_id: LogId) -> Self {
        Self { term: **log_id.committed_leader_id(), index: log_id.index() }
    }
}

/// What the small records of a log say.
#[derive(Clone, Debug)]
pub struct LogInWords {
    /// Whose log it is.
    pub member: Option<MemberId>,
    /// Of which ensemble.
    pub cluster: Option<ClusterId>,
    /// Up to where it was dropped.
    pub purged: Option<Place>,
    /// Its last entry.
    pub last: Option<Place>,
    /// Up to where a majority was known to have acknowledged.
    pub committed: Option<Place>,
    /// For whom the member has voted, in which term, and whether that one was seen to lead.
    pub vote: Option<(MemberId, u64, bool)>,
    /// Whether the member has yet to catch up with a leader before it votes.
    pub is_new: bool,
}

/// An entry of the log.
#[derive(Clone, Debug)]
pub struct EntryInWords {
    /// Where it stands.
    pub place: Place,
    /// When the leader stamped it, in milliseconds since the epoch.
    pub time: Option<i64>,
    /// What it asks, one by one.
    pub acts: Vec<String>,
}

/// What a state says of itself.
#[derive(Debug)]
pub struct StateInWords {
    /// Of which ensemble.
    pub cluster: Option<ClusterId>,
    /// The last entry of the log that is in it.
    pub applied: Option<Place>,
    /// Where its world stands.
    pub zxid: Zxid,
    /// The checksum of that world, equal on members that stand at the same place.
    pub digest: u64,
    /// Who votes, and who listens.
    pub members: String,
    /// What there is of everything.
    pub census: Census,
    /// The world itself.
    pub machine: Machine,
}

/// Reads a log, and hands over its entries one by one.
///
/// # Errors
/// A [`Fault`] at the first thing that cannot be read.
pub fn inspect_log(dir: &Path, mut each: impl FnMut(EntryInWords)) -> Result<LogInWords, Fault> {
    let log = ClosedLog::open(dir)?;
    let summary = log.examine()?;
    for entry in log.entries(summary.purged)? {
        each(in_words(&entry?)?);
    }
    Ok(LogInWords {
        member: log.member()?,
        cluster: log.cluster()?,
        purged: summary.purged.map(Place::of),
        last: summary.last.map(Place::of),
        committed: summary.committed.map(Place::of),
        vote: summary
            .vote
            .map(|vote| (MemberId::new(vote.leader_id.voted_for), vote.leader_id.term, vote.committed)),
        is_new: summary.is_new,
    })
}

/// Reads a state.
///
/// # Errors
/// A [`Fault`] if there is none, or it cannot be trusted.
pub fn inspect_state(root: &Path) -> Result<StateInWords, Fault> {
    let (machine, progress) =
        state::look(root)?.ok_or_else(|| Fault::Other(format!("there is no state in {}", root.display())))?;
    Ok(StateInWords {
        cluster: machine.cluster(),
        applied: progress.applied.map(Place::of),
        zxid: machine.last_zxid(),
        digest: machine.digest(),
        members: members(&progress.membership),
        census: machine.census(),
        machine,
    })
}

fn in_words(entry: &Entry) -> Result<EntryInWords, Fault> {
    let mut time = None;
    let acts = match &entry.payload {
        EntryPayload::Blank => vec!["a term begins".to_owned()],
        EntryPayload::Membership(membership) => vec![format!("members: {}", voters(membership))],
        EntryPayload::Normal(Batch(batch)) => {
            let commands = entry::decode(batch)?;
            time = commands.first().map(|command| command.time);
            commands.iter().map(|command| act_in_words(&command.act)).collect()
        }
    };
    Ok(EntryInWords { place: Place::of(entry.log_id()), time, acts })
}

fn act_in_words(act: &Act) -> String {
    match act {
        Act::Open { home, timeout_ms, address, .. } => {
            format!("open a session of {timeout_ms} ms for {address} at {home}")
        }
        Act::Attach { session, home, seen, .. } => {
            format!("attach session {session} to {home}, whose client has seen {seen}")
        }
        Act::Write { session, attachment, seq, operation, .. } => match &operation.write {
            Some(write) => {
                format!("session {session}, write {attachment}.{seq}: {}", brief(&format!("{write:?}")))
            }
            None => {
                format!("session {session}, write {attachment}.{seq}: {:?} that does not parse", operation.op)
            }
        },
        Act::Watch { session, notes, .. } => {
            format!("session {session} has set or taken away {} watches", notes.len())
        }
        Act::Ensemble { lines } => format!("the members, for clients: {}", lines.join(" ")),
        Act::Name { cluster } => format!("the ensemble is called {cluster}"),
        Act::Reconfigured { .. } => {
            "the members have changed, or a request to change them is answered".to_owned()
        }
        Act::Expire { session, attachment } => {
            format!("expire session {session} if it is still in its attachment {attachment}")
        }
        Act::Reap { path, .. } => format!("delete {path} if it has had its time"),
    }
}

/// The beginning of a text that may hold a megabyte of data.
fn brief(text: &str) -> String {
    const CHARACTERS_MAX: usize = 200;
    match text.char_indices().nth(CHARACTERS_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

fn members(stored: &StoredMembership) -> String {
    voters(stored.membership())
}

fn voters(membership: &Membership) -> String {
    let is_voter = |id: u64| membership.voter_ids().any(|voter| voter == id);
    let each = membership.nodes().map(|(id, node)| {
        let part = if is_voter(*id) { "votes" } else { "listens" };
        if node.addr.is_empty() { format!("{id} {part}") } else { format!("{id} {part} at {}", node.addr) }
    });
    each.collect::<Vec<_>>().join(", ")
}
