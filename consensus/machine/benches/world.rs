//! What it costs to change the world, to look at it, and to bring it back from its records.

use std::cell::RefCell;

use bytes::Bytes;
use divan::Bencher;
use divan::counter::ItemsCount;
use machine::{
    Act, Applied, Command, Home, Identities, Machine, Operation, Record, Rules, Verdict, WatchKind, WatchNote,
};
use proto::request::{Create, Read, Write};
use proto::{Acl, Attachment, MemberId, OpCode, Seq, SessionId, Text, Version, ZnodePath, Zxid};

/// What a znode holds.
static DATA: [u8; 100] = [b'x'; 100];

/// Znodes of the world in which something happens.
const ZNODES: usize = 10_000;

/// Children of each znode that has some.
const SIBLINGS: usize = 1_000;

fn main() {
    divan::main();
}

/// A multi has ten operations.
#[divan::bench(args = [OpCode::Create, OpCode::SetData, OpCode::Multi], sample_size = 100)]
fn write(bencher: Bencher, op: OpCode) {
    measure(bencher, |_, client, number| match op {
        OpCode::Create => client.write(create_at(&new(number))),
        OpCode::SetData => client.write(set_at(&path(number))),
        _ => client.write(Write::Multi((0..10).map(|more| set_at(&path(number + more))).collect())),
    });
}

#[divan::bench(sample_size = 100)]
fn delete(bencher: Bencher) {
    // Whoever creates is another: several znodes are there before the first goes.
    let mut creating = None;
    measure(bencher, |machine, client, number| {
        let creating = creating.get_or_insert_with(|| Client::open(machine, 2));
        apply(machine, &creating.write(create_at(&new(number))));
        client.write(Write::Delete { path: new(number).into(), version: Version::ANY })
    });
}

/// One watch that is reported, in the world that its client was shown.
#[divan::bench(sample_size = 100)]
fn arm(bencher: Bencher) {
    measure(bencher, |machine, client, number| client.watch(&path(number), machine.last_zxid()));
}

/// A write where 1,000 sessions watch.
#[divan::bench(sample_size = 1)]
fn spend_1000(bencher: Bencher) {
    let mut watchers = Vec::new();
    measure(bencher, |machine, client, _| {
        watchers.extend((watchers.len()..1_000).map(|number| Client::open(machine, 2 + number as u64)));
        for watcher in &watchers {
            apply(machine, &watcher.watch(&path(7), machine.last_zxid()));
        }
        client.write(set_at(&path(7)))
    });
}

/// What is written behind 100 writes.
#[divan::bench(sample_size = 1)]
fn take_changes_of_100(bencher: Bencher) {
    let (machine, mut client) = world(ZNODES);
    let (machine, mut numbers) = (RefCell::new(machine), 0..);
    let mut write = |number| drop(apply(&mut machine.borrow_mut(), &client.write(set_at(&path(number)))));
    bencher
        .with_inputs(|| numbers.by_ref().take(100).for_each(&mut write))
        .bench_local_values(|()| machine.borrow_mut().take_changes());
}

/// Of 1,000 children, in the last case.
#[divan::bench(args = [OpCode::Exists, OpCode::GetData, OpCode::GetChildren], sample_size = 100)]
fn read(bencher: Bencher, op: OpCode) {
    let (machine, client) = world(ZNODES);
    let address = Text::from_static("10.0.0.1");
    let who = Identities { address: &address, proved: &[] };
    let mut numbers = 0..;
    let read = || match (op, path(numbers.next().unwrap_or_default()).into()) {
        (OpCode::Exists, path) => Read::Exists { path, watch: false },
        (OpCode::GetData, path) => Read::GetData { path, watch: false },
        _ => Read::GetChildren { path: "/hosts-3".into(), watch: false },
    };
    let answer = |read: &mut Read| machine.read(read, client.session, who).expect("an answer");
    bencher.with_inputs(read).bench_local_refs(answer);
}

/// Records as they come from disk: in order of their keys. Not where benchmarks are only tried out: it takes long.
#[divan::bench(sample_count = 20, sample_size = 1, ignore = std::env::args().all(|arg| arg != "--bench"))]
fn restore_100000(bencher: Bencher) {
    let mut records: Vec<Record> = world(100_000).0.records().collect();
    records.sort_by_cached_key(Record::key);
    bencher
        .counter(ItemsCount::new(records.len()))
        .with_inputs(|| records.clone())
        .bench_values(|records| Machine::restore(records).expect("a whole world"));
}

/// Measures what it takes to apply the commands that are made of a world, of a client in it, and of numbers.
fn measure(bencher: Bencher, mut command: impl FnMut(&mut Machine, &mut Client, usize) -> Command) {
    let (machine, mut client) = world(ZNODES);
    let (machine, mut numbers) = (RefCell::new(machine), 0..);
    bencher
        .with_inputs(|| command(&mut machine.borrow_mut(), &mut client, numbers.next().unwrap_or_default()))
        .bench_local_refs(|command| apply(&mut machine.borrow_mut(), command));
}

/// What is refused is no measure of what is done.
fn apply(machine: &mut Machine, command: &Command) -> Applied {
    let applied = machine.apply(command);
    match &applied.verdict {
        Verdict::Answered { result: Ok(_), .. } | Verdict::Noted { .. } | Verdict::Opened { .. } => applied,
        _ => panic!("{command:?}: {applied:?}"),
    }
}

/// A session, and which of its writes is next.
struct Client {
    session: SessionId,
    seq: u64,
}

impl Client {
    fn open(machine: &mut Machine, connection: u64) -> Self {
        let home = Home { member: MemberId::new(1), boot: 1, connection };
        let (password, address) = ([0; 16], Text::from_static("10.0.0.1"));
        let opened = apply(machine, &command(Act::Open { home, password, timeout_ms: 4_000, address }));
        let Verdict::Opened { session, .. } = opened.verdict else { panic!("not opened: {opened:?}") };
        Self { session, seq: 0 }
    }

    fn write(&mut self, write: Write) -> Command {
        self.seq += 1;
        let op = match write {
            Write::Create(_) => OpCode::Create,
            Write::Delete { .. } => OpCode::Delete,
            Write::Multi(_) => OpCode::Multi,
            _ => OpCode::SetData,
        };
        let (seq, operation) = (Seq::new(self.seq), Operation { op, write: Some(write) });
        let (session, attachment, identities) = (self.session, Attachment::new(1), Vec::new());
        command(Act::Write { session, attachment, seq, identities, operation })
    }

    fn watch(&self, path: &str, seen: Zxid) -> Command {
        let path = ZnodePath::parse(path).expect("a legal path");
        let notes = vec![WatchNote { path, kind: WatchKind::Data, zxid: seen, armed: true }];
        let (session, attachment) = (self.session, Attachment::new(1));
        command(Act::Watch { session, attachment, number: 0, notes, seen })
    }
}

/// A world with so many znodes, and a client in it.
fn world(znodes: usize) -> (Machine, Client) {
    let mut machine = Machine::new();
    let mut client = Client::open(&mut machine, 1);
    for parent in 0..znodes / SIBLINGS {
        apply(&mut machine, &client.write(create_at(&format!("/hosts-{parent}"))));
        for child in 0..SIBLINGS {
            apply(&mut machine, &client.write(create_at(&child_at(parent, child))));
        }
    }
    machine.take_changes();
    (machine, client)
}

fn child_at(parent: usize, child: usize) -> String {
    format!("/hosts-{parent}/host-{child:010}")
}

/// Where there is a znode; for numbers that follow each other, far from each other.
fn path(number: usize) -> String {
    let place = number * 7_919 % ZNODES;
    child_at(place / SIBLINGS, place % SIBLINGS)
}

/// Where there is none yet.
fn new(number: usize) -> String {
    format!("/hosts-3/new-{number:010}")
}

fn create_at(path: &str) -> Write {
    let (path, data, acl) = (path.into(), Some(Bytes::from_static(&DATA)), Some(vec![Acl::open()]));
    Write::Create(Create { path, data, acl, flags: 0, ttl: None, container: false, with_stat: false })
}

fn set_at(path: &str) -> Write {
    Write::SetData { path: path.into(), data: Some(Bytes::from_static(&DATA)), version: Version::ANY }
}

fn command(act: Act) -> Command {
    Command { time: 1, rules: Rules::default(), act }
}
