//! Ends the sessions that nobody has heard of, while this member leads.

use std::sync::Arc;
use std::time::Duration;

use machine::{Applied, Command, Machine, Verdict};
use openraft::Instant as _;
use openraft::async_runtime::WatchReceiver;
use parking_lot::Mutex;
use proto::{Attachment, SessionId};
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{debug, info};

use crate::applier::Raft;
use crate::entry;
use crate::leader::deadlines::Deadlines;
use crate::leader::{Leadership, Sequencer};
use crate::replica::{Hook, Replica};
use crate::runtime::watch;
use crate::tasks::Tasks;

/// Sessions that expire together and are still named one by one. Of more the log tells only how many, or they would hide
/// what made them expire.
const NAMED_MAX: usize = 10;

/// When each session is overdue, while this member leads; nothing while it does not.
#[derive(Debug)]
pub(crate) struct Expiry {
    tick: Duration,
    deadlines: Mutex<Option<Deadlines>>,
}

impl Expiry {
    /// Watches nobody until it is started and this member leads.
    pub(crate) fn new(tick: Duration) -> Self {
        Self { tick, deadlines: Mutex::new(None) }
    }

    /// Watches over the sessions whenever this member leads. `silence_max` is how long a leader may go without an
    /// answer of its quorum before it doubts that it hears anybody.
    pub(crate) fn start(
        self: &Arc<Self>,
        tasks: &Tasks,
        leadership: watch::Receiver<Leadership>,
        replica: Arc<Replica>,
        sequencer: Sequencer,
        raft: Raft,
        silence_max: Duration,
    ) {
        let duty = Duty { expiry: self.clone(), leadership, replica, sequencer, raft, silence_max };
        tasks.spawn("expire sessions", duty.run());
    }

    /// The clients of these sessions were heard of, here or by another member that says so now. `false` if this member
    /// keeps no deadlines, because it does not lead: whoever does must be told instead.
    #[must_use]
    pub(crate) fn touch(&self, sessions: impl IntoIterator<Item = SessionId>) -> bool {
        let now = Instant::now();
        let mut deadlines = self.deadlines.lock();
        let Some(deadlines) = &mut *deadlines else { return false };
        for session in sessions {
            deadlines.touch(session, now);
        }
        true
    }

    /// In how long each session will be overdue; `None` if this member does not lead.
    pub(crate) fn deadlines(&self) -> Option<Vec<(Duration, SessionId)>> {
        self.deadlines.lock().as_ref().map(|deadlines| deadlines.all(Instant::now()))
    }

    /// How often members tell the leader whom they have heard, and for how long they wait for it to take that: so what they
    /// have not told is never older than two of these, or the leader does not answer.
    pub(crate) fn telling_period(&self) -> Duration {
        (self.tick / 8).max(Duration::from_millis(1))
    }

    /// Half a tick: what is found overdue is so by at most that.
    fn period(&self) -> Duration {
        self.tick / 2
    }

    /// Grants every session a full timeout. Nothing is applied meanwhile, so that none is missed and none that has
    /// ended is watched.
    fn begin(&self, machine: &Machine) {
        let now = Instant::now();
        let mut deadlines = Deadlines::new(self.tick, self.period(), self.telling_period() * 2, now);
        for session in machine.sessions() {
            deadlines.grant(session.id, session.attachment, millis(session.timeout_ms), now);
        }
        *self.deadlines.lock() = Some(deadlines);
    }

    fn end(&self) {
        *self.deadlines.lock() = None;
    }

    fn look(&self, hears_quorum: bool) -> Vec<(SessionId, Attachment)> {
        let now = Instant::now();
        let mut deadlines = self.deadlines.lock();
        let Some(deadlines) = &mut *deadlines else { return Vec::new() };
        if hears_quorum {
            return deadlines.take_overdue(now);
        }
        // A leader that is cut off hears of nobody's clients. Should it be heard again before anybody else leads, it
        // must not begin by ending the sessions of all the others.
        deadlines.stand_still(now);
        Vec::new()
    }
}

impl Hook for Expiry {
    fn applied(&self, _machine: &Machine, _command: &Command, applied: &Applied) {
        let (session, attachment, timeout_ms) = match &applied.verdict {
            Verdict::Opened { session, timeout_ms, .. } => (*session, Attachment::new(1), *timeout_ms),
            Verdict::Attached { session, attachment, timeout_ms, .. } => (*session, *attachment, *timeout_ms),
            Verdict::Closed { session, .. } => {
                if let Some(deadlines) = &mut *self.deadlines.lock() {
                    deadlines.remove(*session);
                }
                return;
            }
            _ => return,
        };
        if let Some(deadlines) = &mut *self.deadlines.lock() {
            deadlines.grant(session, attachment, millis(timeout_ms), Instant::now());
        }
    }

    fn replaced(&self, machine: &Machine) {
        // A leader installs no snapshot, but this member may have become one since.
        if self.deadlines.lock().is_some() {
            self.begin(machine);
        }
    }
}

/// The task behind an [`Expiry`].
struct Duty {
    expiry: Arc<Expiry>,
    leadership: watch::Receiver<Leadership>,
    replica: Arc<Replica>,
    sequencer: Sequencer,
    raft: Raft,
    silence_max: Duration,
}

impl Duty {
    async fn run(mut self) {
        loop {
            let term = match self.leadership.wait_for(|leadership| leadership.own).await {
                Ok(leadership) => leadership.term,
                Err(_) => return,
            };
            self.replica.read(|machine| self.expiry.begin(machine));
            let mut leadership = self.leadership.clone();
            tokio::select! {
                biased;
                _ = leadership.wait_for(|now| !now.own || now.term != term) => {}
                () = self.watch() => {}
            }
            self.expiry.end();
        }
    }

    async fn watch(&self) {
        let mut ticks = tokio::time::interval(self.expiry.period().max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let overdue = self.expiry.look(self.hears_quorum());
            if overdue.is_empty() {
                continue;
            }
            // Those that do not get through are named again a tick later.
            let Some(entrance) = self.sequencer.enter() else { continue };
            let few = overdue.len() <= NAMED_MAX;
            if !few {
                info!(sessions = overdue.len(), "many sessions expire at once");
            }
            for (session, attachment) in overdue {
                if few {
                    info!(%session, %attachment, "session expires");
                } else {
                    debug!(%session, %attachment, "session expires");
                }
                if entrance.push(entry::encode_expiry(session, attachment)).await.is_err() {
                    break;
                }
            }
        }
    }

    fn hears_quorum(&self) -> bool {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        // A member alone is its own quorum, and nobody acknowledges anything to it.
        let alone = metrics.membership_config.membership().voter_ids().count() == 1;
        alone
            || metrics.last_quorum_acked.is_some_and(|heard| heard.into_inner().elapsed() <= self.silence_max)
    }
}

fn millis(timeout_ms: u32) -> Duration {
    Duration::from_millis(timeout_ms.into())
}
