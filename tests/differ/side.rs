//! One of the two servers, with its clients, and what there is to know to make its numbers comparable.

use std::collections::HashMap;
use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use proto::jute::read::Reader;

use super::line::{Line, Said};
use super::record::{self, Value};
use super::step::{Ask, Manner, Since};
use super::wire::{Came, Wire};
use crate::connection::{self, Greeting};

/// How long times may be after the beginning of a sequence, in milliseconds.
const SEQUENCE_MS_MAX: i64 = 3_600_000;

/// A client of this server.
#[derive(Debug, Default)]
pub(super) struct Client {
    pub(super) wire: Option<Wire>,
    /// Its session, 0 if it has none.
    session: i64,
    password: Vec<u8>,
    /// The last position that it has seen.
    seen: i64,
    next_xid: i32,
}

/// A server and its clients.
#[derive(Debug)]
pub(super) struct Side {
    addresses: Vec<SocketAddr>,
    clients: Vec<Client>,
    /// The position and the time at which the sequence began.
    base: (i64, i64),
    /// Positions that only this server has, in order: they are not counted.
    holes: Vec<i64>,
    /// What the sessions of the sequence are numbered with.
    sessions: HashMap<i64, usize>,
    /// The times of transactions, as far as they were seen.
    times: HashMap<i64, i64>,
}

impl Side {
    pub(super) fn new(addresses: Vec<SocketAddr>) -> Self {
        Self {
            addresses,
            clients: Vec::new(),
            base: (0, 0),
            holes: Vec::new(),
            sessions: HashMap::new(),
            times: HashMap::new(),
        }
    }

    /// Where the first member's clients go.
    pub(super) fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// How many members there are.
    pub(super) fn members(&self) -> usize {
        self.addresses.len()
    }

    /// Begins a sequence at this position and time, with clients who have nothing.
    pub(super) fn begin(&mut self, clients: usize, base: (i64, i64)) {
        self.clients = (0..clients).map(|_| Client::default()).collect();
        self.base = base;
        self.holes.clear();
        self.sessions.clear();
        self.times.clear();
    }

    /// What a position is told as.
    pub(super) fn told(&self, zxid: i64) -> i64 {
        told(self.base.0, &self.holes, zxid)
    }

    /// Positions up to this one, and as many of them as said, are no longer counted.
    pub(super) fn leave_out(&mut self, count: i64, last: i64) {
        self.holes.extend(last - count + 1..=last);
        self.holes.sort_unstable();
    }

    /// The position that is told as this one.
    pub(super) fn position(&self, told: i64) -> i64 {
        position(self.base.0, &self.holes, told)
    }

    pub(super) fn client(&mut self, client: usize) -> &mut Client {
        &mut self.clients[client]
    }

    pub(super) fn clients(&self) -> usize {
        self.clients.len()
    }

    pub(super) fn is_connected(&self, client: usize) -> bool {
        self.clients[client].wire.is_some()
    }

    pub(super) fn has_session(&self, client: usize) -> bool {
        self.clients[client].session != 0
    }

    /// Closes this side's end of a connection, and waits until the server has seen it.
    pub(super) fn hang_up(&mut self, client: usize) {
        if let Some(mut wire) = self.clients[client].wire.take() {
            wire.hang_up();
            while matches!(wire.next(), Came::Frame(_)) {}
        }
    }

    /// Connects a client in this manner and reads the answer. `number` is what a new session is to be numbered with.
    pub(super) fn greet(&mut self, client: usize, manner: Manner, timeout_ms: i32, number: usize) -> Line {
        let address = self.addresses[client % self.addresses.len()];
        let state = &mut self.clients[client];
        let mut greeting = Greeting::new(timeout_ms);
        greeting.last_zxid = state.seen;
        if state.session != 0 {
            greeting.session = state.session;
            greeting.password.clone_from(&state.password);
        }
        match manner {
            Manner::Right => {}
            Manner::WrongPassword => greeting.password = vec![7; 16],
            Manner::Stranger => greeting.session = 0x0777_0000_0000_0777,
            Manner::FromTheFuture => greeting.last_zxid = i64::MAX / 2,
            Manner::Old => greeting.read_only = None,
        }
        let Ok(mut wire) = Wire::dial(address) else { return Line::bare(Said::Silence) };
        wire.send(&connection::greeting(&greeting));
        let frame = match wire.next() {
            Came::Frame(frame) => frame,
            Came::End => return Line::bare(Said::End),
            Came::Silence => return Line::bare(Said::Silence),
        };
        let Ok(welcome) = connection::welcome(frame) else {
            return Line { said: Said::Welcome, fields: vec![("malformed".into(), String::new())] };
        };
        if welcome.session != 0 {
            let number = *self.sessions.entry(welcome.session).or_insert(number);
            debug_assert!(number > 0);
            state.session = welcome.session;
            state.password.clone_from(&welcome.password);
            state.wire = Some(wire);
            if greeting.session == 0 {
                state.next_xid = 1;
            }
        }
        let is_zero = welcome.password.iter().all(|byte| *byte == 0);
        let fields = [
            ("bytes", welcome.bytes.to_string()),
            ("version", welcome.protocol_version.to_string()),
            ("timeout", welcome.timeout_ms.to_string()),
            ("session", self.session(welcome.session)),
            (
                "password",
                format!("{} bytes{}", welcome.password.len(), if is_zero { " of zero" } else { "" }),
            ),
            ("readOnly", format!("{:?}", welcome.read_only)),
        ];
        Line { said: Said::Welcome, fields: fields.map(|(name, value)| (name.to_owned(), value)).into() }
    }

    /// Forgets a client's session, which has ended.
    pub(super) fn forget_session(&mut self, client: usize) {
        let state = &mut self.clients[client];
        state.session = 0;
        state.wire = None;
    }

    /// Sends requests.
    pub(super) fn send(&mut self, client: usize, asks: &[Ask], barrier: Option<&Ask>) {
        let (base, holes) = (self.base.0, &self.holes);
        let state = &mut self.clients[client];
        let mut out = BytesMut::new();
        for ask in asks.iter().chain(barrier) {
            let xid = ask.xid.unwrap_or_else(|| {
                state.next_xid += 1;
                state.next_xid
            });
            let body = match ask.since {
                Some(since) if ask.body.len() >= 8 => {
                    let zxid = match since {
                        Since::Fixed(zxid) => zxid,
                        Since::Seen(back) => {
                            position(base, holes, (told(base, holes, state.seen) - back).max(0))
                        }
                    };
                    let mut body = ask.body.to_vec();
                    body[..8].copy_from_slice(&zxid.to_be_bytes());
                    Bytes::from(body)
                }
                _ => ask.body.clone(),
            };
            out.extend_from_slice(&connection::request(xid, &crate::Ask { op: ask.op, body }));
        }
        if let Some(wire) = &mut state.wire {
            wire.send(&out);
        }
    }

    /// Reads what comes, until all of these have been answered or nothing more comes.
    pub(super) fn receive(&mut self, client: usize, asks: &[Ask], barrier: Option<&Ask>) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut expected = asks.iter().chain(barrier).enumerate().peekable();
        while let Some((place, ask)) = expected.peek() {
            let Some(wire) = &mut self.clients[client].wire else { break };
            match wire.next() {
                Came::Frame(frame) => {
                    let said = if *place == asks.len() { Said::Barrier } else { Said::Reply(*place) };
                    let line = self.line(client, said, ask.op, &frame);
                    if line.said != Said::Event {
                        expected.next();
                    }
                    lines.push(line);
                }
                Came::End => {
                    self.clients[client].wire = None;
                    lines.push(Line::bare(Said::End));
                }
                Came::Silence => {
                    lines.push(Line::bare(Said::Silence));
                    break;
                }
            }
        }
        lines
    }

    fn line(&mut self, client: usize, said: Said, op: i32, frame: &Bytes) -> Line {
        let mut r = Reader::new(frame.clone());
        let (Ok(xid), Ok(zxid), Ok(err)) = (r.int(), r.long(), r.int()) else {
            return Line { said, fields: vec![("malformed".into(), record::bytes_in_words(frame))] };
        };
        let header = |zxid: String| {
            let fields = [("xid", xid.to_string()), ("zxid", zxid), ("err", err.to_string())];
            fields.map(|(name, value)| (name.to_owned(), value)).into()
        };
        if xid == -1 {
            let mut line = Line { said: Said::Event, fields: header(self.zxid(zxid)) };
            let (kind, state, path) = (r.int(), r.int(), r.nullable_text());
            let path = path.ok().flatten().map_or("malformed".into(), |path| path.to_string());
            line.fields.push(("type".into(), kind.unwrap_or(i32::MIN).to_string()));
            line.fields.push(("state".into(), state.unwrap_or(i32::MIN).to_string()));
            line.fields.push(("path".into(), path));
            return line;
        }
        let state = &mut self.clients[client];
        // To createSession ZooKeeper answers with what is no header.
        if op != -10 {
            state.seen = state.seen.max(zxid);
        }
        let mut line = Line { said, fields: header(self.zxid(zxid)) };
        if err == 0 {
            match record::read_reply(op, r.clone().rest()) {
                Ok(fields) => {
                    for (name, value) in fields {
                        let value = self.words(value);
                        line.fields.push((name, value));
                    }
                }
                Err(_) => line.fields.push(("malformed".into(), record::bytes_in_words(&r.rest()))),
            }
        } else if !r.is_empty() {
            line.fields.push(("body".into(), record::bytes_in_words(&r.rest())));
        }
        line
    }

    fn words(&mut self, value: Value) -> String {
        match value {
            Value::Words(words) => words,
            Value::Plain(number) => number.to_string(),
            Value::Zxid(zxid) => self.zxid(zxid),
            Value::Session(session) => self.session(session),
            Value::Time(time, zxid) => self.time(time, zxid),
        }
    }

    /// A position as the number of transactions since the sequence began.
    fn zxid(&self, zxid: i64) -> String {
        match zxid {
            ..=0 => zxid.to_string(),
            zxid if zxid <= self.base.0 => "old".into(),
            zxid => format!("+{}", self.told(zxid)),
        }
    }

    fn session(&self, session: i64) -> String {
        match self.sessions.get(&session) {
            _ if session == 0 => "none".into(),
            Some(number) => format!("#{number}"),
            None => "unknown".into(),
        }
    }

    /// A time, which must be the same whenever the same transaction is spoken of.
    fn time(&mut self, time: i64, zxid: i64) -> String {
        if zxid <= self.base.0 {
            return if time == 0 { "0".into() } else { "old".into() };
        }
        let known = *self.times.entry(zxid).or_insert(time);
        if known != time {
            return "another than before".into();
        }
        let since = time - self.base.1;
        if (0..SEQUENCE_MS_MAX).contains(&since) { "its".into() } else { "out of the world".into() }
    }
}

/// What a position is told as.
fn told(base: i64, holes: &[i64], zxid: i64) -> i64 {
    holes.iter().filter(|hole| **hole <= zxid).fold(zxid - base, |told, _| told - 1)
}

/// The position that is told as this one.
fn position(base: i64, holes: &[i64], told: i64) -> i64 {
    holes.iter().fold(base + told, |zxid, hole| zxid + i64::from(*hole <= zxid))
}
