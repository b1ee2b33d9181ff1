//! What an operator decided, with units in the types: read once, checked once.
// Layers, lowest first.
mod error;
mod whitelist;

use std::collections::BTreeMap;
use std::time::Duration;

use proto::MemberId;

pub use error::ConfigError;
pub use whitelist::Whitelist;

/// Everything that is decided before the process starts. Each part goes, by value, to the one who needs it.
#[derive(Clone, Debug)]
pub struct Config {
    /// This member: the number in `myid`, which names one of the `server.N` lines. Alone and without `myid`: 0.
    pub member: MemberId,
    /// Whether there are no others, and none are expected: `Mode: standalone`.
    pub standalone: bool,
    /// Where clients are listened to.
    pub client_listen: Listen,
    /// How long sessions may live in silence.
    pub session: SessionConfig,
    /// What clients may take of this member.
    pub clients: ClientLimits,
    /// Which four-letter words are answered.
    pub words: Whitelist,
    /// Who may do what.
    pub auth: AuthConfig,
    /// What the part below needs: members, folders, the rhythm of elections.
    pub consensus: consensus::Config,
    /// What was said of the ensemble, in ZooKeeper's own terms; `None` if this member stands alone.
    pub ensemble: Option<EnsembleConfig>,
}

/// Where something is listened to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// A name or an address; `0.0.0.0` for every interface. IPv6 without brackets.
    pub host: String,
    /// The port; 0 takes any that is free.
    pub port: u16,
}

/// How long sessions may live in silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionConfig {
    /// ZooKeeper's unit of time.
    pub tick: Duration,
    /// No session gets a shorter timeout.
    pub timeout_min: Duration,
    /// … nor a longer one.
    pub timeout_max: Duration,
}

/// What clients may take of this member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientLimits {
    /// Connections from one IP address; 0 for no limit. Beyond it a connection is closed at once.
    pub per_address: usize,
    /// Connections in all; 0 for no limit. Beyond it a connection is closed at once.
    pub total: usize,
    /// Bytes of one request frame. Beyond it the connection is closed.
    pub frame_bytes: usize,
    /// Connections that the kernel holds until they are accepted.
    pub backlog: u32,
}

/// Who may do what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthConfig {
    /// Whether ACLs are not looked at.
    pub skip_acl: bool,
    /// `name:base64(sha1(name:password))` of the identity that may do everything, if there is one.
    pub super_digest: Option<String>,
}

/// What was said of the ensemble, in ZooKeeper's own terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnsembleConfig {
    /// Ticks that a member may take to join.
    pub init_limit: u32,
    /// Ticks that a member may lag behind.
    pub sync_limit: u32,
    /// The `server.N` lines.
    pub servers: BTreeMap<MemberId, String>,
}
