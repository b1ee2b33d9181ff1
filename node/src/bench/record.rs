//! What was measured: latencies by kind of request, refusals, and how much was answered when.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::mix::Kind;

/// How finely throughput is told over time.
pub(super) const SLICE: Duration = Duration::from_millis(100);

/// What a longer latency is taken for.
const LATENCY_MAX: Duration = Duration::from_secs(600);

/// What one thread, or all of them, measured.
#[derive(Clone, Debug)]
pub(super) struct Record {
    /// Nothing is recorded before.
    start: Instant,
    latencies: [Option<Box<Histogram<u64>>>; Kind::COUNT],
    /// How many answers came in each [`SLICE`] since the start.
    slices: Vec<u64>,
    /// Refusals, by code.
    pub(super) refused: BTreeMap<i32, u64>,
    /// Requests that were not answered because their connection broke.
    pub(super) unanswered: u64,
    /// Notifications that came by the way.
    pub(super) events: u64,
    /// Connections that broke.
    pub(super) broken: u64,
}

impl Record {
    /// Nothing yet.
    pub(super) const fn new(start: Instant) -> Self {
        Self {
            start,
            latencies: [const { None }; Kind::COUNT],
            slices: Vec::new(),
            refused: BTreeMap::new(),
            unanswered: 0,
            events: 0,
            broken: 0,
        }
    }

    /// Before when nothing is recorded.
    pub(super) const fn start(&self) -> Instant {
        self.start
    }

    /// Notes an answer that came at `now` to what should have been asked at `since`.
    pub(super) fn answered(&mut self, kind: Kind, since: Instant, now: Instant, code: i32) {
        let Some(at) = now.checked_duration_since(self.start) else { return };
        let slice = usize::try_from(at.as_millis() / SLICE.as_millis()).unwrap_or(usize::MAX);
        if slice >= self.slices.len() {
            self.slices.resize(slice + 1, 0);
        }
        self.slices[slice] += 1;
        if code != 0 {
            *self.refused.entry(code).or_default() += 1;
        }
        let took = now.saturating_duration_since(since).min(LATENCY_MAX);
        let latencies = self.latencies[kind as usize].get_or_insert_with(|| Box::new(histogram()));
        latencies.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).max(1));
    }

    /// Takes in what another thread measured.
    pub(super) fn add(&mut self, other: &Self) {
        for (mine, its) in self.latencies.iter_mut().zip(&other.latencies) {
            if let Some(its) = its {
                // Both have the same bounds, so this cannot fail.
                let _same = mine.get_or_insert_with(|| Box::new(histogram())).add(&**its);
            }
        }
        self.slices.resize(self.slices.len().max(other.slices.len()), 0);
        for (mine, its) in self.slices.iter_mut().zip(&other.slices) {
            *mine += its;
        }
        for (code, count) in &other.refused {
            *self.refused.entry(*code).or_default() += count;
        }
        self.unanswered += other.unanswered;
        self.events += other.events;
        self.broken += other.broken;
    }

    /// The latencies of each kind that was answered, in nanoseconds.
    pub(super) fn latencies(&self) -> impl Iterator<Item = (Kind, &Histogram<u64>)> {
        Kind::ALL.into_iter().zip(&self.latencies).filter_map(|(kind, it)| Some((kind, &**it.as_ref()?)))
    }

    /// Latencies of all kinds, in nanoseconds.
    pub(super) fn all(&self) -> Histogram<u64> {
        let mut all = histogram();
        for (_, latencies) in self.latencies() {
            let _same = all.add(latencies);
        }
        all
    }

    /// How many answers came in each [`SLICE`].
    pub(super) fn slices(&self) -> &[u64] {
        &self.slices
    }
}

fn histogram() -> Histogram<u64> {
    #[expect(clippy::expect_used, reason = "the bounds are constants, and good ones")]
    Histogram::new_with_bounds(1, LATENCY_MAX.as_nanos() as u64, 3).expect("the bounds of a histogram")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart_by_kind_and_by_time() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let (mut one, mut other) = (Record::new(start), Record::new(start));
        one.answered(Kind::Get, at(10), at(20), 0);
        one.answered(Kind::Set, at(100), at(250), -101);
        other.answered(Kind::Get, at(200), at(230), 0);
        one.add(&other);
        assert_eq!(one.slices(), [1, 0, 2]);
        assert_eq!(one.refused, BTreeMap::from([(-101, 1)]));
        let counts: Vec<_> =
            one.latencies().map(|(kind, it)| (kind, it.len(), it.max() / 1_000_000)).collect();
        assert_eq!(counts, [(Kind::Get, 2, 30), (Kind::Set, 1, 150)]);
        assert_eq!(one.all().len(), 3);
    }

    #[test]
    fn what_is_answered_before_the_start_does_not_count() {
        let start = Instant::now() + Duration::from_secs(1);
        let mut record = Record::new(start);
        record.answered(Kind::Get, start, start.checked_sub(Duration::from_millis(1)).unwrap_or(start), 0);
        assert_eq!((record.all().len(), record.slices().len()), (0, 0));
    }
}
