//! The loop of one connection: requests in, deliveries out.
//!
//! Nothing reaches the socket but through the mailbox, in the mailbox's order. The work of one pass is bounded, so
//! that a client with a deep pipeline does not keep the others of its thread waiting.
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use consensus::{Proposal, Unavailable};
use proto::jute::frame::{self, Overlong};
use proto::jute::{Malformed, connect, request};
use proto::limits::{
    FAREWELL_WAIT_MAX, GREETING_WAIT_MAX, OUTBOX_BYTES_MAX, READS_PER_LOCK_MAX, SOCKET_READ_BYTES_MAX,
};
use proto::request::Greeting;
use proto::{Attachment, Code, OpCode, Seq, Text};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};

use super::handshake::{self, Unanswered};
use super::lane::{Lane, Step};
use super::member::Member;
use super::read::{Caller, answer};
use super::reply;
use crate::auth;
use crate::mailbox::{Delivery, Mailbox, Reason};
use crate::session::Seat;
use crate::stats::Traffic;

/// Bytes read at once from a client that says little.
pub(super) const SMALL_READ_BYTES: usize = 4 << 10;

/// Why a connection is over.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    #[error("client hung up")]
    Gone,
    #[error("client has no session yet and said nothing more")]
    NoGreeting,
    #[error("greeting does not parse")]
    Greeting(#[from] Malformed),
    #[error(transparent)]
    Unanswered(#[from] Unanswered),
    #[error("client has no session any more, or not its password")]
    Refused,
    #[error(transparent)]
    Overlong(#[from] Overlong),
    #[error("a frame has no room for a header")]
    NoHeader,
    #[error("nothing was heard for the session's timeout")]
    Idle,
    #[error("{0}")]
    HungUp(Reason),
    #[error("a sync found no leader")]
    Unavailable(#[from] Unavailable),
    #[error("a write was answered out of turn")]
    OutOfTurn,
    #[error(transparent)]
    Socket(#[from] io::Error),
}

impl End {
    /// Whether the client is still owed what was written to it: then the socket is closed with care.
    const fn is_orderly(&self) -> bool {
        matches!(self, Self::Refused | Self::HungUp(_)) && !matches!(self, Self::HungUp(Reason::SlowReader))
    }
}

/// Serves a client from its greeting on, of which `inbox` holds the first bytes, to the end of its connection.
pub(super) async fn serve(
    member: &Member,
    mut stream: TcpStream,
    peer: SocketAddr,
    mut inbox: BytesMut,
) -> End {
    let end = match converse(member, &mut stream, peer, &mut inbox).await {
        Ok(never) => match never {},
        Err(end) => end,
    };
    if end.is_orderly() {
        part(stream).await;
    }
    end
}

/// Closes a socket so that what was written to it arrives. A socket that is closed while something from the other
/// side is unread is reset, and the reset may overtake the last reply.
pub(super) async fn part(mut stream: TcpStream) {
    let farewell = async {
        stream.shutdown().await?;
        let mut ignored = [0; 1_024];
        while stream.read(&mut ignored).await? > 0 {}
        io::Result::Ok(())
    };
    // However it ends, the socket is closed behind it.
    let _ = timeout(FAREWELL_WAIT_MAX, farewell).await;
}

async fn converse(
    member: &Member,
    stream: &mut TcpStream,
    peer: SocketAddr,
    inbox: &mut BytesMut,
) -> Result<Infallible, End> {
    let greeting = timeout(GREETING_WAIT_MAX, read_greeting(member, stream, inbox));
    let greeting = greeting.await.map_err(|_| End::NoGreeting)??;
    let traffic = member.stats.enter(peer);
    let mailbox = Arc::new(Mailbox::default());
    let seat = member.registry.seat(mailbox.clone());
    let address = Text::from(peer.ip().to_canonical().to_string());
    let mut taken = VecDeque::new();

    // What the client has pipelined behind its greeting stays in the inbox until the session is settled.
    let settled = handshake::settle(member, seat.home(), &greeting, address.clone(), &mailbox, &mut taken);
    let settled = tokio::select! {
        settled = timeout(GREETING_WAIT_MAX, settled) => settled.map_err(|_| End::NoGreeting)??,
        () = member.ending.cancelled() => return Err(End::HungUp(Reason::Shutdown)),
    };
    let mut outbox = BytesMut::new();
    handshake::write_answer(&mut outbox, &greeting, settled.as_ref());
    let Some(welcome) = settled else {
        stream.write_all_buf(&mut outbox).await?;
        return Err(End::Refused);
    };
    tracing::debug!(session = %welcome.session, attachment = %welcome.attachment, %peer, "session attached");
    let proved = auth::from_the_start(&member.config.auth);
    let listener = member.watches.enlist(mailbox.clone(), address.clone(), Arc::from(&*proved));
    let connection = Connection {
        member,
        attachment: welcome.attachment,
        timeout: Duration::from_millis(welcome.timeout_ms.into()),
        caller: Caller {
            session: welcome.session,
            address,
            proved,
            listener,
            told: machine::Told::default(),
        },
        lane: Lane::new(),
        mailbox,
        taken,
        answers: Vec::new(),
        outbox,
        barrier: None,
        farewell: None,
        traffic,
        _seat: seat,
    };
    connection.run(stream, inbox).await
}

async fn read_greeting(
    member: &Member,
    stream: &mut TcpStream,
    inbox: &mut BytesMut,
) -> Result<Greeting, End> {
    loop {
        if let Some(frame) = frame::take(inbox, member.config.clients.frame_bytes)? {
            return Ok(connect::read_greeting(frame)?);
        }
        if stream.read_buf(inbox).await? == 0 {
            return Err(End::Gone);
        }
    }
}

/// A question whether this member has seen everything, under way.
type Barrier = Pin<Box<dyn Future<Output = Result<(), Unavailable>> + Send>>;

/// A connection that has a session.
struct Connection<'a> {
    member: &'a Member,
    attachment: Attachment,
    timeout: Duration,
    caller: Caller,
    lane: Lane<std::time::Instant>,
    mailbox: Arc<Mailbox>,
    /// Taken out of the mailbox and not yet encoded.
    taken: VecDeque<Delivery>,
    /// Answers on their way into the mailbox; empty between two passes.
    answers: Vec<Delivery>,
    /// Encoded and not yet taken by the socket.
    outbox: BytesMut,
    barrier: Option<Barrier>,
    /// Until when the client may receive what it was told before it is hung up.
    farewell: Option<Instant>,
    traffic: Traffic,
    _seat: Seat,
}

impl Connection<'_> {
    async fn run(mut self, stream: &mut TcpStream, inbox: &mut BytesMut) -> Result<Infallible, End> {
        let member = self.member;
        let (mut reader, mut writer) = stream.split();
        let mut read_bytes = SMALL_READ_BYTES;
        let mut heard = Instant::now();
        let idle = sleep_until(heard + self.timeout);
        tokio::pin!(idle);
        loop {
            let ending = member.ending.is_cancelled();
            // While the socket does not take what is encoded, nothing new is begun.
            let flowing = self.outbox.len() < OUTBOX_BYTES_MAX && self.farewell.is_none();
            let held_back = flowing && self.accept(inbox)?;
            let more = flowing && self.step();
            self.encode()?;
            let more = more || (held_back && self.lane.has_room());
            self.traffic.tell(self.lane.len());
            if ending && self.lane.len() == 0 && self.outbox.is_empty() {
                return Err(End::HungUp(Reason::Shutdown));
            }

            let listening = flowing && !ending && self.lane.has_room();
            if listening && inbox.capacity() - inbox.len() < SMALL_READ_BYTES / 4 {
                inbox.reserve(read_bytes);
            }
            tokio::task::consume_budget().await;
            tokio::select! {
                biased;
                written = writer.write_buf(&mut self.outbox), if !self.outbox.is_empty() => {
                    written?;
                    self.give_back();
                }
                () = self.mailbox.filled() => {}
                passed = passed(&mut self.barrier) => {
                    self.barrier = None;
                    passed?;
                    self.lane.barrier_passed();
                }
                read = reader.read_buf(inbox), if listening => {
                    if read? == 0 {
                        return Err(End::Gone);
                    }
                    heard = Instant::now();
                    member.consensus.touch(self.caller.session);
                    // A client that fills what it is given has more to say.
                    let filled = inbox.len() == inbox.capacity();
                    read_bytes = if filled { SOCKET_READ_BYTES_MAX } else { SMALL_READ_BYTES };
                }
                () = std::future::ready(()), if more => {}
                // Behind the read, so that what came while nobody listened is not taken for silence.
                () = &mut idle, if listening => {
                    if heard + self.timeout <= Instant::now() {
                        return Err(End::Idle);
                    }
                    idle.as_mut().reset(heard + self.timeout);
                }
                () = until(self.farewell) => return Err(self.hung_up()),
                () = member.ending.cancelled(), if !ending => {}
            }
        }
    }

    /// Cuts the frames that have arrived, and puts the requests into the lane. Says whether it was held back because
    /// the lane is full: then there may be more frames, which nothing from the socket would announce.
    fn accept(&mut self, inbox: &mut BytesMut) -> Result<bool, End> {
        let now = std::time::Instant::now();
        while self.lane.has_room() {
            let Some(frame) = frame::take(inbox, self.member.config.clients.frame_bytes)? else {
                return Ok(false);
            };
            self.traffic.received();
            let bytes = frame.len();
            let (xid, op, body) = request::read_header(frame).map_err(|Malformed| End::NoHeader)?;
            let request = request::read_body(op, body).map_err(|Malformed| Code::MarshallingError);
            self.lane.accept(xid, request, bytes, now);
        }
        Ok(true)
    }

    /// Does what the lane allows, with at most one hold of the replica. Says whether more is allowed.
    fn step(&mut self) -> bool {
        loop {
            match self.lane.next() {
                None => return false,
                Some(Step::Propose { seq, op, body }) => self.propose(seq, op, body),
                Some(Step::Barrier) => {
                    let consensus = self.member.consensus.clone();
                    self.barrier = Some(Box::pin(async move { consensus.barrier().await }));
                }
                Some(Step::Answer) => {
                    self.answer();
                    return true;
                }
            }
        }
    }

    fn propose(&self, seq: Seq, op: OpCode, body: Bytes) {
        self.member.consensus.propose(Proposal::Write {
            session: self.caller.session,
            attachment: self.attachment,
            seq,
            identities: self.caller.proved.clone(),
            op,
            body,
        });
    }

    fn answer(&mut self) {
        let Self { member, caller, lane, mailbox, answers, traffic, .. } = self;
        let now = std::time::Instant::now();
        member.consensus.read(|machine| {
            for _ in 0..READS_PER_LOCK_MAX {
                let Some((done, question)) = lane.take_answerable() else { break };
                traffic.answered(now.saturating_duration_since(done.arrived));
                if answer(machine, caller, &member.config.auth, done.xid, question, answers).is_break() {
                    lane.close();
                    mailbox.extend(answers.drain(..));
                    mailbox.hang_up(Reason::AuthFailed);
                    return;
                }
            }
            // Before the replica is let go of, so that everything applied later stands behind it.
            mailbox.extend(answers.drain(..));
        });
    }

    /// Encodes what the mailbox holds, as far as the outbox has room.
    fn encode(&mut self) -> Result<(), End> {
        let reason = self.mailbox.take(&mut self.taken);
        let nothing_left = self.taken.is_empty();
        let now = std::time::Instant::now();
        while self.outbox.len() < OUTBOX_BYTES_MAX {
            let Some(delivery) = self.taken.pop_front() else { break };
            reply::write(&mut self.outbox, delivery, &mut self.lane, &mut self.traffic, now)
                .map_err(|reply::OutOfTurn| End::OutOfTurn)?;
        }
        match reason {
            None => Ok(()),
            Some(Reason::SlowReader) => Err(End::HungUp(Reason::SlowReader)),
            Some(reason) if nothing_left && self.outbox.is_empty() => Err(End::HungUp(reason)),
            Some(_) => {
                self.farewell.get_or_insert_with(|| Instant::now() + FAREWELL_WAIT_MAX);
                Ok(())
            }
        }
    }

    /// Gives back the room that a large reply took, when it is out.
    fn give_back(&mut self) {
        if self.outbox.is_empty() && self.outbox.capacity() > SOCKET_READ_BYTES_MAX {
            self.outbox = BytesMut::new();
        }
    }

    fn hung_up(&mut self) -> End {
        self.taken.clear();
        End::HungUp(self.mailbox.take(&mut self.taken).unwrap_or(Reason::SlowReader))
    }
}

async fn passed(barrier: &mut Option<Barrier>) -> Result<(), Unavailable> {
    match barrier {
        Some(barrier) => barrier.await,
        None => std::future::pending().await,
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
