//! All that was measured, as it is kept in a file.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use harness::Server;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::about::About;
use crate::burden::Member;
use crate::rows::Figure;

/// A run of the comparison.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) about: About,
    /// In the order in which they were measured.
    pub(crate) takes: Vec<Take>,
    /// What could not be measured, and why.
    pub(crate) failures: Vec<String>,
}

/// One row, once, of one of the two.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Take {
    pub(crate) row: String,
    /// By how many milliseconds each sync of a disk took longer.
    pub(crate) delay_ms: f64,
    /// From 1 on.
    pub(crate) turn: u32,
    pub(crate) side: Side,
    #[serde(flatten)]
    pub(crate) measured: Measured,
}

/// What came out of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) figures: BTreeMap<Figure, f64>,
    /// What the members used meanwhile.
    pub(crate) members: Vec<Member>,
    /// How often all members together synced their logs, from the beginning of the preparations on.
    pub(crate) syncs: i64,
    /// How long each of them took, as the members say.
    pub(crate) sync_mean_ms: Option<f64>,
    /// What the load tool wrote, or what else there is to keep.
    pub(crate) raw: Value,
}

/// One of the two that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Side {
    ZooKeeper,
    Corral,
}

impl Side {
    /// In the order of their turns.
    pub(crate) const BOTH: [Self; 2] = [Self::ZooKeeper, Self::Corral];

    /// What its members run.
    pub(crate) const fn server(self) -> Server {
        match self {
            Self::ZooKeeper => Server::Apache39,
            Self::Corral => Server::Corral,
        }
    }

    /// What people call it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::ZooKeeper => "ZooKeeper",
            Self::Corral => "Corral",
        }
    }
}

impl Results {
    /// What the file holds.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
        serde_json::from_slice(&bytes).with_context(|| format!("understand {}", path.display()))
    }

    /// Writes the file anew. Who ends the program on the way shall find the old one or the new one.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string(self).context("write the results as JSON")?;
        let new = path.with_extension("new");
        std::fs::write(&new, text).with_context(|| format!("write {}", new.display()))?;
        std::fs::rename(&new, path).with_context(|| format!("replace {}", path.display()))
    }
}
