//! All that is known of a member at one moment, as the four-letter words and dashboards show it.
use std::net::SocketAddr;
use std::time::Duration;

use consensus::{Role, Status};
use machine::Census;
use proto::Zxid;

use super::Host;
use crate::config::Config;

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
    /// Where this member's world stands.
    pub zxid: Zxid,
    /// What the world holds.
    pub census: Census,
    /// Watches of this member's clients; a persistent one that is not recursive counts twice, as in ZooKeeper.
    pub watches: usize,
    /// What this member counts beside what ZooKeeper counts, with its names.
    pub own: Vec<(String, i64)>,
    /// This member's connections with a session or on the way to one.
    pub connections: Vec<Connection>,
    /// Packets received from clients since the start.
    pub received: u64,
    /// Packets sent to clients since the start, notifications among them.
    pub sent: u64,
    /// Requests received and not answered.
    pub outstanding: u64,
    /// How long requests took since the start.
    pub latency: Latency,
    /// Sizes of what the leader proposed; `None` where nothing was proposed.
    pub proposals: Option<Proposals>,
    /// How long the process has been running.
    pub uptime: Duration,
    /// Since when it leads, if it does.
    pub leader_uptime: Option<Duration>,
    /// The process and its machine.
    pub host: Host,
}

/// Whether clients are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serving {
    /// No leader is known, or what was acknowledged before the start is not applied yet.
    No,
    /// Reads only: the client said that this is enough for it.
    ReadOnly,
    /// Reads and writes.
    ReadWrite,
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

    /// Whether it leads others.
    pub(super) fn leads(&self) -> bool {
        !self.config.standalone && self.status.role == Role::Leader
    }

    /// Sizes of proposals: last, smallest, largest; -1 where nothing was proposed yet.
    pub(super) fn proposal_sizes(&self) -> [i64; 3] {
        let Some(sizes) = self.proposals else { return [-1; 3] };
        [sizes.last, sizes.min, sizes.max].map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX))
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

/// One client's connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Where the client calls from.
    pub address: SocketAddr,
    /// Requests received and not answered.
    pub queued: u64,
    /// Packets received.
    pub received: u64,
    /// Packets sent.
    pub sent: u64,
}

/// Sizes of transactions that the leader proposed, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Proposals {
    /// The newest.
    pub last: u64,
    /// The smallest.
    pub min: u64,
    /// The largest.
    pub max: u64,
}
