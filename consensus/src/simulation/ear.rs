//! What a simulated member applies, as it is heard: by the witness, and by those of its clients whom it concerns.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, Weak};

use machine::{Applied, Machine, Verdict};
use openraft::ServerState;
use openraft::async_runtime::WatchReceiver;
use parking_lot::Mutex;
use proto::{SessionId, Zxid};
use tokio::sync::mpsc;

use crate::applier::Raft;
use crate::member::Member;
use crate::runtime::witness::Witness;
use crate::{Observer, state};

/// How many places of the log lie between two looks at a whole world.
const LOOK_EVERY: u64 = 64;

/// Whom a verdict is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Whom {
    /// A connection that opens or attaches.
    Connection(u64),
    /// A session.
    Session(SessionId),
}

/// What a client hears.
pub(crate) type Line = mpsc::UnboundedReceiver<(Zxid, Verdict)>;

/// Hears what a member applies, and passes it on to its clients.
pub(crate) struct Ear {
    member: u64,
    witness: Arc<Witness>,
    /// Who is told besides.
    guest: Arc<dyn Observer>,
    lines: Mutex<BTreeMap<Whom, mpsc::UnboundedSender<(Zxid, Verdict)>>>,
}

impl Ear {
    pub(crate) fn new(member: u64, witness: Arc<Witness>, guest: Arc<dyn Observer>) -> Arc<Self> {
        Arc::new(Self { member, witness, guest, lines: Mutex::default() })
    }

    /// Listens to what is for `whom`.
    pub(crate) fn listen(&self, whom: Whom) -> Line {
        let (sender, line) = mpsc::unbounded_channel();
        self.lines.lock().insert(whom, sender);
        line
    }

    fn tell(&self, whom: Whom, zxid: Zxid, verdict: &Verdict) {
        if let Some(line) = self.lines.lock().get(&whom) {
            // Whoever listened may have gone.
            line.send((zxid, verdict.clone())).ok();
        }
    }
}

impl Observer for Ear {
    fn applied(&self, machine: &Machine, applied: &Applied) {
        self.guest.applied(machine, applied);
        let Applied { zxid, verdict, .. } = applied;
        if matches!(
            verdict,
            Verdict::Opened { .. } | Verdict::Answered { .. } | Verdict::Closed { .. } | Verdict::Reaped
        ) {
            self.witness.came_to(self.member, applied);
        }
        match verdict {
            Verdict::Opened { home, .. }
            | Verdict::Attached { home, .. }
            | Verdict::NotAttached { home, .. } => {
                self.tell(Whom::Connection(home.connection), *zxid, verdict);
            }
            Verdict::Answered { session, .. }
            | Verdict::Closed { session, .. }
            | Verdict::Fenced { session, .. } => {
                self.tell(Whom::Session(*session), *zxid, verdict);
            }
            _ => {}
        }
    }

    fn replaced(&self, old: &Machine, new: &Machine) {
        self.guest.replaced(old, new);
        self.witness.note("worlds replaced", &[self.member]);
        // What was answered in between is not known here: everybody is hung up.
        self.lines.lock().clear();
    }
}

/// Tells the witness what the state of a member comes to, and now and then its world.
pub(crate) fn look(
    member: u64,
    own: Arc<OnceLock<Weak<Member>>>,
    witness: Arc<Witness>,
) -> state::simulated::Look {
    Arc::new(move |applied, state, is_in_world| {
        witness.applied(member, **applied.committed_leader_id(), applied.index(), state);
        // To reckon up a world takes long.
        let is_due = is_in_world && applied.index().is_multiple_of(LOOK_EVERY);
        if let Some(running) = own.get().filter(|_| is_due).and_then(Weak::upgrade) {
            witness.looked_at(member, applied.index(), running.replica.read(Machine::digest));
        }
    })
}

/// Tells the witness whenever a member leads.
pub(super) async fn watch_leader(member: u64, raft: Raft, witness: Arc<Witness>) {
    let mut metrics = raft.server_metrics();
    loop {
        {
            let metrics = metrics.borrow_watched();
            if metrics.state == ServerState::Leader {
                witness.leads(member, metrics.vote.leader_id.term);
            }
        }
        if metrics.changed().await.is_err() {
            return;
        }
    }
}
