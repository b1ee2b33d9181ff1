//! The world on disk, written behind the one in memory.
//!
//! What an entry of the log changed is handed to a thread that writes it, together with how far in the log that leads;
//! so at every moment the disk holds the world as it was at one place of the log, a little behind memory. That is
//! what a start begins with, and what is sent to a member that the log can no longer serve. It has no log of its own:
//! Raft's is one.
mod keys;
mod record;

mod load;

mod database;

mod behind;

mod kept;

mod pin;

mod directory;

mod store;

mod closed;

use std::sync::Weak;
use std::time::{Duration, Instant};

pub(crate) use closed::{begin, databases, look, progress};
pub(crate) use database::Progress;
pub(crate) use kept::{Incoming, Pinned, Promise, Store};
pub(crate) use load::parse;

/// Waits until nobody uses a database any more, so that whoever starts next can open it.
pub(crate) fn wait_until_closed<T>(database: &Weak<T>, name: &str) {
    const PATIENCE: Duration = Duration::from_secs(5);
    let start = Instant::now();
    while database.strong_count() > 0 {
        if start.elapsed() > PATIENCE {
            tracing::warn!(database = name, "still in use when the member had stopped");
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[cfg(any(test, simulation))]
pub(crate) mod simulated;
#[cfg(test)]
pub(crate) mod tests;
