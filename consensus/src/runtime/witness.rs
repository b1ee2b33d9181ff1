//! Sees everything that happens in a simulation, and says when a promise is broken.
#![allow(clippy::print_stdout, reason = "whoever looks into a seed wants to read what happens in it")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use machine::Applied;
use parking_lot::Mutex;
use proto::Zxid;

/// How often what happened.
pub(crate) type Counts = BTreeMap<&'static str, u64>;

/// More than any simulation needs.
const EVENTS_MAX: u64 = 5_000_000;

/// What is known of one simulation.
#[derive(Default)]
pub(crate) struct Witness {
    inner: Mutex<Inner>,
    /// When the simulation began.
    begun: Option<tokio::time::Instant>,
    /// Whether to print everything as it happens.
    aloud: bool,
}

#[derive(Default)]
struct Inner {
    trace: u64,
    events: u64,
    counts: Counts,
    /// Of them, which are faults.
    faults: BTreeSet<&'static str>,
    broken: Option<String>,
    /// Of each entry, by term and index: its bytes, and the term of the one in front of it where that was seen.
    entries: BTreeMap<(u64, u64), (u64, Option<u64>)>,
    /// Of each place in the log that was applied anywhere: the term of the entry.
    committed: BTreeMap<u64, u64>,
    /// Of each place in the log up to which some member had applied: what its state came to.
    states: BTreeMap<u64, u64>,
    /// Of each place in the log at which some member's world was looked at: what it came to.
    worlds: BTreeMap<u64, u64>,
    /// Of each transaction: what it came to where it was applied first.
    outcomes: BTreeMap<Zxid, Applied>,
    /// Of each term: who led.
    leaders: BTreeMap<u64, u64>,
}

impl Witness {
    pub(crate) fn new(aloud: bool) -> Self {
        Self { inner: Mutex::default(), begun: Some(tokio::time::Instant::now()), aloud }
    }

    /// Milliseconds since the simulation began.
    pub(crate) fn now(&self) -> u64 {
        self.begun.map_or(0, |begun| u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// Notes that something happened.
    pub(crate) fn note(&self, what: &'static str, numbers: &[u64]) {
        let now = self.now();
        let mut inner = self.inner.lock();
        *inner.counts.entry(what).or_default() += 1;
        inner.events += 1;
        assert!(inner.events < EVENTS_MAX, "it goes round and round at {now} ms: {:?}", inner.counts);
        let mut trace = mix(inner.trace, bytes(what.as_bytes()));
        trace = mix(trace, now);
        for number in numbers {
            trace = mix(trace, *number);
        }
        inner.trace = trace;
        drop(inner);
        if self.aloud {
            println!("{now:>7} {what} {numbers:?}");
        }
    }

    /// Notes that something was done that does harm.
    pub(crate) fn fault(&self, what: &'static str, numbers: &[u64]) {
        self.note(what, numbers);
        self.inner.lock().faults.insert(what);
    }

    /// A promise is broken. The first one counts.
    pub(crate) fn broken(&self, how: &str) {
        let now = self.now();
        if self.aloud {
            println!("{now:>7} BROKEN {how}");
        }
        self.inner.lock().broken.get_or_insert_with(|| format!("at {now} ms: {how}"));
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.inner.lock().broken.is_some()
    }

    pub(crate) fn verdict(&self) -> Option<String> {
        self.inner.lock().broken.clone()
    }

    /// The same for the same run.
    pub(crate) fn trace(&self) -> u64 {
        self.inner.lock().trace
    }

    /// How often each fault was done, and everything else happened.
    pub(crate) fn counts(&self) -> (Counts, Counts) {
        let inner = self.inner.lock();
        inner.counts.iter().partition(|(what, _)| inner.faults.contains(*what))
    }

    /// How much happened at all.
    pub(crate) fn steps(&self) -> u64 {
        self.inner.lock().events
    }

    /// A member wrote an entry behind one of the term `before`, if it has that one still.
    pub(crate) fn wrote(&self, member: u64, term: u64, index: u64, before: Option<u64>, record: &[u8]) {
        let hash = bytes(record);
        self.note("entries written", &[member, term, index, hash]);
        let known = {
            let mut inner = self.inner.lock();
            let known = inner.entries.entry((term, index)).or_insert((hash, before));
            known.1 = known.1.or(before);
            *known
        };
        if known.0 != hash || before.is_some_and(|before| known.1 != Some(before)) {
            self.broken(&format!(
                "logs do not match: the entry {index} of term {term} of member {member} is another than was known \
                 ({:?} and {known:?})",
                (hash, before)
            ));
        }
    }

    /// A member applied the log up to there, and its state came to `state`.
    pub(crate) fn applied(&self, member: u64, term: u64, index: u64, state: u64) {
        self.note("places applied", &[member, term, index, state]);
        let mut inner = self.inner.lock();
        let known = *inner.committed.entry(index).or_insert(term);
        let seen = *inner.states.entry(index).or_insert(state);
        drop(inner);
        if known != term {
            self.broken(&format!(
                "what was committed was taken back: member {member} applied entry {index} of term {term}, and another had \
                 applied one of term {known}"
            ));
        } else if seen != state {
            self.broken(&format!(
                "states differ: that of member {member} is another than was seen behind entry {index}"
            ));
        }
    }

    /// A member's world was looked at behind this entry.
    pub(crate) fn looked_at(&self, member: u64, index: u64, world: u64) {
        self.note("worlds looked at", &[member, index, world]);
        let known = *self.inner.lock().worlds.entry(index).or_insert(world);
        if known != world {
            self.broken(&format!(
                "worlds differ: that of member {member} is another than was seen behind entry {index}"
            ));
        }
    }

    /// A member saw a transaction come to this.
    pub(crate) fn came_to(&self, member: u64, applied: &Applied) {
        let zxid = applied.zxid;
        let is_known = {
            let mut inner = self.inner.lock();
            let known = inner.outcomes.entry(zxid).or_insert_with(|| applied.clone());
            known.verdict == applied.verdict && known.changes == applied.changes
        };
        if !is_known {
            self.broken(&format!(
                "transaction {:x} came to something else on member {member} than on another",
                zxid.get()
            ));
        }
    }

    /// A member leads.
    pub(crate) fn leads(&self, member: u64, term: u64) {
        let known = *self.inner.lock().leaders.entry(term).or_insert(member);
        if known != member {
            self.broken(&format!("term {term} has two leaders, {known} and {member}"));
        }
    }

    pub(crate) fn terms(&self) -> u64 {
        self.inner.lock().leaders.len() as u64
    }
}

pub(crate) fn mix(hash: u64, number: u64) -> u64 {
    (hash ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
}

pub(crate) fn bytes(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let hash = words.iter().fold(bytes.len() as u64, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    rest.iter().fold(hash, |hash, byte| mix(hash, u64::from(*byte)))
}

/// Counts in one line.
pub(crate) fn line(counts: &Counts) -> String {
    let mut line = String::new();
    for (what, count) in counts {
        let _ = write!(line, "{}{what} {count}", if line.is_empty() { "" } else { ", " });
    }
    line
}
