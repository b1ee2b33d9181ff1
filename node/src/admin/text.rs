//! How ZooKeeper's words put what a report holds.
//!
//! Tools read these texts: names, order and separators are theirs, not ours (PROTOCOL, section "Four-letter words").
use std::fmt::{Display, Write as _};

use proto::Zxid;

use super::flat::flat;
use super::numbers::Value;
use super::report::{Latency, Report, last_min_max};
use super::version;
use crate::serving::Serving;
use crate::stats::Line;

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
        line(&mut clients, format_args!("{})", brief(connection)));
    }
    format!("Zookeeper version: {}\nClients:\n{clients}\n{}", version::long(), state(report))
}

/// All connections with what their sessions do.
pub(super) fn cons(report: &Report<'_>) -> String {
    let mut text = String::new();
    for connection in &report.connections {
        let Some(session) = &connection.session else {
            line(&mut text, format_args!("{})", brief(connection)));
            continue;
        };
        let [last, min, mean, max] = session.latency_ms;
        let cxid = session.last_cxid.map_or(String::new(), |cxid| format!(",lcxid={cxid:#x}"));
        line(
            &mut text,
            format_args!(
                "{},sid={},lop={},est={},to={}{cxid},lzxid={:#x},lresp={},llat={last},minlat={min},avglat={mean},\
                 maxlat={max})",
                brief(connection),
                session.id,
                session.last_op,
                connection.established_ms,
                session.timeout_ms,
                session.last_zxid.map_or(-1, Zxid::to_wire),
                session.last_response_ms,
            ),
        );
    }
    text + "\n"
}

/// What begins the line of a connection. The number in brackets says what its socket waits for: ours always wait for
/// requests, but for those that asked a word.
fn brief(connection: &Line) -> String {
    let Line { address, queued, received, sent, .. } = connection;
    let waits_for = u8::from(!connection.is_word);
    format!(" /{address}[{waits_for}](queued={queued},recved={received},sent={sent}")
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
        let [last, min, max] = last_min_max(report.proposals);
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
    for (name, value) in flat(report) {
        put(&name, &value);
    }
    text
}

/// The settings of this member.
pub(super) fn conf(report: &Report<'_>) -> String {
    let config = report.config;
    let mut text = String::new();
    let mut put = |key: &str, value: &dyn Display| line(&mut text, format_args!("{key}={value}"));
    put("clientPort", &config.client_listen.port);
    let secure = config.tls.as_ref().and_then(|tls| tls.listen.as_ref());
    put("secureClientPort", &secure.map_or(-1, |listen| i32::from(listen.port)));
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
    let own = report.servers().get(&config.member);
    if let Some(own) = own {
        put("electionPort", &own.address().election_port);
        put("quorumPort", &own.address().peer_port);
    }
    put("peerType", &u8::from(own.is_some_and(|own| own.observer)));
    line(&mut text, "membership: ");
    for (id, server) in report.servers() {
        line(&mut text, format_args!("server.{id}={server}"));
    }
    let _ = write!(text, "version={:x}", report.members_version);
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
        ("os.memory.free", host.memory_free_bytes),
        ("os.memory.max", host.memory_max_bytes),
        ("os.memory.total", host.memory_bytes),
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
