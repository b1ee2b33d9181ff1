//! The loop of one connection: requests in, deliveries out.
//!
//! Nothing reaches the socket but through the mailbox, in the mailbox's order. The work of one pass is bounded, so
//! that a client with a deep pipeline does not keep the others of its thread waiting.
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use consensus::{Proposal, Unavailable};
use proto::jute::frame;
use proto::jute::{Malformed, connect, request};
use proto::limits::{
    CATCH_UP_GRACE, FAREWELL_WAIT_MAX, GREETING_WAIT_MAX, OUTBOX_BYTES_MAX, READS_PER_LOCK_MAX,
    SOCKET_READ_BYTES_MAX,
};
use proto::request::{Greeting, SetWatches};
use proto::{Attachment, Code, OpCode, Seq, SessionId, Text};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};

use super::end::{End, part};
use super::forgone::Forgone;
use super::handshake;
use super::lane::{Lane, Step};
use super::member::Member;
use super::read::{Caller, Named, answer, catch_up, catch_up_late};
use super::receipts::Receipts;
use super::reply;
use crate::auth;
use crate::mailbox::{Delivery, Mailbox, Reason};
use crate::session::Seat;
use crate::stats::Traffic;
use crate::watch::{Report, Reports};

/// Bytes read at once from a client that says little.
pub(super) const SMALL_READ_BYTES: usize = 4 << 10;

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

async fn converse(
    member: &Member,
    stream: &mut TcpStream,
    peer: SocketAddr,
    inbox: &mut BytesMut,
) -> Result<Infallible, End> {
    let greeting = tokio::select! {
        greeting = timeout(GREETING_WAIT_MAX, read_greeting(member, stream, inbox)) => {
            greeting.map_err(|_| End::NoGreeting)??
        }
        () = member.ending.cancelled() => return Err(End::HungUp(Reason::Shutdown)),
    };
    let traffic = member.stats.enter(peer);
    let mailbox = Arc::new(Mailbox::default());
    let seat = member.registry.seat(mailbox.clone());
    let address = Text::from(peer.ip().to_canonical().to_string());
    let mut taken = VecDeque::new();

    // What the client has pipelined behind its greeting stays in the inbox until the session is settled.
    let settled = handshake::settle(member, seat.home(), &greeting, address.clone(), &mailbox, &mut taken);
    let settled = async {
        tokio::select! {
            settled = timeout(GREETING_WAIT_MAX, settled) => Ok(settled.map_err(|_| End::NoGreeting)??),
            gone = client_goes(stream, inbox) => Err(gone),
        }
    };
    // Whoever goes without an answer may be welcomed by another member now, and must not lose its session to this one.
    let settled = settled.await.inspect_err(|_: &End| member.consensus.withdraw(seat.home()))?;
    let mut outbox = BytesMut::new();
    handshake::write_answer(&mut outbox, &greeting, settled.as_ref());
    let Some(welcome) = settled else {
        stream.write_all_buf(&mut outbox).await?;
        return Err(End::Refused);
    };
    tracing::debug!(session = %welcome.session, attachment = %welcome.attachment, %peer, "session attached");
    let proved = auth::from_the_start(&member.config.auth);
    let listener = member.watches.enlist(mailbox.clone(), address.clone(), Arc::from(&*proved));
    let has_returned = greeting.session != SessionId::NONE;
    let mut connection = Connection {
        member,
        attachment: welcome.attachment,
        timeout: Duration::from_millis(welcome.timeout_ms.into()),
        caller: Caller {
            session: welcome.session,
            address,
            proved,
            listener,
            returned: greeting.last_zxid,
            is_owed: has_returned,
            named: Named::default(),
            only_lists: true,
            forgone: Forgone::new(has_returned),
            told: machine::Told::default(),
            told_before: None,
            arming: Vec::new(),
            reports: Reports::default(),
        },
        lane: Lane::new(),
        mailbox,
        taken,
        answers: Vec::new(),
        outbox,
        barrier: None,
        farewell: None,
        grace: has_returned.then(|| Instant::now() + CATCH_UP_GRACE),
        receipts: Receipts::default(),
        notes_waiting: 0,
        traffic,
        _seat: seat,
    };
    let end = connection.run(stream, inbox).await;
    // The client relies on what it was answered, wherever it goes.
    connection.report_all();
    member.metrics.notes_waiting.dec_by(connection.notes_waiting);
    end
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

/// Returns why the connection is over, if its client does not wait for the answer to its greeting. What it says meanwhile
/// is kept.
async fn client_goes(stream: &mut TcpStream, inbox: &mut BytesMut) -> End {
    while inbox.len() < SOCKET_READ_BYTES_MAX {
        match stream.read_buf(inbox).await {
            Ok(0) => return End::Gone,
            Ok(_) => {}
            Err(error) => return End::Socket(error),
        }
    }
    // Whoever has so much to ask waits for an answer.
    std::future::pending().await
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
    /// Until when the client, having come back, may prove who it is before it is told what it missed.
    grace: Option<Instant>,
    receipts: Receipts,
    /// Notes of watches on their way, as told last.
    notes_waiting: i64,
    traffic: Traffic,
    _seat: Seat,
}

impl Connection<'_> {
    async fn run(&mut self, stream: &mut TcpStream, inbox: &mut BytesMut) -> Result<Infallible, End> {
        let member = self.member;
        let (mut reader, mut writer) = stream.split();
        let mut read_bytes = SMALL_READ_BYTES;
        let mut heard = Instant::now();
        let idle = sleep_until(heard + self.timeout);
        tokio::pin!(idle);
        loop {
            let ending = member.ending.is_cancelled();
            // While the socket does not take what is encoded, nothing new is begun.
            let flowing = self.outbox.len() < OUTBOX_BYTES_MAX
                && self.farewell.is_none()
                && !self.caller.reports.is_full();
            let held_back = flowing && self.accept(inbox)?;
            let more = flowing && self.step();
            self.encode()?;
            if let Some(report) = self.caller.reports.due() {
                self.report(report);
            }
            self.tell_waiting();
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
                    let is_out = self.outbox.is_empty() && self.taken.is_empty();
                    if let Some(zxid) = self.receipts.heard(heard.into_std(), self.timeout, is_out) {
                        self.caller.reports.saw(zxid);
                    }
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
                () = until(self.grace), if flowing => self.catch_up(),
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

    fn propose(&mut self, seq: Seq, op: OpCode, body: Bytes) {
        // What it missed comes in front of the answer, and so does what it has set: whoever has seen its write done may
        // take its earlier watches for safe.
        self.catch_up();
        self.report_all();
        self.caller.only_lists = false;
        self.member.consensus.propose(Proposal::Write {
            session: self.caller.session,
            attachment: self.attachment,
            seq,
            identities: self.caller.proved.clone(),
            op,
            body,
        });
    }

    /// Tells a client that has come back what it missed, unless it has been told.
    fn catch_up(&mut self) {
        self.grace = None;
        if self.caller.is_owed {
            let Self { member, caller, mailbox, answers, .. } = self;
            member.consensus.read(|machine| {
                catch_up(machine, caller, answers);
                mailbox.extend(answers.drain(..));
            });
        }
    }

    /// What is found goes out in front of all that waits: nothing of it is newer.
    fn catch_up_late(&mut self, watches: SetWatches) {
        let Self { member, caller, taken, answers, .. } = self;
        member.consensus.read(|machine| catch_up_late(machine, caller, watches, answers));
        answers.drain(..).rev().for_each(|delivery| taken.push_front(delivery));
    }

    fn report(&self, report: Report) {
        let Report { number, notes, seen } = report;
        self.member.metrics.reports.inc();
        self.member.metrics.notes.inc_by(notes.len() as u64);
        let (session, attachment) = (self.caller.session, self.attachment);
        self.member.consensus.propose(Proposal::Watch { session, attachment, number, notes, seen });
    }

    /// Tells how many notes are on their way, all connections together.
    fn tell_waiting(&mut self) {
        let waiting = i64::try_from(self.caller.reports.waiting()).unwrap_or(i64::MAX);
        if waiting != self.notes_waiting {
            self.member.metrics.notes_waiting.inc_by(waiting - self.notes_waiting);
            self.notes_waiting = waiting;
        }
    }

    fn report_all(&mut self) {
        while let Some(report) = self.caller.reports.take() {
            self.report(report);
        }
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
            // Before the replica is let go of, so that everything applied later stands behind it, and is heard of.
            caller.arm(machine);
            mailbox.extend(answers.drain(..));
        });
        if !self.caller.is_owed {
            self.grace = None;
        }
    }

    /// Encodes what the mailbox holds, as far as the outbox has room.
    fn encode(&mut self) -> Result<(), End> {
        let reason = self.mailbox.take(&mut self.taken);
        let nothing_left = self.taken.is_empty();
        let now = std::time::Instant::now();
        while self.outbox.len() < OUTBOX_BYTES_MAX {
            let Some(delivery) = self.taken.pop_front() else { break };
            match delivery {
                Delivery::Event(_) | Delivery::CaughtUp { .. } => self.receipts.told(),
                Delivery::Answer { zxid, .. } | Delivery::Written { zxid, .. } => self.receipts.replied(zxid),
                Delivery::Noted { number } => {
                    self.caller.reports.arrived(number);
                    continue;
                }
                Delivery::Late(watches) => {
                    self.catch_up_late(*watches);
                    continue;
                }
                // What has been done in the meantime, nobody can tell the client.
                Delivery::Replaced { next_seq } if self.lane.oldest().is_some_and(|seq| seq < next_seq) => {
                    return Err(End::HungUp(Reason::Replaced));
                }
                Delivery::Replaced { .. } => continue,
                Delivery::Welcome(_) | Delivery::Refused => {}
            }
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
