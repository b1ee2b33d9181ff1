//! What became of writes without an answer, as far as the data that somebody read tells: no two writes carry the same.

use std::collections::{HashMap, HashSet};

use super::history::{Answer, History, OpId, Request, Told};
use super::ledger::Ledger;
use super::verdict::{Rule, Verdict};

/// What was found out.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    /// Writes without an answer that were done: with their zxid.
    pub(super) done: Vec<(OpId, i64)>,
    /// What was in a znode when it was created, by path and zxid of its creation: for sequential ones, whose names
    /// tell nothing of whose they are.
    born: HashMap<(String, i64), String>,
    /// The znodes that were seen to hold what a write carried.
    places: HashMap<String, String>,
    /// With which version it was seen, by what it carried and the znode.
    versions: HashMap<(String, String), i32>,
}

impl Evidence {
    /// Takes over what the log says, which is more. Says so if it is something else than what somebody read.
    pub(super) fn hold_against(&mut self, history: &History, ledger: &Ledger, verdict: &mut Verdict) {
        let logged: HashMap<OpId, i64> = ledger.done.iter().copied().collect();
        for (id, seen) in &self.done {
            let logged = logged.get(id);
            if logged != Some(seen) {
                let rule = if logged.is_some() { Rule::Twice } else { Rule::Unexplained };
                let place = logged.map_or_else(|| "nowhere".to_owned(), |zxid| format!("{zxid:#x}"));
                let text = format!("seen as of {seen:#x}, and in the log {place}: {}", history.tell(*id));
                verdict.say(rule, Some(*id), text);
            }
        }
        self.done.clone_from(&ledger.done);
    }

    /// Whether what a write would come to contradicts nothing that was seen of it: its data stand where they were seen,
    /// with the version that they were seen with, and under a sequential name stands what was seen there.
    pub(super) fn allows(&self, request: &Request, outcome: &Told, zxid: i64) -> bool {
        match (request, outcome) {
            (Request::Create { data, sequential: true, .. }, Ok(Answer::Created(path, _))) => {
                self.places.get(data).is_none_or(|seen| seen == path)
                    && self.born.get(&(path.clone(), zxid)).is_none_or(|born| born == data)
            }
            (Request::SetData { path, data, .. }, Ok(Answer::Stat(stat))) => {
                let seen = self.versions.get(&(data.clone(), path.clone()));
                seen.is_none_or(|version| *version == stat.version)
            }
            (Request::Multi(parts), Ok(Answer::Multi(answers))) => {
                let mut parts = parts.iter().zip(answers);
                parts.all(|(part, answer)| self.allows(part, &Ok(answer.clone()), zxid))
            }
            _ => true,
        }
    }
}

/// Where a datum was seen.
struct Sight<'a> {
    path: &'a str,
    zxid: i64,
    at: OpId,
}

/// Reads what all getData were told. Says so if something was written by nobody, or twice.
pub(super) fn gather(history: &History, verdict: &mut Verdict) -> Evidence {
    let mut writers: HashMap<&str, OpId> = HashMap::new();
    for (id, op) in history.ops() {
        for data in op.request.parts().iter().filter_map(Request::data) {
            writers.insert(data, id);
        }
    }
    let mut evidence = Evidence::default();
    let mut seen: HashMap<&str, Sight<'_>> = HashMap::new();
    let mut told: HashSet<&str> = HashSet::new();
    for (id, op) in history.ops() {
        let Some(Ok(Answer::Data(data, stat))) = op.reply.as_ref().map(|reply| &reply.told) else { continue };
        let Some(path) = op.request.path() else { continue };
        let Some(writer) = writers.get(data.as_str()).copied() else {
            verdict.say(Rule::Unexplained, Some(id), format!("nobody wrote this: {}", history.tell(id)));
            continue;
        };
        if stat.version == 0 {
            evidence.born.insert((path.to_owned(), stat.czxid), data.clone());
        }
        evidence.versions.entry((data.clone(), path.to_owned())).or_insert(stat.version);
        let parts = history.op(writer).request.parts().len();
        let sight = Sight { path, zxid: stat.mzxid, at: id };
        let first = seen.entry(data).or_insert(Sight { ..sight });
        let acknowledged = history.op(writer).zxid();
        let is_twice = first.zxid != sight.zxid
            || (parts == 1 && first.path != path)
            || acknowledged.is_some_and(|zxid| zxid != sight.zxid);
        if is_twice && told.insert(data) {
            let text = format!(
                "{} is seen as of {:#x} and as of {:#x} by {}; also by {}",
                history.tell(writer),
                first.zxid,
                sight.zxid,
                history.tell(id),
                history.tell(first.at)
            );
            verdict.say(Rule::Twice, Some(id), text);
        }
    }
    let mut done: HashMap<OpId, i64> = HashMap::new();
    for (data, sight) in seen {
        if let Some(writer) = writers.get(data)
            && history.op(*writer).reply.is_none()
        {
            done.insert(*writer, sight.zxid);
        }
        evidence.places.insert(data.to_owned(), sight.path.to_owned());
    }
    evidence.done = done.into_iter().collect();
    evidence.done.sort_unstable_by_key(|(id, zxid)| (*zxid, *id));
    evidence
}
