//! What a client has set and taken away, on its way to the table that all members have.
//!
//! No read waits for it. The first note goes at once; what comes while a report is under way gathers for the next, so
//! that a client that sets many watches costs few reports. What must be known before something else is, a client's
//! next write or that it has taken a watch away, is taken out of turn.
use std::collections::VecDeque;

use machine::{WatchKind, WatchNote};
use proto::limits::{WATCH_NOTES_PER_REPORT_MAX, WATCH_NOTES_WAITING_MAX};
use proto::request::SetWatches;
use proto::{ZnodePath, Zxid};

/// A report that is to be proposed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    /// Which one of its connection.
    pub(crate) number: u64,
    /// What happened, in order.
    pub(crate) notes: Vec<WatchNote>,
    /// What the client has surely received.
    pub(crate) seen: Zxid,
}

/// The reports of one connection.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    notes: VecDeque<WatchNote>,
    seen: Option<Zxid>,
    last: u64,
    /// Numbers of reports that are proposed and not applied, with their notes.
    under_way: VecDeque<(u64, usize)>,
    /// Whether there is nobody to tell.
    is_silent: bool,
}

impl Reports {
    /// Those of a connection whose session the other members do not know: there are none.
    pub(crate) fn of_nobody() -> Self {
        Self { is_silent: true, ..Self::default() }
    }

    /// Notes that a watch was set or taken away, in an answer that showed the world of `zxid`.
    pub(crate) fn note(&mut self, path: &str, kind: WatchKind, zxid: Zxid, armed: bool) {
        // Where no znode can ever be, nothing will happen that a member would have to know of.
        if !self.is_silent
            && let Ok(path) = ZnodePath::parse(path)
        {
            self.notes.push_back(WatchNote { path, kind, zxid, armed });
        }
    }

    /// Notes what the client has surely received: the one-shot watches that were spent until then are done with.
    pub(crate) const fn saw(&mut self, zxid: Zxid) {
        if !self.is_silent {
            self.seen = Some(zxid);
        }
    }

    /// The next report, if there is something to say and none is under way.
    pub(crate) fn due(&mut self) -> Option<Report> {
        if self.under_way.is_empty() { self.take() } else { None }
    }

    /// The next report, if there is something to say.
    pub(crate) fn take(&mut self) -> Option<Report> {
        if self.notes.is_empty() && self.seen.is_none() {
            return None;
        }
        let count = self.notes.len().min(WATCH_NOTES_PER_REPORT_MAX);
        let notes: Vec<_> = self.notes.drain(..count).collect();
        if self.notes.is_empty() {
            // Most connections set a few watches and then none for long.
            self.notes = VecDeque::new();
        }
        self.last += 1;
        self.under_way.push_back((self.last, notes.len()));
        Some(Report { number: self.last, notes, seen: self.seen.take().unwrap_or(Zxid::ZERO) })
    }

    /// Notes that a report was applied.
    pub(crate) fn arrived(&mut self, number: u64) {
        self.under_way.retain(|(known, _)| *known != number);
    }

    /// Whether everything is known everywhere.
    pub(crate) fn all_known(&self) -> bool {
        self.notes.is_empty() && self.under_way.is_empty()
    }

    /// Notes that are not known everywhere yet.
    pub(crate) fn waiting(&self) -> usize {
        self.notes.len() + self.under_way.iter().map(|(_, notes)| notes).sum::<usize>()
    }

    /// Whether the client is to be asked for nothing more until some of it is known.
    pub(crate) fn is_full(&self) -> bool {
        self.waiting() >= WATCH_NOTES_WAITING_MAX
    }
}

/// The lists of a client that comes back, each with what its watches listen to.
pub(crate) const fn lists(watches: &SetWatches) -> [(WatchKind, &Vec<proto::Text>); 5] {
    [
        (WatchKind::Data, &watches.data),
        (WatchKind::Exist, &watches.exist),
        (WatchKind::Child, &watches.child),
        (WatchKind::Persistent, &watches.persistent),
        (WatchKind::Recursive, &watches.recursive),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arm(reports: &mut Reports, path: &str) {
        reports.note(path, WatchKind::Data, Zxid::new(7), true);
    }

    fn paths(report: Option<Report>) -> (u64, Vec<String>) {
        let report = report.expect("a report");
        (report.number, report.notes.iter().map(|note| note.path.to_string()).collect())
    }

    #[test]
    fn what_comes_while_a_report_is_under_way_gathers() {
        let mut reports = Reports::default();
        assert_eq!(reports.due(), None);
        arm(&mut reports, "/a");
        assert_eq!(paths(reports.due()), (1, vec!["/a".into()]));
        arm(&mut reports, "/b");
        arm(&mut reports, "no path");
        arm(&mut reports, "/c");
        assert_eq!((reports.due(), reports.waiting()), (None, 3));
        reports.arrived(1);
        assert_eq!(paths(reports.due()), (2, vec!["/b".into(), "/c".into()]));
        reports.arrived(2);
        assert_eq!((reports.due(), reports.waiting()), (None, 0));
    }

    #[test]
    fn a_write_takes_what_is_in_front_of_it_along() {
        let mut reports = Reports::default();
        arm(&mut reports, "/a");
        assert_eq!(paths(reports.due()).0, 1);
        arm(&mut reports, "/b");
        assert_eq!(paths(reports.take()), (2, vec!["/b".into()]));
        assert_eq!(reports.take(), None);
        reports.arrived(2);
        assert_eq!((reports.due(), reports.waiting(), reports.all_known()), (None, 1, false));
        reports.arrived(2);
        reports.arrived(1);
        assert_eq!((reports.waiting(), reports.all_known()), (0, true));
    }

    #[test]
    fn a_report_is_bounded_and_so_is_what_waits() {
        let mut reports = Reports::default();
        for n in 0..WATCH_NOTES_WAITING_MAX - 1 {
            arm(&mut reports, &format!("/{n}"));
        }
        assert_eq!(paths(reports.due()).1.len(), WATCH_NOTES_PER_REPORT_MAX);
        assert!(!reports.is_full());
        arm(&mut reports, "/x");
        assert!(reports.is_full(), "what is under way counts too");
        reports.arrived(1);
        assert!(!reports.is_full());
    }

    #[test]
    fn of_a_session_that_nobody_knows_nothing_is_told() {
        let mut reports = Reports::of_nobody();
        arm(&mut reports, "/a");
        reports.saw(Zxid::new(9));
        assert_eq!((reports.due(), reports.take(), reports.waiting()), (None, None, 0));
    }

    #[test]
    fn what_was_seen_is_worth_a_report_of_its_own() {
        let mut reports = Reports::default();
        reports.saw(Zxid::new(9));
        assert_eq!(reports.due(), Some(Report { number: 1, notes: Vec::new(), seen: Zxid::new(9) }));
        assert_eq!(reports.take(), None);
    }
}
