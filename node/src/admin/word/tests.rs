//! What each word is answered, word for word.
use std::collections::BTreeMap;
use std::time::Duration;

use consensus::{Role, Status};
use machine::Census;
use proto::{MemberId, Zxid};

use super::*;
use crate::admin::{Connection, Host, Latency, Proposals, version};
use crate::config::{Config, ThisMachine};

/// Member 2 of three; the folder must outlive nothing, everything is read at once.
fn config(lines: &str) -> Config {
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

fn ensemble() -> Config {
    config("server.1=zoo1:2888:3888\nserver.2=zoo2:2889:3889\nserver.3=zoo3:2890:3890\n")
}

fn report(config: &Config, role: Role) -> Report<'_> {
    let members = [1, 2, 3].map(|id| (MemberId::new(id), (format!("zoo{id}:2888"), true)));
    Report {
        config,
        serving: Serving::ReadWrite,
        status: Status {
            role,
            leader: Some(MemberId::new(2)),
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

fn ask(word: &[u8; 4], report: &Report<'_>) -> String {
    let text = answer(Word::from_bytes(*word).expect("a word"), report, &Whitelist::parse("*"));
    text.replace(&version::long(), "3.9.5-corral-x.y.z, built on a day")
}

#[test]
fn srvr_of_a_leader_reads_well() {
    insta::assert_snapshot!(ask(b"srvr", &report(&ensemble(), Role::Leader)));
}

#[test]
fn srvr_of_a_follower_reads_well() {
    insta::assert_snapshot!(ask(b"srvr", &report(&ensemble(), Role::Follower)));
}

#[test]
fn srvr_of_a_read_only_member_says_so() {
    let config = ensemble();
    insta::assert_snapshot!(ask(
        b"srvr",
        &Report { serving: Serving::ReadOnly, ..report(&config, Role::Looking) }
    ));
}

#[test]
fn stat_reads_well() {
    insta::assert_snapshot!(ask(b"stat", &report(&ensemble(), Role::Follower)));
}

#[test]
fn mntr_of_a_leader_reads_well() {
    insta::assert_snapshot!(ask(b"mntr", &report(&ensemble(), Role::Leader)));
}

#[test]
fn mntr_of_a_follower_reads_well() {
    insta::assert_snapshot!(ask(b"mntr", &report(&ensemble(), Role::Follower)));
}

#[test]
fn mntr_of_a_standalone_member_reads_well() {
    insta::assert_snapshot!(ask(b"mntr", &report(&config(""), Role::Leader)));
}

#[test]
fn conf_of_a_member_reads_well() {
    insta::assert_snapshot!(ask(b"conf", &report(&ensemble(), Role::Follower)));
}

#[test]
fn conf_of_a_standalone_member_reads_well() {
    insta::assert_snapshot!(ask(b"conf", &report(&config(""), Role::Leader)));
}

#[test]
fn envi_reads_well() {
    insta::assert_snapshot!(ask(b"envi", &report(&ensemble(), Role::Follower)));
}

#[test]
fn short_words_end_without_a_line_break() {
    let config = ensemble();
    let serving = |serving| Report { serving, ..report(&config, Role::Follower) };
    assert_eq!(ask(b"ruok", &serving(Serving::No)), "imok");
    assert_eq!(ask(b"isro", &serving(Serving::No)), "null");
    assert_eq!(ask(b"isro", &serving(Serving::ReadOnly)), "ro");
    assert_eq!(ask(b"isro", &serving(Serving::ReadWrite)), "rw");
    assert_eq!(ask(b"dirs", &serving(Serving::ReadWrite)), "datadir_size: 1000\nlogdir_size: 2000\n");
}

#[test]
fn a_member_that_does_not_serve_says_so() {
    let config = ensemble();
    let report = Report { serving: Serving::No, ..report(&config, Role::Looking) };
    for word in [b"srvr", b"stat", b"mntr", b"conf", b"dirs"] {
        assert_eq!(ask(word, &report), "This ZooKeeper instance is not currently serving requests\n");
    }
    assert!(ask(b"envi", &report).starts_with("Environment:\nzookeeper.version=3.9.5-corral-"));
}

#[test]
fn a_word_is_answered_if_it_is_allowed() {
    let config = ensemble();
    let report = report(&config, Role::Follower);
    let allowed = Whitelist::parse("ruok");
    assert_eq!(answer(Word::Ruok, &report, &allowed), "imok");
    assert_eq!(
        answer(Word::Mntr, &report, &allowed),
        "mntr is not executed because it is not in the whitelist.\n"
    );
    assert_eq!(ask(b"wchs", &report), "wchs is not served yet.\n");
}

#[test]
fn words_are_read_and_lengths_are_not_words() {
    for word in [b"conf", b"dirs", b"envi", b"isro", b"mntr", b"ruok", b"srvr", b"stat", b"cons", b"dump"] {
        assert_eq!(Word::from_bytes(*word).expect("a word").name().as_bytes(), word);
    }
    for length in [[0, 0, 0, 44], *b"GET ", *b"RUOK"] {
        assert_eq!(Word::from_bytes(length), None);
    }
}
