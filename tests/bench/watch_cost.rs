//! What it costs to arm a watch with a read.
//!
//! `watch-cost [ROUNDS]` reads from three members without watches and with, one after the other, that many times (9 if
//! not said), and prints by how much the second is slower than the first. It asserts nothing about time. With
//! `CORRAL_TEST_SERVER=apache-3.9` it measures Apache ZooKeeper in the same way.
#![allow(clippy::print_stdout, reason = "a program that prints what it measured")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use harness::ask::flags::PERSISTENT;
use harness::tree::pipeline;
use harness::{Ask, Connection, Ensemble, Plan};
use proto::jute::frame;

/// Sessions that read at the same time, spread over the members.
const CONNECTIONS: usize = 32;

/// Requests that each of them has under way.
const IN_FLIGHT: usize = 16;

/// What they read.
const ZNODES: usize = 10_000;
const BYTES: usize = 100;
const ROOT: &str = "/cost";

/// How long a measurement lasts where it is not over when everything has been read once.
const SPELL: Duration = Duration::from_millis(200);

/// Spells of each sort in a round, in turns: what else the machine does then falls on both.
const SPELLS: usize = 6;

/// Changes in a second by the writer in the background.
const WRITES: u32 = 200;

/// Reads of one session that asks for one thing after the other.
const SINGLE: usize = 5_000;

const TIMEOUT_MS: i32 = 60_000;

fn main() {
    let rounds: usize =
        std::env::args().nth(1).map_or(9, |rounds| rounds.parse().expect("a number of rounds"));
    let ensemble = Ensemble::start(&Plan { tick_ms: 2_000, ..Plan::members(3) });
    prepare(&ensemble);
    println!(
        "{CONNECTIONS} connections, {IN_FLIGHT} requests under way on each, {ZNODES} znodes of {BYTES} bytes, \
         three members"
    );

    println!("every read arms a watch that was not armed");
    compare(rounds, 1, |watch| {
        let mut readers = Readers::open(&ensemble);
        let measured = readers.measure(&ensemble, watch, &Until::AllWasRead);
        readers.close();
        measured
    });

    println!("every watch is armed already");
    let mut readers = Readers::open(&ensemble);
    readers.measure(&ensemble, true, &Until::AllWasRead);
    compare(rounds, SPELLS, |watch| readers.measure(&ensemble, watch, &Until::TimeIsUp));
    readers.close();

    println!("while {WRITES} changes a second spend watches, each of up to {CONNECTIONS} sessions");
    let (mut without, mut with) = (Readers::open(&ensemble), Readers::open(&ensemble));
    with.measure(&ensemble, true, &Until::AllWasRead);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| write(&ensemble, &stop));
        compare(rounds, SPELLS, |watch| {
            let readers = if watch { &mut with } else { &mut without };
            readers.measure(&ensemble, watch, &Until::TimeIsUp)
        });
        stop.store(true, Ordering::SeqCst);
    });
    without.close();
    with.close();

    println!("one session that asks for one thing after the other, and arms a watch that was not armed");
    for round in 1..=rounds {
        let (without, with) = (one_by_one(&ensemble, false), one_by_one(&ensemble, true));
        println!("  round {round}: {without} without, {with} with");
    }
}

fn prepare(ensemble: &Ensemble) {
    let (mut connection, _) = Connection::open(ensemble.address(1), TIMEOUT_MS);
    let below = (0..ZNODES).map(|number| Ask::create(&path(number), &[b'x'; BYTES], PERSISTENT));
    let creates: Vec<Ask> = [Ask::create(ROOT, b"", PERSISTENT)].into_iter().chain(below).collect();
    let made = pipeline(&mut connection, &creates).expect("make what is to be read");
    assert!(made.iter().all(|reply| reply.err == 0));
}

fn path(number: usize) -> String {
    format!("{ROOT}/{number:05}")
}

/// Measures without and with watches, one after the other, and prints what that says.
fn compare(rounds: usize, turns: usize, mut measure: impl FnMut(bool) -> Measured) {
    let mut ratios = Vec::new();
    for round in 1..=rounds {
        let (mut without, mut with) = (Measured::default(), Measured::default());
        for _ in 0..turns {
            without.add(&measure(false));
            with.add(&measure(true));
        }
        let ratio = with.rate() / without.rate() * 100.0;
        println!("  round {round}: {without} without, {with} with: {ratio:.1} %");
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    println!(
        "  throughput with watches, of that without: median {:.1} %, from {:.1} % to {:.1} %",
        ratios[ratios.len() / 2],
        ratios[0],
        ratios[ratios.len() - 1]
    );
}

/// When a measurement is over.
enum Until {
    /// When each session has read each znode once.
    AllWasRead,
    /// When a spell is over.
    TimeIsUp,
}

/// What came out.
#[derive(Default)]
struct Measured {
    reads: usize,
    events: usize,
    took: Duration,
    /// What the members used of the processors, until their bookkeeping was done too.
    processors: Duration,
}

impl Measured {
    fn add(&mut self, other: &Self) {
        self.reads += other.reads;
        self.events += other.events;
        self.took += other.took;
        self.processors += other.processors;
    }

    fn rate(&self) -> f64 {
        self.reads as f64 / self.took.as_secs_f64()
    }
}

impl std::fmt::Display for Measured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let each = self.processors.as_secs_f64() * 1e6 / self.reads as f64;
        write!(f, "{:.0} reads/s ({each:.2} µs of the members' processors each", self.rate())?;
        if self.events > 0 {
            write!(f, ", {} events", self.events)?;
        }
        write!(f, ")")
    }
}

/// All sessions that read.
struct Readers(Vec<Reader>);

impl Readers {
    fn open(ensemble: &Ensemble) -> Self {
        let members = ensemble.addresses();
        Self((0..CONNECTIONS).map(|number| Reader::open(number, members[number % members.len()])).collect())
    }

    fn measure(&mut self, ensemble: &Ensemble, watch: bool, until: &Until) -> Measured {
        let processors = processors(ensemble);
        let start = Instant::now();
        let end = start + SPELL;
        let counts: Vec<(usize, usize)> = std::thread::scope(|scope| {
            let threads: Vec<_> = self
                .0
                .iter_mut()
                .map(|reader| {
                    scope.spawn(move || match until {
                        Until::AllWasRead => {
                            let mut left = ZNODES;
                            reader.read(watch, || {
                                left = left.saturating_sub(1);
                                left > 0
                            })
                        }
                        Until::TimeIsUp => reader.read(watch, || Instant::now() < end),
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("a reader reads on")).collect()
        });
        let took = start.elapsed();
        // What a member notes of a session's watches stands in front of the session's next write.
        self.0.iter_mut().for_each(Reader::write_once);
        Measured {
            reads: counts.iter().map(|(reads, _)| reads).sum(),
            events: counts.iter().map(|(_, events)| events).sum(),
            took,
            processors: self::processors(ensemble) - processors,
        }
    }

    fn close(self) {
        for mut reader in self.0 {
            reader.ask(&Ask::close_session());
        }
    }
}

/// One session that reads one znode after the other, as fast as it is answered.
struct Reader {
    stream: TcpStream,
    arrived: BytesMut,
    /// The znode that comes next.
    next: usize,
    /// The requests, by znode. Their last byte says whether a watch is wanted; all have the same number.
    requests: Vec<BytesMut>,
}

impl Reader {
    fn open(number: usize, member: SocketAddr) -> Self {
        let (mut connection, _) = Connection::open(member, TIMEOUT_MS);
        assert_eq!(connection.call(&Ask::sync(ROOT)).err, 0);
        let requests = (0..ZNODES).map(|number| request(&Ask::get_data(&path(number), false))).collect();
        let stream = connection.into_stream();
        Self { stream, arrived: BytesMut::new(), next: number * ZNODES / CONNECTIONS, requests }
    }

    /// Reads while there is `more`, asked after each request. Says how many reads were answered and how many events
    /// came.
    fn read(&mut self, watch: bool, mut more: impl FnMut() -> bool) -> (usize, usize) {
        let (mut reads, mut events, mut under_way, mut on) = (0, 0, 0, true);
        let mut out = Vec::new();
        while on || under_way > 0 {
            out.clear();
            while on && under_way < IN_FLIGHT {
                let request = &mut self.requests[self.next];
                self.next = (self.next + 1) % ZNODES;
                if let Some(last) = request.last_mut() {
                    *last = u8::from(watch);
                }
                out.extend_from_slice(request);
                under_way += 1;
                on = more();
            }
            self.stream.write_all(&out).expect("the member takes requests");
            let (answers, told) = self.receive();
            reads += answers;
            events += told;
            under_way -= answers;
        }
        (reads, events)
    }

    /// Takes what has arrived, at least one packet. Says how many answers and how many events.
    fn receive(&mut self) -> (usize, usize) {
        let (mut answers, mut events) = (0, 0);
        while answers + events == 0 {
            let mut chunk = [0; 64 << 10];
            let count = self.stream.read(&mut chunk).expect("the member answers");
            assert!(count > 0, "the member hung up");
            self.arrived.extend_from_slice(&chunk[..count]);
            while let Some(packet) = frame::take(&mut self.arrived, 1 << 20).expect("frames have a length") {
                if packet[..4] == (-1_i32).to_be_bytes() {
                    events += 1;
                } else {
                    assert_eq!(packet[12..16], [0; 4], "a refusal");
                    answers += 1;
                }
            }
        }
        (answers, events)
    }

    fn write_once(&mut self) {
        self.ask(&Ask::set_data(ROOT, b"", -1));
    }

    fn ask(&mut self, ask: &Ask) {
        self.stream.write_all(&request(ask)).expect("the member takes requests");
        while self.receive().0 == 0 {}
    }
}

fn request(ask: &Ask) -> BytesMut {
    let mut bytes = BytesMut::new();
    ask.put(&mut bytes, 1);
    bytes
}

/// Changes znodes, at a steady rate.
fn write(ensemble: &Ensemble, stop: &AtomicBool) {
    let (mut connection, _) = Connection::open(ensemble.address(1), TIMEOUT_MS);
    let start = Instant::now();
    for written in 0.. {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let changed = connection.call(&Ask::set_data(&path(fastrand::usize(..ZNODES)), &[b'y'; BYTES], -1));
        assert_eq!(changed.err, 0);
        let due = start + Duration::from_secs(1) * written / WRITES;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    connection.call(&Ask::close_session());
}

/// How long a session waits that has one request under way.
struct Waits {
    median: Duration,
    p99: Duration,
}

impl std::fmt::Display for Waits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "median {} µs, p99 {} µs", self.median.as_micros(), self.p99.as_micros())
    }
}

fn one_by_one(ensemble: &Ensemble, watch: bool) -> Waits {
    let mut reader = Reader::open(0, ensemble.address(2));
    let mut waits: Vec<Duration> = (0..SINGLE)
        .map(|_| {
            let start = Instant::now();
            reader.read(watch, || false);
            start.elapsed()
        })
        .collect();
    reader.ask(&Ask::close_session());
    waits.sort_unstable();
    Waits { median: waits[SINGLE / 2], p99: waits[SINGLE * 99 / 100] }
}

/// What the members have used of the processors so far. The kernel counts it in hundredths of a second.
fn processors(ensemble: &Ensemble) -> Duration {
    let used = |id| {
        let pid = ensemble.pid(id).expect("the members run");
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("this is measured on Linux");
        // Behind the name, which may hold anything.
        let (_, fields) = stat.rsplit_once(')').expect("the name stands in parentheses");
        let ticks = |field| fields.split_whitespace().nth(field)?.parse::<u64>().ok();
        ticks(11).unwrap_or_default() + ticks(12).unwrap_or_default()
    };
    Duration::from_millis(10) * u32::try_from(ensemble.ids().map(used).sum::<u64>()).unwrap_or(u32::MAX)
}
