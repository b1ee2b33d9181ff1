//! A metric as it stands at one moment.
use super::{Quantiles, Spread};

/// A metric, under ZooKeeper's name.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// ZooKeeper's name, without the `zk_` of `mntr`.
    pub name: &'static str,
    /// What it tells.
    pub help: &'static str,
    /// How much it is.
    pub value: Value,
}

/// How much something is.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// It only grows.
    Count(u64),
    /// It comes and goes.
    Level(i64),
    /// The same for each of some keys.
    Levels(Vec<(String, i64)>),
    /// How it is spread.
    Summary {
        /// In what it is measured.
        unit: Unit,
        /// How much of it is told.
        detail: Detail,
        /// How it is spread, with the quantiles.
        spread: (Spread, Quantiles),
    },
    /// The same for each of some keys.
    Keyed {
        /// In what it is measured.
        unit: Unit,
        /// Keys, and what is measured of each.
        spreads: Vec<(String, Spread)>,
    },
}

/// In what something is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// In microseconds; it is told in milliseconds, as by ZooKeeper.
    Micros,
    /// In pieces or bytes.
    Pieces,
}

/// How much is told of a summary, in ZooKeeper's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Mean, extremes, count and sum.
    Basic,
    /// Quantiles too.
    Advanced,
}
