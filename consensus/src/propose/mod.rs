//! The way of what this member's clients ask for, from here into the log.

mod forward;
mod pending;

use std::sync::Arc;

pub(crate) use pending::Pending;

use crate::leader::{Leadership, Sequencer};
use crate::peer::Peers;
use crate::runtime::watch;
use crate::tasks::Tasks;

/// Brings what is pending to whoever leads, for as long as the member runs.
pub(crate) fn start(
    tasks: &Tasks,
    pending: Arc<Pending>,
    leadership: watch::Receiver<Leadership>,
    sequencer: Sequencer,
    peers: Peers,
) {
    let forwarder = forward::Forwarder { pending, leadership, sequencer, peers };
    tasks.spawn("forward proposals", forwarder.run());
}
