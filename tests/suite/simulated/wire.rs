//! One connection to a simulated member, frame by frame.

use std::time::Duration;

use bytes::BytesMut;
use harness::connection::{Greeting, greeting, packet, request, welcome};
use harness::{Ask, Packet, Welcome};
use proto::jute::frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::{Instant, timeout_at};

/// Answers are read whatever their size.
const FRAME_BYTES_MAX: usize = 1 << 20;

/// A sign of life, and under which number it goes.
const PING: i32 = 11;
const PING_XID: i32 = -2;

/// The member has gone, or says what cannot be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Broken;

/// A connection.
pub(crate) struct Wire {
    stream: DuplexStream,
    arrived: BytesMut,
    next_xid: i32,
}

impl Wire {
    /// Greets a member, and hears what it says to that.
    pub(crate) async fn greet(
        stream: DuplexStream,
        words: &Greeting,
        patience: Duration,
    ) -> Result<(Self, Welcome), Broken> {
        let mut wire = Self { stream, arrived: BytesMut::new(), next_xid: 1 };
        let until = Instant::now() + patience;
        wire.say(&greeting(words), until).await?;
        let frame = wire.frame(until).await?.ok_or(Broken)?;
        Ok((wire, welcome(frame).map_err(|_| Broken)?))
    }

    /// Asks, and returns the number under which that is answered.
    pub(crate) async fn ask(&mut self, ask: &Ask, until: Instant) -> Result<i32, Broken> {
        let xid = if ask.op == PING { PING_XID } else { self.next_xid };
        self.next_xid += 1;
        self.say(&request(xid, ask), until).await.map(|()| xid)
    }

    /// What comes next; nothing if nothing comes until then.
    pub(crate) async fn hear(&mut self, until: Instant) -> Result<Option<Packet>, Broken> {
        match self.frame(until).await? {
            Some(frame) => packet(frame).map(Some).map_err(|_| Broken),
            None => Ok(None),
        }
    }

    async fn say(&mut self, bytes: &[u8], until: Instant) -> Result<(), Broken> {
        timeout_at(until, self.stream.write_all(bytes)).await.map_err(|_| Broken)?.map_err(|_| Broken)
    }

    async fn frame(&mut self, until: Instant) -> Result<Option<bytes::Bytes>, Broken> {
        loop {
            if let Some(frame) = frame::take(&mut self.arrived, FRAME_BYTES_MAX).map_err(|_| Broken)? {
                return Ok(Some(frame));
            }
            match timeout_at(until, self.stream.read_buf(&mut self.arrived)).await {
                Err(_) => return Ok(None),
                Ok(Ok(bytes)) if bytes > 0 => {}
                Ok(_) => return Err(Broken),
            }
        }
    }
}
