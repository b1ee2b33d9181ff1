//! The loop of one connection: requests in, deliveries out.
//!
//! Nothing reaches the socket but through the mailbox, in the mailbox's order. The work of one pass is bounded, so
//! that a client with a deep pipeline does not keep the others of its thread waiting.
use std::collections::VecDeque;
use std::convert::Infallible;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use consensus::Proposal;
use machine::Machine;
use proto::jute::{Malformed, frame, request};
use proto::limits::{
    ANSWER_BYTES_PER_LOCK_MAX, CATCH_UP_GRACE, FAREWELL_WAIT_MAX, OUTBOX_BYTES_MAX, READS_PER_LOCK_MAX,
    SOCKET_READ_BYTES_MAX,
};
use proto::request::{SetWatches, WatcherType};
use proto::{Attachment, Code, OpCode, Seq, Text};
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, sleep_until};

use super::awaited::{Barrier, passed, push, until};
use super::end::End;
use super::lane::{Lane, Step};
use super::member::Member;
use super::read::{Caller, answer, catch_up, catch_up_late};
use super::receipts::Receipts;
use super::reply;
use super::share::Share;
use super::wire::Wire;
use crate::mailbox::{Delivery, Mailbox, Reason, Welcome};
use crate::session::Seat;
use crate::stats::{self, Traffic};
use crate::watch::Report;

/// Bytes read at once from a client that says little.
pub(super) const SMALL_READ_BYTES: usize = 4 << 10;

/// What a client brings with it out of its greeting.
pub(super) struct Arrival {
    pub(super) welcome: Welcome,
    pub(super) caller: Caller,
    pub(super) mailbox: Arc<Mailbox>,
    /// Taken out of the mailbox behind the welcome.
    pub(super) taken: VecDeque<Delivery>,
    /// Holds the welcome, encoded.
    pub(super) outbox: BytesMut,
    pub(super) traffic: Traffic,
    pub(super) seat: Seat,
}

/// A connection that has a session.
pub(super) struct Connection<'a> {
    member: &'a Member,
    attachment: Attachment,
    /// Whether only this member knows the session.
    is_local: bool,
    timeout: Duration,
    caller: Caller,
    lane: Lane<stats::Request>,
    share: Share,
    /// How many of its requests are not answered, as told last.
    told: usize,
    mailbox: Arc<Mailbox>,
    /// Taken out of the mailbox and not yet encoded.
    taken: VecDeque<Delivery>,
    /// Answers on their way into the mailbox; empty between two passes.
    answers: Vec<Delivery>,
    /// Encoded and not yet taken by the socket.
    outbox: BytesMut,
    /// Whether the stream may hold back what it has taken out of the outbox: see [`Wire::HOLDS_BACK`].
    is_held_back: bool,
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

impl<'a> Connection<'a> {
    pub(super) fn new(member: &'a Member, arrival: Arrival) -> Self {
        let Arrival { welcome, caller, mailbox, taken, outbox, traffic, seat } = arrival;
        let share = Share::new(member.load.clone());
        let lane = Lane::new(share.large_threshold());
        Self {
            member,
            attachment: welcome.attachment,
            is_local: welcome.read_only,
            timeout: Duration::from_millis(welcome.timeout_ms.into()),
            grace: caller.is_owed.then(|| Instant::now() + CATCH_UP_GRACE),
            caller,
            lane: if welcome.read_only { lane.read_only() } else { lane },
            share,
            told: 0,
            mailbox,
            taken,
            answers: Vec::new(),
            outbox,
            is_held_back: false,
            barrier: None,
            farewell: None,
            receipts: Receipts::default(),
            notes_waiting: 0,
            traffic,
            _seat: seat,
        }
    }

    /// Serves the client to the end of its connection.
    pub(super) async fn serve(mut self, stream: &mut impl Wire, inbox: &mut BytesMut) -> End {
        let end = match self.run(stream, inbox).await {
            Ok(never) => match never {},
            Err(end) => end,
        };
        // The client relies on what it was answered, wherever it goes.
        self.report_all();
        self.member.metrics.watching.notes_waiting.dec_by(self.notes_waiting);
        end
    }

    async fn run<W: Wire>(&mut self, stream: &mut W, inbox: &mut BytesMut) -> Result<Infallible, End> {
        let member = self.member;
        let (mut reader, mut writer) = stream.halves();
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
            let more = flowing && self.step()?;
            let more = self.encode()? || more;
            if let Some(report) = self.caller.reports.due() {
                self.report(report);
            }
            self.tell_waiting();
            self.told = self.lane.len();
            self.traffic.tell(self.told);
            self.share.tell(&self.lane);
            let has_room = self.has_room();
            let more = more || (held_back && has_room);
            if ending && self.lane.len() == 0 && self.is_out() {
                return Err(End::HungUp(Reason::Shutdown));
            }

            let listening = flowing && !ending && has_room;
            if listening && inbox.capacity() - inbox.len() < SMALL_READ_BYTES / 4 {
                inbox.reserve(read_bytes);
            }
            tokio::task::consume_budget().await;
            let flushing = self.outbox.is_empty();
            tokio::select! {
                biased;
                written = push(&mut writer, &mut self.outbox), if !self.is_out() => {
                    written?;
                    // The last write may be held back until a flush; a flush leaves nothing.
                    self.is_held_back = W::HOLDS_BACK && !flushing;
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
                    if !self.is_local {
                        member.consensus.touch(self.caller.session);
                    }
                    let is_out = self.is_out() && self.taken.is_empty();
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
                () = until(self.share.again().map(Instant::from_std)), if flowing => {}
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
        while self.has_room() {
            if let Some(bytes) = frame::announced(inbox) {
                self.share.announce(bytes, &self.member.metrics)?;
            }
            let Some(frame) = frame::take(inbox, self.member.config.clients.frame_bytes)? else {
                return Ok(false);
            };
            let bytes = frame.len();
            self.traffic.received(bytes);
            let (xid, op, body) = request::read_header(frame).map_err(|Malformed| End::NoHeader)?;
            let request = request::read_body(op, body).map_err(|Malformed| Code::MarshallingError);
            self.share.arrived();
            self.lane.accept(xid, request, bytes, stats::Request { arrived: now, op });
        }
        Ok(true)
    }

    /// Does what the lane allows, with at most one hold of the replica. Says whether more is allowed.
    fn step(&mut self) -> Result<bool, End> {
        while self.share.may_begin(&mut self.lane, self.timeout, &self.member.metrics)? {
            if self.caller.is_kept_out {
                self.lane.keep_out(Code::SessionClosedRequireSaslAuth);
            }
            match self.lane.next() {
                None => break,
                Some(Step::Propose { seq, op, body }) => {
                    self.share.begin();
                    self.propose(seq, op, body);
                }
                Some(Step::Barrier) => {
                    self.share.begin();
                    let consensus = self.member.consensus.clone();
                    self.barrier = Some(Box::pin(async move { consensus.barrier().await }));
                }
                Some(Step::TakeAway(removals)) => {
                    self.share.begin();
                    self.take_away(&removals);
                }
                Some(Step::Answer) => {
                    self.answer();
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Whether the client may ask for more.
    fn has_room(&self) -> bool {
        let own = self.lane.len();
        let others = self.member.stats.outstanding().saturating_sub(self.told);
        self.lane.has_room() && self.share.may_accept(own, others + own)
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

    fn take_away(&mut self, removals: &[(Text, WatcherType)]) {
        // It may be among what it is still to be told of.
        self.catch_up();
        let zxid = self.member.consensus.read(Machine::last_zxid);
        self.caller.take_away(zxid, removals);
        self.report_all();
        if self.caller.reports.all_known() {
            self.lane.taken_away();
        }
    }

    /// Tells a client that has come back what it missed, unless it has been told.
    fn catch_up(&mut self) {
        self.grace = None;
        if self.caller.is_owed && self.caller.is_kept_out {
            // It may yet prove who it is.
            self.grace = Some(Instant::now() + CATCH_UP_GRACE);
        } else if self.caller.is_owed {
            let Self { member, caller, mailbox, answers, .. } = self;
            member.consensus.read(|machine| {
                catch_up(machine, caller, answers);
                mailbox.extend(answers.drain(..));
            });
        }
    }

    /// What is found goes out behind all that waits, of which some is older.
    fn catch_up_late(&mut self, watches: SetWatches) {
        let Self { member, caller, mailbox, answers, .. } = self;
        member.consensus.read(|machine| {
            catch_up_late(machine, caller, watches, answers);
            answers.drain(..).for_each(|delivery| mailbox.push(delivery));
        });
    }

    fn report(&self, Report { number, notes, seen }: Report) {
        self.member.metrics.watching.reports.inc();
        self.member.metrics.watching.notes.inc_by(notes.len() as u64);
        let (session, attachment) = (self.caller.session, self.attachment);
        self.member.consensus.propose(Proposal::Watch { session, attachment, number, notes, seen });
    }

    /// Tells how many notes are on their way, all connections together.
    fn tell_waiting(&mut self) {
        let waiting = i64::try_from(self.caller.reports.waiting()).unwrap_or(i64::MAX);
        if waiting != self.notes_waiting {
            self.member.metrics.watching.notes_waiting.inc_by(waiting - self.notes_waiting);
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
        let (mut bytes, mut counted) = (0, 0);
        member.consensus.read(|machine| {
            for _ in 0..READS_PER_LOCK_MAX {
                if caller.is_kept_out {
                    lane.keep_out(Code::SessionClosedRequireSaslAuth);
                }
                let Some((done, question)) = lane.take_answerable() else { break };
                traffic.answered(done.xid, done.arrived, machine.last_zxid(), now);
                let auth = &member.config.auth;
                let ends = answer(machine, caller, traffic, auth, done.xid, question, answers);
                bytes += answers.iter().skip(counted).map(Delivery::reckoned_bytes).sum::<usize>();
                counted = answers.len();
                if let ControlFlow::Break(reason) = ends {
                    lane.close();
                    mailbox.extend(answers.drain(..));
                    mailbox.hang_up(reason);
                    return;
                }
                if bytes >= ANSWER_BYTES_PER_LOCK_MAX {
                    break;
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

    /// Encodes what the mailbox holds, as far as the outbox has room. Says whether the lane may allow more than before
    /// without the client's being sent anything.
    fn encode(&mut self) -> Result<bool, End> {
        let mut more = false;
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
                    more |= self.caller.reports.all_known() && self.lane.taken_away();
                    continue;
                }
                Delivery::Reconfiguring => {
                    self.lane.members_change();
                    more = true;
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
            let bytes = reply::write(&mut self.outbox, delivery, &mut self.lane, &mut self.traffic, now)
                .map_err(|reply::OutOfTurn| End::OutOfTurn)?;
            if bytes > self.member.config.clients.frame_bytes {
                self.wrote_large(bytes);
            }
        }
        match reason {
            None => Ok(more),
            Some(Reason::SlowReader) => Err(End::HungUp(Reason::SlowReader)),
            Some(reason) if nothing_left && self.is_out() => Err(End::HungUp(reason)),
            Some(_) => {
                self.farewell.get_or_insert_with(|| Instant::now() + FAREWELL_WAIT_MAX);
                Ok(more)
            }
        }
    }

    /// A client mostly has the same bound as its server: it hangs up on such an answer, comes back, and asks again.
    fn wrote_large(&self, bytes: usize) {
        self.member.metrics.large_replies.inc();
        let (session, peer) = (self.caller.session, &self.caller.address);
        tracing::warn!(%session, %peer, bytes, "an answer is larger than jute.maxbuffer: few clients take it");
    }

    /// Whether the socket has taken everything that is encoded.
    fn is_out(&self) -> bool {
        self.outbox.is_empty() && !self.is_held_back
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
