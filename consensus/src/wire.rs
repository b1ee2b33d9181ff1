//! openraft's words as the records that lie on disk and travel between members, and back.

use std::collections::{BTreeMap, BTreeSet};

use openraft::BasicNode;
use proto::image;

use crate::Fault;
use crate::types::{LogId, Membership, StoredMembership, Vote};

/// A place in the log.
pub(crate) fn position(log_id: &LogId) -> image::Position {
    image::Position { term: **log_id.committed_leader_id(), index: log_id.index() }
}

/// A place in the log, read back.
pub(crate) fn log_id(position: image::Position) -> LogId {
    LogId::new_term_index(position.term, position.index)
}

/// A vote.
pub(crate) fn vote(vote: &Vote) -> image::Vote {
    image::Vote { term: vote.leader_id.term, member: vote.leader_id.voted_for, committed: vote.committed }
}

/// A vote, read back.
pub(crate) fn read_vote(vote: image::Vote) -> Vote {
    if vote.committed {
        Vote::new_committed(vote.term, vote.member)
    } else {
        Vote::new(vote.term, vote.member)
    }
}

/// Who votes.
pub(crate) fn membership(membership: &Membership) -> image::Membership {
    image::Membership {
        voters: membership
            .get_joint_config()
            .iter()
            .map(|voters| image::Voters { members: voters.iter().copied().collect() })
            .collect(),
        addresses: membership.nodes().map(|(id, node)| (*id, node.addr.clone())).collect(),
    }
}

/// Who votes, read back.
pub(crate) fn read_membership(membership: image::Membership) -> Result<Membership, Fault> {
    let voters: Vec<BTreeSet<u64>> =
        membership.voters.into_iter().map(|voters| voters.members.into_iter().collect()).collect();
    let nodes: BTreeMap<u64, BasicNode> =
        membership.addresses.into_iter().map(|(id, address)| (id, BasicNode::new(address))).collect();
    if voters.is_empty() && nodes.is_empty() {
        return Ok(Membership::default());
    }
    Membership::new(voters, nodes)
        .map_err(|error| Fault::Other(format!("a stored membership is not one: {error}")))
}

/// Who votes, and since when.
pub(crate) fn stored_membership(stored: &StoredMembership) -> image::StoredMembership {
    image::StoredMembership {
        decided: stored.log_id().as_ref().map(position),
        membership: Some(membership(stored.membership())),
    }
}

/// Who votes, and since when, read back.
pub(crate) fn read_stored_membership(stored: image::StoredMembership) -> Result<StoredMembership, Fault> {
    let decided = stored.decided.map(log_id);
    Ok(StoredMembership::new(decided, read_membership(stored.membership.unwrap_or_default())?))
}
