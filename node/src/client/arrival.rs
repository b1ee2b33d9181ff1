//! A client's arrival: from the first bytes of its greeting to a connection that has a session.
use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use proto::jute::{connect, frame};
use proto::limits::{GREETING_WAIT_MAX, SOCKET_READ_BYTES_MAX};
use proto::request::Greeting;
use proto::{Id, SessionId, Text};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::connection::{Arrival, Connection};
use super::end::{End, part};
use super::handshake;
use super::member::Member;
use super::read::{Caller, Named};
use super::wire::Wire;
use crate::auth;
use crate::mailbox::{Mailbox, Reason};
use crate::watch::Reports;

/// Who calls, before a word was said.
pub(super) struct Calling {
    /// From where.
    pub(super) peer: SocketAddr,
    /// Who the stream itself has proved the client to be.
    pub(super) proved: Vec<Id>,
}

/// Serves a client from its greeting on, of which `inbox` holds the first bytes, to the end of its connection.
pub(super) async fn receive(
    member: &Member,
    mut stream: impl Wire,
    caller: &Calling,
    mut inbox: BytesMut,
) -> End {
    let end = match converse(member, &mut stream, caller, &mut inbox).await {
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
    stream: &mut impl Wire,
    Calling { peer, proved }: &Calling,
    inbox: &mut BytesMut,
) -> Result<Infallible, End> {
    let (greeting, greeting_bytes) = tokio::select! {
        biased;
        greeting = timeout(GREETING_WAIT_MAX, read_greeting(member, stream, inbox)) => {
            greeting.map_err(|_| End::NoGreeting)??
        }
        () = member.ending.cancelled() => return Err(End::HungUp(Reason::Shutdown)),
    };
    let (arrived, mut traffic) = (Instant::now(), member.stats.enter(*peer, consensus::wall()));
    traffic.received(greeting_bytes);
    member.metrics.counts.connection_request_count.inc();
    let has_returned = greeting.session != SessionId::NONE;
    if !member.load.greets(has_returned, &member.metrics) {
        member.metrics.counts.connection_rejected.inc();
        return Err(End::TooOften);
    }
    let mailbox = Arc::new(Mailbox::default());
    let seat = member.registry.seat(mailbox.clone(), greeting.read_only == Some(true));
    let address = Text::from(peer.ip().to_canonical().to_string());
    let mut taken = VecDeque::new();

    // What the client has pipelined behind its greeting stays in the inbox until the session is settled.
    let settled = handshake::settle(member, seat.home(), &greeting, address.clone(), &mailbox, &mut taken);
    let settled = async {
        tokio::select! {
            biased;
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
        stream.flush().await?;
        return Err(End::Refused);
    };
    tracing::debug!(session = %welcome.session, attachment = %welcome.attachment, %peer, "session attached");
    // What only this member knows, it keeps nothing of.
    let comes_back = has_returned && !welcome.read_only;
    let mut all_proved = auth::from_the_start(&member.config.auth);
    all_proved.extend(proved.iter().cloned());
    let proved = all_proved;
    let listener = member.watches.enlist(mailbox.clone(), address.clone(), Arc::from(&*proved));
    let is_kept_out = !auth::lets_in(&member.config.auth, &proved);
    let caller = Caller {
        session: welcome.session,
        address,
        proved,
        is_kept_out,
        sasl: auth::Exchange::default(),
        listener,
        returned: greeting.last_zxid,
        is_owed: comes_back,
        named: Named::default(),
        only_lists: true,
        has_returned: comes_back,
        told: machine::Told::default(),
        told_before: None,
        arming: Vec::new(),
        reports: if welcome.read_only { Reports::of_nobody() } else { Reports::default() },
    };
    let is_new = !has_returned;
    let zxid = member.consensus.read(machine::Machine::last_zxid);
    traffic.answered_otherwise();
    traffic.settled(welcome.session, welcome.timeout_ms, is_new.then(|| (arrived.elapsed(), zxid)));
    let arrival = Arrival { welcome, caller, mailbox, taken, outbox, traffic, seat };
    Err(Connection::new(member, arrival).serve(stream, inbox).await)
}

/// Reads a greeting, and says how many bytes it had.
async fn read_greeting(
    member: &Member,
    stream: &mut impl Wire,
    inbox: &mut BytesMut,
) -> Result<(Greeting, usize), End> {
    loop {
        if let Some(frame) = frame::take(inbox, member.config.clients.frame_bytes)? {
            let bytes = frame.len();
            return Ok((connect::read_greeting(frame)?, bytes));
        }
        if stream.read_buf(inbox).await? == 0 {
            return Err(End::Gone);
        }
    }
}

/// Returns why the connection is over, if its client does not wait for the answer to its greeting. What it says meanwhile
/// is kept.
async fn client_goes(stream: &mut impl Wire, inbox: &mut BytesMut) -> End {
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
