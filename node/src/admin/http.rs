//! The ports for operators that speak HTTP: the AdminServer's, and that of the metrics.
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use axum::body::Body;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use consensus::{Leaderless, NoBackup};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use proto::limits::{ACCEPT_RETRY_WAIT, BACKUP_WAIT_MAX, OPERATOR_CONNECTIONS_MAX, OPERATOR_WAIT_MAX};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::commands::{self, Answer, Asking};
use super::deed::Credentials;
use super::dump::Dump;
use super::listing::{Listing, gather};
use super::prometheus;
use super::source::Source;
use super::watching::{Pieces, Watching};
use crate::config::Listen;

type Asked = Arc<dyn Source>;

/// A socket at which operators may call, with what they may ask there.
pub(crate) struct Port {
    listener: TcpListener,
    routes: Router,
}

/// Whom a connection is from.
#[derive(Clone, Copy, Debug)]
struct Peer(IpAddr);

/// Whether a connection's answer may take as long as a backup.
#[derive(Clone, Debug, Default)]
struct Patience(Arc<AtomicBool>);

/// The AdminServer's routes: its commands under `commands_url`, and the metrics.
pub(crate) fn admin_routes(asked: Asked, commands_url: &str) -> Router {
    let links = commands::links(commands_url);
    let index = get(async move || Html(links));
    Router::new()
        .route(commands_url, index.clone())
        .route(&format!("{commands_url}/"), index)
        .route(&format!("{commands_url}/{{*name}}"), get(command).post(command))
        .with_state(asked.clone())
        .merge(metrics_routes(asked))
        .layer(middleware::from_fn(refuse_trace))
}

/// The metrics alone.
pub(crate) fn metrics_routes(asked: Asked) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state(asked)
}

/// TRACE is refused before anything else is looked at, as by ZooKeeper.
async fn refuse_trace(request: Request, next: Next) -> Response {
    if request.method() == Method::TRACE {
        return StatusCode::FORBIDDEN.into_response();
    }
    next.run(request).await
}

async fn command(
    State(asked): State<Asked>,
    Extension(Peer(peer)): Extension<Peer>,
    Extension(patience): Extension<Patience>,
    Path(name): Path<String>,
    RawQuery(arguments): RawQuery,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let asking = Asking {
        posts: method == Method::POST,
        streaming: arguments.as_deref().and_then(|text| argument(text, "streaming")),
        stale: arguments.as_deref().and_then(|text| argument(text, "stale")),
        trace_mask: arguments.as_deref().and_then(|text| argument(text, "traceMask")),
        credentials: authorization.map_or(Credentials::None, |text| asked.credentials(text, peer)),
    };
    let answer = commands::answer(&name, asking, &asked.report());
    let (status, body) = match answer {
        Answer::Json(status, text) => (status, Body::from(text)),
        Answer::Done(deed, text) => {
            asked.perform(deed);
            (200, Body::from(text))
        }
        Answer::Watching(name, form) => {
            (200, streamed(gather(asked, move |source| Watching::of(source).json(name, form)).await))
        }
        Answer::Dump(name) => {
            let dump = move |source: &dyn Source| -> Pieces {
                Box::new(std::iter::once(commands::told(name, Dump::gather(source).json())))
            };
            (200, streamed(gather(asked, dump).await))
        }
        Answer::Digest(name) => {
            // One at a time: each has every member read its whole state.
            let _place = asked.digesting().acquire().await;
            (200, Body::from(commands::digests(name, asked.compare().await)))
        }
        Answer::Snapshot(name, streaming, leaderless) => {
            return snapshot(&asked, name, streaming, leaderless, &patience).await;
        }
        Answer::WrongMethod => return StatusCode::METHOD_NOT_ALLOWED.into_response(),
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// A backup, or only what it would be; with ZooKeeper's headers.
async fn snapshot(
    asked: &Asked,
    name: &'static str,
    streaming: bool,
    leaderless: Leaderless,
    patience: &Patience,
) -> Response {
    let json =
        |status: StatusCode, text: String| (status, [(header::CONTENT_TYPE, "application/json")], text);
    if !asked.may_back_up() {
        let text = commands::failed(name, "Rate limited");
        return json(StatusCode::TOO_MANY_REQUESTS, text).into_response();
    }
    // To go through the whole state, and to send it, may take longer than other answers do.
    patience.0.store(true, Relaxed);
    let backup = match asked.backup(leaderless).await {
        Ok(backup) => backup,
        Err(why @ NoBackup::Leaderless) => {
            tracing::warn!("a backup was refused: {why}");
            let text = commands::failed(
                name,
                &format!("{why}; `--stale`, or `stale=true`, gives what this member has"),
            );
            return json(StatusCode::SERVICE_UNAVAILABLE, text).into_response();
        }
        Err(NoBackup::Fault(fault)) => {
            tracing::error!(%fault, "a backup could not be made");
            let text = commands::failed(name, &fault.to_string());
            return json(StatusCode::INTERNAL_SERVER_ERROR, text).into_response();
        }
    };
    let (zxid, bytes, stale) = (backup.zxid(), backup.bytes(), backup.is_stale());
    tracing::info!(%zxid, bytes, streaming, stale, "gives a backup");
    let headers = [("last_zxid", zxid.to_string()), ("snapshot_size", bytes.to_string())];
    if !streaming {
        return (headers, json(StatusCode::OK, commands::told(name, serde_json::json!({})))).into_response();
    }
    let kind = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, bytes.to_string()),
    ];
    let mut pieces = backup.stream();
    let pieces = futures_util::stream::poll_fn(move |cx| pieces.poll_recv(cx));
    (headers, kind, Body::from_stream(pieces)).into_response()
}

/// An argument of a question. Nothing is decoded: what is asked for here is a number.
fn argument<'a>(arguments: &'a str, name: &str) -> Option<&'a str> {
    arguments.split('&').find_map(|argument| argument.strip_prefix(name)?.strip_prefix('='))
}

fn streamed(listing: Listing) -> Body {
    Body::from_stream(futures_util::stream::iter(listing.map(Ok::<_, Infallible>)))
}

async fn metrics(State(asked): State<Asked>) -> Response {
    let report = asked.report();
    let text = prometheus::metrics(&report, asked.metrics());
    ([(header::CONTENT_TYPE, prometheus::content_type(&report))], text).into_response()
}

impl Port {
    /// Takes the address. Nobody is accepted yet.
    ///
    /// # Errors
    /// What the name service or the kernel says.
    pub(crate) async fn bind(listen: &Listen, routes: Router) -> io::Result<Self> {
        let listener = TcpListener::bind((listen.host.as_str(), listen.port)).await?;
        Ok(Self { listener, routes })
    }

    /// Where operators call.
    ///
    /// # Errors
    /// What the kernel says.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Accepts operators, each with a task of its own in `tasks`, until the member ends.
    pub(crate) async fn accept(self, tasks: TaskTracker, ending: CancellationToken) {
        let room = Arc::new(Semaphore::new(OPERATOR_CONNECTIONS_MAX));
        loop {
            let accepted = async {
                let place = room.clone().acquire_owned().await;
                (place, self.listener.accept().await)
            };
            let (place, accepted) = tokio::select! {
                accepted = accepted => accepted,
                () = ending.cancelled() => return,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Mostly for want of file descriptors: it passes when somebody hangs up.
                    tracing::warn!(%error, "accept an operator");
                    tokio::time::sleep(ACCEPT_RETRY_WAIT).await;
                    continue;
                }
            };
            let peer = Peer(peer.ip().to_canonical());
            let patience = Patience::default();
            let routes = self.routes.clone().layer(Extension(peer)).layer(Extension(patience.clone()));
            let ending = ending.clone();
            tasks.spawn(async move {
                let _place = place;
                tokio::select! {
                    () = serve(stream, routes, &patience) => {}
                    () = ending.cancelled() => {}
                }
            });
        }
    }
}

/// Answers one question. There is one for each connection: so the time that a connection may take bounds what an
/// answer holds in memory, however slowly it is read.
async fn serve(stream: TcpStream, routes: Router, patience: &Patience) {
    let service = TowerToHyperService::new(routes);
    let connection = http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let mut served = timeout(OPERATOR_WAIT_MAX, connection.as_mut()).await;
    if served.is_err() && patience.0.load(Relaxed) {
        served = timeout(BACKUP_WAIT_MAX, connection).await;
    }
    match served {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "an operator's connection ended"),
        Err(_) => tracing::debug!("an operator took too long"),
    }
}
