//! What the znodes of a quota say, and where they stand (PROTOCOL, section "Quotas").

use std::fmt::Write as _;

use proto::limits::QUOTA_TEXT_BYTES_MAX;

/// Below it stand the quotas, each at the path that it limits.
const QUOTAS: &str = "/zookeeper/quota";
const LIMITS: &str = "/zookeeper_limits";
const STATS: &str = "/zookeeper_stats";

/// The path whose limits the znode at `path` says, if it says any. The root has no quota: ZooKeeper says that it ignores
/// one, and its members stop over it. Nor has what is reserved, because counting would change what is counted.
pub(crate) fn limited_by(path: &str) -> Option<&str> {
    subject(path, LIMITS)
}

/// The path whose usage the znode at `path` says, if it says any.
pub(crate) fn counted_by(path: &str) -> Option<&str> {
    subject(path, STATS)
}

/// Where the limits of a path stand.
pub(crate) fn limits_path(of: &str) -> String {
    [QUOTAS, of, LIMITS].concat()
}

/// Where the usage of a path stands.
pub(crate) fn stats_path(of: &str) -> String {
    [QUOTAS, of, STATS].concat()
}

/// Whether no quota ever counts this path.
pub(crate) fn is_uncounted(path: &str) -> bool {
    path.strip_prefix("/zookeeper").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn subject<'a>(path: &'a str, name: &str) -> Option<&'a str> {
    let of = path.strip_prefix(QUOTAS)?.strip_suffix(name)?;
    (of.starts_with('/') && !is_uncounted(of)).then_some(of)
}

/// What stands for a number that is not said. As a limit it is none.
const UNSAID: i64 = -1;

/// Limits, or a usage: numbers by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Track {
    pub(crate) count: i64,
    pub(crate) bytes: i64,
    /// The names that Java's first parser does not know, with their numbers.
    others: Vec<(String, i64)>,
}

impl Track {
    /// A usage.
    pub(crate) fn usage(count: i64, bytes: i64) -> Self {
        Self { count, bytes, others: Vec::new() }
    }

    /// The usage that a znode says; `None` if it says none.
    pub(crate) fn parse_usage(data: Option<&[u8]>) -> Option<Self> {
        Self::parse(data).filter(|track| track.count != UNSAID && track.bytes != UNSAID)
    }

    /// What a znode says; `None` if it says no such thing. ZooKeeper answers whoever writes below such a quota with
    /// "marshalling error", or stops; here it limits nothing and is counted anew.
    pub(crate) fn parse(data: Option<&[u8]>) -> Option<Self> {
        let mut track = Self { count: UNSAID, bytes: UNSAID, others: Vec::new() };
        let data = data.filter(|data| data.len() <= QUOTA_TEXT_BYTES_MAX)?;
        let text = std::str::from_utf8(data).ok()?;
        for pair in text.trim().split([',', ';']).filter(|pair| !pair.is_empty()) {
            let mut parts = pair.split('=');
            let (name, number) = (parts.next()?, parts.next()?);
            let number = if number.is_empty() { UNSAID } else { number.parse().ok()? };
            match name {
                "count" => track.count = number,
                "bytes" => track.bytes = number,
                _ => match track.others.iter_mut().find(|(known, _)| known == name) {
                    Some((_, known)) => *known = number,
                    None => track.others.push((name.to_owned(), number)),
                },
            }
        }
        Some(track)
    }

    /// As its znode says it. The odd `=` keeps parsers from before ZooKeeper 3.7 from reading on.
    pub(crate) fn to_text(&self) -> String {
        let mut text = format!("count={},bytes={}", self.count, self.bytes);
        if !self.others.is_empty() {
            let mut others: Vec<_> = self.others.iter().collect();
            others.sort();
            text.push('=');
            for (name, number) in others {
                // A `String` takes whatever is written.
                let _ = write!(text, ";{name}={number}");
            }
        }
        text
    }

    fn other(&self, name: &str) -> Option<i64> {
        self.others.iter().find(|(known, _)| known == name).map(|(_, number)| *number)
    }
}

/// One limit of a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// How much there may be.
    pub most: i64,
    /// Whether more is refused, where quotas are enforced, or only told.
    pub hard: bool,
}

/// How much of what. If there is a hard limit, the soft one is not looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Of znodes, the root of the quota among them.
    pub count: Option<Limit>,
    /// Of bytes of their data.
    pub bytes: Option<Limit>,
}

impl Limits {
    /// What a znode says; nothing if it does not say it as ZooKeeper does.
    pub(crate) fn parse(data: Option<&[u8]>) -> Self {
        let Some(track) = Track::parse(data) else { return Self::default() };
        let limit = |hard: &str, soft: i64| {
            let hard = track.other(hard).filter(|most| *most > -1).map(|most| Limit { most, hard: true });
            hard.or_else(|| (soft > -1).then_some(Limit { most: soft, hard: false }))
        };
        Self { count: limit("countHardLimit", track.count), bytes: limit("byteHardLimit", track.bytes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_znodes_of_a_quota_stand() {
        assert_eq!(limited_by("/zookeeper/quota/a/b/zookeeper_limits"), Some("/a/b"));
        assert_eq!(counted_by("/zookeeper/quota/a/b/zookeeper_stats"), Some("/a/b"));
        assert_eq!((limits_path("/a"), stats_path("/a")), {
            let at = |name| format!("/zookeeper/quota/a/zookeeper_{name}");
            (at("limits"), at("stats"))
        });
        for path in [
            "/zookeeper/quota/zookeeper_limits",
            "/zookeeper/quota/zookeeper/zookeeper_limits",
            "/zookeeper/quota/zookeeper/quota/zookeeper_limits",
            "/zookeeper/quotas/a/zookeeper_limits",
            "/zookeeper/quota/a/b",
            "/a/zookeeper_limits",
            "/",
        ] {
            assert_eq!(limited_by(path), None, "{path}");
        }
    }

    #[track_caller]
    fn check(text: &str, written: Option<&str>) {
        let track = Track::parse(Some(text.as_bytes()));
        assert_eq!(track.map(|track| track.to_text()).as_deref(), written, "{text:?}");
    }

    #[test]
    fn the_text_is_the_one_of_zookeeper() {
        check("", Some("count=-1,bytes=-1"));
        check("count=4,bytes=5", Some("count=4,bytes=5"));
        check("bytes=5;;count=4", Some("count=4,bytes=5"));
        check("count=4,bytes=5=;countHardLimit=10;byteHardLimit=11", {
            Some("count=4,bytes=5=;byteHardLimit=11;countHardLimit=10")
        });
        check("count=,bytes==7", Some("count=-1,bytes=-1"));
        check("count=1,count=2,x=3,x=4\n", Some("count=2,bytes=-1=;x=4"));
        for text in ["count", "count=1,bytes", "count=x", "count=1,bytes=99999999999999999999", "count= 1"] {
            check(text, None);
        }
        assert_eq!(Track::parse(None), None);
        assert_eq!(Track::parse_usage(Some(b"count=5,x=3")), None);
        assert_eq!(Track::parse_usage(Some(b"bytes=6,count=5")), Some(Track::usage(5, 6)));
        assert_eq!(Track::parse(Some(b"\xff")), None);
        assert_eq!(Track::parse(Some(&[b'='; QUOTA_TEXT_BYTES_MAX + 1])), None);
    }

    #[test]
    fn a_hard_limit_goes_before_a_soft_one() {
        let limits = |text: &str| {
            let Limits { count, bytes } = Limits::parse(Some(text.as_bytes()));
            (count.map(|it| (it.most, it.hard)), bytes.map(|it| (it.most, it.hard)))
        };
        assert_eq!(limits("count=4,bytes=-1"), (Some((4, false)), None));
        assert_eq!(limits("count=4,bytes=5=;countHardLimit=9"), (Some((9, true)), Some((5, false))));
        assert_eq!(limits("count=-1,bytes=-1=;byteHardLimit=0"), (None, Some((0, true))));
        assert_eq!(limits("nonsense=x"), (None, None));
    }
}
