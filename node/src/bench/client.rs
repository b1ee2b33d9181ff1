//! One session that asks for one thing after the other, and never waits.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use proto::Ask;
use proto::ask::flags::PERSISTENT;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use super::grove::Grove;
use super::mix::{Kind, Mix};
use super::record::Record;
use super::wire::{self, Arrival};

/// What a session asks for as its timeout.
pub(super) const TIMEOUT: Duration = Duration::from_secs(30);

/// After how long a silence it says that it lives.
const PING_AFTER: Duration = Duration::from_secs(8);

/// Operations of one multi.
const MULTI_OPERATIONS: usize = 5;

/// Bytes that are read with one call.
const CHUNK_BYTES: usize = 64 << 10;

/// Where clients of one thread read into. To clear so much at each call would take longer than the call.
pub(super) fn chunk() -> Box<[u8]> {
    vec![0; CHUNK_BYTES].into()
}

/// What all clients of a load have in common.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) grove: Grove,
    pub(super) mix: Mix,
    pub(super) data: Vec<u8>,
    pub(super) seed: u64,
}

/// A request that was not answered yet.
#[derive(Debug)]
struct Asked {
    kind: Kind,
    xid: i32,
    /// When it was asked for, or should have been.
    since: Instant,
}

/// A session. Its stream does not block.
#[derive(Debug)]
pub(super) struct Client {
    number: u32,
    stream: TcpStream,
    arrived: BytesMut,
    out: BytesMut,
    under_way: VecDeque<Asked>,
    next_xid: i32,
    rng: SmallRng,
    /// Numbers of the znodes that it has made and not taken away.
    made: VecDeque<u64>,
    next_made: u64,
    said: Instant,
}

impl Client {
    /// Opens a session at a server.
    pub(super) fn open(number: u32, server: SocketAddr, seed: u64) -> io::Result<Self> {
        let stream = wire::open(server, TIMEOUT)?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            number,
            stream,
            arrived: BytesMut::new(),
            out: BytesMut::new(),
            under_way: VecDeque::new(),
            next_xid: 1,
            rng: SmallRng::seed_from_u64(seed ^ u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            made: VecDeque::new(),
            next_made: 0,
            said: Instant::now(),
        })
    }

    /// Opens another session in place of one that broke, at a server. What was under way is given up.
    pub(super) fn reopen(&mut self, server: SocketAddr) -> io::Result<()> {
        let stream = wire::open(server, TIMEOUT)?;
        stream.set_nonblocking(true)?;
        self.stream = stream;
        self.arrived.clear();
        self.out.clear();
        self.under_way.clear();
        Ok(())
    }

    /// What to wait for.
    pub(super) const fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Requests that were not answered yet.
    pub(super) fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// Whether the server is to take more before anything else can be said.
    pub(super) fn is_held_up(&self) -> bool {
        !self.out.is_empty()
    }

    /// Paths of what it has made and not taken away.
    pub(super) fn made(&self, grove: &Grove) -> Vec<String> {
        self.made.iter().map(|number| made(grove, self.number, *number)).collect()
    }

    /// Prepares the next request of the mix.
    pub(super) fn ask(&mut self, task: &Task, since: Instant) {
        let mut kind = task.mix.draw(&mut self.rng);
        if kind == Kind::Delete && self.made.is_empty() {
            kind = Kind::Create;
        }
        let ask = self.request(kind, task);
        self.put(kind, &ask, since);
    }

    /// Prepares this request.
    pub(super) fn put(&mut self, kind: Kind, ask: &Ask, since: Instant) {
        let xid = self.next_xid;
        self.next_xid = self.next_xid.checked_add(1).unwrap_or(1);
        ask.put(&mut self.out, xid);
        self.under_way.push_back(Asked { kind, xid, since });
    }

    fn request(&mut self, kind: Kind, task: &Task) -> Ask {
        let Task { grove, data, .. } = task;
        let number = self.rng.random();
        match kind {
            Kind::Get => Ask::get_data(&grove.znode(number), false),
            Kind::Set => Ask::set_data(&grove.znode(number), data, -1),
            Kind::Exists => Ask::exists(&grove.znode(number), false),
            Kind::Children => Ask::get_children(&grove.list(number), false),
            Kind::Sync => Ask::sync(&grove.znode(number)),
            Kind::Multi => {
                let set = |_| Ask::set_data(&grove.znode(self.rng.random()), data, -1);
                Ask::multi(&(0..MULTI_OPERATIONS).map(set).collect::<Vec<_>>())
            }
            Kind::Delete => match self.made.pop_front() {
                Some(oldest) => Ask::delete(&made(grove, self.number, oldest)),
                None => Ask::delete(&grove.own(self.number)),
            },
            Kind::Create | Kind::Open | Kind::Close | Kind::Told | Kind::LastTold => {
                let number = self.next_made;
                self.next_made += 1;
                self.made.push_back(number);
                Ask::create(&made(grove, self.number, number), data, PERSISTENT)
            }
        }
    }

    /// Says what is prepared, as far as the server takes it; and that it lives, if it has said nothing for long.
    pub(super) fn send(&mut self, now: Instant) -> io::Result<()> {
        if self.out.is_empty() {
            if now.saturating_duration_since(self.said) < PING_AFTER {
                return Ok(());
            }
            Ask::ping().put(&mut self.out, -2);
        }
        self.said = now;
        while !self.out.is_empty() {
            match self.stream.write(&self.out) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => self.out.advance(count),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Takes what has arrived, by way of a [`chunk`], and notes it. Says how many answers and notifications there were.
    pub(super) fn receive(&mut self, chunk: &mut [u8], record: &mut Record) -> io::Result<(u64, u64)> {
        let (mut answers, mut events) = (0, 0);
        loop {
            let count = match self.stream.read(chunk) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok((answers, events)),
                Err(error) => return Err(error),
            };
            let now = Instant::now();
            self.arrived.extend_from_slice(&chunk[..count]);
            while let Some(arrival) = wire::take(&mut self.arrived)? {
                match arrival {
                    Arrival::Answer { xid, code } => {
                        let asked = self.under_way.pop_front().filter(|asked| asked.xid == xid);
                        let asked = asked.ok_or_else(|| io::Error::other("answers come out of order"))?;
                        record.answered(asked.kind, asked.since, now, code);
                        answers += 1;
                    }
                    Arrival::Event => events += 1,
                    Arrival::Pong => {}
                }
            }
            if count < chunk.len() {
                return Ok((answers, events));
            }
        }
    }

    /// Ends the session, and does not wait for what is under way.
    pub(super) fn close(mut self) {
        // If the server does not hear it, it will find out.
        let _ended = self.stream.set_nonblocking(false).and_then(|()| {
            Ask::close_session().put(&mut self.out, self.next_xid);
            self.stream.write_all(&self.out)
        });
    }
}

fn made(grove: &Grove, client: u32, number: u64) -> String {
    format!("{}/m{number:09}", grove.own(client))
}
