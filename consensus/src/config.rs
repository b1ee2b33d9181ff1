//! Who this member is, where everything lies, and its rhythm.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use machine::Rules;
use proto::{MemberId, limits};

use crate::Fault;

/// Who this member is, who the others are, and where everything lies.
#[derive(Clone, Debug)]
pub struct Config {
    /// This member.
    pub member: MemberId,
    /// Drawn at random when the process starts; names this life of the member.
    pub boot: u64,
    /// All members that vote by this member's own file, with the `host:port` of their peer traffic. A single member
    /// needs no address. Once the ensemble has begun, its log says who is a member.
    pub members: BTreeMap<MemberId, String>,
    /// The members without a vote that it names, likewise; this one may be among them, and then not among the others.
    pub observers: BTreeMap<MemberId, String>,
    /// What clients are to read of the members, at `/zookeeper/config`; `None` for a member that stands alone.
    pub ensemble: Option<Description>,
    /// Where peers are listened to, as `host:port`; `None` for a member that stands alone.
    pub listen: Option<String>,
    /// Where the state is kept.
    pub data_dir: PathBuf,
    /// Where the log is kept.
    pub log_dir: PathBuf,
    /// The rhythm of elections.
    pub timing: Timing,
    /// The grain of the sessions' deadlines. Members tell the leader eight times in each which sessions they have heard of, and
    /// twice in each it looks for those that are overdue.
    pub tick: Duration,
    /// How much of the log is kept.
    pub retention: Retention,
    /// Slept after each sync of the log, to see how a slower disk would do; zero but in benchmarks.
    pub sync_delay: Duration,
    /// What this member, if it leads, decides about what is applied. All members should have the same.
    pub rules: Rules,
    /// How containers and TTL znodes are collected.
    pub reaping: Reaping,
    /// Bytes that the world may be reckoned to take in memory; `None` for as many as there are. Beyond it this member, if it leads,
    /// has what adds to the znodes refused. All members should have the same.
    pub world_bytes_max: Option<u64>,
}

/// What clients are to read of the members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// One line for each member, `server.1=…`, in order of their numbers and without line ends.
    pub lines: Vec<String>,
    /// Whether all members would say just the same. One that knows itself by the wildcard address only, as is usual
    /// in containers, would not: it describes the ensemble if nobody has yet, and contradicts nobody.
    pub is_certain: bool,
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
    /// followers wait out `election_max`, and then each a time of its own between the two.
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(40),
            election_min: Duration::from_millis(120),
            election_max: Duration::from_millis(200),
        }
    }
}

impl Timing {
    /// The same, or slower if syncs take long. A vote costs one on the disk of who stands and one on that of who votes, behind
    /// which another may wait each time; who has not won within `election_min` begins again, and so nobody would ever win.
    pub(crate) fn for_disk(self, sync_time: Duration) -> Self {
        let election_min = self.election_min.max(sync_time * SYNCS_OF_AN_ELECTION);
        // What sets apart those who stand must grow with it.
        let spread = self.election_max.saturating_sub(self.election_min);
        let election_max = self.election_max.max(election_min + spread.max(election_min / 2));
        if election_min > self.election_min {
            tracing::warn!(
                ?sync_time,
                ?election_min,
                ?election_max,
                "syncs of the log take so long that leaders are replaced more slowly than is configured"
            );
        }
        Self { heartbeat: self.heartbeat, election_min, election_max }
    }
}

/// How containers and TTL znodes are collected that have had their time, while this member leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reaping {
    /// How often they are looked for.
    pub check_interval: Duration,
    /// How many may go in a minute.
    pub per_minute_max: u32,
    /// After how many milliseconds a container goes that never had a child; 0 for never.
    pub never_used_ms: i64,
}

impl Default for Reaping {
    /// As in ZooKeeper 3.9.
    fn default() -> Self {
        Self { check_interval: Duration::from_secs(60), per_minute_max: 10_000, never_used_ms: 0 }
    }
}

/// How much of the log is kept, in entries. An entry carries as many transactions as were waiting for it.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Entries after which the state on disk is made firm, so that the log before it may go.
    pub snapshot_every: u64,
    /// Entries kept behind that point, for members that have been away for a moment.
    pub keep: u64,
    /// Bytes of entries, whatever these two say. Beyond it the state is made firm at once and half of this is kept, and a
    /// member that needs more of the log than that is sent the state instead.
    pub bytes_max: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self { snapshot_every: 100_000, keep: 100_000, bytes_max: 1 << 30 }
    }
}

impl Config {
    /// What openraft is told.
    pub(crate) fn raft(&self) -> Result<openraft::Config, Fault> {
        let Timing { heartbeat, election_min, election_max } = self.timing;
        let Retention { snapshot_every, .. } = self.retention;
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
            // A member that lost its disk comes back with less than it has acknowledged. openraft's default for a leader that
            // sees this is to panic where openraft asserts, and elsewhere to go on asking for what is gone, so that the
            // member would have nothing until the log was purged of what it lacks.
            allow_log_reversion: Some(true),
            // With five members a network that is cut in odd ways can leave a leader that reaches one member, and a
            // quorum without it that hears that member only.
            quorum_loss_probe_interval: (self.members.len() >= 5).then(|| 2 * millis(election_max)),
            max_payload_entries: limits::APPEND_ENTRIES_MAX,
            max_append_entries: Some(4_096),
            install_snapshot_timeout: millis(SNAPSHOT_WAIT_MAX),
            snapshot_policy: openraft::SnapshotPolicy::LogsSinceLast(snapshot_every),
            // By itself it purges nothing: that is left to the purger.
            max_in_snapshot_log_to_keep: u64::MAX,
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

/// How many syncs of a disk an election must have time for.
const SYNCS_OF_AN_ELECTION: u32 = 5;

/// How long a member may take to receive a snapshot. Beyond it the leader begins again.
const SNAPSHOT_WAIT_MAX: Duration = Duration::from_secs(300);

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elections_leave_time_for_the_syncs_that_they_cost() {
        let of = |sync| {
            let Timing { heartbeat, election_min, election_max } =
                Timing::default().for_disk(Duration::from_millis(sync));
            [heartbeat, election_min, election_max].map(|time| time.as_millis())
        };
        assert_eq!(of(0), [40, 120, 200]);
        assert_eq!(of(20), [40, 120, 200]);
        assert_eq!(of(30), [40, 150, 230]);
        assert_eq!(of(100), [40, 500, 750]);
    }

    fn config(members: u64) -> Config {
        Config {
            member: MemberId::new(1),
            boot: 0,
            members: (1..=members).map(|member| (MemberId::new(member), String::new())).collect(),
            observers: BTreeMap::new(),
            ensemble: None,
            listen: None,
            data_dir: PathBuf::new(),
            log_dir: PathBuf::new(),
            timing: Timing::default(),
            tick: Duration::from_secs(2),
            retention: Retention::default(),
            sync_delay: Duration::ZERO,
            rules: Rules::default(),
            reaping: Reaping::default(),
            world_bytes_max: None,
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
    fn a_rhythm_that_cannot_be_danced_is_refused() {
        let mut odd = config(3);
        odd.timing.election_min = odd.timing.heartbeat;
        assert!(odd.raft().is_err());
    }
}
