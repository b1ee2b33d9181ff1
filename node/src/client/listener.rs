//! Accept, count, and tell four-letter words from clients.
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::BytesMut;
use hashbrown::HashMap;
use parking_lot::Mutex;
use proto::limits::{ACCEPT_RETRY_WAIT, ELECTION_WAIT_MAX, GREETING_WAIT_MAX, OPERATOR_WAIT_MAX};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::arrival::{self, Calling};
use super::connection::SMALL_READ_BYTES;
use super::end::{End, part};
use super::member::Member;
use super::wire::{Wire, speaks_tls};
use crate::admin::{Answer, Deed, Dump, Source, Watching, Word, answer, gather};
use crate::auth;
use crate::config::{ClientLimits, Listen};
use crate::mailbox::Reason;
use crate::tls::{Tls, subject};

/// A socket at which clients may call.
pub(crate) struct Listening {
    listener: TcpListener,
    door: Door,
}

/// What is spoken at a socket.
#[derive(Clone)]
enum Door {
    /// No TLS.
    Plain,
    /// TLS, or none.
    Unified(Arc<Tls>),
    /// TLS, and nothing else.
    Secure(Arc<Tls>),
}

impl Listening {
    /// Takes the address, so that an error shows before anything else is started. Nobody is accepted yet.
    ///
    /// # Errors
    /// What the name service or the kernel says.
    pub(crate) async fn bind(listen: &Listen, backlog: u32) -> io::Result<Self> {
        let mut last = io::Error::new(io::ErrorKind::AddrNotAvailable, "the name has no address");
        for address in lookup_host((listen.host.as_str(), listen.port)).await? {
            match Self::bind_to(address, backlog) {
                Ok(listener) => return Ok(Self { listener, door: Door::Plain }),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn bind_to(address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // A member that comes back finds connections of its former life still lingering.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(backlog)
    }

    /// The same, where clients may speak TLS or not.
    pub(crate) fn unified(self, tls: Arc<Tls>) -> Self {
        Self { door: Door::Unified(tls), ..self }
    }

    /// The same, where clients must speak TLS.
    pub(crate) fn secured(self, tls: Arc<Tls>) -> Self {
        Self { door: Door::Secure(tls), ..self }
    }

    /// Where clients call.
    ///
    /// # Errors
    /// What the kernel says.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Accepts clients, each with a task of its own in `tasks`, until the member ends.
    pub(crate) async fn accept(self, member: Arc<Member>, tasks: TaskTracker) {
        let admissions = Arc::new(Admissions::new(&member.config.clients));
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = member.ending.cancelled() => return,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Mostly for want of file descriptors: it passes when somebody hangs up.
                    tracing::warn!(%error, "accept a client");
                    tokio::time::sleep(ACCEPT_RETRY_WAIT).await;
                    continue;
                }
            };
            let Some(admission) = Admissions::admit(&admissions, peer.ip().to_canonical()) else {
                member.metrics.counts.connection_rejected.inc();
                tracing::debug!(%peer, "too many connections");
                continue;
            };
            let (member, door) = (member.clone(), self.door.clone());
            tasks.spawn(async move {
                let _admission = admission;
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%peer, %error, "set TCP_NODELAY");
                }
                let ended = greet(&member, stream, peer, door).await;
                match &ended {
                    Err(End::NoGreeting) => member.metrics.counts.sessionless_connections_expired.inc(),
                    Err(End::HungUp(Reason::AuthFailed)) => member.metrics.levels.auth_failed_count.inc(),
                    _ => 0,
                };
                match ended {
                    Ok(()) => {}
                    Err(end @ End::OutOfTurn) => tracing::error!(%peer, reason = %end, "connection ended"),
                    Err(end) => tracing::debug!(%peer, reason = %end, "connection ended"),
                }
            });
        }
    }
}

/// Shakes hands, where that is spoken, and goes on from there.
async fn greet(member: &Arc<Member>, stream: TcpStream, peer: SocketAddr, door: Door) -> Result<(), End> {
    let tls = match door {
        Door::Plain => None,
        Door::Secure(tls) => Some(tls),
        Door::Unified(tls) => {
            let speaks = timeout(tls.detection, speaks_tls(&stream));
            let speaks = tokio::select! {
                speaks = speaks => speaks.map_err(|_| End::NoGreeting)??,
                () = member.ending.cancelled() => return Ok(()),
            };
            speaks.then_some(tls)
        }
    };
    let Some(tls) = tls else {
        let levels = &member.metrics.levels;
        if peer.ip().to_canonical().is_loopback() {
            levels.non_mtls_local_conn_count.inc();
        } else {
            levels.non_mtls_remote_conn_count.inc();
        }
        return open(member, stream, Calling { peer, proved: Vec::new() }).await;
    };
    let stream = {
        let Some(_handshake) = tls.begin() else {
            member.metrics.counts.tls_handshake_exceeded.inc();
            return Err(End::TooManyHandshakes);
        };
        let shaken = tokio::select! {
            shaken = timeout(GREETING_WAIT_MAX, tls.acceptor.accept(stream)) => shaken,
            () = member.ending.cancelled() => return Ok(()),
        };
        shaken.map_err(|_| End::NoGreeting)?.map_err(|error| {
            member.metrics.counts.unsuccessful_handshake.inc();
            member.metrics.levels.auth_failed_count.inc();
            End::Handshake(error)
        })?
    };
    let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let proved = match certificate {
        None => Vec::new(),
        Some(certificate) => {
            let subject = subject(certificate).ok_or(End::NoSubject)?;
            auth::of_certificate(subject, &member.config.auth)
        }
    };
    open(member, stream, Calling { peer, proved }).await
}

/// Reads the first bytes of a connection, and does what they ask for.
async fn open(member: &Arc<Member>, mut stream: impl Wire, caller: Calling) -> Result<(), End> {
    let mut first = [0; 4];
    let read = tokio::select! {
        biased;
        read = timeout(GREETING_WAIT_MAX, stream.read_exact(&mut first)) => read,
        () = member.ending.cancelled() => return Ok(()),
    };
    read.map_err(|_| End::NoGreeting)?.map_err(|_| End::Gone)?;
    if let Some(word) = Word::from_bytes(first) {
        timeout(OPERATOR_WAIT_MAX, tell(member, word, &mut stream, caller.peer))
            .await
            .map_err(|_| End::Gone)??;
        part(stream).await;
        return Ok(());
    }
    // An election is a pause for those who come, too: wherever else they went, nobody would lead there either. Where
    // it lasts longer the member says nothing, and the client tries the next one.
    let serves = tokio::select! {
        biased;
        serves = member.serves_within(ELECTION_WAIT_MAX) => serves,
        () = member.ending.cancelled() => false,
    };
    if !serves {
        return Ok(());
    }
    let mut inbox = BytesMut::with_capacity(SMALL_READ_BYTES);
    inbox.extend_from_slice(&first);
    Err(arrival::receive(member, stream, &caller, inbox).await)
}

/// Serves a client by a stream of a simulation.
///
/// # Errors
/// Why it was ended, in words.
#[cfg(simulation)]
pub(crate) async fn serve_stream(
    member: &Arc<Member>,
    stream: tokio::io::DuplexStream,
    peer: SocketAddr,
) -> Result<(), String> {
    open(member, stream, Calling { peer, proved: Vec::new() }).await.map_err(|end| end.to_string())
}

/// Answers a word.
async fn tell(member: &Arc<Member>, word: Word, stream: &mut impl Wire, peer: SocketAddr) -> io::Result<()> {
    // Whoever asks is a connection among the others meanwhile, as in ZooKeeper.
    let mut traffic = member.stats.enter(peer, consensus::wall());
    traffic.asked_word();
    let said = say(member, word, stream).await;
    traffic.answered_otherwise();
    said
}

async fn say(member: &Arc<Member>, word: Word, stream: &mut impl Wire) -> io::Result<()> {
    let asked = match answer(word, &member.report(), &member.config.words) {
        Answer::Text(text) => return stream.write_all(text.as_bytes()).await,
        Answer::Done(deed, text) => {
            member.perform(deed);
            return stream.write_all(text.as_bytes()).await;
        }
        Answer::Mask => {
            let mask = stream.read_i64().await?;
            member.perform(Deed::SetTraceMask(mask));
            return stream.write_all(mask.to_string().as_bytes()).await;
        }
        asked @ (Answer::Watching(_) | Answer::Dump) => asked,
    };
    let listing = async {
        let pieces = gather(member.clone(), move |source| match asked {
            Answer::Watching(form) => Watching::of(source).text(form),
            _ => Dump::gather(source).text(),
        });
        for piece in pieces.await {
            stream.write_all(piece.as_bytes()).await?;
        }
        Ok(())
    };
    tokio::select! {
        told = listing => told,
        // It may be long, and the member does not wait for it.
        () = member.ending.cancelled() => Ok(()),
    }
}

/// Who may come in.
#[derive(Debug)]
struct Admissions {
    per_address: usize,
    total: usize,
    inside: Mutex<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    total: usize,
    by_address: HashMap<IpAddr, usize, foldhash::fast::RandomState>,
}

/// One who is in.
#[derive(Debug)]
struct Admission {
    admissions: Arc<Admissions>,
    address: IpAddr,
}

impl Admissions {
    fn new(limits: &ClientLimits) -> Self {
        Self { per_address: limits.per_address, total: limits.total, inside: Mutex::default() }
    }

    fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Admission> {
        let within = |count: usize, limit: usize| limit == 0 || count < limit;
        let mut inside = self.inside.lock();
        let from_here = inside.by_address.get(&address).copied().unwrap_or(0);
        if !within(inside.total, self.total) || !within(from_here, self.per_address) {
            return None;
        }
        inside.total += 1;
        inside.by_address.insert(address, from_here + 1);
        Some(Admission { admissions: self.clone(), address })
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut inside = self.admissions.inside.lock();
        inside.total -= 1;
        if let Some(from_here) = inside.by_address.get_mut(&self.address) {
            *from_here -= 1;
            if *from_here == 0 {
                inside.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

    fn admissions(per_address: usize, total: usize) -> Arc<Admissions> {
        Arc::new(Admissions { per_address, total, inside: Mutex::default() })
    }

    #[test]
    fn an_address_has_its_bound_and_all_together_have_theirs() {
        let door = admissions(2, 3);
        let first = door.admit(HERE).unwrap();
        let _second = door.admit(HERE).unwrap();
        assert!(door.admit(HERE).is_none());
        let _third = door.admit(THERE).unwrap();
        assert!(door.admit(THERE).is_none());
        drop(first);
        assert!(door.admit(HERE).is_some());
    }

    #[test]
    fn zero_is_no_bound_and_nothing_is_kept_of_those_who_left() {
        let door = admissions(0, 0);
        let inside: Vec<_> = (0..1_000).map(|_| door.admit(HERE).unwrap()).collect();
        drop(inside);
        let inside = door.inside.lock();
        assert_eq!((inside.total, inside.by_address.len()), (0, 0));
    }
}
