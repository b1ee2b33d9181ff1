//! What was asked and what was said, in numbers.

use std::collections::BTreeMap;
use std::fmt;

use super::line::{Line, Said};
use super::record;
use super::step::Ask;
use super::wanted::WANTED;

/// The numbers.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Requests, and what was answered: by operation, then by code.
    pub replies: BTreeMap<i32, BTreeMap<i32, u64>>,
    /// Codes inside the answers to multis.
    pub inner: BTreeMap<i32, u64>,
    /// Requests that were not answered, because the connection ended.
    pub unanswered: u64,
    /// Answers to requests of the driver's own, which show that everything was said.
    pub barriers: u64,
    /// Notifications, by kind.
    pub events: BTreeMap<String, u64>,
    /// Greetings.
    pub greetings: u64,
    /// Times that a server hung up.
    pub ends: u64,
    /// Wanted differences, by their place in the list.
    pub wanted: BTreeMap<usize, u64>,
    /// Sequences.
    pub seeds: u64,
}

impl Tally {
    /// Counts requests, and what both said to them.
    pub(super) fn count(&mut self, asks: &[Ask], lines: &[Line]) {
        let mut answered = 0;
        for line in lines {
            match line.said {
                Said::Reply(place) => {
                    answered += 1;
                    let op = asks.get(place).map_or(0, |ask| ask.op);
                    // To createSession ZooKeeper answers with what is no header.
                    let err = if op == -10 { 0 } else { line.field("err").parse().unwrap_or(i32::MIN) };
                    *self.replies.entry(op).or_default().entry(err).or_default() += 1;
                    let inner = line.fields.iter().filter(|(name, _)| name.ends_with(".err"));
                    for code in inner.filter_map(|(_, code)| code.parse().ok()) {
                        *self.inner.entry(code).or_default() += 1;
                    }
                }
                Said::Barrier => self.barriers += 1,
                Said::Event => *self.events.entry(line.field("type").to_owned()).or_default() += 1,
                Said::Welcome => self.greetings += 1,
                Said::End => self.ends += 1,
                Said::Silence => {}
            }
        }
        self.unanswered += (asks.len() - answered.min(asks.len())) as u64;
    }

    /// How many requests were sent.
    pub fn requests(&self) -> u64 {
        self.replies.values().flat_map(BTreeMap::values).sum::<u64>() + self.unanswered
    }

    /// Adds another's numbers.
    pub fn merge(&mut self, other: &Self) {
        for (op, codes) in &other.replies {
            for (code, count) in codes {
                *self.replies.entry(*op).or_default().entry(*code).or_default() += count;
            }
        }
        for (code, count) in &other.inner {
            *self.inner.entry(*code).or_default() += count;
        }
        for (kind, count) in &other.events {
            *self.events.entry(kind.clone()).or_default() += count;
        }
        for (number, count) in &other.wanted {
            *self.wanted.entry(*number).or_default() += count;
        }
        self.unanswered += other.unanswered;
        self.barriers += other.barriers;
        self.greetings += other.greetings;
        self.ends += other.ends;
        self.seeds += other.seeds;
    }

    /// Wanted differences that were never seen.
    pub fn unused(&self) -> Vec<&'static str> {
        let unused = WANTED.iter().enumerate().filter(|(number, _)| !self.wanted.contains_key(number));
        unused.map(|(_, wanted)| wanted.name).collect()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} requests in {} sequences", self.requests(), self.seeds)?;
        for (op, codes) in &self.replies {
            let total: u64 = codes.values().sum();
            write!(f, "  {:<22}{total:>9} ", record::name(*op))?;
            // Success first, then refusals as they are numbered.
            codes.iter().rev().try_for_each(|(code, count)| write!(f, " {code}: {count}"))?;
            writeln!(f)?;
        }
        write!(f, "  inside multis:")?;
        self.inner.iter().rev().try_for_each(|(code, count)| write!(f, " {code}: {count}"))?;
        writeln!(f, "\n  not answered: {}; hung up: {}", self.unanswered, self.ends)?;
        write!(f, "notifications:")?;
        self.events.iter().try_for_each(|(kind, count)| write!(f, " type {kind}: {count}"))?;
        writeln!(f, "\ngreetings: {}; answers to barriers: {}", self.greetings, self.barriers)?;
        writeln!(f, "wanted differences:")?;
        for (number, wanted) in WANTED.iter().enumerate() {
            let count = self.wanted.get(&number).copied().unwrap_or_default();
            writeln!(f, "  {count:>9} {} (PROTOCOL {}): {}", wanted.name, wanted.marked, wanted.why)?;
        }
        Ok(())
    }
}
