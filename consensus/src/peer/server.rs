//! What this member answers to the others.

use std::num::NonZeroU64;
use std::sync::Arc;

use futures_util::stream::{BoxStream, StreamExt};
use openraft::ReadPolicy;
#[cfg(any(test, simulation))]
use openraft::raft::AppendEntriesResponse;
use openraft::raft::VoteRequest;
use parking_lot::Mutex;
use proto::limits::PEER_MESSAGE_BYTES_MAX;
use proto::peer::ensemble_server::{Ensemble, EnsembleServer};
use proto::peer::raft_server::{Raft as RaftService, RaftServer};
use proto::peer::recollection_server::{Recollection, RecollectionServer};
use proto::peer::{self, snapshot_part};
use proto::{ClusterId, MemberId, SessionId};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::service::interceptor::InterceptedService;
use tonic::{Request, Response, Status, Streaming};
use tracing::debug;

use crate::applier::Raft;
use crate::candidacy::Candidacy;
use crate::cluster::Belonging;
use crate::digest::Digests;
use crate::franchise::{Franchise, has_begun};
use crate::leader::{self, Expiry, Sequencer};
use crate::log::LogStore;
use crate::newcomers::Newcomers;
use crate::peer::introduction::{Doorkeeper, Porter, caller};
use crate::peer::merge::merged;
use crate::peer::message;
use crate::peer::patience::Patience;
#[cfg(any(test, simulation))]
use crate::runtime::bugs::{Bug, is_in};
use crate::runtime::watch;
use crate::snapshot::{Snapshot, SnapshotReceiver};
use crate::state::Store;
use crate::tasks::Tasks;
use crate::types::TypeConfig;
use crate::{Fault, runtime, wire};

/// What a member answers with.
pub(crate) struct Answering {
    pub(crate) raft: Raft,
    /// Of which ensemble callers must be.
    pub(crate) belonging: Belonging,
    pub(crate) log: LogStore,
    pub(crate) franchise: Franchise,
    pub(crate) candidacy: Candidacy,
    pub(crate) patience: Patience,
    /// Is told who asks what it may have forgotten.
    pub(crate) newcomers: Newcomers,
    /// Where snapshots are received.
    pub(crate) store: Store,
    pub(crate) sequencer: Sequencer,
    pub(crate) expiry: Arc<Expiry>,
    pub(crate) digests: Digests,
    pub(crate) status: watch::Receiver<crate::Status>,
}

/// The answers of a member to the others, until the tasks are shut down.
pub(crate) fn answers(tasks: &Tasks, member: MemberId, answering: Answering) -> Routes {
    let Answering {
        raft,
        belonging,
        log,
        franchise,
        candidacy,
        patience,
        newcomers,
        store,
        sequencer,
        expiry,
        digests,
        status,
    } = answering;
    let door = Doorkeeper::new(member, belonging);
    let stopping = tasks.stopping();
    let at_the_door = door.clone();
    let answers = Answers {
        raft,
        log,
        franchise,
        candidacy,
        patience,
        newcomers,
        store,
        sequencer,
        expiry,
        digests,
        status,
        door: at_the_door,
        stopping,
    };
    let raft = RaftServer::new(answers.clone())
        .max_decoding_message_size(PEER_MESSAGE_BYTES_MAX)
        .max_encoding_message_size(PEER_MESSAGE_BYTES_MAX);
    let recollection = RecollectionServer::new(answers.clone());
    let ensemble = EnsembleServer::new(answers)
        .max_decoding_message_size(PEER_MESSAGE_BYTES_MAX)
        .max_encoding_message_size(PEER_MESSAGE_BYTES_MAX);
    Routes::new(InterceptedService::new(raft, door.clone()))
        .add_service(InterceptedService::new(ensemble, door.clone()))
        .add_service(InterceptedService::new(recollection, Porter(door)))
}

/// The answers themselves.
#[derive(Clone)]
struct Answers {
    raft: Raft,
    log: LogStore,
    franchise: Franchise,
    candidacy: Candidacy,
    patience: Patience,
    newcomers: Newcomers,
    store: Store,
    sequencer: Sequencer,
    expiry: Arc<Expiry>,
    digests: Digests,
    door: Doorkeeper,
    status: watch::Receiver<crate::Status>,
    /// Ends the calls that would otherwise last.
    stopping: CancellationToken,
}

impl Answers {
    /// Refuses to vote where a vote that was given before may have been forgotten.
    fn check_franchise(&self, request: &VoteRequest<TypeConfig>) -> Result<(), Status> {
        if self.franchise.may_vote_for(request.last_log_id) {
            return Ok(());
        }
        Err(Status::failed_precondition(
            "does not vote for that one before it has caught up, because its log is new",
        ))
    }

    /// Refuses to say of anything that it is here, where what was promised before may have been forgotten.
    fn check_memory(&self) -> Result<(), Status> {
        if self.franchise.may_acknowledge() {
            return Ok(());
        }
        Err(Status::failed_precondition("has yet to hear of the others, because its log is new"))
    }
}

#[tonic::async_trait]
impl RaftService for Answers {
    type AppendStream = BoxStream<'static, Result<peer::AppendReply, Status>>;

    async fn append(
        &self,
        request: Request<Streaming<peer::AppendRequest>>,
    ) -> Result<Response<Self::AppendStream>, Status> {
        self.check_memory()?;
        let from = caller(&request)?;
        // A request that cannot be read ends the stream with an error. Left out, it would be a hole between the one
        // before it and the one behind it.
        let broken = Arc::new(Mutex::new(None));
        let breaking = broken.clone();
        let door = self.door.clone();
        let admitted = move |request: peer::AppendRequest| {
            // The call may have begun before either side knew its ensemble.
            door.check_ensemble(from, ClusterId::new(request.cluster))?;
            message::read_append(request)
        };
        let requests = request.into_inner().map(move |request| request.and_then(&admitted)).scan(
            (),
            move |(), request| {
                let read = match request {
                    Ok(request) => Some(request),
                    Err(status) => {
                        *breaking.lock() = Some(status);
                        None
                    }
                };
                std::future::ready(read)
            },
        );
        // Both ways: Raft would go on waiting for requests, and a call is over when both ways are.
        let requests = requests.take_until(self.stopping.clone().cancelled_owned());
        let replies = self.raft.stream_append(merged(requests)).map(|reply| match reply {
            #[cfg(any(test, simulation))]
            Ok(Err(openraft::raft::StreamAppendError::Conflict(hole))) if is_in(Bug::HoleAcknowledged) => {
                Ok(message::append_reply(&Ok(Some(hole))))
            }
            Ok(result) => Ok(message::append_reply(&result)),
            Err(fatal) => Err(Status::unavailable(fatal.to_string())),
        });
        let end = futures_util::stream::once(async move { broken.lock().take() })
            .filter_map(|status| std::future::ready(status.map(Err)));
        let until = self.stopping.clone().cancelled_owned();
        Ok(Response::new(Box::pin(replies.chain(end).take_until(until))))
    }

    async fn heartbeat(
        &self,
        request: Request<peer::AppendRequest>,
    ) -> Result<Response<peer::AppendReply>, Status> {
        self.check_memory()?;
        let request = message::read_append(request.into_inner())?;
        let previous = request.prev_log_id;
        let last = message::last(&request);
        let response = self.raft.append_entries(request).await.map_err(stopped)?;
        #[cfg(any(test, simulation))]
        let response = match response {
            AppendEntriesResponse::Conflict if is_in(Bug::HoleAcknowledged) => AppendEntriesResponse::Success,
            response => response,
        };
        Ok(Response::new(message::heartbeat_reply(&response, previous, last)))
    }

    async fn pre_vote(
        &self,
        request: Request<peer::VoteRequest>,
    ) -> Result<Response<peer::VoteReply>, Status> {
        let request = message::read_vote_request(request.into_inner())?;
        self.check_franchise(&request)?;
        let response = self.raft.pre_vote(request).await.map_err(stopped)?;
        Ok(Response::new(message::vote_reply(&response, self.patience.own())))
    }

    async fn vote(&self, request: Request<peer::VoteRequest>) -> Result<Response<peer::VoteReply>, Status> {
        let request = message::read_vote_request(request.into_inner())?;
        self.check_franchise(&request)?;
        let response = self.raft.vote(request).await.map_err(stopped)?;
        Ok(Response::new(message::vote_reply(&response, self.patience.own())))
    }

    async fn install_snapshot(
        &self,
        request: Request<Streaming<peer::SnapshotPart>>,
    ) -> Result<Response<peer::SnapshotReply>, Status> {
        self.check_memory()?;
        let mut parts = request.into_inner();
        let Some(snapshot_part::Part::Head(head)) = self.next_part(&mut parts).await? else {
            return Err(Status::invalid_argument("a snapshot begins with its head"));
        };
        let (vote, meta) = message::read_snapshot_head(head)?;
        let store = self.store.clone();
        let beginning = meta.clone();
        let mut receiver = on_disk(move || SnapshotReceiver::new(&store, beginning)).await?;
        let received = loop {
            match self.next_part(&mut parts).await? {
                Some(snapshot_part::Part::Piece(piece)) => {
                    receiver = on_disk(move || receiver.push(piece).map(|()| receiver)).await?;
                }
                Some(snapshot_part::Part::Tail(tail)) => {
                    break on_disk(move || receiver.finish(tail.bytes, tail.crc)).await?;
                }
                Some(snapshot_part::Part::Head(_)) | None => {
                    return Err(Status::invalid_argument("a snapshot ended before its tail"));
                }
            }
        };
        let snapshot = Snapshot { meta, snapshot: received };
        let response = self.raft.install_full_snapshot(vote, snapshot).await.map_err(stopped)?;
        Ok(Response::new(message::snapshot_reply(&response)))
    }

    async fn transfer_leader(
        &self,
        request: Request<peer::TransferRequest>,
    ) -> Result<Response<peer::TransferReply>, Status> {
        let request = message::read_transfer(request.into_inner())?;
        if request.to_node_id() == self.raft.node_id() && !self.candidacy.may_stand() {
            return Err(Status::failed_precondition("may not lead before it has caught up"));
        }
        let response = self.raft.handle_transfer_leader(request).await.map_err(stopped)?;
        Ok(Response::new(message::transfer_reply(&response)))
    }
}

#[tonic::async_trait]
impl Recollection for Answers {
    async fn recall(
        &self,
        request: Request<peer::RecallRequest>,
    ) -> Result<Response<peer::RecallReply>, Status> {
        self.newcomers.asked(caller(&request)?);
        let (term, committed, membership) = self
            .raft
            .with_raft_state(|state| {
                let membership = (**state.membership_state.effective()).clone();
                let term = state.vote_ref().leader_id.term;
                (term, state.cluster_committed().copied(), membership)
            })
            .await
            .map_err(stopped)?;
        Ok(Response::new(peer::RecallReply {
            term,
            // Whatever was sent to others is in the log.
            last: self.log.last().as_ref().map(wire::position),
            begun: has_begun(committed) || self.franchise.is_forgetful(),
            new: self.franchise.is_new(),
            membership: Some(wire::stored_membership(&membership)),
        }))
    }
}

#[tonic::async_trait]
impl Ensemble for Answers {
    async fn forward(
        &self,
        request: Request<Streaming<peer::Proposals>>,
    ) -> Result<Response<peer::ForwardEnded>, Status> {
        let entrance = self.sequencer.enter().ok_or_else(|| Status::failed_precondition("not the leader"))?;
        let mut proposals = request.into_inner();
        let receive = async {
            while let Some(proposals) = proposals.message().await? {
                for transaction in proposals.transactions {
                    entrance.push(transaction).await.map_err(|ended| Status::aborted(ended.to_string()))?;
                }
            }
            Ok(Response::new(peer::ForwardEnded {}))
        };
        tokio::select! {
            biased;
            () = self.stopping.cancelled() => Err(Status::unavailable("stopping")),
            () = entrance.ended() => Err(Status::aborted("no longer the leader that it was")),
            received = receive => received,
        }
    }

    async fn touch(&self, request: Request<peer::Touches>) -> Result<Response<peer::TouchesNoted>, Status> {
        let sessions = request.into_inner().sessions;
        debug!(sessions = sessions.len(), "peer has heard of its clients");
        if !self.expiry.touch(sessions.into_iter().map(SessionId::from_wire)) {
            return Err(Status::failed_precondition("not the leader"));
        }
        Ok(Response::new(peer::TouchesNoted {}))
    }

    async fn read_index(
        &self,
        _request: Request<peer::ReadIndexRequest>,
    ) -> Result<Response<peer::ReadIndexReply>, Status> {
        let linearizer = self
            .raft
            .get_read_linearizer(ReadPolicy::ReadIndex)
            .await
            .map_err(|error| Status::failed_precondition(error.to_string()))?;
        Ok(Response::new(peer::ReadIndexReply { index: linearizer.read_log_id().index() }))
    }

    async fn standing(
        &self,
        request: Request<peer::StandingRequest>,
    ) -> Result<Response<peer::StandingReply>, Status> {
        let from = caller(&request)?;
        let (decided, member, committed) = self
            .raft
            .with_raft_state(move |state| {
                let membership = state.membership_state.committed();
                let member = membership.membership().get_node(&from).is_some();
                (*membership.log_id(), member, state.cluster_committed().copied())
            })
            .await
            .map_err(stopped)?;
        Ok(Response::new(peer::StandingReply {
            begun: has_begun(committed),
            led: self.status.borrow().leader.is_some(),
            decided: decided.as_ref().map(wire::position),
            member,
        }))
    }

    async fn mark(&self, request: Request<peer::MarkRequest>) -> Result<Response<peer::MarkReply>, Status> {
        let mark = named(request.into_inner().mark)?;
        leader::mark(&self.raft, mark).await.map_err(Status::failed_precondition)?;
        Ok(Response::new(peer::MarkReply {}))
    }

    async fn digest(
        &self,
        request: Request<peer::DigestRequest>,
    ) -> Result<Response<peer::DigestReply>, Status> {
        let mark = named(request.into_inner().mark)?;
        let found = tokio::select! {
            biased;
            () = self.stopping.cancelled() => return Err(Status::unavailable("stopping")),
            found = self.digests.at(mark) => found.map_err(Status::not_found)?,
        };
        Ok(Response::new(peer::DigestReply {
            at: Some(proto::image::Position { term: found.term, index: found.index }),
            zxid: found.zxid.get(),
            digest: found.digest,
            records: found.records,
        }))
    }
}

fn named(mark: u64) -> Result<NonZeroU64, Status> {
    NonZeroU64::new(mark).ok_or_else(|| Status::invalid_argument("a mark without a name"))
}

impl Answers {
    async fn next_part(
        &self,
        parts: &mut Streaming<peer::SnapshotPart>,
    ) -> Result<Option<snapshot_part::Part>, Status> {
        tokio::select! {
            biased;
            () = self.stopping.cancelled() => Err(Status::unavailable("stopping")),
            part = parts.message() => Ok(part?.and_then(|part| part.part)),
        }
    }
}

/// Runs what waits for the disk where waiting holds nobody up.
async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Status> {
    runtime::blocking(work).await.map_err(|fault| Status::internal(fault.to_string()))
}

fn stopped(error: impl std::fmt::Display) -> Status {
    Status::unavailable(error.to_string())
}
