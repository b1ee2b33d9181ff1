//! A member without sockets, for simulations: its clients' streams are handed to it.
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use consensus::{Consensus, Observer};
use tokio::io::DuplexStream;

use crate::client::{Member, serve_stream};
use crate::config::Config;
use crate::mailbox::Reason;
use crate::parts::Parts;

/// A member before it has its part in the ensemble.
pub struct Prepared(Parts);

impl Prepared {
    /// One that is configured like that.
    pub fn new(config: Config) -> Self {
        Self(Parts::new(config))
    }

    /// Who is to be told what is applied.
    pub fn observer(&self) -> Arc<dyn Observer> {
        Arc::new(self.0.observer())
    }

    /// The member, and what goes on in it until it ends.
    pub fn join(self, consensus: Consensus) -> (Simulated, impl Future<Output = ()> + Send + use<>) {
        let (member, going_on) = self.0.join(consensus);
        (Simulated(member), going_on)
    }
}

/// A member that has its part.
#[derive(Clone)]
pub struct Simulated(Arc<Member>);

impl Simulated {
    /// Serves a client from its first byte to the end of its connection, and says why it has ended.
    pub async fn serve(self, stream: DuplexStream) -> String {
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        match serve_stream(&self.0, stream, peer).await {
            Ok(()) => "it was told to go".to_owned(),
            Err(end) => end,
        }
    }

    /// Accepts nobody any more, and ends connections behind what they are owed.
    pub fn end(&self) {
        self.0.ending.cancel();
    }

    /// Ends all connections.
    pub fn hang_up(&self) {
        self.0.registry.hang_up_all(Reason::Shutdown);
    }

    /// How long a member that leaves waits for its connections.
    pub const PATIENCE: Duration = proto::limits::SHUTDOWN_WAIT_MAX;
}
