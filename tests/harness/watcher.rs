//! A session that only listens: it comes back when it loses its member, and notes every event.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::connection::Greeting;
use crate::{Ask, Connection, Packet, Welcome, wait};

/// `addWatch`'s mode for persistent recursive watches.
const RECURSIVE: i32 = 1;

/// What a client says of its watches when it comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returning {
    /// It sends them all (Java, C, Curator).
    SetWatches,
    /// Nothing (kazoo).
    Nothing,
}

/// Something that the session was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Over which of its connections, counted from 0.
    pub connection: u32,
    /// The number in the header.
    pub zxid: i64,
    /// What happened: 1 created, 2 deleted, 3 data changed, 4 children changed.
    pub kind: i32,
    /// To which znode.
    pub path: String,
}

/// The session, until dropped.
#[derive(Debug)]
pub struct Watcher {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    told: Mutex<Vec<Told>>,
    gone: Mutex<Option<String>>,
    armed: AtomicBool,
    stop: AtomicBool,
}

impl Watcher {
    /// Opens a session at the first of `members`, with a persistent recursive watch on each of `paths`. Waits until
    /// they are armed.
    ///
    /// # Panics
    /// If that does not come to be.
    #[track_caller]
    pub fn start(members: &[SocketAddr], timeout_ms: i32, paths: &[&str], returning: Returning) -> Self {
        let shared = Arc::new(Shared::default());
        let listener = Listener {
            shared: shared.clone(),
            members: members.to_vec(),
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
            returning,
            greeting: Greeting::new(timeout_ms),
            connections: 0,
        };
        let thread = Some(std::thread::spawn(move || listener.run()));
        let watcher = Self { shared, thread };
        wait::until("a watcher had armed its watches", || {
            watcher.shared.armed.load(Ordering::SeqCst).then_some(())
        });
        watcher
    }

    /// What it was told so far.
    ///
    /// # Panics
    /// If the session is gone.
    #[track_caller]
    pub fn told(&self) -> Vec<Told> {
        let gone = self.shared.gone.lock().unwrap_or_else(PoisonError::into_inner).clone();
        assert_eq!(gone, None, "the session of a watcher is gone");
        self.shared.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // While a test fails nobody waits for members that may be gone.
        if !std::thread::panicking() {
            let _ended = self.thread.take().map(JoinHandle::join);
        }
    }
}

struct Listener {
    shared: Arc<Shared>,
    members: Vec<SocketAddr>,
    paths: Vec<String>,
    returning: Returning,
    greeting: Greeting,
    connections: u32,
}

impl Listener {
    fn run(mut self) {
        let mut lost = Instant::now();
        for at in (0..self.members.len()).cycle() {
            let ended = self.listen(self.members[at]);
            if self.shared.stop.load(Ordering::SeqCst) {
                return;
            }
            match ended {
                Ok(why) => return self.give_up(why),
                Err(connected) if connected => lost = Instant::now(),
                Err(_) if lost.elapsed() > wait::PATIENCE => {
                    return self.give_up("nobody would have it".into());
                }
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    fn give_up(&self, why: String) {
        *self.shared.gone.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
    }

    /// Listens at one member until the connection breaks: an error that says whether there was one. `Ok` says why the
    /// session cannot go on.
    fn listen(&mut self, member: SocketAddr) -> Result<String, bool> {
        let mut connection = Connection::dial(member).map_err(|_| false)?;
        let welcome = connection.greet_within(&self.greeting, Duration::from_secs(5)).map_err(|_| false)?;
        let known = self.greeting.session;
        if welcome.session == 0 || (known != 0 && welcome.session != known) {
            return Ok("the session has expired".into());
        }
        self.greeting = Greeting::again(&welcome, self.greeting.last_zxid);
        let heard = self.hear(&mut connection, &welcome, known != 0);
        self.connections += 1;
        match heard {
            Err(error) if error.kind() == ErrorKind::InvalidData => Ok(error.to_string()),
            _ => Err(true),
        }
    }

    fn hear(&mut self, connection: &mut Connection, welcome: &Welcome, returns: bool) -> io::Result<()> {
        let paths: Vec<&str> = self.paths.iter().map(String::as_str).collect();
        let mut owed = 0;
        if !returns {
            for path in &paths {
                connection.send(&Ask::add_watch(path, RECURSIVE))?;
                owed += 1;
            }
        } else if self.returning == Returning::SetWatches {
            let since = self.greeting.last_zxid;
            connection.send_as(-8, &Ask::set_watches2(since, [&[], &[], &[], &[], &paths]))?;
        }
        let timeout = Duration::from_millis(u64::try_from(welcome.timeout_ms).unwrap_or_default());
        let (mut heard, mut asked) = (Instant::now(), None::<Instant>);
        while !self.shared.stop.load(Ordering::SeqCst) {
            if asked.is_none_or(|asked| asked.elapsed() > timeout / 3) {
                connection.send(&Ask::ping())?;
                asked = Some(Instant::now());
            }
            match connection.receive_within(timeout / 6) {
                Ok(Packet::Reply(reply)) => {
                    heard = Instant::now();
                    if reply.err != 0 {
                        return Err(io::Error::new(ErrorKind::InvalidData, format!("refused: {reply:?}")));
                    }
                    self.greeting.last_zxid = self.greeting.last_zxid.max(reply.zxid);
                    if reply.xid > 0 {
                        owed -= 1;
                    }
                    if owed == 0 {
                        self.shared.armed.store(true, Ordering::SeqCst);
                    }
                }
                Ok(Packet::Event { zxid, kind, path }) => {
                    heard = Instant::now();
                    let told = Told { connection: self.connections, zxid, kind, path };
                    self.shared.told.lock().unwrap_or_else(PoisonError::into_inner).push(told);
                }
                Err(error) if error.kind() == ErrorKind::TimedOut => {
                    // As clients do: what is silent for two thirds of the timeout is dead.
                    if heard.elapsed() > timeout * 2 / 3 {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
