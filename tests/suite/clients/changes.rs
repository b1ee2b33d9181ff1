//! Changes of a subtree by one writer, who knows of each whether it was made.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use harness::ask::flags::PERSISTENT;
use harness::{Answer, Ask, Session};

/// The subtree.
pub(crate) const ROOT: &str = "/changes";

pub(crate) const CREATED: i32 = 1;
pub(crate) const DELETED: i32 = 2;
pub(crate) const DATA_CHANGED: i32 = 3;

/// What a persistent recursive watch on [`ROOT`] is to be told of a change: what happened, and where.
pub(crate) type Event = (i32, String);

/// The writer, at work when told to be.
pub(crate) struct Changes {
    orders: Sender<usize>,
    done: Receiver<()>,
    thread: JoinHandle<Vec<Event>>,
}

impl Changes {
    /// Makes the root, and a writer who goes to the next of `members` when one dies.
    pub(crate) fn prepare(members: &[SocketAddr]) -> Self {
        let seed = fastrand::u64(..);
        eprintln!("changes by the seed {seed:#x}");
        let mut session = Session::open(members, 40_000).unwrap();
        assert_eq!(session.insist(&Ask::create(ROOT, b"", PERSISTENT)).unwrap().err, 0);
        let (orders, ordered) = channel();
        let (finished, done) = channel();
        let thread = std::thread::spawn(move || {
            let rng = fastrand::Rng::with_seed(seed);
            let mut writer = Writer { session, rng, znodes: BTreeMap::new(), made: Vec::new() };
            for count in ordered {
                let end = writer.made.len() + count;
                while writer.made.len() < end {
                    writer.step();
                }
                let _noticed = finished.send(());
            }
            writer.made
        });
        Self { orders, done, thread }
    }

    /// Lets the writer make at least `count` changes, and does not wait for them.
    pub(crate) fn begin(&self, count: usize) {
        self.orders.send(count).expect("the writer lives");
    }

    /// Waits until what was begun is made.
    pub(crate) fn wait(&self) {
        self.done.recv().expect("the writer lives");
    }

    /// Makes at least `count` changes.
    pub(crate) fn make(&self, count: usize) {
        self.begin(count);
        self.wait();
    }

    /// All changes that were made, in their order.
    pub(crate) fn finish(self) -> Vec<Event> {
        drop(self.orders);
        self.thread.join().expect("the writer knows of each change whether it was made")
    }
}

/// When a znode was made, and how often it was written since.
type Life = (i64, i32);

struct Writer {
    session: Session,
    rng: fastrand::Rng,
    znodes: BTreeMap<String, Life>,
    made: Vec<Event>,
}

impl Writer {
    /// One, two or three changes of one znode.
    fn step(&mut self) {
        let folder = format!("{ROOT}/{}", self.rng.usize(..6));
        let path = format!("{folder}/{}", self.rng.usize(..6));
        if !self.znodes.contains_key(&folder) {
            return self.create(&folder);
        }
        match (self.znodes.contains_key(&path), self.rng.usize(..5)) {
            (false, 0) => {
                self.create(&path);
                self.delete(&path);
            }
            (false, 1) => {
                self.create(&path);
                self.set(&path);
                self.delete(&path);
            }
            (false, _) => self.create(&path),
            (true, 0) => self.delete(&path),
            (true, 1) => {
                self.delete(&path);
                self.create(&path);
            }
            (true, 2) => self.replace(&path),
            (true, _) => self.set(&path),
        }
    }

    fn create(&mut self, path: &str) {
        let value = self.value();
        self.change(path, &Ask::create(path, &value, PERSISTENT), &[CREATED]);
    }

    fn set(&mut self, path: &str) {
        let value = self.value();
        self.change(path, &Ask::set_data(path, &value, -1), &[DATA_CHANGED]);
    }

    fn delete(&mut self, path: &str) {
        self.change(path, &Ask::delete(path), &[DELETED]);
    }

    /// Deleted and made again at one blow.
    fn replace(&mut self, path: &str) {
        let value = self.value();
        let both = Ask::multi(&[Ask::delete(path), Ask::create(path, &value, PERSISTENT)]);
        self.change(path, &both, &[DELETED, CREATED]);
    }

    fn value(&self) -> Vec<u8> {
        format!("change-{}", self.made.len()).into_bytes()
    }

    /// Asks until it is done, and never does it twice: where the connection broke in between, looks.
    fn change(&mut self, path: &str, ask: &Ask, events: &[i32]) {
        let before = self.znodes.get(path).copied();
        loop {
            let answer = self.session.call(ask).expect("the writer keeps its session");
            if let Answer::Reply(reply) = &answer {
                assert_eq!(reply.err, 0, "nobody else writes at {path}");
            }
            let now = self.look(path);
            if now != before {
                match now {
                    Some(life) => self.znodes.insert(path.to_owned(), life),
                    None => self.znodes.remove(path),
                };
                self.made.extend(events.iter().map(|kind| (*kind, path.to_owned())));
                return;
            }
            assert!(matches!(answer, Answer::Unknown), "{path} was changed, and that does not show");
        }
    }

    fn look(&mut self, path: &str) -> Option<Life> {
        let reply = self.session.insist(&Ask::exists(path, false)).expect("the writer keeps its session");
        (reply.err == 0).then(|| (reply.stat().czxid, reply.stat().version))
    }
}
