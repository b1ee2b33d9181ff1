//! Who this member is, where everything lies, and its rhythm.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use proto::MemberId;

/// Who this member is, who the others are, and where everything lies.
#[derive(Clone, Debug)]
pub struct Config {
    /// This member.
    pub member: MemberId,
    /// Drawn at random when the process starts; names this life of the member.
    pub boot: u64,
    /// All members that vote, this one among them, with the `host:port` of their peer traffic. A single member
    /// needs no address and listens to no peer.
    pub members: BTreeMap<MemberId, String>,
    /// Where peers are listened to, as `host:port`.
    pub listen: Option<String>,
    /// Where the state is kept.
    pub data_dir: PathBuf,
    /// Where the log is kept.
    pub log_dir: PathBuf,
    /// The rhythm of elections.
    pub timing: Timing,
    /// How often members tell the leader which sessions they have heard of, and it looks for those that are overdue.
    pub tick: Duration,
    /// How much of the log is kept.
    pub retention: Retention,
    /// Slept after each sync of the log, to see how a slower disk would do; zero but in benchmarks.
    pub sync_delay: Duration,
}

/// The rhythm of elections.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How often a leader is heard of when it has nothing to say.
    pub heartbeat: Duration,
    /// After how long a silence a member asks to be elected, at least.
    pub election_min: Duration,
    /// … and at most.
    pub election_max: Duration,
}

impl Default for Timing {
    /// For members that are close to each other: a leader that dies is replaced within about half a second.
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(50),
            election_min: Duration::from_millis(150),
            election_max: Duration::from_millis(300),
        }
    }
}

/// How much of the log is kept, in entries. An entry carries as many transactions as were waiting for it.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Entries after which the state on disk is made firm, so that the log before it may go.
    pub snapshot_every: u64,
    /// Entries kept behind that point, for members that have been away for a moment.
    pub keep: u64,
    /// Entries that a member may be behind before it is sent the whole state instead of the log. It must be more
    /// than `snapshot_every`, or a member that is merely slow would be sent the state again and again.
    pub lag_max: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self { snapshot_every: 100_000, keep: 100_000, lag_max: 250_000 }
    }
}
