//! What the measurements come to: medians, spreads, ratios, and whether a goal was reached.

use crate::results::{Results, Side, Take};
use crate::rows::{Figure, Goal, Of, ROWS, Row};

/// Where the values of all turns lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// Of these; `None` if there are none.
    pub(crate) fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let (half, is_even) = (values.len() / 2, values.len().is_multiple_of(2));
        let median = if is_even { f64::midpoint(values[half - 1], values[half]) } else { values[half] };
        Some(Self { median, min, max })
    }
}

/// One figure of one row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    pub(crate) row: &'static Row,
    pub(crate) figure: Figure,
    pub(crate) zookeeper: Option<Spread>,
    pub(crate) corral: Option<Spread>,
    pub(crate) goal: Option<Goal>,
}

impl Line {
    /// Corral's median divided by ZooKeeper's.
    pub(crate) fn ratio(&self) -> Option<f64> {
        let (corral, zookeeper) = (self.corral?.median, self.zookeeper?.median);
        (zookeeper > 0.0).then(|| corral / zookeeper)
    }

    /// Whether the goal was reached; `None` if there is none, or nothing to tell by.
    pub(crate) fn reached(&self) -> Option<bool> {
        let goal = self.goal?;
        let value = match goal.of {
            Of::Ratio => self.ratio()?,
            Of::Corral => self.corral?.median,
        };
        Some(goal.bound.admits(value))
    }

    /// What is shown of one side.
    pub(crate) fn of(&self, side: Side) -> Option<Spread> {
        match side {
            Side::ZooKeeper => self.zookeeper,
            Side::Corral => self.corral,
        }
    }
}

/// By how many milliseconds syncs were delayed, from the least on.
pub(crate) fn delays(results: &Results) -> Vec<f64> {
    let mut delays: Vec<f64> = results.takes.iter().map(|take| take.delay_ms).collect();
    delays.sort_by(f64::total_cmp);
    delays.dedup();
    delays
}

/// What was measured of this row, with syncs delayed by as much.
pub(crate) fn takes<'a>(results: &'a Results, row: &Row, delay_ms: f64) -> Vec<&'a Take> {
    let id = row.id;
    results.takes.iter().filter(|take| take.row == id && take.delay_ms.total_cmp(&delay_ms).is_eq()).collect()
}

/// All lines with syncs delayed by as much: of each row first those with goals.
pub(crate) fn lines(results: &Results, delay_ms: f64) -> Vec<Line> {
    ROWS.iter().flat_map(|row| of_row(row, &takes(results, row, delay_ms))).collect()
}

fn of_row(row: &'static Row, takes: &[&Take]) -> Vec<Line> {
    if takes.is_empty() {
        return Vec::new();
    }
    let spread = |side, figure| {
        let of_side = takes.iter().filter(|take| take.side == side);
        Spread::of(of_side.filter_map(|take| take.measured.figures.get(&figure).copied()).collect())
    };
    let line = |figure, goal| Line {
        row,
        figure,
        zookeeper: spread(Side::ZooKeeper, figure),
        corral: spread(Side::Corral, figure),
        goal,
    };
    let mut others: Vec<Figure> =
        takes.iter().flat_map(|take| take.measured.figures.keys().copied()).collect();
    others.sort_unstable();
    others.dedup();
    others.retain(|figure| row.goals.iter().all(|goal| goal.figure != *figure));
    let goals = row.goals.iter().map(|goal| line(goal.figure, Some(*goal)));
    goals.chain(others.into_iter().map(|figure| line(figure, None))).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::about::About;
    use crate::results::Measured;

    fn results(row: &str, figure: Figure, zookeeper: &[f64], corral: &[f64]) -> Results {
        let take = |side, value: &f64| Take {
            row: row.into(),
            delay_ms: 0.0,
            turn: 1,
            side,
            measured: Measured { figures: BTreeMap::from([(figure, *value)]), ..Measured::default() },
        };
        let takes = zookeeper.iter().map(|value| take(Side::ZooKeeper, value));
        let takes = takes.chain(corral.iter().map(|value| take(Side::Corral, value))).collect();
        Results { about: About::default(), takes, failures: Vec::new() }
    }

    /// The ratio and whether the first goal about this figure was reached.
    #[track_caller]
    fn check(
        row: &str,
        figure: Figure,
        zookeeper: &[f64],
        corral: &[f64],
        expected: (Option<f64>, Option<bool>),
    ) {
        let lines = lines(&results(row, figure, zookeeper, corral), 0.0);
        let line = lines.iter().find(|line| line.figure == figure).expect("a line");
        assert_eq!((line.ratio(), line.reached()), expected);
    }

    #[test]
    fn a_median_lies_in_the_middle_whatever_the_order() {
        let spread = Spread::of(vec![9.0, 1.0, 4.0]);
        assert_eq!(spread, Some(Spread { median: 4.0, min: 1.0, max: 9.0 }));
        let spread = Spread::of(vec![4.0, 1.0, 2.0, 9.0]);
        assert_eq!(spread, Some(Spread { median: 3.0, min: 1.0, max: 9.0 }));
        assert_eq!(Spread::of(Vec::new()), None);
    }

    #[test]
    fn goals_for_rates_are_reached_from_below_and_those_for_latencies_from_above() {
        let (rate, p50) = (Figure::Rate, Figure::P50Us);
        check("set-32", rate, &[90.0, 100.0, 500.0], &[1.0, 300.0, 310.0], (Some(3.0), Some(true)));
        check("set-32", rate, &[100.0], &[299.0], (Some(2.99), Some(false)));
        check("set-1", p50, &[100.0], &[70.0], (Some(0.7), Some(true)));
        check("set-1", p50, &[100.0], &[71.0], (Some(0.71), Some(false)));
        // Throughput of a single client is told, and is no goal.
        check("set-1", rate, &[100.0], &[50.0], (Some(0.5), None));
    }

    #[test]
    fn a_goal_for_corral_alone_needs_nothing_of_zookeeper() {
        check("tree", Figure::ResidentPerZnode, &[], &[400.0], (None, Some(true)));
        check("tree", Figure::ResidentPerZnode, &[100.0], &[401.0], (Some(4.01), Some(false)));
        check("join", Figure::RateKept, &[], &[0.79], (None, Some(false)));
    }

    #[test]
    fn nothing_is_judged_that_was_not_measured() {
        check("set-32", Figure::Rate, &[100.0], &[], (None, None));
        check("set-32", Figure::Rate, &[0.0], &[100.0], (None, None));
        assert!(lines(&results("set-32", Figure::Rate, &[1.0], &[1.0]), 2.0).is_empty());
    }
}
