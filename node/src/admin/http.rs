//! The ports for operators that speak HTTP: the AdminServer's, and that of the metrics.
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use proto::limits::{ACCEPT_RETRY_WAIT, OPERATOR_CONNECTIONS_MAX, OPERATOR_WAIT_MAX};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::commands::{self, Answer};
use super::listing::gather;
use super::prometheus;
use super::source::Source;
use crate::config::Listen;

type Asked = Arc<dyn Source>;

/// A socket at which operators may call, with what they may ask there.
pub(crate) struct Port {
    listener: TcpListener,
    routes: Router,
}

/// The AdminServer's routes: its commands under `commands_url`, and the metrics.
pub(crate) fn admin_routes(asked: Asked, commands_url: &str) -> Router {
    let links = commands::links(commands_url);
    Router::new()
        .route(commands_url, get(async move || Html(links)))
        .route(&format!("{commands_url}/{{name}}"), get(command))
        .with_state(asked.clone())
        .merge(metrics_routes(asked))
}

/// The metrics alone.
pub(crate) fn metrics_routes(asked: Asked) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state(asked)
}

async fn command(State(asked): State<Asked>, Path(name): Path<String>) -> Response {
    let answer = commands::answer(&name, &asked.report());
    let body = match answer {
        Answer::Json(text) => Body::from(text),
        Answer::Watching(name, form) => {
            let listing = gather(asked, move |watching| watching.json(name, form)).await;
            Body::from_stream(futures_util::stream::iter(listing.map(Ok::<_, Infallible>)))
        }
    };
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

async fn metrics(State(asked): State<Asked>) -> Response {
    let text = prometheus::metrics(&asked.report(), asked.metrics());
    ([(header::CONTENT_TYPE, prometheus::CONTENT_TYPE)], text).into_response()
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
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Mostly for want of file descriptors: it passes when somebody hangs up.
                    tracing::warn!(%error, "accept an operator");
                    tokio::time::sleep(ACCEPT_RETRY_WAIT).await;
                    continue;
                }
            };
            let (routes, ending) = (self.routes.clone(), ending.clone());
            tasks.spawn(async move {
                let _place = place;
                tokio::select! {
                    () = serve(stream, routes) => {}
                    () = ending.cancelled() => {}
                }
            });
        }
    }
}

/// Answers one question. There is one for each connection: so the time that a connection may take bounds what an
/// answer holds in memory, however slowly it is read.
async fn serve(stream: TcpStream, routes: Router) {
    let service = TowerToHyperService::new(routes);
    let connection = http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), service);
    match timeout(OPERATOR_WAIT_MAX, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "an operator's connection ended"),
        Err(_) => tracing::debug!("an operator took too long"),
    }
}
