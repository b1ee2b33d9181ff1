//! A connection to a server, greeted, and what comes over it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use indicatif::ProgressBar;
use proto::jute::frame;
use proto::jute::read::{Malformed, Reader};
use proto::request::Greeting;
use proto::{Ask, SessionId, Zxid, ask};

/// How long a server may take to take a connection, and to answer a greeting.
const GREETING_WAIT_MAX: Duration = Duration::from_secs(10);

/// Bytes of the longest answer that is taken.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Something that a server sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// The answer to the oldest request, under its number.
    Answer { xid: i32, code: i32 },
    /// A notification.
    Event,
    /// The answer to a ping.
    Pong,
}

/// Takes the next whole packet out of what has arrived.
pub(super) fn take(arrived: &mut BytesMut) -> io::Result<Option<Arrival>> {
    let Some(packet) = frame::take(arrived, ANSWER_BYTES_MAX).map_err(io::Error::other)? else {
        return Ok(None);
    };
    let read = |packet: Bytes| {
        let mut reader = Reader::new(packet);
        let (xid, _zxid, code) = (reader.int()?, reader.long()?, reader.int()?);
        Ok(match xid {
            -1 => Arrival::Event,
            -2 => Arrival::Pong,
            _ => Arrival::Answer { xid, code },
        })
    };
    read(packet).map(Some).map_err(|_: Malformed| io::Error::new(ErrorKind::InvalidData, "not an answer"))
}

/// Opens a connection and a session on it. It blocks, and so does the stream.
pub(super) fn open(server: SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&server, GREETING_WAIT_MAX)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(GREETING_WAIT_MAX))?;
    let mut out = BytesMut::new();
    let greeting = Greeting {
        last_zxid: Zxid::ZERO,
        timeout_ms: i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX),
        session: SessionId::NONE,
        password: Bytes::from_static(&[0; 16]),
        read_only: Some(false),
    };
    ask::put_greeting(&mut out, &greeting);
    stream.write_all(&out)?;
    let mut arrived = BytesMut::new();
    let welcome = loop {
        if let Some(welcome) = frame::take(&mut arrived, ANSWER_BYTES_MAX).map_err(io::Error::other)? {
            break welcome;
        }
        receive(&mut stream, &mut arrived)?;
    };
    let session = |welcome: Bytes| {
        let mut reader = Reader::new(welcome);
        let _version = reader.int()?;
        let _timeout = reader.int()?;
        reader.long()
    };
    match session(welcome) {
        Ok(0) | Err(Malformed) => Err(io::Error::new(ErrorKind::ConnectionRefused, "no session was given")),
        Ok(_) => Ok(stream),
    }
}

/// Asks for one thing and waits for its answer's code. The stream must block.
pub(super) fn call(stream: &mut TcpStream, ask: &Ask) -> io::Result<i32> {
    let (mut out, mut arrived) = (BytesMut::new(), BytesMut::new());
    ask.put(&mut out, 1);
    stream.write_all(&out)?;
    loop {
        if let Some(Arrival::Answer { code, .. }) = take(&mut arrived)? {
            return Ok(code);
        }
        receive(stream, &mut arrived)?;
    }
}

/// Waits for more. The stream must block.
fn receive(stream: &mut TcpStream, arrived: &mut BytesMut) -> io::Result<()> {
    let mut chunk = [0; 4 << 10];
    match stream.read(&mut chunk)? {
        0 => Err(ErrorKind::UnexpectedEof.into()),
        count => {
            arrived.extend_from_slice(&chunk[..count]);
            Ok(())
        }
    }
}

/// Asks for many things, so many of them at a time, and waits for all answers. The stream must block.
pub(super) fn exchange(
    stream: &mut TcpStream,
    asks: impl Iterator<Item = Ask>,
    at_a_time: usize,
    welcome: &[i32],
    progress: &ProgressBar,
) -> io::Result<()> {
    let mut asks = asks.peekable();
    let (mut out, mut arrived) = (BytesMut::new(), BytesMut::new());
    while asks.peek().is_some() {
        out.clear();
        let mut left = 0;
        for ask in asks.by_ref().take(at_a_time) {
            ask.put(&mut out, 1);
            left += 1;
        }
        stream.write_all(&out)?;
        progress.inc(left);
        while left > 0 {
            match take(&mut arrived)? {
                Some(Arrival::Answer { code, .. }) if welcome.contains(&code) => left -= 1,
                Some(Arrival::Answer { code, .. }) => {
                    return Err(io::Error::other(format!("the server refuses what is prepared ({code})")));
                }
                Some(_) => {}
                None => receive(stream, &mut arrived)?,
            }
        }
    }
    Ok(())
}
