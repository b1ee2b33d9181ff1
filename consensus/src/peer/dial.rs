//! Connections to the other members.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use parking_lot::Mutex;
use proto::MemberId;
use proto::limits::PEER_MESSAGE_BYTES_MAX;
use proto::peer::ensemble_client::EnsembleClient;
use proto::peer::raft_client::RaftClient;
use proto::peer::recollection_client::RecollectionClient;
use tonic::service::interceptor::InterceptedService;

use crate::candidacy::Candidacy;
use crate::cluster::Belonging;
use crate::directory::Directory;
use crate::log::{Front, LogStore};
use crate::peer::complaint::Complaints;
use crate::peer::hold::Holds;
use crate::peer::introduction::Introduction;
use crate::peer::network::{Network, Wire};
use crate::peer::patience::Patience;
use crate::runtime::watch;

/// A connection with an introduction on each call.
pub(super) type Line = InterceptedService<Wire, Introduction>;

/// The other members, and the connections to them. A clone is the same.
#[derive(Clone, Debug)]
pub(crate) struct Peers {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    network: Arc<dyn Network>,
    member: MemberId,
    belonging: Belonging,
    front: Front,
    directory: Directory,
    candidacy: Candidacy,
    patience: Patience,
    /// The connections to each, with where it was when they were made.
    lines: Mutex<HashMap<MemberId, (String, Lines)>>,
    complaints: Complaints,
    /// In front of this index the log is about to go; 0 if it is not.
    floor: watch::Sender<u64>,
    holds: Holds,
}

/// The connections to one member. Each is made when it is first used, and again when it is broken; the address is
/// resolved each time, because a member may have moved, and one that starts early may not have a name yet.
#[derive(Clone, Debug)]
struct Lines {
    /// Heartbeats, votes and questions: short, and in a hurry.
    quick: Line,
    /// The log from the leader to a follower, or proposals from a follower to the leader.
    bulk: Line,
    /// Snapshots: large, and in no hurry.
    snapshot: Line,
}

impl Peers {
    /// The others of `member`, which has this log.
    pub(crate) fn new(
        network: Arc<dyn Network>,
        member: MemberId,
        log: &LogStore,
        directory: Directory,
        candidacy: Candidacy,
        patience: Patience,
    ) -> Self {
        let (lines, complaints, holds) = Default::default();
        let floor = watch::Sender::new(0);
        let (belonging, front) = (log.belonging().clone(), log.front());
        let shared = Shared {
            network,
            member,
            belonging,
            front,
            directory,
            candidacy,
            patience,
            lines,
            complaints,
            floor,
            holds,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Whether they may be asked for votes.
    pub(super) fn candidacy(&self) -> &Candidacy {
        &self.shared.candidacy
    }

    /// How long their votes are waited for.
    pub(super) fn patience(&self) -> &Patience {
        &self.shared.patience
    }

    /// Where the others are.
    pub(super) fn directory(&self) -> &Directory {
        &self.shared.directory
    }

    /// Of which ensemble they are to be.
    pub(super) fn belonging(&self) -> &Belonging {
        &self.shared.belonging
    }

    /// Where that begins which they are sent.
    pub(super) fn front(&self) -> Front {
        self.shared.front.clone()
    }

    /// When was last complained about them.
    pub(super) fn complaints(&self) -> &Complaints {
        &self.shared.complaints
    }

    /// Members that need entries in front of this index are sent no more of the log, until another index is given: Raft then
    /// finds that it may purge these, and sends the state to whoever needs them.
    pub(crate) fn leave_behind(&self, floor: u64) {
        self.shared.floor.send_replace(floor);
    }

    /// Who is left behind.
    pub(super) fn floor(&self) -> watch::Receiver<u64> {
        self.shared.floor.subscribe()
    }

    /// Up to where the log may go while some of them are being sent the state.
    pub(crate) fn holds(&self) -> &Holds {
        &self.shared.holds
    }

    /// For questions about the ensemble. `None` if it is not known where `peer` is.
    pub(crate) fn ask(&self, peer: MemberId) -> Option<EnsembleClient<Line>> {
        self.lines(peer).map(|lines| ensemble(lines.quick))
    }

    /// For questions of a member with a new log. `None` if it is not known where `peer` is.
    pub(crate) fn recall(&self, peer: MemberId) -> Option<RecollectionClient<Line>> {
        self.lines(peer).map(|lines| RecollectionClient::new(lines.quick))
    }

    /// For proposals. `None` if it is not known where `peer` is.
    pub(crate) fn forward(&self, peer: MemberId) -> Option<EnsembleClient<Line>> {
        self.lines(peer).map(|lines| ensemble(lines.bulk))
    }

    /// For votes and heartbeats.
    pub(super) fn quick(&self, peer: MemberId) -> Option<RaftClient<Line>> {
        self.lines(peer).map(|lines| raft(lines.quick))
    }

    /// For the log, with what resolves when `peer` is somewhere else.
    pub(super) fn bulk(
        &self,
        peer: MemberId,
    ) -> Option<(RaftClient<Line>, impl Future<Output = ()> + Send + 'static)> {
        let address = self.shared.directory.address(peer)?;
        let lines = self.lines(peer)?;
        Some((raft(lines.bulk), self.shared.directory.clone().moved(peer, address)))
    }

    /// For snapshots.
    pub(super) fn snapshot(&self, peer: MemberId) -> Option<RaftClient<Line>> {
        self.lines(peer).map(|lines| raft(lines.snapshot))
    }

    fn lines(&self, peer: MemberId) -> Option<Lines> {
        let address = self.shared.directory.address(peer)?;
        let mut lines = self.shared.lines.lock();
        if let Some((at, known)) = lines.get(&peer)
            && *at == address
        {
            return Some(known.clone());
        }
        let introduction = Introduction::new(self.shared.member, peer, self.belonging().clone());
        let line = || {
            let wire = self.shared.network.connect(peer, &address)?;
            Some(InterceptedService::new(wire, introduction.clone()))
        };
        let made = Lines { quick: line()?, bulk: line()?, snapshot: line()? };
        // Where it was before, nobody is to be called any more.
        lines.insert(peer, (address, made.clone()));
        Some(made)
    }
}

fn raft(line: Line) -> RaftClient<Line> {
    RaftClient::new(line)
        .max_decoding_message_size(PEER_MESSAGE_BYTES_MAX)
        .max_encoding_message_size(PEER_MESSAGE_BYTES_MAX)
}

fn ensemble(line: Line) -> EnsembleClient<Line> {
    EnsembleClient::new(line)
        .max_decoding_message_size(PEER_MESSAGE_BYTES_MAX)
        .max_encoding_message_size(PEER_MESSAGE_BYTES_MAX)
}
