//! A member that never ran, for the tests of what operators are told.
use std::collections::BTreeMap;
use std::time::Duration;

use consensus::{Role, Status};
use machine::Census;
use proto::{MemberId, SessionId, Zxid};

use super::{Flush, Host, Latency, Line, OfSession, Report, Sizes, TRACE_MASK};
use crate::config::{Config, ThisMachine};
use crate::metrics::Metrics;
use crate::serving::Serving;
use crate::stats::Stats;

/// Its configuration, with these lines; the folder must outlive nothing, everything is read at once.
pub(super) fn config(lines: &str) -> Config {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, data) = (folder.path().join("zoo.cfg"), folder.path().display());
    std::fs::write(folder.path().join("myid"), "2\n").expect("myid");
    std::fs::write(&file, format!("dataDir={data}\nclientPort=2182\ntickTime=2000\n{lines}"))
        .expect("zoo.cfg");
    let mut config = crate::config::load(&file, &ThisMachine).expect("a configuration").config;
    config.consensus.data_dir = "/var/lib/corral".into();
    config.consensus.log_dir = "/var/log/corral".into();
    // By default it is this machine's.
    config.consensus.world_bytes_max = Some(1 << 30);
    lines.clone_into(&mut config.text);
    config
}

/// The same as member 2 of three.
pub(super) fn ensemble() -> Config {
    config("server.1=zoo1:2888:3888\nserver.2=zoo2:2889:3889\nserver.3=zoo3:2890:3890\n")
}

/// What it would report.
pub(super) fn report(config: &Config, role: Role) -> Report<'_> {
    let metrics = Metrics::default();
    metrics.counts.connection_rejected.inc_by(3);
    for millis in [1, 2, 3, 40] {
        metrics.summaries.fsynctime.took(Duration::from_millis(millis));
    }
    let members = [1, 2, 3].map(|id| (MemberId::new(id), (format!("zoo{id}:2888"), true)));
    Report {
        config,
        serving: Serving::ReadWrite,
        status: Status {
            role,
            leader: Some(MemberId::new(2)),
            leaderless_since: None,
            term: 4,
            purged: 0,
            cluster: None,
            recovered: true,
            grown_up: true,
            members: BTreeMap::from(members),
            lines: BTreeMap::new(),
            outside: false,
            followers_in_step: 2,
            observers_in_step: 0,
            stopped: false,
        },
        members_version: 0,
        zxid: Zxid::new(0x2a),
        census: Census {
            znodes: 17,
            ephemerals: 3,
            data_bytes: 4096,
            sessions: 5,
            world_bytes: 9_280,
            ..Census::default()
        },
        drop_chance: 0.25,
        local_sessions: 0,
        watches: 11,
        own: vec![("corral_watches_armed".to_owned(), 12)],
        readings: [metrics.readings(), Stats::new().readings()].concat(),
        connections: vec![
            Line {
                address: "127.0.0.1:40112".parse().expect("an address"),
                queued: 0,
                received: 12,
                sent: 13,
                session: Some(OfSession {
                    id: SessionId::from_wire(0x200_0001_06bf_0000),
                    timeout_ms: 30_000,
                    last_op: "GETD",
                    last_cxid: Some(10),
                    last_zxid: Some(Zxid::new(0x2a)),
                    last_response_ms: 60_500,
                    latency_ms: [1, 0, 2, 25],
                }),
                established_ms: 1_700_000_000_123,
                silent: Duration::from_millis(500),
                is_word: false,
            },
            Line {
                address: "[::1]:40113".parse().expect("an address"),
                queued: 2,
                received: 1,
                sent: 0,
                session: None,
                established_ms: 1_700_000_060_000,
                silent: Duration::ZERO,
                is_word: true,
            },
        ],
        received: 1200,
        sent: 1300,
        slow_syncs: 7,
        outstanding: 2,
        latency: Latency { min: 0, average: 0.333_333_3, max: 25 },
        proposals: Some(Sizes { last: 90, min: 32, max: 1024 }),
        replies: Some(Sizes { last: 16, min: 16, max: 93 }),
        uptime: Duration::from_secs(61),
        leader_uptime: Some(Duration::from_secs(60)),
        last_flush: Some(Flush { zxid: Zxid::new(0x29), wall: 1_700_000_000_999 }),
        trace_mask: TRACE_MASK,
        host: Host {
            data_bytes: 1000,
            log_bytes: 2000,
            open_files: 42,
            max_files: 1024,
            name: "zoo2".to_owned(),
            os_name: "Linux".to_owned(),
            os_arch: "amd64".to_owned(),
            os_version: "6.1.0".to_owned(),
            user: "1000".to_owned(),
            home: "/".to_owned(),
            folder: "/".to_owned(),
            cpu_seconds: 1.5,
            memory_bytes: 30 << 20,
            memory_free_bytes: 100 << 20,
            memory_max_bytes: 2000 << 20,
        },
    }
}
