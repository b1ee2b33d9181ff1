//! One connection to one member, frame by frame.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use proto::Stat;
use proto::jute::frame;
use proto::jute::read::{Malformed, Reader};
use proto::jute::write::Writer;

use crate::Ask;

/// Replies to tests are read whatever their size, within reason.
const REPLY_BYTES_MAX: usize = 64 << 20;

/// How long a dial may take: a member that is frozen accepts connections and says nothing.
const DIAL: Duration = Duration::from_secs(5);

/// What a client starts with.
#[derive(Clone, Debug)]
pub struct Greeting {
    /// The last position that the client saw.
    pub last_zxid: i64,
    /// The timeout that it asks for, in milliseconds.
    pub timeout_ms: i32,
    /// Its session, 0 if it has none.
    pub session: i64,
    /// The session's password.
    pub password: Vec<u8>,
    /// The last byte, which old clients do not send.
    pub read_only: Option<bool>,
}

impl Greeting {
    /// What a client that has no session says.
    pub fn new(timeout_ms: i32) -> Self {
        Self { last_zxid: 0, timeout_ms, session: 0, password: vec![0; 16], read_only: Some(false) }
    }

    /// What a client says that comes back with the session it was given.
    pub fn again(welcome: &Welcome, last_zxid: i64) -> Self {
        Self {
            last_zxid,
            timeout_ms: welcome.timeout_ms,
            session: welcome.session,
            password: welcome.password.clone(),
            read_only: Some(false),
        }
    }
}

/// What the member answers to a greeting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// Bytes of the answer, its length prefix not counted.
    pub bytes: usize,
    /// Always 0.
    pub protocol_version: i32,
    /// What was agreed, in milliseconds; 0 if the session is refused.
    pub timeout_ms: i32,
    /// The session; 0 if it is refused.
    pub session: i64,
    /// Its password.
    pub password: Vec<u8>,
    /// Whether the member serves reads only, if the answer says so.
    pub read_only: Option<bool>,
}

/// What a member sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    /// Something happened that a watch waited for.
    Event {
        /// The number in the header.
        zxid: i64,
        /// What happened: 1 created, 2 deleted, 3 data changed, 4 children changed.
        kind: i32,
        /// To which znode.
        path: String,
    },
    /// The answer to a request.
    Reply(Reply),
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// What the client numbered the request with.
    pub xid: i32,
    /// How far the member was.
    pub zxid: i64,
    /// 0, or the refusal.
    pub err: i32,
    /// The record.
    pub body: Bytes,
}

impl Reply {
    fn read<T>(&self, read: impl FnOnce(&mut Reader) -> Result<T, Malformed>) -> T {
        assert_eq!(self.err, 0, "the reply is a refusal and has no record: {self:?}");
        read(&mut Reader::new(self.body.clone()))
            .unwrap_or_else(|_| panic!("not the record expected: {self:?}"))
    }

    /// The record of create and of sync.
    ///
    /// # Panics
    /// This and the following panic if the reply is a refusal or another record.
    pub fn path(&self) -> String {
        self.read(|r| Ok(r.text()?.to_string()))
    }

    /// The record of create2.
    pub fn path_and_stat(&self) -> (String, Stat) {
        self.read(|r| Ok((r.text()?.to_string(), stat(r)?)))
    }

    /// The record of exists and setData.
    pub fn stat(&self) -> Stat {
        self.read(stat)
    }

    /// The record of getData.
    pub fn data(&self) -> (Option<Bytes>, Stat) {
        self.read(|r| Ok((r.buffer()?, stat(r)?)))
    }

    /// The record of getChildren, sorted.
    pub fn children(&self) -> Vec<String> {
        let mut names = self.read(|r| Ok(r.vector(|r| Ok(r.text()?.to_string()))?.unwrap_or_default()));
        names.sort();
        names
    }

    /// The record of whoAmI: `scheme:user`, sorted.
    pub fn identities(&self) -> Vec<String> {
        let id = |r: &mut Reader| Ok(format!("{}:{}", r.text()?, r.text()?));
        let mut ids = self.read(|r| Ok(r.vector(id)?.unwrap_or_default()));
        ids.sort();
        ids
    }

    /// The record of getACL without its Stat: `permissions scheme:id`.
    pub fn acl(&self) -> Vec<String> {
        let line = |r: &mut Reader| Ok(format!("{} {}:{}", r.int()?, r.text()?, r.text()?));
        self.read(|r| Ok(r.vector(line)?.unwrap_or_default()))
    }

    /// The type and the error of each part of a multi's record. Only those of failed multis, of deletes and of
    /// checks can be read without knowing what was asked.
    pub fn multi_errors(&self) -> Vec<i32> {
        self.read(|r| {
            let mut errors = Vec::new();
            loop {
                let (kind, done, err) = (r.int()?, r.boolean()?, r.int()?);
                if done {
                    return Ok(errors);
                }
                if kind == -1 {
                    assert_eq!(r.int()?, err, "the two codes of a multi's result are one");
                }
                errors.push(err);
            }
        })
    }
}

pub(crate) fn stat(r: &mut Reader) -> Result<Stat, Malformed> {
    Ok(Stat {
        czxid: r.long()?,
        mzxid: r.long()?,
        ctime: r.long()?,
        mtime: r.long()?,
        version: r.int()?,
        cversion: r.int()?,
        aversion: r.int()?,
        ephemeral_owner: r.long()?,
        data_length: r.int()?,
        num_children: r.int()?,
        pzxid: r.long()?,
    })
}

/// A connection, greeted or not.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    arrived: BytesMut,
    next_xid: i32,
}

impl Connection {
    /// Connects; says nothing yet.
    ///
    /// # Errors
    /// If nobody listens there.
    pub fn dial(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, DIAL)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, arrived: BytesMut::new(), next_xid: 1 })
    }

    /// Connects and opens a session.
    ///
    /// # Panics
    /// If either does not work.
    #[track_caller]
    pub fn open(address: SocketAddr, timeout_ms: i32) -> (Self, Welcome) {
        Self::greeted(address, &Greeting::new(timeout_ms))
    }

    /// Connects and says `greeting`.
    ///
    /// # Panics
    /// If the connection is not answered.
    #[track_caller]
    pub fn greeted(address: SocketAddr, greeting: &Greeting) -> (Self, Welcome) {
        let mut connection = Self::dial(address).unwrap_or_else(|error| panic!("dial {address}: {error}"));
        let welcome = connection.greet(greeting).unwrap_or_else(|error| panic!("greet {address}: {error}"));
        (connection, welcome)
    }

    /// Says `greeting` and reads the answer.
    ///
    /// # Errors
    /// If the member hangs up instead.
    pub fn greet(&mut self, greeting: &Greeting) -> io::Result<Welcome> {
        self.greet_within(greeting, crate::wait::PATIENCE)
    }

    /// The same with another patience.
    ///
    /// # Errors
    /// As [`Self::greet`], and if no answer comes in time.
    pub fn greet_within(&mut self, greeting: &Greeting, patience: Duration) -> io::Result<Welcome> {
        self.write(&self::greeting(greeting))?;
        welcome(self.frame(patience)?)
    }

    /// Says a frame that may or may not be a greeting, and reads the answer.
    ///
    /// # Errors
    /// As [`Self::greet`].
    pub fn greet_with(&mut self, frame: &[u8]) -> io::Result<Welcome> {
        self.write(frame)?;
        welcome(self.frame(crate::wait::PATIENCE)?)
    }

    /// The stream, for a client that has its own way with frames. There must be nothing on its way.
    pub fn into_stream(self) -> TcpStream {
        debug_assert!(self.arrived.is_empty());
        self.stream
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// If the connection is broken.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends a request and returns the number it went out under.
    ///
    /// # Errors
    /// If the connection is broken.
    pub fn send(&mut self, ask: &Ask) -> io::Result<i32> {
        let xid = match ask.op {
            11 => -2,
            100 => -4,
            _ => {
                self.next_xid += 1;
                self.next_xid - 1
            }
        };
        self.send_as(xid, ask).map(|()| xid)
    }

    /// Sends a request under a number of the caller's.
    ///
    /// # Errors
    /// If the connection is broken.
    pub fn send_as(&mut self, xid: i32, ask: &Ask) -> io::Result<()> {
        self.write(&request(xid, ask))
    }

    /// Whatever comes next, events included.
    ///
    /// # Errors
    /// [`ErrorKind::UnexpectedEof`] or another if the connection ended, [`ErrorKind::TimedOut`] if nothing came.
    pub fn receive(&mut self) -> io::Result<Packet> {
        self.receive_within(crate::wait::PATIENCE)
    }

    /// The same with another patience.
    ///
    /// # Errors
    /// As [`Self::receive`].
    pub fn receive_within(&mut self, patience: Duration) -> io::Result<Packet> {
        packet(self.frame(patience)?)
    }

    /// Sends a request and reads its answer; it must be the next thing that comes.
    ///
    /// # Panics
    /// If the connection breaks, or something else comes.
    #[track_caller]
    pub fn call(&mut self, ask: &Ask) -> Reply {
        let xid = self.send(ask).unwrap_or_else(|error| panic!("send operation {}: {error}", ask.op));
        let reply = self.reply();
        assert_eq!(reply.xid, xid, "replies come in the order of the requests");
        reply
    }

    /// The next thing that comes; it must be a reply.
    ///
    /// # Panics
    /// If the connection breaks, or an event comes.
    #[track_caller]
    pub fn reply(&mut self) -> Reply {
        match self.receive() {
            Ok(Packet::Reply(reply)) => reply,
            Ok(event) => panic!("a reply should come, and there is {event:?}"),
            Err(error) => panic!("a reply should come, and the connection says: {error}"),
        }
    }

    /// The next thing that comes; it must be an event. Returns its kind and path.
    ///
    /// # Panics
    /// If the connection breaks, or a reply comes.
    #[track_caller]
    pub fn event(&mut self) -> (i32, String) {
        match self.receive() {
            Ok(Packet::Event { kind, path, .. }) => (kind, path),
            Ok(reply) => panic!("an event should come, and there is {reply:?}"),
            Err(error) => panic!("an event should come, and the connection says: {error}"),
        }
    }

    /// Waits until the member hangs up.
    ///
    /// # Panics
    /// If it says something first, or does not hang up.
    #[track_caller]
    pub fn expect_hang_up(&mut self) {
        match self.receive() {
            Err(error) if error.kind() != ErrorKind::TimedOut => {}
            other => panic!("the member should hang up, and there is {other:?}"),
        }
    }

    /// Hangs up, and waits until the member has seen it.
    ///
    /// # Panics
    /// If it goes on talking.
    #[track_caller]
    pub fn hang_up(mut self) {
        // An error says that the member was quicker.
        if self.stream.shutdown(Shutdown::Write).is_ok() {
            self.expect_hang_up();
        }
    }

    fn frame(&mut self, patience: Duration) -> io::Result<Bytes> {
        let end = Instant::now() + patience;
        loop {
            let taken = frame::take(&mut self.arrived, REPLY_BYTES_MAX)
                .map_err(|overlong| io::Error::new(ErrorKind::InvalidData, overlong))?;
            if let Some(frame) = taken {
                return Ok(frame);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ErrorKind::TimedOut.into());
            }
            self.stream.set_read_timeout(Some(left))?;
            let mut chunk = [0; 64 << 10];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.arrived.extend_from_slice(&chunk[..count]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// A greeting as a frame, also such as no server can read.
pub fn greeting(greeting: &Greeting) -> BytesMut {
    let mut out = BytesMut::new();
    frame::put(&mut out, |out| {
        out.int(0);
        out.long(greeting.last_zxid);
        out.int(greeting.timeout_ms);
        out.long(greeting.session);
        out.buffer(Some(&greeting.password));
        if let Some(read_only) = greeting.read_only {
            out.boolean(read_only);
        }
    });
    out
}

/// A request as a frame.
pub fn request(xid: i32, ask: &Ask) -> BytesMut {
    let mut out = BytesMut::with_capacity(16 + ask.body.len());
    ask.put(&mut out, xid);
    out
}

/// The answer to a greeting, out of its frame; an error if it is none.
pub fn welcome(frame: Bytes) -> io::Result<Welcome> {
    read_welcome(frame).map_err(|_| io::Error::new(ErrorKind::InvalidData, "not an answer to a greeting"))
}

/// What a member sends, out of its frame.
///
/// # Errors
/// If it is neither a reply nor an event.
pub fn packet(frame: Bytes) -> io::Result<Packet> {
    read_packet(frame).map_err(|_| io::Error::new(ErrorKind::InvalidData, "not a reply and not an event"))
}

fn read_welcome(frame: Bytes) -> Result<Welcome, Malformed> {
    let bytes = frame.len();
    let mut r = Reader::new(frame);
    Ok(Welcome {
        bytes,
        protocol_version: r.int()?,
        timeout_ms: r.int()?,
        session: r.long()?,
        password: r.buffer()?.ok_or(Malformed)?.to_vec(),
        read_only: if r.is_empty() { None } else { Some(r.boolean()?) },
    })
}

fn read_packet(frame: Bytes) -> Result<Packet, Malformed> {
    let mut r = Reader::new(frame);
    let (xid, zxid, err) = (r.int()?, r.long()?, r.int()?);
    if xid != -1 {
        return Ok(Packet::Reply(Reply { xid, zxid, err, body: r.rest() }));
    }
    let kind = r.int()?;
    let _state = r.int()?;
    Ok(Packet::Event { zxid, kind, path: r.text()?.to_string() })
}
