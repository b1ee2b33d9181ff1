//! A client that watches and writes, loses its connection and comes back, and writes down what it is told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use consensus::simulation::{Dice, Surroundings};
use harness::ask::flags::{EPHEMERAL, PERSISTENT};
use harness::auditor::history::{Habit, Log, Millis, Moment, Watch};
use harness::auditor::paths::PathId;
use harness::connection::{Greeting, Reply};
use harness::{Ask, Packet, Welcome};
use proto::EventKind;
use proto::jute::write::Writer as _;
use tokio::time::{Instant, sleep};

use super::house::House;
use super::record::Record;
use super::wire::{Broken, Wire};

const NO_NODE: i32 = -101;
const NO_WATCHER: i32 = -121;
/// What a write may be refused for: another client was quicker.
const BEATEN: [i32; 5] = [NO_NODE, -108, -110, -111, -103];
const REMOVE_WATCHES: i32 = 18;

/// How many watches a session has at most.
const WATCHES_MAX: usize = 8;

/// What all clients of a simulation share.
pub(crate) struct Scene {
    pub(crate) surroundings: Surroundings,
    pub(crate) house: Arc<House>,
    pub(crate) record: Arc<Record>,
    /// The znodes that are written and watched.
    pub(crate) znodes: Vec<PathId>,
    /// Up to where all are to see, in the end; zero before.
    pub(crate) end: tokio::sync::watch::Receiver<i64>,
    /// Whether one event in fifty is not heard.
    pub(crate) is_deaf: bool,
}

/// A session's end, or that of everything.
enum Over {
    Session,
    All,
}

/// A client.
pub(crate) struct Client {
    scene: Arc<Scene>,
    number: u64,
    dice: Dice,
    log: Log,
    welcome: Option<Welcome>,
    last_zxid: i64,
    wire: Option<Wire>,
    /// What it waits for, as far as it knows, and since when.
    held: BTreeMap<(PathId, Watch), (Watch, i64)>,
    /// What it asked to be set or taken away and got no answer to.
    wanted: Vec<(Watch, PathId)>,
    left: Vec<(Watch, PathId)>,
    events: Vec<(i64, EventKind, PathId)>,
    asked: i32,
}

impl Client {
    pub(crate) fn new(scene: Arc<Scene>, number: u64) -> Self {
        let dice = scene.surroundings.dice();
        let log = Log { session: 0, habit: Habit::SetWatches2, moments: Vec::new(), violations: Vec::new() };
        Self {
            scene,
            number,
            dice,
            log,
            welcome: None,
            last_zxid: 0,
            wire: None,
            held: BTreeMap::new(),
            wanted: Vec::new(),
            left: Vec::new(),
            events: Vec::new(),
            asked: 0,
        }
    }

    /// Lives one session after the other, until the end. Returns what was written down of each.
    pub(crate) async fn run(mut self) -> Vec<Log> {
        let mut logs = Vec::new();
        loop {
            let habit = self.dice.one_of(&[
                Habit::SetWatches2,
                Habit::SetWatches2,
                Habit::SetWatches,
                Habit::Nothing,
            ]);
            let fresh = Log { session: 0, habit, moments: Vec::new(), violations: Vec::new() };
            self.log = fresh;
            (self.welcome, self.wire) = (None, None);
            self.held.clear();
            self.wanted.clear();
            self.left.clear();
            self.events.clear();
            let over = self.live().await;
            self.lose();
            logs.push(std::mem::replace(
                &mut self.log,
                Log { session: 0, habit, moments: Vec::new(), violations: Vec::new() },
            ));
            if matches!(over, Over::All) {
                return logs;
            }
        }
    }

    async fn live(&mut self) -> Over {
        loop {
            if self.scene.surroundings.is_broken() {
                return Over::All;
            }
            let end = *self.scene.end.borrow();
            if self.wire.is_none() {
                match self.connect().await {
                    Ok(true) => {}
                    Ok(false) => {
                        sleep(self.dice.millis(5..60)).await;
                        continue;
                    }
                    Err(Over::Session) if end == 0 => return Over::Session,
                    Err(_) => return Over::All,
                }
                if self.come_back().await.is_err() {
                    continue;
                }
            }
            if end != 0 {
                if self.see_all(end).await.is_ok() {
                    return Over::All;
                }
            } else if let Ok(Some(over)) = self.step().await {
                return over;
            }
        }
    }

    fn now(&self) -> Millis {
        Millis::try_from(self.scene.surroundings.now()).unwrap()
    }

    /// Finds a member that has the session; `false` if this one would not have it now.
    async fn connect(&mut self) -> Result<bool, Over> {
        let member = self.dice.within(1..self.scene.surroundings.size() + 1);
        let Some(stream) = self.scene.house.dial(member) else { return Ok(false) };
        let greeting = match &self.welcome {
            Some(welcome) => Greeting::again(welcome, self.last_zxid),
            None => {
                let millis = i32::try_from(self.dice.within(1_000..6_000)).unwrap();
                // A client that has lost its session goes on with what it has seen.
                Greeting { last_zxid: self.last_zxid, ..Greeting::new(millis) }
            }
        };
        let Ok((wire, welcome)) = Wire::greet(stream, &greeting, self.dice.millis(400..2_500)).await else {
            return Ok(false);
        };
        if welcome.session == 0 {
            self.scene.surroundings.note("sessions that came too late", &[self.number]);
            return if self.welcome.is_some() { Err(Over::Session) } else { Ok(false) };
        }
        if self.welcome.as_ref().is_some_and(|had| had.session != welcome.session) {
            self.log.violations.push(format!("was given another session: {welcome:?}"));
        }
        self.log.session = welcome.session;
        self.scene
            .surroundings
            .note("sessions attached", &[self.number, member, welcome.session.cast_unsigned()]);
        let timeout_ms = if self.welcome.is_some() { greeting.timeout_ms } else { welcome.timeout_ms };
        self.welcome = Some(Welcome { timeout_ms, ..welcome });
        self.wire = Some(wire);
        let (seen, at) = (self.last_zxid, self.now());
        self.log.moments.push(Moment::Connected { member: usize::try_from(member).unwrap(), seen, at });
        Ok(true)
    }

    fn lose(&mut self) -> Broken {
        if self.wire.take().is_some() {
            let at = self.now();
            self.log.moments.push(Moment::Broke { at });
        }
        Broken
    }

    /// Asks, and waits for the answer.
    async fn call(&mut self, ask: &Ask) -> Result<Reply, Broken> {
        let until = Instant::now() + self.dice.millis(300..2_000);
        let wire = self.wire.as_mut().ok_or(Broken)?;
        let Ok(xid) = wire.ask(ask, until).await else { return Err(self.lose()) };
        self.asked = ask.op;
        loop {
            if let Some(reply) = self.receive(until).await? {
                if reply.xid != xid {
                    self.log.violations.push(format!("a reply to {} where {xid} was asked", reply.xid));
                }
                return Ok(reply);
            }
            if Instant::now() >= until {
                return Err(self.lose());
            }
        }
    }

    /// The next reply; nothing if an event or nothing at all came.
    async fn receive(&mut self, until: Instant) -> Result<Option<Reply>, Broken> {
        let heard = self.wire.as_mut().ok_or(Broken)?.hear(until).await;
        let Ok(packet) = heard else { return Err(self.lose()) };
        let at = self.now();
        match packet {
            None => Ok(None),
            Some(Packet::Reply(reply)) => {
                self.last_zxid = self.last_zxid.max(reply.zxid);
                self.log.moments.push(Moment::Replied { zxid: reply.zxid, op: self.asked, at });
                self.scene.surroundings.note("replies", &[self.number, reply.zxid.cast_unsigned()]);
                Ok(Some(reply))
            }
            Some(Packet::Event { zxid, kind, path }) => {
                if self.scene.is_deaf && self.dice.chance(20) {
                    return Ok(None);
                }
                self.scene.surroundings.note("events", &[self.number, zxid.cast_unsigned()]);
                match (event_kind(kind), self.scene.record.paths().find(&path)) {
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

    async fn listen(&mut self, time: Duration) -> Result<(), Broken> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            if let Some(reply) = self.receive(until).await? {
                self.log.violations.push(format!("a reply to {}, which nobody asked", reply.xid));
            }
        }
        Ok(())
    }

    async fn step(&mut self) -> Result<Option<Over>, Broken> {
        if let Some((watch, path)) = self.wanted.pop() {
            self.arm(watch, path).await?;
            return Ok(None);
        }
        let path = self.dice.one_of(&self.scene.znodes);
        match self.dice.within(0..1_000) {
            0..25 => drop(self.lose()),
            25..35 => {
                // Away for about as long as the session lives.
                let timeout = self.welcome.as_ref().map_or(1_000, |welcome| welcome.timeout_ms);
                let timeout = u64::from(timeout.unsigned_abs());
                self.lose();
                sleep(self.dice.millis(timeout / 2..timeout * 2)).await;
            }
            35..42 => {
                let closed = self.call(&Ask::close_session()).await?;
                if closed.err != 0 {
                    self.log.violations.push(format!("a session was not closed: {closed:?}"));
                }
                return Ok(Some(Over::Session));
            }
            42..62 => self.remove().await?,
            62..350 => self.write(path).await?,
            350..700 => {
                let watch = match self.log.habit {
                    Habit::SetWatches => Watch::ALL[usize::try_from(self.dice.within(0..3)).unwrap()],
                    _ => self.dice.one_of(&Watch::ALL),
                };
                if self.held.len() < WATCHES_MAX && !self.held.contains_key(&(path, watch.mode())) {
                    self.arm(watch, path).await?;
                }
            }
            700..800 => {
                let name = self.scene.record.paths().name(path).to_owned();
                self.call(&Ask::sync(&name)).await?;
            }
            _ => {
                let time = self.dice.millis(1..80);
                self.listen(time).await?;
            }
        }
        self.absorb();
        Ok(None)
    }

    async fn write(&mut self, path: PathId) -> Result<(), Broken> {
        let name = self.scene.record.paths().name(path).to_owned();
        let ask = match self.dice.within(0..10) {
            0..4 => Ask::create(&name, b"", self.dice.one_of(&[PERSISTENT, PERSISTENT, EPHEMERAL])),
            4..6 => Ask::delete(&name),
            6..8 => Ask::set_data(&name, b"x", -1),
            // Gone and there again in one.
            8 => Ask::multi(&[Ask::delete(&name), Ask::create(&name, b"", PERSISTENT)]),
            _ => Ask::multi(&[Ask::create(&name, b"", PERSISTENT), Ask::set_data(&name, b"y", -1)]),
        };
        let is_multi = ask.op == 14;
        let reply = self.call(&ask).await?;
        if reply.err == 0 && !(is_multi && reply.body.starts_with(&[0xff; 4])) {
            self.log.moments.push(Moment::Wrote);
        } else if reply.err != 0 && !BEATEN.contains(&reply.err) {
            self.log.violations.push(format!("a write of {name} is refused: {reply:?}"));
        }
        Ok(())
    }

    async fn arm(&mut self, watch: Watch, path: PathId) -> Result<(), Broken> {
        let name = self.scene.record.paths().name(path).to_owned();
        let ask = match watch {
            Watch::Data => Ask::get_data(&name, true),
            Watch::Exist => Ask::exists(&name, true),
            Watch::Child => Ask::get_children(&name, true),
            Watch::Persistent => Ask::add_watch(&name, 0),
            Watch::Recursive => Ask::add_watch(&name, 1),
        };
        self.log.moments.push(Moment::Arming(watch, path));
        let Ok(reply) = self.call(&ask).await else {
            self.wanted.push((watch, path));
            return Err(Broken);
        };
        let watch = match (watch, reply.err) {
            (Watch::Exist, 0) => Watch::Data,
            (_, 0) | (Watch::Exist, NO_NODE) => watch,
            (_, err) => {
                if err != NO_NODE || !watch.is_once() {
                    self.log.violations.push(format!("a watch ({watch:?}) is refused: {reply:?}"));
                }
                self.log.moments.push(Moment::Refused);
                return Ok(());
            }
        };
        // What stands in front of the answer is of a watch before this one.
        self.absorb();
        let (zxid, at) = (reply.zxid, self.now());
        self.log.moments.push(Moment::Armed { watch, path, zxid, at });
        self.held.insert((path, watch.mode()), (watch, zxid));
        Ok(())
    }

    async fn remove(&mut self) -> Result<(), Broken> {
        let held: Vec<(PathId, Watch)> =
            self.held.iter().map(|((path, _), (watch, _))| (*path, *watch)).collect();
        if held.is_empty() {
            return Ok(());
        }
        let (path, watch) = self.dice.one_of(&held);
        self.leave(watch, path).await
    }

    async fn leave(&mut self, watch: Watch, path: PathId) -> Result<(), Broken> {
        let name = self.scene.record.paths().name(path).to_owned();
        let kind = match watch {
            Watch::Child => 1,
            Watch::Data | Watch::Exist => 2,
            Watch::Persistent => 4,
            Watch::Recursive => 5,
        };
        self.held.remove(&(path, watch.mode()));
        self.log.moments.push(Moment::Removing(watch, path));
        let ask = Ask::raw(REMOVE_WATCHES, |out| {
            out.text(&name);
            out.int(kind);
        });
        let Ok(reply) = self.call(&ask).await else {
            self.left.push((watch, path));
            return Err(Broken);
        };
        if ![0, NO_WATCHER].contains(&reply.err) {
            self.log.violations.push(format!("taking away a watch ({watch:?}) is refused: {reply:?}"));
        }
        let (zxid, at) = (reply.zxid, self.now());
        self.log.moments.push(Moment::Removed { watch, path, zxid, at });
        Ok(())
    }

    /// What one-shot watches told is over.
    fn absorb(&mut self) {
        for (zxid, kind, path) in std::mem::take(&mut self.events) {
            let mut spend = |mode: Watch| {
                if self.held.get(&(path, mode)).is_some_and(|(_, since)| zxid <= 0 || zxid > *since) {
                    self.held.remove(&(path, mode));
                }
            };
            if kind != EventKind::ChildrenChanged {
                spend(Watch::Data);
            }
            if matches!(kind, EventKind::ChildrenChanged | EventKind::Deleted) {
                spend(Watch::Child);
            }
        }
    }

    /// What a client does first on a new connection.
    async fn come_back(&mut self) -> Result<(), Broken> {
        self.absorb();
        if self.log.habit != Habit::Nothing && !self.held.is_empty() {
            let paths = self.scene.record.paths();
            let mut lists: [Vec<&str>; 5] = Default::default();
            for ((path, _), (watch, _)) in &self.held {
                lists[*watch as usize].push(paths.name(*path));
            }
            let [data, exist, child, persistent, recursive] = lists.each_ref().map(Vec::as_slice);
            let ask = match self.log.habit {
                Habit::SetWatches => Ask::set_watches(self.last_zxid, [data, exist, child]),
                _ => Ask::set_watches2(self.last_zxid, [data, exist, child, persistent, recursive]),
            };
            let reply = self.call(&ask).await?;
            if reply.err != 0 {
                self.log.violations.push(format!("its watches are refused: {reply:?}"));
            }
        }
        self.absorb();
        while let Some((watch, path)) = self.left.pop() {
            self.leave(watch, path).await?;
            self.absorb();
        }
        Ok(())
    }

    /// Sees everything up to `end`, and gives what is allowed to come late the time to come.
    async fn see_all(&mut self, end: i64) -> Result<(), Broken> {
        // In pieces: a session may be silent for a second only.
        for _ in 0..5 {
            self.listen(Duration::from_millis(300)).await?;
            self.call(&Ask::ping()).await?;
        }
        let name = self.scene.record.paths().name(self.scene.znodes[0]).to_owned();
        while self.call(&Ask::sync(&name)).await?.zxid < end {
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

fn event_kind(kind: i32) -> Option<EventKind> {
    [EventKind::Created, EventKind::Deleted, EventKind::DataChanged, EventKind::ChildrenChanged]
        .into_iter()
        .find(|known| known.to_wire() == kind)
}
