//! A client as it should be: one request at a time, and when it loses its member it goes to the next one.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::connection::{Greeting, Reply};
use crate::wait::PATIENCE;
use crate::{Ask, Connection, Packet, Welcome};

/// What became of a request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// It was answered, perhaps with a refusal.
    Reply(Reply),
    /// The connection broke first: it may have been done or not.
    Unknown,
}

/// Why a session cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// A member said that there is no such session.
    Expired,
    /// No member would have it for as long as anybody should have to wait.
    Unreachable,
}

/// A session and the members it may be attached to.
#[derive(Debug)]
pub struct Session {
    members: Vec<SocketAddr>,
    at: usize,
    connection: Option<Connection>,
    welcome: Welcome,
    last_zxid: i64,
    /// How many connections broke under it.
    pub broken: u32,
    /// Events that came in between.
    pub events: Vec<Packet>,
}

impl Session {
    /// Opens a session at the first of `members` that will have it.
    ///
    /// # Errors
    /// If none will.
    pub fn open(members: &[SocketAddr], timeout_ms: i32) -> Result<Self, Gone> {
        let none = Welcome {
            bytes: 0,
            protocol_version: 0,
            timeout_ms,
            session: 0,
            password: vec![0; 16],
            read_only: None,
        };
        let mut session = Self {
            members: members.to_vec(),
            at: 0,
            connection: None,
            welcome: none,
            last_zxid: 0,
            broken: 0,
            events: Vec::new(),
        };
        session.connect()?;
        Ok(session)
    }

    /// The session's id.
    pub fn id(&self) -> i64 {
        self.welcome.session
    }

    /// Asks, and waits for the answer. Where the connection is broken already, makes a new one first.
    ///
    /// # Errors
    /// If there is no session any more.
    pub fn call(&mut self, ask: &Ask) -> Result<Answer, Gone> {
        if self.connection.is_none() {
            self.connect()?;
        }
        match self.try_call(ask) {
            Ok(reply) => Ok(Answer::Reply(reply)),
            Err(_) => {
                self.lose();
                Ok(Answer::Unknown)
            }
        }
    }

    /// Asks something that may be asked any number of times, until it is answered.
    ///
    /// # Errors
    /// If there is no session any more.
    pub fn insist(&mut self, ask: &Ask) -> Result<Reply, Gone> {
        loop {
            if let Answer::Reply(reply) = self.call(ask)? {
                return Ok(reply);
            }
        }
    }

    /// Gives up the connection, as a client that loses its network does.
    pub fn lose(&mut self) {
        if self.connection.take().is_some() {
            self.broken += 1;
            self.at = (self.at + 1) % self.members.len();
        }
    }

    fn try_call(&mut self, ask: &Ask) -> io::Result<Reply> {
        let connection = self.connection.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let xid = connection.send(ask)?;
        loop {
            // As clients do: what is silent for two thirds of the timeout is dead.
            let silence = u64::try_from(self.welcome.timeout_ms).unwrap_or_default() * 2 / 3;
            match connection.receive_within(Duration::from_millis(silence))? {
                Packet::Reply(reply) => {
                    assert_eq!(reply.xid, xid, "replies come in the order of the requests");
                    self.last_zxid = self.last_zxid.max(reply.zxid);
                    return Ok(reply);
                }
                event => self.events.push(event),
            }
        }
    }

    fn connect(&mut self) -> Result<(), Gone> {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Ok((connection, welcome)) = self.try_connect() {
                if welcome.session == 0
                    || (self.welcome.session != 0 && welcome.session != self.welcome.session)
                {
                    return Err(Gone::Expired);
                }
                self.connection = Some(connection);
                self.welcome = welcome;
                return Ok(());
            }
            if Instant::now() >= end {
                return Err(Gone::Unreachable);
            }
            self.at = (self.at + 1) % self.members.len();
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn try_connect(&self) -> io::Result<(Connection, Welcome)> {
        let greeting = Greeting::again(&self.welcome, self.last_zxid);
        let mut connection = Connection::dial(self.members[self.at])?;
        // A member that is frozen takes the connection and says nothing: do not wait for it for ever.
        let welcome = connection.greet_within(&greeting, Duration::from_secs(5))?;
        Ok((connection, welcome))
    }
}
