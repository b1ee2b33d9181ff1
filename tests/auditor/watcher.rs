//! A session that watches, is away now and then, and watches on.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use proto::EventKind;

use super::client::{Client, Lost};
use super::history::{Change, Deed, Habit, Log, Millis, Moment, Watch};
use super::paths::PathId;
use super::pen::{NO_NODE, Pen};
use crate::session::Gone;
use crate::{Ask, wait};

/// `removeWatches` on the wire.
const REMOVE_WATCHES: i32 = 18;

/// The answer to taking away a watch that is not there.
const NO_WATCHER: i32 = -121;

/// For how long a client that says nothing when it comes back does not trust that its member has told the others of
/// a watch, unless a write of its own was acknowledged since: it sets the watch anew.
const TRUSTED_AFTER_MS: Millis = 10_000;

/// How long a patient client waits until it sets a doubtful watch anew: until then its old home has reported it, if it
/// lives.
const PATIENCE_MS: Millis = 8_000;

/// How many watches a session has at most, by kind.
const ONE_SHOT_MAX: usize = 24;
const PERSISTENT_MAX: usize = 3;
const RECURSIVE_MAX: usize = 1;

/// Where to watch.
#[derive(Clone, Debug)]
pub(super) struct Sights {
    /// Any znode.
    pub(super) znodes: Vec<PathId>,
    /// Those under which much happens.
    pub(super) trees: Vec<PathId>,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    watch: Watch,
    zxid: i64,
    at: Millis,
    /// A write of the session was acknowledged since, so all members know of the watch.
    is_known: bool,
}

#[derive(Debug)]
pub(super) struct Watcher {
    client: Client,
    pen: Pen,
    own: PathId,
    sights: Sights,
    /// What it waits for, as far as it knows; by path and mode.
    held: HashMap<(PathId, Watch), Held>,
    /// What it asked for and got no answer to, or does not know to be set still.
    wanted: Vec<(Watch, PathId)>,
    /// What it will set anew, and when.
    doubtful: Vec<(Watch, PathId, Millis)>,
    /// Whether it sets doubtful watches anew at once, as recipes do, or trusts in its old home first.
    is_hasty: bool,
    /// What it has asked to be taken away and got no answer to.
    left: Vec<(Watch, PathId)>,
    /// Of a thousand steps so many leave the member, and so many write.
    leaves: u32,
    writes: u32,
}

impl Watcher {
    pub(super) fn new(mut client: Client, own: PathId, sights: Sights) -> Self {
        let leaves = client.rng.u32(..20);
        let writes = [10, 60, 200][client.rng.usize(..3)];
        // Something is to happen from the beginning.
        let first = match client.log.habit {
            Habit::SetWatches => (Watch::Exist, sights.znodes[client.rng.usize(..sights.znodes.len())]),
            _ => (Watch::Recursive, sights.trees[client.rng.usize(..sights.trees.len())]),
        };
        let (held, wanted, left) = (HashMap::new(), vec![first], Vec::new());
        let (doubtful, is_hasty) = (Vec::new(), client.rng.bool());
        Self {
            client,
            pen: Pen::new(own),
            own,
            sights,
            held,
            wanted,
            doubtful,
            is_hasty,
            left,
            leaves,
            writes,
        }
    }

    /// Watches until `end` is set, and then until it has seen everything up to there. Returns what it was told, and
    /// what it has written itself.
    pub(super) fn run(mut self, end: &AtomicI64) -> (Log, Vec<Change>) {
        if self.go_on(end).is_ok() {
            let _closed = self.client.call(&Ask::close_session());
        }
        self.client.lose();
        (self.client.log, self.pen.changes)
    }

    fn go_on(&mut self, end: &AtomicI64) -> Result<(), Gone> {
        loop {
            let end = end.load(Ordering::SeqCst);
            if !self.client.is_connected() {
                self.client.connect()?;
                if self.come_back().is_err() {
                    continue;
                }
            }
            if end == 0 {
                // If the connection breaks, it comes back in the next turn.
                let _broken = self.step();
            } else if self.see_all(end).is_ok() {
                return Ok(());
            }
        }
    }

    /// Sees everything up to `end`, and gives what is allowed to come late the time to come.
    fn see_all(&mut self, end: i64) -> Result<(), Lost> {
        self.client.listen(Duration::from_millis(500))?;
        let root = self.client.world.paths.name(self.own).to_owned();
        let seen = wait::within(wait::PATIENCE, || {
            let reply = self.client.call(&Ask::sync(&root));
            reply.map_or_else(|lost| Some(Err(lost)), |reply| (reply.zxid >= end).then_some(Ok(())))
        });
        seen.unwrap_or_else(|| {
            self.client.log.violations.push(format!("it never saw {end:#x}, which was acknowledged"));
            Ok(())
        })
    }

    fn step(&mut self) -> Result<(), Lost> {
        if let Some((watch, path)) = self.wanted.pop() {
            return self.arm(watch, path);
        }
        let now = self.client.world.now();
        if let Some(place) = self.doubtful.iter().position(|(.., then)| *then <= now) {
            let (watch, path, _) = self.doubtful.swap_remove(place);
            // If it is not held any more, it has told its event, and was known.
            return if self.held.contains_key(&(path, watch.mode())) {
                self.arm(watch, path)
            } else {
                Ok(())
            };
        }
        let dice = self.client.rng.u32(..1_000);
        let done = match dice {
            _ if dice < self.leaves => {
                self.client.lose();
                Ok(())
            }
            _ if dice < self.leaves + self.writes => self.write(),
            500..510 => {
                // Busy with something else: what comes waits in the socket, and perhaps is never read.
                std::thread::sleep(Duration::from_millis(self.client.rng.u64(50..600)));
                if self.client.rng.bool() {
                    self.client.lose();
                }
                Ok(())
            }
            510..530 => self.client.call(&Ask::ping()).map(drop),
            530..550 => self.remove(),
            600..1_000 => self.arm_something(),
            _ => {
                let time = Duration::from_millis(self.client.rng.u64(2..40));
                self.client.listen(time)
            }
        };
        self.absorb();
        done
    }

    fn write(&mut self) -> Result<(), Lost> {
        self.pen.write(&mut self.client, &[(self.own, Deed::Written)])?;
        self.held.values_mut().for_each(|held| held.is_known = true);
        Ok(())
    }

    fn arm_something(&mut self) -> Result<(), Lost> {
        let rng = &mut self.client.rng;
        let watch = match self.client.log.habit {
            Habit::SetWatches => Watch::ALL[rng.usize(..3)],
            Habit::SetWatches2 | Habit::Nothing => Watch::ALL[rng.usize(..5)],
        };
        let path = match watch {
            Watch::Recursive => self.sights.trees[rng.usize(..self.sights.trees.len())],
            _ => self.sights.znodes[rng.usize(..self.sights.znodes.len())],
        };
        let has = |fits: fn(Watch) -> bool| self.held.values().filter(|held| fits(held.watch)).count();
        let has_enough = match watch {
            Watch::Persistent => has(|watch| watch == Watch::Persistent) >= PERSISTENT_MAX,
            Watch::Recursive => has(|watch| watch == Watch::Recursive) >= RECURSIVE_MAX,
            _ => has(Watch::is_once) >= ONE_SHOT_MAX,
        };
        if has_enough || self.held.contains_key(&(path, watch.mode())) {
            return self.client.listen(Duration::from_millis(5));
        }
        self.arm(watch, path)
    }

    fn arm(&mut self, watch: Watch, path: PathId) -> Result<(), Lost> {
        let name = self.client.world.paths.name(path);
        let ask = match watch {
            Watch::Data => Ask::get_data(name, true),
            Watch::Exist => Ask::exists(name, true),
            Watch::Child => Ask::get_children(name, true),
            Watch::Persistent => Ask::add_watch(name, 0),
            Watch::Recursive => Ask::add_watch(name, 1),
        };
        self.client.log.moments.push(Moment::Arming(watch, path));
        let reply = self.client.call(&ask).inspect_err(|_| self.wanted.push((watch, path)))?;
        let watch = match (watch, reply.err) {
            (Watch::Exist, 0) => Watch::Data,
            (_, 0) | (Watch::Exist, NO_NODE) => watch,
            (Watch::Data | Watch::Child, NO_NODE) => {
                self.client.log.moments.push(Moment::Refused);
                return Ok(());
            }
            _ => {
                self.client.log.violations.push(format!("a watch ({watch:?}) is refused: {reply:?}"));
                self.client.log.moments.push(Moment::Refused);
                return Ok(());
            }
        };
        // What stands in front of the answer is of a watch before this one.
        self.absorb();
        let (zxid, at) = (reply.zxid, self.client.world.now());
        self.client.log.moments.push(Moment::Armed { watch, path, zxid, at });
        self.held.insert((path, watch.mode()), Held { watch, zxid, at, is_known: false });
        Ok(())
    }

    fn remove(&mut self) -> Result<(), Lost> {
        let mut held: Vec<(PathId, Watch)> = self.held.keys().copied().collect();
        held.sort_unstable();
        match self.client.rng.choice(held) {
            Some((path, watch)) => self.leave(watch, path),
            None => Ok(()),
        }
    }

    fn leave(&mut self, watch: Watch, path: PathId) -> Result<(), Lost> {
        let name = self.client.world.paths.name(path).to_owned();
        let kind = match watch {
            Watch::Child => 1,
            Watch::Data | Watch::Exist => 2,
            Watch::Persistent => 4,
            Watch::Recursive => 5,
        };
        self.held.remove(&(path, watch.mode()));
        self.client.log.moments.push(Moment::Removing(watch, path));
        let reply = self.client.call(&Ask::raw(REMOVE_WATCHES, |out| {
            use proto::jute::write::Writer as _;
            out.text(&name);
            out.int(kind);
        }));
        let reply = reply.inspect_err(|_| self.left.push((watch, path)))?;
        if ![0, NO_WATCHER].contains(&reply.err) {
            self.client.log.violations.push(format!("taking away a watch ({watch:?}) is refused: {reply:?}"));
        }
        let (zxid, at) = (reply.zxid, self.client.world.now());
        self.client.log.moments.push(Moment::Removed { watch, path, zxid, at });
        Ok(())
    }

    /// What one-shot watches told is over.
    fn absorb(&mut self) {
        for (zxid, kind, path) in self.client.events.drain(..) {
            let mut spend = |mode| {
                if self.held.get(&(path, mode)).is_some_and(|held| zxid <= 0 || zxid > held.zxid) {
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
    fn come_back(&mut self) -> Result<(), Lost> {
        self.send_watches()?;
        self.absorb();
        self.pen.settle(&mut self.client)?;
        self.absorb();
        let now = self.client.world.now();
        let is_fresh = |at: Millis| now.saturating_sub(at) < TRUSTED_AFTER_MS;
        while let Some((watch, path)) = self.left.pop() {
            self.leave(watch, path)?;
            self.absorb();
        }
        if self.client.log.habit == Habit::Nothing {
            let doubtful = self.held.values().zip(self.held.keys());
            let doubtful = doubtful.filter(|(held, _)| !held.is_known && is_fresh(held.at));
            let mut doubtful: Vec<_> = doubtful.map(|(held, (path, _))| (held.watch, *path)).collect();
            doubtful.sort_unstable();
            if self.is_hasty {
                self.wanted.extend(doubtful);
            } else {
                let then = now + PATIENCE_MS;
                self.doubtful.extend(doubtful.into_iter().map(|(watch, path)| (watch, path, then)));
            }
        }
        while let Some((watch, path)) = self.wanted.pop() {
            // An event may have come meanwhile, and the watch is over; to set it anew is no harm.
            let result = self.arm(watch, path);
            self.absorb();
            result?;
        }
        Ok(())
    }

    fn send_watches(&mut self) -> Result<(), Lost> {
        if self.client.log.habit == Habit::Nothing || self.held.is_empty() {
            return Ok(());
        }
        let mut lists: [Vec<&str>; 5] = Default::default();
        for ((path, _), held) in &self.held {
            lists[held.watch as usize].push(self.client.world.paths.name(*path));
        }
        let [data, exist, child, persistent, recursive] = lists.each_ref().map(Vec::as_slice);
        let ask = match self.client.log.habit {
            Habit::SetWatches => Ask::set_watches(self.client.last_zxid, [data, exist, child]),
            _ => Ask::set_watches2(self.client.last_zxid, [data, exist, child, persistent, recursive]),
        };
        let reply = self.client.call(&ask)?;
        if reply.err != 0 {
            self.client.log.violations.push(format!("its watches are refused: {reply:?}"));
        }
        Ok(())
    }
}
