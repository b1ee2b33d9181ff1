//! Who this member is, where everything lies, and its rhythm.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use proto::{MemberId, limits};

use crate::Fault;

/// Who this member is, who the others are, and where everything lies.
#[derive(Clone, Debug)]
pub struct Config {
    /// This member.
    pub member: MemberId,
    /// Drawn at random when the process starts; names this life of the member.
    pub boot: u64,
    /// All members that vote, this one among them, with the `host:port` of their peer traffic. A single member
    /// needs no address and listens to no peer.
    pub members: BTreeMap<MemberId, String>,
    /// Where peers are listened to, as `host:port`.
    pub listen: Option<String>,
    /// Where the state is kept.
    pub data_dir: PathBuf,
    /// Where the log is kept.
    pub log_dir: PathBuf,
    /// The rhythm of elections.
    pub timing: Timing,
    /// How often members tell the leader which sessions they have heard of, and it looks for those that are overdue.
    pub tick: Duration,
    /// How much of the log is kept.
    pub retention: Retention,
    /// Slept after each sync of the log, to see how a slower disk would do; zero but in benchmarks.
    pub sync_delay: Duration,
}

/// The rhythm of elections.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How often a leader is heard of when it has nothing to say.
    pub heartbeat: Duration,
    /// After how long a silence a member asks to be elected, at least.
    pub election_min: Duration,
    /// … and at most.
    pub election_max: Duration,
}

impl Default for Timing {
    /// For members that are close to each other: a leader that dies is replaced in less than half a second. Its
    /// followers wait out `election_max`, and then each a time of its own between the two. A vote costs a sync on
    /// two disks, so where a sync takes tens of milliseconds these must be raised.
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(40),
            election_min: Duration::from_millis(120),
            election_max: Duration::from_millis(200),
        }
    }
}

/// How much of the log is kept, in entries. An entry carries as many transactions as were waiting for it.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Entries after which the state on disk is made firm, so that the log before it may go.
    pub snapshot_every: u64,
    /// Entries kept behind that point, for members that have been away for a moment.
    pub keep: u64,
    /// Entries that a member may be behind before it is sent the whole state instead of the log. It must be more
    /// than `snapshot_every`, or a member that is merely slow would be sent the state again and again.
    pub lag_max: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self { snapshot_every: 100_000, keep: 100_000, lag_max: 250_000 }
    }
}

impl Config {
    /// What openraft is told.
    pub(crate) fn raft(&self) -> Result<openraft::Config, Fault> {
        let Timing { heartbeat, election_min, election_max } = self.timing;
        let Retention { snapshot_every, keep, lag_max } = self.retention;
        let config = openraft::Config {
            cluster_name: "corral".to_owned(),
            heartbeat_interval: millis(heartbeat),
            election_timeout_min: millis(election_min),
            election_timeout_max: millis(election_max),
            // A member that was cut off must not unseat a good leader when it comes back.
            enable_pre_vote: Some(true),
            // Entries are sent to the others before they are safe here, so a quorum may be made of the others alone.
            // A leader that crashed then, and simply went on leading in the same term, would write other entries
            // under the numbers of acknowledged ones, and the others would take them for those they have.
            enable_leader_restore: Some(false),
            // A member that lost its disk comes back with less than it has acknowledged. openraft's default for a leader
            // that sees this is to panic, which would turn one lost disk into a lost leader.
            allow_log_reversion: Some(true),
            // With five members a network that is cut in odd ways can leave a leader that reaches one member, and a
            // quorum without it that hears that member only.
            quorum_loss_probe_interval: (self.members.len() >= 5).then(|| 2 * millis(election_max)),
            max_payload_entries: limits::APPEND_ENTRIES_MAX,
            max_append_entries: Some(4_096),
            install_snapshot_timeout: millis(SNAPSHOT_WAIT_MAX),
            snapshot_policy: openraft::SnapshotPolicy::LogsSinceLast(snapshot_every),
            max_in_snapshot_log_to_keep: keep,
            replication_lag_threshold: lag_max,
            // A purge is a range deletion and a sync: many at once.
            purge_batch_size: (snapshot_every / 10).clamp(1, 10_000),
            ..openraft::Config::default()
        };
        config
            .validate()
            .map_err(|error| Fault::Other(format!("the rhythm of elections does not fit: {error}")))
    }

    /// After how long a silence of its leader or its quorum a member says that it knows no leader. An election has
    /// mostly brought another by then.
    pub(crate) fn silence_max(&self) -> Duration {
        2 * self.timing.election_max
    }
}

/// How long a member may take to receive a snapshot. Beyond it the leader begins again.
const SNAPSHOT_WAIT_MAX: Duration = Duration::from_secs(300);

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(members: u64) -> Config {
        Config {
            member: MemberId::new(1),
            boot: 0,
            members: (1..=members).map(|member| (MemberId::new(member), String::new())).collect(),
            listen: None,
            data_dir: PathBuf::new(),
            log_dir: PathBuf::new(),
            timing: Timing::default(),
            tick: Duration::from_secs(2),
            retention: Retention::default(),
            sync_delay: Duration::ZERO,
        }
    }

    #[test]
    fn a_restarted_leader_asks_to_be_elected_again() {
        let raft = config(3).raft().unwrap();
        // openraft's default was seen to lose acknowledged writes without a word.
        assert_eq!(raft.enable_leader_restore, Some(false));
        assert_eq!(raft.enable_pre_vote, Some(true));
        assert_eq!(raft.quorum_loss_probe_interval, None);
        assert_eq!(config(5).raft().unwrap().quorum_loss_probe_interval, Some(400));
    }

    #[test]
    fn a_member_that_is_sent_the_state_is_not_at_once_too_far_behind_again() {
        let Retention { snapshot_every, lag_max, .. } = Retention::default();
        assert!(lag_max > snapshot_every);
    }

    #[test]
    fn a_rhythm_that_cannot_be_danced_is_refused() {
        let mut odd = config(3);
        odd.timing.election_min = odd.timing.heartbeat;
        assert!(odd.raft().is_err());
    }
}
