//! Why a configuration is refused.
use std::path::PathBuf;

/// Why a configuration is refused, and where the reason stands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}{message}")]
pub struct ConfigError {
    place: Place,
    message: String,
}

impl ConfigError {
    /// A refusal of what stands in one line.
    pub fn at(place: &Place, message: impl Into<String>) -> Self {
        Self { place: place.clone(), message: message.into() }
    }

    /// A refusal of the whole: what is wrong stands in no single line.
    pub fn of(message: impl Into<String>) -> Self {
        Self { place: Place::Nowhere, message: message.into() }
    }
}

/// Where a key was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In this line of a file, counted from 1.
    Line(PathBuf, usize),
    /// Somewhere in this file.
    File(PathBuf),
    /// As `-Dkey=value` in an environment variable.
    Variable(&'static str),
    /// Nowhere: it is missing, or several places contradict each other.
    Nowhere,
}

impl std::fmt::Display for Place {
    /// `zoo.cfg:3: `, ready to stand in front of a message.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Line(file, line) => write!(f, "{}:{line}: ", file.display()),
            Self::File(file) => write!(f, "{}: ", file.display()),
            Self::Variable(name) => write!(f, "{name}: "),
            Self::Nowhere => Ok(()),
        }
    }
}
