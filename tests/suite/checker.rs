//! What clients are told is true, whatever happens to the members; and if it were not, the checker would say so.
#![allow(clippy::unwrap_used, reason = "a test that finds nothing where something should be has failed")]

use std::time::Duration;

use harness::checker::judge;
use harness::checker::round::{Outcome, Settings, run};
use harness::checker::sabotage::Sabotage;
use harness::{Ensemble, Plan, Server};

fn settings() -> Settings {
    let seed = std::env::var("CORRAL_SEED").ok().and_then(|seed| seed.parse().ok());
    Settings { seed: seed.unwrap_or_else(|| fastrand::u64(..)), clients: 12, rest: Duration::from_millis(5) }
}

/// A round in which each member is killed once.
fn history() -> (Settings, Outcome) {
    let settings = settings();
    eprintln!("CORRAL_SEED={}", settings.seed);
    let plan = Plan::members(3).line("znode.container.checkIntervalMs=700");
    let mut ensemble =
        Ensemble::start(&if Server::under_test().is_apache() { plan } else { plan.with_keeper() });
    let outcome = run(&mut ensemble, &settings, |ensemble| {
        for id in ensemble.ids() {
            std::thread::sleep(Duration::from_secs(2));
            ensemble.kill9(id);
            ensemble.start_member(id);
        }
        std::thread::sleep(Duration::from_secs(2));
    });
    eprintln!("{}; without a log: {:?}", outcome.verdict, outcome.without_log);
    (settings, outcome)
}

#[test]
fn what_members_tell_is_true_while_they_are_killed() {
    let (settings, outcome) = history();
    assert!(
        outcome.is_clean(),
        "CORRAL_SEED={}:\n{}\n{:#?}",
        settings.seed,
        outcome.verdict,
        outcome.differences
    );
}

#[test]
fn what_is_put_in_on_purpose_is_found() {
    let mut left = Sabotage::ALL.to_vec();
    // A busy machine has little to tell in one round.
    for _ in 0..4 {
        let (settings, outcome) = history();
        assert!(outcome.is_clean(), "CORRAL_SEED={}:\n{}", settings.seed, outcome.verdict);
        left.retain(|(sabotage, rule)| {
            let places = (0..4).filter(|number| {
                let mut history = outcome.history.clone();
                let mut rng = fastrand::Rng::with_seed(settings.seed.wrapping_add(*number));
                let has_place = sabotage.commit(&mut history, &mut rng);
                let with_log = if has_place { judge(&history) } else { return false };
                // A log knows more, and gives some of it other names.
                assert!(
                    !with_log.violations.is_empty(),
                    "{sabotage:?} {number}, CORRAL_SEED={}",
                    settings.seed
                );
                history.log = None;
                let verdict = judge(&history);
                let is_found = verdict.rules().contains_key(rule);
                assert!(is_found, "{sabotage:?} {number}, CORRAL_SEED={}:\n{verdict}", settings.seed);
                eprintln!("{sabotage:?} {number}: {:?}", verdict.rules());
                true
            });
            places.count() == 0
        });
        if left.is_empty() {
            return;
        }
    }
    panic!("no place was found for {left:?}");
}
