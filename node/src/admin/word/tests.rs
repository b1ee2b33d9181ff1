//! What each word is answered, word for word.
use consensus::Role;

use super::*;
use crate::admin::example::{config, ensemble, report};
use crate::admin::version;

fn ask(word: &[u8; 4], report: &Report<'_>) -> String {
    let answer = answer(Word::from_bytes(*word).expect("a word"), report, &Whitelist::parse("*"));
    let Answer::Text(text) = answer else { panic!("{answer:?} has yet to be gathered") };
    text.replace(&version::long(), "3.9.5-corral-x.y.z, built on a day")
}

#[test]
fn srvr_of_a_leader_reads_well() {
    insta::assert_snapshot!(ask(b"srvr", &report(&ensemble(), Role::Leader)));
}

#[test]
fn srvr_of_a_follower_reads_well() {
    insta::assert_snapshot!(ask(b"srvr", &report(&ensemble(), Role::Follower)));
}

#[test]
fn srvr_of_a_read_only_member_says_so() {
    let config = ensemble();
    insta::assert_snapshot!(ask(
        b"srvr",
        &Report { serving: Serving::ReadOnly, ..report(&config, Role::Looking) }
    ));
}

#[test]
fn stat_reads_well() {
    insta::assert_snapshot!(ask(b"stat", &report(&ensemble(), Role::Follower)));
}

#[test]
fn mntr_of_a_leader_reads_well() {
    insta::assert_snapshot!(ask(b"mntr", &report(&ensemble(), Role::Leader)));
}

#[test]
fn mntr_of_a_follower_reads_well() {
    insta::assert_snapshot!(ask(b"mntr", &report(&ensemble(), Role::Follower)));
}

#[test]
fn mntr_of_a_standalone_member_reads_well() {
    insta::assert_snapshot!(ask(b"mntr", &report(&config(""), Role::Leader)));
}

#[test]
fn conf_of_a_member_reads_well() {
    insta::assert_snapshot!(ask(b"conf", &report(&ensemble(), Role::Follower)));
}

#[test]
fn conf_of_a_standalone_member_reads_well() {
    insta::assert_snapshot!(ask(b"conf", &report(&config(""), Role::Leader)));
}

#[test]
fn envi_reads_well() {
    insta::assert_snapshot!(ask(b"envi", &report(&ensemble(), Role::Follower)));
}

#[test]
fn short_words_end_without_a_line_break() {
    let config = ensemble();
    let serving = |serving| Report { serving, ..report(&config, Role::Follower) };
    assert_eq!(ask(b"ruok", &serving(Serving::No)), "imok");
    assert_eq!(ask(b"isro", &serving(Serving::No)), "null");
    assert_eq!(ask(b"isro", &serving(Serving::ReadOnly)), "ro");
    assert_eq!(ask(b"isro", &serving(Serving::ReadWrite)), "rw");
    assert_eq!(ask(b"dirs", &serving(Serving::ReadWrite)), "datadir_size: 1000\nlogdir_size: 2000\n");
}

#[test]
fn a_member_that_does_not_serve_says_so() {
    let config = ensemble();
    let report = Report { serving: Serving::No, ..report(&config, Role::Looking) };
    for word in [
        b"srvr", b"stat", b"mntr", b"conf", b"cons", b"crst", b"dirs", b"dump", b"srst", b"wchc", b"wchp",
        b"wchs",
    ] {
        assert_eq!(ask(word, &report), "This ZooKeeper instance is not currently serving requests\n");
    }
    assert_eq!(ask(b"hash", &report), "This ZooKeeper instance is not currently serving requests");
    assert_eq!(ask(b"gtmk", &report), "306");
    assert!(ask(b"envi", &report).starts_with("Environment:\nzookeeper.version=3.9.5-corral-"));
}

#[test]
fn a_word_is_answered_if_it_is_allowed() {
    let config = ensemble();
    let report = report(&config, Role::Follower);
    let allowed = Whitelist::parse("ruok");
    assert_eq!(answer(Word::Ruok, &report, &allowed), Answer::Text("imok".to_owned()));
    for word in [Word::Mntr, Word::Watching(Form::BySession)] {
        let refusal = format!("{} is not executed because it is not in the whitelist.\n", word.name());
        assert_eq!(answer(word, &report, &allowed), Answer::Text(refusal));
    }
}

#[test]
fn who_waits_for_what_is_asked_in_three_forms() {
    let config = ensemble();
    let report = report(&config, Role::Follower);
    for (word, form) in [(b"wchc", Form::BySession), (b"wchp", Form::ByPath), (b"wchs", Form::Summary)] {
        let word = Word::from_bytes(*word).expect("a word");
        assert_eq!(answer(word, &report, &Whitelist::parse("*")), Answer::Watching(form));
    }
}

#[test]
fn words_are_read_and_lengths_are_not_words() {
    for (word, name) in WORDS {
        let bytes = name.as_bytes().try_into().expect("four letters");
        assert_eq!((Word::from_bytes(bytes), word.name()), (Some(word), name));
    }
    // The last is a command of the AdminServer, and no word.
    for length in [[0, 0, 0, 44], *b"GET ", *b"RUOK", *b"lsnp"] {
        assert_eq!(Word::from_bytes(length), None);
    }
}

#[test]
fn cons_reads_well() {
    insta::assert_snapshot!(ask(b"cons", &report(&ensemble(), Role::Follower)));
}

#[test]
fn what_is_reset_is_said_and_done() {
    let config = ensemble();
    let report = report(&config, Role::Follower);
    let ask = |word| answer(word, &report, &Whitelist::parse("*"));
    assert_eq!(ask(Word::Crst), Answer::Done(Deed::ResetConnections, "Connection stats reset.\n"));
    assert_eq!(ask(Word::Srst), Answer::Done(Deed::ResetStats, "Server stats reset.\n"));
    assert_eq!(ask(Word::Stmk), Answer::Mask);
    assert_eq!(ask(Word::Dump), Answer::Dump);
    assert_eq!(ask(Word::Hash), Answer::Text(String::new()));
}
