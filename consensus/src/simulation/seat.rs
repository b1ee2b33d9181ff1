//! A member's place in a simulated ensemble: its disks, and its life if it has one.

use std::sync::Arc;

use super::ear::Ear;
use crate::runtime::life::Life;
use crate::{Consensus, log, state};

/// What belongs to a member, whether it runs or not.
pub(super) struct Seat {
    pub(super) log: log::simulated::Platter,
    pub(super) state: state::simulated::Platter,
    /// Whether a bit of its log was turned over: it must not start any more.
    pub(super) is_damaged: bool,
    pub(super) life: Option<Arc<Life>>,
    pub(super) running: Option<Running>,
}

/// A member that runs.
#[derive(Clone)]
pub(crate) struct Running {
    pub(crate) life: Arc<Life>,
    pub(crate) boot: u64,
    pub(crate) consensus: Consensus,
    pub(crate) ear: Arc<Ear>,
}

impl Running {
    /// Whether it lets clients in.
    pub(crate) fn serves(&self) -> bool {
        let status = self.consensus.status();
        let status = status.borrow();
        status.recovered && status.leader.is_some() && !status.stopped && !status.outside
    }
}

impl Seat {
    pub(super) fn mend(&self) {
        self.log.mend();
        self.state.mend();
    }

    pub(super) fn has_failed(&self) -> bool {
        self.log.has_failed() || self.state.has_failed()
    }
}
