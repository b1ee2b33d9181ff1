//! All rules, one after the other.

use super::bounds::Bounds;
use super::history::{Answer, History};
use super::verdict::Verdict;
use super::{classify, evidence, ledger, order, search, witness};

/// What is wrong with a history.
pub fn judge(history: &History) -> Verdict {
    let mut verdict = Verdict::default();
    count(history, &mut verdict);
    let bounds = Bounds::of(history);
    order::check(history, &bounds, &mut verdict);
    let mut evidence = evidence::gather(history, &mut verdict);
    let ledger = history.log.as_deref().map(|log| ledger::of(history, log, &bounds, &mut verdict));
    if let Some(ledger) = &ledger {
        evidence.hold_against(history, ledger, &mut verdict);
    }
    let replay = witness::replay(history, &bounds, &evidence, ledger.as_ref(), &mut verdict);
    classify::name_mismatches(history, &replay, &mut verdict);
    search::check(history, &mut verdict);
    verdict
}

fn count(history: &History, verdict: &mut Verdict) {
    let counts = &mut verdict.counts;
    for session in &history.sessions {
        counts.sessions += 1;
        counts.connections += session.connections.len() as u64;
    }
    for (_, op) in history.ops() {
        match &op.reply {
            None if op.request.is_write() => counts.unknown += 1,
            None => {}
            Some(reply) if op.request.is_write() => {
                counts.writes += 1;
                let is_refused = matches!(reply.told, Err(_) | Ok(Answer::MultiFailed(_)));
                counts.refused += u64::from(is_refused);
            }
            Some(_) => counts.reads += 1,
        }
    }
}
