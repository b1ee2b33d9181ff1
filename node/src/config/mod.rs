//! What an operator decided, with units in the types: read once, checked once.
// Layers, lowest first.
mod error;
mod surroundings;
mod whitelist;

mod jaas;
mod keys;
mod properties;

mod settings;

mod auth;
mod dynamic;
mod memory;
mod throttle;

mod tls;

mod check;

pub mod container;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use proto::MemberId;

pub use auth::{AuthConfig, DigestAlgorithm, SaslConfig, Secret};
pub use error::{ConfigError, Place};
pub use proto::server_line::{ClientAddress, PeerAddress, ServerLine, bracketed};
pub use settings::Note;
pub use surroundings::{Surroundings, ThisMachine};
pub use throttle::{GreetingThrottle, LargeRequests, RequestThrottle, Throttle};
pub use tls::{ClientAuth, Store, StoreFormat, TlsConfig};
pub use whitelist::Whitelist;

use properties::Property;
use settings::Settings;

/// A configuration, and what an operator should be told of it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What was decided.
    pub config: Config,
    /// Keys without effect, each with the reason.
    pub notes: Vec<Note>,
}

/// Reads a `zoo.cfg`, the files that it names, and the flags for Java, which count where the file is silent.
///
/// # Errors
/// Names file and line of what cannot be had.
pub fn load(file: &Path, around: &dyn Surroundings) -> Result<Loaded, ConfigError> {
    let text = around.read(file).map_err(|error| {
        ConfigError::at(&Place::File(file.to_owned()), format!("cannot be read ({error})"))
    })?;
    load_text(&text, file, flags(&|name| around.variable(name)), around)
}

/// The keys among the flags for Java, which ZooKeeper's scripts take from these variables. Other flags, and properties that
/// are not ZooKeeper's, are Java's own matter. Of a key that is in both, `JVMFLAGS` counts, which stands behind the other.
fn flags(environment: &dyn Fn(&str) -> Option<String>) -> Vec<Property> {
    ["SERVER_JVMFLAGS", "JVMFLAGS"]
        .into_iter()
        .flat_map(|name| properties::from_flags(&environment(name).unwrap_or_default(), name))
        .filter(|flag| flag.key.starts_with("zookeeper.") || keys::look_up(&flag.key).is_some())
        .collect()
}

/// Reads the text of a `zoo.cfg`; `file` is what errors call it. What `flags` set counts where the text is silent.
fn load_text(
    text: &str,
    file: &Path,
    flags: Vec<Property>,
    around: &dyn Surroundings,
) -> Result<Loaded, ConfigError> {
    let mut settings = Settings::gather(properties::parse(text, file)?)?;
    settings.add_defaults(Settings::gather(flags)?);
    let mut config = check::check(&mut settings, around)?;
    text.clone_into(&mut config.text);
    Ok(Loaded { config, notes: settings.into_notes() })
}

/// Everything that is decided before the process starts. Each part goes, by value, to the one who needs it.
#[derive(Clone, Debug)]
pub struct Config {
    /// The text that all this was read from.
    pub text: String,
    /// This member: the number in `myid`, which names one of the `server.N` lines. Alone and without `myid`: 0.
    pub member: MemberId,
    /// Whether there are no others, and none are expected: `Mode: standalone`.
    pub standalone: bool,
    /// Where clients are listened to.
    pub client_listen: Listen,
    /// Clients that speak TLS; `None` if nobody is to.
    pub tls: Option<TlsConfig>,
    /// How long sessions may live in silence.
    pub session: SessionConfig,
    /// What clients may take of this member.
    pub clients: ClientLimits,
    /// How much they may ask of it at a time, all together.
    pub throttle: Throttle,
    /// How long a sync of the log may take until it is warned of.
    pub slow_sync: Duration,
    /// Whether a member that knows no leader serves reads to clients that say `readOnly`.
    pub read_only_mode: bool,
    /// Which four-letter words are answered.
    pub words: Whitelist,
    /// The AdminServer, if there is to be one.
    pub admin: Option<AdminConfig>,
    /// Where Prometheus finds the metrics, besides at the AdminServer; `None` if nowhere.
    pub metrics: Option<Listen>,
    /// Whether names of counters end with `_total` for Prometheus, as from ZooKeeper 3.10 on. Dashboards made for
    /// older ones know them without.
    pub metrics_total_suffix: bool,
    /// Who clients may prove to be, and what they must prove.
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

/// The AdminServer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminConfig {
    /// Where operators are listened to.
    pub listen: Listen,
    /// The path under which its commands are found, such as `/commands`.
    pub commands_url: String,
    /// Whether it gives backups.
    pub gives_snapshots: bool,
    /// How long it gives none after one: `admin.rateLimiterIntervalInMS`.
    pub snapshot_interval: Duration,
}

/// What was said of the ensemble, in ZooKeeper's own terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnsembleConfig {
    /// Ticks that a member may take to join.
    pub init_limit: i32,
    /// Ticks that a member may lag behind.
    pub sync_limit: i32,
    /// The `server.N` lines.
    pub servers: BTreeMap<MemberId, ServerLine>,
}

#[cfg(test)]
mod tests;
