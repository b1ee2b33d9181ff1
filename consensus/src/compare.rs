//! Asks all members for the digests of their states at one place of the log.

use std::num::NonZeroU64;

use futures_util::future::join_all;
use proto::limits::DIGEST_WAIT_MAX;
use proto::peer::{DigestRequest, MarkRequest};
use proto::{MemberId, Zxid};
use tokio::time::timeout;
use tonic::Code;

use crate::Status;
use crate::applier::Raft;
use crate::digest::{Digested, Digests, Found};
use crate::leader::{self, Leadership};
use crate::peer::Peers;
use crate::runtime::watch;

/// What a member has at the place that was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// The member.
    pub member: MemberId,
    /// Its digest, or why there is none.
    pub found: Result<Digested, String>,
}

/// Asks the others.
#[derive(Clone)]
pub(crate) struct Comparison {
    pub(crate) own: MemberId,
    pub(crate) raft: Raft,
    pub(crate) leadership: watch::Receiver<Leadership>,
    pub(crate) status: watch::Receiver<Status>,
    pub(crate) peers: Peers,
    pub(crate) digests: Digests,
}

impl Comparison {
    /// What every member has at a mark that is put into the log for this.
    ///
    /// # Errors
    /// In words, if the mark cannot be put there.
    pub(crate) async fn ask(&self) -> Result<Vec<Compared>, String> {
        let mark = draw();
        self.mark(mark).await?;
        let members: Vec<MemberId> = self.status.borrow().members.keys().copied().collect();
        let asked = members.into_iter().map(|member| async move {
            let found = if member == self.own {
                self.digests.at(mark).await
            } else {
                self.ask_other(member, mark).await
            };
            Compared { member, found }
        });
        Ok(join_all(asked).await)
    }

    async fn mark(&self, mark: NonZeroU64) -> Result<(), String> {
        let Leadership { leader, own, .. } = *self.leadership.borrow();
        if own {
            return leader::mark(&self.raft, mark).await;
        }
        let leader = leader.ok_or("no leader is known")?;
        let mut peer = self.peers.ask(leader).ok_or("the leader has no usable address")?;
        let asked = timeout(DIGEST_WAIT_MAX, peer.mark(MarkRequest { mark: mark.get() })).await;
        let answered = asked.map_err(|_| "the leader does not answer".to_owned())?;
        answered.map(drop).map_err(|status| format!("the leader refuses: {}", status.message()))
    }

    async fn ask_other(&self, member: MemberId, mark: NonZeroU64) -> Found {
        let mut peer = self.peers.ask(member).ok_or("it has no usable address")?;
        let asked = timeout(DIGEST_WAIT_MAX, peer.digest(DigestRequest { mark: mark.get() })).await;
        let reply = asked.map_err(|_| "it does not answer".to_owned())?;
        let reply = reply.map_err(|status| match status.code() {
            Code::NotFound => status.message().to_owned(),
            _ => format!("it cannot be reached: {}", status.message()),
        })?;
        let reply = reply.into_inner();
        let at = reply.at.unwrap_or_default();
        Ok(Digested {
            term: at.term,
            index: at.index,
            zxid: Zxid::new(reply.zxid),
            digest: reply.digest,
            records: reply.records,
        })
    }
}

fn draw() -> NonZeroU64 {
    loop {
        if let Some(mark) = NonZeroU64::new(rand::random()) {
            return mark;
        }
    }
}
