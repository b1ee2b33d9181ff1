//! How many ensembles run at a time.
//!
//! Tests of one file run side by side. An ensemble is three processes that elect, sync and answer in time, so more
//! of them than the machine has room for would only measure the machine.

use std::sync::{Condvar, Mutex, PoisonError};

static RUNNING: Mutex<usize> = Mutex::new(0);
static ONE_ENDED: Condvar = Condvar::new();

/// Leave to run one ensemble, given back when dropped.
#[derive(Debug)]
pub(crate) struct Turn(());

impl Turn {
    /// Waits until there is room for one more.
    pub(crate) fn wait() -> Self {
        let room = std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).clamp(1, 4));
        let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let mut running =
            ONE_ENDED.wait_while(running, |running| *running >= room).unwrap_or_else(PoisonError::into_inner);
        *running += 1;
        Self(())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        ONE_ENDED.notify_one();
    }
}
