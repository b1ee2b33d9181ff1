//! What the AdminServer's commands answer as JSON (PROTOCOL, section "AdminServer").
use proto::Zxid;
use serde_json::{Map, Value, json};

use super::flat::flat;
use super::numbers;
use super::report::{Report, last_min_max};
use super::version;
use crate::config::{Config, PeerAddress, bracketed};
use crate::metrics;
use crate::serving::Serving;
use crate::stats::{Flush, Line, Sizes};

pub(super) fn configuration(config: &Config) -> Value {
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

pub(super) fn environment(report: &Report<'_>) -> Value {
    super::text::environment(report).into_iter().map(|(key, value)| (key, Value::from(value))).collect()
}

pub(super) fn leader(report: &Report<'_>) -> Value {
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

pub(super) fn monitor(report: &Report<'_>) -> Value {
    let mut says = Map::new();
    says.insert("version".to_owned(), Value::from(version::long()));
    says.insert("server_state".to_owned(), Value::from(report.mode()));
    says.extend(report.peer_state().map(|state| ("peer_state".to_owned(), Value::from(state))));
    for (name, value) in flat(report) {
        let value = match value {
            numbers::Value::Whole(whole) => Value::from(whole),
            numbers::Value::Float(float) => Value::from(float),
        };
        says.insert(name, value);
    }
    Value::Object(says)
}

pub(super) fn server_stats(report: &Report<'_>) -> Value {
    let level = |name: &str| {
        report.readings.iter().find(|reading| reading.name == name).map_or(0, |reading| match reading.value {
            metrics::Value::Level(level) => level,
            _ => 0,
        })
    };
    let replies = sizes(report.replies);
    let mut says = json!({
        "version": version::long(),
        "read_only": report.serving == Serving::ReadOnly,
        "server_stats": {
            "packets_sent": report.sent,
            "packets_received": report.received,
            "fsync_threshold_exceed_count": report.slow_syncs,
            "client_response_stats": replies,
            "min_latency": report.latency.min,
            "avg_latency": report.latency.average,
            "max_latency": report.latency.max,
            "outstanding_requests": report.outstanding,
            "last_processed_zxid": report.zxid.get(),
            "data_dir_size": report.host.data_bytes,
            "log_dir_size": report.host.log_bytes,
            "server_state": report.mode(),
            "num_alive_client_connections": report.connections.len(),
            "auth_failed_count": level("auth_failed_count"),
            "non_mtlsremote_conn_count": level("non_mtls_remote_conn_count"),
            "non_mtlslocal_conn_count": level("non_mtls_local_conn_count"),
            "uptime": millis(report.uptime),
            "provider_null": false,
        },
        "client_response": replies,
        "node_count": report.census.znodes,
    });
    if report.leads() {
        says["proposal_stats"] = sizes(report.proposals);
    }
    says
}

pub(super) fn stats(report: &Report<'_>) -> Value {
    let mut says = server_stats(report);
    says["connections"] = report.connections.iter().map(|line| Value::Object(brief(line))).collect();
    says["secure_connections"] = json!([]);
    says
}

pub(super) fn connections(report: &Report<'_>) -> Value {
    let full = |line: &Line| {
        let mut says = brief(line);
        let session = line.session.as_ref();
        let [last, min, mean, max] = session.map_or([0; 4], |session| session.latency_ms);
        for (key, value) in [
            ("session_id", Value::from(session.map_or(0, |session| session.id.to_wire()))),
            ("last_operation", Value::from(session.map_or("NA", |session| session.last_op))),
            ("established", Value::from(line.established_ms)),
            ("session_timeout", Value::from(session.map_or(0, |session| session.timeout_ms))),
            ("last_cxid", Value::from(session.and_then(|session| session.last_cxid).unwrap_or(-1))),
            (
                "last_zxid",
                Value::from(session.and_then(|session| session.last_zxid).map_or(-1, Zxid::to_wire)),
            ),
            ("last_response_time", Value::from(session.map_or(0, |session| session.last_response_ms))),
            ("last_latency", Value::from(last)),
            ("min_latency", Value::from(min)),
            ("avg_latency", Value::from(mean)),
            ("max_latency", Value::from(max)),
        ] {
            says.insert(key.to_owned(), value);
        }
        Value::Object(says)
    };
    json!({ "connections": report.connections.iter().map(full).collect::<Vec<_>>(), "secure_connections": [] })
}

fn brief(line: &Line) -> Map<String, Value> {
    let says = [
        ("remote_socket_address", Value::from(line.address.to_string())),
        // Ours always wait for requests, but for those that asked a word.
        ("interest_ops", Value::from(u8::from(!line.is_word))),
        ("outstanding_requests", Value::from(line.queued)),
        ("packets_received", Value::from(line.received)),
        ("packets_sent", Value::from(line.sent)),
    ];
    says.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// What the properties of Java's system tell of a member of ours: who runs it, where and on what.
pub(super) fn system_properties(report: &Report<'_>) -> Value {
    let host = &report.host;
    json!({
        "os.name": host.os_name,
        "os.arch": host.os_arch,
        "os.version": host.os_version,
        "user.name": host.user,
        "user.home": host.home,
        "user.dir": host.folder,
        "file.separator": "/",
        "path.separator": ":",
        "line.separator": "\n",
    })
}

pub(super) fn last_snapshot(report: &Report<'_>) -> Value {
    match report.last_flush {
        Some(Flush { zxid, wall }) => {
            json!({ "zxid": format!("{:x}", zxid.to_wire()), "timestamp": wall / 1_000 })
        }
        None => json!({ "zxid": format!("{:x}", -1_i64), "timestamp": -1 }),
    }
}

pub(super) fn voting_view(report: &Report<'_>) -> Value {
    let voters = report.servers().iter().filter(|(_, line)| !line.observer).map(|(id, line)| {
        let peers = line.addresses().iter();
        let own = *id == report.config.member;
        let client = line.client.as_ref().map(ToString::to_string);
        let member = json!({
            "server_addresses": peers.clone().map(peer_address).collect::<Vec<_>>(),
            "election_addresses": peers.map(election_address).collect::<Vec<_>>(),
            "client_address": client.or_else(|| own.then(|| client_address(report))).unwrap_or_default(),
            "learner_type": "participant",
        });
        (id.to_string(), member)
    });
    json!({ "current_config": voters.collect::<Map<String, Value>>() })
}

/// The states of ZooKeeper's broadcast as those of Raft: without a leader it is an election; with one, until what was
/// acknowledged before the start is applied, synchronization; then broadcast. Discovery is a part of Raft's election.
pub(super) fn zab_state(report: &Report<'_>) -> Value {
    let config = report.config;
    let line = report.servers().get(&config.member);
    let Some(line) = line.filter(|_| !config.standalone) else {
        return json!({ "voting": false, "zabstate": "" });
    };
    let status = &report.status;
    let state = match (status.leader, status.recovered) {
        (None, _) => "election",
        (Some(_), false) => "synchronization",
        (Some(_), true) => "broadcast",
    };
    let zxid = report.zxid.get();
    json!({
        "myid": config.member.get(),
        "is_leader": report.leads(),
        "quorum_address": addresses(line.addresses(), |address| address.peer_port),
        "election_address": addresses(line.addresses(), |address| address.election_port),
        "client_address": client_address(report),
        "voting": !line.observer,
        "last_zxid": report.zxid.to_string(),
        "zab_epoch": zxid >> 32,
        "zab_counter": zxid & 0xffff_ffff,
        "zabstate": state,
    })
}

/// Addresses of one member as Java's servers put them. Whether they can be reached nobody tries: all are told.
fn addresses(all: &[PeerAddress], port: impl Fn(&PeerAddress) -> u16) -> Value {
    let told = |host: &str, port: u16| format!("{}:{port}", bracketed(host));
    let addresses: Vec<String> = all.iter().map(|it| told(&it.host, port(it))).collect();
    let one = addresses.first().cloned().unwrap_or_default();
    json!({
        "empty": addresses.is_empty(),
        "all_addresses": addresses,
        "wildcard_addresses": all.iter().map(|it| told("0.0.0.0", port(it))).collect::<Vec<_>>(),
        "all_ports": all.iter().map(port).collect::<Vec<_>>(),
        "all_host_strings": all.iter().map(|it| it.host.as_str()).collect::<Vec<_>>(),
        "reachable_address": one,
        "all_reachable_addresses": addresses,
        "all_reachable_addresses_or_all": addresses,
        "reachable_or_one": one,
        "one": one,
    })
}

fn peer_address(address: &PeerAddress) -> String {
    format!("{}:{}", bracketed(&address.host), address.peer_port)
}

fn election_address(address: &PeerAddress) -> String {
    format!("{}:{}", bracketed(&address.host), address.election_port)
}

fn client_address(report: &Report<'_>) -> String {
    let listen = &report.config.client_listen;
    format!("{}:{}", bracketed(&listen.host), listen.port)
}

fn sizes(sizes: Option<Sizes>) -> Value {
    let [last, min, max] = last_min_max(sizes);
    json!({ "last_buffer_size": last, "min_buffer_size": min, "max_buffer_size": max })
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
