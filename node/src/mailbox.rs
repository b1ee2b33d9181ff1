//! A connection's ordered, bounded way out.
//!
//! Whatever reaches a client stands here first, in the order in which it is to be sent. A delivery is put in while
//! the replica is locked, by the connection itself (a read's answer) or by the observer (an event, a write's
//! answer), so the order of deliveries is the order of the world's states.
use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use proto::limits::MAILBOX_DELIVERIES_MAX;
use proto::request::SetWatches;
use proto::{Attachment, Code, Event, Reply, Seq, SessionId, Xid, Zxid, jute};
use tokio::sync::Notify;

/// Something that a connection has to send, or to do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Delivery {
    /// The greeting was accepted.
    Welcome(Welcome),
    /// The greeting named no living session, or not its password.
    Refused,
    /// A notification: a whole frame, shared by all who are told.
    Event(Bytes),
    /// What a client missed: many notifications as one, so that however much it is, it is told.
    CaughtUp {
        /// Whole frames.
        frames: Bytes,
        /// How many.
        count: usize,
    },
    /// The answer to a request that this member answered by itself.
    Answer {
        /// What the client numbered the request with.
        xid: Xid,
        /// Where the world stood.
        zxid: Zxid,
        /// The answer.
        result: Result<Reply, Code>,
    },
    /// The answer to a write; the lane knows what the client numbered it with.
    Written {
        /// Which of the connection's writes.
        seq: Seq,
        /// Where the world stood right behind it.
        zxid: Zxid,
        /// The answer.
        result: Result<Reply, Code>,
    },
    /// A report of watches of this connection was applied.
    Noted {
        /// Which one.
        number: u64,
    },
    /// The change of members that the client has asked for is under way.
    Reconfiguring,
    /// What the client had set over an earlier connection became known only now.
    Late(Box<SetWatches>),
    /// The world was replaced by a snapshot, which has this write next: what was asked for before it has been done, or
    /// refused, and nobody can say which.
    Replaced {
        /// The session's next write.
        next_seq: Seq,
    },
}

impl Delivery {
    /// Bytes that it is reckoned to take.
    pub(crate) fn reckoned_bytes(&self) -> usize {
        match self {
            Self::Answer { result: Ok(reply), .. } | Self::Written { result: Ok(reply), .. } => {
                reply.reckoned_bytes()
            }
            Self::CaughtUp { frames, .. } => frames.len(),
            _ => 0,
        }
    }

    /// These notifications, if there are any.
    pub(crate) fn caught_up(events: &[Event]) -> Option<Self> {
        let mut frames = BytesMut::new();
        for event in events {
            jute::reply::write_event(&mut frames, event.zxid, event.kind, &event.path);
        }
        (!events.is_empty()).then(|| Self::CaughtUp { frames: frames.freeze(), count: events.len() })
    }
}

/// What a client is told when its greeting was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Welcome {
    /// Its session.
    pub(crate) session: SessionId,
    /// Over which attachment.
    pub(crate) attachment: Attachment,
    /// The password of the session.
    pub(crate) password: [u8; machine::command::PASSWORD_BYTES],
    /// The timeout that was agreed on, in milliseconds.
    pub(crate) timeout_ms: u32,
    /// Whether only this member knows the session, and its client may only read.
    pub(crate) read_only: bool,
}

impl Welcome {
    /// What the client of a session is told that was just opened or attached.
    pub(crate) const fn to(session: &machine::Session) -> Self {
        Self {
            session: session.id,
            attachment: session.attachment,
            password: session.password,
            timeout_ms: session.timeout_ms,
            read_only: false,
        }
    }
}

/// Why the server ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Reason {
    /// The client asked for it.
    #[error("session was closed by its client")]
    Closed,
    /// The leader had not heard of the session for too long.
    #[error("session expired")]
    Expired,
    /// The client greeted over another connection.
    #[error("session has moved to another connection")]
    Moved,
    /// Credentials were not accepted.
    #[error("credentials were not accepted")]
    AuthFailed,
    /// The client asked for what only ZooKeeper's members ask of each other.
    #[error("client asked for an operation that is not for clients")]
    Forbidden,
    /// Credentials were for another ensemble.
    #[error("client looks for another ensemble")]
    OtherEnsemble,
    /// Something was asked for before the client had proved who it is.
    #[error("client must authenticate first")]
    AuthRequired,
    /// More waits for the client than it may leave unread.
    #[error("client reads too slowly")]
    SlowReader,
    /// No leader can be reached.
    #[error("member has not served for too long")]
    NotServing,
    /// Reads are all that is served, and the client has said that they are enough for it.
    #[error("member serves nothing but reads from now on")]
    ReadOnly,
    /// The client may only read, and there is a leader again.
    #[error("member serves more than reads again")]
    Writable,
    /// The world was replaced by a snapshot.
    #[error("world was replaced by a snapshot that has the outcome of a request")]
    Replaced,
    /// The process ends.
    #[error("member is shutting down")]
    Shutdown,
}

/// The deliveries of one connection.
///
/// Invariants:
/// * at most [`MAILBOX_DELIVERIES_MAX`] deliveries wait;
/// * behind a hang-up nothing is put in any more.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    state: Mutex<State>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Delivery>,
    hung_up: Option<Reason>,
}

impl Mailbox {
    /// Puts in one delivery and wakes the connection.
    pub(crate) fn push(&self, delivery: Delivery) {
        let mut state = self.state.lock();
        let was_empty = state.waiting.is_empty();
        let before = state.hung_up;
        state.push(delivery);
        let wake = was_empty || state.hung_up != before;
        drop(state);
        // Whoever found the mailbox empty wakes the connection; it takes all that stands here when it comes.
        if wake {
            self.filled.notify_one();
        }
    }

    /// Puts in what the connection's own task has to say. It does not wake it: it is awake, and comes here next.
    pub(crate) fn extend(&self, deliveries: impl IntoIterator<Item = Delivery>) {
        let mut state = self.state.lock();
        for delivery in deliveries {
            state.push(delivery);
        }
    }

    /// Ends the connection, behind what it was told so far. Only the first reason counts.
    pub(crate) fn hang_up(&self, reason: Reason) {
        let mut state = self.state.lock();
        if state.hung_up.is_none() {
            state.hung_up = Some(reason);
            drop(state);
            self.filled.notify_one();
        }
    }

    /// Takes all that waits, if `into` is empty (what was taken before goes out first), and says whether the
    /// connection is to end behind it.
    pub(crate) fn take(&self, into: &mut VecDeque<Delivery>) -> Option<Reason> {
        let mut state = self.state.lock();
        if into.is_empty() {
            std::mem::swap(into, &mut state.waiting);
        }
        state.hung_up
    }

    /// Waits until something was put in, or the connection is to end.
    pub(crate) async fn filled(&self) {
        self.filled.notified().await;
    }
}

impl State {
    fn push(&mut self, delivery: Delivery) {
        if self.hung_up.is_some() {
            return;
        }
        if self.waiting.len() == MAILBOX_DELIVERIES_MAX {
            // The client can only be told the truth from the start or not at all: a gap in the middle would be
            // a lost event. So nothing more goes out, and the memory is given back at once.
            self.waiting = VecDeque::new();
            self.hung_up = Some(Reason::SlowReader);
            return;
        }
        self.waiting.push_back(delivery);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(xid: i32) -> Delivery {
        Delivery::Answer { xid: Xid::new(xid), zxid: Zxid::ZERO, result: Ok(Reply::Empty) }
    }

    #[test]
    fn deliveries_come_out_in_order_and_what_was_taken_goes_first() {
        let mailbox = Mailbox::default();
        mailbox.push(answer(1));
        mailbox.extend([answer(2), answer(3)]);
        let mut taken = VecDeque::new();
        assert_eq!(mailbox.take(&mut taken), None);
        assert_eq!(taken, [answer(1), answer(2), answer(3)]);
        mailbox.push(answer(4));
        assert_eq!(mailbox.take(&mut taken), None);
        assert_eq!(taken.len(), 3, "what was taken is not yet out");
        taken.clear();
        mailbox.take(&mut taken);
        assert_eq!(taken, [answer(4)]);
    }

    #[test]
    fn nothing_is_put_in_behind_a_hang_up() {
        let mailbox = Mailbox::default();
        mailbox.push(answer(1));
        mailbox.hang_up(Reason::Closed);
        mailbox.hang_up(Reason::Moved);
        mailbox.push(answer(2));
        let mut taken = VecDeque::new();
        assert_eq!(mailbox.take(&mut taken), Some(Reason::Closed));
        assert_eq!(taken, [answer(1)]);
    }

    #[test]
    fn a_slow_reader_is_hung_up_at_the_bound() {
        let mailbox = Mailbox::default();
        mailbox.extend((0..).take(MAILBOX_DELIVERIES_MAX).map(answer));
        let mut taken = VecDeque::from([answer(-1)]);
        assert_eq!(mailbox.take(&mut taken), None);
        mailbox.push(answer(0));
        taken.clear();
        assert_eq!(mailbox.take(&mut taken), Some(Reason::SlowReader));
        assert!(taken.is_empty());
    }

    #[tokio::test]
    async fn a_push_wakes_the_connection_even_if_it_comes_first() {
        let mailbox = Mailbox::default();
        mailbox.push(answer(1));
        mailbox.filled().await;
    }

    #[tokio::test]
    async fn a_hang_up_wakes_the_connection_though_something_waits() {
        let mailbox = Mailbox::default();
        mailbox.push(answer(1));
        mailbox.filled().await;
        mailbox.hang_up(Reason::Expired);
        mailbox.filled().await;
    }
}
