//! Builds the parts of a member, joins them, and ends them.
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use consensus::{Consensus, watch};
use proto::limits::{FAREWELL_WAIT_MAX, SHUTDOWN_WAIT_MAX};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admin::{Port, Source, admin_routes, metrics_routes};
use crate::client::{Listening, Member};
use crate::config::{AdminConfig, Config, Listen};
use crate::mailbox::Reason;
use crate::parts::Parts;
use crate::tls::Tls;

/// A member that runs.
pub struct Server {
    member: Arc<Member>,
    clients: SocketAddr,
    tasks: TaskTracker,
}

impl Server {
    /// Starts a member. It answers four-letter words at once, and clients as soon as it has recovered and knows a
    /// leader.
    ///
    /// # Errors
    /// What is wrong with an address or with what is on disk.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let listen = &config.client_listen;
        let backlog = config.clients.backlog;
        let mut listening = Listening::bind(listen, backlog)
            .await
            .with_context(|| format!("listen to clients at {} port {}", listen.host, listen.port))?;
        let clients = listening.address().context("learn the address of the clients' port")?;

        let mut doors = Vec::new();
        if let Some(config) = &config.tls {
            let tls = Arc::new(Tls::load(config).context("prepare TLS")?);
            if config.unified {
                listening = listening.unified(tls.clone());
            }
            if let Some(listen) = &config.listen {
                let secured = Listening::bind(listen, backlog).await.with_context(|| {
                    format!("listen to clients that speak TLS at {} port {}", listen.host, listen.port)
                })?;
                let address = secured.address().context("learn the address of the clients' TLS port")?;
                doors.push((secured.secured(tls), address));
            }
        }
        doors.push((listening, clients));

        let consensus = config.consensus.clone();
        let parts = Parts::new(config);
        let consensus = Consensus::start(consensus, Arc::new(parts.observer()))
            .await
            .context("start this member's part in the ensemble")?;
        let (member, going_on) = parts.join(consensus);
        let tasks = TaskTracker::new();
        tasks.spawn(going_on);
        let asked: Arc<dyn Source> = member.clone();
        if let Some(AdminConfig { listen, commands_url, .. }) = &member.config.admin {
            open_port(
                "AdminServer",
                listen,
                admin_routes(asked.clone(), commands_url),
                &tasks,
                &member.ending,
            )
            .await;
        }
        if let Some(listen) = &member.config.metrics {
            open_port("metrics", listen, metrics_routes(asked), &tasks, &member.ending).await;
        }
        for (listening, address) in doors {
            tasks.spawn(listening.accept(member.clone(), tasks.clone()));
            tracing::info!(%address, "listening to clients");
        }
        Ok(Self { member, clients, tasks })
    }

    /// Where clients are listened to.
    pub const fn client_address(&self) -> SocketAddr {
        self.clients
    }

    /// What this member knows of the ensemble, now and whenever it changes.
    pub fn status(&self) -> watch::Receiver<consensus::Status> {
        self.member.consensus.status()
    }

    /// Waits until something is wrong here that stops this member's part in the ensemble.
    pub async fn wait_for_fault(&self) {
        // If nobody tells the status any more, the part that told it is gone.
        let _ = self.member.consensus.status().wait_for(|status| status.stopped).await;
    }

    /// Ends the member: another leads, if this one did; nobody is accepted any more, requests that are under way are
    /// answered if that takes no long time, connections are closed behind their replies, and then the member leaves
    /// the ensemble.
    pub async fn shutdown(&self) {
        // While everybody is still served: for the clients of all members it is a pause of a few round trips.
        self.member.consensus.hand_over().await;
        self.member.ending.cancel();
        self.tasks.close();
        if timeout(SHUTDOWN_WAIT_MAX, self.tasks.wait()).await.is_err() {
            self.member.registry.hang_up_all(Reason::Shutdown);
            if timeout(2 * FAREWELL_WAIT_MAX, self.tasks.wait()).await.is_err() {
                tracing::warn!(connections = self.tasks.len(), "connections did not end in time");
            }
        }
        self.member.consensus.shutdown().await;
    }
}

/// Opens a port for operators. A port that is taken is no reason not to start: the ensemble needs its members more than
/// anybody needs to look at them.
async fn open_port(
    what: &str,
    listen: &Listen,
    routes: Router,
    tasks: &TaskTracker,
    ending: &CancellationToken,
) {
    let Listen { host, port } = listen;
    match Port::bind(listen, routes).await {
        Ok(open) => {
            let address = open.address().map_or_else(|_| format!("{host}:{port}"), |at| at.to_string());
            tracing::info!(%address, "listening to operators: {what}");
            tasks.spawn(open.accept(tasks.clone(), ending.clone()));
        }
        Err(error) => tracing::error!(%host, port, %error, "operators cannot be listened to: no {what} here"),
    }
}
