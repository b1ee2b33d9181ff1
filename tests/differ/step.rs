//! What is done to both servers, step by step. It does not depend on what they answer, so that any part of a sequence
//! is a sequence.

use std::fmt;

use bytes::Bytes;

use super::record::{self, Value};

/// Which position a request names, since the servers' positions differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// As many transactions before the last one that the session has seen.
    Seen(i64),
    /// This number, which is the same on both.
    Fixed(i64),
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// What it is numbered with; the next number of the connection if nothing is said.
    pub xid: Option<i32>,
    /// Its operation.
    pub op: i32,
    /// Its record, well-formed or not.
    pub body: Bytes,
    /// What its first eight bytes are to be, if they are a position.
    pub since: Option<Since>,
}

impl Ask {
    /// A request without a position.
    pub fn new(op: i32, body: impl Into<Bytes>) -> Self {
        Self { xid: None, op, body: body.into(), since: None }
    }

    /// Whether the server may well hang up behind the answer.
    pub fn may_end(&self) -> bool {
        match self.op {
            // Credentials that are not accepted, and what ends a session.
            100 | 102 | -11 | -10 | 20 => true,
            op => !is_served(op),
        }
    }

    /// Whether ZooKeeper answers it out of turn: then nothing may be under way beside it.
    pub fn is_alone(&self) -> bool {
        self.may_end()
    }
}

/// Whether a client may send this operation.
pub fn is_served(op: i32) -> bool {
    matches!(op, 1..=9 | 11 | 12 | 14..=19 | 21 | 22 | 100..=107 | -11)
}

/// How a client comes back to its session, or tries to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// With the password that it was given.
    Right,
    /// With another.
    WrongPassword,
    /// With a session that never was.
    Stranger,
    /// Having seen what has not happened yet.
    FromTheFuture,
    /// Without the last byte of the greeting.
    Old,
}

/// A step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A client sends requests, all at once. If it has no connection it gets one first, and if it has no session, one of
    /// those too.
    Burst {
        /// Which client.
        client: usize,
        /// What it sends.
        asks: Vec<Ask>,
    },
    /// A client closes its session, opens another, and as the first thing sends lists of watches as if it had had them.
    Lists {
        /// Which client.
        client: usize,
        /// What it sends.
        ask: Ask,
    },
    /// A client hangs up. Its session lives on.
    HangUp(usize),
    /// A client that has no connection comes back to its session in this manner; one that has a connection does nothing.
    Return(usize, Manner),
    /// Somebody connects and asks for this timeout, in milliseconds, and closes the session that it is given.
    Visit(i32),
    /// Somebody connects, does not say who it is, and asks for this; then it closes the session, and proves itself first
    /// where that is asked for.
    Unproved(Ask),
    /// A client sends bytes that are no request.
    Noise {
        /// Which client.
        client: usize,
        /// What it sends.
        bytes: Bytes,
    },
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", record::name(self.op))?;
        if let Some(xid) = self.xid {
            write!(f, " (xid {xid})")?;
        }
        match record::read_request(self.op, self.body.clone()) {
            Ok(fields) => {
                for (name, value) in fields {
                    let value = match (value, self.since) {
                        (Value::Zxid(_), Some(Since::Seen(back))) => format!("the last seen less {back}"),
                        (Value::Zxid(_), Some(Since::Fixed(zxid))) => zxid.to_string(),
                        (Value::Words(words), _) => words,
                        (Value::Plain(number) | Value::Zxid(number), _) => number.to_string(),
                        (other, _) => format!("{other:?}"),
                    };
                    write!(f, " {name}={value}")?;
                }
                Ok(())
            }
            Err(_) => write!(f, " malformed {}", record::bytes_in_words(&self.body)),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Burst { client, asks } => {
                write!(f, "client {client}:")?;
                for (index, ask) in asks.iter().enumerate() {
                    write!(f, "{}{ask}", if index == 0 { " " } else { "; " })?;
                }
                Ok(())
            }
            Self::Lists { client, ask } => write!(f, "client {client}, with a new session: {ask}"),
            Self::HangUp(client) => write!(f, "client {client} hangs up"),
            Self::Return(client, manner) => write!(f, "client {client} comes back: {manner:?}"),
            Self::Visit(timeout) => write!(f, "a visitor asks for {timeout} ms"),
            Self::Unproved(ask) => write!(f, "a visitor that has proved nothing: {ask}"),
            Self::Noise { client, bytes } => {
                write!(f, "client {client} sends bytes {}", record::bytes_in_words(bytes))
            }
        }
    }
}
