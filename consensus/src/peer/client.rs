//! What Raft asks of the other members.

use std::error::Error;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, Stream, StreamExt};
use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{Backoff, RPCOption, RaftNetworkFactory, RaftNetworkV2, stream_append_sequential};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{BasicNode, StorageError};
use proto::MemberId;
use proto::peer::raft_client::RaftClient;
use proto::peer::{SnapshotPart, SnapshotTail, snapshot_part};
use tonic::{Code, Request, Response, Status};
use tracing::warn;

use crate::peer::dial::{Line, Peers};
use crate::peer::message;
use crate::peer::network::CONNECT_WAIT_MAX;
use crate::peer::reach::Reach;
use crate::snapshot::{Checksum, Snapshot, SnapshotHandle};
use crate::types::{TypeConfig, Vote};

/// How long Raft waits before it calls again a member that could not be reached: soon, because a member that comes
/// back is needed, and not at once, because a connection that is refused costs both of them something.
const UNREACHABLE_PAUSE: Duration = Duration::from_millis(100);

type RpcError = RPCError<TypeConfig>;

impl RaftNetworkFactory<TypeConfig> for Peers {
    type Network = Peer;

    // Where it is now is looked up at each call: what the log says of that may change while Raft keeps a client.
    async fn new_client(&mut self, target: u64, _node: &BasicNode) -> Peer {
        Peer::new(self, target, Manner::Stream)
    }

    async fn new_heartbeat_client(&mut self, target: u64, _node: &BasicNode) -> Peer {
        Peer::new(self, target, Manner::Single)
    }
}

/// Another member, as Raft sees it.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    peers: Peers,
    target: MemberId,
    manner: Manner,
}

/// How entries travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// Without waiting for answers in between.
    Stream,
    /// One by one, in calls of their own: heartbeats, for each of which a stream would be opened and closed again.
    Single,
}

impl Peer {
    fn new(peers: &Peers, target: u64, manner: Manner) -> Self {
        Self { peers: peers.clone(), target: MemberId::new(target), manner }
    }

    fn quick(&self) -> Result<RaftClient<Line>, RpcError> {
        self.peers.quick(self.target).ok_or_else(|| self.nowhere())
    }

    /// Nobody is asked for his vote by a member that may not stand.
    fn check_candidacy(&self, request: &VoteRequest<TypeConfig>) -> Result<(), RpcError> {
        if self.peers.candidacy().may_ask_with(request.last_log_id) {
            return Ok(());
        }
        Err(unreachable("asks for no votes, because the log is new".to_owned()))
    }

    /// Notes also how long that member needs.
    fn read_vote_reply(
        &self,
        reply: Result<proto::peer::VoteReply, Status>,
    ) -> Result<VoteResponse<TypeConfig>, RpcError> {
        let (response, needs) =
            reply.and_then(message::read_vote_reply).map_err(|status| self.failed(&status))?;
        self.peers.patience().learn(self.target, needs);
        Ok(response)
    }

    fn nowhere(&self) -> RpcError {
        unreachable(format!("member {} has no usable address", self.target))
    }

    fn failed(&self, status: &Status) -> RpcError {
        if status.code() == Code::PermissionDenied && self.peers.complaints().may_be_made_about(self.target) {
            warn!(
                peer = %self.target, address = self.peers.directory().address(self.target), reason = status.message(),
                "refused, because that is a member of another ensemble: look at its address"
            );
        }
        failed(status)
    }

    async fn append_stream<S>(
        &self,
        input: S,
        reach: Reach,
    ) -> Result<BoxStream<'static, Result<StreamAppendResult<TypeConfig>, RpcError>>, RpcError>
    where
        S: Stream<Item = AppendEntriesRequest<TypeConfig>> + Send + 'static,
    {
        let (mut client, moved) = self.peers.bulk(self.target).ok_or_else(|| self.nowhere())?;
        let belonging = self.peers.belonging().clone();
        // Without what was purged meanwhile there is nothing to be sent but the whole state: Raft finds that out when it
        // is told that the way has ended. By itself it does not look again at what it has begun to send, and would send
        // nothing for ever.
        let lacking = Arc::new(AtomicBool::new(false));
        let (noting, front) = (lacking.clone(), self.peers.front());
        let input = input.take_while(move |request| {
            let lacks = message::has_hole(request)
                || (request.entries.is_empty() && !front.has_behind(request.prev_log_id));
            noting.fetch_or(lacks, Ordering::Relaxed);
            std::future::ready(!lacks)
        });
        let requests = input.map(move |request| message::append(request, belonging.claimed()));
        let replies = client.append(requests).await.map_err(|status| self.failed(&status))?;
        // A reply that cannot be read, or that says no, is the last: what comes behind it has no meaning.
        let (had, floor) = (reach.clone(), self.peers.floor());
        let replies = replies.into_inner().map(move |reply| {
            let reply = reply.and_then(message::read_append_reply).map_err(|status| failed(&status))?;
            if let Ok(upto) = &reply {
                had.has(*upto);
            }
            Ok(reply)
        });
        let (target, why) = (self.target, Arc::new(OnceLock::new()));
        let noting = why.clone();
        let ending = async move {
            let ended = tokio::select! {
                biased;
                // It may go on answering where it was.
                () = moved => "is elsewhere now",
                () = reach.left_behind(floor) => {
                    warn!(peer = %target, "so far behind that it is sent the state instead of the log");
                    "is left behind by the log"
                }
            };
            let _ = noting.set(ended);
        };
        let end = stream::once(async move {
            if lacking.load(Ordering::Relaxed) {
                return Some(Err(unreachable(format!("what member {target} needs next was purged"))));
            }
            why.get().map(|why| Err(unreachable(format!("member {target} {why}"))))
        });
        Ok(Box::pin(replies.take_until(ending).chain(end.filter_map(std::future::ready))))
    }

    async fn send_snapshot(
        &self,
        vote: Vote,
        snapshot: Snapshot,
    ) -> Result<SnapshotResponse<TypeConfig>, SnapshotError> {
        let unreachable = |error: RpcError| SnapshotError::Peer(error.into());
        let mut client = self.peers.snapshot(self.target).ok_or_else(|| unreachable(self.nowhere()))?;
        let head = message::snapshot_head(&vote, &snapshot.meta);
        let (parts, receiver) = tokio::sync::mpsc::channel(2);
        let sending = async move {
            let result = send_parts(head, snapshot.snapshot, parts).await;
            result.map_err(SnapshotError::Own)
        };
        let parts = tokio_stream::wrappers::ReceiverStream::new(receiver);
        let answer = async {
            let reply =
                client.install_snapshot(parts).await.map_err(|status| unreachable(self.failed(&status)))?;
            message::read_snapshot_reply(reply.into_inner())
                .map_err(|status| unreachable(self.failed(&status)))
        };
        // If our own disk fails the peer sees a snapshot without a tail, and refuses it; that refusal is not the news.
        match tokio::join!(sending, answer) {
            (Err(own), _) => Err(own),
            (Ok(()), answer) => answer,
        }
    }
}

enum SnapshotError {
    /// This member could not read what it was to send.
    Own(std::io::Error),
    /// The other could not be reached or would not take it.
    Peer(StreamingError<TypeConfig>),
}

/// Puts a snapshot into parts. A receiver that is gone is no error here: its own end says why.
async fn send_parts(
    head: proto::peer::SnapshotHead,
    snapshot: SnapshotHandle,
    parts: tokio::sync::mpsc::Sender<SnapshotPart>,
) -> Result<(), std::io::Error> {
    let part = |part| SnapshotPart { part: Some(part) };
    if parts.send(part(snapshot_part::Part::Head(head))).await.is_err() {
        return Ok(());
    }
    let (mut pieces, mut checksum) = (snapshot.chunks(), Checksum::default());
    while let Some(piece) = pieces.recv().await {
        let piece = piece.map_err(|fault| std::io::Error::other(fault.to_string()))?;
        checksum.add(&piece);
        if parts.send(part(snapshot_part::Part::Piece(piece))).await.is_err() {
            return Ok(());
        }
    }
    let (bytes, crc) = checksum.get();
    let _ = parts.send(part(snapshot_part::Part::Tail(SnapshotTail { bytes, crc }))).await;
    Ok(())
}

impl RaftNetworkV2<TypeConfig> for Peer {
    type SnapshotData = SnapshotHandle;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RpcError> {
        let last = message::last(&rpc);
        let request = message::append(rpc, self.peers.belonging().claimed());
        let mut client = self.quick()?;
        let reply = within(option.hard_ttl(), client.heartbeat(timed(request, &option))).await;
        reply
            .and_then(|reply| message::read_heartbeat_reply(reply, last))
            .map_err(|status| self.failed(&status))
    }

    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        option: RPCOption,
    ) -> BoxFuture<'s, Result<BoxStream<'s, Result<StreamAppendResult<TypeConfig>, RpcError>>, RpcError>>
    where
        S: Stream<Item = AppendEntriesRequest<TypeConfig>> + Send + Unpin + 'static,
    {
        if self.manner == Manner::Single {
            return stream_append_sequential(self, input, option);
        }
        Box::pin(async move {
            // openraft sets no limit to a stream. Once it runs, the connection's keep-alive watches over it; until
            // then a name that does not resolve would hold it for ever.
            let limit = CONNECT_WAIT_MAX + option.soft_ttl();
            // openraft spares a member that is gone by letting the first request wait. So that is asked for before
            // the dial: a dial that fails would otherwise be tried again thousands of times a second.
            let mut input = input.peekable();
            let first = std::pin::Pin::new(&mut input).peek().await;
            let reach = Reach::behind(first.and_then(|first| first.prev_log_id));
            self.peers.holds().goes_on(self.target);
            let left_behind = reach.clone().left_behind(self.peers.floor());
            tokio::select! {
                biased;
                () = left_behind => Err(unreachable(format!("member {} is left behind by the log", self.target))),
                opened = tokio::time::timeout(limit, self.append_stream(input, reach)) => match opened {
                    Ok(replies) => replies.map(|replies| -> BoxStream<'s, _> { replies }),
                    Err(_) => Err(unreachable(format!("no answer within {limit:?}"))),
                },
            }
        })
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RpcError> {
        self.check_candidacy(&rpc)?;
        let limit = self.peers.patience().get().max(option.hard_ttl());
        let mut client = self.quick()?;
        let reply = within(limit, client.vote(limited(message::vote_request(&rpc), limit))).await;
        self.read_vote_reply(reply)
    }

    /// A member that cannot be asked grants nothing: what openraft does if this is left out would let a member that
    /// is cut off believe that all others are for it.
    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RpcError> {
        self.check_candidacy(&rpc)?;
        let mut client = self.quick()?;
        let call = client.pre_vote(timed(message::vote_request(&rpc), &option));
        self.read_vote_reply(within(option.hard_ttl(), call).await)
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let meta = snapshot.meta.clone();
        let upto = meta.last_log_id.map_or(0, |last| last.index());
        let _sending = self.peers.holds().begin(self.target, upto);
        let sent = tokio::select! {
            biased;
            closed = cancel => return Err(closed.into()),
            sent = tokio::time::timeout(option.soft_ttl(), self.send_snapshot(vote, snapshot)) => sent,
        };
        match sent {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(SnapshotError::Peer(error))) => Err(error),
            Ok(Err(SnapshotError::Own(error))) => {
                Err(StorageError::read_snapshot(Some(meta.signature()), boxed(&error)).into())
            }
            Err(_) => Err(Unreachable::from_string("the snapshot took too long").into()),
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, RpcError> {
        let mut client = self.quick()?;
        let call = client.transfer_leader(timed(message::transfer(&request), &option));
        let reply = within(option.hard_ttl(), call).await;
        reply.and_then(message::read_transfer_reply).map_err(|status| self.failed(&status))
    }

    fn backoff(&self) -> Option<Backoff> {
        Some(Backoff::new(std::iter::repeat(UNREACHABLE_PAUSE)))
    }
}

fn boxed(error: &std::io::Error) -> openraft::impls::BoxedErrorSource {
    openraft::errors::ErrorSource::from_error(error)
}

fn timed<T>(message: T, option: &RPCOption) -> Request<T> {
    limited(message, option.soft_ttl())
}

/// A question that is not worth an answer after this time.
fn limited<T>(message: T, limit: Duration) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(limit);
    request
}

/// Gives up a call after this time: Raft leaves that to us (`runtime::Runtime`).
async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, Status> {
    match tokio::time::timeout(limit, call).await {
        Ok(reply) => reply.map(Response::into_inner),
        Err(_) => Err(Status::deadline_exceeded(format!("no answer within {limit:?}"))),
    }
}

/// Whatever goes wrong between two members counts as "cannot be reached": after any other error openraft calls again
/// at once, over and over.
fn failed(status: &Status) -> RpcError {
    // The text of a status hides the cause: that no name was found, or a connection was refused.
    let cause = status.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    unreachable(format!("{}: {}{cause}", status.code(), status.message()))
}

fn unreachable(why: String) -> RpcError {
    RPCError::Unreachable(Unreachable::from_string(why))
}
