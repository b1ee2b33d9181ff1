//! Whether every session is told every watch event that it is owed, while members die, freeze and lose each other.
//!
//! Writers change znodes, of which each has one writer, and find out what became of every write; so the history of
//! changes is complete in the end, and in order. Watchers set watches of all kinds and write down what they are told.
//! The [verdict](verdict::judge) is a pure function of both. [`round::run`] joins it all.
// Layers, lowest first. A module imports only from those above it.
pub mod paths;

pub mod history;

pub mod due;
pub mod sabotage;

pub mod verdict;

pub mod story;
pub mod tally;

mod client;

mod pen;

mod watcher;
mod writer;

pub mod faults;

pub mod round;

#[cfg(test)]
mod verdict_tests;
