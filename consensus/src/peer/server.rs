//! What this member answers to the others.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{BoxStream, StreamExt};
use openraft::ReadPolicy;
use openraft::raft::VoteRequest;
use parking_lot::Mutex;
use proto::limits::PEER_MESSAGE_BYTES_MAX;
use proto::peer::ensemble_server::{Ensemble, EnsembleServer};
use proto::peer::raft_server::{Raft as RaftService, RaftServer};
use proto::peer::{self, snapshot_part};
use proto::{MemberId, SessionId};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};
use tracing::{debug, error};

use crate::Fault;
use crate::applier::Raft;
use crate::franchise::Franchise;
use crate::leader::{Expiry, Sequencer};
use crate::peer::dial::{CONNECTION_WINDOW_BYTES, KEEP_ALIVE, STREAM_WINDOW_BYTES};
use crate::peer::introduction::Doorkeeper;
use crate::peer::message;
use crate::snapshot::{Snapshot, SnapshotReceiver};
use crate::state::Store;
use crate::tasks::Tasks;
use crate::types::{LogId, TypeConfig};

/// How long the others may take to hang up when this member stops.
const HANG_UP_WAIT_MAX: Duration = Duration::from_secs(1);

/// What a member answers with.
pub(crate) struct Answering {
    pub(crate) raft: Raft,
    pub(crate) franchise: Franchise,
    /// Where snapshots are received.
    pub(crate) store: Store,
    pub(crate) sequencer: Sequencer,
    pub(crate) expiry: Arc<Expiry>,
}

/// Answers the other members at `listen` until the tasks are shut down.
///
/// # Errors
/// A [`Fault`] if that address cannot be listened to.
pub(crate) async fn serve(
    tasks: &Tasks,
    member: MemberId,
    listen: &str,
    answering: Answering,
) -> Result<(), Fault> {
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|error| Fault::Other(format!("listen for peers at {listen}: {error}")))?;
    let door = Doorkeeper::new(member);
    let Answering { raft, franchise, store, sequencer, expiry } = answering;
    let stopping = tasks.stopping();
    let answers = Answers { raft, franchise, store, sequencer, expiry, stopping: stopping.clone() };
    let raft = RaftServer::new(answers.clone())
        .max_decoding_message_size(PEER_MESSAGE_BYTES_MAX)
        .max_encoding_message_size(PEER_MESSAGE_BYTES_MAX);
    let ensemble = EnsembleServer::new(answers)
        .max_decoding_message_size(PEER_MESSAGE_BYTES_MAX)
        .max_encoding_message_size(PEER_MESSAGE_BYTES_MAX);
    let server = Server::builder()
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .http2_keepalive_timeout(Some(KEEP_ALIVE))
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .add_service(InterceptedService::new(raft, door))
        .add_service(InterceptedService::new(ensemble, door));
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    tasks.spawn_to_end("answer peers", async move {
        // A connection outlives the listener until it is told to end, and with it all that a call holds on to.
        let serving = server.serve_with_incoming_shutdown(incoming, stopping.cancelled());
        let limit = async {
            stopping.cancelled().await;
            tokio::time::sleep(HANG_UP_WAIT_MAX).await;
        };
        tokio::select! {
            served = serving => {
                if let Err(error) = served {
                    error!(%error, "no longer listening to peers");
                }
            }
            () = limit => {}
        }
    });
    Ok(())
}

/// The answers themselves.
#[derive(Clone)]
struct Answers {
    raft: Raft,
    franchise: Franchise,
    store: Store,
    sequencer: Sequencer,
    expiry: Arc<Expiry>,
    /// Ends the calls that would otherwise last.
    stopping: CancellationToken,
}

impl Answers {
    /// Refuses to vote where a vote that was given before may have been forgotten.
    fn check_franchise(&self, request: &VoteRequest<TypeConfig>) -> Result<(), Status> {
        if self.franchise.may_vote_for(request.last_log_id) {
            return Ok(());
        }
        Err(Status::failed_precondition("does not vote before it has caught up, because its log is new"))
    }
}

#[tonic::async_trait]
impl RaftService for Answers {
    type AppendStream = BoxStream<'static, Result<peer::AppendReply, Status>>;

    async fn append(
        &self,
        request: Request<Streaming<peer::AppendRequest>>,
    ) -> Result<Response<Self::AppendStream>, Status> {
        // A request that cannot be read ends the stream with an error. Left out, it would be a hole between the one
        // before it and the one behind it.
        let broken = Arc::new(Mutex::new(None));
        let breaking = broken.clone();
        let requests = request.into_inner().map(|request| request.and_then(message::read_append)).scan(
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
        let replies = self.raft.stream_append(requests).map(|reply| match reply {
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
        let request = message::read_append(request.into_inner())?;
        let previous = request.prev_log_id;
        let last: Option<LogId> = request.entries.last().map(|entry| entry.log_id).or(previous);
        let response = self.raft.append_entries(request).await.map_err(stopped)?;
        Ok(Response::new(message::heartbeat_reply(&response, previous, last)))
    }

    async fn pre_vote(
        &self,
        request: Request<peer::VoteRequest>,
    ) -> Result<Response<peer::VoteReply>, Status> {
        let request = message::read_vote_request(request.into_inner())?;
        self.check_franchise(&request)?;
        let response = self.raft.pre_vote(request).await.map_err(stopped)?;
        Ok(Response::new(message::vote_reply(&response)))
    }

    async fn vote(&self, request: Request<peer::VoteRequest>) -> Result<Response<peer::VoteReply>, Status> {
        let request = message::read_vote_request(request.into_inner())?;
        self.check_franchise(&request)?;
        let response = self.raft.vote(request).await.map_err(stopped)?;
        Ok(Response::new(message::vote_reply(&response)))
    }

    async fn install_snapshot(
        &self,
        request: Request<Streaming<peer::SnapshotPart>>,
    ) -> Result<Response<peer::SnapshotReply>, Status> {
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
        let response = self.raft.handle_transfer_leader(request).await.map_err(stopped)?;
        Ok(Response::new(message::transfer_reply(&response)))
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
}

impl Answers {
    async fn next_part(
        &self,
        parts: &mut Streaming<peer::SnapshotPart>,
    ) -> Result<Option<snapshot_part::Part>, Status> {
        tokio::select! {
            () = self.stopping.cancelled() => Err(Status::unavailable("stopping")),
            part = parts.message() => Ok(part?.and_then(|part| part.part)),
        }
    }
}

/// Runs what waits for the disk where waiting holds nobody up.
async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Status> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|fault| Status::internal(fault.to_string())),
        Err(panicked) => Err(Status::internal(panicked.to_string())),
    }
}

fn stopped(error: impl std::fmt::Display) -> Status {
    Status::unavailable(error.to_string())
}
