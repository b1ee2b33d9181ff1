//! The load that users can put on a server: each workload runs, says what it measured, and leaves nothing behind.
#![allow(clippy::unwrap_used, reason = "a test that finds nothing where something should be has failed")]

use std::process::Command;

use harness::tree::Tree;
use harness::{Ensemble, Plan, corral};
use serde_json::Value;

/// Runs a workload for a moment and returns its results.
#[track_caller]
fn bench(ensemble: &Ensemble, arguments: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let (json, plots) = (folder.path().join("results.json"), folder.path().join("plots"));
    let output = Command::new(corral().unwrap())
        .arg("bench")
        .args(arguments)
        .args(["--servers", &ensemble.connect_string(), "--seconds", "0.5", "--warmup", "0.1"])
        .args(["--connections", "6", "--depth", "2", "--znodes", "250"])
        .args(["--json".as_ref(), json.as_os_str(), "--plots".as_ref(), plots.as_os_str()])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("p99"), "{said}");
    for plot in ["latency.svg", "throughput.svg"] {
        let drawn = std::fs::read_to_string(plots.join(plot)).unwrap();
        assert!(drawn.starts_with("<svg") && drawn.trim_end().ends_with("</svg>"), "{plot}");
    }
    serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap()
}

/// What was answered, by kind of request.
fn answers(results: &Value) -> Vec<(String, u64)> {
    let row = |row: &Value| (row["kind"].as_str().unwrap().to_owned(), row["answers"].as_u64().unwrap());
    results["rows"].as_array().unwrap().iter().map(row).collect()
}

#[test]
fn every_workload_measures_what_it_says() {
    let ensemble = Ensemble::start(&Plan::members(3));
    let before = Tree::read(ensemble.address(1), "/").unwrap();
    for (arguments, kinds) in [
        (&["write"][..], &["set"][..]),
        (&["read"], &["get"]),
        (&["mixed"], &["get", "set", "all"]),
        (&["create"], &["create"]),
        (&["churn"], &["create", "delete", "all"]),
        (&["multi"], &["multi"]),
        (&["lists"], &["children"]),
        (&["fanout"], &["told", "last told"]),
        (&["sessions"], &["open", "close", "all"]),
        (&["idle"], &["all"]),
        (&["mixed", "--rate", "500"], &["get", "set", "all"]),
        (&["read", "--mix", "exists=1,sync=1"], &["exists", "sync", "all"]),
    ] {
        let results = bench(&ensemble, arguments);
        let answers = answers(&results);
        let found: Vec<&str> = answers.iter().map(|(kind, _)| kind.as_str()).collect();
        assert_eq!(found, kinds, "{arguments:?}: {results}");
        let is_idle = arguments == ["idle"];
        assert!(answers.iter().all(|(_, count)| (*count == 0) == is_idle), "{arguments:?}: {answers:?}");
        assert_eq!((&results["refused"], &results["broken_connections"]), (&Value::Array(vec![]), &0.into()));
    }
    let ladder = bench(&ensemble, &["ladder"]);
    let rungs = ladder["rows"].as_array().unwrap().iter().filter(|row| row["kind"] == "all");
    assert_eq!(rungs.map(|row| row["connections"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 4, 6]);

    let after = Tree::read(ensemble.address(1), "/").unwrap();
    assert_eq!(after.0.keys().collect::<Vec<_>>(), before.0.keys().collect::<Vec<_>>(), "something was left");
}

#[test]
fn who_cannot_be_reached_is_named() {
    let output =
        Command::new(corral().unwrap()).args(["bench", "read", "--servers", "127.0.0.1:1"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("127.0.0.1:1") && said.contains("refused"), "{said}");
}
