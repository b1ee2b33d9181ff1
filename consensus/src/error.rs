//! Why this member must stop, and why a question has no answer now.

/// Why this member must stop: something is wrong here, not with a request.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Disk, network or configuration.
    #[error("{0}")]
    Other(String),
}

/// No leader answered in time; nothing is known of whether it will.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no leader can be reached")]
pub struct Unavailable;
