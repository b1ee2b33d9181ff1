//! Many sessions that write all the time, and note down what they were told.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::ask::flags;
use crate::session::{Answer, Gone, Session};
use crate::{Ask, wait};

/// Under what all of it happens.
pub const ROOT: &str = "/load";

/// A znode whose version counts the writes of all sessions.
pub const SHARED: &str = "/load/shared";

/// Longer than any fault that a test makes.
const TIMEOUT_MS: i32 = 20_000;

/// What one session wrote, as far as it knows.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// Number of the session within the load.
    pub number: usize,
    /// The session.
    pub session: i64,
    /// Creates under a name of their own, persistent and ephemeral: path → whether it was acknowledged.
    pub named: BTreeMap<String, bool>,
    /// Which of them are ephemeral.
    pub ephemeral: BTreeSet<String>,
    /// Sequential creates that were acknowledged: path → what they hold.
    pub sequential: BTreeMap<String, String>,
    /// What sequential creates hold that were not.
    pub sequential_unknown: BTreeSet<String>,
    /// Writes of the session's own counter that were acknowledged, and that were not.
    pub counter: Count,
    /// Writes of [`SHARED`].
    pub shared: Count,
    /// How many connections broke under the session.
    pub broken: u32,
    /// What should never have been said to the session.
    pub violations: Vec<String>,
}

/// Writes of one znode.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count {
    /// How many were acknowledged.
    pub acknowledged: i32,
    /// How many may have been done or not.
    pub unknown: i32,
    /// The version after the last acknowledged one.
    pub version: i32,
}

impl Ledger {
    /// The znode that the session's own things are under.
    pub fn home(&self) -> String {
        home(self.number)
    }
}

fn home(number: usize) -> String {
    format!("{ROOT}/s{number}")
}

/// What a create under a name of its own, or a sequential one, holds.
pub fn value(number: usize, step: u64) -> String {
    format!("s{number}-{step}")
}

/// The sessions, until dropped.
#[derive(Debug)]
pub struct Load {
    workers: Vec<Worker>,
    control: Arc<Control>,
}

#[derive(Debug)]
struct Worker {
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    ledger: Mutex<Ledger>,
    acknowledged: AtomicU64,
    quiet: AtomicBool,
    ended: AtomicBool,
}

#[derive(Debug, Default)]
struct Control {
    pause: AtomicBool,
    stop: AtomicBool,
}

impl Load {
    /// Starts `sessions` sessions, each first attached to another member.
    ///
    /// # Panics
    /// If a session cannot be opened.
    pub fn start(members: &[SocketAddr], sessions: usize) -> Self {
        let mut first = Session::open(members, TIMEOUT_MS).expect("open a session to prepare the load");
        for path in [ROOT.to_owned(), SHARED.to_owned()].into_iter().chain((0..sessions).map(home)) {
            let created =
                first.insist(&Ask::create(&path, b"", flags::PERSISTENT)).expect("prepare the load");
            assert!([0, -110].contains(&created.err), "create {path}: {created:?}");
        }
        for number in 0..sessions {
            let path = format!("{}/counter", home(number));
            let created =
                first.insist(&Ask::create(&path, b"", flags::PERSISTENT)).expect("prepare the load");
            assert!([0, -110].contains(&created.err), "create {path}: {created:?}");
        }
        let _closed = first.call(&Ask::close_session());

        let control = Arc::new(Control::default());
        let workers = (0..sessions)
            .map(|number| {
                let mut members = members.to_vec();
                let first = number % members.len().max(1);
                members.rotate_left(first);
                let session = Session::open(&members, TIMEOUT_MS).expect("open a session of the load");
                let shared = Arc::new(Shared::default());
                {
                    let mut ledger = shared.ledger.lock().unwrap_or_else(PoisonError::into_inner);
                    ledger.number = number;
                    ledger.session = session.id();
                }
                let writer = Writer { session, shared: Arc::clone(&shared), number, step: 0 };
                let control = Arc::clone(&control);
                let thread = std::thread::spawn(move || writer.run(&control));
                Worker { thread: Some(thread), shared }
            })
            .collect();
        Self { workers, control }
    }

    /// How many writes were acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.workers.iter().map(|worker| worker.shared.acknowledged.load(Ordering::SeqCst)).sum()
    }

    /// Waits until every session has had `more` writes acknowledged from now on.
    ///
    /// # Panics
    /// If writes do not go on.
    #[track_caller]
    pub fn progress(&self, more: u64) {
        let count = |worker: &Worker| worker.shared.acknowledged.load(Ordering::SeqCst);
        let start: Vec<u64> = self.workers.iter().map(count).collect();
        for (worker, start) in self.workers.iter().zip(start) {
            let what = format!("a session had {more} more writes acknowledged");
            wait::until(&what, || {
                let ended = worker.shared.ended.load(Ordering::SeqCst);
                let violations =
                    &worker.shared.ledger.lock().unwrap_or_else(PoisonError::into_inner).violations;
                assert!(!ended, "a session of the load ended by itself: {violations:?}");
                (count(worker) >= start + more).then_some(())
            });
        }
    }

    /// Lets all sessions come to rest, connected, with nothing on its way; they live on. Returns what they know.
    ///
    /// # Panics
    /// If they do not come to rest.
    #[track_caller]
    pub fn pause(&self) -> Vec<Ledger> {
        for worker in &self.workers {
            worker.shared.quiet.store(false, Ordering::SeqCst);
        }
        self.control.pause.store(true, Ordering::SeqCst);
        for worker in &self.workers {
            wait::until("all sessions of the load were connected and at rest", || {
                let ended = worker.shared.ended.load(Ordering::SeqCst);
                (ended || worker.shared.quiet.load(Ordering::SeqCst)).then_some(())
            });
        }
        self.ledgers()
    }

    /// Goes on after [`Self::pause`].
    pub fn resume(&self) {
        self.control.pause.store(false, Ordering::SeqCst);
    }

    /// What the sessions know so far.
    pub fn ledgers(&self) -> Vec<Ledger> {
        let ledger =
            |worker: &Worker| worker.shared.ledger.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.workers.iter().map(ledger).collect()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.control.stop.store(true, Ordering::SeqCst);
        // While a test fails nobody waits for sessions whose members may be gone.
        if !std::thread::panicking() {
            for thread in self.workers.iter_mut().filter_map(|worker| worker.thread.take()) {
                let _ended = thread.join();
            }
        }
    }
}

struct Writer {
    session: Session,
    shared: Arc<Shared>,
    number: usize,
    step: u64,
}

impl Writer {
    fn run(mut self, control: &Control) {
        let mut going = Ok(());
        while going.is_ok() && !control.stop.load(Ordering::SeqCst) {
            going = if control.pause.load(Ordering::SeqCst) { self.rest() } else { self.write() };
            self.note(|ledger, session| ledger.broken = session.broken);
        }
        if let Err(gone) = going {
            self.note(|ledger, _| ledger.violations.push(format!("the session is gone: {gone:?}")));
        } else {
            let _closed = self.session.call(&Ask::close_session());
        }
        self.shared.ended.store(true, Ordering::SeqCst);
    }

    fn note(&mut self, write: impl FnOnce(&mut Ledger, &Session)) {
        write(&mut self.shared.ledger.lock().unwrap_or_else(PoisonError::into_inner), &self.session);
    }

    fn rest(&mut self) -> Result<(), Gone> {
        if matches!(self.session.call(&Ask::ping())?, Answer::Reply(_)) {
            self.shared.quiet.store(true, Ordering::SeqCst);
        }
        std::thread::sleep(Duration::from_millis(100));
        Ok(())
    }

    fn write(&mut self) -> Result<(), Gone> {
        self.step += 1;
        let home = home(self.number);
        self.write_named(format!("{home}/n{}", self.step), flags::PERSISTENT)?;
        self.write_sequential(&format!("{home}/q-"))?;
        if self.step % 16 == 1 {
            self.write_named(format!("{home}/e{}", self.step), flags::EPHEMERAL)?;
        }
        self.count(&format!("{home}/counter"), |ledger| &mut ledger.counter)?;
        self.count(SHARED, |ledger| &mut ledger.shared)?;
        self.read_own_write(&format!("{home}/counter"))
    }

    /// Calls, and counts what was acknowledged. What is refused is a violation: nothing here may be.
    fn attempt(&mut self, ask: &Ask) -> Result<Answer, Gone> {
        let answer = self.session.call(ask)?;
        if let Answer::Reply(reply) = &answer {
            if reply.err == 0 {
                self.shared.acknowledged.fetch_add(1, Ordering::SeqCst);
            } else {
                // -110 here means that a create which was sent once was done twice.
                let refused = format!("{ask:?} was refused with {}", reply.err);
                self.note(|ledger, _| ledger.violations.push(refused));
            }
        }
        Ok(answer)
    }

    fn write_named(&mut self, path: String, flags: i32) -> Result<(), Gone> {
        let answer = self.attempt(&Ask::create(&path, value(self.number, self.step).as_bytes(), flags))?;
        self.note(|ledger, _| {
            if flags == flags::EPHEMERAL {
                ledger.ephemeral.insert(path.clone());
            }
            ledger.named.insert(path, matches!(answer, Answer::Reply(_)));
        });
        Ok(())
    }

    fn write_sequential(&mut self, stem: &str) -> Result<(), Gone> {
        let value = value(self.number, self.step);
        let answer = self.attempt(&Ask::create(stem, value.as_bytes(), flags::SEQUENTIAL))?;
        self.note(|ledger, _| match answer {
            Answer::Reply(reply) if reply.err == 0 => {
                if ledger.sequential.insert(reply.path(), value).is_some() {
                    ledger.violations.push(format!("{} was given out twice", reply.path()));
                }
            }
            Answer::Reply(_) => {}
            Answer::Unknown => {
                ledger.sequential_unknown.insert(value);
            }
        });
        Ok(())
    }

    fn count(&mut self, path: &str, counter: fn(&mut Ledger) -> &mut Count) -> Result<(), Gone> {
        let answer = self.attempt(&Ask::set_data(path, value(self.number, self.step).as_bytes(), -1))?;
        self.note(|ledger, _| {
            let count = counter(ledger);
            match answer {
                Answer::Reply(reply) if reply.err == 0 => {
                    let (before, now) = (count.version, reply.stat().version);
                    count.acknowledged += 1;
                    count.version = now;
                    if now <= before {
                        ledger.violations.push(format!("{path} went from version {before} to {now}"));
                    }
                }
                Answer::Reply(_) => {}
                Answer::Unknown => count.unknown += 1,
            }
        });
        Ok(())
    }

    /// What a session wrote, it sees, on whatever member it is.
    fn read_own_write(&mut self, path: &str) -> Result<(), Gone> {
        if let Answer::Reply(reply) = self.session.call(&Ask::get_data(path, false))? {
            self.note(|ledger, _| match reply.err {
                0 if reply.data().1.version >= ledger.counter.version => {}
                _ => ledger
                    .violations
                    .push(format!("{path} does not show the session its own write: {reply:?}")),
            });
        }
        Ok(())
    }
}
