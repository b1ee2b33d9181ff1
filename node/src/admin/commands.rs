//! The AdminServer's commands: what each is, and what it answers as JSON (PROTOCOL, section "AdminServer").
use serde_json::{Map, Value, json};

use super::numbers::{self, Number, numbers};
use super::report::{NOT_SERVING, Report, Serving};
use super::version;
use super::watching::Form;
use crate::config::Config;

/// A command of the AdminServer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// The settings of this member.
    Configuration,
    /// Bytes of state and log.
    Dirs,
    /// The process and its machine.
    Environment,
    /// May be written here?
    IsReadOnly,
    /// Who leads.
    Leader,
    /// Numbers for monitoring.
    Monitor,
    /// Is the process there?
    Ruok,
    /// What this member is and does.
    ServerStats,
    /// The same, with its connections.
    Stats,
    /// Who waits for what, in one of its forms.
    Watching(Form),
}

/// All commands, each with its names: the first is the one that it is answered under.
pub(super) const COMMANDS: [(Command, &[&str]); 12] = [
    (Command::Configuration, &["configuration", "conf", "config"]),
    (Command::Dirs, &["dirs"]),
    (Command::Environment, &["environment", "env", "envi"]),
    (Command::IsReadOnly, &["is_read_only", "isro"]),
    (Command::Leader, &["leader", "lead"]),
    (Command::Monitor, &["monitor", "mntr"]),
    (Command::Ruok, &["ruok"]),
    (Command::ServerStats, &["server_stats", "srvr"]),
    (Command::Stats, &["stats", "stat"]),
    (Command::Watching(Form::Summary), &["watch_summary", "wchs"]),
    (Command::Watching(Form::BySession), &["watches", "wchc"]),
    (Command::Watching(Form::ByPath), &["watches_by_path", "wchp"]),
];

/// What a command is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// This, whole.
    Json(String),
    /// What all sessions wait for, which has yet to be gathered; with the command's name.
    Watching(&'static str, Form),
}

/// Answers the command of this name. That there is none, or that the member does not serve, is an answer too.
pub(super) fn answer(name: &str, report: &Report<'_>) -> Answer {
    let found = COMMANDS.iter().find(|(_, names)| names.contains(&name));
    let Some((command, [primary, ..])) = found else {
        return refused(name, &format!("Unknown command: {name}"));
    };
    if report.serving == Serving::No && *command != Command::Environment {
        return refused(name, NOT_SERVING);
    }
    let says = match command {
        Command::Configuration => configuration(report.config),
        Command::Dirs => {
            json!({ "datadir_size": report.host.data_bytes, "logdir_size": report.host.log_bytes })
        }
        Command::Environment => environment(report),
        Command::IsReadOnly => json!({ "read_only": report.serving == Serving::ReadOnly }),
        Command::Leader => leader(report),
        Command::Monitor => monitor(report),
        Command::Ruok => json!({}),
        Command::ServerStats => server_stats(report),
        Command::Stats => stats(report),
        Command::Watching(form) => return Answer::Watching(primary, *form),
    };
    told(primary, Value::Null, says)
}

/// Links to all commands.
pub(super) fn links(commands_url: &str) -> String {
    let link = |name: &str| format!("<a href=\"{commands_url}/{name}\">{name}</a><br/>\n");
    COMMANDS.iter().filter_map(|(_, names)| names.first()).map(|name| link(name)).collect()
}

fn refused(name: &str, error: &str) -> Answer {
    told(name, Value::from(error), json!({}))
}

fn told(command: &str, error: Value, says: Value) -> Answer {
    let mut answer = match says {
        Value::Object(says) => says,
        _ => Map::new(),
    };
    answer.insert("command".to_owned(), Value::from(command));
    answer.insert("error".to_owned(), error);
    Answer::Json(format!("{:#}\n", Value::Object(answer)))
}

fn configuration(config: &Config) -> Value {
    json!({
        "client_port": config.client_listen.port,
        "data_dir": config.consensus.data_dir.display().to_string(),
        "data_log_dir": config.consensus.log_dir.display().to_string(),
        "tick_time": millis(config.session.tick),
        "max_client_cnxns": config.clients.per_address,
        "min_session_timeout": millis(config.session.timeout_min),
        "max_session_timeout": millis(config.session.timeout_max),
        "server_id": config.member.get(),
        "client_port_listen_backlog": config.clients.backlog,
    })
}

fn environment(report: &Report<'_>) -> Value {
    super::text::environment(report).into_iter().map(|(key, value)| (key, Value::from(value))).collect()
}

fn leader(report: &Report<'_>) -> Value {
    let status = &report.status;
    let Some(leader) = status.leader else { return json!({ "is_leader": false }) };
    // Host and port, as its server line gives them; alone it has neither.
    let host = status.members.get(&leader).and_then(|(address, _)| address.rsplit_once(':'));
    json!({
        "is_leader": leader == report.config.member,
        "leader_id": leader.get(),
        "leader_ip": host.map_or("", |(host, _)| host),
    })
}

fn monitor(report: &Report<'_>) -> Value {
    let mut says = Map::new();
    says.insert("version".to_owned(), Value::from(version::long()));
    says.insert("server_state".to_owned(), Value::from(report.mode()));
    says.extend(report.peer_state().map(|state| ("peer_state".to_owned(), Value::from(state))));
    for Number { name, value, .. } in numbers(report) {
        let value = match value {
            numbers::Value::Whole(whole) => Value::from(whole),
            numbers::Value::Float(float) => Value::from(float),
        };
        says.insert(name.to_owned(), value);
    }
    says.extend(report.own.iter().map(|(name, value)| (name.clone(), Value::from(*value))));
    Value::Object(says)
}

fn server_stats(report: &Report<'_>) -> Value {
    let mut says = json!({
        "version": version::long(),
        "read_only": report.serving == Serving::ReadOnly,
        "server_stats": {
            "packets_sent": report.sent,
            "packets_received": report.received,
            "min_latency": report.latency.min,
            "avg_latency": report.latency.average,
            "max_latency": report.latency.max,
            "outstanding_requests": report.outstanding,
            "last_processed_zxid": report.zxid.get(),
            "data_dir_size": report.host.data_bytes,
            "log_dir_size": report.host.log_bytes,
            "server_state": report.mode(),
            "num_alive_client_connections": report.connections.len(),
            "uptime": millis(report.uptime),
            "provider_null": false,
        },
        "node_count": report.census.znodes,
    });
    if report.leads() {
        let [last, min, max] = report.proposal_sizes();
        says["proposal_stats"] =
            json!({ "last_buffer_size": last, "min_buffer_size": min, "max_buffer_size": max });
    }
    says
}

fn stats(report: &Report<'_>) -> Value {
    let mut says = server_stats(report);
    let connections: Vec<Value> = report
        .connections
        .iter()
        .map(|connection| {
            json!({
                "remote_socket_address": connection.address.to_string(),
                // Ours always wait for requests.
                "interest_ops": 1,
                "outstanding_requests": connection.queued,
                "packets_received": connection.received,
                "packets_sent": connection.sent,
            })
        })
        .collect();
    says["connections"] = Value::from(connections);
    says["secure_connections"] = json!([]);
    says
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::example::{ensemble, report};
    use consensus::Role;

    #[track_caller]
    fn ask(name: &str, report: &Report<'_>) -> String {
        match answer(name, report) {
            Answer::Json(text) => text.replace(&version::long(), "3.9.5-corral-x.y.z, built on a day"),
            Answer::Watching(name, _) => panic!("{name} has yet to be gathered"),
        }
    }

    #[test]
    fn the_answers_of_a_leader_read_well() {
        let config = ensemble();
        let report = report(&config, Role::Leader);
        for name in
            ["configuration", "dirs", "environment", "is_read_only", "leader", "monitor", "ruok", "stats"]
        {
            insta::assert_snapshot!(name, ask(name, &report));
        }
    }

    #[test]
    fn every_name_is_one_of_one_command_and_answered_under_the_first() {
        let config = ensemble();
        let report = report(&config, Role::Follower);
        for (command, names) in COMMANDS {
            for name in names {
                assert_eq!(COMMANDS.iter().filter(|(_, others)| others.contains(name)).count(), 1, "{name}");
                match answer(name, &report) {
                    Answer::Json(text) => {
                        let answer: Value = serde_json::from_str(&text).expect("JSON");
                        assert_eq!((&answer["command"], &answer["error"]), (&json!(names[0]), &Value::Null));
                    }
                    Answer::Watching(primary, form) => {
                        assert_eq!((primary, Command::Watching(form)), (names[0], command));
                    }
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
        for name in ["srvr", "wchs", "ruok"] {
            let answer: Value = serde_json::from_str(&ask(name, &silent)).expect("JSON");
            assert_eq!(answer, json!({ "command": name, "error": NOT_SERVING }));
        }
        assert!(ask("env", &silent).contains("\"error\": null"));
    }

    #[test]
    fn links_lead_to_commands() {
        let links = links("/commands");
        assert_eq!(links.lines().count(), COMMANDS.len());
        assert!(links.contains("<a href=\"/commands/watches\">watches</a><br/>\n"), "{links}");
    }
}
