//! The load that users can put on a server: each workload runs, says what it measured, and leaves nothing behind.
#![allow(clippy::unwrap_used, reason = "a test that finds nothing where something should be has failed")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

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
        let drawn = fs::read_to_string(plots.join(plot)).unwrap();
        assert!(drawn.starts_with("<svg") && drawn.trim_end().ends_with("</svg>"), "{plot}");
    }
    serde_json::from_slice(&fs::read(json).unwrap()).unwrap()
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

/// Runs the comparison into this folder.
fn side_by_side(out: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_side-by-side"));
    command.args(arguments).arg("--out").arg(out).env("CORRAL_BIN", corral().unwrap());
    command.output().unwrap()
}

#[test]
fn a_comparison_measures_both_and_judges_them() {
    let folder = tempfile::tempdir().unwrap();
    let rows = ["set-32", "tree", "watches", "join"];
    let output = side_by_side(folder.path(), &["--small", "--turns", "1", "--rows", &rows.join(",")]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let results = fs::read(folder.path().join("report/results.json")).unwrap();
    let results: Value = serde_json::from_slice(&results).unwrap();
    let takes = results["takes"].as_array().unwrap();
    let who: Vec<_> = takes.iter().map(|it| (it["row"].as_str(), it["side"].as_str())).collect();
    let both = rows[..3].iter().flat_map(|row| ["ZooKeeper", "Corral"].map(|side| (Some(*row), Some(side))));
    assert_eq!(who, both.chain([(Some("join"), Some("Corral"))]).collect::<Vec<_>>());
    for take in takes {
        let figures = take["figures"].as_object().unwrap();
        assert!(figures.len() > 1 && figures.values().all(|it| it.as_f64().unwrap() > 0.0), "{take}");
        assert!(take["syncs"].as_i64().unwrap() > 0, "{take}");
        // Of the member that joins nothing is told, as it is another process each time.
        let members = if take["row"] == "join" { 2 } else { 3 };
        assert_eq!(take["members"].as_array().unwrap().len(), members, "{take}");
    }
    assert!(results["about"]["jvm"].as_array().unwrap().contains(&"-Xmx2g".into()), "{}", results["about"]);

    let report = fs::read_to_string(folder.path().join("REPORT.md")).unwrap();
    let judged =
        |line: &&str| line.starts_with('|') && (line.ends_with("| yes |") || line.ends_with("| **no** |"));
    assert_eq!(report.lines().filter(judged).count(), 2 + 3 + 2 + 2, "{report}");
    assert!(report.contains("**A small run") && !report.contains("not measured |"), "{report}");
    let drawings =
        report.lines().filter_map(|line| line.strip_prefix("![")?.split_once("](")?.1.strip_suffix(')'));
    let drawings: Vec<&str> = drawings.collect();
    assert_eq!(drawings.len(), 4, "{report}");
    for drawing in drawings {
        let drawn = fs::read_to_string(folder.path().join(drawing)).unwrap();
        assert!(drawn.starts_with("<svg") && drawn.contains("ZooKeeper"), "{drawing}");
    }

    // The file says all that the report does.
    let again = tempfile::tempdir().unwrap();
    let file = folder.path().join("report/results.json");
    let output = side_by_side(again.path(), &["--report-from", file.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(fs::read_to_string(again.path().join("REPORT.md")).unwrap(), report);
}

#[test]
fn a_debug_build_is_not_compared_but_in_a_small_run() {
    let version = Command::new(corral().unwrap()).arg("version").output().unwrap();
    if !String::from_utf8_lossy(&version.stdout).contains("debug build") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let output = side_by_side(folder.path(), &["--rows", "set-1"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("debug build"), "{said}");
    assert!(!folder.path().join("REPORT.md").exists());
}
