//! A socket to one server: bytes out, frames in.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use proto::jute::frame;

/// Replies are read whatever their size, within reason.
const FRAME_BYTES_MAX: usize = 64 << 20;

/// After what silence a server is said to say nothing. Long: a machine that runs tests may be busy.
const PATIENCE: Duration = Duration::from_secs(20);

/// What comes out of a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Came {
    Frame(Bytes),
    /// The server has hung up.
    End,
    /// Nothing came, and nobody hung up.
    Silence,
}

/// The socket.
#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    arrived: BytesMut,
}

impl Wire {
    pub(super) fn dial(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream, arrived: BytesMut::new() })
    }

    /// Sends bytes. If the server has hung up, that is seen when its answer is read.
    pub(super) fn send(&mut self, bytes: &[u8]) {
        let _broken = self.stream.write_all(bytes);
    }

    /// Says that nothing more will be sent.
    pub(super) fn hang_up(&mut self) {
        let _broken = self.stream.shutdown(Shutdown::Write);
    }

    /// The next thing that comes.
    pub(super) fn next(&mut self) -> Came {
        let end = Instant::now() + PATIENCE;
        loop {
            match frame::take(&mut self.arrived, FRAME_BYTES_MAX) {
                Ok(Some(frame)) => return Came::Frame(frame),
                Ok(None) => {}
                Err(_) => return Came::End,
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || self.stream.set_read_timeout(Some(left)).is_err() {
                return Came::Silence;
            }
            let mut chunk = [0; 16 << 10];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Came::End,
                Ok(count) => self.arrived.extend_from_slice(&chunk[..count]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(_) => return Came::End,
            }
        }
    }
}
