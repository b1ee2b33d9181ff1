//! Requests of a mix, over many connections.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::time::Timespec;

use super::client::{Client, Task, chunk};
use super::plan::Plan;
use super::record::Record;

/// Requests under way on one connection, beyond which a fixed rate is not kept any more: the server is too far behind, and
/// what is not sent is counted as such.
const BEHIND_MAX: usize = 20_000;

/// How often a connection that broke is made anew.
const REOPEN_EVERY: Duration = Duration::from_millis(100);

/// How long answers are waited for when the time is up.
const LAST_ANSWERS_WAIT_MAX: Duration = Duration::from_secs(10);

/// The longest wait without looking at the clock.
const WAIT_MAX: Duration = Duration::from_millis(200);

/// What a load came to.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) record: Record,
    /// Paths that clients have made and not taken away.
    pub(super) left: Vec<String>,
}

/// How the load is to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) connections: u32,
    pub(super) depth: u32,
    /// Requests a second on each connection.
    pub(super) rate: Option<f64>,
    pub(super) warmup: Duration,
    pub(super) seconds: Duration,
    pub(super) threads: u32,
}

impl Shape {
    /// As the plan says, with that many connections.
    pub(super) fn of(plan: &Plan, connections: u32) -> Self {
        Self {
            connections,
            depth: plan.depth,
            rate: plan.rate.map(|rate| rate / f64::from(connections)),
            warmup: plan.warmup,
            seconds: plan.seconds,
            threads: plan.threads.min(connections),
        }
    }
}

/// Puts the load on the servers; `done` counts what is answered, for whoever watches.
pub(super) fn run(
    servers: &[SocketAddr],
    shape: Shape,
    task: &Task,
    done: &AtomicU64,
) -> io::Result<Outcome> {
    let numbers = |thread: u32| (0..shape.connections).filter(move |it| it % shape.threads == thread);
    let open = |number: u32| Client::open(number, server(servers, number), task.seed);
    let (ready, failed) = (Barrier::new(shape.threads as usize), AtomicBool::new(false));
    let outcomes: Vec<io::Result<Option<Outcome>>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..shape.threads)
            .map(|thread| {
                let (ready, failed) = (&ready, &failed);
                scope.spawn(move || {
                    let clients = numbers(thread).map(open).collect::<io::Result<Vec<_>>>();
                    failed.fetch_or(clients.is_err(), Ordering::SeqCst);
                    ready.wait();
                    if failed.load(Ordering::SeqCst) {
                        return clients.map(|_| None);
                    }
                    let start = Instant::now() + shape.warmup;
                    Driver::new(servers, shape, task, clients?, start)?.run(done).map(Some)
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|it| it.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let mut all: Option<Outcome> = None;
    for outcome in outcomes {
        let Some(outcome) = outcome? else { continue };
        match &mut all {
            None => all = Some(outcome),
            Some(all) => {
                all.record.add(&outcome.record);
                all.left.extend(outcome.left);
            }
        }
    }
    all.ok_or_else(|| io::Error::other("no connection was asked for"))
}

fn server(servers: &[SocketAddr], number: u32) -> SocketAddr {
    servers[number as usize % servers.len()]
}

/// One thread with its share of the connections.
struct Driver<'a> {
    servers: &'a [SocketAddr],
    shape: Shape,
    task: &'a Task,
    epoll: OwnedFd,
    slots: Vec<Slot>,
    chunk: Box<[u8]>,
    record: Record,
    end: Instant,
}

/// A connection, or what is to become one again.
struct Slot {
    client: Client,
    /// When the next request is due, at a fixed rate.
    due: Instant,
    /// When it broke, or was last tried to be made anew.
    broken: Option<Instant>,
    /// Whether it waits for the server to take more.
    waits_to_send: bool,
    /// How often it has gone to another server.
    moves: u32,
}

impl<'a> Driver<'a> {
    fn new(
        servers: &'a [SocketAddr],
        shape: Shape,
        task: &'a Task,
        clients: Vec<Client>,
        start: Instant,
    ) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let now = Instant::now();
        let count = clients.len().max(1) as f64;
        let mut slots = Vec::new();
        for (place, client) in clients.into_iter().enumerate() {
            epoll::add(&epoll, client.stream(), EventData::new_u64(place as u64), EventFlags::IN)?;
            // Not all at the same moment.
            let due =
                now + shape.rate.map_or(Duration::ZERO, |rate| interval(rate).mul_f64(place as f64 / count));
            slots.push(Slot { client, due, broken: None, waits_to_send: false, moves: 0 });
        }
        Ok(Self {
            servers,
            shape,
            task,
            epoll,
            slots,
            chunk: chunk(),
            record: Record::new(start),
            end: start + shape.seconds,
        })
    }

    fn run(mut self, done: &AtomicU64) -> io::Result<Outcome> {
        let mut events = Vec::with_capacity(self.slots.len().max(1));
        (0..self.slots.len()).for_each(|place| self.attend(place, done, false));
        loop {
            let now = Instant::now();
            let owed = self.slots.iter().any(|slot| slot.client.under_way() > 0 && slot.broken.is_none());
            if now >= self.end && (!owed || now >= self.end + LAST_ANSWERS_WAIT_MAX) {
                break;
            }
            events.clear();
            let wait = self.wait(now);
            let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(wait.subsec_nanos()) };
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for event in &events {
                let data = event.data;
                self.attend(usize::try_from(data.u64()).unwrap_or_default(), done, true);
            }
            if self.shape.rate.is_some() || events.is_empty() {
                (0..self.slots.len()).for_each(|place| self.attend(place, done, false));
            }
        }
        let left = self.slots.iter().flat_map(|slot| slot.client.made(&self.task.grove)).collect();
        let unanswered: usize = self.slots.iter().map(|slot| slot.client.under_way()).sum();
        self.record.unanswered += unanswered as u64;
        self.slots.into_iter().for_each(|slot| slot.client.close());
        Ok(Outcome { record: self.record, left })
    }

    /// How long nothing is to be done unless something arrives.
    fn wait(&self, now: Instant) -> Duration {
        let due = self.shape.rate.and_then(|_| self.slots.iter().map(|slot| slot.due).min());
        due.map_or(WAIT_MAX, |due| due.saturating_duration_since(now).min(WAIT_MAX))
    }

    /// Takes what has arrived on a connection, if something has, and asks for more.
    fn attend(&mut self, place: usize, done: &AtomicU64, arrived: bool) {
        let Some(slot) = self.slots.get_mut(place) else { return };
        if slot.broken.is_some() {
            return self.reopen(place);
        }
        let result = (|| {
            if arrived {
                let (answers, events) = slot.client.receive(&mut self.chunk, &mut self.record)?;
                self.record.events += events;
                done.fetch_add(answers, Ordering::Relaxed);
            }
            let now = Instant::now();
            if now < self.end {
                slot.fill(self.shape, self.task, now);
            }
            slot.client.send(now)
        })();
        let held_up = slot.client.is_held_up();
        if result.is_err() {
            let _gone = epoll::delete(&self.epoll, slot.client.stream());
            self.record.broken += 1;
            self.record.unanswered += slot.client.under_way() as u64;
            slot.broken = Some(Instant::now());
        } else if held_up != slot.waits_to_send {
            slot.waits_to_send = held_up;
            let flags = if held_up { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
            let _same =
                epoll::modify(&self.epoll, slot.client.stream(), EventData::new_u64(place as u64), flags);
        }
    }

    /// Makes a connection anew, at the next server.
    fn reopen(&mut self, place: usize) {
        let Some(slot) = self.slots.get_mut(place) else { return };
        let now = Instant::now();
        let is_time = slot.broken.is_some_and(|since| now.saturating_duration_since(since) >= REOPEN_EVERY);
        if !is_time || now >= self.end {
            return;
        }
        slot.moves += 1;
        let number = u32::try_from(place).unwrap_or_default() + slot.moves;
        let opened = slot.client.reopen(server(self.servers, number)).and_then(|()| {
            let data = EventData::new_u64(place as u64);
            Ok(epoll::add(&self.epoll, slot.client.stream(), data, EventFlags::IN)?)
        });
        slot.broken = opened.is_err().then_some(now);
        slot.waits_to_send = false;
    }
}

impl Slot {
    /// Prepares what is to be asked for now.
    fn fill(&mut self, shape: Shape, task: &Task, now: Instant) {
        match shape.rate {
            None => {
                while self.client.under_way() < shape.depth as usize {
                    self.client.ask(task, now);
                }
            }
            Some(rate) => {
                while self.due <= now && self.client.under_way() < BEHIND_MAX {
                    self.client.ask(task, self.due);
                    self.due += interval(rate);
                }
            }
        }
    }
}

fn interval(rate: f64) -> Duration {
    Duration::from_secs_f64(1.0 / rate.max(1e-3))
}
