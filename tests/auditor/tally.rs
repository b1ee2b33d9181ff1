//! How many events were owed and told, by kind of watch and by what clients do when they come back.

use std::collections::BTreeMap;
use std::fmt;

use super::history::{Habit, Watch};
use super::verdict::Wrong;

/// Counts of events that are owed to one kind of watch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Owed.
    pub due: u64,
    /// Told.
    pub told: u64,
    /// Told late where that is allowed, and where it is not.
    pub late: u64,
    /// Not told, where the member that alone knew of the watch died before it can have told the others.
    pub unreported: u64,
    /// Not told, where the client was faster than that member.
    pub outrun: u64,
    /// Not told, but something else in its place.
    pub distorted: u64,
    /// Not told.
    pub lost: u64,
}

/// Counts of sessions of one habit.
#[derive(Clone, Debug, Default)]
pub struct Row {
    counts: [Count; Watch::ALL.len()],
    /// Sessions.
    pub sessions: u64,
    /// Connections, from greeting to break.
    pub connections: u64,
    /// Notifications, whether owed or not.
    pub notifications: u64,
    /// Events that were told again on another connection, as is allowed.
    pub again: u64,
}

impl Row {
    /// The counts of one kind of watch.
    pub fn of(&mut self, watch: Watch) -> &mut Count {
        &mut self.counts[watch as usize]
    }

    fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count = sum(*count, *more);
        }
        self.sessions += other.sessions;
        self.connections += other.connections;
        self.notifications += other.notifications;
        self.again += other.again;
    }

    fn total(&self) -> Count {
        self.counts.iter().copied().fold(Count::default(), sum)
    }
}

fn sum(one: Count, other: Count) -> Count {
    Count {
        due: one.due + other.due,
        told: one.told + other.told,
        late: one.late + other.late,
        unreported: one.unreported + other.unreported,
        outrun: one.outrun + other.outrun,
        distorted: one.distorted + other.distorted,
        lost: one.lost + other.lost,
    }
}

/// All counts.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    rows: BTreeMap<Habit, Row>,
    /// How many changes there were.
    pub changes: u64,
    /// What was wrong, and how often.
    pub wrong: BTreeMap<Wrong, u64>,
}

impl Tally {
    pub(super) fn add(&mut self, habit: Habit, row: &Row) {
        let known = self.rows.entry(habit).or_default();
        known.add(row);
        known.sessions += 1;
    }

    /// Adds what another history came to.
    pub fn merge(&mut self, other: &Self) {
        for (habit, row) in &other.rows {
            self.rows.entry(*habit).or_default().add(row);
        }
        self.changes += other.changes;
        for (wrong, count) in &other.wrong {
            *self.wrong.entry(*wrong).or_default() += count;
        }
    }

    /// The sum of all counts.
    pub fn total(&self) -> Count {
        self.rows.values().map(Row::total).fold(Count::default(), sum)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<12} {:<10} {:>10} {:>10} {:>8} {:>10} {:>8} {:>9} {:>8}",
            "comes back", "watch", "due", "told", "late", "unreported", "outrun", "distorted", "lost"
        )?;
        let line = |f: &mut fmt::Formatter<'_>, habit: &str, watch: &str, count: &Count| {
            let Count { due, told, late, unreported, outrun, distorted, lost } = count;
            writeln!(
                f,
                "{habit:<12} {watch:<10} {due:>10} {told:>10} {late:>8} {unreported:>10} {outrun:>8} {distorted:>9} {lost:>8}"
            )
        };
        for (habit, row) in &self.rows {
            let habit = format!("{habit:?}");
            for (watch, count) in Watch::ALL.iter().zip(&row.counts).filter(|(_, count)| count.due > 0) {
                line(f, &habit, &format!("{watch:?}"), count)?;
            }
        }
        line(f, "all", "all", &self.total())?;
        for (habit, row) in &self.rows {
            writeln!(
                f,
                "{habit:?}: {} sessions, {} connections, {} notifications, {} of them told again on another connection",
                row.sessions, row.connections, row.notifications, row.again
            )?;
        }
        write!(f, "{} changes; wrong: ", self.changes)?;
        if self.wrong.is_empty() {
            return f.write_str("nothing");
        }
        let wrong: Vec<String> =
            self.wrong.iter().map(|(wrong, count)| format!("{count} {wrong:?}")).collect();
        f.write_str(&wrong.join(", "))
    }
}
