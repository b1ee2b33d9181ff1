//! How many ensembles run at a time.
//!
//! Tests of one file run side by side. An ensemble is three processes that elect, sync and answer in time, so more
//! of them than the machine has room for would only measure the machine.

use std::sync::{Condvar, Mutex, PoisonError};
use std::thread::ThreadId;

/// How many may run at a time on any machine.
const ROOM_MAX: usize = 4;

/// Whose turn it is: a thread for each ensemble.
static RUNNING: Mutex<Vec<ThreadId>> = Mutex::new(Vec::new());
static ONE_ENDED: Condvar = Condvar::new();

/// Leave to run one ensemble, given back when dropped.
#[derive(Debug)]
pub(crate) struct Turn(ThreadId);

impl Turn {
    /// Waits until there is room for one more. A test that has an ensemble does not wait for another: where there is room for
    /// one only, it would wait for itself.
    pub(crate) fn wait() -> Self {
        let room =
            std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).clamp(1, ROOM_MAX));
        let own = std::thread::current().id();
        let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let mut running = ONE_ENDED
            .wait_while(running, |running| running.len() >= room && !running.contains(&own))
            .unwrap_or_else(PoisonError::into_inner);
        running.push(own);
        Self(own)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = running.iter().position(|of| *of == self.0) {
            running.swap_remove(own);
        }
        ONE_ENDED.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::wait::PATIENCE;

    #[test]
    fn who_has_a_turn_does_not_wait_for_itself() {
        let (sender, had) = mpsc::channel();
        std::thread::spawn(move || {
            let turns: Vec<Turn> = (0..=ROOM_MAX).map(|_| Turn::wait()).collect();
            sender.send(turns.len())
        });
        assert_eq!(had.recv_timeout(PATIENCE), Ok(ROOM_MAX + 1));
    }
}
