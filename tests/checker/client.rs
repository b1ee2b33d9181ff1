//! A session that writes down what it asks and what it is told, whichever member it is with.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::history::{End, Micros, Op, Reply, Request, Session};
use super::wire;
use crate::connection::Greeting;
use crate::session::Gone;
use crate::wait::PATIENCE;
use crate::{Connection, Packet, Welcome};

/// What all sessions of a round share.
#[derive(Clone, Debug)]
pub struct World {
    /// Where clients go.
    pub members: Vec<SocketAddr>,
    /// When the round began.
    pub began: Instant,
}

impl World {
    /// Microseconds since the round began.
    pub fn now(&self) -> Micros {
        Micros::try_from(self.began.elapsed().as_micros()).unwrap_or(Micros::MAX)
    }
}

/// A session of a client that asks several things at once, and moves on when it loses its member.
#[derive(Debug)]
pub struct Client {
    world: World,
    rng: Rng,
    log: Session,
    connection: Option<Connection>,
    member: usize,
    /// How many replies came on this connection.
    replies: u32,
    welcome: Welcome,
    last_zxid: i64,
    is_last_look: bool,
}

impl Client {
    /// Opens a session at any member that will have it.
    ///
    /// # Errors
    /// If none will.
    pub fn open(world: &World, timeout_ms: i32, rng: Rng) -> Result<Self, Gone> {
        let nobody = Welcome {
            bytes: 0,
            protocol_version: 0,
            timeout_ms,
            session: 0,
            password: vec![0; 16],
            read_only: None,
        };
        let mut client = Self {
            world: world.clone(),
            rng,
            log: Session::default(),
            connection: None,
            member: 0,
            replies: 0,
            welcome: nobody,
            last_zxid: 0,
            is_last_look: false,
        };
        client.connect()?;
        client.log.id = client.welcome.session;
        client.log.timeout = u64::try_from(client.welcome.timeout_ms).unwrap_or_default() * 1_000;
        Ok(client)
    }

    /// What is read from now on is the last that anybody reads.
    pub fn take_last_look(&mut self) {
        self.is_last_look = true;
    }

    /// Asks all of it at once, and waits for the answers; as many as came before the connection broke, if it did.
    ///
    /// # Errors
    /// If there is no session any more, or no member that would have it.
    pub fn ask(&mut self, requests: Vec<Request>) -> Result<Vec<Option<Reply>>, Gone> {
        if self.connection.is_none() {
            self.connect()?;
        }
        let first = self.log.ops.len();
        let mut sent: HashMap<i32, usize> = HashMap::new();
        for request in requests {
            let Some(connection) = &mut self.connection else { break };
            let invoked = self.world.now();
            let result = connection.send(&wire::ask(&request));
            let connection = u32::try_from(self.log.connections.len()).unwrap_or(u32::MAX);
            let is_last_look = self.is_last_look;
            let (member, place) = (self.member + 1, self.log.ops.len());
            self.log.ops.push(Op { connection, member, invoked, request, reply: None, is_last_look });
            match result {
                Ok(xid) => drop(sent.insert(xid, place)),
                // Part of it may have gone out.
                Err(_) => self.lose(),
            }
        }
        let end = Instant::now() + self.patience();
        while !sent.is_empty() && self.connection.is_some() {
            if self.receive(end, &mut sent).is_err() {
                self.lose();
            }
        }
        Ok(self.log.ops[first..].iter().map(|op| op.reply.clone()).collect())
    }

    /// Asks one thing until it is answered: it is one that may be asked any number of times.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn insist(&mut self, request: &Request) -> Result<Reply, Gone> {
        loop {
            if let Some(Some(reply)) = self.ask(vec![request.clone()])?.pop() {
                return Ok(reply);
            }
        }
    }

    /// Ends the session; what it was told, and whether it knows that it has ended.
    pub fn close(mut self) -> Session {
        let _ended = self.ask(vec![Request::Close]);
        self.log
    }

    /// Leaves without a word.
    pub fn abandon(mut self) -> Session {
        self.log.end = End::Abandoned;
        self.log
    }

    /// What there is to tell of a session that is gone.
    pub fn into_log(self) -> Session {
        self.log
    }

    /// Gives up the connection: the next request goes to any member.
    pub fn lose(&mut self) {
        self.connection = None;
    }

    fn receive(&mut self, end: Instant, sent: &mut HashMap<i32, usize>) -> io::Result<()> {
        let connection = self.connection.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        let Packet::Reply(reply) = connection.receive_within(left)? else { return Ok(()) };
        let at = self.world.now();
        self.replies += 1;
        let Some(place) = sent.remove(&reply.xid) else {
            self.log.astray.push(format!("a reply that nobody waits for at {at} µs: {reply:?}"));
            return Ok(());
        };
        let op = &mut self.log.ops[place];
        match wire::told(&op.request, &reply) {
            Ok(told) => {
                self.last_zxid = self.last_zxid.max(reply.zxid);
                op.reply = Some(Reply { at, place: self.replies, zxid: reply.zxid, told });
            }
            Err(_) => self.log.astray.push(format!("{:?} was answered with {reply:?}", op.request)),
        }
        Ok(())
    }

    /// How long a member may be silent until it is taken for dead: not so long that the session dies of it.
    fn patience(&mut self) -> Duration {
        let third = self.welcome.timeout_ms.clamp(900, 9_000).unsigned_abs() / 3;
        Duration::from_millis(u64::from(self.rng.u32(third / 2..third)))
    }

    fn connect(&mut self) -> Result<(), Gone> {
        let end = Instant::now() + PATIENCE;
        loop {
            self.member = self.rng.usize(..self.world.members.len());
            let greeted = self.world.now();
            if let Ok((connection, welcome)) = self.dial() {
                let now = self.world.now();
                if welcome.session == 0 {
                    self.log.end = End::Expired(now);
                    return Err(Gone::Expired);
                }
                if self.welcome.session != 0 && welcome.session != self.welcome.session {
                    self.log.astray.push(format!("welcomed as session {:#x}", welcome.session));
                }
                self.log.connections.push((greeted, now));
                self.connection = Some(connection);
                self.replies = 0;
                self.welcome = welcome;
                return Ok(());
            }
            if Instant::now() >= end {
                return Err(Gone::Unreachable);
            }
            std::thread::sleep(Duration::from_millis(self.rng.u64(5..40)));
        }
    }

    fn dial(&mut self) -> io::Result<(Connection, Welcome)> {
        let mut connection = Connection::dial(self.world.members[self.member])?;
        let greeting = Greeting::again(&self.welcome, self.last_zxid);
        let patience = self.patience();
        let welcome = connection.greet_within(&greeting, patience)?;
        Ok((connection, welcome))
    }
}
