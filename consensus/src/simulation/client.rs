//! A client of a simulated ensemble, which knows what it may expect.
//!
//! Each has a znode that only it writes. Every write of it is a multi that puts a number there, one more than the last, and
//! does something else besides: so whoever reads the number knows which writes have come through, and that they have
//! done so in order and as a whole; and the version of that znode counts them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use machine::{Machine, Verdict, WatchKind, WatchNote};
use parking_lot::Mutex;
use proto::{OpCode, Reply, ZnodePath};
use tokio::time::{sleep, timeout};

use super::talk::{Caller, PATIENCE, Talk};
use super::words::{create, delete, operation, read_children, read_number, set};
use super::world::{Running, World};
use crate::Proposal;
use crate::runtime::bugs::Bug;
use crate::runtime::dice::Dice;

/// What a client knows of its writes.
#[derive(Default)]
pub(crate) struct Known(Mutex<Knowledge>);

#[derive(Default)]
struct Knowledge {
    number: u64,
    /// The znode of this client is there.
    begun: bool,
    /// The last number that has come through.
    settled: u64,
    /// How many have.
    done: i64,
    /// What the others would do, in order, if they come through.
    open: BTreeMap<u64, Besides>,
    /// The persistent children of its znode.
    children: BTreeSet<u64>,
    answered_at: u64,
}

/// What a write does besides putting the number.
#[derive(Clone, Copy, Debug)]
enum Besides {
    Nothing,
    Create,
    Delete(u64),
    Ephemeral,
    Sequential,
}

impl Known {
    /// When it was answered last, in milliseconds of the simulation.
    pub(crate) fn answered_at(&self) -> u64 {
        self.0.lock().answered_at
    }

    /// Whether a world has all that was acknowledged to this client, and nothing that cannot be.
    pub(crate) fn hold_against(&self, machine: &Machine) -> Result<(), String> {
        self.0.lock().hold_against(machine)
    }
}

impl Knowledge {
    fn home(&self) -> String {
        format!("/c{}", self.number)
    }

    fn hold_against(&self, machine: &Machine) -> Result<(), String> {
        if !self.begun {
            return Ok(());
        }
        let (number, version) = read_number(machine, &self.home())?;
        let mut this = Self {
            settled: self.settled,
            done: self.done,
            children: self.children.clone(),
            ..Self::default()
        };
        this.open.clone_from(&self.open);
        this.settle(number)?;
        if i64::from(version) != this.done {
            return Err(format!(
                "{} was written {version} times, and {} of its writes came through",
                self.home(),
                this.done
            ));
        }
        let children = read_children(machine, &self.home())?;
        let expected = this.children.iter().map(|child| format!("{}/p{child}", self.home())).collect();
        if children != expected {
            return Err(format!("{} has the children {children:?}, not {expected:?}", self.home()));
        }
        Ok(())
    }

    /// All up to this number have come through, and none behind it ever will.
    fn settle(&mut self, number: u64) -> Result<(), String> {
        if number != self.settled && !self.open.contains_key(&number) {
            return Err(format!(
                "{} holds {number}, but {} came through before, and only {:?} were under way",
                self.home(),
                self.settled,
                self.open.keys()
            ));
        }
        let behind = self.open.split_off(&(number + 1));
        for (number, besides) in std::mem::replace(&mut self.open, behind) {
            self.done += 1;
            self.settled = number;
            match besides {
                Besides::Create => drop(self.children.insert(number)),
                Besides::Delete(child) => drop(self.children.remove(&child)),
                Besides::Nothing | Besides::Ephemeral | Besides::Sequential => {}
            }
        }
        Ok(())
    }
}

/// A client.
pub(crate) struct Client {
    caller: Caller,
    world: Arc<World>,
    dice: Dice,
    known: Arc<Known>,
    member: u64,
    /// The number of its last write.
    last: u64,
}

impl Client {
    pub(crate) fn new(number: u64, world: Arc<World>, known: Arc<Known>) -> Self {
        known.0.lock().number = number;
        let dice = Dice::new(world.dice.number());
        let (timeout_ms, member) = (dice.within(1_000..5_000), dice.within(1..world.size + 1));
        Self { caller: Caller::new(number, timeout_ms), world, dice, known, member, last: 0 }
    }

    pub(crate) async fn run(mut self) {
        while !self.world.is_over() {
            if self.dice.chance(300) {
                self.go_elsewhere();
            }
            // A member that does not serve hangs up at once.
            let Some(running) = self.world.running(self.member).filter(Running::serves) else {
                self.go_elsewhere();
                sleep(self.dice.millis(5..60)).await;
                continue;
            };
            let talked = match self.caller.greet(&self.world, running).await {
                Ok(Some(talk)) => self.converse(talk).await,
                Ok(None) => {
                    sleep(self.dice.millis(5..60)).await;
                    Ok(())
                }
                Err(how) => Err(how),
            };
            if let Err(how) = talked {
                self.world.witness.broken(&format!("client {}: {how}", self.caller.number));
            }
        }
    }

    fn go_elsewhere(&mut self) {
        self.member = self.dice.within(1..self.world.size + 1);
    }

    /// Writes, reads and waits, until the connection ends. An error is a broken promise.
    async fn converse(&mut self, mut talk: Talk) -> Result<(), String> {
        if !self.known.0.lock().begun && !self.begin(&mut talk).await {
            return Ok(());
        }
        self.look(&talk)?;
        for _ in 0..self.dice.within(1..30) {
            if self.world.is_over() {
                return Ok(());
            }
            match self.dice.within(0..100) {
                0..3 => {
                    // Silent for about as long as it may be, or for too long.
                    let time = self.caller.timeout_ms;
                    sleep(self.dice.millis(time - 100..time + self.dice.one_of(&[300, 1_000, 1_500]))).await;
                    self.go_elsewhere();
                    return Ok(());
                }
                3..6 => {
                    talk.write(Vec::new(), OpCode::CloseSession, Vec::new());
                    self.caller.session = None;
                    return Ok(());
                }
                6..16 => self.barrier(&talk).await?,
                16..24 => self.report(&mut talk),
                _ => {}
            }
            for _ in 0..self.dice.within(1..6) {
                self.propose(&mut talk);
            }
            if self.dice.chance(80) {
                // The connection breaks, with all that is under way.
                sleep(self.dice.millis(0..40)).await;
                self.go_elsewhere();
                return Ok(());
            }
            if !self.hear(&mut talk).await? {
                return Ok(());
            }
            self.look(&talk)?;
            talk.running.consensus.touch(talk.session);
            sleep(self.dice.millis(0..150)).await;
        }
        Ok(())
    }

    /// Makes the znodes that it needs.
    async fn begin(&mut self, talk: &mut Talk) -> bool {
        for path in ["/s".to_owned(), "/e".to_owned(), format!("/c{}", self.caller.number)] {
            talk.write(Vec::new(), OpCode::Create, create(&path, b"0", 0));
        }
        let last = talk.seq;
        loop {
            match timeout(PATIENCE, talk.line.recv()).await {
                Ok(Some((_, Verdict::Answered { attachment, seq, .. })))
                    if (attachment, seq) == (talk.attachment, last) =>
                {
                    self.known.0.lock().begun = true;
                    return true;
                }
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return false,
            }
        }
    }

    /// One of its writes.
    fn propose(&mut self, talk: &mut Talk) {
        self.last += 1;
        let number = self.last;
        let home = format!("/c{}", self.caller.number);
        let mut body = operation(5, &set(&home, number.to_string().as_bytes()));
        let mut known = self.known.0.lock();
        let leaving: BTreeSet<u64> = known
            .open
            .values()
            .filter_map(|besides| if let Besides::Delete(child) = besides { Some(*child) } else { None })
            .collect();
        let child = known.children.iter().find(|child| !leaving.contains(child)).copied();
        let besides = match (self.dice.within(0..6), child) {
            (0..2, _) => Besides::Create,
            (2, Some(child)) => Besides::Delete(child),
            (3, _) => Besides::Ephemeral,
            (4, _) => Besides::Sequential,
            _ => Besides::Nothing,
        };
        match besides {
            Besides::Nothing => {}
            Besides::Create => body.extend(operation(1, &create(&format!("{home}/p{number}"), b"", 0))),
            Besides::Delete(child) => body.extend(operation(2, &delete(&format!("{home}/p{child}")))),
            Besides::Ephemeral => body.extend(operation(1, &create("/e/e-", b"", 3))),
            Besides::Sequential => body.extend(operation(1, &create("/s/s-", home.as_bytes(), 2))),
        }
        body.extend([0xff, 0xff, 0xff, 0xff, 1, 0xff, 0xff, 0xff, 0xff]);
        known.open.insert(number, besides);
        drop(known);
        talk.write(Vec::new(), OpCode::Multi, body);
    }

    /// Hears all that it has asked for. `false` if the connection ends.
    async fn hear(&mut self, talk: &mut Talk) -> Result<bool, String> {
        let mut expected = None;
        loop {
            let Ok(Some((zxid, verdict))) = timeout(PATIENCE, talk.line.recv()).await else {
                return Ok(false);
            };
            let (attachment, seq, result) = match verdict {
                Verdict::Answered { attachment, seq, result, .. } => (attachment, seq, result),
                Verdict::Fenced { attachment, .. } if attachment < talk.attachment => continue,
                Verdict::Closed { seq: None, .. } => {
                    self.caller.has_ended(self.world.witness.now())?;
                    return Ok(false);
                }
                _ => return Ok(false),
            };
            if attachment != talk.attachment {
                if attachment > talk.attachment {
                    return Ok(false);
                }
                return Err(format!("was answered over attachment {attachment}, which the session has left"));
            }
            if expected.is_some_and(|expected| seq != expected) {
                return Err(format!("was answered write {seq} where {expected:?} was to come"));
            }
            if zxid <= self.caller.seen {
                return Err(format!("was answered {zxid} behind {}", self.caller.seen));
            }
            self.caller.seen = zxid;
            expected = Some(seq.next());
            let mut known = self.known.0.lock();
            // The answers to multis come in the order of the numbers.
            if matches!(&result, Ok(Reply::Multi(_))) {
                let Some(number) = known.open.keys().next().copied() else {
                    return Err("was answered a write too many".to_owned());
                };
                known.settle(number)?;
                known.answered_at = self.world.witness.now();
                drop(known);
                self.world.acknowledge(zxid);
                self.world.witness.note("writes acknowledged", &[self.caller.number, zxid.get()]);
            } else {
                return Err(format!("was refused: {result:?}"));
            }
            if seq == talk.seq {
                return Ok(true);
            }
        }
    }

    /// What this client reads where it is: its own writes.
    fn look(&mut self, talk: &Talk) -> Result<(), String> {
        talk.running.consensus.read(|machine| {
            let moved =
                machine.session(talk.session).is_none_or(|session| session.attachment != talk.attachment);
            if moved {
                return Ok(());
            }
            let mut known = self.known.0.lock();
            let (number, _) = read_number(machine, &known.home())?;
            known.settle(number)?;
            // Nothing is under way any more that is not on this connection, and all of that is answered.
            known.open.clear();
            known.hold_against(machine)
        })
    }

    /// What was acknowledged to anybody before a barrier is here behind it.
    async fn barrier(&self, talk: &Talk) -> Result<(), String> {
        let acknowledged = self.world.acknowledged();
        let is_hollow = self.world.bug == Some(Bug::HollowBarrier);
        let answer = if is_hollow { Ok(()) } else { talk.running.consensus.barrier().await };
        self.world.witness.note("barriers", &[self.caller.number, u64::from(answer.is_ok())]);
        let here = talk.running.consensus.read(|machine| machine.last_zxid().get());
        if answer.is_ok() && here < acknowledged {
            return Err(format!(
                "{acknowledged:x} was acknowledged before a barrier, and behind it only {here:x} is there"
            ));
        }
        Ok(())
    }

    /// Sets and takes away watches.
    fn report(&self, talk: &mut Talk) {
        talk.reports += 1;
        let notes = (0..self.dice.within(1..5)).map(|_| WatchNote {
            path: ZnodePath::parse(self.dice.one_of(&["/s", "/e", "/c0", "/c1", "/c1/p3", "/"]))
                .expect("it is a path"),
            kind: self.dice.one_of(&WatchKind::ALL),
            zxid: self.caller.seen,
            armed: self.dice.chance(800),
        });
        talk.running.consensus.propose(Proposal::Watch {
            session: talk.session,
            attachment: talk.attachment,
            number: talk.reports,
            notes: notes.collect(),
            seen: self.caller.seen,
        });
    }
}
