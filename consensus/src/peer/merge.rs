//! Puts together what a leader has sent while this member was busy.
//!
//! A leader that is answered at once sends small requests, and half of them say only what is committed. openraft takes 64 of
//! them before the first must be on disk: on a slow disk that is little for each sync, and what waits behind them stays as
//! small as it was sent. So whatever has arrived goes to Raft as one request.

use futures_util::future::FutureExt;
use futures_util::stream::{self, Stream, StreamExt};
use openraft::raft::AppendEntriesRequest;
use proto::limits::{APPEND_BYTES_MAX, APPEND_ENTRIES_MAX};

use crate::log::entry_size;
use crate::peer::message;
use crate::types::TypeConfig;

type Append = AppendEntriesRequest<TypeConfig>;

/// The same entries in as few requests as what has arrived allows. Nothing waits for anything: a request that is alone goes
/// on at once.
pub(super) fn merged(requests: impl Stream<Item = Append>) -> impl Stream<Item = Append> {
    stream::unfold(Box::pin(requests.peekable()), async |mut requests| {
        let mut merging = Merging::new(requests.next().await?);
        loop {
            let next = requests.as_mut().next_if(|next| merging.takes(next)).now_or_never();
            let Some(next) = next.flatten() else { break };
            merging.add(next);
        }
        Some((merging.request, requests))
    })
}

/// A request that grows.
struct Merging {
    request: Append,
    bytes: usize,
}

impl Merging {
    fn new(request: Append) -> Self {
        let bytes = request.entries.iter().map(entry_size).sum();
        Self { request, bytes }
    }

    /// Whether that one says the same as if this one had gone on.
    fn takes(&self, next: &Append) -> bool {
        next.vote == self.request.vote
            && next.prev_log_id == message::last(&self.request)
            && (self.request.entries.len() + next.entries.len()) as u64 <= APPEND_ENTRIES_MAX
            && self.bytes + next.entries.iter().map(entry_size).sum::<usize>() <= APPEND_BYTES_MAX
    }

    fn add(&mut self, next: Append) {
        self.bytes += next.entries.iter().map(entry_size).sum::<usize>();
        self.request.entries.extend(next.entries);
        self.request.leader_commit = self.request.leader_commit.max(next.leader_commit);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tokio::sync::mpsc;
    use tokio_stream::wrappers::ReceiverStream;

    use super::*;
    use crate::types::{Batch, Entry, LogId, Payload, Vote};

    fn at(index: u64) -> LogId {
        LogId::new_term_index(7, index)
    }

    /// What a leader sends of the entries behind `from` up to `to`, each of so many bytes.
    fn request(from: u64, to: u64, committed: u64, bytes: usize) -> Append {
        let payload = Payload::Normal(Batch(Bytes::from(vec![0; bytes])));
        Append {
            vote: Vote::new_committed(7, 2),
            prev_log_id: Some(at(from)),
            entries: (from + 1..=to)
                .map(|index| Entry { log_id: at(index), payload: payload.clone() })
                .collect(),
            leader_commit: Some(at(committed)),
        }
    }

    /// From where to where each of the requests goes that come out, and up to where it says that all is committed.
    async fn merged_from(requests: impl IntoIterator<Item = Append>) -> Vec<(u64, u64, u64)> {
        let span = |request: Append| {
            let index = |at: Option<LogId>| at.map_or(0, |at| at.index());
            assert!(!message::has_hole(&request));
            (index(request.prev_log_id), index(message::last(&request)), index(request.leader_commit))
        };
        merged(stream::iter(requests)).map(span).collect().await
    }

    #[tokio::test]
    async fn what_has_arrived_is_one_request() {
        let arrived = [request(3, 5, 2, 9), request(5, 5, 4, 9), request(5, 5, 5, 9), request(5, 9, 5, 9)];
        assert_eq!(merged_from(arrived).await, [(3, 9, 5)]);
    }

    #[tokio::test]
    async fn what_does_not_follow_is_a_request_of_its_own() {
        // The second begins in front of where the first ends, the third behind that; the fifth is another leader's.
        let mut of_another = request(9, 9, 9, 9);
        of_another.vote = Vote::new_committed(8, 1);
        let arrived =
            [request(3, 5, 2, 9), request(4, 5, 2, 9), request(7, 8, 2, 9), request(8, 9, 2, 9), of_another];
        assert_eq!(merged_from(arrived).await, [(3, 5, 2), (4, 5, 2), (7, 9, 2), (9, 9, 9)]);
    }

    #[tokio::test]
    async fn a_request_grows_no_further_than_one_may() {
        let most = APPEND_ENTRIES_MAX;
        let arrived =
            [request(0, most - 1, 0, 1), request(most - 1, most, 0, 1), request(most, most + 1, 0, 1)];
        assert_eq!(merged_from(arrived).await, [(0, most, 0), (most, most + 1, 0)]);
        let half = APPEND_BYTES_MAX / 2;
        let arrived = (0..3).map(|index| request(index, index + 1, 0, half));
        assert_eq!(merged_from(arrived).await, [(0, 1, 0), (1, 2, 0), (2, 3, 0)]);
        // One that is too large by itself travels alone.
        let arrived = [request(0, 1, 0, 4 * half), request(1, 1, 1, 9)];
        assert_eq!(merged_from(arrived).await, [(0, 1, 0), (1, 1, 1)]);
    }

    #[tokio::test]
    async fn nothing_waits_for_what_has_not_arrived() {
        let (sender, receiver) = mpsc::channel(4);
        let mut requests = std::pin::pin!(merged(ReceiverStream::new(receiver)));
        for index in 0..3 {
            sender.send(request(index, index + 1, 0, 9)).await.unwrap();
            assert_eq!(message::last(&requests.next().await.unwrap()), Some(at(index + 1)));
        }
        drop(sender);
        assert!(requests.next().await.is_none());
    }
}
