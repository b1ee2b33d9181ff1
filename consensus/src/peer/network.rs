//! What carries calls between members: TCP, or in tests something that loses them.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use proto::MemberId;
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::codegen::{Service, StdError, http};
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tracing::error;

use crate::Fault;
use crate::tasks::Tasks;

/// How long a connection may take to be made.
pub(super) const CONNECT_WAIT_MAX: Duration = Duration::from_millis(200);
/// How often a connection is asked whether its other end still answers, and how long that may take. A member that
/// was unplugged says nothing, and the operating system would wait for minutes.
const KEEP_ALIVE: Duration = Duration::from_secs(1);
/// Bytes of one call, and of one connection, that may be under way unread. HTTP/2 begins with 64 KiB, which makes a
/// member that has to catch up crawl.
const STREAM_WINDOW_BYTES: u32 = 8 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
/// How long the others may take to hang up when this member stops.
const HANG_UP_WAIT_MAX: Duration = Duration::from_secs(1);

/// A call, and what is answered to it.
pub(crate) type Request = http::Request<Body>;
pub(crate) type Response = http::Response<Body>;

/// The way between members.
pub(crate) trait Network: fmt::Debug + Send + Sync + 'static {
    /// A connection to `peer` at `address`, `host:port`, made when it is first used and again when it is broken.
    /// `None` if that is no address.
    fn connect(&self, peer: MemberId, address: &str) -> Option<Wire>;

    /// Lets `answers` be called at `listen` until the tasks are shut down.
    fn listen<'a>(
        &'a self,
        tasks: &'a Tasks,
        listen: &'a str,
        answers: Routes,
    ) -> BoxFuture<'a, Result<(), Fault>>;
}

/// A connection.
pub(crate) trait Carry: fmt::Debug + Send + Sync + 'static {
    /// Carries a call there and its answer back.
    fn carry(&self, request: Request) -> BoxFuture<'static, Result<Response, StdError>>;
}

/// A [`Carry`], as tonic wants it. Cloning shares it.
#[derive(Clone, Debug)]
pub(crate) struct Wire(pub(crate) Arc<dyn Carry>);

impl Service<Request> for Wire {
    type Response = Response;
    type Error = StdError;
    type Future = BoxFuture<'static, Result<Response, StdError>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), StdError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        self.0.carry(request)
    }
}

/// HTTP/2 over TCP.
#[derive(Debug)]
pub(crate) struct Tcp;

impl Network for Tcp {
    fn connect(&self, _peer: MemberId, address: &str) -> Option<Wire> {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).ok()?;
        let channel = endpoint
            .connect_timeout(CONNECT_WAIT_MAX)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .connect_lazy();
        Some(Wire(Arc::new(channel)))
    }

    fn listen<'a>(
        &'a self,
        tasks: &'a Tasks,
        listen: &'a str,
        answers: Routes,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let listener = TcpListener::bind(listen)
                .await
                .map_err(|error| Fault::Other(format!("listen for peers at {listen}: {error}")))?;
            let server = Server::builder()
                .http2_keepalive_interval(Some(KEEP_ALIVE))
                .http2_keepalive_timeout(Some(KEEP_ALIVE))
                .initial_stream_window_size(STREAM_WINDOW_BYTES)
                .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
                .add_routes(answers);
            let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
            let stopping = tasks.stopping();
            tasks.spawn_to_end("answer peers", async move {
                // A connection outlives the listener until it is told to end, and with it all that a call holds on to.
                let serving = server.serve_with_incoming_shutdown(incoming, stopping.cancelled());
                let limit = async {
                    stopping.cancelled().await;
                    tokio::time::sleep(HANG_UP_WAIT_MAX).await;
                };
                tokio::select! {
                    biased;
                    served = serving => {
                        if let Err(error) = served {
                            error!(%error, "no longer listening to peers");
                        }
                    }
                    () = limit => {}
                }
            });
            Ok(())
        })
    }
}

impl Carry for Channel {
    fn carry(&self, request: Request) -> BoxFuture<'static, Result<Response, StdError>> {
        let mut channel = self.clone();
        Box::pin(async move {
            poll_fn(|cx| channel.poll_ready(cx)).await?;
            Ok(channel.call(request).await?)
        })
    }
}
