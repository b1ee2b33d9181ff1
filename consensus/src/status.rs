//! What others may know about this member.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use openraft::async_runtime::WatchReceiver;
use openraft::type_config::TypeConfigExt;
use openraft::{Instant as _, RaftMetrics, ServerState};
use proto::server_line::ServerLine;
use proto::{ClusterId, MemberId};
use tokio::time::MissedTickBehavior;

use crate::applier::Raft;
use crate::cluster::Belonging;
use crate::directory::{self, Directory};
use crate::log::LogStore;
use crate::runtime::watch;
use crate::step::is_in_step;
use crate::types::{LogId, StoredMembership, TypeConfig};

/// What this member is in the ensemble.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// It orders the log.
    Leader,
    /// It follows a leader.
    Follower,
    /// It follows a leader, and has no vote.
    Observer,
    /// It knows no leader.
    #[default]
    Looking,
}

/// What this member knows of the ensemble.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// What it is.
    pub role: Role,
    /// Who leads, if anybody does.
    pub leader: Option<MemberId>,
    /// Since when nobody is known to lead; `None` if somebody does, or if nobody has looked yet.
    pub leaderless_since: Option<Instant>,
    /// The Raft term.
    pub term: u64,
    /// The log index up to which entries have been dropped from this member's log; 0 if none has been.
    pub purged: u64,
    /// Which ensemble it is part of, as soon as it knows.
    pub cluster: Option<ClusterId>,
    /// Whether it has applied all that it had acknowledged before it was last started: it must not serve before.
    pub recovered: bool,
    /// Whether it has caught up since its log was made. Before, it may vote only where all the others have been heard.
    pub grown_up: bool,
    /// Members with their peer addresses; `true` for those that vote.
    pub members: BTreeMap<MemberId, (String, bool)>,
    /// What the log says of the members: empty until they have been changed through the ensemble itself. Before that each
    /// member's file says it.
    pub lines: BTreeMap<MemberId, ServerLine>,
    /// Whether the others have a leader and do not know this member: it was removed, or is to be added.
    pub outside: bool,
    /// On the leader: how many of the others that vote are in step.
    pub followers_in_step: usize,
    /// On the leader: how many of those are that do not vote.
    pub observers_in_step: usize,
    /// Whether a fault has stopped this member's part in the ensemble.
    pub stopped: bool,
}

impl Status {
    /// The member's part in the ensemble is over.
    pub(crate) fn stop(&mut self) {
        self.role = Role::Looking;
        self.leader = None;
        self.stopped = true;
    }
}

type Members = BTreeMap<MemberId, (String, bool)>;
type Lines = BTreeMap<MemberId, ServerLine>;

/// Keeps a status up to date, until the member's part in the ensemble ends.
pub(crate) struct Reporter {
    pub(crate) raft: Raft,
    pub(crate) status: watch::Sender<Status>,
    /// How often to look whether the others have fallen silent, of which Raft itself says nothing.
    pub(crate) period: Duration,
    /// After how long a silence a leader is one no more.
    pub(crate) silence_max: Duration,
    pub(crate) recovery: Recovery,
    pub(crate) log: LogStore,
    pub(crate) belonging: Belonging,
    /// Is told of the members.
    pub(crate) directory: Directory,
    pub(crate) outside: Arc<AtomicBool>,
    /// The members that were reported last.
    pub(crate) reported: Option<Arc<StoredMembership>>,
}

impl Reporter {
    /// Reports whatever changes, until Raft has stopped.
    pub(crate) async fn run(mut self) {
        // Raft begins with what it knew of the leader when it was stopped. Nobody has been heard since.
        let started = TypeConfig::now();
        let mut metrics = self.raft.metrics();
        let mut ticks = tokio::time::interval(self.period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = None;
        loop {
            tokio::select! {
                biased;
                // Asked at ticks only: an answer makes Raft publish its metrics, so whoever asked at each change would
                // be changing them himself, for ever.
                _ = ticks.tick() => {
                    match self.raft.with_raft_state(openraft::RaftState::vote_last_modified).await {
                        Ok(at) => heard = at,
                        Err(_) => break,
                    }
                }
                changed = metrics.changed() => {
                    if changed.is_err() {
                        break;
                    }
                }
            }
            // Copied out at once: a reference held longer would stop Raft itself.
            let now = metrics.borrow_watched().clone();
            let quiet = heard.is_none_or(|heard| heard <= started || heard.elapsed() > self.silence_max);
            self.report(&now, quiet);
        }
        self.status.send_modify(Status::stop);
    }

    fn report(&mut self, metrics: &RaftMetrics<TypeConfig>, quiet: bool) {
        let membership = metrics.membership_config.membership();
        let own = metrics.state == ServerState::Leader;
        // To gather them takes long, and only a leader asks.
        let voters: Vec<u64> = if own { membership.voter_ids().collect() } else { Vec::new() };
        // A leader that has lost its quorum goes on calling itself one, and so do its followers.
        let silent = match metrics.state {
            ServerState::Leader => {
                voters.len() > 1
                    && metrics.last_quorum_acked.is_none_or(|acked| acked.elapsed() > self.silence_max)
            }
            _ => quiet,
        };
        let leader = metrics.current_leader.filter(|_| !silent);
        let role = match metrics.state {
            _ if leader.is_none() => Role::Looking,
            ServerState::Leader => Role::Leader,
            ServerState::Follower => Role::Follower,
            ServerState::Learner => Role::Observer,
            ServerState::Candidate | ServerState::Shutdown => Role::Looking,
        };
        if leader.is_some() {
            self.recovery.look(metrics);
        }
        let since = self.status.borrow().leaderless_since;
        let in_step = |votes: bool| {
            let others = membership.nodes().map(|(id, _)| *id).filter(|id| *id != metrics.id);
            others
                .filter(|id| voters.contains(id) == votes && is_in_step(metrics, *id, self.silence_max))
                .count()
        };
        let mut now = Status {
            role,
            leader: leader.map(MemberId::new),
            leaderless_since: if leader.is_some() {
                None
            } else {
                since.or_else(|| Some(tokio::time::Instant::now().into_std()))
            },
            term: metrics.current_term,
            purged: metrics.purged.as_ref().map_or(0, LogId::index),
            cluster: self.belonging.known(),
            recovered: self.recovery.done,
            grown_up: !self.log.is_new(),
            members: BTreeMap::new(),
            lines: BTreeMap::new(),
            outside: self.outside.load(Ordering::Acquire),
            followers_in_step: if own { in_step(true) } else { 0 },
            observers_in_step: if own { in_step(false) } else { 0 },
            stopped: metrics.running_state.is_err(),
        };
        let others = self.others_than_known(&metrics.membership_config);
        self.status.send_if_modified(|known| match others {
            Some((members, lines)) => {
                (now.members, now.lines) = (members, lines);
                std::mem::replace(known, now.clone()) != now
            }
            None => {
                let (members, lines) = (std::mem::take(&mut known.members), std::mem::take(&mut known.lines));
                let is_new = *known != now;
                *known = Status { members, lines, ..now };
                is_new
            }
        });
    }

    /// Who the members are, if that is not who they were when this was last asked. This is reported at each change of
    /// anything, and many addresses are long to read.
    fn others_than_known(&mut self, membership: &Arc<StoredMembership>) -> Option<(Members, Lines)> {
        if self.reported.as_ref().is_some_and(|reported| Arc::ptr_eq(reported, membership)) {
            return None;
        }
        self.reported = Some(membership.clone());
        let membership = membership.membership();
        self.directory.learn(membership);
        let members = membership.nodes().map(|(id, _)| MemberId::new(*id)).map(|id| {
            let votes = membership.voter_ids().any(|voter| voter == id.get());
            (id, (self.directory.address(id).unwrap_or_default(), votes))
        });
        let lines = membership
            .nodes()
            .filter_map(|(id, node)| Some((MemberId::new(*id), directory::line(&node.addr)?)))
            .collect();
        Some((members.collect(), lines))
    }
}

/// Whether this member has applied again all that it had acknowledged before it was last started.
#[derive(Debug)]
pub(crate) struct Recovery {
    /// The last entry of the log when it was opened. Whatever was acknowledged here is at or in front of it.
    last: Option<u64>,
    done: bool,
}

impl Recovery {
    /// Of a member whose log ended with this entry when it was opened.
    pub(crate) fn new(last: Option<LogId>) -> Self {
        Self { last: last.map(|last| last.index()), done: false }
    }

    fn look(&mut self, metrics: &RaftMetrics<TypeConfig>) {
        // A new leader may have cut off the end of the log, which then was never acknowledged.
        self.last = self.last.min(metrics.last_log_index);
        let committed = metrics.cluster_committed.as_ref().map(LogId::index);
        let applied = metrics.last_applied.as_ref().map(LogId::index);
        // A leader knows what is committed only when it has committed something of its own.
        self.done |= committed.is_some() && committed >= self.last && applied >= self.last;
    }
}
