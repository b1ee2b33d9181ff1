//! Changes in the order in which they happened, in runs that are taken and left as wholes.

use std::collections::VecDeque;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashSet;
use proto::path::ancestors;
use proto::{ZnodePath, Zxid};
use smallvec::SmallVec;

use super::stems::{Hashed, Stems};
use super::{HistoryRecord, PastChange};

/// Changes that are kept together: they have their stems in common, and their memory. Who looks for a subtree must read
/// every run in which something happened there, so runs are short.
const RUN: u64 = 64;

/// Where a change stands among all that this member has recorded.
pub(crate) type Place = u64;

/// One change in its place.
#[derive(Debug)]
pub(crate) struct Past {
    /// The transaction.
    pub(crate) zxid: Zxid,
    /// What it did.
    pub(crate) change: PastChange,
    /// How many places back the change before it stands in the chain of its path, or in that of its parent's children.
    /// 0 if there is none; and if something else stands there, there is none either.
    pub(super) back: [u32; 2],
}

/// Changes from `first` up to `next`.
#[derive(Debug, Default)]
pub(super) struct Runs {
    runs: VecDeque<Run>,
    first: Place,
    next: Place,
    // Its seed is drawn anew in each process, so that no client can choose paths that fall together.
    hasher: RandomState,
}

#[derive(Debug)]
struct Run {
    changes: Vec<Past>,
    stems: Stems,
}

impl Runs {
    /// The place of the oldest change.
    pub(super) fn first(&self) -> Place {
        self.first
    }

    /// The place that comes next.
    pub(super) fn next(&self) -> Place {
        self.next
    }

    /// The change at a place between the two.
    pub(super) fn at(&self, place: Place) -> &Past {
        let run = &self.runs[(place / RUN - self.first / RUN) as usize];
        &run.changes[(place % RUN) as usize]
    }

    /// Takes in a change at the place that comes next.
    pub(super) fn push(&mut self, past: Past) {
        if self.next.is_multiple_of(RUN) {
            self.runs.push_back(Run { changes: Vec::with_capacity(RUN as usize), stems: Stems::default() });
        }
        self.next += 1;
        let hash = |path: &str| Hashed(self.hasher.hash_one(path));
        let Some(run) = self.runs.back_mut() else { return };
        let path = &past.change.path;
        run.stems.add(hash(path));
        // Neighbours in time are often siblings, and a parent that is noted has all its ancestors noted.
        let before = run.changes.last().and_then(|before| before.change.path.parent());
        if before.is_none() || before != path.parent() {
            ancestors(path).for_each(|path| run.stems.add(hash(path)));
        }
        run.changes.push(past);
    }

    /// Lets go of the oldest change. Its memory is given back when all of its run is out.
    pub(super) fn pop(&mut self) {
        self.first += 1;
        if self.first.is_multiple_of(RUN)
            && let Some(run) = self.runs.pop_front()
        {
            run.tear_down();
        }
    }

    /// What happened after `since` at these paths and everywhere below them, in order.
    pub(super) fn below<'a>(
        &'a self,
        roots: &'a HashSet<ZnodePath, RandomState>,
        since: Zxid,
    ) -> impl Iterator<Item = (Place, &'a Past)> {
        let all = roots.contains("/");
        let hashes: Vec<Hashed> = roots.iter().map(|root| Hashed(self.hasher.hash_one(&**root))).collect();
        let is_old = move |past: &Past| past.zxid <= since;
        let skipped = self.runs.partition_point(|run| run.changes.last().is_some_and(is_old));
        let runs = self.runs.iter().enumerate().skip(skipped);
        runs.filter(move |(_, run)| all || hashes.iter().any(|&root| run.stems.may_hold(root)))
            .flat_map(|(number, run)| {
                let place = (self.first / RUN + number as u64) * RUN;
                (place..).zip(&run.changes)
            })
            .filter(move |(place, past)| *place >= self.first && !is_old(past))
            .filter(move |(_, past)| {
                let path = &past.change.path;
                all || roots.contains(path) || ancestors(path).any(|path| roots.contains(path))
            })
    }

    /// The changes from a place on, by transactions.
    pub(super) fn records(&self, from: Place) -> impl Iterator<Item = HistoryRecord> {
        let mut place = from;
        std::iter::from_fn(move || {
            if place == self.next {
                return None;
            }
            let zxid = self.at(place).zxid;
            let changes = (place..self.next).map(|place| self.at(place)).take_while(|past| past.zxid == zxid);
            let changes: SmallVec<_> = changes.map(|past| past.change.clone()).collect();
            place += changes.len() as u64;
            Some(HistoryRecord { zxid, changes })
        })
    }
}

impl Run {
    /// To let go of a path is to write to memory that nobody has looked at for long. The processor waits for each of
    /// those by itself, but reads many at once: so they are all read first.
    fn tear_down(self) {
        let paths = self.changes.iter().map(|past| past.change.path.as_bytes());
        std::hint::black_box(paths.map(|path| path.first().copied().map_or(0, usize::from)).sum::<usize>());
    }
}
