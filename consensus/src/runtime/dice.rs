//! Chance, by a seed.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rand::rngs::SmallRng;
use rand::{Rng, RngExt, SeedableRng};

/// Random choices that are the same for the same seed. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Dice(Arc<Mutex<SmallRng>>);

impl Dice {
    /// Those of this seed.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(SmallRng::seed_from_u64(seed))))
    }

    /// Any number.
    pub fn number(&self) -> u64 {
        self.0.lock().next_u64()
    }

    /// A number of the range; its start if there is none.
    pub fn within(&self, range: Range<u64>) -> u64 {
        if range.is_empty() { range.start } else { self.0.lock().random_range(range) }
    }

    /// So many milliseconds.
    pub fn millis(&self, range: Range<u64>) -> Duration {
        Duration::from_millis(self.within(range))
    }

    /// True so many times in a thousand.
    pub fn chance(&self, per_mille: u64) -> bool {
        self.within(0..1_000) < per_mille
    }

    /// One of these, of which there is at least one.
    pub fn one_of<T: Copy>(&self, choices: &[T]) -> T {
        let at = self.within(0..choices.len() as u64);
        choices[usize::try_from(at).unwrap_or(0)]
    }
}

/// Sleeps, but not at all for no time.
pub(crate) async fn pass(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}
