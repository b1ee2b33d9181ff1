//! One change, told to many who wait for it.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use proto::Ask;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::time::Timespec;

use super::client::{Client, Task, chunk};
use super::mix::Kind;
use super::plan::Plan;
use super::record::Record;

/// How long everybody may take to be told.
const TELLING_WAIT_MAX: Duration = Duration::from_secs(30);

/// Every connection waits for one znode to change; it is changed, and when all have been told they wait anew.
pub(super) fn run(servers: &[SocketAddr], plan: &Plan, task: &Task) -> io::Result<Record> {
    let server = |number: u32| servers[number as usize % servers.len()];
    let watchers = (0..plan.connections).map(|number| Client::open(number, server(number), task.seed));
    let mut watchers = Watchers::new(watchers.collect::<io::Result<_>>()?)?;
    let mut writer = Watchers::new(vec![Client::open(plan.connections, server(0), task.seed)?])?;
    let path = task.grove.znode(0);
    let (look, change) = (Ask::get_data(&path, true), Ask::set_data(&path, &task.data, -1));

    let start = Instant::now() + plan.warmup;
    let (mut record, mut aside) = (Record::new(start), Record::new(start));
    while Instant::now() < start + plan.seconds {
        watchers.ask(Kind::Get, &look)?;
        watchers.wait(&mut aside, |answers, _| answers == u64::from(plan.connections), |_| {})?;
        let asked = Instant::now();
        writer.ask(Kind::Set, &change)?;
        let told = |count| (0..count).for_each(|_| record.answered(Kind::Told, asked, Instant::now(), 0));
        watchers.wait(&mut aside, |_, events| events == u64::from(plan.connections), told)?;
        record.answered(Kind::LastTold, asked, Instant::now(), 0);
        writer.wait(&mut aside, |answers, _| answers == 1, |_| {})?;
    }
    record.events = aside.events;
    watchers.close();
    writer.close();
    Ok(record)
}

/// Clients that are waited for together.
struct Watchers {
    clients: Vec<Client>,
    chunk: Box<[u8]>,
    epoll: OwnedFd,
}

impl Watchers {
    fn new(clients: Vec<Client>) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        for (place, client) in clients.iter().enumerate() {
            epoll::add(&epoll, client.stream(), EventData::new_u64(place as u64), EventFlags::IN)?;
        }
        Ok(Self { clients, chunk: chunk(), epoll })
    }

    /// Asks the same of all.
    fn ask(&mut self, kind: Kind, ask: &Ask) -> io::Result<()> {
        let now = Instant::now();
        self.clients.iter_mut().try_for_each(|client| {
            client.put(kind, ask, now);
            client.send(now)
        })
    }

    /// Waits until so many answers and so many events have come; `told` hears of events as they come.
    fn wait(
        &mut self,
        record: &mut Record,
        done: impl Fn(u64, u64) -> bool,
        mut told: impl FnMut(u64),
    ) -> io::Result<()> {
        let end = Instant::now() + TELLING_WAIT_MAX;
        let (mut answers, mut events) = (0, 0);
        let mut ready = Vec::with_capacity(self.clients.len());
        while !done(answers, events) {
            if Instant::now() >= end {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "not everybody was told"));
            }
            ready.clear();
            let timeout = Timespec { tv_sec: 1, tv_nsec: 0 };
            epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut ready), Some(&timeout))?;
            for event in &ready {
                let data = event.data;
                let Some(client) = usize::try_from(data.u64()).ok().and_then(|it| self.clients.get_mut(it))
                else {
                    continue;
                };
                let (answered, heard) = client.receive(&mut self.chunk, record)?;
                answers += answered;
                events += heard;
                record.events += heard;
                if heard > 0 {
                    told(heard);
                }
            }
        }
        Ok(())
    }

    fn close(self) {
        self.clients.into_iter().for_each(Client::close);
    }
}
