//! The members of a simulated ensemble, and what keeps on when they do not.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use machine::{Machine, Rules};
use openraft::async_runtime::WatchReceiver;
use parking_lot::Mutex;
use proto::{MemberId, Zxid};

use super::ear::{Ear, look, watch_leader};
use super::guests::{Guests, Tenancy};
pub(crate) use super::seat::Running;
use super::seat::Seat;
use super::words::line;
use crate::config::Description;
use crate::member::{Ground, Member};
use crate::peer::simulated::{Ether, Habits};
use crate::runtime::bugs::Bug;
use crate::runtime::dice::Dice;
use crate::runtime::life::Life;
use crate::runtime::witness::Witness;
use crate::{Config, Consensus, Fault, Reaping, Retention, Role, Timing, directory, log, state};

/// The rhythm of elections where all disks are quick.
const TIMING: Timing = Timing {
    heartbeat: Duration::from_millis(100),
    election_min: Duration::from_millis(300),
    election_max: Duration::from_millis(600),
};

/// The ensemble and its surroundings.
pub(crate) struct World {
    pub(crate) dice: Dice,
    pub(crate) witness: Arc<Witness>,
    pub(crate) ether: Ether,
    pub(crate) bug: Option<Bug>,
    /// How many members vote in the beginning: those with the first numbers.
    pub(crate) voters: u64,
    /// How many are observers in the beginning: the next.
    observers: u64,
    /// How many seats there are. Whoever has none of the two may become a member later.
    pub(crate) size: u64,
    pub(super) retention: Retention,
    pub(super) guests: Arc<dyn Guests>,
    seats: Mutex<BTreeMap<u64, Seat>>,
    /// The last transaction that any client has an answer of.
    acknowledged: Mutex<u64>,
    pub(crate) is_over: AtomicBool,
}

impl World {
    pub(crate) fn new(
        dice: Dice,
        witness: Arc<Witness>,
        bug: Option<Bug>,
        is_changed: bool,
        guests: Arc<dyn Guests>,
    ) -> Arc<Self> {
        let voters = dice.one_of(&[3, 3, 3, 5, 4]);
        let observers = dice.one_of(&[0, 0, 1]);
        let size = voters + observers + if is_changed { dice.within(1..3) } else { 0 };
        let habits = Habits {
            delay: 0..dice.one_of(&[1, 2, 4, 8]),
            late: dice.one_of(&[0, 2, 10]),
            lost: 0,
            twice: 20,
        };
        let ether = Ether::new(Dice::new(dice.number()), witness.clone(), habits);
        let every = dice.one_of(&[4, 10, 25, 60, 1_000]);
        let retention = Retention {
            snapshot_every: every,
            keep: dice.within(1..every),
            bytes_max: if dice.within(1..20) < 3 { 50_000 } else { u64::MAX },
        };
        let seat = || Seat {
            log: log::simulated::Platter::new(bug == Some(Bug::EarlyAcknowledgement)),
            state: state::simulated::Platter::new(),
            is_damaged: false,
            life: None,
            running: None,
        };
        let seats = (1..=size).map(|member| (member, seat())).collect();
        Arc::new(Self {
            dice,
            witness,
            ether,
            bug,
            voters,
            observers,
            size,
            retention,
            guests,
            seats: Mutex::new(seats),
            acknowledged: Mutex::new(0),
            is_over: AtomicBool::new(false),
        })
    }

    /// Starts a member, if it does not live yet. Returns when it takes part.
    pub(crate) async fn start(self: Arc<Self>, member: u64) {
        let boot = self.dice.number();
        let (life, log, state) = {
            let mut seats = self.seats.lock();
            let seat = seats.get_mut(&member).expect("it has a seat");
            if seat.life.is_some() {
                return;
            }
            let life = Life::new(member, self.witness.clone(), self.bug, self.dice.number());
            seat.life = Some(life.clone());
            seat.mend();
            (life, seat.log.clone(), seat.state.clone())
        };
        self.witness.note("starts", &[member]);
        let guest = self.guests.begins(MemberId::new(member), boot);
        let ear = Ear::new(member, self.witness.clone(), guest);
        let starting = {
            let (config, network, life) = (self.config(member, boot), self.ether.port(member), life.clone());
            let (ear, witness) = (ear.clone(), self.witness.clone());
            async move {
                let own = Arc::new(OnceLock::new());
                let look = look(member, own.clone(), witness);
                let (log, closing) = log.open(&life)?;
                let (store, machine, progress) = state.open(&life, look)?;
                crate::cluster::agree(log.belonging(), &machine)?;
                let closed = store.clone();
                let close = Box::pin(async move {
                    closing.await;
                    closed.close();
                });
                let ground = Ground { log, store, machine, progress, network, close };
                let started = Arc::new(Member::start_on(ground, config, ear).await?);
                let _ = own.set(Arc::downgrade(&started));
                Ok(Consensus { member: started })
            }
        };
        match life.spawn(starting).await {
            Ok(Ok(consensus)) => self.has_started(member, Running { life, boot, consensus, ear }),
            Ok(Err(fault)) => self.has_not_started(member, &life, &fault),
            // It did not live long enough.
            Err(error) if error.is_cancelled() => {}
            Err(error) => self.witness.broken(&format!("member {member} does not start: {error}")),
        }
    }

    fn has_started(&self, member: u64, running: Running) {
        let mut seats = self.seats.lock();
        let seat = seats.get_mut(&member).expect("it has a seat");
        if !seat.life.as_ref().is_some_and(|current| Arc::ptr_eq(current, &running.life)) {
            return;
        }
        if seat.is_damaged {
            self.witness.broken(&format!("member {member} starts with a log that is damaged"));
        }
        if let Some(raft) = running.consensus.member.raft() {
            drop(running.life.spawn(watch_leader(member, raft, self.witness.clone())));
        }
        let (tenancy, consensus) =
            (Tenancy::new(running.life.clone(), running.boot), running.consensus.clone());
        seat.running = Some(running);
        drop(seats);
        self.guests.takes_part(tenancy, consensus);
    }

    fn has_not_started(self: &Arc<Self>, member: u64, life: &Arc<Life>, fault: &Fault) {
        let (is_damaged, has_failed) = {
            let seats = self.seats.lock();
            let seat = &seats[&member];
            if !seat.life.as_ref().is_some_and(|current| Arc::ptr_eq(current, life)) {
                return;
            }
            (seat.is_damaged, seat.has_failed())
        };
        match fault {
            Fault::Damaged(_) if is_damaged => {
                self.witness.note("damages recognised", &[member]);
                self.crash(member);
                self.empty(member);
            }
            _ if has_failed => self.crash(member),
            _ => return self.witness.broken(&format!("member {member} does not start: {fault}")),
        }
        self.start_later(member);
    }

    fn config(&self, member: u64, boot: u64) -> Config {
        let address = |member: u64| (MemberId::new(member), format!("member{member}:1"));
        let watching = self.voters + 1..=self.voters + self.observers;
        // One that is to be added knows the others, and of itself that it is none of the voters.
        let stranger = Some(member).filter(|member| *member > *watching.end());
        let lines = (1..=*watching.end()).map(|id| line(id, id > self.voters)).collect();
        Config {
            member: MemberId::new(member),
            boot,
            members: (1..=self.voters).map(address).collect(),
            ensemble: Some(Description { lines, is_certain: true }),
            observers: watching.chain(stranger).map(address).collect(),
            listen: Some(format!("member{member}:1")),
            data_dir: PathBuf::new(),
            log_dir: PathBuf::new(),
            timing: TIMING.for_disk(self.seats.lock()[&member].log.sync_time()),
            tick: Duration::from_millis(500),
            retention: self.retention,
            sync_delay: Duration::ZERO,
            rules: Rules::RECONFIG_ENABLED,
            reaping: Reaping { check_interval: Duration::from_secs(2), ..Reaping::default() },
            world_bytes_max: None,
        }
    }

    /// Starts a member again, at once, soon or late.
    pub(crate) fn start_later(self: &Arc<Self>, member: u64) {
        let time = match self.dice.within(0..3) {
            0 => Duration::ZERO,
            1 => self.dice.millis(1..100),
            _ => self.dice.millis(300..3_000),
        };
        self.start_after(member, time);
    }

    /// Starts a member again after this time.
    pub(crate) fn start_after(self: &Arc<Self>, member: u64, time: Duration) {
        let world = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(time).await;
            world.start(member).await;
        });
    }

    /// A member that runs.
    pub(crate) fn running(&self, member: u64) -> Option<Running> {
        self.seats.lock().get(&member)?.running.clone()
    }

    /// All members that run.
    pub(crate) fn all_running(&self) -> BTreeMap<u64, Running> {
        let seats = self.seats.lock();
        seats.iter().filter_map(|(member, seat)| Some((*member, seat.running.clone()?))).collect()
    }

    /// Who leads, as far as it knows itself.
    pub(crate) fn leader(&self) -> Option<u64> {
        let running = self.all_running();
        let leads = |it: &Running| it.consensus.status().borrow().role == Role::Leader;
        running.into_iter().find(|(_, it)| leads(it)).map(|(member, _)| member)
    }

    /// Who the members are by the world that has come furthest, and whether each votes.
    pub(crate) fn members(&self) -> BTreeMap<u64, bool> {
        let running = self.all_running();
        let furthest = running.values().max_by_key(|it| it.consensus.read(Machine::last_zxid));
        let written = furthest.into_iter().flat_map(|it| it.consensus.read(Machine::members));
        let written: BTreeMap<u64, bool> = written
            .filter_map(|line| directory::read(&line))
            .map(|(id, line)| (id, !line.observer))
            .collect();
        if written.is_empty() {
            return (1..=self.voters + self.observers)
                .map(|member| (member, member <= self.voters))
                .collect();
        }
        written
    }

    /// The power of a member fails.
    pub(crate) fn crash(&self, member: u64) {
        let mut seats = self.seats.lock();
        let seat = seats.get_mut(&member).expect("it has a seat");
        let Some(life) = seat.life.take() else { return };
        seat.running = None;
        life.end();
        self.guests.is_gone(MemberId::new(member));
        seat.log.crash(&self.dice);
        seat.state.crash(&self.dice, self.bug);
        drop(seats);
        self.ether.leave(member);
    }

    /// A member leaves in good order.
    pub(crate) async fn leave(&self, member: u64) {
        let Some(running) = self.running(member) else { return };
        self.witness.fault("leaves", &[member]);
        self.seats.lock().get_mut(&member).expect("it has a seat").running = None;
        let (consensus, clients) = (running.consensus.clone(), self.guests.leaves(MemberId::new(member)));
        let leaving = async move {
            consensus.hand_over().await;
            clients.await;
            consensus.shutdown().await;
        };
        // A crash may be quicker.
        let _ = running.life.spawn(leaving).await;
        let mut seats = self.seats.lock();
        let seat = seats.get_mut(&member).expect("it has a seat");
        if let Some(life) = seat.life.take_if(|life| Arc::ptr_eq(life, &running.life)) {
            life.end();
            self.guests.is_gone(MemberId::new(member));
            // What it could not write at the end it had in memory only.
            seat.state.crash(&self.dice, self.bug);
            drop(seats);
            self.ether.leave(member);
        }
    }

    /// Whether the ensemble can bear that this member loses its disk: those that must catch up first are fewer than a
    /// quorum can do without, and it is not just beginning.
    fn can_spare(&self, member: u64) -> bool {
        let seats = self.seats.lock();
        let is_new = |other: u64, seat: &Seat| other == member || seat.is_damaged || seat.log.is_new();
        let voters = seats.iter().filter(|(other, _)| **other <= self.voters);
        let new = voters.filter(|(other, seat)| is_new(**other, seat)).count() as u64;
        new <= self.voters - (self.voters / 2 + 1)
    }

    /// Crashes a member and takes its disk from it, if the ensemble can bear that.
    pub(crate) fn lose_disk(&self, member: u64) -> bool {
        if !self.can_spare(member) {
            return false;
        }
        self.witness.fault("disks lost", &[member]);
        self.crash(member);
        self.empty(member);
        true
    }

    /// Crashes a member and turns over a bit of its log, if the ensemble can bear that.
    pub(crate) fn damage_disk(&self, member: u64) -> bool {
        if !self.can_spare(member) {
            return false;
        }
        self.crash(member);
        let mut seats = self.seats.lock();
        let seat = seats.get_mut(&member).expect("it has a seat");
        seat.is_damaged = seat.log.damage(&self.dice);
        self.witness.fault("disks damaged", &[member, u64::from(seat.is_damaged)]);
        true
    }

    /// The disk of the log of a member.
    pub(super) fn log(&self, member: u64) -> log::simulated::Platter {
        self.seats.lock()[&member].log.clone()
    }

    /// The disk of the state of a member.
    pub(super) fn state(&self, member: u64) -> state::simulated::Platter {
        self.seats.lock()[&member].state.clone()
    }

    fn empty(&self, member: u64) {
        let mut seats = self.seats.lock();
        let seat = seats.get_mut(&member).expect("it has a seat");
        seat.is_damaged = false;
        seat.log.lose();
        seat.state.lose();
    }

    /// The next write to one of the disks of a member fails, and so do all behind it until it is started again.
    pub(crate) fn fail_disk(&self, member: u64, is_log: bool) {
        self.witness.fault("disks broken", &[member, u64::from(is_log)]);
        let seats = self.seats.lock();
        if is_log { seats[&member].log.fail() } else { seats[&member].state.fail() }
    }

    /// The disks of a member do again what they are asked to do.
    pub(crate) fn mend(&self, member: u64) {
        self.seats.lock()[&member].mend();
    }

    /// From now on the disks of a member take so long for a write.
    pub(crate) fn set_pace(&self, member: u64, log: std::ops::Range<u64>, state: std::ops::Range<u64>) {
        let seats = self.seats.lock();
        let seat = &seats[&member];
        seat.log.set_pace(log);
        seat.state.set_pace(state);
    }

    /// Whether a write to a disk of this member has failed since it was started.
    pub(crate) fn has_failed(&self, member: u64) -> bool {
        self.seats.lock()[&member].has_failed()
    }

    /// Looks whether all is as it should be, and starts those again that a broken disk has stopped.
    pub(crate) fn look_around(self: &Arc<Self>) {
        for (member, running) in self.all_running() {
            let Some(raft) = running.consensus.member.raft() else { continue };
            let stopped = raft.metrics().borrow_watched().running_state.clone();
            if running.life.has_panicked() {
                self.witness.broken(&format!("a task of member {member} has panicked"));
            }
            let Err(fatal) = stopped else { continue };
            if !self.has_failed(member) {
                self.witness.broken(&format!("member {member} has stopped: {fatal}"));
            }
            self.witness.note("stops by a fault", &[member]);
            self.crash(member);
            self.start_later(member);
        }
    }

    /// A client was answered.
    pub(crate) fn acknowledge(&self, zxid: Zxid) {
        let mut acknowledged = self.acknowledged.lock();
        *acknowledged = zxid.get().max(*acknowledged);
    }

    /// The last transaction of which any client knows.
    pub(crate) fn acknowledged(&self) -> u64 {
        *self.acknowledged.lock()
    }

    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed) || self.witness.is_broken()
    }

    /// All ways from one seat to another.
    pub(crate) fn ways(&self) -> impl Iterator<Item = (u64, u64)> {
        let size = self.size;
        (1..=size).flat_map(move |from| (1..=size).map(move |to| (from, to)))
    }

    /// Cuts all ways between these and the others.
    pub(crate) fn set_apart(&self, some: &BTreeSet<u64>) {
        self.ether.cut(self.ways().filter(|(from, to)| some.contains(from) != some.contains(to)));
    }
}
