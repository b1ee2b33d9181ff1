//! Asks the others what a member with a new log may have forgotten, until it has caught up.
//!
//! It may have voted and acknowledged before. In which terms, and what, only the others can say: so nothing is promised
//! before enough of them have been heard. What enough is, and what follows from it, is `franchise`'s.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;
use openraft::raft::VoteRequest;
use proto::MemberId;
use proto::limits::RECALL_WAIT_MAX;
use proto::peer::RecallRequest;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use crate::applier::Raft;
use crate::directory::Directory;
use crate::franchise::{Franchise, Suffrage, Testimony, judge};
use crate::log::LogStore;
use crate::peer::Peers;
use crate::types::{LogId, StoredMembership, Vote};
use crate::wire;

/// How often the others are asked while nothing can be done without them.
const ASK_SOON: Duration = Duration::from_millis(100);
/// How often they are asked when a leader may be followed.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// Who is voted for in terms in which no vote must be given any more. No member has this number.
const NOBODY: u64 = u64::MAX;

/// Asks the others.
pub(crate) struct Recollection {
    pub(crate) own: MemberId,
    /// Who votes by this member's own file.
    pub(crate) configured: BTreeSet<u64>,
    pub(crate) directory: Directory,
    pub(crate) peers: Peers,
    pub(crate) raft: Raft,
    pub(crate) log: LogStore,
    pub(crate) franchise: Franchise,
}

/// What was heard in this life.
#[derive(Default)]
struct Heard {
    testimonies: BTreeMap<u64, Testimony>,
    /// The newest membership that any of them knows.
    membership: Option<StoredMembership>,
    /// Whether the terms in which this member has done anything are behind it.
    knows_terms: bool,
    /// See `Suffrage::From`.
    floor: Option<Option<LogId>>,
}

impl Recollection {
    /// Asks until this member has caught up, or has what the others have. Ends also when Raft has stopped.
    pub(crate) async fn run(self) {
        let mut heard = Heard::default();
        while self.franchise.is_new() {
            if let Err(error) = self.ask_and_conclude(&mut heard).await {
                return warn!(%error, "no longer asks the others what it may have forgotten");
            }
            sleep(if self.franchise.has_heard() { ASK_AGAIN } else { ASK_SOON }).await;
        }
    }

    async fn ask_and_conclude(&self, heard: &mut Heard) -> Result<(), String> {
        self.ask(heard).await;
        let configs = self.configs(heard).await?;
        let judgement = judge(self.own.get(), &configs, &heard.testimonies, self.franchise.is_forgetful());
        // A floor counts with the terms that were heard together with it. Of two each is good.
        if let Some(floor) = judgement.floor
            && heard.floor.is_none_or(|known| floor < known)
        {
            self.leave_behind(judgement.term).await?;
            (heard.floor, heard.knows_terms) = (Some(floor), true);
        }
        if judgement.knows_terms && !heard.knows_terms {
            self.leave_behind(judgement.term).await?;
            heard.knows_terms = true;
        }
        if judgement.begins && !self.franchise.has_heard() {
            self.leave_behind(judgement.term).await?;
        }
        if heard.knows_terms || judgement.begins {
            self.franchise.may_follow().await.map_err(|error| error.to_string())?;
        }
        let suffrage = match heard.floor {
            Some(floor) => Suffrage::From(floor),
            None if judgement.begins => Suffrage::Beginners,
            None => Suffrage::Nobody,
        };
        self.franchise.grant(&self.raft, suffrage);
        if heard.floor.is_some_and(|floor| self.log.last() >= floor) && self.franchise.is_new() {
            self.franchise.grow_up(&self.raft).await.map_err(|error| error.to_string())?;
            info!(members = heard.testimonies.len(), "has what all others have, and votes from now on");
        }
        Ok(())
    }

    async fn ask(&self, heard: &mut Heard) {
        let questions = self.directory.others(self.own).into_iter().map(|member| async move {
            let mut peer = self.peers.recall(member)?;
            let reply = timeout(RECALL_WAIT_MAX, peer.recall(RecallRequest {})).await.ok()?.ok()?;
            Some((member.get(), reply.into_inner()))
        });
        for (member, reply) in join_all(questions).await.into_iter().flatten() {
            let last = reply.last.map(wire::log_id);
            let testimony = Testimony { term: reply.term, last, begun: reply.begun, new: reply.new };
            self.franchise.note_answer();
            heard.testimonies.insert(member, testimony);
            let Some(Ok(membership)) = reply.membership.map(wire::read_stored_membership) else { continue };
            let known = heard.membership.as_ref().and_then(|known| *known.log_id());
            if *membership.log_id() > known {
                // Some of them may be none that this member's file knows.
                self.directory.learn(membership.membership());
                heard.membership = Some(membership);
            }
        }
    }

    /// Who votes, as far as this member and those that it has heard know.
    async fn configs(&self, heard: &Heard) -> Result<Vec<BTreeSet<u64>>, String> {
        let own = self.raft.with_raft_state(|state| (**state.membership_state.effective()).clone()).await;
        let own = own.map_err(|error| error.to_string())?;
        let newest = heard.membership.iter().chain([&own]).max_by_key(|known| *known.log_id());
        let decided = newest.filter(|newest| newest.log_id().is_some());
        Ok(match decided {
            Some(membership) => membership.membership().get_joint_config().clone(),
            None => vec![self.configured.clone()],
        })
    }

    /// Gives no vote in terms up to this one any more, and follows no leader of an older one. On return that is safe.
    async fn leave_behind(&self, term: u64) -> Result<(), String> {
        let now = self.raft.with_raft_state(|state| state.vote_ref().leader_id.term).await;
        if now.map_err(|error| error.to_string())? >= term {
            return Ok(());
        }
        // A vote for nobody, asked of oneself: Raft saves it as any other. Neither the end of the log nor a leader that was
        // heard lately is a reason to refuse it. A leader of that very term is still followed, and nobody else is elected in it.
        let end = LogId::new_term_index(u64::MAX, u64::MAX);
        let request =
            VoteRequest { vote: Vote::new(term, NOBODY), last_log_id: Some(end), leadership_transfer: true };
        let response = self.raft.vote(request).await.map_err(|error| error.to_string())?;
        if response.vote.leader_id.term < term {
            return Err(format!("stays in term {}", response.vote.leader_id.term));
        }
        Ok(())
    }
}
