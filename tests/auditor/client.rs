//! A session that writes down all that happens to it, whichever member it is with.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;
use proto::EventKind;

use super::history::{Habit, Log, Millis, Moment};
use super::paths::{PathId, Paths};
use super::sabotage::{Sabotage, Tampering};
use crate::connection::{Greeting, Reply};
use crate::session::Gone;
use crate::wait::PATIENCE;
use crate::{Ask, Connection, Packet, Welcome};

/// The longest timeout that members grant: no fault is to last so long.
const TIMEOUT_MS: i32 = 60_000;

/// The connection is gone; it may have been ours to end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lost;

/// What all sessions of a round share.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) members: Vec<SocketAddr>,
    pub(super) paths: Arc<Paths>,
    pub(super) began: Instant,
}

impl World {
    pub(super) fn now(&self) -> Millis {
        Millis::try_from(self.began.elapsed().as_millis()).unwrap_or(Millis::MAX)
    }
}

#[derive(Debug)]
pub(super) struct Client {
    pub(super) world: World,
    pub(super) rng: Rng,
    pub(super) log: Log,
    /// Events that came since somebody looked.
    pub(super) events: Vec<(i64, EventKind, PathId)>,
    /// What it has seen: the last zxid of a reply.
    pub(super) last_zxid: i64,
    /// Whether the answer to a ping counts as seen. Some clients look at it, others do not.
    heeds_pings: bool,
    connection: Option<Connection>,
    welcome: Welcome,
    tampering: Tampering,
    /// The operation that was asked last.
    asked: i32,
}

impl Client {
    /// Opens a session at any member.
    pub(super) fn open(world: &World, habit: Habit, mut rng: Rng) -> Result<Self, Gone> {
        let welcome = Welcome {
            bytes: 0,
            protocol_version: 0,
            timeout_ms: TIMEOUT_MS,
            session: 0,
            password: vec![0; 16],
            read_only: None,
        };
        let mut client = Self {
            world: world.clone(),
            log: Log { session: 0, habit, moments: Vec::new(), violations: Vec::new() },
            events: Vec::new(),
            last_zxid: 0,
            heeds_pings: rng.bool(),
            connection: None,
            welcome,
            tampering: Tampering::default(),
            asked: 0,
            rng,
        };
        client.connect()?;
        client.log.session = client.welcome.session;
        Ok(client)
    }

    /// From now on something is done to what it receives.
    pub(super) fn tamper(&mut self, plan: Option<(Sabotage, u32)>) {
        self.tampering = Tampering::new(plan);
    }

    pub(super) fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    /// Attaches the session to a member, any one that will have it.
    pub(super) fn connect(&mut self) -> Result<(), Gone> {
        let end = Instant::now() + PATIENCE;
        loop {
            let member = self.rng.usize(..self.world.members.len());
            if let Ok((connection, welcome)) = self.dial(member) {
                if welcome.session == 0
                    || (self.welcome.session != 0 && welcome.session != self.welcome.session)
                {
                    self.log.violations.push("the session has expired".into());
                    return Err(Gone::Expired);
                }
                self.connection = Some(connection);
                self.welcome = welcome;
                let (seen, at) = (self.last_zxid, self.world.now());
                self.log.moments.push(Moment::Connected { member: member + 1, seen, at });
                return Ok(());
            }
            if Instant::now() >= end {
                self.log.violations.push(format!("no member would have the session within {PATIENCE:?}"));
                return Err(Gone::Unreachable);
            }
            std::thread::sleep(Duration::from_millis(self.rng.u64(5..40)));
        }
    }

    fn dial(&mut self, member: usize) -> io::Result<(Connection, Welcome)> {
        let mut connection = Connection::dial(self.world.members[member])?;
        let greeting = Greeting::again(&self.welcome, self.last_zxid);
        let patience = self.patience();
        let welcome = connection.greet_within(&greeting, patience)?;
        Ok((connection, welcome))
    }

    /// How long a member may be silent until it is taken for dead: less than clients have, to see more of them.
    fn patience(&mut self) -> Duration {
        Duration::from_millis(self.rng.u64(1_500..5_000))
    }

    /// Asks, and waits for the answer.
    pub(super) fn call(&mut self, ask: &Ask) -> Result<Reply, Lost> {
        let end = Instant::now() + self.patience();
        let sent = self.connection.as_mut().ok_or(Lost)?.send(ask);
        let xid = sent.map_err(|_| self.lose())?;
        self.asked = ask.op;
        loop {
            if let Some(reply) = self.receive(end)? {
                if reply.xid != xid {
                    self.log.violations.push(format!("a reply to {} where {xid} was asked", reply.xid));
                }
                return Ok(reply);
            }
            if Instant::now() >= end {
                return Err(self.lose());
            }
        }
    }

    /// Takes in what comes without being asked for.
    pub(super) fn listen(&mut self, time: Duration) -> Result<(), Lost> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            if let Some(reply) = self.receive(end)? {
                self.log.violations.push(format!("a reply to {}, which nobody asked", reply.xid));
            }
        }
        Ok(())
    }

    /// Gives up the connection, with whatever was not read of it.
    pub(super) fn lose(&mut self) -> Lost {
        self.tampering.hang_up();
        if self.connection.take().is_some() {
            let at = self.world.now();
            self.log.moments.push(Moment::Broke { at });
        }
        Lost
    }

    /// The next reply, or nothing if an event or nothing at all came until `end`.
    fn receive(&mut self, end: Instant) -> Result<Option<Reply>, Lost> {
        let packet = loop {
            if let Some(packet) = self.tampering.give() {
                break packet;
            }
            let left = end.saturating_duration_since(Instant::now());
            let connection = self.connection.as_mut().ok_or(Lost)?;
            match connection.receive_within(left.max(Duration::from_millis(1))) {
                Ok(packet) => self.tampering.take(packet),
                Err(error) if error.kind() == io::ErrorKind::TimedOut => return Ok(None),
                Err(_) => return Err(self.lose()),
            }
        };
        let at = self.world.now();
        match packet {
            Packet::Reply(reply) => {
                let is_ping = reply.xid == -2;
                if !is_ping || self.heeds_pings {
                    self.last_zxid = self.last_zxid.max(reply.zxid);
                }
                self.log.moments.push(Moment::Replied { zxid: reply.zxid, op: self.asked, at });
                Ok(Some(reply))
            }
            Packet::Event { zxid, kind, path } => {
                match (event_kind(kind), self.world.paths.find(&path)) {
                    (Some(kind), Some(path)) => {
                        self.log.moments.push(Moment::Told { zxid, kind, path, at });
                        self.events.push((zxid, kind, path));
                    }
                    _ => {
                        let text = format!("an event of kind {kind} at {path}, of {zxid:#x}");
                        self.log.moments.push(Moment::Stray(text.into()));
                    }
                }
                Ok(None)
            }
        }
    }
}

fn event_kind(kind: i32) -> Option<EventKind> {
    [EventKind::Created, EventKind::Deleted, EventKind::DataChanged, EventKind::ChildrenChanged]
        .into_iter()
        .find(|known| known.to_wire() == kind)
}
