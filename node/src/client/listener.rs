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

use super::connection;
use super::end::{End, part};
use super::member::Member;
use crate::admin::{Answer, Source, Word, answer, gather};
use crate::config::{ClientLimits, Listen};

/// A socket at which clients may call.
pub(crate) struct Listening {
    listener: TcpListener,
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
                Ok(listener) => return Ok(Self { listener }),
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
                tracing::debug!(%peer, "too many connections");
                continue;
            };
            let member = member.clone();
            tasks.spawn(async move {
                let _admission = admission;
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%peer, %error, "set TCP_NODELAY");
                }
                match open(&member, stream, peer).await {
                    Ok(()) => {}
                    Err(end @ End::OutOfTurn) => tracing::error!(%peer, reason = %end, "connection ended"),
                    Err(end) => tracing::debug!(%peer, reason = %end, "connection ended"),
                }
            });
        }
    }
}

/// Reads the first bytes of a connection, and does what they ask for.
async fn open(member: &Arc<Member>, mut stream: TcpStream, peer: SocketAddr) -> Result<(), End> {
    let mut first = [0; 4];
    let read = tokio::select! {
        read = timeout(GREETING_WAIT_MAX, stream.read_exact(&mut first)) => read,
        () = member.ending.cancelled() => return Ok(()),
    };
    read.map_err(|_| End::NoGreeting)?.map_err(|_| End::Gone)?;
    if let Some(word) = Word::from_bytes(first) {
        timeout(OPERATOR_WAIT_MAX, tell(member, word, &mut stream)).await.map_err(|_| End::Gone)??;
        part(stream).await;
        return Ok(());
    }
    // An election is a pause for those who come, too: wherever else they went, nobody would lead there either. Where
    // it lasts longer the member says nothing, and the client tries the next one.
    let serves = tokio::select! {
        serves = member.serves_within(ELECTION_WAIT_MAX) => serves,
        () = member.ending.cancelled() => false,
    };
    if !serves {
        return Ok(());
    }
    let mut inbox = BytesMut::with_capacity(connection::SMALL_READ_BYTES);
    inbox.extend_from_slice(&first);
    Err(connection::serve(member, stream, peer, inbox).await)
}

/// Answers a word.
async fn tell(member: &Arc<Member>, word: Word, stream: &mut TcpStream) -> io::Result<()> {
    let form = match answer(word, &member.report(), &member.config.words) {
        Answer::Text(text) => return stream.write_all(text.as_bytes()).await,
        Answer::Watching(form) => form,
    };
    let listing = async {
        for piece in gather(member.clone(), move |watching| watching.text(form)).await {
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
