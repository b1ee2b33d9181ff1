//! How a client talks to a member: it opens a session or comes back to it, and writes.

use std::time::Duration;

use bytes::Bytes;
use machine::{Home, Verdict};
use proto::{Attachment, Id, MemberId, OpCode, Seq, SessionId, Text, Zxid};
use tokio::time::timeout;

use super::ear::{Line, Whom};
use super::world::{Running, World};
use crate::Proposal;

/// How long a client waits before it tries another member.
pub(super) const PATIENCE: Duration = Duration::from_millis(1_500);
const PASSWORD: [u8; 16] = [7; 16];

/// Who talks, and what he has of the ensemble besides a connection.
pub(super) struct Caller {
    pub(super) number: u64,
    /// How long his session may be silent, in milliseconds.
    pub(super) timeout_ms: u64,
    pub(super) session: Option<SessionId>,
    /// When he asked for his session, or for the way back to it, the last time that he got it; in milliseconds of the
    /// simulation.
    granted_at: u64,
    connections: u64,
    /// The last transaction that he has seen.
    pub(super) seen: Zxid,
}

/// A connection that stands.
pub(super) struct Talk {
    pub(super) running: Running,
    pub(super) session: SessionId,
    pub(super) attachment: Attachment,
    pub(super) line: Line,
    pub(super) seq: Seq,
    pub(super) reports: u64,
}

impl Caller {
    pub(super) const fn new(number: u64, timeout_ms: u64) -> Self {
        Self { number, timeout_ms, session: None, granted_at: 0, connections: 0, seen: Zxid::ZERO }
    }

    /// Opens a session, or comes back to the one that there is; `None` if nobody answers, or the session has ended. An
    /// error is a broken promise.
    pub(super) async fn greet(&mut self, world: &World, running: Running) -> Result<Option<Talk>, String> {
        self.connections += 1;
        let connection = (self.number + 1) << 32 | self.connections;
        let member = running.life.member;
        let home = Home { member: MemberId::new(member), boot: running.boot, connection };
        let mut line = running.ear.listen(Whom::Connection(connection));
        let timeout_ms = u32::try_from(self.timeout_ms).unwrap_or(1_000);
        let address = Text::from("10.0.0.1");
        let asked_at = world.witness.now();
        running.consensus.propose(match self.session {
            None => Proposal::Open { home, password: PASSWORD, timeout_ms, address },
            Some(session) => Proposal::Attach {
                home,
                session,
                password: Bytes::from_static(&PASSWORD),
                timeout_ms,
                seen: self.seen,
                address,
            },
        });
        let Ok(Some((zxid, verdict))) = timeout(PATIENCE, line.recv()).await else {
            running.consensus.withdraw(home);
            return Ok(None);
        };
        if zxid < self.seen {
            return Err(format!("was greeted at {zxid}, and has seen {}", self.seen));
        }
        let (session, attachment) = match verdict {
            Verdict::Opened { session, .. } => (session, Attachment::new(1)),
            Verdict::Attached { session, attachment, .. } => (session, attachment),
            _ => {
                self.has_ended(world.witness.now())?;
                world.witness.note("sessions ended", &[self.number]);
                return Ok(None);
            }
        };
        world.witness.note("greetings", &[self.number, member, attachment.get()]);
        (self.session, self.granted_at) = (Some(session), asked_at);
        self.seen = zxid;
        let line = running.ear.listen(Whom::Session(session));
        Ok(Some(Talk { running, session, attachment, line, seq: Seq::new(0), reports: 0 }))
    }

    /// The session has ended, and he did not ask for that.
    pub(super) fn has_ended(&mut self, now: u64) -> Result<(), String> {
        self.session = None;
        let lived = now - self.granted_at;
        // Both are whole milliseconds.
        if lived + 1 < self.timeout_ms {
            return Err(format!(
                "had its session for {lived} ms, and was to have it for {}",
                self.timeout_ms
            ));
        }
        Ok(())
    }
}

impl Talk {
    /// Proposes a write, as who proves to be one of these.
    pub(super) fn write(&mut self, identities: Vec<Id>, op: OpCode, body: Vec<u8>) {
        self.seq = self.seq.next();
        self.running.consensus.propose(Proposal::Write {
            session: self.session,
            attachment: self.attachment,
            seq: self.seq,
            identities,
            op,
            body: body.into(),
        });
    }
}
