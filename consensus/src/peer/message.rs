//! openraft's messages as those of the wire, and back.
//!
//! What comes in was written by a peer of a release that may not be ours: whatever is missing is an error, which ends
//! the call it came by.

use std::time::Duration;

use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendError, StreamAppendResult,
    TransferLeaderError, TransferLeaderRequest, VoteRequest, VoteResponse,
};
use proto::{ClusterId, peer};
use tonic::Status;

use crate::types::{Batch, Entry, LogId, Payload, SnapshotMeta, TypeConfig, Vote};
use crate::wire;

/// The version of what the pieces of a snapshot hold.
pub(super) const SNAPSHOT_FORMAT: u32 = 1;

pub(super) fn append(
    request: AppendEntriesRequest<TypeConfig>,
    cluster: Option<ClusterId>,
) -> peer::AppendRequest {
    peer::AppendRequest {
        vote: Some(wire::vote(&request.vote)),
        previous: request.prev_log_id.as_ref().map(wire::position),
        entries: request.entries.into_iter().map(entry).collect(),
        committed: request.leader_commit.as_ref().map(wire::position),
        cluster: cluster.map_or(0, ClusterId::get),
    }
}

/// Refuses entries with a hole in front of them or between them: Raft looks only whether what is said to stand in front is
/// there.
pub(super) fn read_append(request: peer::AppendRequest) -> Result<AppendEntriesRequest<TypeConfig>, Status> {
    let request = AppendEntriesRequest {
        vote: vote(request.vote)?,
        prev_log_id: request.previous.map(wire::log_id),
        entries: request.entries.into_iter().map(read_entry).collect::<Result<_, _>>()?,
        leader_commit: request.committed.map(wire::log_id),
    };
    if has_hole(&request) {
        return Err(Status::invalid_argument(
            "the entries do not follow what is said to stand in front of them",
        ));
    }
    Ok(request)
}

/// Whether entries are missing in front of these or between them. Raft reads what it sends where it may have been purged by
/// then, and does not see that the first ones are missing.
pub(super) fn has_hole(request: &AppendEntriesRequest<TypeConfig>) -> bool {
    let first = request.prev_log_id.map_or(0, |previous| previous.index() + 1);
    (first..).zip(&request.entries).any(|(index, entry)| entry.log_id.index() != index)
}

/// Where a log ends that has what this request brings.
pub(super) fn last(request: &AppendEntriesRequest<TypeConfig>) -> Option<LogId> {
    request.entries.last().map(|entry| entry.log_id).or(request.prev_log_id)
}

fn entry(entry: Entry) -> peer::Entry {
    let payload = match entry.payload {
        Payload::Blank => None,
        Payload::Normal(Batch(batch)) => Some(peer::entry::Payload::Batch(batch)),
        Payload::Membership(membership) => {
            Some(peer::entry::Payload::Membership(wire::membership(&membership)))
        }
    };
    peer::Entry { at: Some(wire::position(&entry.log_id)), payload }
}

fn read_entry(entry: peer::Entry) -> Result<Entry, Status> {
    let log_id = position(entry.at)?;
    let payload = match entry.payload {
        None => Payload::Blank,
        Some(peer::entry::Payload::Batch(batch)) => Payload::Normal(Batch(batch)),
        Some(peer::entry::Payload::Membership(membership)) => Payload::Membership(
            wire::read_membership(membership).map_err(|fault| Status::invalid_argument(fault.to_string()))?,
        ),
    };
    Ok(Entry { log_id, payload })
}

pub(super) fn append_reply(result: &StreamAppendResult<TypeConfig>) -> peer::AppendReply {
    use peer::append_reply::Result as Reply;
    let result = match result {
        Ok(upto) => Reply::Matched(peer::Matched { upto: upto.as_ref().map(wire::position) }),
        Err(StreamAppendError::Conflict(at)) => Reply::Conflict(wire::position(at)),
        Err(StreamAppendError::HigherVote(vote)) => Reply::Higher(wire::vote(vote)),
    };
    peer::AppendReply { result: Some(result) }
}

pub(super) fn read_append_reply(reply: peer::AppendReply) -> Result<StreamAppendResult<TypeConfig>, Status> {
    use peer::append_reply::Result as Reply;
    Ok(match reply.result.ok_or_else(|| missing("result"))? {
        Reply::Matched(matched) => Ok(matched.upto.map(wire::log_id)),
        Reply::Conflict(at) => Err(StreamAppendError::Conflict(wire::log_id(at))),
        Reply::Higher(vote) => Err(StreamAppendError::HigherVote(wire::read_vote(vote))),
    })
}

/// The answer to an append that was sent by itself. `previous` and `last` are of the request.
pub(super) fn heartbeat_reply(
    response: &AppendEntriesResponse<TypeConfig>,
    previous: Option<LogId>,
    last: Option<LogId>,
) -> peer::AppendReply {
    append_reply(&match response {
        AppendEntriesResponse::Success => Ok(last),
        AppendEntriesResponse::PartialSuccess(upto) => Ok(*upto),
        // What has nothing in front of it cannot be in conflict with that.
        AppendEntriesResponse::Conflict => match previous {
            Some(previous) => Err(StreamAppendError::Conflict(previous)),
            None => Ok(None),
        },
        AppendEntriesResponse::HigherVote(vote) => Err(StreamAppendError::HigherVote(*vote)),
    })
}

pub(super) fn read_heartbeat_reply(
    reply: peer::AppendReply,
    last: Option<LogId>,
) -> Result<AppendEntriesResponse<TypeConfig>, Status> {
    Ok(match read_append_reply(reply)? {
        Ok(upto) if upto == last => AppendEntriesResponse::Success,
        Ok(upto) => AppendEntriesResponse::PartialSuccess(upto),
        Err(StreamAppendError::Conflict(_)) => AppendEntriesResponse::Conflict,
        Err(StreamAppendError::HigherVote(vote)) => AppendEntriesResponse::HigherVote(vote),
    })
}

pub(super) fn vote_request(request: &VoteRequest<TypeConfig>) -> peer::VoteRequest {
    peer::VoteRequest {
        vote: Some(wire::vote(&request.vote)),
        last: request.last_log_id.as_ref().map(wire::position),
        leadership_transfer: request.leadership_transfer,
    }
}

pub(super) fn read_vote_request(request: peer::VoteRequest) -> Result<VoteRequest<TypeConfig>, Status> {
    let mut read = VoteRequest::new(vote(request.vote)?, request.last.map(wire::log_id));
    read.leadership_transfer = request.leadership_transfer;
    Ok(read)
}

/// The answer of a member that needs so long for a vote.
pub(super) fn vote_reply(response: &VoteResponse<TypeConfig>, needs: Duration) -> peer::VoteReply {
    peer::VoteReply {
        vote: Some(wire::vote(&response.vote)),
        granted: response.vote_granted,
        needs_ms: u64::try_from(needs.as_millis()).unwrap_or(u64::MAX),
        last: response.last_log_id.as_ref().map(wire::position),
    }
}

/// What it answers, and how long it needs for a vote.
pub(super) fn read_vote_reply(
    reply: peer::VoteReply,
) -> Result<(VoteResponse<TypeConfig>, Duration), Status> {
    let needs = Duration::from_millis(reply.needs_ms);
    Ok((VoteResponse::new(vote(reply.vote)?, reply.last.map(wire::log_id), reply.granted), needs))
}

pub(super) fn snapshot_head(vote: &Vote, meta: &SnapshotMeta) -> peer::SnapshotHead {
    peer::SnapshotHead {
        vote: Some(wire::vote(vote)),
        last: meta.last_log_id.as_ref().map(wire::position),
        membership: Some(wire::stored_membership(&meta.last_membership)),
        format: SNAPSHOT_FORMAT,
    }
}

pub(super) fn read_snapshot_head(head: peer::SnapshotHead) -> Result<(Vote, SnapshotMeta), Status> {
    if head.format != SNAPSHOT_FORMAT {
        let format = head.format;
        return Err(Status::unimplemented(format!("snapshot of format {format}, not {SNAPSHOT_FORMAT}")));
    }
    let membership = head.membership.ok_or_else(|| missing("membership"))?;
    let last_membership = wire::read_stored_membership(membership)
        .map_err(|fault| Status::invalid_argument(fault.to_string()))?;
    Ok((vote(head.vote)?, SnapshotMeta { last_log_id: head.last.map(wire::log_id), last_membership }))
}

pub(super) fn snapshot_reply(response: &SnapshotResponse<TypeConfig>) -> peer::SnapshotReply {
    peer::SnapshotReply { vote: Some(wire::vote(&response.vote)) }
}

pub(super) fn read_snapshot_reply(
    reply: peer::SnapshotReply,
) -> Result<SnapshotResponse<TypeConfig>, Status> {
    Ok(SnapshotResponse::new(vote(reply.vote)?))
}

pub(super) fn transfer(request: &TransferLeaderRequest<TypeConfig>) -> peer::TransferRequest {
    peer::TransferRequest {
        from: Some(wire::vote(request.from_leader())),
        to: *request.to_node_id(),
        last: request.last_log_id().map(wire::position),
    }
}

pub(super) fn read_transfer(
    request: peer::TransferRequest,
) -> Result<TransferLeaderRequest<TypeConfig>, Status> {
    let last = request.last.map(wire::log_id);
    Ok(TransferLeaderRequest::new(vote(request.from)?, request.to, last))
}

pub(super) fn transfer_reply(response: &Result<(), TransferLeaderError<TypeConfig>>) -> peer::TransferReply {
    use peer::transfer_reply::Refusal;
    let refusal = match response {
        Ok(()) => None,
        Err(TransferLeaderError::VoteChanged { expected, actual }) => {
            Some(Refusal::VoteChanged(peer::VoteChanged {
                expected: Some(wire::vote(expected)),
                actual: Some(wire::vote(actual)),
            }))
        }
        Err(TransferLeaderError::LogNotFlushed { expected, actual }) => {
            Some(Refusal::LogNotFlushed(peer::LogNotFlushed {
                expected: expected.as_ref().map(wire::position),
                actual: actual.as_ref().map(wire::position),
            }))
        }
    };
    peer::TransferReply { refusal }
}

pub(super) fn read_transfer_reply(
    reply: peer::TransferReply,
) -> Result<Result<(), TransferLeaderError<TypeConfig>>, Status> {
    use peer::transfer_reply::Refusal;
    Ok(match reply.refusal {
        None => Ok(()),
        Some(Refusal::VoteChanged(changed)) => Err(TransferLeaderError::VoteChanged {
            expected: vote(changed.expected)?,
            actual: vote(changed.actual)?,
        }),
        Some(Refusal::LogNotFlushed(behind)) => Err(TransferLeaderError::LogNotFlushed {
            expected: behind.expected.map(wire::log_id),
            actual: behind.actual.map(wire::log_id),
        }),
    })
}

fn vote(vote: Option<proto::image::Vote>) -> Result<Vote, Status> {
    vote.map(wire::read_vote).ok_or_else(|| missing("vote"))
}

fn position(at: Option<proto::image::Position>) -> Result<LogId, Status> {
    at.map(wire::log_id).ok_or_else(|| missing("position"))
}

fn missing(what: &str) -> Status {
    Status::invalid_argument(format!("a message without its {what}"))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use bytes::Bytes;
    use openraft::BasicNode;
    use prost::Message;

    use super::*;
    use crate::types::Membership;

    fn at(term: u64, index: u64) -> LogId {
        LogId::new_term_index(term, index)
    }

    fn request() -> AppendEntriesRequest<TypeConfig> {
        let voters = BTreeSet::from([1, 2]);
        let nodes: BTreeMap<_, _> = (1..=3).map(|id| (id, BasicNode::new(format!("h{id}:1")))).collect();
        let membership = Membership::new(vec![voters, BTreeSet::from([2, 3])], nodes).unwrap();
        let payloads = [
            Payload::Blank,
            Payload::Normal(Batch(Bytes::from_static(b"x"))),
            Payload::Membership(membership),
        ];
        AppendEntriesRequest {
            vote: Vote::new_committed(7, 2),
            prev_log_id: Some(at(6, 40)),
            entries: (41..)
                .zip(payloads)
                .map(|(index, payload)| Entry { log_id: at(7, index), payload })
                .collect(),
            leader_commit: None,
        }
    }

    #[test]
    fn entries_with_a_hole_are_refused() {
        let refused = |spoil: fn(&mut AppendEntriesRequest<TypeConfig>)| {
            let mut request = request();
            spoil(&mut request);
            assert_eq!(has_hole(&request), read_append(append(request.clone(), None)).is_err());
            has_hole(&request)
        };
        assert!(!refused(|_| {}));
        assert!(!refused(|request| request.entries.clear()));
        assert!(refused(|request| request.prev_log_id = Some(at(6, 39))));
        assert!(refused(|request| request.prev_log_id = None));
        assert!(refused(|request| drop(request.entries.remove(0))));
        assert!(refused(|request| drop(request.entries.remove(1))));
    }

    #[test]
    fn every_kind_of_entry_survives_the_wire() {
        let bytes = append(request(), None).encode_to_vec();
        let read = read_append(peer::AppendRequest::decode(&*bytes).unwrap()).unwrap();
        let sent = request();
        assert_eq!((read.vote, read.prev_log_id, read.leader_commit), (sent.vote, sent.prev_log_id, None));
        assert_eq!(read.entries, sent.entries);
    }

    #[test]
    fn every_answer_to_an_append_survives_the_wire() {
        for result in [
            Ok(None),
            Ok(Some(at(2, 9))),
            Err(StreamAppendError::Conflict(at(1, 3))),
            Err(StreamAppendError::HigherVote(Vote::new(9, 3))),
        ] {
            assert_eq!(read_append_reply(append_reply(&result)).unwrap(), result);
        }
        assert!(read_append_reply(peer::AppendReply::default()).is_err());
    }

    #[test]
    fn an_answer_to_a_single_append_says_how_far_it_went() {
        let last = Some(at(2, 9));
        for response in [
            AppendEntriesResponse::Success,
            AppendEntriesResponse::PartialSuccess(Some(at(2, 7))),
            AppendEntriesResponse::Conflict,
            AppendEntriesResponse::HigherVote(Vote::new_committed(9, 3)),
        ] {
            let reply = heartbeat_reply(&response, Some(at(2, 5)), last);
            assert_eq!(read_heartbeat_reply(reply, last).unwrap(), response);
        }
    }

    #[test]
    fn a_vote_survives_the_wire() {
        let mut request = VoteRequest::new(Vote::new(3, 1), Some(at(2, 5)));
        request.leadership_transfer = true;
        assert_eq!(read_vote_request(vote_request(&request)).unwrap(), request);
        let response = VoteResponse::new(Vote::new(3, 1), None, true);
        let needs = Duration::from_millis(120);
        assert_eq!(read_vote_reply(vote_reply(&response, needs)).unwrap(), (response, needs));
        assert!(read_vote_reply(peer::VoteReply::default()).is_err(), "no vote is not the vote of nobody");
    }

    #[test]
    fn a_transfer_survives_the_wire() {
        let request = TransferLeaderRequest::new(Vote::new_committed(3, 1), 2, Some(at(3, 5)));
        assert_eq!(read_transfer(transfer(&request)).unwrap(), request);
        for response in [
            Ok(()),
            Err(TransferLeaderError::VoteChanged { expected: Vote::new(1, 1), actual: Vote::new(2, 2) }),
            Err(TransferLeaderError::LogNotFlushed { expected: Some(at(1, 1)), actual: None }),
        ] {
            assert_eq!(read_transfer_reply(transfer_reply(&response)).unwrap(), response);
        }
    }
}
