//! A member that never ran, for the tests of what operators are told.
use std::collections::BTreeMap;
use std::time::Duration;

use consensus::{Role, Status};
use machine::Census;
use proto::{MemberId, Zxid};

use super::{Connection, Host, Latency, Proposals, Report, Serving};
use crate::config::{Config, ThisMachine};

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
    config
}

/// The same as member 2 of three.
pub(super) fn ensemble() -> Config {
    config("server.1=zoo1:2888:3888\nserver.2=zoo2:2889:3889\nserver.3=zoo3:2890:3890\n")
}

/// What it would report.
pub(super) fn report(config: &Config, role: Role) -> Report<'_> {
    let members = [1, 2, 3].map(|id| (MemberId::new(id), (format!("zoo{id}:2888"), true)));
    Report {
        config,
        serving: Serving::ReadWrite,
        status: Status {
            role,
            leader: Some(MemberId::new(2)),
            leaderless_since: None,
            term: 4,
            recovered: true,
            members: BTreeMap::from(members),
            followers_in_step: 2,
            stopped: false,
        },
        zxid: Zxid::new(0x2a),
        census: Census { znodes: 17, ephemerals: 3, data_bytes: 4096, sessions: 5, ..Census::default() },
        watches: 11,
        own: vec![("corral_watches_armed".to_owned(), 12)],
        connections: vec![
            Connection {
                address: "127.0.0.1:40112".parse().expect("an address"),
                queued: 0,
                received: 12,
                sent: 13,
            },
            Connection {
                address: "[::1]:40113".parse().expect("an address"),
                queued: 2,
                received: 1,
                sent: 0,
            },
        ],
        received: 1200,
        sent: 1300,
        outstanding: 2,
        latency: Latency { min: 0, average: 0.333_333_3, max: 25 },
        proposals: Some(Proposals { last: 90, min: 32, max: 1024 }),
        uptime: Duration::from_secs(61),
        leader_uptime: Some(Duration::from_secs(60)),
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
            memory_bytes: 30 << 20,
            memory_free_bytes: 100 << 20,
            memory_max_bytes: 2000 << 20,
        },
    }
}
