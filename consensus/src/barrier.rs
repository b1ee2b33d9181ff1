//! Waits until this member has seen all that was committed anywhere.

use std::time::Duration;

use openraft::ReadPolicy;
use proto::limits::{BARRIER_WAIT_MAX, BARRIERS_WAITING_MAX};
use proto::peer::ReadIndexRequest;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use tracing::debug;

use crate::Unavailable;
use crate::applier::Raft;
use crate::leader::Leadership;
use crate::peer::Peers;
use crate::runtime::watch;
use crate::tasks::Tasks;

/// How long to wait before the leader is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(5);

/// Where the questions wait. They are answered in rounds: one question to the leader for all that wait, whose answer
/// is good for them because it was asked after they came, and not for those that come meanwhile.
#[derive(Clone, Debug)]
pub(crate) struct Barrier {
    waiting: mpsc::Sender<Question>,
}

#[derive(Debug)]
struct Question {
    until: Instant,
    answer: oneshot::Sender<Result<(), Unavailable>>,
}

impl Barrier {
    /// Begins to answer.
    pub(crate) fn start(
        tasks: &Tasks,
        raft: Raft,
        leadership: watch::Receiver<Leadership>,
        peers: Peers,
    ) -> Self {
        let (waiting, questions) = mpsc::channel(BARRIERS_WAITING_MAX);
        let rounds = Rounds { raft, leadership, peers };
        tasks.spawn("answer barriers", rounds.run(questions));
        Self { waiting }
    }

    /// Returns when this member has applied everything that was committed when this was called.
    ///
    /// # Errors
    /// [`Unavailable`] if no leader is found in time, or this member does not catch up in time.
    pub(crate) async fn wait(&self) -> Result<(), Unavailable> {
        let until = Instant::now() + BARRIER_WAIT_MAX;
        let (answer, answered) = oneshot::channel();
        let ask = async {
            self.waiting.send(Question { until, answer }).await.map_err(|_| Unavailable)?;
            answered.await.map_err(|_| Unavailable)?
        };
        timeout_at(until, ask).await.unwrap_or(Err(Unavailable))
    }
}

/// The task behind a [`Barrier`].
struct Rounds {
    raft: Raft,
    leadership: watch::Receiver<Leadership>,
    peers: Peers,
}

impl Rounds {
    async fn run(mut self, mut questions: mpsc::Receiver<Question>) {
        let mut waiting = Vec::new();
        while questions.recv_many(&mut waiting, BARRIERS_WAITING_MAX).await > 0 {
            // The youngest gives up last, and whoever gives up earlier stops listening.
            let Some(until) = waiting.iter().map(|question| question.until).max() else { continue };
            let answer = timeout_at(until, self.round()).await.unwrap_or(Err(Unavailable));
            for question in waiting.drain(..) {
                let _ = question.answer.send(answer);
            }
        }
    }

    /// Returns when everything is applied here that was committed when this was called, or when Raft has stopped here.
    async fn round(&mut self) -> Result<(), Unavailable> {
        loop {
            match self.read_index().await {
                #[cfg(any(test, simulation))]
                Ok(_) if crate::runtime::bugs::is_in(crate::runtime::bugs::Bug::ImpatientBarrier) => {
                    return Ok(());
                }
                Ok(index) => {
                    let applied = self.raft.wait(None).applied_index_at_least(Some(index), "barrier").await;
                    if applied.is_ok() {
                        return Ok(());
                    }
                }
                Err(why) => debug!(why, "leader does not answer a barrier"),
            }
            let known = *self.leadership.borrow_and_update();
            tokio::select! {
                biased;
                changed = self.leadership.wait_for(|now| *now != known) => {
                    // Whoever would tell is gone with Raft: without this it would be asked again and again at once.
                    changed.map_err(|_| Unavailable)?;
                }
                () = tokio::time::sleep(ASK_AGAIN) => {}
            }
        }
    }

    /// How far the log is committed, as the leader says after a quorum has confirmed that it leads.
    async fn read_index(&self) -> Result<u64, String> {
        let leadership = *self.leadership.borrow();
        let leader = leadership.leader.ok_or("no leader is known")?;
        if leadership.own {
            let linearizer = self.raft.get_read_linearizer(ReadPolicy::ReadIndex).await;
            return linearizer
                .map(|linearizer| linearizer.read_log_id().index())
                .map_err(|error| error.to_string());
        }
        let mut peer = self.peers.ask(leader).ok_or("the leader has no usable address")?;
        let mut changing = self.leadership.clone();
        tokio::select! {
            biased;
            _ = changing.wait_for(|now| *now != leadership) => Err("the leader changed".to_owned()),
            reply = peer.read_index(ReadIndexRequest {}) => {
                reply.map(|reply| reply.into_inner().index).map_err(|status| status.to_string())
            }
        }
    }
}
