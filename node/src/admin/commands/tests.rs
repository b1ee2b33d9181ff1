//! What each command is answered.
use consensus::Role;

use super::*;
use crate::admin::example::{config, ensemble, report};
use crate::admin::version;

#[track_caller]
fn ask(name: &str, report: &Report<'_>) -> String {
    match answer(name, Asking::default(), report) {
        Answer::Json(200, text) | Answer::Done(_, text) => {
            text.replace(&version::long(), "3.9.5-corral-x.y.z, built on a day")
        }
        other => panic!("{name}: {other:?}"),
    }
}

fn parsed(answer: &Answer) -> (u16, Value) {
    match answer {
        Answer::Json(status, text) => (*status, serde_json::from_str(text).expect("JSON")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_answers_of_a_leader_read_well() {
    let config = ensemble();
    let report = report(&config, Role::Leader);
    for name in [
        "configuration",
        "connection_stat_reset",
        "connections",
        "dirs",
        "environment",
        "get_trace_mask",
        "hash",
        "initial_configuration",
        "is_read_only",
        "last_snapshot",
        "leader",
        "monitor",
        "observer_connection_stat_reset",
        "observers",
        "ruok",
        "server_stats",
        "stat_reset",
        "stats",
        "system_properties",
        "voting_view",
        "zabstate",
    ] {
        insta::assert_snapshot!(name, ask(name, &report));
    }
}

#[test]
fn a_member_that_stands_alone_has_no_part_in_an_ensemble() {
    let config = config("");
    let report = report(&config, Role::Leader);
    assert_eq!(
        parsed(&answer("lead", Asking::default(), &report)),
        (200, json!({ "command": "leader", "error": "server is not initialized" }))
    );
    let told = |name| parsed(&answer(name, Asking::default(), &report)).1;
    assert_eq!(
        told("zabstate"),
        json!({ "command": "zabstate", "error": null, "voting": false, "zabstate": "" })
    );
    assert_eq!(told("voting_view")["current_config"], json!({}));
}

#[test]
fn every_name_is_one_of_one_command_and_answered_under_the_first() {
    let config = ensemble();
    let report = report(&config, Role::Follower);
    let primary: Vec<&str> = COMMANDS.iter().filter_map(|(_, names)| names.first().copied()).collect();
    assert!(primary.is_sorted(), "{primary:?}");
    for (command, names) in COMMANDS {
        for name in names {
            assert_eq!(COMMANDS.iter().filter(|(_, others)| others.contains(name)).count(), 1, "{name}");
            match answer(name, Asking { trace_mask: Some("7"), ..Asking::default() }, &report) {
                Answer::Json(200, text) | Answer::Done(_, text) => {
                    let answer: Value = serde_json::from_str(&text).expect("JSON");
                    assert_eq!((&answer["command"], &answer["error"]), (&json!(names[0]), &Value::Null));
                }
                Answer::Watching(primary, form) => {
                    assert_eq!((primary, Command::Watching(form)), (names[0], command));
                }
                Answer::Dump(primary) => assert_eq!((primary, command), (names[0], Command::Dump)),
                Answer::Digest(primary) => assert_eq!((primary, command), (names[0], Command::Digest)),
                Answer::Json(401, _) => {
                    assert!(matches!(command, Command::Snapshot | Command::Restore), "{name}");
                }
                other => panic!("{name}: {other:?}"),
            }
        }
    }
}

#[test]
fn what_cannot_be_answered_is_said() {
    let config = ensemble();
    let serving = report(&config, Role::Follower);
    assert_eq!(
        ask("wchx", &serving),
        "{\n  \"command\": \"wchx\",\n  \"error\": \"Unknown command: wchx\"\n}\n"
    );
    let silent = Report { serving: Serving::No, ..report(&config, Role::Looking) };
    for name in ["srvr", "wchs", "ruok", "snapshot"] {
        let answer: Value = serde_json::from_str(&ask(name, &silent)).expect("JSON");
        assert_eq!(answer, json!({ "command": name, "error": NOT_SERVING }));
    }
    for name in ["env", "gtmk", "mntr", "sysp", "zabstate"] {
        assert!(ask(name, &silent).contains("\"error\": null"), "{name}");
    }
    let posted = Asking { posts: true, ..Asking::default() };
    assert_eq!(answer("ruok", posted, &serving), Answer::WrongMethod);
}

#[test]
fn the_trace_mask_is_a_number() {
    let config = ensemble();
    let report = report(&config, Role::Follower);
    let ask = |trace_mask| answer("stmk", Asking { trace_mask, ..Asking::default() }, &report);
    let Answer::Done(Deed::SetTraceMask(5), text) = ask(Some("5")) else { panic!("{:?}", ask(Some("5"))) };
    let told: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(told, json!({ "command": "set_trace_mask", "error": null, "tracemask": 5 }));
    let missing = "setTraceMask requires long traceMask argument";
    for (mask, error) in [(None, missing.to_owned()), (Some("x"), format!("{missing}, got x"))] {
        assert_eq!(parsed(&ask(mask)), (200, json!({ "command": "set_trace_mask", "error": error })));
    }
}

#[test]
fn snapshots_are_for_those_who_may_do_everything() {
    let config = ensemble();
    let report = report(&config, Role::Follower);
    for (name, posts) in [("snapshot", false), ("restore", true)] {
        for (credentials, status) in
            [(Credentials::None, 401), (Credentials::Wrong, 401), (Credentials::NotEnough, 403)]
        {
            let asking = Asking { posts, credentials, ..Asking::default() };
            let (told, answer) = parsed(&answer(name, asking, &report));
            assert_eq!((told, &answer["command"]), (status, &json!(name)));
            assert!(answer["error"].is_string(), "{answer}");
        }
        let asking = Asking { posts: !posts, credentials: Credentials::Enough, ..Asking::default() };
        assert_eq!(answer(name, asking, &report), Answer::WrongMethod);
    }
    let enough = Asking { credentials: Credentials::Enough, ..Asking::default() };
    for (streaming, whole) in [(None, true), (Some("true"), true), (Some("false"), false)] {
        let asking = Asking { streaming, ..enough };
        assert_eq!(answer("snap", asking, &report), Answer::Snapshot("snapshot", whole, Leaderless::Refused));
    }
    let stale = Asking { stale: Some("true"), ..enough };
    let as_it_is = Answer::Snapshot("snapshot", true, Leaderless::Stale);
    assert_eq!(answer("snap", stale, &report), as_it_is);
    let alone = Report { serving: Serving::No, ..report.clone() };
    assert_eq!(answer("snap", stale, &alone), as_it_is);
    assert!(parsed(&answer("snap", enough, &alone)).1["error"].is_string());
    assert_eq!(parsed(&answer("rest", Asking { posts: true, ..enough }, &report)).0, 503);
    let silent = crate::admin::example::config("admin.snapshot.enabled=false\n");
    let report = crate::admin::example::report(&silent, Role::Follower);
    assert_eq!(parsed(&answer("snapshot", enough, &report)).0, 503);
}

#[test]
fn links_lead_to_commands() {
    let links = links("/commands");
    assert_eq!(links.lines().count(), 2 * COMMANDS.len());
    assert!(links.contains("<a href=\"/commands/watches\">watches</a>\n<br/>\n"), "{links}");
}
