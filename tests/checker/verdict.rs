//! What may be found wrong with a history.

use std::collections::BTreeMap;
use std::fmt;

use super::history::OpId;

/// A promise that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// What was acknowledged is there no more.
    Lost,
    /// A read shows the tree as it was before the zxid that it names.
    Stale,
    /// A read shows what was written behind the zxid that it names.
    Future,
    /// Of a multi only a part is to be seen.
    HalfMulti,
    /// A write was done more than once.
    Twice,
    /// Something was done after what its session did later.
    Late,
    /// A Stat says of a znode what never was.
    Stat,
    /// An ephemeral znode is there and its session has ended.
    Outlived,
    /// An ephemeral znode, or a session, went while its client lived.
    GoneEarly,
    /// A sequential number was given twice, or a smaller one after a larger one.
    Sequence,
    /// What was invoked after something had returned has a smaller zxid.
    RealTime,
    /// A sync was answered by a member that had not applied what was acknowledged before.
    Sync,
    /// The zxid of a session's replies went back.
    ZxidBack,
    /// Replies of a session came in another order than its requests.
    ReplyOrder,
    /// Two transactions have one zxid.
    SameZxid,
    /// No order of what was done explains what was told of one znode.
    NotLinearizable,
    /// What was told fits nothing that is known to have happened.
    Unexplained,
}

/// A finding.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Of which rule.
    pub rule: Rule,
    /// In words.
    pub text: String,
    /// The operation at which it was seen.
    pub at: Option<OpId>,
}

/// What a history comes to.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// What is wrong, in the order in which it was found.
    pub violations: Vec<Violation>,
    /// What was looked at.
    pub counts: Counts,
}

/// What was looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Sessions.
    pub sessions: u64,
    /// Connections.
    pub connections: u64,
    /// Writes that were answered.
    pub writes: u64,
    /// Of them refused.
    pub refused: u64,
    /// Reads and syncs that were answered.
    pub reads: u64,
    /// Writes without an answer.
    pub unknown: u64,
    /// Of them found to have been done.
    pub found_done: u64,
    /// Ends of sessions that nobody acknowledged and that were seen.
    pub ends: u64,
    /// Histories of single znodes that were searched for an order.
    pub searched: u64,
    /// Of them those for which no answer was found in time.
    pub undecided: u64,
}

impl Counts {
    /// Adds what another history came to.
    pub fn add(&mut self, other: &Self) {
        self.sessions += other.sessions;
        self.connections += other.connections;
        self.writes += other.writes;
        self.refused += other.refused;
        self.reads += other.reads;
        self.unknown += other.unknown;
        self.found_done += other.found_done;
        self.ends += other.ends;
        self.searched += other.searched;
        self.undecided += other.undecided;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} sessions, {} connections, {} writes ({} refused), {} reads, {} unknown writes ({} found done), \
             {} unacknowledged ends of sessions, {} znodes searched ({} undecided)",
            self.sessions,
            self.connections,
            self.writes,
            self.refused,
            self.reads,
            self.unknown,
            self.found_done,
            self.ends,
            self.searched,
            self.undecided
        )
    }
}

impl Verdict {
    /// Notes a finding.
    pub(super) fn say(&mut self, rule: Rule, at: Option<OpId>, text: String) {
        self.violations.push(Violation { rule, text, at });
    }

    /// How often each rule was broken.
    pub fn rules(&self) -> BTreeMap<Rule, usize> {
        let mut rules = BTreeMap::new();
        for violation in &self.violations {
            *rules.entry(violation.rule).or_default() += 1;
        }
        rules
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.counts)?;
        if self.violations.is_empty() {
            return f.write_str("; nothing is wrong");
        }
        write!(f, "\n{} violations: {:?}", self.violations.len(), self.rules())?;
        for violation in self.violations.iter().take(8) {
            write!(f, "\n  {:?}: {}", violation.rule, violation.text)?;
        }
        Ok(())
    }
}
