//! How ZooKeeper's words put what a report holds.
//!
//! Tools read these texts: names, order and separators are theirs, not ours (PROTOCOL, section "Four-letter words").
use std::fmt::{Display, Write as _};
use std::time::Duration;

use consensus::Role;

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
    line(&mut text, format_args!("Mode: {}", mode(report)));
    line(&mut text, format_args!("Node count: {}", report.census.znodes));
    if leads(report) {
        let [last, min, max] = proposal_sizes(report);
        line(&mut text, format_args!("Proposal sizes last/min/max: {last}/{min}/{max}"));
    }
    text
}

/// Numbers for monitoring.
pub(super) fn mntr(report: &Report<'_>) -> String {
    let mut text = String::new();
    let mut put = |key: &str, value: &dyn Display| line(&mut text, format_args!("zk_{key}\t{value}"));
    put("version", &version::long());
    put("server_state", &mode(report));
    match report.status.role {
        _ if report.config.standalone => {}
        Role::Leader => put("peer_state", &"leading - broadcast"),
        Role::Follower => put("peer_state", &"following - broadcast"),
        Role::Observer => put("peer_state", &"observing - broadcast"),
        Role::Looking => put("peer_state", &"looking"),
    }
    put("avg_latency", &average(report));
    put("max_latency", &report.latency.max);
    put("min_latency", &report.latency.min);
    put("packets_received", &report.received);
    put("packets_sent", &report.sent);
    put("num_alive_connections", &report.connections.len());
    put("outstanding_requests", &report.outstanding);
    put("znode_count", &report.census.znodes);
    put("watch_count", &report.watches);
    put("ephemerals_count", &report.census.ephemerals);
    put("approximate_data_size", &report.census.data_bytes);
    put("open_file_descriptor_count", &report.host.open_files);
    put("max_file_descriptor_count", &report.host.max_files);
    put("uptime", &report.uptime.as_millis());
    put("global_sessions", &report.census.sessions);
    put("local_sessions", &0);
    put("connection_drop_probability", &"0.0");
    let members = &report.status.members;
    if !report.config.standalone {
        put("quorum_size", &members.values().filter(|(_, votes)| *votes).count());
    }
    if leads(report) {
        let learners = members.len().saturating_sub(1);
        put("learners", &learners);
        // The name of `learners` before 3.6; dashboards use both.
        put("followers", &learners);
        put("synced_followers", &report.status.followers_in_step);
        put("synced_observers", &0);
        put("synced_non_voting_followers", &0);
        put("pending_syncs", &0);
        put("leader_uptime", &report.leader_uptime.unwrap_or(Duration::ZERO).as_millis());
        let [last, min, max] = proposal_sizes(report);
        put("last_proposal_size", &last);
        put("max_proposal_size", &max);
        put("min_proposal_size", &min);
    } else if !report.config.standalone {
        put("synced_observers", &0);
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
    let host = &report.host;
    let mut text = "Environment:\n".to_owned();
    let mut put = |key: &str, value: &dyn Display| line(&mut text, format_args!("{key}={value}"));
    put("zookeeper.version", &version::long());
    put("host.name", &host.name);
    for key in ["version", "vendor", "home", "class.path", "library.path", "io.tmpdir", "compiler"] {
        put(&format!("java.{key}"), &NOT_THERE);
    }
    put("os.name", &host.os_name);
    put("os.arch", &host.os_arch);
    put("os.version", &host.os_version);
    put("user.name", &host.user);
    put("user.home", &host.home);
    put("user.dir", &host.folder);
    let mut megabytes = |key: &str, bytes: u64| put(key, &format!("{}MB", bytes >> 20));
    megabytes("jvm.memory.free", host.memory_free_bytes);
    megabytes("jvm.memory.max", host.memory_max_bytes);
    megabytes("jvm.memory.total", host.memory_bytes);
    text
}

/// Bytes of state and log.
pub(super) fn dirs(report: &Report<'_>) -> String {
    format!("datadir_size: {}\nlogdir_size: {}\n", report.host.data_bytes, report.host.log_bytes)
}

fn mode(report: &Report<'_>) -> &'static str {
    match report.status.role {
        _ if report.serving == Serving::ReadOnly => "read-only",
        _ if report.config.standalone => "standalone",
        Role::Leader => "leader",
        Role::Follower => "follower",
        Role::Observer => "observer",
        Role::Looking => "leaderelection",
    }
}

fn leads(report: &Report<'_>) -> bool {
    !report.config.standalone && report.status.role == Role::Leader
}

/// Last, smallest, largest; -1 where nothing was proposed yet.
fn proposal_sizes(report: &Report<'_>) -> [i64; 3] {
    let Some(sizes) = report.proposals else { return [-1; 3] };
    [sizes.last, sizes.min, sizes.max].map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX))
}

/// At least one decimal, at most four: `0.0`, `1.25`, `0.3333`.
fn average(report: &Report<'_>) -> String {
    format!("{:?}", (report.latency.average * 10_000.0).round() / 10_000.0)
}

fn line(text: &mut String, line: impl Display) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{line}");
}
