//! Which znodes are found by what they are, not by their path.
//!
//! A znode is noted here exactly as long as it is in the tree.

use std::collections::BTreeSet;
use std::ops::Bound;

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};
use proto::{SessionId, ZnodePath};

use crate::quota;
use crate::znode::Kind;

/// Ephemerals, what goes by itself, and what has a quota.
#[derive(Debug, Default)]
pub(super) struct Marked {
    ephemerals: HashMap<SessionId, BTreeSet<ZnodePath>, RandomState>,
    ephemerals_count: usize,
    /// Containers and TTL znodes. In order, so that they can be looked through in portions.
    passing: BTreeSet<ZnodePath>,
    /// The paths that have a quota: those of which there is a znode that says its limits.
    limited: HashSet<Box<str>, RandomState>,
    /// Bytes of the longest of them that there ever was.
    longest: usize,
}

impl Marked {
    /// Notes a znode that has come.
    pub(super) fn add(&mut self, path: &ZnodePath, kind: Kind) {
        match kind {
            Kind::Persistent => {}
            Kind::Ephemeral(owner) => {
                self.ephemerals.entry(owner).or_default().insert(path.clone());
                self.ephemerals_count += 1;
            }
            Kind::Container | Kind::Ttl(_) => drop(self.passing.insert(path.clone())),
        }
        if let Some(of) = quota::limited_by(path) {
            self.limited.insert(of.into());
            self.longest = self.longest.max(of.len());
        }
    }

    /// Takes away a znode that has gone.
    pub(super) fn remove(&mut self, path: &ZnodePath, kind: Kind) {
        match kind {
            Kind::Persistent => {}
            Kind::Ephemeral(owner) => {
                let owned = self.ephemerals.get_mut(&owner).expect("an owner's ephemerals are listed");
                owned.remove(path);
                if owned.is_empty() {
                    self.ephemerals.remove(&owner);
                }
                self.ephemerals_count -= 1;
            }
            Kind::Container | Kind::Ttl(_) => drop(self.passing.remove(path)),
        }
        if let Some(of) = quota::limited_by(path) {
            self.limited.remove(of);
        }
    }

    /// How many ephemerals there are.
    pub(super) fn ephemerals_count(&self) -> usize {
        self.ephemerals_count
    }

    /// How many znodes there are that do not just stay.
    pub(super) fn fleeting_count(&self) -> usize {
        self.ephemerals_count + self.passing.len()
    }

    /// A session's ephemerals, in order of their paths.
    pub(super) fn ephemerals(&self, owner: SessionId) -> impl Iterator<Item = &ZnodePath> {
        self.ephemerals.get(&owner).into_iter().flatten()
    }

    /// Who owns ephemerals.
    pub(super) fn owners(&self) -> impl Iterator<Item = SessionId> {
        self.ephemerals.keys().copied()
    }

    /// Containers and TTL znodes behind a path, in order of their paths.
    pub(super) fn passing(&self, behind: Option<&ZnodePath>) -> impl Iterator<Item = &ZnodePath> {
        let from = behind.map_or(Bound::Unbounded, Bound::Excluded);
        self.passing.range::<ZnodePath, _>((from, Bound::Unbounded))
    }

    /// The paths that have a quota, in no particular order.
    pub(super) fn limited(&self) -> impl Iterator<Item = &str> {
        self.limited.iter().map(|path| &**path)
    }

    /// The nearest path that has a quota, from this one upwards.
    pub(super) fn quota_of<'a>(&self, path: &'a str) -> Option<&'a str> {
        // Most trees have no quotas: then this is all that a write pays for them.
        if self.limited.is_empty() || quota::is_uncounted(path) {
            return None;
        }
        // A path may have very many ancestors: only those are looked up that can be there.
        let upwards = std::iter::once(path).chain(proto::path::ancestors(path));
        upwards.filter(|path| path.len() <= self.longest).find(|path| self.limited.contains(*path))
    }

    /// Panics if something other is noted than the znodes that are there.
    pub(super) fn assert_invariants<'a>(&self, znodes: impl Iterator<Item = (&'a ZnodePath, Kind)>) {
        let (mut ephemerals, mut passing, mut limited) = (0, 0, 0);
        for (path, kind) in znodes {
            match kind {
                Kind::Persistent => {}
                Kind::Ephemeral(owner) => {
                    let listed = self.ephemerals.get(&owner).is_some_and(|listed| listed.contains(path));
                    assert!(listed, "{path} is not listed by its owner {owner}");
                    ephemerals += 1;
                }
                Kind::Container | Kind::Ttl(_) => {
                    assert!(self.passing.contains(path), "{path} is not among what goes by itself");
                    passing += 1;
                }
            }
            if let Some(of) = quota::limited_by(path) {
                assert!(self.limited.contains(of), "the quota of {of} is not listed");
                limited += 1;
            }
        }
        assert_eq!(ephemerals, self.ephemerals_count, "count of ephemerals");
        let listed: usize = self.ephemerals.values().map(BTreeSet::len).sum();
        assert_eq!(ephemerals, listed, "ephemerals that are not there");
        assert!(self.ephemerals.values().all(|listed| !listed.is_empty()), "an owner of nothing");
        assert_eq!(passing, self.passing.len(), "what goes by itself and is not there");
        assert_eq!(limited, self.limited.len(), "quotas that are not there");
    }
}
