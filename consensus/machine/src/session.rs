//! Who may write, and what is the next write of each.

use std::fmt;

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};
use proto::limits::ARRIVALS_REMEMBERED_MAX;
use proto::{Attachment, Seq, SessionId, Text, Zxid};
use smallvec::SmallVec;
use subtle::ConstantTimeEq;

use crate::command::{Home, PASSWORD_BYTES};

/// What a session is reckoned to take: itself and its address, and its places in the two tables, where these have just doubled. A
/// number, and not what the compiler makes of it, as of znodes.
const SESSION_BYTES: u64 = 464;

/// A session, as every member knows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// What its client must say to come back.
    pub password: [u8; PASSWORD_BYTES],
    /// As negotiated last, in milliseconds.
    pub timeout_ms: u32,
    /// How many times it has been attached.
    pub attachment: Attachment,
    /// The write that comes next on this attachment.
    pub next_seq: Seq,
    /// The connection that it is attached to.
    pub home: Home,
    /// Where its client calls from.
    pub address: Text,
    /// What its client had seen each time it came back, the last time at the end: of its newest attachments, and no more
    /// of them than [`ARRIVALS_REMEMBERED_MAX`].
    pub arrivals: SmallVec<[Zxid; 2]>,
}

impl Session {
    /// What its client had seen when it left an earlier attachment; `None` if that is forgotten.
    pub(crate) fn seen_over(&self, attachment: Attachment) -> Option<Zxid> {
        let since = usize::try_from(self.attachment.get().checked_sub(attachment.get())?).ok()?;
        self.arrivals.get(self.arrivals.len().checked_sub(since)?).copied()
    }
}

/// Everything but the password, which is nobody's to read.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.id)
            .field("timeout_ms", &self.timeout_ms)
            .field("attachment", &self.attachment)
            .field("next_seq", &self.next_seq)
            .field("home", &self.home)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// Whether a write may be performed now.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Admission<'a> {
    /// It is the next one of this session.
    Next(&'a Session),
    /// It was performed before.
    Repeat,
    /// Others must come first.
    Gap,
    /// Its connection has lost the session.
    Fenced,
}

/// All living sessions.
///
/// Invariants:
/// * a connection holds at most one session, and is found by it exactly while it does.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    sessions: HashMap<SessionId, Session, RandomState>,
    homes: HashMap<Home, SessionId, RandomState>,
    touched: HashSet<SessionId, RandomState>,
}

impl Sessions {
    /// A living session.
    pub(crate) fn get(&self, id: SessionId) -> Option<&Session> {
        self.sessions.get(&id)
    }

    /// All of them, in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Session> {
        self.sessions.values()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Bytes that they are reckoned to take.
    pub(crate) fn bytes(&self) -> u64 {
        self.sessions.len() as u64 * SESSION_BYTES
    }

    /// The sessions that came, went or were changed since this was last asked; not sorted.
    pub(crate) fn take_touched(&mut self) -> Vec<SessionId> {
        self.touched.drain().collect()
    }

    /// Whether a session is attached to this connection: an open or attach that names it was performed before.
    pub(crate) fn holds(&self, home: Home) -> bool {
        self.homes.contains_key(&home)
    }

    /// Takes a session in, at a connection that holds none; `false` if either is known already.
    #[must_use]
    pub(crate) fn insert(&mut self, session: Session) -> bool {
        if self.sessions.contains_key(&session.id) || self.homes.contains_key(&session.home) {
            return false;
        }
        self.touched.insert(session.id);
        self.homes.insert(session.home, session.id);
        self.sessions.insert(session.id, session);
        true
    }

    /// Moves a session to a connection that holds none, and says which one it comes from; `None` if there is no such
    /// session, or it has another password: the two are not told apart, so that nobody can look for sessions.
    pub(crate) fn attach(
        &mut self,
        id: SessionId,
        password: &[u8],
        home: Home,
        timeout_ms: u32,
        seen: Zxid,
        address: Text,
    ) -> Option<(Home, &Session)> {
        let session = self.sessions.get_mut(&id)?;
        if !bool::from(session.password.ct_eq(password)) {
            return None;
        }
        let previous = session.home;
        session.attachment = session.attachment.next();
        session.next_seq = Seq::new(1);
        session.home = home;
        session.timeout_ms = timeout_ms;
        session.address = address;
        if session.arrivals.len() == ARRIVALS_REMEMBERED_MAX {
            session.arrivals.remove(0);
        }
        session.arrivals.push(seen);
        self.homes.remove(&previous);
        self.homes.insert(home, id);
        self.touched.insert(id);
        Some((previous, session))
    }

    /// Whether this write is the next one of its session; if it is, the one after it will be.
    pub(crate) fn admit(&mut self, id: SessionId, attachment: Attachment, seq: Seq) -> Admission<'_> {
        let Some(session) = self.sessions.get_mut(&id) else { return Admission::Fenced };
        if session.attachment != attachment {
            return Admission::Fenced;
        }
        match seq.cmp(&session.next_seq) {
            std::cmp::Ordering::Less => Admission::Repeat,
            std::cmp::Ordering::Greater => Admission::Gap,
            std::cmp::Ordering::Equal => {
                session.next_seq = seq.next();
                self.touched.insert(id);
                Admission::Next(session)
            }
        }
    }

    /// Ends a session.
    pub(crate) fn remove(&mut self, id: SessionId) -> Option<Session> {
        let session = self.sessions.remove(&id)?;
        self.homes.remove(&session.home);
        self.touched.insert(id);
        Some(session)
    }

    /// Panics if an invariant does not hold.
    pub(crate) fn assert_invariants(&self) {
        assert_eq!(self.sessions.len(), self.homes.len(), "connections without a session");
        for (id, session) in &self.sessions {
            assert_eq!(*id, session.id, "a session under another id");
            assert_eq!(self.homes.get(&session.home), Some(id), "connection of {id}");
            assert!(session.attachment.get() > 0, "{id} was never attached");
            assert!(session.next_seq.get() > 0, "{id} has no next write");
            let arrivals = session.arrivals.len() as u64;
            assert!(
                arrivals < session.attachment.get(),
                "{id} has come back more often than it was attached"
            );
        }
    }
}
