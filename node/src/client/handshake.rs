//! A greeting to an opened or attached session.
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use consensus::{Proposal, Unavailable};
use machine::Home;
use proto::jute::connect;
use proto::request::Greeting;
use proto::{SessionId, Text};

use super::member::Member;
use crate::chance::secret;
use crate::config::SessionConfig;
use crate::mailbox::{Delivery, Mailbox, Reason, Welcome};
use crate::serving::Serving;
use crate::session::Entered;

/// Why a greeting got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unanswered {
    /// The client has seen what this ensemble does not know.
    #[error("client has seen a later zxid than this ensemble has")]
    Ahead,
    /// No leader answered.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// Reads are all that is served, and they are not enough for the client.
    #[error("client wants more than reads")]
    NotReadOnly,
    /// Reads are all that is served, and the client has a session that goes on where there is a leader.
    #[error("session is the ensemble's, and cannot go on without a leader")]
    NotLocal,
    /// The connection was ended meanwhile.
    #[error("{0}")]
    HungUp(Reason),
}

/// Asks the ensemble for the session that the greeting wants. `None` if there is none: it has ended, or the
/// password is not its own.
///
/// # Errors
/// [`Unanswered`]: the connection is to be closed without a word, and the client tries another member.
pub(super) async fn settle(
    member: &Member,
    home: Home,
    greeting: &Greeting,
    address: Text,
    mailbox: &Arc<Mailbox>,
    taken: &mut VecDeque<Delivery>,
) -> Result<Option<Welcome>, Unanswered> {
    // A client must never go back in time. It is not yet a reason to send it away: it may have read from a member
    // that was a little faster. But before anything is proposed it must be known, because to attach a session whose
    // history is not ours would take it away from the connection that has it.
    let ahead = || member.consensus.read(|machine| greeting.last_zxid > machine.last_zxid());
    let timeout_ms = clamp(greeting.timeout_ms, &member.config.session);
    if *member.serving.borrow() == Serving::ReadOnly {
        return if ahead() { Err(Unanswered::Ahead) } else { enter(member, home, greeting, timeout_ms) };
    }
    if ahead() {
        tokio::select! {
            biased;
            passed = member.consensus.barrier() => passed?,
            () = member.ending.cancelled() => {}
        }
        if ahead() {
            return Err(Unanswered::Ahead);
        }
    }
    // Its member knew it alone, and knows it no more.
    if greeting.session.is_read_only() {
        return Ok(None);
    }
    // Once it is proposed a member that leaves waits for the answer as for any other: nobody could take it back.
    if member.ending.is_cancelled() {
        return Err(Unanswered::HungUp(Reason::Shutdown));
    }
    member.consensus.propose(if greeting.session == SessionId::NONE {
        Proposal::Open { home, password: secret(), timeout_ms, address }
    } else {
        let (session, password) = (greeting.session, greeting.password.clone());
        Proposal::Attach { home, session, password, timeout_ms, seen: greeting.last_zxid, address }
    });
    loop {
        let reason = mailbox.take(taken);
        match (taken.pop_front(), reason) {
            (Some(Delivery::Welcome(welcome)), _) => return Ok(Some(welcome)),
            (Some(Delivery::Refused), _) => return Ok(None),
            // Nothing else is delivered to a connection that has no session.
            (Some(_), _) => {}
            (None, Some(reason)) => return Err(Unanswered::HungUp(reason)),
            (None, None) => mailbox.filled().await,
        }
    }
}

/// Gives a client a session that only this member knows, if that is enough for it.
fn enter(
    member: &Member,
    home: Home,
    greeting: &Greeting,
    timeout_ms: u32,
) -> Result<Option<Welcome>, Unanswered> {
    if greeting.read_only != Some(true) {
        return Err(Unanswered::NotReadOnly);
    }
    // This member may not have heard of it yet. Whether it has ended, only a leader can say.
    if greeting.session != SessionId::NONE && !greeting.session.is_read_only() {
        return Err(Unanswered::NotLocal);
    }
    match member.registry.enter(home, greeting.session, &greeting.password, timeout_ms) {
        Entered::In(welcome) => Ok(Some(welcome)),
        Entered::Refused => Ok(None),
        Entered::TooLate => Err(Unanswered::HungUp(Reason::Writable)),
    }
}

/// Writes the answer to a greeting.
pub(super) fn write_answer(out: &mut BytesMut, greeting: &Greeting, welcome: Option<&Welcome>) {
    let read_only = greeting.read_only.map(|_| welcome.is_some_and(|welcome| welcome.read_only));
    match welcome {
        Some(Welcome { session, password, timeout_ms, .. }) => {
            let timeout_ms = i32::try_from(*timeout_ms).unwrap_or(i32::MAX);
            connect::write_welcome(out, *session, password, timeout_ms, read_only);
        }
        None => connect::write_refusal(out, read_only),
    }
}

/// The timeout that is agreed on, in milliseconds: what the client asks for, within what the operator allows. Zero
/// and less is the least.
fn clamp(asked_ms: i32, config: &SessionConfig) -> u32 {
    let millis = |bound: Duration| u32::try_from(bound.as_millis()).unwrap_or(u32::MAX);
    let (min, max) = (millis(config.timeout_min), millis(config.timeout_max));
    u32::try_from(asked_ms).unwrap_or(0).min(max).max(min)
}

#[cfg(test)]
mod tests {
    use proto::{Attachment, Zxid};

    use super::*;

    #[test]
    fn timeouts_are_clamped() {
        let config = SessionConfig {
            tick: Duration::from_secs(2),
            timeout_min: Duration::from_secs(4),
            timeout_max: Duration::from_secs(40),
        };
        let rows = [
            (0, 4_000),
            (-1, 4_000),
            (i32::MIN, 4_000),
            (3_999, 4_000),
            (10_000, 10_000),
            (i32::MAX, 40_000),
        ];
        for (asked, agreed) in rows {
            assert_eq!(clamp(asked, &config), agreed, "{asked}");
        }
    }

    #[test]
    fn the_answer_has_the_form_of_the_greeting() {
        let welcome = Welcome {
            session: SessionId::from_wire(0x1_0000),
            attachment: Attachment::new(1),
            password: [7; 16],
            timeout_ms: 4_000,
            read_only: false,
        };
        for (read_only, welcome, bytes) in [
            (None, Some(&welcome), 36),
            (Some(true), Some(&welcome), 37),
            (None, None, 36),
            (Some(false), None, 37),
        ] {
            let greeting = Greeting {
                last_zxid: Zxid::ZERO,
                timeout_ms: 0,
                session: SessionId::NONE,
                password: bytes::Bytes::new(),
                read_only,
            };
            let mut out = BytesMut::new();
            write_answer(&mut out, &greeting, welcome);
            assert_eq!(out.len(), 4 + bytes);
            let timeout = if welcome.is_some() { [0, 0, 15, 160] } else { [0; 4] };
            assert_eq!(out[8..12], timeout);
        }
    }
}
