//! How measured amounts are spread: count, sum, extremes and quantiles.
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// Amounts are remembered one by one for so long, at least, and twice as long at most: then quantiles forget them.
const WINDOW: Duration = Duration::from_secs(300);

/// Decimal digits that quantiles keep: an error of one part in a hundred.
const DIGITS: u8 = 2;

/// What is larger counts as this for quantiles: an hour, in microseconds. It bounds a histogram to 27 kB.
const AMOUNT_MAX: u64 = 3_600_000_000;

/// Count, sum and extremes of what was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    /// How often something was measured.
    pub count: u64,
    /// All of it together.
    pub sum: u64,
    /// The smallest amount; the largest number there is if nothing was measured.
    pub min: u64,
    /// The largest.
    pub max: u64,
}

impl Default for Spread {
    fn default() -> Self {
        Self { count: 0, sum: 0, min: u64::MAX, max: 0 }
    }
}

impl Spread {
    /// This amount was measured so often.
    pub(crate) fn add(&mut self, amount: u64, times: u64) {
        self.merge(&Self { count: times, sum: amount.saturating_mul(times), min: amount, max: amount });
    }

    /// What was measured elsewhere counts here too.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.sum = self.sum.saturating_add(other.sum);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// The smallest amount, zero if nothing was measured.
    pub(crate) fn least(&self) -> u64 {
        if self.count == 0 { 0 } else { self.min }
    }

    /// The mean, zero if nothing was measured.
    #[expect(clippy::cast_precision_loss, reason = "a mean needs no more than 52 bits")]
    pub(crate) fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum as f64 / self.count as f64 }
    }
}

/// What is told of the last minutes: half, nine tenths, … of the amounts were no larger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quantiles {
    /// Half.
    pub p50: u64,
    /// Nine of ten.
    pub p90: u64,
    /// Nineteen of twenty.
    pub p95: u64,
    /// 99 of a hundred.
    pub p99: u64,
    /// 999 of a thousand.
    pub p999: u64,
}

/// Amounts that were measured: all of them in sum, those of the last minutes one by one.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    all: Spread,
    now: Histogram<u64>,
    before: Histogram<u64>,
    since: Instant,
}

impl Default for Measured {
    fn default() -> Self {
        Self { all: Spread::default(), now: histogram(), before: histogram(), since: Instant::now() }
    }
}

impl Measured {
    /// This amount was measured so often.
    pub(crate) fn add(&mut self, amount: u64, times: u64, now: Instant) {
        self.turn(now);
        self.all.add(amount, times);
        // It grows as far as that by itself.
        let _ = self.now.record_n(amount.min(AMOUNT_MAX), times);
    }

    /// What was measured elsewhere counts here too.
    pub(crate) fn merge(&mut self, other: &Self, now: Instant) {
        let mut other = other.clone();
        self.turn(now);
        other.turn(now);
        self.all.merge(&other.all);
        // They grow by themselves, so one always has room for the other.
        let _ = self.now.add(&other.now);
        let _ = self.before.add(&other.before);
    }

    /// How it is spread.
    pub(crate) fn get(&self, now: Instant) -> (Spread, Quantiles) {
        let mut recent = Self::default();
        recent.merge(self, now);
        let Self { all, now: mut recent, before, .. } = recent;
        let _ = recent.add(&before);
        if recent.is_empty() {
            return (all, Quantiles::default());
        }
        // A histogram tells the end of the range that it knows an amount to be in.
        let quantile = |share: f64| recent.value_at_quantile(share).min(all.max);
        let [p50, p90, p95, p99, p999] = [0.5, 0.9, 0.95, 0.99, 0.999].map(quantile);
        (all, Quantiles { p50, p90, p95, p99, p999 })
    }

    /// Forgets what has grown old.
    fn turn(&mut self, now: Instant) {
        let age = now.saturating_duration_since(self.since);
        if age < WINDOW {
            return;
        }
        std::mem::swap(&mut self.now, &mut self.before);
        self.now.reset();
        if age >= 2 * WINDOW {
            self.before.reset();
        }
        self.since = now;
    }
}

/// An empty one. It takes memory as it comes to know larger amounts.
fn histogram() -> Histogram<u64> {
    #[expect(clippy::expect_used, reason = "up to five digits are allowed")]
    Histogram::new(DIGITS).expect("a number of digits that is allowed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_measured_is_told_with_its_quantiles() {
        let (mut measured, now) = (Measured::default(), Instant::now());
        assert_eq!(measured.get(now), (Spread::default(), Quantiles::default()));
        (1..=1_000).for_each(|amount| measured.add(amount, 1, now));
        let (all, told) = measured.get(now);
        assert_eq!((all.count, all.sum, all.min, all.max), (1_000, 500_500, 1, 1_000));
        assert!((all.mean() - 500.5).abs() < 1e-9);
        for (told, true_one) in [(told.p50, 500), (told.p90, 900), (told.p99, 990), (told.p999, 999)] {
            assert!(told.abs_diff(true_one) <= true_one / 100, "{told} and not {true_one}");
        }
    }

    #[test]
    fn quantiles_are_those_of_the_last_minutes_and_sums_those_of_all_time() {
        let (mut measured, start) = (Measured::default(), Instant::now());
        measured.add(7_000, 10, start);
        measured.add(3, 1, start + WINDOW);
        assert_eq!(measured.get(start + WINDOW).1.p50, 7_000);
        let (all, told) = measured.get(start + 2 * WINDOW);
        assert_eq!((all.count, all.max, told.p50, told.p999), (11, 7_000, 3, 3));
        assert_eq!(measured.get(start + 5 * WINDOW).1, Quantiles::default());
    }

    #[test]
    fn whatever_is_measured_a_histogram_stays_small() {
        let (mut measured, now) = (Measured::default(), Instant::now());
        measured.add(u64::MAX, 2, now);
        measured.add(0, 1, now);
        assert!(measured.now.distinct_values() < 4_096, "{} cells", measured.now.distinct_values());
        let (all, _) = measured.get(now);
        assert_eq!((all.min, all.max, all.sum), (0, u64::MAX, u64::MAX));
    }

    #[test]
    fn the_least_of_nothing_is_nothing() {
        assert_eq!((Spread::default().least(), Spread::default().mean()), (0, 0.0));
    }
}
