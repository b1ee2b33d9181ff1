//! All that is known of a member at one moment, as the four-letter words and dashboards show it.
use std::collections::BTreeMap;
use std::time::Duration;

use consensus::{Role, Status};
use machine::Census;
use proto::server_line::ServerLine;
use proto::{MemberId, Zxid};

use super::Host;
use crate::config::Config;
use crate::metrics::Reading;
use crate::serving::Serving;
use crate::stats::{Flush, Line, Sizes};

/// What is answered while clients are not.
pub(super) const NOT_SERVING: &str = "This ZooKeeper instance is not currently serving requests";

/// Everything that a word can tell. Gathered when an operator asks; nothing here is measured later.
#[derive(Clone, Debug)]
pub struct Report<'a> {
    /// What was decided before the process started.
    pub config: &'a Config,
    /// Whether clients are answered.
    pub serving: Serving,
    /// What this member is in the ensemble.
    pub status: Status,
    /// The version of what is written down of the members.
    pub members_version: i64,
    /// Where this member's world stands.
    pub zxid: Zxid,
    /// What the world holds.
    pub census: Census,
    /// The chance of a client to be turned away, from 0 to 1.
    pub drop_chance: f64,
    /// Sessions that only this member knows.
    pub local_sessions: usize,
    /// Watches of this member's clients; a persistent one that is not recursive counts twice, as in ZooKeeper.
    pub watches: usize,
    /// What this member counts beside what ZooKeeper counts, with its names.
    pub own: Vec<(String, i64)>,
    /// What it counts and measures under ZooKeeper's names.
    pub readings: Vec<Reading>,
    /// This member's connections: with a session, on the way to one, or with a word like this.
    pub connections: Vec<Line>,
    /// Packets received from clients since the start.
    pub received: u64,
    /// Packets sent to clients since the start, notifications among them.
    pub sent: u64,
    /// Syncs of the log that took longer than the operator thinks good.
    pub slow_syncs: u64,
    /// Requests received and not answered.
    pub outstanding: u64,
    /// How long requests took since the start.
    pub latency: Latency,
    /// Sizes of what this member proposed as the leader; `None` where nothing was proposed.
    pub proposals: Option<Sizes>,
    /// Sizes of answers; `None` where nothing was answered.
    pub replies: Option<Sizes>,
    /// How long the process has been running.
    pub uptime: Duration,
    /// Since when it leads, if it does.
    pub leader_uptime: Option<Duration>,
    /// When the state on disk was made firm, if it was in this life of the member.
    pub last_flush: Option<Flush>,
    /// The mask of what ZooKeeper would trace.
    pub trace_mask: i64,
    /// The process and its machine.
    pub host: Host,
}

impl Report<'_> {
    /// What the member is, in ZooKeeper's words.
    pub(super) fn mode(&self) -> &'static str {
        match self.status.role {
            _ if self.serving == Serving::ReadOnly => "read-only",
            _ if self.config.standalone => "standalone",
            Role::Leader => "leader",
            Role::Follower => "follower",
            Role::Observer => "observer",
            Role::Looking => "leaderelection",
        }
    }

    /// The same, as a member of an ensemble says it of itself; `None` if it stands alone.
    pub(super) fn peer_state(&self) -> Option<&'static str> {
        match self.status.role {
            _ if self.config.standalone => None,
            Role::Leader => Some("leading - broadcast"),
            Role::Follower => Some("following - broadcast"),
            Role::Observer => Some("observing - broadcast"),
            Role::Looking => Some("looking"),
        }
    }

    /// Who the members are, and where: by the log if it says so, otherwise by the file.
    pub(super) fn servers(&self) -> &BTreeMap<MemberId, ServerLine> {
        const NOBODY: &BTreeMap<MemberId, ServerLine> = &BTreeMap::new();
        match &self.config.ensemble {
            None => NOBODY,
            Some(_) if !self.status.lines.is_empty() => &self.status.lines,
            Some(ensemble) => &ensemble.servers,
        }
    }

    /// Whether it leads others.
    pub(super) fn leads(&self) -> bool {
        !self.config.standalone && self.status.role == Role::Leader
    }
}

/// How long requests took, from being read to being answered, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Latency {
    /// The shortest.
    pub min: u64,
    /// The mean.
    pub average: f64,
    /// The longest.
    pub max: u64,
}

/// The last, the smallest and the largest of some sizes, in bytes; -1 where there was none yet.
pub(super) fn last_min_max(sizes: Option<Sizes>) -> [i64; 3] {
    let Some(Sizes { last, min, max }) = sizes else { return [-1; 3] };
    [last, min, max].map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX))
}
