//! Connections to the other members.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use proto::MemberId;
use proto::limits::PEER_MESSAGE_BYTES_MAX;
use proto::peer::ensemble_client::EnsembleClient;
use proto::peer::raft_client::RaftClient;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};

use crate::peer::introduction::Introduction;

/// How long a connection may take to be made.
pub(crate) const CONNECT_WAIT_MAX: Duration = Duration::from_millis(200);
/// How often a connection is asked whether its other end still answers, and how long that may take. A member that
/// was unplugged says nothing, and the operating system would wait for minutes.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(1);
/// Bytes of one call, and of one connection, that may be under way unread. HTTP/2 begins with 64 KiB, which makes a
/// member that has to catch up crawl.
pub(super) const STREAM_WINDOW_BYTES: u32 = 8 << 20;
pub(super) const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;

/// A connection with an introduction on each call.
pub(super) type Line = InterceptedService<Channel, Introduction>;

/// The other members, and the connections to them. A clone is the same.
#[derive(Clone, Debug)]
pub(crate) struct Peers {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    member: MemberId,
    /// Where each was configured to be. This comes before what the log says, which may be of an older configuration.
    addresses: BTreeMap<MemberId, String>,
    lines: Mutex<HashMap<(MemberId, String), Lines>>,
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
    /// The others of `member`, at `addresses` as `host:port`.
    pub(crate) fn new(member: MemberId, addresses: BTreeMap<MemberId, String>) -> Self {
        Self { shared: Arc::new(Shared { member, addresses, lines: Mutex::default() }) }
    }

    /// For questions about the ensemble. `None` if it is not known where `peer` is.
    pub(crate) fn ask(&self, peer: MemberId) -> Option<EnsembleClient<Line>> {
        self.lines(peer, None).map(|lines| ensemble(lines.quick))
    }

    /// For proposals. `None` if it is not known where `peer` is.
    pub(crate) fn forward(&self, peer: MemberId) -> Option<EnsembleClient<Line>> {
        self.lines(peer, None).map(|lines| ensemble(lines.bulk))
    }

    /// For votes and heartbeats. The log says that `peer` is at `address`.
    pub(super) fn quick(&self, peer: MemberId, address: &str) -> Option<RaftClient<Line>> {
        self.lines(peer, Some(address)).map(|lines| raft(lines.quick))
    }

    /// For the log. The log says that `peer` is at `address`.
    pub(super) fn bulk(&self, peer: MemberId, address: &str) -> Option<RaftClient<Line>> {
        self.lines(peer, Some(address)).map(|lines| raft(lines.bulk))
    }

    /// For snapshots. The log says that `peer` is at `address`.
    pub(super) fn snapshot(&self, peer: MemberId, address: &str) -> Option<RaftClient<Line>> {
        self.lines(peer, Some(address)).map(|lines| raft(lines.snapshot))
    }

    fn lines(&self, peer: MemberId, address: Option<&str>) -> Option<Lines> {
        let address = self.shared.addresses.get(&peer).map(String::as_str).or(address)?;
        let mut lines = self.shared.lines.lock();
        let key = (peer, address.to_owned());
        if let Some(known) = lines.get(&key) {
            return Some(known.clone());
        }
        let endpoint = endpoint(address)?;
        let line =
            || InterceptedService::new(endpoint.connect_lazy(), Introduction::new(self.shared.member, peer));
        let made = Lines { quick: line(), bulk: line(), snapshot: line() };
        lines.insert(key, made.clone());
        Some(made)
    }
}

fn endpoint(address: &str) -> Option<Endpoint> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).ok()?;
    Some(
        endpoint
            .connect_timeout(CONNECT_WAIT_MAX)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES),
    )
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
