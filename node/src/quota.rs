//! What operators are told of quotas.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use machine::{Limit, OverQuota, Quota};
use parking_lot::Mutex;
use proto::limits::{QUOTAS_READ_MAX, QUOTAS_TOLD_MAX};

use crate::metrics::{Reading, Value};

/// How long the log says nothing more of a limit of a quota.
const SILENCE: Duration = Duration::from_secs(60);

/// What the log was told of lately.
#[derive(Debug, Default)]
pub(crate) struct QuotaLog {
    told: Mutex<Vec<Told>>,
}

#[derive(Debug)]
struct Told {
    what: OverQuota,
    at: Instant,
}

impl QuotaLog {
    /// Something went beyond a limit, or was refused for it.
    pub(crate) fn exceeded(&self, over: &OverQuota) {
        if !self.is_news(over, Instant::now()) {
            return;
        }
        let OverQuota { path, what, limit } = over;
        let most = limit.most;
        if limit.hard {
            tracing::warn!(quota = %path, what, most, "quota exceeded: refused");
        } else {
            tracing::warn!(quota = %path, what, most, "quota exceeded: its limit is a soft one");
        }
    }

    fn is_news(&self, over: &OverQuota, now: Instant) -> bool {
        let mut told = self.told.lock();
        told.retain(|told| now.saturating_duration_since(told.at) < SILENCE);
        if told.len() >= QUOTAS_TOLD_MAX || told.iter().any(|told| told.what == *over) {
            return false;
        }
        told.push(Told { what: over.clone(), at: now });
        true
    }
}

/// What may be and what is there below each top-level znode, its quotas added up, under ZooKeeper's names. What is not
/// limited, or not counted, is -1.
pub(crate) fn readings(quotas: impl Iterator<Item = Quota>) -> Vec<Reading> {
    let mut namespaces: BTreeMap<String, [i64; 4]> = BTreeMap::new();
    let most = |limit: Option<Limit>| limit.map_or(-1, |limit| limit.most);
    for quota in quotas.take(QUOTAS_READ_MAX) {
        let limits = quota.limits;
        let sums = namespaces.entry(quota.namespace().to_owned()).or_default();
        for (sum, value) in
            sums.iter_mut().zip([most(limits.count), most(limits.bytes), quota.count, quota.bytes])
        {
            *sum = sum.saturating_add(value);
        }
    }
    [
        ("quota_count_limit_per_namespace", "Znodes that quotas allow below one top-level znode"),
        ("quota_bytes_limit_per_namespace", "Bytes of data that quotas allow below one top-level znode"),
        ("quota_count_usage_per_namespace", "Znodes that quotas count below one top-level znode"),
        ("quota_bytes_usage_per_namespace", "Bytes of data that quotas count below one top-level znode"),
    ]
    .into_iter()
    .enumerate()
    .map(|(place, (name, help))| {
        let levels = namespaces.iter().map(|(namespace, sums)| (namespace.clone(), sums[place])).collect();
        Reading { name, help, value: Value::Levels(levels) }
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use machine::Limits;

    use super::*;

    #[test]
    fn quotas_of_one_top_level_znode_are_added_up() {
        let quota = |path: &str, count: Option<i64>, used: i64| {
            let count = count.map(|most| Limit { most, hard: true });
            Quota { path: path.to_owned(), limits: Limits { count, bytes: None }, count: used, bytes: 7 }
        };
        let quotas = [quota("/b", None, 1), quota("/a/x", Some(5), 2), quota("/a/y", Some(6), 3)];
        let told: Vec<_> = readings(quotas.into_iter()).into_iter().map(|reading| reading.value).collect();
        let levels = |a, b| Value::Levels(vec![("a".to_owned(), a), ("b".to_owned(), b)]);
        assert_eq!(told, [levels(11, -1), levels(-2, -1), levels(5, 1), levels(14, 7)]);
    }

    #[test]
    fn each_limit_is_told_of_once_a_minute_and_of_many_only_some() {
        let log = QuotaLog::default();
        let start = Instant::now();
        let over = |path: &str, hard| OverQuota {
            path: path.to_owned(),
            what: "count",
            limit: Limit { most: 1, hard },
        };
        assert!(log.is_news(&over("/a", true), start));
        assert!(log.is_news(&over("/a", false), start));
        assert!(!log.is_news(&over("/a", true), start + SILENCE / 2));
        assert!(log.is_news(&over("/a", true), start + SILENCE));
        let news =
            (0..2 * QUOTAS_TOLD_MAX).filter(|n| log.is_news(&over(&n.to_string(), true), start + SILENCE));
        assert_eq!(news.count(), QUOTAS_TOLD_MAX - 1);
    }
}
