//! Which sessions were heard of on this member, told to the leader from time to time.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use proto::SessionId;
use proto::peer;
use tokio::time::MissedTickBehavior;
use tracing::debug;

use crate::leader::{Expiry, Leadership};
use crate::peer::Peers;
use crate::runtime::watch;
use crate::tasks::Tasks;

/// Every packet of every client is noted here, from many threads: so many that two of them rarely meet.
const SHARDS: usize = 64;

/// The sessions heard of since the leader was told last. There are at most as many as there are sessions here.
#[derive(Debug)]
pub(crate) struct Touches {
    shards: Box<[Mutex<HashSet<SessionId>>]>,
}

impl Touches {
    /// Begins to tell the leader, as often as it counts on.
    pub(crate) fn start(
        tasks: &Tasks,
        leadership: watch::Receiver<Leadership>,
        peers: Peers,
        expiry: Arc<Expiry>,
    ) -> (Arc<Self>, Teller) {
        let touches = Arc::new(Self::new());
        let period = expiry.telling_period();
        let teller = Teller { touches: touches.clone(), leadership, peers, expiry, period };
        tasks.spawn("report touches", teller.clone().run());
        (touches, teller)
    }

    fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }

    /// Notes that a session's client was heard of.
    pub(crate) fn touch(&self, session: SessionId) {
        self.shard(session).lock().insert(session);
    }

    fn take(&self) -> Vec<SessionId> {
        let mut heard = Vec::new();
        for shard in &self.shards {
            let mut shard = shard.lock();
            // Most are empty, and another empty one costs more than a look.
            if !shard.is_empty() {
                heard.extend(std::mem::take(&mut *shard));
            }
        }
        heard
    }

    /// The low bits of an id are those of the zxid that it was opened at, and so differ from session to session.
    fn shard(&self, session: SessionId) -> &Mutex<HashSet<SessionId>> {
        let shard = session.to_wire().unsigned_abs() % SHARDS as u64;
        &self.shards[usize::try_from(shard).unwrap_or(0)]
    }
}

/// Tells the leader of [`Touches`].
#[derive(Clone, Debug)]
pub(crate) struct Teller {
    touches: Arc<Touches>,
    leadership: watch::Receiver<Leadership>,
    peers: Peers,
    expiry: Arc<Expiry>,
    period: Duration,
}

impl Teller {
    async fn run(self) {
        let mut ticks = tokio::time::interval(self.period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.tell_now().await;
        }
    }

    /// Tells the leader what it has not been told yet.
    pub(crate) async fn tell_now(&self) {
        let heard = self.touches.take();
        if heard.is_empty() {
            return;
        }
        if let Err((heard, why)) = self.tell(heard, self.period).await {
            debug!(why, sessions = heard.len(), "leader not told of touches");
            // Whoever leads next time is told.
            heard.into_iter().for_each(|session| self.touches.touch(session));
        }
    }

    async fn tell(&self, heard: Vec<SessionId>, wait: Duration) -> Result<(), (Vec<SessionId>, String)> {
        let leadership = *self.leadership.borrow();
        let Some(leader) = leadership.leader else { return Err((heard, "no leader is known".to_owned())) };
        if leadership.own {
            let watching = self.expiry.touch(heard.iter().copied());
            return if watching { Ok(()) } else { Err((heard, "the leader has just begun".to_owned())) };
        }
        let Some(mut peer) = self.peers.ask(leader) else {
            return Err((heard, "the leader has no usable address".to_owned()));
        };
        let touches = peer::Touches { sessions: heard.iter().map(|session| session.to_wire()).collect() };
        match tokio::time::timeout(wait, peer.touch(touches)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(status)) => Err((heard, status.to_string())),
            Err(_) => Err((heard, format!("no answer within {wait:?}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_told_once_however_often_it_was_heard_of() {
        let touches = Touches::new();
        for id in [5, 5, 5, 69, 0x0300_0000_0000_0005] {
            touches.touch(SessionId::from_wire(id));
        }
        let mut told: Vec<_> = touches.take().into_iter().map(SessionId::to_wire).collect();
        told.sort_unstable();
        assert_eq!(told, [5, 69, 0x0300_0000_0000_0005]);
        assert!(touches.take().is_empty());
    }
}
