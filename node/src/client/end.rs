//! Why a connection is over, and how its socket is closed then.
use std::io;

use consensus::Unavailable;
use proto::jute::Malformed;
use proto::jute::frame::Overlong;
use proto::limits::FAREWELL_WAIT_MAX;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::handshake::Unanswered;
use super::wire::Wire;
use crate::mailbox::Reason;

/// Why a connection is over.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    #[error("client hung up")]
    Gone,
    #[error("client has no session yet and said nothing more")]
    NoGreeting,
    #[error("greeting does not parse")]
    Greeting(#[from] Malformed),
    #[error(transparent)]
    Unanswered(#[from] Unanswered),
    #[error("client has no session any more, or not its password")]
    Refused,
    #[error(transparent)]
    Overlong(#[from] Overlong),
    #[error("greetings come too often")]
    TooOften,
    #[error("all large requests together are too large")]
    TooLarge,
    #[error("a request has waited for longer than its session's timeout")]
    Stale,
    #[error("a frame has no room for a header")]
    NoHeader,
    #[error("nothing was heard for the session's timeout")]
    Idle,
    #[error("{0}")]
    HungUp(Reason),
    #[error("a sync found no leader")]
    Unavailable(#[from] Unavailable),
    #[error("a write was answered out of turn")]
    OutOfTurn,
    #[error("TLS handshake failed: {0}")]
    Handshake(io::Error),
    #[error("too many TLS handshakes are under way")]
    TooManyHandshakes,
    #[error("client's certificate has no subject that can be read")]
    NoSubject,
    #[error(transparent)]
    Socket(#[from] io::Error),
}

impl End {
    /// Whether the client is still owed what was written to it: then the socket is closed with care.
    pub(super) const fn is_orderly(&self) -> bool {
        matches!(self, Self::Refused | Self::HungUp(_)) && !matches!(self, Self::HungUp(Reason::SlowReader))
    }
}

/// Closes a socket so that what was written to it arrives. A socket that is closed while something from the other
/// side is unread is reset, and the reset may overtake the last reply.
pub(super) async fn part(mut stream: impl Wire) {
    let farewell = async {
        stream.shutdown().await?;
        let mut ignored = [0; 1_024];
        while stream.read(&mut ignored).await? > 0 {}
        io::Result::Ok(())
    };
    // However it ends, the socket is closed behind it.
    let _ = timeout(FAREWELL_WAIT_MAX, farewell).await;
}
