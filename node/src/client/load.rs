//! What all clients of this member have under way together, and how much more of it there may be (PROTOCOL, section
//! "Limits and throttling").
//!
//! Where an operator has set nothing, a pass of a connection's loop looks at one number that is counted anyway.
use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use parking_lot::Mutex;

use super::door::{Door, Entry};
use crate::config::Throttle;
use crate::metrics::Metrics;

/// What all clients of this member have under way together.
#[derive(Debug)]
pub(crate) struct Load {
    pub(super) limits: Throttle,
    /// Writes and syncs that are under way; counted if there is a bound.
    pub(super) begun: AtomicUsize,
    /// Bytes of large requests; counted if there is a bound.
    pub(super) large: AtomicUsize,
    door: Option<Mutex<Door>>,
}

impl Load {
    /// Nothing yet.
    pub(crate) fn new(limits: Throttle) -> Self {
        let door = limits.greetings.map(|config| Mutex::new(Door::new(config, Instant::now())));
        Self { limits, begun: AtomicUsize::new(0), large: AtomicUsize::new(0), door }
    }

    /// Whether a greeting may go on.
    pub(super) fn greets(&self, has_session: bool, metrics: &Metrics) -> bool {
        let Some(door) = &self.door else { return true };
        let mut door = door.lock();
        let entry = door.greet(has_session, Instant::now(), rand::random());
        metrics.summaries.connection_token_deficit.add(door.missing().into());
        entry == Entry::Open
    }

    /// The chance of a greeting to be turned away, from 0 to 1.
    pub(super) fn drop_chance(&self) -> f64 {
        self.door.as_ref().map_or(0.0, |door| door.lock().drop_chance())
    }
}
