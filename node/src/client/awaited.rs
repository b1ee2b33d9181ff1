//! What the loop of a connection waits for besides its mailbox and what its client says.
use std::future::Future;
use std::io;
use std::pin::Pin;

use bytes::BytesMut;
use consensus::Unavailable;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until};

/// A question whether this member has seen everything, under way.
pub(super) type Barrier = Pin<Box<dyn Future<Output = Result<(), Unavailable>> + Send>>;

/// Writes what is in the outbox, as far as it is taken at once; flushes if there is nothing.
pub(super) async fn push(writer: &mut (impl AsyncWrite + Unpin), outbox: &mut BytesMut) -> io::Result<()> {
    if outbox.is_empty() { writer.flush().await } else { writer.write_buf(outbox).await.map(drop) }
}

/// Waits until a barrier has been passed, if there is one.
pub(super) async fn passed(barrier: &mut Option<Barrier>) -> Result<(), Unavailable> {
    match barrier {
        Some(barrier) => barrier.await,
        None => std::future::pending().await,
    }
}

/// Waits until a moment, if there is one.
pub(super) async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
