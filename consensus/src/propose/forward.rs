//! Brings what is pending to the leader, whoever that is, and again whenever that changes.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, Stream};
use proto::MemberId;
use proto::limits::{FORWARD_BYTES_MAX, FORWARD_TRANSACTIONS_MAX};
use proto::peer::Proposals;
use tokio::time::Instant;
use tracing::debug;

use crate::leader::{Leadership, Sequencer};
use crate::peer::Peers;
use crate::propose::pending::{Pending, Place, Portion};
use crate::runtime::watch;

/// How long to wait before the next attempt when one has failed: little at first, because a leader that was just
/// elected is ready within a round trip, and more each time up to the greatest.
const PAUSE_MIN: Duration = Duration::from_millis(3);
const PAUSE_MAX: Duration = Duration::from_millis(50);
/// A way that has held for so long was a good one: the next attempt is a first one again.
const GOOD_WAY: Duration = Duration::from_secs(1);

/// The task that brings what is pending to the leader.
pub(super) struct Forwarder {
    pub(super) pending: Arc<Pending>,
    pub(super) leadership: watch::Receiver<Leadership>,
    pub(super) sequencer: Sequencer,
    pub(super) peers: Peers,
}

impl Forwarder {
    pub(super) async fn run(mut self) {
        let mut pause = PAUSE_MIN;
        loop {
            let leadership = match self.leadership.wait_for(|now| now.leader.is_some()).await {
                Ok(leadership) => *leadership,
                Err(_) => return,
            };
            let Some(leader) = leadership.leader else { continue };
            let begun = Instant::now();
            // Each way begins at the oldest: what went down the one before it may be lost, or not, and the world
            // does nothing for a repeat.
            let mut changing = self.leadership.clone();
            let why = tokio::select! {
                biased;
                _ = changing.wait_for(|now| *now != leadership) => "leader changed".to_owned(),
                () = self.pending.again() => "state replaced".to_owned(),
                why = self.bring_to(leader, leadership.own) => why,
            };
            debug!(%leader, term = leadership.term, why, pending = self.pending.len(), "way to leader ended");
            pause = if begun.elapsed() > GOOD_WAY { PAUSE_MIN } else { PAUSE_MAX.min(pause * 2) };
            tokio::select! {
                biased;
                _ = changing.wait_for(|now| *now != leadership) => pause = PAUSE_MIN,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Returns why the way to the leader has ended.
    async fn bring_to(&self, leader: MemberId, own: bool) -> String {
        if own {
            return self.bring_home().await;
        }
        let Some(mut peer) = self.peers.forward(leader) else {
            return format!("member {leader} has no usable address");
        };
        match peer.forward(self.pending.clone().stream()).await {
            Ok(_) => "the leader hung up".to_owned(),
            Err(status) => status.to_string(),
        }
    }

    /// The leader is this member.
    async fn bring_home(&self) -> String {
        let Ok(entrance) = self.sequencer.entrance().await else { return "stopping".to_owned() };
        let bring = async {
            let mut place = Place::default();
            loop {
                let (transactions, behind) = self.pending.next(place, PORTION).await;
                for transaction in transactions {
                    entrance.push(transaction).await?;
                }
                place = behind;
            }
        };
        tokio::select! {
            biased;
            () = entrance.ended() => "epoch ended".to_owned(),
            ended = bring => {
                let Err(ended): Result<std::convert::Infallible, crate::leader::EpochEnded> = ended;
                ended.to_string()
            }
        }
    }
}

const PORTION: Portion = Portion { transactions: FORWARD_TRANSACTIONS_MAX, bytes: FORWARD_BYTES_MAX };

impl Pending {
    /// Everything from the oldest on, and then whatever is proposed.
    fn stream(self: Arc<Self>) -> impl Stream<Item = Proposals> + Send + 'static {
        stream::unfold((self, Place::default()), |(pending, place)| async move {
            let (transactions, behind) = pending.next(place, PORTION).await;
            Some((Proposals { transactions }, (pending, behind)))
        })
    }
}
