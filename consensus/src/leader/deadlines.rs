//! When each session is overdue: bookkeeping on instants that are handed in.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use proto::{Attachment, SessionId};
use tokio::time::Instant;

/// When each session is overdue. A deadline is rounded up to a whole tick, so that a touch mostly changes one number and
/// nothing else.
///
/// A member that dies takes with it what it has heard of its clients and not told yet, so each deadline leaves room for
/// that. A session thus lives for at least its timeout from when its client was last heard of, whether the leader learned of
/// it or not, and at most for that room and one tick longer.
///
/// The clock behind the deadlines is one that can be stopped: time in which this member could not have heard of
/// anybody is not held against the sessions.
///
/// Invariant: a session is in the row of its `queued` tick, and that is no later than its `due` tick. (It may be in
/// other rows also, left behind when its timeout became shorter; those are ignored when their time comes.)
#[derive(Debug)]
pub(crate) struct Deadlines {
    tick: Duration,
    /// How often `take_overdue` is called if all is well.
    period: Duration,
    /// How old a touch may be before the leader is told of it.
    untold: Duration,
    start: Instant,
    looked: Instant,
    stopped_for: Duration,
    sessions: HashMap<SessionId, Session>,
    rows: BTreeMap<u64, Vec<SessionId>>,
}

#[derive(Debug)]
struct Session {
    attachment: Attachment,
    timeout: Duration,
    due: u64,
    queued: u64,
}

impl Deadlines {
    /// Nobody is watched yet. [`take_overdue`](Self::take_overdue) is to be called each `period`; a touch may be as old as
    /// `untold` before it comes here, or fails to.
    pub(crate) fn new(tick: Duration, period: Duration, untold: Duration, now: Instant) -> Self {
        // Ticks are divided by below.
        let tick = tick.max(Duration::from_millis(1));
        let (sessions, rows) = (HashMap::new(), BTreeMap::new());
        Self { tick, period, untold, start: now, looked: now, stopped_for: Duration::ZERO, sessions, rows }
    }

    /// A session was opened or attached, or is found when a leader begins: it has its full timeout from now.
    pub(crate) fn grant(&mut self, id: SessionId, attachment: Attachment, timeout: Duration, now: Instant) {
        let due = self.tick_after(now, timeout);
        let queued = match self.sessions.get(&id) {
            Some(session) if session.queued <= due => session.queued,
            _ => {
                self.rows.entry(due).or_default().push(id);
                due
            }
        };
        self.sessions.insert(id, Session { attachment, timeout, due, queued });
    }

    /// A session's client was heard of. Unknown sessions are none: they have ended.
    pub(crate) fn touch(&mut self, id: SessionId, now: Instant) {
        let Some(timeout) = self.sessions.get(&id).map(|session| session.timeout) else { return };
        let due = self.tick_after(now, timeout);
        if let Some(session) = self.sessions.get_mut(&id) {
            session.due = session.due.max(due);
        }
    }

    /// In how long each session will be overdue if its client is not heard of, in no particular order.
    pub(crate) fn all(&self, now: Instant) -> Vec<(Duration, SessionId)> {
        let elapsed = self.elapsed(now);
        let due = |due: u64| self.tick.saturating_mul(u32::try_from(due).unwrap_or(u32::MAX));
        self.sessions.iter().map(|(id, it)| (due(it.due).saturating_sub(elapsed), *id)).collect()
    }

    /// A session ended.
    pub(crate) fn remove(&mut self, id: SessionId) {
        // Its place in a row is passed over when the time of that row comes.
        self.sessions.remove(&id);
    }

    /// The sessions that are overdue, with the attachments that are to be ended. They are named again a tick later
    /// unless they have been removed, attached or touched by then, because what ends them may get lost.
    pub(crate) fn take_overdue(&mut self, now: Instant) -> Vec<(SessionId, Attachment)> {
        // If this member stood still itself, the touches of that time wait to be read behind this call. Half a period is
        // as much as a session of the shortest timeout can do without.
        if now.saturating_duration_since(self.looked) > self.period * 3 / 2 {
            self.stand_still(now);
        }
        self.looked = now;

        let mut overdue = Vec::new();
        let passed = ticks(self.elapsed(now).as_nanos() / self.tick.as_nanos());
        while let Some(row) = self.rows.first_entry() {
            let tick = *row.key();
            if tick > passed {
                break;
            }
            for id in row.remove() {
                let Some(session) = self.sessions.get_mut(&id) else { continue };
                if session.queued != tick {
                    continue;
                }
                if session.due <= tick {
                    overdue.push((id, session.attachment));
                    session.due = tick + 1;
                }
                session.queued = session.due;
                self.rows.entry(session.due).or_default().push(id);
            }
        }
        // Whatever order a hash table gave them.
        overdue.sort_unstable();
        overdue
    }

    /// Does as if the time since the last look had not passed: in it, nobody could be heard.
    pub(crate) fn stand_still(&mut self, now: Instant) {
        self.stopped_for += now.saturating_duration_since(self.looked);
        self.looked = now;
    }

    fn elapsed(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.start).saturating_sub(self.stopped_for)
    }

    fn tick_after(&self, now: Instant, timeout: Duration) -> u64 {
        let due = self.elapsed(now).saturating_add(timeout).saturating_add(self.untold);
        ticks(due.as_nanos().div_ceil(self.tick.as_nanos()))
    }
}

fn ticks(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(2_000);
    const SESSION: SessionId = SessionId::from_wire(0x17);
    const FIRST: Attachment = Attachment::new(1);

    /// Deadlines that are looked at every second, as a leader does.
    struct Watch {
        deadlines: Deadlines,
        start: Instant,
        now: u64,
    }

    impl Watch {
        fn new() -> Self {
            Self::with_untold(Duration::ZERO)
        }

        fn with_untold(untold: Duration) -> Self {
            let start = Instant::now();
            Self { deadlines: Deadlines::new(TICK, Duration::from_secs(1), untold, start), start, now: 0 }
        }

        fn at(&self, ms: u64) -> Instant {
            self.start + Duration::from_millis(ms)
        }

        fn grant(&mut self, timeout_ms: u64, ms: u64) {
            let now = self.at(ms);
            self.deadlines.grant(SESSION, FIRST, Duration::from_millis(timeout_ms), now);
        }

        fn touch(&mut self, ms: u64) {
            let now = self.at(ms);
            self.deadlines.touch(SESSION, now);
        }

        /// Looks once a second until `ms`, and returns when sessions were found overdue.
        fn overdue_until(&mut self, ms: u64) -> Vec<u64> {
            let mut found = Vec::new();
            while self.now < ms {
                self.now = ms.min(self.now + 1_000);
                let now = self.at(self.now);
                found.extend(self.deadlines.take_overdue(now).iter().map(|_| self.now));
            }
            found
        }
    }

    #[test]
    fn a_session_lives_for_its_timeout_and_at_most_one_tick_longer() {
        let mut watch = Watch::new();
        watch.grant(5_000, 500);
        assert_eq!(watch.overdue_until(5_999), []);
        assert_eq!(watch.overdue_until(6_000), [6_000]);
    }

    #[test]
    fn a_timeout_of_whole_ticks_is_not_rounded_up_further() {
        let mut watch = Watch::new();
        watch.grant(4_000, 0);
        assert_eq!(watch.overdue_until(3_999), []);
        assert_eq!(watch.overdue_until(4_000), [4_000]);
    }

    #[test]
    fn what_a_member_heard_and_could_not_tell_before_it_died_counts() {
        let mut watch = Watch::with_untold(Duration::from_millis(500));
        watch.grant(4_000, 0);
        assert_eq!(watch.overdue_until(2_000), []);
        watch.touch(2_000);
        // Its client was heard of at 2,450 once more, and at 2,500 the member was to tell it.
        assert_eq!(watch.overdue_until(6_450), []);
        assert_eq!(watch.overdue_until(8_000), [8_000]);
        let mut watch = Watch::with_untold(Duration::from_millis(500));
        watch.grant(4_000, 0);
        assert_eq!(watch.overdue_until(4_499), [], "the last touch may have been just behind the grant");
    }

    #[test]
    fn a_touch_prolongs_and_never_shortens() {
        let mut watch = Watch::new();
        watch.grant(4_000, 0);
        assert_eq!(watch.overdue_until(3_000), []);
        watch.touch(3_000);
        assert_eq!(watch.overdue_until(7_999), []);
        assert_eq!(watch.overdue_until(8_000), [8_000]);
    }

    #[test]
    fn the_overdue_are_named_again_until_they_are_gone() {
        let mut watch = Watch::new();
        watch.grant(4_000, 0);
        assert_eq!(watch.overdue_until(8_000), [4_000, 6_000, 8_000]);
        watch.deadlines.remove(SESSION);
        assert_eq!(watch.overdue_until(20_000), []);
    }

    #[test]
    fn an_attach_gives_the_new_attachment_a_full_timeout() {
        let mut watch = Watch::new();
        watch.grant(4_000, 0);
        assert_eq!(watch.overdue_until(3_500), []);
        let now = watch.at(3_500);
        watch.deadlines.grant(SESSION, Attachment::new(2), Duration::from_secs(4), now);
        assert_eq!(watch.overdue_until(7_500), []);
        let now = watch.at(8_000);
        assert_eq!(watch.deadlines.take_overdue(now), [(SESSION, Attachment::new(2))]);
    }

    #[test]
    fn an_attach_may_shorten_the_timeout() {
        let mut watch = Watch::new();
        watch.grant(40_000, 0);
        watch.grant(4_000, 1_000);
        assert_eq!(watch.overdue_until(6_000), [6_000]);
        watch.deadlines.remove(SESSION);
        assert_eq!(watch.overdue_until(60_000), [], "the row of the longer timeout names nobody");
    }

    #[test]
    fn a_touch_of_a_session_that_has_ended_watches_nobody() {
        let mut watch = Watch::new();
        watch.touch(0);
        assert_eq!(watch.overdue_until(60_000), []);
    }

    #[test]
    fn a_member_that_stood_still_holds_it_against_nobody() {
        let mut watch = Watch::new();
        watch.grant(4_000, 0);
        assert_eq!(watch.overdue_until(3_000), []);
        watch.now = 30_000; // Stopped for 27 seconds, and looks at once when it goes on.
        let now = watch.at(watch.now);
        assert_eq!(watch.deadlines.take_overdue(now), []);
        // Three of its four seconds had passed before.
        assert_eq!(watch.overdue_until(30_999), []);
        assert_eq!(watch.overdue_until(31_000), [31_000]);
    }

    #[test]
    fn to_look_half_a_period_too_late_is_to_have_stood_still() {
        let mut watch = Watch::new();
        watch.grant(4_000, 0);
        assert_eq!(watch.overdue_until(2_000), []);
        watch.now = 3_501;
        let now = watch.at(watch.now);
        assert_eq!(watch.deadlines.take_overdue(now), []);
        assert_eq!(watch.overdue_until(5_500), []);
        assert_eq!(watch.overdue_until(5_501), [5_501]);
    }

    #[test]
    fn time_without_a_quorum_does_not_count() {
        let mut watch = Watch::new();
        watch.grant(4_000, 0);
        for second in 1..=20 {
            let now = watch.at(second * 1_000);
            watch.deadlines.stand_still(now);
        }
        watch.now = 20_000;
        assert_eq!(watch.overdue_until(23_999), []);
        assert_eq!(watch.overdue_until(24_000), [24_000]);
    }
}
