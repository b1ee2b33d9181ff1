//! The counters and summaries that ZooKeeper's dashboards know, under the names that they know (PROTOCOL, section
//! "Metrics").
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;

use super::spread::Measured;
use super::{Detail, Reading, Unit, Value};

/// A struct of counters, each with what it tells. Its name is that of the field.
macro_rules! counters {
    ($(#[$about:meta])+ $set:ident as $value:expr; $($(#[doc = $help:literal])+ $name:ident,)+) => {
        $(#[$about])+
        #[derive(Debug, Default)]
        pub(crate) struct $set {
            $($(#[doc = $help])+ pub(crate) $name: Counter,)+
        }

        impl $set {
            /// All of them, as they stand now.
            pub(super) fn readings(&self) -> Vec<Reading> {
                let value: fn(u64) -> Value = $value;
                vec![$(Reading {
                    name: stringify!($name),
                    help: concat!($($help),+).trim_ascii(),
                    value: value(self.$name.get()),
                }),+]
            }

            /// They begin anew.
            pub(super) fn reset(&self) {
                $(self.$name.inner().store(0, Relaxed);)+
            }
        }
    };
}

counters! {
    /// What only grows. Counting is one addition to an atomic.
    Counts as Value::Count;
    /// Transactions that were committed and applied here
    commit_count,
    /// Connections refused by the connection throttle
    connection_drop_count,
    /// Connections closed at once because there were too many
    connection_rejected,
    /// Greetings of clients
    connection_request_count,
    /// Sessions that came back over a connection of this member
    connection_revalidate_count,
    /// Digests of the world that differed between members: none are compared
    digest_mismatches_count,
    /// Times that a client looked for an ensemble of another name
    ensemble_auth_fail,
    /// Times that a client looked for an ensemble of any name, or this one has none
    ensemble_auth_skip,
    /// Times that a client looked for an ensemble of this name
    ensemble_auth_success,
    /// Requests whose connection was closed because all large requests together were too large
    large_requests_rejected,
    /// Times that this member looked for a leader
    looking_count,
    /// Log entries proposed by this member as the leader
    proposal_count,
    /// Requests that waited for the request throttle
    request_throttle_wait_count,
    /// Replies found in the cache of replies: there is none
    response_packet_cache_hits,
    /// Replies not found in the cache of replies: there is none
    response_packet_cache_misses,
    /// Lists of children found in the cache of replies: there is none
    response_packet_get_children_cache_hits,
    /// Lists of children not found in the cache of replies: there is none
    response_packet_get_children_cache_misses,
    /// Sessions that came back over another connection, of all members
    revalidate_count,
    /// Connections closed because no greeting came over them
    sessionless_connections_expired,
    /// Times that this member was sent the whole state
    snap_count,
    /// Answers to connections that were closed meanwhile
    stale_replies,
    /// Requests that were answered too late for their session
    stale_requests,
    /// Requests dropped for the same reason
    stale_requests_dropped,
    /// Sessions of all members that were ended because nobody had heard of their clients
    stale_sessions_expired,
    /// Requests refused because they had waited for too long
    throttled_ops,
    /// TLS handshakes refused because too many were under way
    tls_handshake_exceeded,
    /// Znodes with a time to live that were created
    ttl_node_created_count,
    /// Znodes with a time to live that were deleted because it was over
    ttl_node_deleted_count,
    /// Errors that ended a part of this member
    unrecoverable_error_count,
    /// TLS handshakes that failed
    unsuccessful_handshake,
}

counters! {
    /// What ZooKeeper counts and shows as a gauge: nothing is ever added to these names.
    Levels as |count| Value::Level(i64::try_from(count).unwrap_or(i64::MAX));
    /// Connections that ended because credentials were not accepted
    auth_failed_count,
    /// Connections that spoke no TLS, from this machine
    non_mtls_local_conn_count,
    /// Connections that spoke no TLS, from elsewhere
    non_mtls_remote_conn_count,
}

/// Something that is measured, by whoever likes: for a request's time there is [`crate::stats`], which asks for no lock
/// that anybody else holds.
#[derive(Debug, Default)]
pub(crate) struct Summary(Mutex<Measured>);

impl Summary {
    /// Something took so long.
    pub(crate) fn took(&self, time: Duration) {
        self.add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// So much was measured: pieces or bytes, or microseconds.
    pub(crate) fn add(&self, amount: u64) {
        self.0.lock().add(amount, 1, Instant::now());
    }

    fn reading(&self, name: &'static str, help: &'static str, unit: Unit, detail: Detail) -> Reading {
        let spread = self.0.lock().get(Instant::now());
        Reading { name, help, value: Value::Summary { unit, detail, spread } }
    }
}

/// A struct of summaries, each with what it tells, in what it is measured, and how much is told of it.
macro_rules! summaries {
    ($($(#[doc = $help:literal])+ $name:ident: $unit:ident $detail:ident,)+) => {
        /// What is measured. Each has a lock of its own, held for some tens of nanoseconds.
        #[derive(Debug, Default)]
        pub(crate) struct Summaries {
            $($(#[doc = $help])+ pub(crate) $name: Summary,)+
        }

        impl Summaries {
            /// All of them, as they stand now.
            pub(super) fn readings(&self) -> Vec<Reading> {
                vec![$({
                    let help = concat!($($help),+).trim_ascii();
                    self.$name.reading(stringify!($name), help, Unit::$unit, Detail::$detail)
                }),+]
            }

            /// They begin anew.
            pub(super) fn reset(&self) {
                $(*self.$name.0.lock() = Measured::default();)+
            }
        }
    };
}

summaries! {
    /// Connection tokens that were missing when somebody connected
    connection_token_deficit: Pieces Basic,
    /// Milliseconds in which the state and the log were opened when this member started
    dbinittime: Micros Basic,
    /// Milliseconds from losing a leader to knowing the next
    election_time: Micros Basic,
    /// Milliseconds in which the state of another member was received and taken over
    follower_sync_time: Micros Basic,
    /// Milliseconds of a synced write of the log
    fsynctime: Micros Basic,
    /// Pauses of a Java machine: there is none
    jvm_pause_time_ms: Micros Advanced,
    /// Milliseconds without a leader, as told by the one who leads then
    leader_unavailable_time: Micros Basic,
    /// Listeners told of one change of data
    node_changed_watch_count: Pieces Basic,
    /// Listeners told of one change of children
    node_children_watch_count: Pieces Basic,
    /// Listeners told of one creation
    node_created_watch_count: Pieces Basic,
    /// Listeners told of one deletion
    node_deleted_watch_count: Pieces Basic,
    /// Milliseconds from the leader's stamping a transaction to its being applied here, by the clocks of both
    propagation_latency: Micros Advanced,
    /// Milliseconds from the leader's proposing an entry to its being committed and applied there
    quorum_ack_latency: Micros Advanced,
    /// Milliseconds that requests waited for the request throttle
    request_throttle_queue_time_ms: Micros Advanced,
    /// Milliseconds of a restore of the tree: there is none
    restore_time: Micros Basic,
    /// Milliseconds in which the state on disk was made firm so that the log could be purged
    snapshottime: Micros Basic,
    /// Log entries in one synced write
    sync_processor_batch_size: Pieces Basic,
    /// Milliseconds in which clients were not served for want of a leader
    unavailable_time: Micros Basic,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_told_until_it_begins_anew() {
        let (counts, levels) = (Counts::default(), Levels::default());
        counts.connection_rejected.inc();
        levels.auth_failed_count.inc_by(2);
        let told = |name: &str| {
            let all = [counts.readings(), levels.readings()].concat();
            all.into_iter().find(|reading| reading.name == name).map(|reading| (reading.help, reading.value))
        };
        assert_eq!(
            told("connection_rejected"),
            Some(("Connections closed at once because there were too many", Value::Count(1)))
        );
        assert_eq!(told("auth_failed_count").map(|(_, value)| value), Some(Value::Level(2)));
        counts.reset();
        levels.reset();
        assert_eq!(told("connection_rejected").map(|(_, value)| value), Some(Value::Count(0)));
    }

    #[test]
    fn what_is_measured_is_told_until_it_begins_anew() {
        let summaries = Summaries::default();
        summaries.fsynctime.took(Duration::from_millis(3));
        let told = || {
            summaries.readings().into_iter().find_map(|reading| match reading.value {
                Value::Summary { spread: (spread, _), .. } if reading.name == "fsynctime" => Some(spread.sum),
                _ => None,
            })
        };
        assert_eq!(told(), Some(3_000));
        summaries.reset();
        assert_eq!(told(), Some(0));
    }

    #[test]
    fn names_are_in_order_and_none_is_told_twice() {
        for names in
            [Counts::default().readings(), Levels::default().readings(), Summaries::default().readings()]
        {
            let names: Vec<_> = names.iter().map(|reading| reading.name).collect();
            assert!(names.is_sorted(), "{names:?}");
        }
    }
}
