//! What a quota refuses, and what it counts.
//!
//! The usage of a quota is the text of a znode, which clients read and may write: it is changed along with what it
//! counts, in the same transaction, without a version, a time, or an event.

use proto::{Code, ZnodePath, path};

use super::Txn;
use super::undo::Undo;
use crate::outcome::OverQuota;
use crate::quota::{self, Limit, Limits, Track};

/// What comes or goes.
#[derive(Clone, Copy)]
pub(super) struct Weight {
    /// Znodes.
    pub(super) count: i64,
    /// Bytes of data.
    pub(super) bytes: i64,
}

impl Weight {
    /// Of one znode with this data.
    pub(super) fn of(data: Option<&[u8]>) -> Self {
        Self { count: 1, bytes: len(data) }
    }

    /// Of a znode whose data is replaced.
    pub(super) fn between(before: Option<&[u8]>, after: Option<&[u8]>) -> Self {
        Self { count: 0, bytes: len(after) - len(before) }
    }

    /// What goes, if this came.
    pub(super) fn gone(self) -> Self {
        Self { count: -self.count, bytes: -self.bytes }
    }
}

fn len(data: Option<&[u8]>) -> i64 {
    data.map_or(0, <[u8]>::len) as i64
}

/// Refuses what would go beyond a hard limit of the nearest quota, if quotas are enforced; beyond a soft one it is only
/// noted. What adds nothing always passes, so that whoever is over a limit can come back below it.
pub(super) fn admit(txn: &mut Txn<'_>, path: &str, added: Weight) -> Result<(), Code> {
    if !txn.rules.contains(crate::rules::Rules::QUOTA_ENFORCED) {
        return Ok(());
    }
    let Some(of) = txn.tree.quota_of(path) else { return Ok(()) };
    let Some(limits) = txn.tree.get(&quota::limits_path(of)) else { return Ok(()) };
    let limits = Limits::parse(limits.data.as_deref());
    if limits == Limits::default() {
        return Ok(());
    }
    // Without a znode for it nothing is counted, as in ZooKeeper.
    let Some(stats) = txn.tree.get(&quota::stats_path(of)) else { return Ok(()) };
    let usage = Track::parse_usage(stats.data.as_deref()).unwrap_or_else(|| {
        let (count, bytes) = txn.tree.weigh(of);
        Track::usage(count, bytes)
    });
    let exceeds = |limit: Option<Limit>, used: i64, added: i64| {
        limit.filter(|limit| added > 0 && used.saturating_add(added) > limit.most)
    };
    let count = exceeds(limits.count, usage.count, added.count);
    let bytes = exceeds(limits.bytes, usage.bytes, added.bytes);
    // What refuses is told before what only warns.
    let mut exceeded =
        [(count, "count"), (bytes, "bytes")].into_iter().filter_map(|(it, what)| Some((it?, what)));
    let Some(mut worst) = exceeded.next() else { return Ok(()) };
    if let Some(other) = exceeded.next().filter(|_| !worst.0.hard) {
        worst = other;
    }
    let (limit, what) = worst;
    if txn.over_quota.is_none() {
        txn.over_quota = Some(Box::new(OverQuota { path: of.to_owned(), what, limit }));
    }
    if limit.hard { Err(Code::QuotaExceeded) } else { Ok(()) }
}

/// Counts a znode that has come, or the quota that begins with it.
pub(super) fn created(txn: &mut Txn<'_>, path: &ZnodePath, weight: Weight) {
    match quota::counted_by(path).or_else(|| quota::limited_by(path)) {
        // A usage that was there before its limits has not been kept meanwhile.
        Some(of) => recount(txn, of),
        None => written(txn, path, weight),
    }
}

/// Counts a znode that has gone, or ends the quota that goes with it.
pub(super) fn deleted(txn: &mut Txn<'_>, path: &ZnodePath, weight: Weight) {
    match quota::limited_by(path) {
        // What was counted there is the outer quota's from now on.
        Some(of) => {
            let outer = path::parent(of).and_then(|above| txn.tree.quota_of(above)).map(str::to_owned);
            if let Some(outer) = outer {
                recount(txn, &outer);
            }
        }
        None => written(txn, path, weight.gone()),
    }
}

/// Counts what has come or gone with the nearest quota.
pub(super) fn written(txn: &mut Txn<'_>, path: &str, added: Weight) {
    let Some(of) = txn.tree.quota_of(path) else { return };
    let Some((stats, znode)) = txn.tree.find(&quota::stats_path(of)) else { return };
    let Some(mut usage) = Track::parse_usage(znode.data.as_deref()) else { return recount(txn, of) };
    let stats = stats.clone();
    usage.count = usage.count.saturating_add(added.count);
    usage.bytes = usage.bytes.saturating_add(added.bytes);
    put(txn, stats, &usage);
}

/// Counts all that there is, where somebody keeps the count.
fn recount(txn: &mut Txn<'_>, of: &str) {
    let Some((stats, _)) = txn.tree.find(&quota::stats_path(of)) else { return };
    let stats = stats.clone();
    let (count, bytes) = txn.tree.weigh(of);
    put(txn, stats, &Track::usage(count, bytes));
}

fn put(txn: &mut Txn<'_>, stats: ZnodePath, usage: &Track) {
    let before = txn.tree.put_usage(&stats, Some(usage.to_text().into_bytes().into()));
    txn.remember(|| Undo::Usage { path: stats, before });
}
