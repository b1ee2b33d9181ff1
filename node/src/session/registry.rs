//! Connections of this member to mailboxes, and sessions attached here to connections.
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use machine::{Home, Machine};
use parking_lot::Mutex;
use proto::request::SetWatches;
use proto::{Attachment, Code, MemberId, Reply, Seq, SessionId, Zxid};

use crate::mailbox::{Delivery, Mailbox, Reason, Welcome};

/// All connections of this member that greet or have a session.
///
/// Invariants:
/// * a session is bound to at most one connection, and that connection is among `connections` and knows of it;
/// * a connection has at most one session.
#[derive(Debug)]
pub(crate) struct Registry {
    member: MemberId,
    boot: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last_connection: u64,
    connections: HashMap<u64, Connection, foldhash::fast::RandomState>,
    sessions: HashMap<SessionId, Bound, foldhash::fast::RandomState>,
}

#[derive(Debug)]
struct Connection {
    mailbox: Arc<Mailbox>,
    session: Option<SessionId>,
}

#[derive(Debug)]
struct Bound {
    attachment: Attachment,
    connection: u64,
    timeout_ms: u32,
    mailbox: Arc<Mailbox>,
}

/// A connection's place here. When it is dropped, nothing is delivered to the connection any more.
#[derive(Debug)]
pub(crate) struct Seat {
    registry: Arc<Registry>,
    connection: u64,
}

impl Seat {
    /// How the log names the connection.
    pub(crate) fn home(&self) -> Home {
        Home { member: self.registry.member, boot: self.registry.boot, connection: self.connection }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.registry.state.lock();
        if let Some(Connection { session: Some(session), .. }) = state.connections.remove(&self.connection) {
            state.sessions.remove(&session);
        }
    }
}

impl Registry {
    /// An empty one, of this life of this member.
    pub(crate) fn new(member: MemberId, boot: u64) -> Self {
        Self { member, boot, state: Mutex::default() }
    }

    /// Gives a connection that is about to greet a place and a number of its own.
    pub(crate) fn seat(self: &Arc<Self>, mailbox: Arc<Mailbox>) -> Seat {
        let mut state = self.state.lock();
        state.last_connection += 1;
        let connection = state.last_connection;
        state.connections.insert(connection, Connection { mailbox, session: None });
        Seat { registry: self.clone(), connection }
    }

    /// A session was attached to a connection, somewhere. If it is one of ours, the session is bound to it, under
    /// the same hold of the replica, so that not one event is missed. Whoever had the session here before is hung up.
    pub(crate) fn attached(&self, home: Home, welcome: Welcome) {
        let mut state = self.state.lock();
        if let Some(old) = state.sessions.remove(&welcome.session) {
            old.mailbox.hang_up(Reason::Moved);
            if let Some(connection) = state.connections.get_mut(&old.connection) {
                connection.session = None;
            }
        }
        // If the client has gone while it waited, the session lives on without a connection, until it comes back or
        // expires.
        if let Some(connection) = self.ours(&mut state, home) {
            connection.session = Some(welcome.session);
            let mailbox = connection.mailbox.clone();
            mailbox.push(Delivery::Welcome(welcome));
            let Welcome { session, attachment, timeout_ms, .. } = welcome;
            let bound = Bound { attachment, connection: home.connection, timeout_ms, mailbox };
            state.sessions.insert(session, bound);
        }
    }

    /// A greeting was refused.
    pub(crate) fn refused(&self, home: Home) {
        if let Some(connection) = self.ours(&mut self.state.lock(), home) {
            connection.mailbox.push(Delivery::Refused);
        }
    }

    fn ours<'a>(&self, state: &'a mut State, home: Home) -> Option<&'a mut Connection> {
        if (home.member, home.boot) != (self.member, self.boot) {
            return None;
        }
        state.connections.get_mut(&home.connection)
    }

    /// A write was answered.
    pub(crate) fn written(
        &self,
        session: SessionId,
        attachment: Attachment,
        seq: Seq,
        zxid: Zxid,
        result: &Result<Reply, Code>,
    ) {
        if let Some(bound) = self.state.lock().bound(session, attachment) {
            bound.mailbox.push(Delivery::Written { seq, zxid, result: result.clone() });
        }
    }

    /// A session ended: by the write `seq` of its client, or because it expired.
    pub(crate) fn closed(&self, session: SessionId, attachment: Attachment, seq: Option<Seq>, zxid: Zxid) {
        let state = self.state.lock();
        let Some(bound) = state.bound(session, attachment) else { return };
        match seq {
            Some(seq) => {
                bound.mailbox.push(Delivery::Written { seq, zxid, result: Ok(Reply::Empty) });
                bound.mailbox.hang_up(Reason::Closed);
            }
            None => bound.mailbox.hang_up(Reason::Expired),
        }
    }

    /// A write came over an attachment that the session has left: its connection will never be answered.
    pub(crate) fn fenced(&self, session: SessionId, attachment: Attachment) {
        if let Some(bound) = self.state.lock().bound(session, attachment) {
            bound.mailbox.hang_up(Reason::Moved);
        }
    }

    /// A report of a session's watches was applied, and has perhaps brought to light what was set before the session
    /// came to its `current` attachment. Says whether the session is attached here.
    pub(crate) fn noted(
        &self,
        session: SessionId,
        reported: (Attachment, u64),
        current: Attachment,
        late: Option<&SetWatches>,
    ) -> bool {
        let state = self.state.lock();
        let Some(bound) = state.bound(session, current) else { return false };
        let (attachment, number) = reported;
        if attachment == current {
            bound.mailbox.push(Delivery::Noted { number });
        }
        if let Some(late) = late {
            bound.mailbox.push(Delivery::Late(Box::new(late.clone())));
        }
        true
    }

    /// The world was replaced by a snapshot: what became of sessions and greetings meanwhile is found in it.
    pub(crate) fn replaced(&self, world: &Machine) {
        let ours = |home: Home| (home.member, home.boot) == (self.member, self.boot);
        for session in world.sessions().filter(|session| ours(session.home)) {
            let bound = self.state.lock().sessions.get(&session.id).map(|bound| bound.connection);
            if bound != Some(session.home.connection) {
                self.attached(session.home, Welcome::to(session));
            }
        }
        for (id, bound) in &self.state.lock().sessions {
            match world.session(*id) {
                None => bound.mailbox.hang_up(Reason::Expired),
                Some(session) if session.attachment != bound.attachment => {
                    bound.mailbox.hang_up(Reason::Moved);
                }
                Some(session) => bound.mailbox.push(Delivery::Replaced { next_seq: session.next_seq }),
            }
        }
    }

    /// Ends all connections.
    pub(crate) fn hang_up_all(&self, reason: Reason) {
        for connection in self.state.lock().connections.values() {
            connection.mailbox.hang_up(reason);
        }
    }

    /// The smallest timeout of the sessions attached here.
    pub(crate) fn smallest_timeout(&self) -> Option<Duration> {
        let smallest = self.state.lock().sessions.values().map(|bound| bound.timeout_ms).min()?;
        Some(Duration::from_millis(smallest.into()))
    }

    /// How many connections greet or have a session.
    pub(crate) fn len(&self) -> usize {
        self.state.lock().connections.len()
    }
}

impl State {
    fn bound(&self, session: SessionId, attachment: Attachment) -> Option<&Bound> {
        self.sessions.get(&session).filter(|bound| bound.attachment == attachment)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    const ME: MemberId = MemberId::new(1);
    const SESSION: SessionId = SessionId::from_wire(0x17);

    fn welcome(attachment: u64) -> Welcome {
        let attachment = Attachment::new(attachment);
        Welcome { session: SESSION, attachment, password: [7; 16], timeout_ms: 4_000 }
    }

    fn take(mailbox: &Mailbox) -> (Vec<Delivery>, Option<Reason>) {
        let mut taken = VecDeque::new();
        let reason = mailbox.take(&mut taken);
        (taken.into(), reason)
    }

    fn seated() -> (Arc<Registry>, Arc<Mailbox>, Seat) {
        let registry = Arc::new(Registry::new(ME, 9));
        let mailbox = Arc::new(Mailbox::default());
        let seat = registry.seat(mailbox.clone());
        (registry, mailbox, seat)
    }

    #[test]
    fn a_session_is_bound_to_the_connection_that_asked() {
        let (registry, mailbox, seat) = seated();
        registry.attached(seat.home(), welcome(1));
        registry.written(SESSION, Attachment::new(1), Seq::new(1), Zxid::new(5), &Ok(Reply::Empty));
        let written = Delivery::Written { seq: Seq::new(1), zxid: Zxid::new(5), result: Ok(Reply::Empty) };
        assert_eq!(take(&mailbox), (vec![Delivery::Welcome(welcome(1)), written], None));
        assert_eq!(registry.smallest_timeout(), Some(Duration::from_secs(4)));
        drop(seat);
        assert_eq!((registry.len(), registry.smallest_timeout()), (0, None));
    }

    #[test]
    fn another_life_of_this_member_is_somebody_else() {
        let (registry, mailbox, seat) = seated();
        registry.attached(Home { boot: 8, ..seat.home() }, welcome(1));
        registry.refused(Home { member: MemberId::new(2), ..seat.home() });
        assert_eq!(take(&mailbox), (vec![], None));
        registry.refused(seat.home());
        assert_eq!(take(&mailbox), (vec![Delivery::Refused], None));
    }

    #[test]
    fn a_session_that_moves_leaves_its_old_connection_hung_up() {
        let (registry, first, seat) = seated();
        registry.attached(seat.home(), welcome(1));
        let second = Arc::new(Mailbox::default());
        let next = registry.seat(second.clone());
        registry.attached(next.home(), welcome(2));
        assert_eq!(take(&first).1, Some(Reason::Moved));
        drop(seat);
        registry.written(SESSION, Attachment::new(1), Seq::new(1), Zxid::new(5), &Ok(Reply::Empty));
        assert_eq!(take(&second), (vec![Delivery::Welcome(welcome(2))], None));
        registry.attached(Home { member: MemberId::new(2), boot: 1, connection: 1 }, welcome(3));
        assert_eq!(take(&second).1, Some(Reason::Moved));
        assert_eq!(registry.smallest_timeout(), None);
    }

    #[test]
    fn an_end_names_the_attachment_that_it_ends() {
        let (registry, mailbox, seat) = seated();
        registry.attached(seat.home(), welcome(2));
        registry.closed(SESSION, Attachment::new(1), None, Zxid::new(5));
        registry.fenced(SESSION, Attachment::new(1));
        assert_eq!(take(&mailbox).1, None);
        registry.closed(SESSION, Attachment::new(2), Some(Seq::new(4)), Zxid::new(6));
        let written = Delivery::Written { seq: Seq::new(4), zxid: Zxid::new(6), result: Ok(Reply::Empty) };
        assert_eq!(take(&mailbox), (vec![written], Some(Reason::Closed)));
    }
}
