//! kazoo's own tests: each that passes against Apache ZooKeeper 3.9.5 must pass against Corral.
//!
//! Which those are is not written by hand. `CORRAL_GOLDEN_FROM_APACHE=1 cargo test -p tests --test clients kazoos_own`
//! runs them against ZooKeeper and writes `clients/kazoo/passes-*.txt` anew; then read the diff. What Corral does not do yet
//! stands in `clients/kazoo/awaited.txt`, with the reason, and must fail.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use harness::{Ensemble, Plan, Server, corral, scratch};
use serde_json::{Value, json};

use crate::kazoo::python_with_kazoo;
use crate::program::Program;

/// Until one test is given up, in seconds. The longest waits half a minute for a ping.
const TEST_SECONDS_MAX: u32 = 60;

/// How many tests may have a second try: some of kazoo's give a client five seconds for what takes longer when the machine
/// is busy. If more fail, it is not the machine.
const AGAIN_MAX: usize = 4;

/// What the plugin says of a test that passed.
const PASSED: &str = "passed";

#[test]
fn kazoos_own_tests_pass_against_one_member() {
    check(1, "passes-one.txt");
}

#[test]
fn kazoos_own_tests_pass_against_three_members() {
    check(3, "passes-three.txt");
}

#[track_caller]
fn check(members: usize, baseline: &str) {
    let baseline = folder().join(baseline);
    if std::env::var_os("CORRAL_GOLDEN_FROM_APACHE").is_some() {
        return write_baseline(members, &baseline);
    }
    let expected = lines(&baseline);
    let awaited = awaited();
    let mut outcomes = run(members, Server::under_test(), None);
    let failed = |outcomes: &Outcomes| -> BTreeSet<String> {
        let passed = |test: &&String| outcomes.get(*test).is_some_and(|(outcome, _)| outcome == PASSED);
        let missed = expected.iter().filter(|test| !passed(test));
        missed.filter(|test| !awaited.contains_key(*test)).cloned().collect()
    };
    let missed = failed(&outcomes);
    if (1..=AGAIN_MAX).contains(&missed.len()) {
        for test in &missed {
            eprintln!("--- once more: {test} {:?}", outcomes.get(test));
        }
        outcomes.extend(run(members, Server::under_test(), Some(&missed)));
    }
    let told = |test: &String| match outcomes.get(test) {
        Some((outcome, text)) => format!("--- {test} {outcome}\n{text}"),
        None => format!("--- {test} was not run"),
    };
    let mut faults: Vec<String> = failed(&outcomes).iter().map(told).collect();
    for (test, reason) in awaited.iter().filter(|(test, _)| expected.contains(*test)) {
        if outcomes.get(test).is_some_and(|(outcome, _)| outcome == PASSED) {
            faults.push(format!("--- {test} passes: take it out of awaited.txt ({reason})"));
        }
    }
    let passed = outcomes.values().filter(|(outcome, _)| outcome == PASSED).count();
    eprintln!("{passed} of {} tests passed; of ZooKeeper's {}", outcomes.len(), expected.len());
    assert!(faults.is_empty(), "{} of kazoo's own tests:\n{}", faults.len(), faults.join("\n"));
}

/// What passes at least once of twice.
#[track_caller]
fn write_baseline(members: usize, path: &Path) {
    let mut outcomes = run(members, Server::Apache39, None);
    let failed: BTreeSet<String> =
        outcomes.iter().filter(|(_, (outcome, _))| outcome != PASSED).map(|(test, _)| test.clone()).collect();
    outcomes.extend(run(members, Server::Apache39, Some(&failed)));
    for (test, (outcome, text)) in outcomes.iter().filter(|(_, (outcome, _))| outcome != PASSED) {
        eprintln!("--- against ZooKeeper: {test} {outcome}\n{text}");
    }
    outcomes.retain(|_, (outcome, _)| outcome == PASSED);
    assert!(outcomes.len() > 400, "of all of kazoo's tests only {} pass", outcomes.len());
    let names: String = outcomes.into_keys().map(|test| test + "\n").collect();
    std::fs::write(path, names).unwrap();
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/kazoo")
}

fn lines(path: &Path) -> BTreeSet<String> {
    std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

/// What Corral does not do yet, each with its reason.
fn awaited() -> BTreeMap<String, String> {
    let line = |line: String| {
        let (test, reason) = line.split_once(": ").unwrap_or_else(|| panic!("no reason: `{line}`"));
        (test.to_owned(), reason.to_owned())
    };
    lines(&folder().join("awaited.txt")).into_iter().map(line).collect()
}

/// What became of a test, and what was said of it if it did not pass.
type Outcome = (String, String);

type Outcomes = BTreeMap<String, Outcome>;

/// Runs them: all, or only some, by name.
#[track_caller]
fn run(members: usize, server: Server, only: Option<&BTreeSet<String>>) -> Outcomes {
    if server == Server::Corral {
        // Not while the time of a test is running.
        corral().unwrap();
    }
    let mut pytest = start(members, only);
    let mut ensemble = None;
    let mut outcomes = Outcomes::new();
    while let Some(wish) = wish(&mut pytest, members) {
        let member = wish["member"].as_u64().and_then(|member| usize::try_from(member).ok());
        let running =
            |ensemble: Option<_>| ensemble.unwrap_or_else(|| panic!("there are no members yet: {wish}"));
        let answer = match (wish["do"].as_str(), member) {
            (Some("prepare"), None) => {
                // One after the other: there is only so much room for ensembles.
                drop(ensemble.take());
                let prepared = Ensemble::prepare(&plan(&wish, server));
                let addresses: Vec<String> = prepared.addresses().iter().map(ToString::to_string).collect();
                ensemble = Some(prepared);
                json!({ "addresses": addresses })
            }
            (Some("start"), Some(member)) => json!(running(ensemble.as_mut()).start_member(member)),
            (Some("stop"), Some(member)) => json!(running(ensemble.as_mut()).stop(member).success()),
            (Some("wait"), None) => json!(running(ensemble.as_mut()).wait_until_serving()),
            (Some("end"), None) => {
                drop(ensemble.take());
                Value::Null
            }
            (Some("note"), None) => {
                let text = |key: &str| wish[key].as_str().unwrap_or_default().to_owned();
                outcomes.insert(text("test"), (text("outcome"), text("text")));
                Value::Null
            }
            _ => panic!("kazoo's tests want {wish}"),
        };
        pytest.answer(&answer.to_string());
    }
    outcomes
}

/// An ensemble as kazoo's tests want it.
fn plan(wish: &Value, server: Server) -> Plan {
    let strings = |key: &str| -> Vec<String> {
        wish[key].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let members = usize::try_from(wish["members"].as_u64().unwrap()).unwrap();
    let mut plan = Plan { server, flags: strings("flags"), ..Plan::members(members) };
    // The harness's own lines say it already.
    plan.lines = strings("lines").into_iter().filter(|line| !line.starts_with("4lw.")).collect();
    // Corral takes as a key what ZooKeeper takes as Java's property.
    let keys = plan.flags.iter().filter_map(|flag| flag.strip_prefix("-Dzookeeper.")).map(str::to_owned);
    plan.lines.extend(keys);
    if let Some(users) = wish["jaas"].as_str() {
        let path = scratch().join(format!("kazoo-jaas-{members}.conf"));
        std::fs::write(&path, users).unwrap();
        let property = format!("java.security.auth.login.config={}", path.display());
        plan.flags.push(format!("-D{property}"));
        plan.lines.push(property);
        plan.lines.push("authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider".into());
    }
    plan
}

/// kazoo's tests.
fn start(members: usize, only: Option<&BTreeSet<String>>) -> Program {
    let mut command = Command::new(python_with_kazoo());
    if let Some(only) = only {
        command.env("ENSEMBLE_TESTS", only.iter().cloned().collect::<Vec<_>>().join("\n"));
    }
    command
        .args(["-m", "pytest", "--quiet", "--no-header", "-p", "no:cacheprovider"])
        .args(["-p", "ensemble_plugin", "--pyargs", "kazoo.tests", "--timeout"])
        .arg(TEST_SECONDS_MAX.to_string())
        .current_dir(scratch())
        .env("PYTHONPATH", folder())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("ZOOKEEPER_CLUSTER_SIZE", members.to_string())
        .env("ZOOKEEPER_VERSION", "3.9.5")
        .env_remove("CI")
        .stderr(File::create(printed(members)).unwrap());
    Program::start(&mut command)
}

/// What pytest prints. It goes to a file: among it are the failures that are awaited, and who looks for what went wrong in a
/// run of all tests is not to find those first. What is not awaited our own test tells.
fn printed(members: usize) -> PathBuf {
    scratch().join(format!("kazoo-printed-{members}.txt"))
}

/// What they ask for next; nothing when all have been run.
fn wish(pytest: &mut Program, members: usize) -> Option<Value> {
    let Some(line) = pytest.line() else {
        let status = pytest.wait();
        // 1 is its code where tests have failed, 5 where there were none.
        if !matches!(status.code(), Some(0 | 1 | 5)) {
            let printed = std::fs::read(printed(members)).unwrap();
            panic!("pytest: {status}\n{}", String::from_utf8_lossy(&printed));
        }
        return None;
    };
    Some(serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}")))
}
