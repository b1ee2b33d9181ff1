//! A client as libraries make them: it knows what it waits for, and says so, or not, when it comes back.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use harness::connection::{Greeting, Reply};
use harness::wait::PATIENCE;
use harness::{Ask, Connection, Packet, Welcome};

use crate::Fallible;

/// What a client says of its watches when it comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// All of them, as Java and C do.
    SetWatches2,
    /// The one-shot ones, as they did before there were others.
    SetWatches,
    /// Nothing, as kazoo.
    Nothing,
}

impl Manner {
    pub(crate) fn parse(word: &str) -> Fallible<Self> {
        match word {
            "set-watches-2" => Ok(Self::SetWatches2),
            "set-watches" => Ok(Self::SetWatches),
            "nothing" => Ok(Self::Nothing),
            other => Err(format!("no manner of coming back: {other}").into()),
        }
    }
}

/// Something that came to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A notification.
    Event {
        zxid: i64,
        kind: i32,
        path: String,
        /// Whether a reply that stands in front of it has shown its zxid.
        late: bool,
        /// Whether the client waits for such a thing.
        awaited: bool,
    },
    /// What is to be said of a reply; with its zxid if it is that of a write.
    Reply { zxid: Option<i64>, text: String },
    /// Not a thing, though it has listened.
    Nothing,
}

/// The kinds of watches, in the order of the lists of `SetWatches2`.
const DATA: usize = 0;
const EXIST: usize = 1;
const CHILD: usize = 2;
const PERSISTENT: usize = 3;
const RECURSIVE: usize = 4;

const CREATED: i32 = 1;
const DELETED: i32 = 2;
const DATA_CHANGED: i32 = 3;
const CHILDREN_CHANGED: i32 = 4;

pub(crate) struct Client {
    manner: Manner,
    connection: Option<Connection>,
    welcome: Welcome,
    /// The zxid that the next greeting and the next `SetWatches` name.
    last_zxid: i64,
    /// The greatest zxid in front of which everything should have come, on this connection.
    shown: i64,
    watches: [BTreeSet<String>; 5],
    heard: Vec<Heard>,
}

impl Client {
    /// A client with a session of its own.
    pub(crate) fn open(address: SocketAddr, manner: Manner, timeout_ms: i32) -> Self {
        let (connection, welcome) = Connection::open(address, timeout_ms);
        Self {
            manner,
            connection: Some(connection),
            welcome,
            last_zxid: 0,
            shown: 0,
            watches: Default::default(),
            heard: Vec::new(),
        }
    }

    /// Everything that came since this was last asked.
    pub(crate) fn take_heard(&mut self) -> Vec<Heard> {
        std::mem::take(&mut self.heard)
    }

    /// Notes what is to be said of a reply.
    pub(crate) fn note(&mut self, text: String) {
        self.heard.push(Heard::Reply { zxid: None, text });
    }

    /// Notes that nothing has come, if nothing has.
    pub(crate) fn or_nothing(&mut self) {
        if self.heard.is_empty() {
            self.heard.push(Heard::Nothing);
        }
    }

    /// Notes a write's outcome.
    pub(crate) fn note_write(&mut self, reply: &Reply, text: String) {
        let zxid = (reply.err == 0).then_some(reply.zxid);
        self.heard.push(Heard::Reply { zxid, text });
    }

    /// Asks, and hears everything that comes in front of the answer.
    pub(crate) fn call(&mut self, ask: &Ask) -> Fallible<Reply> {
        let xid = self.connection()?.send(ask)?;
        self.reply_to(xid)
    }

    /// Asks without waiting for the answer.
    pub(crate) fn send(&mut self, ask: &Ask) -> Fallible<i32> {
        Ok(self.connection()?.send(ask)?)
    }

    /// Hears everything that comes in front of the answer to request `xid`, which must be the next answer.
    pub(crate) fn reply_to(&mut self, xid: i32) -> Fallible<Reply> {
        loop {
            if let Some(reply) = self.packet()? {
                if reply.xid != xid {
                    return Err(format!("request {xid} should be answered, and there is {reply:?}").into());
                }
                return Ok(reply);
            }
        }
    }

    /// Hears the next event, however long it takes.
    pub(crate) fn await_event(&mut self) -> Fallible<()> {
        match self.packet()? {
            None => Ok(()),
            Some(reply) => Err(format!("an event should come, and there is {reply:?}").into()),
        }
    }

    /// Arms watches of a kind; whoever calls has the answer that armed it.
    pub(crate) fn armed(&mut self, kind: &str, path: &str) -> Fallible<()> {
        self.watches[list(kind)?].insert(path.to_owned());
        Ok(())
    }

    /// Remembers so many watches on what will never be that its list of watches fills a packet.
    pub(crate) fn filled(&mut self) -> Vec<String> {
        let paths: Vec<String> = (0..140).map(|number| format!("/never/{number:0>1000}")).collect();
        self.watches[EXIST].extend(paths.iter().cloned());
        paths
    }

    /// Forgets a watch that it has taken away.
    pub(crate) fn disarmed(&mut self, kind: &str, path: &str) -> Fallible<()> {
        self.watches[list(kind)?].remove(path);
        Ok(())
    }

    /// Hangs up.
    pub(crate) fn leave(&mut self) {
        self.connection = None;
    }

    /// Hears everything until the member hangs up.
    pub(crate) fn lose(&mut self) -> Fallible<()> {
        loop {
            match self.connection()?.receive() {
                Ok(packet) => {
                    if let Some(reply) = self.take(packet) {
                        return Err(format!("the member should hang up, and there is {reply:?}").into());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::TimedOut => return Err(error.into()),
                Err(_) => break,
            }
        }
        self.connection = None;
        Ok(())
    }

    /// Comes back with its session. `false` if there is none any more.
    pub(crate) fn return_to(&mut self, address: SocketAddr) -> Fallible<bool> {
        let greeting = Greeting::again(&self.welcome, self.last_zxid);
        let end = Instant::now() + PATIENCE;
        // As libraries do: a member that does not know a leader yet hangs up, and is asked again.
        let (connection, welcome) = loop {
            let greeted = Connection::dial(address).and_then(|mut connection| {
                let welcome = connection.greet(&greeting)?;
                Ok((connection, welcome))
            });
            match greeted {
                Ok(greeted) => break greeted,
                Err(error) if Instant::now() > end => return Err(error.into()),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        self.shown = 0;
        if welcome.session == 0 {
            self.watches = Default::default();
            return Ok(false);
        }
        self.connection = Some(connection);
        self.welcome = welcome;
        Ok(true)
    }

    /// Says what it waits for as is its manner: of all paths, or of some, in a packet for those alone.
    pub(crate) fn set_watches(&mut self, paths: Option<&[String]>) -> Fallible<()> {
        let lists = self.watches.each_ref().map(|list| {
            let wanted = list.iter().map(String::as_str);
            wanted
                .filter(|path| paths.is_none_or(|paths| paths.iter().any(|it| it == path)))
                .collect::<Vec<_>>()
        });
        let [data, exist, child, persistent, recursive] = lists.each_ref().map(Vec::as_slice);
        let sent = match self.manner {
            // A library that has nothing to say says nothing.
            Manner::SetWatches2 if lists.iter().all(Vec::is_empty) => return Ok(()),
            Manner::SetWatches if lists[..PERSISTENT].iter().all(Vec::is_empty) => return Ok(()),
            Manner::SetWatches2 => {
                Ask::set_watches2(self.last_zxid, [data, exist, child, persistent, recursive])
            }
            Manner::SetWatches => Ask::set_watches(self.last_zxid, [data, exist, child]),
            Manner::Nothing => return Ok(()),
        };
        let reply = self.call(&sent)?;
        self.note(match (self.manner, reply.err) {
            (Manner::SetWatches, 0) => "set-watches".to_owned(),
            (_, 0) => "set-watches-2".to_owned(),
            (_, err) => format!("error {err}"),
        });
        Ok(())
    }

    fn connection(&mut self) -> Fallible<&mut Connection> {
        self.connection.as_mut().ok_or_else(|| "the client has no connection".into())
    }

    /// Takes the next packet. `None` if it was an event.
    fn packet(&mut self) -> Fallible<Option<Reply>> {
        let packet = self.connection()?.receive()?;
        Ok(self.take(packet))
    }

    fn take(&mut self, packet: Packet) -> Option<Reply> {
        match packet {
            Packet::Event { zxid, kind, path } => {
                let (late, awaited) = (zxid >= 0 && zxid <= self.shown, self.spend(kind, &path));
                self.heard.push(Heard::Event { zxid, kind, path, late, awaited });
                None
            }
            Packet::Reply(reply) => {
                self.shown = self.shown.max(reply.zxid);
                // Libraries take it from answers to requests, and not from those to pings.
                if reply.xid > 0 {
                    self.last_zxid = self.last_zxid.max(reply.zxid);
                }
                Some(reply)
            }
        }
    }

    /// Takes away the one-shot watches that an event ends. Says whether any watch had waited for it.
    fn spend(&mut self, kind: i32, path: &str) -> bool {
        let ended: &[usize] = match kind {
            CREATED | DATA_CHANGED => &[DATA, EXIST],
            DELETED => &[DATA, EXIST, CHILD],
            CHILDREN_CHANGED => &[CHILD],
            _ => &[],
        };
        let mut awaited = self.watches[PERSISTENT].contains(path);
        for &list in ended {
            awaited |= self.watches[list].remove(path);
        }
        let above = |root: &String| {
            path.strip_prefix(root.trim_end_matches('/'))
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        awaited || kind != CHILDREN_CHANGED && self.watches[RECURSIVE].iter().any(above)
    }
}

fn list(kind: &str) -> Fallible<usize> {
    let names = ["data", "exist", "child", "persistent", "recursive"];
    names.iter().position(|name| *name == kind).ok_or_else(|| format!("no kind of watch: {kind}").into())
}
