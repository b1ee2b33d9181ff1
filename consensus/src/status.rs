//! What others may know about this member.

use std::collections::BTreeMap;

use proto::MemberId;

/// What this member is in the ensemble.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// It orders the log.
    Leader,
    /// It follows a leader.
    Follower,
    /// It follows a leader, and has no vote.
    Observer,
    /// It knows no leader.
    #[default]
    Looking,
}

/// What this member knows of the ensemble.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// What it is.
    pub role: Role,
    /// Who leads, if anybody does.
    pub leader: Option<MemberId>,
    /// The Raft term.
    pub term: u64,
    /// Whether it has applied all that it had acknowledged before it was last started: it must not serve before.
    pub recovered: bool,
    /// Members with their peer addresses; `true` for those that vote.
    pub members: BTreeMap<MemberId, (String, bool)>,
    /// On the leader: how many of the others are in step.
    pub followers_in_step: usize,
    /// Whether a fault has stopped this member's part in the ensemble.
    pub stopped: bool,
}
