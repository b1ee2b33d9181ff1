//! What the members show, against what the sessions of a load were told.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::load::{Count, Ledger, ROOT, SHARED, value};
use crate::tree::Tree;

/// Reads every member after a sync, and compares each with the ledgers and all with one another. The load must be
/// at rest. Says how many znodes there are.
///
/// # Panics
/// If a member misses what was acknowledged, shows what nobody wrote, or differs from another.
#[track_caller]
pub fn audit(members: &[SocketAddr], ledgers: &[Ledger]) -> usize {
    let trees: Vec<Tree> = members
        .iter()
        .map(|member| Tree::read(*member, ROOT).unwrap_or_else(|error| panic!("read {member}: {error}")))
        .collect();
    let mut violations = Vec::new();
    for (member, tree) in members.iter().zip(&trees) {
        violations.extend(judge(ledgers, tree).into_iter().map(|violation| format!("{member}: {violation}")));
        let differences = trees[0].differences(tree);
        violations
            .extend(differences.into_iter().map(|line| format!("{member}, unlike {}: {line}", members[0])));
    }
    let number = violations.len();
    violations.truncate(40);
    assert!(violations.is_empty(), "{number} violations, of them:\n{}", violations.join("\n"));
    trees[0].0.len()
}

/// In what way `tree` is not what the ledgers allow.
pub fn judge(ledgers: &[Ledger], tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    for ledger in ledgers {
        violations.extend(ledger.violations.iter().map(|line| format!("session {}: {line}", ledger.number)));
        judge_named(ledger, tree, &mut violations);
        judge_sequential(ledger, tree, &mut violations);
        judge_count(&format!("{}/counter", ledger.home()), ledger.counter, tree, &mut violations);
    }
    let shared = ledgers.iter().map(|ledger| ledger.shared).fold(Count::default(), |sum, count| Count {
        acknowledged: sum.acknowledged + count.acknowledged,
        unknown: sum.unknown + count.unknown,
        version: sum.version.max(count.version),
    });
    judge_count(SHARED, shared, tree, &mut violations);
    violations
}

fn judge_named(ledger: &Ledger, tree: &Tree, violations: &mut Vec<String>) {
    for (path, acknowledged) in &ledger.named {
        let Some(znode) = tree.0.get(path) else {
            if *acknowledged {
                violations.push(format!("{path} was acknowledged and is missing"));
            }
            continue;
        };
        let owner = if ledger.ephemeral.contains(path) { ledger.session } else { 0 };
        if znode.stat.ephemeral_owner != owner {
            violations
                .push(format!("{path} belongs to {:#x}, not to {owner:#x}", znode.stat.ephemeral_owner));
        }
        let step = path.rsplit(['n', 'e']).next().and_then(|digits| digits.parse().ok()).unwrap_or_default();
        if tree.text(path) != Some(value(ledger.number, step)) {
            violations.push(format!("{path} holds {:?}", tree.text(path)));
        }
    }
}

fn judge_sequential(ledger: &Ledger, tree: &Tree, violations: &mut Vec<String>) {
    for (path, value) in &ledger.sequential {
        if tree.text(path).as_ref() != Some(value) {
            violations.push(format!("{path} was acknowledged with {value} and holds {:?}", tree.text(path)));
        }
    }
    // The other way round: what is there was written once, by somebody who acknowledges it or does not know.
    let stem = format!("{}/q-", ledger.home());
    let mut found: BTreeMap<String, Vec<&String>> = BTreeMap::new();
    for path in tree.0.keys().filter(|path| path.starts_with(&stem)) {
        found.entry(tree.text(path).unwrap_or_default()).or_default().push(path);
    }
    for (value, paths) in found {
        if paths.len() > 1 {
            violations.push(format!("{value} was written once and appears as {paths:?}"));
        }
        let known = ledger.sequential_unknown.contains(&value)
            || paths.iter().all(|path| ledger.sequential.get(*path) == Some(&value));
        if !known {
            violations.push(format!("{paths:?} holds {value}, which nobody knows of"));
        }
    }
}

fn judge_count(path: &str, count: Count, tree: &Tree, violations: &mut Vec<String>) {
    let Some(znode) = tree.0.get(path) else {
        violations.push(format!("{path} is missing"));
        return;
    };
    let version = znode.stat.version;
    if version < count.acknowledged || version > count.acknowledged + count.unknown {
        violations.push(format!(
            "{path} has version {version} after {} acknowledged writes and {} unknown ones",
            count.acknowledged, count.unknown
        ));
    }
    if version < count.version {
        violations.push(format!("{path} has version {version}, and {} was acknowledged", count.version));
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proto::Stat;

    use super::*;
    use crate::tree::Znode;

    fn ledger() -> Ledger {
        let mut ledger = Ledger { session: 7, ..Ledger::default() };
        ledger.named.insert("/load/s0/n1".into(), true);
        ledger.named.insert("/load/s0/n2".into(), false);
        ledger.named.insert("/load/s0/e1".into(), true);
        ledger.ephemeral.insert("/load/s0/e1".into());
        ledger.sequential.insert("/load/s0/q-0000000001".into(), "s0-1".into());
        ledger.sequential_unknown.insert("s0-2".into());
        ledger.counter = Count { acknowledged: 2, unknown: 1, version: 2 };
        ledger
    }

    fn tree() -> Tree {
        let mut tree = Tree::default();
        put(&mut tree, "/load/shared", "", 0, 0);
        put(&mut tree, "/load/s0/counter", "s0-2", 2, 0);
        put(&mut tree, "/load/s0/n1", "s0-1", 0, 0);
        put(&mut tree, "/load/s0/e1", "s0-1", 0, 7);
        put(&mut tree, "/load/s0/q-0000000001", "s0-1", 0, 0);
        tree
    }

    fn put(tree: &mut Tree, path: &str, data: &str, version: i32, owner: i64) {
        let stat = Stat { version, ephemeral_owner: owner, ..Stat::default() };
        let data = Some(Bytes::copy_from_slice(data.as_bytes()));
        tree.0.insert(path.into(), Znode { data, stat });
    }

    #[track_caller]
    fn check(spoil: impl FnOnce(&mut Tree), expected: &str) {
        let mut tree = tree();
        spoil(&mut tree);
        let violations = judge(&[ledger()], &tree);
        assert!(
            violations.iter().any(|line| line.contains(expected)),
            "{expected:?} not among {violations:?}"
        );
    }

    #[test]
    fn what_was_promised_passes_with_and_without_the_unknown() {
        let mut tree = tree();
        assert_eq!(judge(&[ledger()], &tree), Vec::<String>::new());
        put(&mut tree, "/load/s0/n2", "s0-2", 0, 0);
        put(&mut tree, "/load/s0/q-0000000002", "s0-2", 0, 0);
        put(&mut tree, "/load/s0/counter", "s0-3", 3, 0);
        assert_eq!(judge(&[ledger()], &tree), Vec::<String>::new());
    }

    #[test]
    fn a_lost_write_is_seen() {
        check(|tree| drop(tree.0.remove("/load/s0/n1")), "/load/s0/n1 was acknowledged and is missing");
        check(|tree| drop(tree.0.remove("/load/s0/q-0000000001")), "holds None");
        check(|tree| put(tree, "/load/s0/counter", "", 1, 0), "has version 1 after 2");
    }

    #[test]
    fn a_lost_ephemeral_is_seen() {
        check(|tree| drop(tree.0.remove("/load/s0/e1")), "/load/s0/e1 was acknowledged and is missing");
        check(|tree| put(tree, "/load/s0/e1", "s0-1", 0, 8), "belongs to 0x8");
    }

    #[test]
    fn a_write_done_twice_is_seen() {
        check(|tree| put(tree, "/load/s0/q-0000000009", "s0-1", 0, 0), "appears as");
        check(|tree| put(tree, "/load/s0/counter", "", 4, 0), "has version 4 after 2");
    }

    #[test]
    fn a_write_of_nobody_is_seen() {
        check(|tree| put(tree, "/load/s0/q-0000000009", "s0-77", 0, 0), "which nobody knows of");
    }

    #[test]
    fn members_that_differ_are_seen() {
        let mut other = tree();
        put(&mut other, "/load/s0/n1", "s0-1", 5, 0);
        assert_eq!(tree().differences(&other).len(), 1);
    }
}
