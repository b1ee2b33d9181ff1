//! What one client was told by both servers in one step.

use std::fmt;

use super::line::{Line, Said};
use super::record;
use super::step::Ask;

/// What one client was told by both servers in one step.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Which client.
    pub client: usize,
    /// What it had asked; empty if it only listened.
    pub asks: Vec<Ask>,
    /// What ZooKeeper said, and what Corral said.
    pub lines: [Vec<Line>; 2],
}

impl Exchange {
    /// What kind of difference it shows: the operation, and the field.
    pub(super) fn kind(&self) -> String {
        let [theirs, ours] = &self.lines;
        let at = theirs.iter().zip(ours).position(|(one, other)| one != other);
        let at = at.unwrap_or(theirs.len().min(ours.len()));
        let place = [theirs, ours].into_iter().find_map(|lines| match lines.get(at)?.said {
            Said::Reply(place) => Some(place),
            _ => None,
        });
        let op = match place.and_then(|place| self.asks.get(place)) {
            Some(ask) => record::name(ask.op),
            None => "no request".into(),
        };
        let what = match (theirs.get(at), ours.get(at)) {
            (Some(one), Some(other)) => {
                let field = one.differs_in(other).unwrap_or_default();
                match field.strip_suffix("err") {
                    // Which refusals they are tells one fault from another.
                    Some(_) => format!("{field} is {} and {}", one.field(&field), other.field(&field)),
                    None => field,
                }
            }
            (Some(line), None) | (None, Some(line)) => format!("{:?} is missing", line.said),
            (None, None) => "silence".into(),
        };
        format!("{op}: {what}")
    }
}

impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [theirs, ours] = &self.lines;
        if theirs == ours {
            return theirs
                .iter()
                .try_for_each(|line| writeln!(f, "    client {}, both: {line}", self.client));
        }
        for (who, lines) in [("ZooKeeper", theirs), ("Corral   ", ours)] {
            for line in lines {
                writeln!(f, "    client {}, {who}: {line}", self.client)?;
            }
        }
        Ok(())
    }
}
