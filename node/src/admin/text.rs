//! How ZooKeeper's words put what a report holds.
//!
//! Tools read these texts: names, order and separators are theirs, not ours (PROTOCOL, section "Four-letter words").
use std::fmt::{Display, Write as _};

use super::numbers::{Number, Value, numbers};
use super::report::{Latency, Report, Serving};
use super::version;

/// What Java's servers say of a property that is not there.
const NOT_THERE: &str = "<NA>";

/// What this member is and does.
pub(super) fn srvr(report: &Report<'_>) -> String {
    format!("Zookeeper version: {}\n{}", version::long(), state(report))
}

/// The same, with its connections.
pub(super) fn stat(report: &Report<'_>) -> String {
    let mut clients = String::new();
    for connection in &report.connections {
        let super::Connection { address, queued, received, sent } = connection;
        // The number in brackets says what the socket waits for; ours always wait for requests.
        line(&mut clients, format_args!(" /{address}[1](queued={queued},recved={received},sent={sent})"));
    }
    format!("Zookeeper version: {}\nClients:\n{clients}\n{}", version::long(), state(report))
}

fn state(report: &Report<'_>) -> String {
    let Latency { min, max, .. } = report.latency;
    let mut text = String::new();
    if report.serving == Serving::ReadOnly {
        line(&mut text, "READ-ONLY mode; serving only read-only clients");
    }
    line(&mut text, format_args!("Latency min/avg/max: {min}/{}/{max}", average(report)));
    line(&mut text, format_args!("Received: {}", report.received));
    line(&mut text, format_args!("Sent: {}", report.sent));
    line(&mut text, format_args!("Connections: {}", report.connections.len()));
    line(&mut text, format_args!("Outstanding: {}", report.outstanding));
    line(&mut text, format_args!("Zxid: {}", report.zxid));
    line(&mut text, format_args!("Mode: {}", report.mode()));
    line(&mut text, format_args!("Node count: {}", report.census.znodes));
    if report.leads() {
        let [last, min, max] = report.proposal_sizes();
        line(&mut text, format_args!("Proposal sizes last/min/max: {last}/{min}/{max}"));
    }
    text
}

/// Numbers for monitoring.
pub(super) fn mntr(report: &Report<'_>) -> String {
    let mut text = String::new();
    let mut put = |key: &str, value: &dyn Display| line(&mut text, format_args!("zk_{key}\t{value}"));
    put("version", &version::long());
    put("server_state", &report.mode());
    if let Some(state) = report.peer_state() {
        put("peer_state", &state);
    }
    for Number { name, value, .. } in numbers(report) {
        put(name, &value);
    }
    for (name, value) in &report.own {
        put(name, value);
    }
    text
}

/// The settings of this member.
pub(super) fn conf(report: &Report<'_>) -> String {
    let config = report.config;
    let mut text = String::new();
    let mut put = |key: &str, value: &dyn Display| line(&mut text, format_args!("{key}={value}"));
    put("clientPort", &config.client_listen.port);
    put("secureClientPort", &-1);
    put("dataDir", &config.consensus.data_dir.display());
    put("dataDirSize", &report.host.data_bytes);
    put("dataLogDir", &config.consensus.log_dir.display());
    put("dataLogSize", &report.host.log_bytes);
    put("tickTime", &config.session.tick.as_millis());
    put("maxClientCnxns", &config.clients.per_address);
    put("minSessionTimeout", &config.session.timeout_min.as_millis());
    put("maxSessionTimeout", &config.session.timeout_max.as_millis());
    put("clientPortListenBacklog", &config.clients.backlog);
    put("serverId", &config.member);
    let Some(ensemble) = &config.ensemble else { return text };
    put("initLimit", &ensemble.init_limit);
    put("syncLimit", &ensemble.sync_limit);
    put("electionAlg", &3);
    let own = ensemble.servers.get(&config.member);
    if let Some(own) = own {
        put("electionPort", &own.address().election_port);
        put("quorumPort", &own.address().peer_port);
    }
    put("peerType", &u8::from(own.is_some_and(|own| own.observer)));
    line(&mut text, "membership: ");
    for (id, server) in &ensemble.servers {
        line(&mut text, format_args!("server.{id}={server}"));
    }
    text.push_str("version=0");
    text
}

/// The process and its machine.
pub(super) fn envi(report: &Report<'_>) -> String {
    let mut text = "Environment:\n".to_owned();
    for (key, value) in environment(report) {
        line(&mut text, format_args!("{key}={value}"));
    }
    text
}

/// The same as keys and values, in ZooKeeper's order.
pub(super) fn environment(report: &Report<'_>) -> Vec<(String, String)> {
    let host = &report.host;
    let mut all =
        vec![("zookeeper.version".to_owned(), version::long()), ("host.name".to_owned(), host.name.clone())];
    for key in ["version", "vendor", "home", "class.path", "library.path", "io.tmpdir", "compiler"] {
        all.push((format!("java.{key}"), NOT_THERE.to_owned()));
    }
    for (key, value) in [
        ("os.name", &host.os_name),
        ("os.arch", &host.os_arch),
        ("os.version", &host.os_version),
        ("user.name", &host.user),
        ("user.home", &host.home),
        ("user.dir", &host.folder),
    ] {
        all.push((key.to_owned(), value.clone()));
    }
    for (key, bytes) in [
        ("jvm.memory.free", host.memory_free_bytes),
        ("jvm.memory.max", host.memory_max_bytes),
        ("jvm.memory.total", host.memory_bytes),
    ] {
        all.push((key.to_owned(), format!("{}MB", bytes >> 20)));
    }
    all
}

/// Bytes of state and log.
pub(super) fn dirs(report: &Report<'_>) -> String {
    format!("datadir_size: {}\nlogdir_size: {}\n", report.host.data_bytes, report.host.log_bytes)
}

fn average(report: &Report<'_>) -> String {
    Value::Float(report.latency.average).to_string()
}

fn line(text: &mut String, line: impl Display) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{line}");
}
