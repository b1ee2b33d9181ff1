//! Very many sessions that do little but live, on a few threads.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use proto::jute::frame;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use crate::connection::{Greeting, Packet, Reply, Welcome, greeting, packet, request, welcome};
use crate::{Ask, ask::flags, wait};

/// How many of them dial and greet at the same time.
const GREETINGS_AT_ONCE: usize = 300;

/// How long a session that was not taken waits before it tries the next member.
const PAUSE: Duration = Duration::from_millis(50);

/// There is such a znode already.
const NODE_EXISTS: i32 = -110;

/// Largest frame that is expected.
const FRAME_BYTES_MAX: usize = 1 << 20;

/// How many sessions all crowds of this process have.
static IN_ALL: AtomicUsize = AtomicUsize::new(0);

/// What a crowd shall be.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How many sessions.
    pub sessions: usize,
    /// The timeout that they ask for, in milliseconds.
    pub timeout_ms: i32,
    /// Under what each has an ephemeral znode, `e` with its number, if it shall have one.
    pub ephemerals: Option<String>,
}

/// The sessions, until dropped.
#[derive(Debug)]
pub struct Crowd {
    runtime: Option<Runtime>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    plan: Plan,
    members: Vec<SocketAddr>,
    door: Semaphore,
    attached: AtomicUsize,
    expired: AtomicUsize,
    broken: AtomicUsize,
    longest_away: Mutex<Duration>,
}

impl Crowd {
    /// Opens the sessions: each begins with one of `first`, and moves on through `members` when it loses its member.
    /// Does not wait for them.
    ///
    /// # Panics
    /// If there are not enough file descriptors.
    pub fn start(plan: &Plan, first: &[SocketAddr], members: &[SocketAddr]) -> Self {
        let room = take_all_file_descriptors();
        let all = IN_ALL.fetch_add(plan.sessions, Ordering::SeqCst) + plan.sessions;
        assert!(room > all as u64 + 500, "{all} sessions at a time need more than {room} files");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("start a runtime for the crowd");
        let shared = Arc::new(Shared {
            plan: plan.clone(),
            members: members.to_vec(),
            door: Semaphore::new(GREETINGS_AT_ONCE),
            attached: AtomicUsize::new(0),
            expired: AtomicUsize::new(0),
            broken: AtomicUsize::new(0),
            longest_away: Mutex::default(),
        });
        for number in 0..plan.sessions {
            let first = first[number % first.len()];
            let one = One { shared: shared.clone(), number, known: None, last_zxid: 0, settled: false };
            runtime.spawn(one.live(first));
        }
        Self { runtime: Some(runtime), shared }
    }

    /// How many are attached, and have what they are to have.
    pub fn attached(&self) -> usize {
        self.shared.attached.load(Ordering::SeqCst)
    }

    /// How many were told that they have expired.
    pub fn expired(&self) -> usize {
        self.shared.expired.load(Ordering::SeqCst)
    }

    /// How many connections broke under them.
    pub fn broken(&self) -> usize {
        self.shared.broken.load(Ordering::SeqCst)
    }

    /// The longest that one of them was without a connection, since this was asked last.
    pub fn longest_away(&self) -> Duration {
        std::mem::take(&mut *self.shared.longest_away.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until all of them are attached.
    ///
    /// # Panics
    /// If that does not come to be, or one is told that it has expired.
    #[track_caller]
    pub fn wait_until_attached(&self) {
        let all = self.shared.plan.sessions;
        wait::until("every session of the crowd was attached", || {
            assert_eq!(self.expired(), 0, "sessions that were told that they have expired");
            (self.attached() == all).then_some(())
        });
    }

    /// Cuts all connections. Nobody comes back.
    pub fn cut(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(10));
        }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        IN_ALL.fetch_sub(self.shared.plan.sessions, Ordering::SeqCst);
    }
}

/// Takes as many file descriptors as the hard limit allows, and says how many.
fn take_all_file_descriptors() -> u64 {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // What is refused shows in what is there.
    let _refused = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// One of them.
struct One {
    shared: Arc<Shared>,
    number: usize,
    known: Option<Welcome>,
    last_zxid: i64,
    /// Whether its znode is there.
    settled: bool,
}

/// A session has ended.
struct Expired;

impl One {
    async fn live(mut self, first: SocketAddr) {
        let shared = self.shared.clone();
        let members = &shared.members;
        let mut address = first;
        let mut at = self.number % members.len();
        loop {
            let away = Instant::now();
            let connected = loop {
                match self.connect(address).await {
                    Ok(Ok(connected)) => break connected,
                    Ok(Err(Expired)) => {
                        shared.expired.fetch_add(1, Ordering::SeqCst);
                        return;
                    }
                    Err(_) => {}
                }
                at = (at + 1) % members.len();
                address = members[at];
                sleep(PAUSE).await;
            };
            {
                let mut longest = shared.longest_away.lock().unwrap_or_else(PoisonError::into_inner);
                *longest = away.elapsed().max(*longest);
            }
            shared.attached.fetch_add(1, Ordering::SeqCst);
            let _broken = self.stay(connected).await;
            shared.attached.fetch_sub(1, Ordering::SeqCst);
            shared.broken.fetch_add(1, Ordering::SeqCst);
            at = (at + 1) % members.len();
            address = members[at];
        }
    }

    fn timeout(&self) -> Duration {
        let agreed = self.known.as_ref().map_or(self.shared.plan.timeout_ms, |known| known.timeout_ms);
        Duration::from_millis(u64::try_from(agreed).unwrap_or_default())
    }

    /// Greets, and sees to it that the znode is there.
    async fn connect(&mut self, address: SocketAddr) -> io::Result<Result<Wire, Expired>> {
        let shared = self.shared.clone();
        let _turn = shared.door.acquire().await.map_err(io::Error::other)?;
        // A member that is frozen takes the connection and says nothing.
        let patience = Instant::now() + self.timeout() / 3;
        let stream = timeout_at(patience, TcpStream::connect(address)).await??;
        stream.set_nodelay(true)?;
        let mut wire = Wire { stream, arrived: BytesMut::new() };
        let hello = match &self.known {
            Some(known) => Greeting::again(known, self.last_zxid),
            None => Greeting::new(shared.plan.timeout_ms),
        };
        wire.stream.write_all(&greeting(&hello)).await?;
        let welcome = welcome(timeout_at(patience, wire.frame()).await??)?;
        if welcome.session == 0 {
            return Ok(Err(Expired));
        }
        self.known = Some(welcome);
        if let (false, Some(parent)) = (self.settled, &shared.plan.ephemerals) {
            let create = Ask::create(&format!("{parent}/e{}", self.number), b"", flags::EPHEMERAL);
            wire.stream.write_all(&request(1, &create)).await?;
            let Packet::Reply(reply) = packet(timeout_at(patience, wire.frame()).await??)? else {
                return Err(io::Error::other("an event that nobody waits for"));
            };
            self.saw(&reply);
            // It may have been made over a connection that broke before the reply.
            if reply.err != 0 && reply.err != NODE_EXISTS {
                return Err(io::Error::other(format!("{create:?} is refused: {}", reply.err)));
            }
            self.settled = true;
        }
        Ok(Ok(wire))
    }

    fn saw(&mut self, reply: &Reply) {
        self.last_zxid = self.last_zxid.max(reply.zxid);
    }

    /// Pings, as clients do, until the connection breaks.
    async fn stay(&mut self, mut wire: Wire) -> io::Result<()> {
        let rhythm = self.timeout() / 3;
        // Not all of them at the same moment.
        let mut next = Instant::now() + rhythm.mul_f64(fastrand::f64());
        let mut heard = Instant::now();
        loop {
            tokio::select! {
                frame = wire.frame() => {
                    heard = Instant::now();
                    if let Packet::Reply(reply) = packet(frame?)? {
                        self.saw(&reply);
                    }
                }
                () = sleep_until(next) => {
                    if heard.elapsed() > rhythm * 2 {
                        return Err(ErrorKind::TimedOut.into());
                    }
                    timeout(rhythm, wire.stream.write_all(&request(-2, &Ask::ping()))).await??;
                    next += rhythm;
                }
            }
        }
    }
}

/// A connection.
struct Wire {
    stream: TcpStream,
    arrived: BytesMut,
}

impl Wire {
    /// The next frame. May be dropped and called again: what has arrived is kept.
    async fn frame(&mut self) -> io::Result<bytes::Bytes> {
        loop {
            let taken = frame::take(&mut self.arrived, FRAME_BYTES_MAX).map_err(io::Error::other)?;
            if let Some(frame) = taken {
                return Ok(frame);
            }
            self.arrived.reserve(256);
            if self.stream.read_buf(&mut self.arrived).await? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }
}
