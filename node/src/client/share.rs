//! One connection's part of what is under way, and whether there may be more of it.
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::end::End;
use super::lane::Lane;
use super::load::Load;
use crate::config::Throttle;
use crate::metrics::Metrics;
use crate::stats::Request;

/// One connection's part of the load. What it has is given back when it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    load: Arc<Load>,
    begun: usize,
    large: usize,
    /// Bytes of a large request that has been announced and has not all arrived; 0 if there is none.
    announced: usize,
    /// Since when nothing may be begun, if that is so.
    stalled: Option<Instant>,
    /// When it is looked again whether something may be begun.
    again: Option<Instant>,
}

impl Share {
    /// A connection that has nothing under way.
    pub(super) const fn new(load: Arc<Load>) -> Self {
        Self { load, begun: 0, large: 0, announced: 0, stalled: None, again: None }
    }

    /// Bytes above which a request is a large one.
    pub(super) fn large_threshold(&self) -> usize {
        self.load.limits.large.map_or(usize::MAX, |large| large.threshold)
    }

    /// Whether the connection may be asked for more, with so many of its requests not answered, and so many of all.
    pub(super) fn may_accept(&self, own: usize, all: usize) -> bool {
        // Whoever waits for nothing may always ask for something.
        own == 0 || all <= self.load.limits.outstanding
    }

    /// A request of so many bytes is announced.
    ///
    /// # Errors
    /// [`End::TooLarge`] if it is one large request too many.
    pub(super) fn announce(&mut self, bytes: usize, metrics: &Metrics) -> Result<(), End> {
        let Some(limit) = self.load.limits.large.filter(|limit| limit.is_large(bytes)) else { return Ok(()) };
        if self.announced > 0 {
            return Ok(());
        }
        let before = self.load.large.fetch_add(bytes, Relaxed);
        self.large += bytes;
        if before + bytes > limit.bytes {
            metrics.counts.large_requests_rejected.inc();
            return Err(End::TooLarge);
        }
        self.announced = bytes;
        Ok(())
    }

    /// The request that was announced has arrived.
    pub(super) const fn arrived(&mut self) {
        self.announced = 0;
    }

    /// Whether the next request of the lane may be begun. If not, it is to be asked again at [`Self::again`].
    ///
    /// # Errors
    /// [`End::Stale`] if it has waited for longer than the session's timeout, and such a one is not to be waited for.
    pub(super) fn may_begin(
        &mut self,
        lane: &mut Lane<Request>,
        timeout: Duration,
        metrics: &Metrics,
    ) -> Result<bool, End> {
        let (Some(limit), Some(front)) = (self.load.limits.requests, lane.front()) else {
            (self.stalled, self.again) = (None, None);
            return Ok(true);
        };
        let has_room = self.load.begun.load(Relaxed) < limit.max;
        let now = Instant::now();
        let since = match self.stalled {
            None if has_room => return Ok(true),
            None => *self.stalled.insert(now),
            Some(since) => since,
        };
        let waited = |arrived: Instant| now.saturating_duration_since(since.max(arrived));
        if limit.stale_latency && waited(front.arrived.arrived) > timeout {
            metrics.counts.stale_requests.inc();
            if limit.drop_stale {
                metrics.counts.stale_requests_dropped.inc_by(lane.waiting() as u64);
                return Err(End::Stale);
            }
        }
        if has_room {
            (self.stalled, self.again) = (None, None);
            metrics.summaries.request_throttle_queue_time_ms.took(waited(front.arrived.arrived));
            if let Some(max) = limit.wait_max {
                let refused = lane.refuse(|arrived| waited(arrived.arrived) > max);
                metrics.counts.throttled_ops.inc_by(refused);
            }
        } else if self.again.is_none_or(|again| again <= now) {
            self.again = Some(now + limit.stall);
            metrics.counts.request_throttle_wait_count.inc();
        }
        Ok(has_room)
    }

    /// When it is to be looked again whether the next request may be begun.
    pub(super) const fn again(&self) -> Option<Instant> {
        self.again
    }

    /// A write or a sync was begun.
    pub(super) fn begin(&mut self) {
        if self.load.limits.requests.is_some() {
            self.load.begun.fetch_add(1, Relaxed);
            self.begun += 1;
        }
    }

    /// So much of the connection's requests is still under way.
    pub(super) fn tell(&mut self, lane: &Lane<Request>) {
        let Throttle { requests, large, .. } = &self.load.limits;
        if requests.is_some() {
            let begun = lane.begun().min(self.begun);
            self.load.begun.fetch_sub(self.begun - begun, Relaxed);
            self.begun = begun;
        }
        if large.is_some() {
            let large = (lane.large_bytes() + self.announced).min(self.large);
            self.load.large.fetch_sub(self.large - large, Relaxed);
            self.large = large;
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.load.begun.fetch_sub(self.begun, Relaxed);
        self.load.large.fetch_sub(self.large, Relaxed);
    }
}
