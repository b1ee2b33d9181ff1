//! What Raft asks of the other members.

use std::error::Error;
use std::future::Future;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, Stream, StreamExt};
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
use tonic::{Request, Status};

use crate::peer::dial::{CONNECT_WAIT_MAX, Line, Peers};
use crate::peer::message;
use crate::snapshot::{Checksum, Snapshot, SnapshotHandle};
use crate::types::{LogId, TypeConfig, Vote};

/// How long Raft waits before it calls again a member that could not be reached: soon, because a member that comes
/// back is needed, and not at once, because a connection that is refused costs both of them something.
const UNREACHABLE_PAUSE: Duration = Duration::from_millis(100);

type RpcError = RPCError<TypeConfig>;

impl RaftNetworkFactory<TypeConfig> for Peers {
    type Network = Peer;

    async fn new_client(&mut self, target: u64, node: &BasicNode) -> Peer {
        Peer::new(self, target, node, Manner::Stream)
    }

    async fn new_heartbeat_client(&mut self, target: u64, node: &BasicNode) -> Peer {
        Peer::new(self, target, node, Manner::Single)
    }
}

/// Another member, as Raft sees it.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    peers: Peers,
    target: MemberId,
    /// Where the log says that it is.
    address: String,
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
    fn new(peers: &Peers, target: u64, node: &BasicNode, manner: Manner) -> Self {
        let (peers, address) = (peers.clone(), node.addr.clone());
        Self { peers, target: MemberId::new(target), address, manner }
    }

    fn quick(&self) -> Result<RaftClient<Line>, RpcError> {
        self.peers.quick(self.target, &self.address).ok_or_else(|| self.nowhere())
    }

    fn nowhere(&self) -> RpcError {
        unreachable(format!("member {} has no usable address: {:?}", self.target, self.address))
    }

    async fn append_stream<S>(
        &self,
        input: S,
    ) -> Result<BoxStream<'static, Result<StreamAppendResult<TypeConfig>, RpcError>>, RpcError>
    where
        S: Stream<Item = AppendEntriesRequest<TypeConfig>> + Send + 'static,
    {
        let mut client = self.peers.bulk(self.target, &self.address).ok_or_else(|| self.nowhere())?;
        let replies = client.append(input.map(message::append)).await.map_err(|status| failed(&status))?;
        // A reply that cannot be read, or that says no, is the last: what comes behind it has no meaning.
        let replies = replies
            .into_inner()
            .map(|reply| reply.and_then(message::read_append_reply).map_err(|status| failed(&status)));
        Ok(Box::pin(replies))
    }

    async fn send_snapshot(
        &self,
        vote: Vote,
        snapshot: Snapshot,
    ) -> Result<SnapshotResponse<TypeConfig>, SnapshotError> {
        let unreachable = |error: RpcError| SnapshotError::Peer(error.into());
        let mut client =
            self.peers.snapshot(self.target, &self.address).ok_or_else(|| unreachable(self.nowhere()))?;
        let head = message::snapshot_head(&vote, &snapshot.meta);
        let (parts, receiver) = tokio::sync::mpsc::channel(2);
        let sending = async move {
            let result = send_parts(head, snapshot.snapshot, parts).await;
            result.map_err(SnapshotError::Own)
        };
        let parts = tokio_stream::wrappers::ReceiverStream::new(receiver);
        let answer = async {
            let reply =
                client.install_snapshot(parts).await.map_err(|status| unreachable(failed(&status)))?;
            message::read_snapshot_reply(reply.into_inner()).map_err(|status| unreachable(failed(&status)))
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
        let last = last_log_id(&rpc);
        let reply = self.quick()?.heartbeat(timed(message::append(rpc), &option)).await;
        reply
            .and_then(|reply| message::read_heartbeat_reply(reply.into_inner(), last))
            .map_err(|status| failed(&status))
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
            std::pin::Pin::new(&mut input).peek().await;
            match tokio::time::timeout(limit, self.append_stream(input)).await {
                Ok(replies) => replies.map(|replies| -> BoxStream<'s, _> { replies }),
                Err(_) => Err(unreachable(format!("no answer within {limit:?}"))),
            }
        })
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RpcError> {
        let reply = self.quick()?.vote(timed(message::vote_request(&rpc), &option)).await;
        reply.and_then(|reply| message::read_vote_reply(reply.into_inner())).map_err(|status| failed(&status))
    }

    /// A member that cannot be asked grants nothing: what openraft does if this is left out would let a member that
    /// is cut off believe that all others are for it.
    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RpcError> {
        let reply = self.quick()?.pre_vote(timed(message::vote_request(&rpc), &option)).await;
        reply.and_then(|reply| message::read_vote_reply(reply.into_inner())).map_err(|status| failed(&status))
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let meta = snapshot.meta.clone();
        let sent = tokio::select! {
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
        let reply = self.quick()?.transfer_leader(timed(message::transfer(&request), &option)).await;
        reply
            .and_then(|reply| message::read_transfer_reply(reply.into_inner()))
            .map_err(|status| failed(&status))
    }

    fn backoff(&self) -> Option<Backoff> {
        Some(Backoff::new(std::iter::repeat(UNREACHABLE_PAUSE)))
    }
}

fn boxed(error: &std::io::Error) -> openraft::impls::BoxedErrorSource {
    openraft::errors::ErrorSource::from_error(error)
}

fn last_log_id(request: &AppendEntriesRequest<TypeConfig>) -> Option<LogId> {
    request.entries.last().map(|entry| entry.log_id).or(request.prev_log_id)
}

fn timed<T>(message: T, option: &RPCOption) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(option.soft_ttl());
    request
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
