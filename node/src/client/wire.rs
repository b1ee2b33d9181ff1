//! The two ends of a client's stream, encrypted or not.
use std::io;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// What a client is connected by. The connection's loop is made once for each kind, so that a plain stream pays nothing for
/// there being others.
pub(super) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {
    /// Whether something may be left in it that was written and that the socket has not taken, until it is flushed.
    const HOLDS_BACK: bool;

    /// Its two ends, to be used at the same time.
    fn halves(&mut self) -> (impl AsyncRead + Unpin + Send, impl AsyncWrite + Unpin + Send);
}

impl Wire for TcpStream {
    const HOLDS_BACK: bool = false;

    fn halves(&mut self) -> (impl AsyncRead + Unpin + Send, impl AsyncWrite + Unpin + Send) {
        self.split()
    }
}

impl Wire for TlsStream<TcpStream> {
    const HOLDS_BACK: bool = true;

    fn halves(&mut self) -> (impl AsyncRead + Unpin + Send, impl AsyncWrite + Unpin + Send) {
        tokio::io::split(self)
    }
}

/// In a simulation.
#[cfg(simulation)]
impl Wire for tokio::io::DuplexStream {
    const HOLDS_BACK: bool = false;

    fn halves(&mut self) -> (impl AsyncRead + Unpin + Send, impl AsyncWrite + Unpin + Send) {
        tokio::io::split(self)
    }
}

/// Whether who has connected begins to speak TLS: the first byte of its handshake is that of no frame which would not be
/// too long, and of no four-letter word.
pub(super) async fn speaks_tls(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0];
    Ok(stream.peek(&mut first).await? == 1 && first[0] == 0x16)
}
