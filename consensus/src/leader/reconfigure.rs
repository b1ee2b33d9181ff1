//! Changes who the members are, while this member leads.
//!
//! What a session asks for and nothing speaks against stands in the world until it is done (`machine::Reconfiguration`), so a
//! leader that finds it there goes on where its predecessor stopped: each step below does nothing if it is done already.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use machine::{Applied, Command, Machine, Reconfiguration, Verdict};
use openraft::async_runtime::WatchReceiver;
use openraft::errors::{ChangeMembershipError, ClientWriteError, RaftError};
use openraft::{BasicNode, ChangeMembers, Precondition, RaftMetrics, ReadPolicy};
use proto::limits::{JOIN_WAIT_MAX, LEADERSHIP_TRANSFER_WAIT_MAX, PARTING_WAIT_MAX};
use proto::server_line::ServerLine;
use proto::{Code, MemberId, Text};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{info, warn};

use crate::applier::Raft;
use crate::config::Description;
use crate::leader::{Leadership, Sequencer, describe, transfer};
use crate::newcomers::Newcomers;
use crate::replica::{Hook, Replica};
#[cfg(any(test, simulation))]
use crate::runtime::bugs::{Bug, is_in};
use crate::runtime::watch;
use crate::step::is_in_step;
use crate::types::{LogId, Membership, TypeConfig};
use crate::{directory, entry};

/// How long a leader waits for what it has proposed to be seen applied, before it says it again.
const REPEAT_AFTER: Duration = Duration::from_secs(1);
/// How often it looks whether others are in step, or an earlier change is through.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Wakes the leader when a session has asked for other members.
#[derive(Debug, Default)]
pub(crate) struct Asked(Notify);

impl Hook for Asked {
    fn applied(&self, _machine: &Machine, _command: &Command, applied: &Applied) {
        if matches!(applied.verdict, Verdict::Reconfiguring { .. }) {
            self.0.notify_one();
        }
    }

    fn replaced(&self, _machine: &Machine) {
        // Who leads is sent no snapshot.
    }
}

/// The duty to change who the members are.
pub(crate) struct Reconfigurer {
    pub(crate) own: MemberId,
    /// What the file of this member says of them, for as long as the log does not; `None` if it stands alone.
    pub(crate) description: Option<Description>,
    /// Where the observers are that the file names, for just as long.
    pub(crate) observers: BTreeMap<MemberId, String>,
    pub(crate) raft: Raft,
    pub(crate) replica: Arc<Replica>,
    pub(crate) sequencer: Sequencer,
    pub(crate) leadership: watch::Receiver<Leadership>,
    pub(crate) asked: Arc<Asked>,
    pub(crate) silence_max: Duration,
    /// Who may not lead next.
    pub(crate) newcomers: Newcomers,
}

/// Why a change is not done.
enum Unfinished {
    /// This member leads no longer, or is about not to: the next leader goes on.
    Lost,
    /// Too few of the voters that there are to be are in step.
    NoQuorum,
}

impl Reconfigurer {
    /// Does what is asked for, whenever this member leads.
    pub(crate) async fn run(self) {
        let mut leadership = self.leadership.clone();
        loop {
            let term = match leadership.wait_for(|leadership| leadership.own).await {
                Ok(leadership) => leadership.term,
                Err(_) => return,
            };
            let mut changing = self.leadership.clone();
            tokio::select! {
                biased;
                _ = async { changing.wait_for(|now| !now.own || now.term != term).await.is_ok() } => {}
                () = self.reign(term) => sleep(LOOK_AGAIN).await,
            }
        }
    }

    /// Returns when this member has been refused something that only a leader can have.
    async fn reign(&self, term: u64) {
        if self.sequencer.entrance().await.is_err() {
            return std::future::pending().await;
        }
        if self.settle().await.is_err() {
            return;
        }
        if self.begin(term).await.is_err() {
            return;
        }
        loop {
            while let Some(asked) = self.replica.read(|machine| machine.reconfiguration().cloned()) {
                if self.see_to(term, &asked).await.is_err() {
                    return;
                }
            }
            self.asked.0.notified().await;
        }
    }

    /// Waits until everything is applied here that was committed before this member came to lead. The log may know of a member
    /// that is not yet written down here, and that one would be dismissed.
    async fn settle(&self) -> Result<(), Unfinished> {
        #[cfg(any(test, simulation))]
        if is_in(Bug::MembersUnsettled) {
            return Ok(());
        }
        let committed =
            self.raft.get_read_linearizer(ReadPolicy::ReadIndex).await.map_err(|_| Unfinished::Lost)?;
        committed.await_ready(&self.raft).await.map(drop).map_err(|_| Unfinished::Lost)
    }

    /// Brings the log and what is written down together, where an earlier leader could not.
    async fn begin(&self, term: u64) -> Result<(), Unfinished> {
        if self.replica.read(|machine| machine.reconfiguration().is_some()) {
            return Ok(());
        }
        let membership = self.membership();
        if membership.nodes().any(|(_, node)| directory::line(&node.addr).is_some()) {
            let members = read(&self.replica.read(Machine::members));
            return if members.is_empty() { Ok(()) } else { self.dismiss(term, &members).await };
        }
        let strangers: BTreeMap<u64, BasicNode> = self
            .observers
            .iter()
            .map(|(id, address)| (id.get(), BasicNode::new(address)))
            .filter(|(id, _)| membership.get_node(id).is_none())
            .collect();
        if !strangers.is_empty() {
            self.change(term, &ChangeMembers::AddNodes(strangers)).await?;
        }
        let Some(description) = &self.description else { return Ok(()) };
        let membership = self.membership();
        let known =
            |line: &&String| directory::read(line).is_some_and(|(id, _)| membership.get_node(&id).is_some());
        let (lines, others): (Vec<_>, Vec<_>) = description.lines.iter().partition(known);
        for line in others {
            warn!(
                line,
                "is in the file and not among the members: it must be added to the ensemble that runs"
            );
        }
        let description =
            Description { lines: lines.into_iter().cloned().collect(), is_certain: description.is_certain };
        describe::describe(&description, &self.replica, &self.sequencer).await;
        Ok(())
    }

    /// Does what a session has asked for, and says what has come of it.
    async fn see_to(&self, term: u64, asked: &Reconfiguration) -> Result<(), Unfinished> {
        let wanted = read(&asked.lines);
        info!(members = ?asked.lines, "the members are changed");
        let refusal = match self.perform(term, &wanted).await {
            Ok(()) => None,
            Err(Unfinished::Lost) => return Err(Unfinished::Lost),
            Err(Unfinished::NoQuorum) => {
                warn!(
                    "too few of the voters that there were to be are in step: the members stay who they were"
                );
                self.undo(term).await?;
                Some(Code::NewConfigNoQuorum)
            }
        };
        let is_underway = || self.replica.read(|machine| machine.reconfiguration() == Some(asked));
        while is_underway() {
            let entrance = self.sequencer.entrance().await.map_err(|_| Unfinished::Lost)?;
            let done = entry::encode_reconfigured(asked, refusal);
            if entrance.push(done).await.is_err() {
                continue;
            }
            let again = Instant::now() + REPEAT_AFTER;
            while is_underway() && Instant::now() < again {
                sleep(LOOK_AGAIN).await;
            }
        }
        if refusal.is_some() {
            return Ok(());
        }
        info!("the members are changed: it is written down");
        self.part(&wanted).await;
        self.dismiss(term, &wanted).await?;
        if wanted.get(&self.own.get()).is_some_and(|line| line.observer) {
            // One without a vote may lead, as far as Raft goes, but nobody could take over from it in order.
            transfer::hand_over(&self.raft, &self.newcomers, self.silence_max).await;
        }
        Ok(())
    }

    /// Makes them the members, and those that are to go listeners.
    async fn perform(&self, term: u64, wanted: &BTreeMap<u64, ServerLine>) -> Result<(), Unfinished> {
        let membership = self.membership();
        let new: BTreeMap<u64, BasicNode> = wanted
            .iter()
            .map(|(id, line)| (*id, directory::node(line)))
            .filter(|(id, node)| membership.get_node(id) != Some(node))
            .collect();
        if !new.is_empty() {
            // As listeners, and where they are: so they can catch up before anything depends on them.
            self.change(term, &ChangeMembers::SetNodes(new)).await?;
        }
        let voters: BTreeSet<u64> =
            wanted.iter().filter(|(_, line)| !line.observer).map(|(id, _)| *id).collect();
        let membership = self.membership();
        if *membership.get_joint_config() == [voters.clone()] {
            return Ok(());
        }
        self.wait_in_step(&voters, |id| membership.voter_ids().any(|voter| voter == id)).await?;
        if !voters.contains(&self.own.get()) {
            // Whoever is to lead does the rest. If nobody can take over now, this member leads until it is done.
            transfer::hand_over_to(&self.raft, &self.newcomers, self.silence_max, |id| voters.contains(&id))
                .await;
            let mut leadership = self.leadership.clone();
            let over = leadership.wait_for(|now| !now.own || now.term != term);
            if timeout_at(Instant::now() + LEADERSHIP_TRANSFER_WAIT_MAX, over).await.is_ok() {
                return Err(Unfinished::Lost);
            }
        }
        self.change(term, &ChangeMembers::ReplaceAllVoters(voters)).await
    }

    /// Waits until those that are new among the voters are in step; for a while only, if most of all are.
    async fn wait_in_step(
        &self,
        voters: &BTreeSet<u64>,
        votes: impl Fn(u64) -> bool,
    ) -> Result<(), Unfinished> {
        let until = Instant::now() + JOIN_WAIT_MAX;
        loop {
            let metrics = self.metrics();
            let in_step = |id: &&u64| is_in_step(&metrics, **id, self.silence_max);
            let most = 2 * voters.iter().filter(in_step).count() > voters.len();
            if most && voters.iter().filter(|id| !votes(**id)).all(|id| in_step(&id)) {
                return Ok(());
            }
            if Instant::now() >= until {
                return if most { Ok(()) } else { Err(Unfinished::NoQuorum) };
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    /// Lets those that go hear of it, if they still listen: their clients are to be told, and answered.
    async fn part(&self, wanted: &BTreeMap<u64, ServerLine>) {
        let metrics = self.metrics();
        let behind = metrics.last_log_index;
        let going: Vec<u64> = metrics
            .membership_config
            .membership()
            .nodes()
            .map(|(id, _)| *id)
            .filter(|id| !wanted.contains_key(id) && is_in_step(&metrics, *id, self.silence_max))
            .collect();
        let until = Instant::now() + PARTING_WAIT_MAX;
        while Instant::now() < until {
            let metrics = self.metrics();
            let has = |id: &u64| {
                let replication = metrics.replication.as_ref();
                let has = replication.and_then(|of| of.get(id)).and_then(Option::as_ref).map(LogId::index);
                *id == metrics.id || has >= behind
            };
            if going.iter().all(has) {
                break;
            }
            sleep(LOOK_AGAIN).await;
        }
        if !going.is_empty() {
            // That it is committed they are told with the next that is sent to them.
            let _ = self.raft.trigger().heartbeat().await;
            sleep(self.silence_max / 4).await;
        }
    }

    /// Sends nothing more to whoever is no member.
    async fn dismiss(&self, term: u64, members: &BTreeMap<u64, ServerLine>) -> Result<(), Unfinished> {
        let membership = self.membership();
        let voters: BTreeSet<u64> = membership.voter_ids().collect();
        let gone: BTreeSet<u64> = membership
            .nodes()
            .map(|(id, _)| *id)
            .filter(|id| !members.contains_key(id) && !voters.contains(id))
            .collect();
        if gone.is_empty() {
            return Ok(());
        }
        info!(members = ?gone, "no longer members");
        self.change(term, &ChangeMembers::RemoveNodes(gone)).await
    }

    /// Makes those listen again where they are who are written down, and nobody else.
    async fn undo(&self, term: u64) -> Result<(), Unfinished> {
        let members = read(&self.replica.read(Machine::members));
        let nodes = members.iter().map(|(id, line)| (*id, directory::node(line))).collect();
        self.change(term, &ChangeMembers::SetNodes(nodes)).await?;
        self.dismiss(term, &members).await
    }

    /// Changes the membership of Raft, in the two steps that it takes if the voters change.
    async fn change(&self, term: u64, change: &ChangeMembers<u64, BasicNode>) -> Result<(), Unfinished> {
        loop {
            // What is asked for is of this term: a leader that was deposed meanwhile must not come back to it.
            let leader = Precondition::CommittedLeaderId {
                committed_leader_id: *LogId::new_term_index(term, 0).committed_leader_id(),
            };
            match self.raft.change_membership_if(change.clone(), true, [leader]).await {
                Ok(_) => return Ok(()),
                Err(RaftError::APIError(ClientWriteError::ChangeMembershipError(
                    ChangeMembershipError::InProgress(_),
                ))) => sleep(LOOK_AGAIN).await,
                Err(error) => {
                    warn!(%error, "the members cannot be changed now");
                    return Err(Unfinished::Lost);
                }
            }
        }
    }

    fn membership(&self) -> Membership {
        self.metrics().membership_config.membership().clone()
    }

    /// Copied out at once: a reference held longer would stop Raft itself.
    fn metrics(&self) -> RaftMetrics<TypeConfig> {
        self.raft.metrics().borrow_watched().clone()
    }
}

fn read(lines: &[Text]) -> BTreeMap<u64, ServerLine> {
    lines.iter().filter_map(|line| directory::read(line)).collect()
}
