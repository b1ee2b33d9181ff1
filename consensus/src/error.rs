//! Why this member must stop, and why a question has no answer now.

use std::error::Error;
use std::io;

/// Why this member must stop: something is wrong here, not with a request.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A disk did not do what it was asked to do. It is never asked a second time, because what a failed sync leaves
    /// behind is unknown.
    #[error("{doing}: {source}")]
    Disk {
        /// What was to be done.
        doing: String,
        /// What came of it.
        source: Box<dyn Error + Send + Sync>,
    },
    /// What lies on disk is not what was written. The text says what to do about it.
    #[error("{0}")]
    Damaged(String),
    /// Network or configuration.
    #[error("{0}")]
    Other(String),
}

impl Fault {
    /// The disk failed while `doing` this.
    pub(crate) fn disk(doing: impl Into<String>, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Disk { doing: doing.into(), source: source.into() }
    }
}

/// openraft knows faults of storage as this.
impl From<Fault> for io::Error {
    fn from(fault: Fault) -> Self {
        Self::other(fault)
    }
}

/// No leader answered in time; nothing is known of whether it will.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no leader can be reached")]
pub struct Unavailable;
