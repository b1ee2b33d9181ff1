//! A sequence that shows a difference, made as short as it goes while it still shows it.

use std::time::{Duration, Instant};

use super::line::Said;
use super::pair::{Difference, Heard, Pair};
use super::step::Step;

/// A short sequence, and what was said to it.
#[derive(Clone, Debug)]
pub struct Shrunken {
    /// The sequence.
    pub steps: Vec<Step>,
    /// What was said in each step.
    pub heard: Vec<Heard>,
    /// The difference.
    pub difference: Difference,
    /// Whether the short sequence has shown it when it was taken once more.
    pub shows: bool,
}

/// Leaves out of `steps` what can be left out, for at most so long.
pub fn shrink(pair: &mut Pair, steps: &[Step], found: &Difference, patience: Duration) -> Shrunken {
    let end = Instant::now() + patience;
    let counted = std::mem::take(&mut pair.tally);
    let mut best: Vec<Step> = steps[..=found.step].to_vec();
    let mut shows = |steps: &[Step]| -> Option<usize> {
        if Instant::now() >= end {
            return None;
        }
        match pair.run(steps, None) {
            Err(difference) if difference.kind == found.kind => Some(difference.step),
            _ => None,
        }
    };
    let apart = apart(&best);
    if let Some(step) = shows(&apart) {
        best = apart[..=step].to_vec();
    }
    let mut size = best.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at < best.len() {
            let mut shorter = best[..at].to_vec();
            shorter.extend_from_slice(&best[(at + size).min(best.len())..]);
            match shows(&shorter) {
                Some(step) => best = shorter[..=step].to_vec(),
                None => at += size,
            }
        }
        size /= 2;
    }
    let mut heard = Vec::new();
    let again = pair.run(&best, Some(&mut heard)).err();
    let shows = again.is_some();
    let difference = again.map_or_else(|| found.clone(), |new| *new);
    pair.tally = counted;
    Shrunken { steps: best, heard, difference, shows }
}

/// The same with each request by itself.
fn apart(steps: &[Step]) -> Vec<Step> {
    let mut apart = Vec::new();
    for step in steps {
        match step {
            Step::Burst { client, asks } => {
                apart.extend(asks.iter().map(|ask| Step::Burst { client: *client, asks: vec![ask.clone()] }));
            }
            other => apart.push(other.clone()),
        }
    }
    apart
}

impl std::fmt::Display for Shrunken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}", self.difference.kind)?;
        for (number, step) in self.steps.iter().enumerate() {
            writeln!(f, "  {step}")?;
            for exchange in self.heard.get(number).into_iter().flatten() {
                let mut exchange = exchange.clone();
                if exchange.lines[0] == exchange.lines[1] {
                    // Barriers are worth a line only where they differ.
                    exchange
                        .lines
                        .iter_mut()
                        .for_each(|lines| lines.retain(|line| line.said != Said::Barrier));
                }
                write!(f, "{exchange}")?;
            }
        }
        if !self.shows {
            write!(f, "  This did not show it again. It was:\n{}", self.difference.exchange)?;
        }
        Ok(())
    }
}
