//! Who leads, as this member knows it.
//!
//! The duties of a leader begin and end with what is said here.

mod deadlines;
mod describe;
mod expiry;
mod mark;
mod name;
mod reaper;
mod reconfigure;
mod sequencer;
mod transfer;

use openraft::ServerState;
use openraft::async_runtime::WatchReceiver;
use proto::MemberId;

pub(crate) use expiry::Expiry;
pub(crate) use mark::mark;
pub(crate) use name::name;
pub(crate) use reaper::Reaper;
pub(crate) use reconfigure::{Asked, Reconfigurer};
pub(crate) use sequencer::{EpochEnded, Metered, Sequencer};
pub(crate) use transfer::hand_over;

use crate::applier::Raft;
use crate::runtime::watch;
use crate::tasks::Tasks;

/// Who leads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Leadership {
    /// Who leads, if anybody is known to.
    pub(crate) leader: Option<MemberId>,
    /// In which term.
    pub(crate) term: u64,
    /// Whether it is this member.
    pub(crate) own: bool,
}

/// Follows who leads, for as long as the member runs.
pub(crate) fn follow(tasks: &Tasks, raft: &Raft) -> watch::Receiver<Leadership> {
    let mut metrics = raft.server_metrics();
    let (sender, receiver) = watch::channel(Leadership::default());
    tasks.spawn("follow leader", async move {
        loop {
            let now = {
                // Copied out at once: a reference held longer would stop Raft itself.
                let metrics = metrics.borrow_watched();
                Leadership {
                    leader: metrics.current_leader.map(MemberId::new),
                    term: metrics.vote.leader_id.term,
                    own: metrics.state == ServerState::Leader,
                }
            };
            sender.send_if_modified(|known| std::mem::replace(known, now) != now);
            if metrics.changed().await.is_err() {
                // Raft has stopped: nobody leads, as far as this member is concerned.
                sender.send_replace(Leadership::default());
                return;
            }
        }
    });
    receiver
}
