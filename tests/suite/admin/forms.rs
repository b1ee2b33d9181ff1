//! The forms of what operators are told, which tools parse: they must be ZooKeeper's.
//!
//! The expected text is not written by hand. `CORRAL_GOLDEN_FROM_APACHE=1 cargo test -p tests --test admin forms` writes
//! it anew from members of Apache ZooKeeper 3.9; then read the diff. Numbers, ids, addresses and dates are left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use harness::ask::flags::{EPHEMERAL, PERSISTENT};
use harness::{Ask, Connection, Plan, Server};
use serde_json::Value;

use super::{Operated, TIMEOUT_MS, http};

const WORDS: [&str; 17] = [
    "ruok", "isro", "srvr", "stat", "conf", "envi", "cons", "dirs", "dump", "wchs", "wchc", "wchp", "hash",
    "gtmk", "crst", "srst", "mntr",
];

const COMMANDS: [&str; 28] = [
    "configuration",
    "connections",
    "dirs",
    "dump",
    "environment",
    "get_trace_mask",
    "set_trace_mask",
    "set_trace_mask?traceMask=5",
    "hash",
    "initial_configuration",
    "is_read_only",
    "last_snapshot",
    "leader",
    "observers",
    "server_stats",
    "stats",
    "voting_view",
    "watches",
    "watches_by_path",
    "watch_summary",
    "zabstate",
    "ruok",
    "snapshot",
    "restore",
    "no_such_command",
    "connection_stat_reset",
    "stat_reset",
    "observer_connection_stat_reset",
];

/// What ZooKeeper tells of its own machinery begins so: Corral's is another, and tells nothing under these names.
const NOT_TOLD: [&str; 38] = [
    "add_dead_watcher_stall_time",
    "close_session_prep_time",
    "cnxn_closed_without_zk_server_running",
    "commit_commit_proc_",
    "commit_process_time",
    "commit_propagation_latency",
    "concurrent_request_processing_",
    "dead_watchers_",
    "diff_count",
    "inflight_",
    "insecure_admin_count",
    "learner_commit_",
    "learner_proposal_",
    "learner_request_",
    "local_write_committed_",
    "netty_",
    "observer_sync_time",
    "om_",
    "outstanding_changes_",
    "pending_session_queue_size",
    "prep_",
    "proposal_ack_creation_latency",
    "proposal_latency",
    "proposal_process_time",
    "quit_leading_",
    "read_commit",
    "read_final_",
    "reads_",
    "request_commit_queued",
    "requests_",
    "restore_",
    "server_write_",
    "session_queues_",
    "skip_learner_",
    "snapshot_",
    "socket_closing_time",
    "startup_",
    "sync_process",
];

/// The same, where the names have more of a beginning.
const NOT_TOLD_EITHER: [&str; 5] =
    ["time_waiting_", "write_batch_", "write_commit", "write_final_", "learner_handler_"];

#[test]
fn words_and_commands_have_the_forms_of_zookeepers() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("suite/admin/forms.txt");
    let write_anew = std::env::var_os("CORRAL_GOLDEN_FROM_APACHE").is_some();
    if super::is_apache() && !write_anew {
        return;
    }
    let mut forms = String::new();
    for members in [1, 3] {
        let mut plan = Plan::members(members);
        if write_anew {
            plan.server = Server::Apache39;
        }
        let mut operated = Operated::lay_out(&plan, "admin.enableServer=true\n");
        operated.start_all();
        let leader = operated.ensemble.wait_for_leader();
        for id in operated.ensemble.ids() {
            let role = match (members, id == leader) {
                (1, _) => "standalone",
                (_, true) => "leader",
                // One of them is enough.
                _ if id == 3 || leader == 3 && id == 2 => "follower",
                _ => continue,
            };
            let _clients = clients(&operated, id);
            for word in WORDS {
                let told = operated.ensemble.four_letter(id, word).unwrap_or_default();
                let form = if word == "mntr" { names(&told) } else { lines(word, &told) };
                let _written = write!(forms, "=== {role} {word}\n{form}");
            }
            for command in COMMANDS {
                let (status, body) = http(operated.admin(id), "GET", &format!("/commands/{command}"));
                let told: Value =
                    serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"));
                let mut keys = BTreeSet::new();
                keys_of(&told, "", &mut keys);
                let keys: Vec<String> = keys.into_iter().collect();
                let error = told["error"].as_str().unwrap_or("null");
                let _written = write!(forms, "=== {role} /commands/{command}\n{status} error={error}\n");
                let _written = writeln!(forms, "{}", keys.join("\n"));
            }
        }
    }
    if write_anew {
        std::fs::write(golden, forms).unwrap();
        return;
    }
    let (expected, told) = (sections(&std::fs::read_to_string(golden).unwrap()), sections(&forms));
    assert_eq!(expected.keys().collect::<Vec<_>>(), told.keys().collect::<Vec<_>>());
    for (name, expected) in &expected {
        if name.ends_with(" mntr") {
            check_names(name, expected, &told[name]);
        } else {
            assert_eq!(&told[name], expected, "{name}");
        }
    }
}

/// Sessions that hold and watch something, so that there is something to tell.
fn clients(operated: &Operated, id: usize) -> [Connection; 2] {
    let open = || Connection::open(operated.ensemble.address(id), TIMEOUT_MS).0;
    let (mut one, mut two) = (open(), open());
    let _there_already = one.call(&Ask::create("/made", b"", PERSISTENT));
    assert_eq!(one.call(&Ask::create(&format!("/held-{id}"), b"", EPHEMERAL)).err, 0);
    assert_eq!(one.call(&Ask::sync("/made")).err, 0);
    assert_eq!(one.call(&Ask::get_data("/made", true)).err, 0);
    assert_eq!(two.call(&Ask::exists("/missing", true)).err, -101);
    [one, two]
}

/// The different lines of an answer, and how it ends.
fn lines(word: &str, told: &str) -> String {
    let mut seen = BTreeSet::new();
    let mut lines: Vec<String> = Vec::new();
    for line in told.lines().filter(|line| !line.starts_with("Member ")) {
        let form = match line.split_once('=') {
            Some((key, _)) if word == "envi" => format!("{key}=…"),
            Some((key @ ("dataDir" | "dataLogDir"), _)) => format!("{key}=…"),
            _ => without_values(line),
        };
        if seen.insert(form.clone()) {
            lines.push(form);
        }
    }
    // Connections come in no order.
    let first = lines.iter().position(|line| line.starts_with(" /")).unwrap_or(0);
    let count = lines[first..].iter().take_while(|line| line.starts_with(" /")).count();
    lines[first..first + count].sort_unstable();
    let breaks = told.len() - told.trim_end_matches('\n').len();
    let mut form: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let _written = writeln!(form, "({breaks} line breaks at the end)");
    form
}

/// A line without numbers, ids, addresses, dates and versions.
fn without_values(line: &str) -> String {
    if line.starts_with("Zookeeper version: ") {
        return "Zookeeper version: …".to_owned();
    }
    // Paths come in no order.
    if let Some(indent) = ["", "\t"].iter().find(|indent| line.starts_with(&format!("{indent}/"))) {
        return format!("{indent}/…");
    }
    if line.contains(" expire at ") {
        return "N expire at …".to_owned();
    }
    let mut form = String::new();
    let mut rest = line.replace("127.0.0.1", "HOST");
    if let Some((key, value)) = rest.split_once('=')
        && !line.starts_with(' ')
        && value.trim_start_matches('-').parse::<u64>().is_ok()
    {
        return format!("{key}=N");
    }
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, number) = rest.split_at(start);
        form.push_str(before.strip_suffix('-').unwrap_or(before));
        let is_hex = number.starts_with("0x");
        let end = number
            .char_indices()
            .find(|(at, c)| {
                !(c.is_ascii_digit() || *c == '.' || is_hex && (*at == 1 || c.is_ascii_hexdigit()))
            })
            .map_or(number.len(), |(at, _)| at);
        form.push_str(if is_hex { "HEX" } else { "N" });
        rest = number[end..].to_owned();
    }
    form + &rest
}

/// The names of `mntr`, those of summaries without their forms.
fn names(told: &str) -> String {
    let names: BTreeSet<&str> = told
        .lines()
        .filter_map(|line| line.strip_prefix("zk_")?.split('\t').next())
        .map(|name| match name.split_once('_') {
            Some(("avg" | "cnt" | "sum" | "p50" | "p95" | "p99" | "p999", name)) => name,
            Some(("min" | "max", rest)) if told.contains(&format!("zk_cnt_{rest}\t")) => rest,
            _ => name,
        })
        .filter(|name| !name.ends_with("_per_namespace"))
        .collect();
    names.into_iter().map(|name| format!("{name}\n")).collect()
}

/// All that ZooKeeper tells is told, but of its own machinery.
#[track_caller]
fn check_names(section: &str, expected: &str, told: &str) {
    let told: BTreeSet<&str> = told.lines().collect();
    let of_its_own = |name: &str| {
        let is_latency = ["avg_latency", "max_latency", "min_latency"].contains(&name);
        !is_latency && NOT_TOLD.iter().chain(&NOT_TOLD_EITHER).any(|stem| name.contains(stem))
    };
    let missing: Vec<&str> =
        expected.lines().filter(|name| !told.contains(name) && !of_its_own(name)).collect();
    assert!(missing.is_empty(), "{section}: {missing:?}");
    let expected: BTreeSet<&str> = expected.lines().collect();
    let ours = |name: &str| name.starts_with("corral_") || name.starts_with("ttl_node_");
    let more: Vec<&&str> = told.iter().filter(|name| !expected.contains(*name) && !ours(name)).collect();
    // The first was the name of `learners` before 3.6; the other is told by followers of older ones.
    assert!(more.iter().all(|name| ["followers", "synced_observers"].contains(name)), "{section}: {more:?}");
}

/// The keys of an answer, and of what is in it. What is a number among them is left out, and what is ours.
fn keys_of(told: &Value, above: &str, keys: &mut BTreeSet<String>) {
    match told {
        Value::Object(entries) => {
            for (key, value) in entries {
                if ["home_members", "session_id_to_home_member"].contains(&key.as_str()) {
                    continue;
                }
                let is_name = key.starts_with('/') || key.parse::<u64>().is_ok();
                let key = format!("{above}.{}", if is_name { "…" } else { key });
                keys_of(value, &key, keys);
                keys.insert(key);
            }
        }
        Value::Array(all) => all.iter().for_each(|one| keys_of(one, &format!("{above}[]"), keys)),
        _ => {}
    }
}

fn sections(text: &str) -> BTreeMap<String, String> {
    let sections = text.split("=== ").skip(1).filter_map(|section| section.split_once('\n'));
    sections.map(|(name, body)| (name.to_owned(), body.to_owned())).collect()
}
