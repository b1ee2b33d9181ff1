//! What a member with a new log makes of what it hears.

use super::*;

fn id(term: u64, index: u64) -> Option<LogId> {
    Some(LogId::new_term_index(term, index))
}

fn has(term: u64, last: Option<LogId>) -> Testimony {
    Testimony { term, last, begun: true, new: false }
}

/// One that begins an ensemble.
fn begins(term: u64) -> Testimony {
    Testimony { term, last: id(0, 0), begun: false, new: true }
}

/// What member 1 of so many makes of what it hears.
fn of(size: u64, heard: impl IntoIterator<Item = (u64, Testimony)>) -> Judgement {
    judge(1, &[(1..=size).collect()], &heard.into_iter().collect(), false)
}

#[test]
fn of_three_both_others_must_have_been_heard() {
    let judgement = of(3, [(2, has(7, id(7, 90)))]);
    assert_eq!((judgement.knows_terms, judgement.begins, judgement.floor), (false, false, None));
    let judgement = of(3, [(2, has(7, id(7, 90))), (3, has(9, id(6, 80)))]);
    assert!(judgement.knows_terms);
    assert_eq!((judgement.term, judgement.floor), (9, Some(id(7, 90))));
}

#[test]
fn of_five_three_others_know_the_terms_and_all_know_the_end_of_the_log() {
    let mut heard: BTreeMap<_, _> = (2..=4).map(|member| (member, has(3, id(3, member)))).collect();
    let judgement = of(5, heard.clone());
    // The leader may be the fourth, and still count what was acknowledged to it before the disk was lost.
    assert_eq!((judgement.knows_terms, judgement.floor), (true, None));
    // Whoever is new itself may have forgotten the same.
    heard.insert(4, begins(3));
    assert!(!of(5, heard.clone()).knows_terms);
    heard.insert(5, has(4, id(2, 99)));
    let judgement = of(5, heard);
    assert_eq!((judgement.knows_terms, judgement.term, judgement.floor), (true, 4, Some(id(3, 3))));
}

#[test]
fn an_ensemble_begins_with_a_bare_majority_of_which_nobody_has_anything() {
    assert!(!of(3, []).begins);
    assert!(of(3, [(2, begins(1))]).begins);
    assert!(!of(5, [(2, begins(1))]).begins);
    assert!(of(5, [(2, begins(1)), (3, begins(0))]).begins);
    assert!(!of(3, [(2, Testimony { last: id(1, 1), ..begins(1) })]).begins);
    assert!(!of(3, [(2, Testimony { begun: true, ..begins(1) })]).begins);
    assert!(!of(3, [(2, Testimony { new: false, ..begins(1) })]).begins);
    let judgement = of(3, [(2, begins(1)), (3, begins(2))]);
    assert_eq!((judgement.begins, judgement.term, judgement.floor), (true, 2, Some(id(0, 0))));
}

#[test]
fn a_member_that_has_voted_before_begins_no_ensemble() {
    let heard = BTreeMap::from([(2, begins(1)), (3, begins(1))]);
    let judgement = judge(1, &[(1..=3).collect()], &heard, true);
    assert_eq!((judgement.knows_terms, judgement.begins, judgement.floor), (false, false, None));
    let heard = BTreeMap::from([(2, begins(1)), (3, has(1, id(1, 4)))]);
    let judgement = judge(1, &[(1..=3).collect()], &heard, true);
    assert_eq!((judgement.knows_terms, judgement.floor), (true, Some(id(1, 4))));
}

#[test]
fn a_member_alone_has_nobody_to_ask() {
    let judgement = of(1, []);
    assert_eq!((judgement.knows_terms, judgement.term, judgement.floor), (true, 0, Some(None)));
    // One that does not know who votes knows nothing.
    let judgement = judge(1, &[], &BTreeMap::new(), false);
    assert_eq!((judgement.knows_terms, judgement.begins, judgement.floor), (false, false, None));
}

#[test]
fn while_the_voters_change_both_sets_of_them_count() {
    let configs = [BTreeSet::from([1, 2, 3]), BTreeSet::from([1, 4, 5])];
    let mut heard = BTreeMap::from([(2, has(1, None)), (3, has(1, None)), (4, has(5, None))]);
    assert!(!judge(1, &configs, &heard, false).knows_terms);
    heard.insert(5, has(2, None));
    assert_eq!(judge(1, &configs, &heard, false).term, 5);
    assert!(judge(1, &configs, &heard, false).knows_terms);
    // What others say does not count.
    heard.insert(6, has(9, id(9, 9)));
    assert_eq!(judge(1, &configs, &heard, false).term, 5);
}

#[test]
fn what_the_leader_has_and_this_member_has_not_keeps_it_from_voting() {
    let id = |index| Some(LogId::new_term_index(3, index));
    let mut metrics = RaftMetrics::new_initial(1);
    metrics.current_term = 3;
    assert!(!caught_up(&metrics));
    metrics.cluster_committed = id(10);
    metrics.last_applied = id(9);
    metrics.current_leader = Some(2);
    assert!(!caught_up(&metrics));
    metrics.last_applied = id(10);
    assert!(caught_up(&metrics));
    metrics.current_term = 4;
    assert!(!caught_up(&metrics), "the leader of term 4 does not know yet what was committed before");
    metrics.current_term = 3;
    metrics.current_leader = None;
    assert!(!caught_up(&metrics));
}
