//! Waiting for something to become true, and saying what it was when it does not.

use std::time::{Duration, Instant};

/// How long anything may take before a test gives up: generous, because a test machine may be busy with others, or
/// its disk slow.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// Asks `probe` again and again until it has an answer.
///
/// # Panics
/// If it has none within [`PATIENCE`]: then says `what` was waited for.
#[track_caller]
pub fn until<T>(what: &str, probe: impl FnMut() -> Option<T>) -> T {
    within(PATIENCE, probe).unwrap_or_else(|| panic!("waited {PATIENCE:?} in vain until {what}"))
}

/// Asks `probe` again and again until it has an answer, or until `patience` ends.
pub fn within<T>(patience: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + patience;
    loop {
        if let Some(answer) = probe() {
            return Some(answer);
        }
        if Instant::now() >= end {
            return None;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
