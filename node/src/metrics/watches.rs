//! What becomes of watches, because that is what operators of ZooKeeper cannot see.
//!
//! These metrics are ours: their names begin with `corral_` where they are told.
use machine::WatchKind;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// What begins the names of these metrics.
const PREFIX: &str = "corral";

type Labelled = Family<[(&'static str, &'static str); 1], Counter>;

/// What becomes of the watches of one member. Counting is one addition to an atomic, so it may be done under the replica's lock.
#[derive(Debug)]
pub(crate) struct Watching {
    armed: Labelled,
    armed_by_kind: [Counter; WatchKind::ALL.len()],
    /// Notifications that live watches of this member have put into mailboxes.
    pub(crate) fired: Counter,
    replayed: Labelled,
    replayed_by_cause: [Counter; Cause::ALL.len()],
    /// Times that somebody was told what it had missed, but perhaps not all of it, because the history did not reach
    /// back or there was too much.
    pub(crate) catch_ups_not_whole: Counter,
    /// Reports of watches that this member has proposed.
    pub(crate) reports: Counter,
    /// What these reports said: watches armed and watches taken away.
    pub(crate) notes: Counter,
    /// Notes of watches that this member has yet to see in the log: were it killed now, clients that do not send
    /// their watches again would lose them.
    pub(crate) notes_waiting: Gauge,
    /// Watches that the table of all members had no room for. Every member counts them all.
    pub(crate) left_out: Counter,
    quotas_exceeded: Labelled,
    quotas_exceeded_by_limit: [Counter; 2],
}

/// Why events were looked up in the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// A session came here.
    Attach,
    /// A client sent its watches.
    SetWatches,
    /// A watch became known only after its session had moved.
    Late,
    /// This member was given the whole state, and with it changes that it did not apply one by one.
    Snapshot,
}

impl Cause {
    const ALL: [Self; 4] = [Self::Attach, Self::SetWatches, Self::Late, Self::Snapshot];

    const fn name(self) -> &'static str {
        match self {
            Self::Attach => "attach",
            Self::SetWatches => "set_watches",
            Self::Late => "late",
            Self::Snapshot => "snapshot",
        }
    }
}

impl Default for Watching {
    fn default() -> Self {
        let (armed, replayed) = (Labelled::default(), Labelled::default());
        // Asked for once: to look a counter up takes a lock, and to count does not. So all of them are told from the
        // start, too: a rate that begins with the first event misses it.
        let armed_by_kind =
            WatchKind::ALL.map(|kind| armed.get_or_create_owned(&[("kind", kind_name(kind))]));
        let replayed_by_cause =
            Cause::ALL.map(|cause| replayed.get_or_create_owned(&[("cause", cause.name())]));
        let quotas_exceeded = Labelled::default();
        let quotas_exceeded_by_limit =
            ["soft", "hard"].map(|limit| quotas_exceeded.get_or_create_owned(&[("limit", limit)]));
        Self {
            quotas_exceeded,
            quotas_exceeded_by_limit,
            armed,
            armed_by_kind,
            fired: Counter::default(),
            replayed,
            replayed_by_cause,
            catch_ups_not_whole: Counter::default(),
            reports: Counter::default(),
            notes: Counter::default(),
            notes_waiting: Gauge::default(),
            left_out: Counter::default(),
        }
    }
}

impl Watching {
    /// Watches that clients of this member have armed, by asking or by sending those that they had elsewhere.
    pub(crate) fn armed(&self, kind: WatchKind) -> &Counter {
        // The numbers of kinds begin with one, and their order is that of `ALL`.
        &self.armed_by_kind[kind as usize - 1]
    }

    /// Notifications that clients were owed from before, and were told when somebody asked for this reason.
    pub(crate) fn replayed(&self, cause: Cause) -> &Counter {
        &self.replayed_by_cause[cause as usize]
    }

    /// Writes that went beyond a soft limit of a quota, or were refused for a hard one. Every member counts them all.
    pub(crate) fn over_quota(&self, is_hard: bool) -> &Counter {
        &self.quotas_exceeded_by_limit[usize::from(is_hard)]
    }

    /// Puts all of them into `registry`, under their names.
    pub(super) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix(PREFIX);
        registry.register("watches_armed", "Watches armed by clients of this member", self.armed.clone());
        registry.register("watch_events_fired", "Notifications told by live watches", self.fired.clone());
        registry.register(
            "watch_events_replayed",
            "Notifications told late, to clients that had missed them",
            self.replayed.clone(),
        );
        registry.register(
            "catch_ups_not_whole",
            "Times that a client may not have been told everything that it had missed",
            self.catch_ups_not_whole.clone(),
        );
        registry.register(
            "watch_reports",
            "Reports of watches to all members, proposed by this one",
            self.reports.clone(),
        );
        registry.register(
            "watch_notes",
            "Watches armed or taken away, as told in these reports",
            self.notes.clone(),
        );
        registry.register(
            "watch_notes_waiting",
            "Watches armed or taken away that not all members know of yet",
            self.notes_waiting.clone(),
        );
        registry.register(
            "watches_left_out",
            "Watches that the table of all members had no room for",
            self.left_out.clone(),
        );
        registry.register(
            "quotas_exceeded",
            "Writes that went beyond a limit of a quota, or were refused for it",
            self.quotas_exceeded.clone(),
        );
    }

    /// The same for who wants plain numbers: what carries labels is added up.
    pub(super) fn sums(&self) -> Vec<(String, i64)> {
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let sum = |counters: &[Counter]| number(counters.iter().map(Counter::get).sum());
        [
            ("watches_armed", sum(&self.armed_by_kind)),
            ("watch_events_fired", number(self.fired.get())),
            ("watch_events_replayed", sum(&self.replayed_by_cause)),
            ("catch_ups_not_whole", number(self.catch_ups_not_whole.get())),
            ("watch_reports", number(self.reports.get())),
            ("watch_notes", number(self.notes.get())),
            ("watch_notes_waiting", self.notes_waiting.get()),
            ("watches_left_out", number(self.left_out.get())),
            ("quotas_exceeded", sum(&self.quotas_exceeded_by_limit)),
        ]
        .map(|(name, value)| (format!("{PREFIX}_{name}"), value))
        .into()
    }
}

const fn kind_name(kind: WatchKind) -> &'static str {
    match kind {
        WatchKind::Data => "data",
        WatchKind::Exist => "exist",
        WatchKind::Child => "child",
        WatchKind::Persistent => "persistent",
        WatchKind::Recursive => "recursive",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_and_each_cause_has_a_counter_of_its_own() {
        let metrics = Watching::default();
        for (n, kind) in (1..).zip(WatchKind::ALL) {
            metrics.armed(kind).inc_by(n);
        }
        for (n, cause) in (1..).zip(Cause::ALL) {
            metrics.replayed(cause).inc_by(n);
        }
        for (n, kind) in (1..).zip(WatchKind::ALL) {
            assert_eq!(metrics.armed.get_or_create(&[("kind", kind_name(kind))]).get(), n);
        }
        for (n, cause) in (1..).zip(Cause::ALL) {
            assert_eq!(metrics.replayed.get_or_create(&[("cause", cause.name())]).get(), n);
        }
    }

    #[test]
    fn what_is_registered_is_what_is_summed_up() {
        let metrics = Watching::default();
        metrics.armed(WatchKind::Child).inc_by(2);
        metrics.armed(WatchKind::Data).inc_by(3);
        metrics.notes_waiting.dec();
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let told: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        let told: Vec<_> = told.iter().filter_map(|line| line.split(' ').next()).collect();
        let sums = metrics.sums();
        assert_eq!(told, sums.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>());
        assert_eq!(sums[0], ("corral_watches_armed".to_owned(), 5));
        assert_eq!(sums[6], ("corral_watch_notes_waiting".to_owned(), -1));
    }
}
