//! Whether this member is one at all: asked of the others when no leader is heard of.
//!
//! A member that was removed while it was away has a log that calls it one, and nobody will ever send it another. And one
//! that is to be added begins with nothing, and must not begin an ensemble of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use openraft::async_runtime::WatchReceiver;
use proto::MemberId;
use proto::limits::STANDING_WAIT_MAX;
use proto::peer::{StandingReply, StandingRequest};
use tokio::time::{sleep, timeout};
use tonic::Code;
use tracing::{info, warn};

use crate::Status;
use crate::applier::Raft;
use crate::candidacy::Candidacy;
use crate::directory::Directory;
use crate::franchise::has_begun;
use crate::peer::Peers;
use crate::runtime::watch;
use crate::types::LogId;

/// How often the others are asked.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// Asks the others.
#[derive(Clone, Debug)]
pub(crate) struct Inquiry {
    pub(crate) own: MemberId,
    pub(crate) directory: Directory,
    pub(crate) peers: Peers,
    pub(crate) candidacy: Candidacy,
}

impl Inquiry {
    /// Whether any of the others has ever had a leader. Who does not answer at once may not have been started yet.
    pub(crate) async fn ensemble_has_begun(&self) -> bool {
        self.ask().await.iter().any(|reply| reply.begun)
    }

    async fn ask(&self) -> Vec<StandingReply> {
        let questions = self.directory.others(self.own).into_iter().map(|member| async move {
            let mut peer = self.peers.ask(member)?;
            match timeout(STANDING_WAIT_MAX, peer.standing(StandingRequest {})).await.ok()? {
                Ok(reply) => Some(reply.into_inner()),
                // Members of an ensemble answer nobody who does not belong to it, or does not know yet.
                Err(status) if status.code() == Code::PermissionDenied => {
                    Some(StandingReply { begun: true, led: true, decided: None, member: false })
                }
                Err(_) => None,
            }
        });
        join_all(questions).await.into_iter().flatten().collect()
    }

    /// Keeps `outside` true while others have a leader, and do not know this member. It stands for no election
    /// meanwhile. If the leader sends it anything it is one (again).
    pub(crate) async fn watch(
        self,
        raft: Raft,
        mut status: watch::Receiver<Status>,
        outside: Arc<AtomicBool>,
    ) {
        loop {
            if status.wait_for(|status| status.leader.is_none()).await.is_err() {
                return;
            }
            tokio::select! {
                biased;
                led = status.wait_for(|status| status.leader.is_some()) => match led {
                    Ok(_) => {}
                    Err(_) => return,
                },
                () = self.ask_on(&raft, &outside) => {}
            }
            if outside.swap(false, Ordering::AcqRel) {
                self.candidacy.set_outside(&raft, false);
                info!("is a member, and serves");
            }
        }
    }

    async fn ask_on(&self, raft: &Raft, outside: &AtomicBool) {
        loop {
            sleep(ASK_AGAIN).await;
            let (decided, is_one) = {
                let metrics = raft.metrics();
                let (known, committed) = {
                    let metrics = metrics.borrow_watched();
                    (metrics.membership_config.clone(), metrics.last_applied)
                };
                // What it has from its own file says nothing about an ensemble that has begun without it.
                let is_one = has_begun(committed) && known.membership().get_node(&self.own.get()).is_some();
                (known.log_id().as_ref().map(LogId::index), is_one)
            };
            // Its own log may call it a member by a membership that is newer than what another has heard of.
            let knows_better = |reply: &StandingReply| {
                let newer = reply.decided.as_ref().map(|at| at.index) > decided;
                // Before anything is committed nobody knows who is one.
                reply.begun && reply.led && !reply.member && (newer || !is_one)
            };
            let gone = self.ask().await.iter().any(knows_better);
            if gone && !outside.swap(true, Ordering::AcqRel) {
                // It could not win, but there is no need to ask for votes.
                self.candidacy.set_outside(raft, true);
                if is_one || decided > Some(0) {
                    warn!(
                        "is no member any more: the ensemble goes on without this one, which serves nobody until it is added again"
                    );
                } else {
                    info!("is not known to be a member: serves nobody until the leader calls");
                }
            }
        }
    }
}
