//! Connections of this member to mailboxes, and sessions attached here to connections.
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use machine::{Home, Machine};
use parking_lot::Mutex;
use proto::request::SetWatches;
use proto::{Attachment, Code, MemberId, Reply, Seq, SessionId, Zxid};

use super::read_only::ReadOnly;
use crate::chance::Hashing;
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
    connections: HashMap<u64, Connection, Hashing>,
    sessions: HashMap<SessionId, Bound, Hashing>,
    /// While nothing but reads is served.
    read_only: Option<ReadOnly>,
}

#[derive(Debug)]
struct Connection {
    mailbox: Arc<Mailbox>,
    session: Option<SessionId>,
    /// Whether its client has said that reads are enough for it.
    takes_reads: bool,
    /// Whether it has a session that only this member knows.
    is_local: bool,
}

/// What became of a client that came while nothing but reads is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entered {
    /// It has a session.
    In(Welcome),
    /// The session that it named has ended, or has another password.
    Refused,
    /// More is served again.
    TooLate,
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

    /// Gives a connection that is about to greet a place and a number of its own. `takes_reads` says whether reads are
    /// enough for its client.
    pub(crate) fn seat(self: &Arc<Self>, mailbox: Arc<Mailbox>, takes_reads: bool) -> Seat {
        let mut state = self.state.lock();
        state.last_connection += 1;
        let connection = state.last_connection;
        let seated = Connection { mailbox, session: None, takes_reads, is_local: false };
        state.connections.insert(connection, seated);
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

    /// Nothing but reads is served from now on. Whoever has said that reads are enough is hung up, so that it can have them:
    /// the session that it has does not turn into another under its hands.
    pub(crate) fn begin_reads(&self) {
        let mut state = self.state.lock();
        state.read_only = Some(ReadOnly::begin(rand::random(), rand::random()));
        for connection in state.connections.values().filter(|connection| connection.takes_reads) {
            connection.mailbox.hang_up(Reason::ReadOnly);
        }
    }

    /// More is served again, or nothing: the sessions that only this member knows are over.
    pub(crate) fn end_reads(&self, reason: Reason) {
        let mut state = self.state.lock();
        state.read_only = None;
        for connection in state.connections.values().filter(|connection| connection.is_local) {
            connection.mailbox.hang_up(reason);
        }
    }

    /// Gives a connection a session that only this member knows: the one that its client names, if it has one, or else a
    /// new one.
    pub(crate) fn enter(&self, home: Home, named: SessionId, password: &[u8], timeout_ms: u32) -> Entered {
        let mut state = self.state.lock();
        let State { read_only, connections, .. } = &mut *state;
        let (Some(reads), Some(connection)) = (read_only, connections.get_mut(&home.connection)) else {
            return Entered::TooLate;
        };
        let session = match named {
            SessionId::NONE => reads.open(),
            known if reads.knows(known, password) => known,
            _ => return Entered::Refused,
        };
        connection.is_local = true;
        let (attachment, password) = (Attachment::new(0), reads.password());
        Entered::In(Welcome { session, attachment, password, timeout_ms, read_only: true })
    }

    /// How many connections have a session that only this member knows.
    pub(crate) fn local(&self) -> usize {
        self.state.lock().connections.values().filter(|connection| connection.is_local).count()
    }

    /// A greeting was refused.
    pub(crate) fn refused(&self, home: Home) {
        if let Some(connection) = self.ours(&mut self.state.lock(), home) {
            connection.mailbox.push(Delivery::Refused);
        }
    }

    /// Whether a connection is one of this member, in this life.
    pub(crate) fn is_ours(&self, home: Home) -> bool {
        (home.member, home.boot) == (self.member, self.boot)
    }

    fn ours<'a>(&self, state: &'a mut State, home: Home) -> Option<&'a mut Connection> {
        if !self.is_ours(home) {
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

    /// The change of members that a session has asked for is under way, and may take a while.
    pub(crate) fn reconfiguring(&self, session: SessionId, attachment: Attachment) {
        if let Some(bound) = self.state.lock().bound(session, attachment) {
            bound.mailbox.push(Delivery::Reconfiguring);
        }
    }

    /// The world was replaced by a snapshot: what became of sessions and greetings meanwhile is found in it.
    pub(crate) fn replaced(&self, world: &Machine) {
        for session in world.sessions().filter(|session| self.is_ours(session.home)) {
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

    /// Ends the connections of all that wait for a leader, and says how many they are.
    pub(crate) fn hang_up_waiting(&self, reason: Reason) -> usize {
        let state = self.state.lock();
        let waiting = state.connections.values().filter(|connection| !connection.is_local);
        waiting.map(|connection| connection.mailbox.hang_up(reason)).count()
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
    #[cfg(test)]
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
        Welcome { session: SESSION, attachment, password: [7; 16], timeout_ms: 4_000, read_only: false }
    }

    fn take(mailbox: &Mailbox) -> (Vec<Delivery>, Option<Reason>) {
        let mut taken = VecDeque::new();
        let reason = mailbox.take(&mut taken);
        (taken.into(), reason)
    }

    fn seated() -> (Arc<Registry>, Arc<Mailbox>, Seat) {
        let registry = Arc::new(Registry::new(ME, 9));
        let mailbox = Arc::new(Mailbox::default());
        let seat = registry.seat(mailbox.clone(), false);
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
        let next = registry.seat(second.clone(), false);
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
    fn who_may_only_read_is_hung_up_when_more_is_served_again() {
        let (registry, mailbox, seat) = seated();
        let enter = |seat: &Seat, named| registry.enter(seat.home(), named, &[], 4_000);
        assert_eq!(enter(&seat, SessionId::NONE), Entered::TooLate);
        let takes_reads = Arc::new(Mailbox::default());
        let was_here = registry.seat(takes_reads.clone(), true);
        registry.begin_reads();
        assert_eq!((take(&mailbox).1, take(&takes_reads).1), (None, Some(Reason::ReadOnly)));
        drop(was_here);

        let reader = Arc::new(Mailbox::default());
        let place = registry.seat(reader.clone(), true);
        let Entered::In(welcome) = enter(&place, SessionId::NONE) else { panic!("not let in") };
        assert!(welcome.read_only && welcome.session.is_read_only());
        assert_eq!(enter(&place, welcome.session), Entered::Refused, "the password is not the right one");
        let again = registry.enter(place.home(), welcome.session, &welcome.password, 4_000);
        assert_eq!((again, registry.local()), (Entered::In(welcome), 1));

        assert_eq!(registry.hang_up_waiting(Reason::NotServing), 1);
        assert_eq!((take(&mailbox).1, take(&reader).1), (Some(Reason::NotServing), None));
        registry.end_reads(Reason::Writable);
        assert_eq!(take(&reader).1, Some(Reason::Writable));
        assert_eq!(enter(&place, SessionId::NONE), Entered::TooLate);
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
