//! What an operator decided, with units in the types: read once, checked once.
// Layers, lowest first.
mod error;
mod server_line;
mod surroundings;
mod whitelist;

mod keys;
mod properties;

mod settings;

mod dynamic;

mod check;

pub mod container;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use proto::MemberId;

pub use error::{ConfigError, Place};
pub use server_line::{ClientAddress, PeerAddress, ServerLine, bracketed};
pub use settings::Note;
pub use surroundings::{Surroundings, ThisMachine};
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

/// Reads a `zoo.cfg`, and the files that it names.
///
/// # Errors
/// Names file and line of what cannot be had.
pub fn load(file: &Path, around: &dyn Surroundings) -> Result<Loaded, ConfigError> {
    let text = around.read(file).map_err(|error| {
        ConfigError::at(&Place::File(file.to_owned()), format!("cannot be read ({error})"))
    })?;
    load_text(&text, file, Vec::new(), around)
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
    let config = check::check(&mut settings, around)?;
    Ok(Loaded { config, notes: settings.into_notes() })
}

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
    /// The AdminServer, if there is to be one.
    pub admin: Option<AdminConfig>,
    /// Where Prometheus finds the metrics, besides at the AdminServer; `None` if nowhere.
    pub metrics: Option<Listen>,
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

/// The AdminServer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminConfig {
    /// Where operators are listened to.
    pub listen: Listen,
    /// The path under which its commands are found, such as `/commands`.
    pub commands_url: String,
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
    pub init_limit: i32,
    /// Ticks that a member may lag behind.
    pub sync_limit: i32,
    /// The `server.N` lines.
    pub servers: BTreeMap<MemberId, ServerLine>,
}

#[cfg(test)]
mod tests;
