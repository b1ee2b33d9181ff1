//! Znodes that go by themselves, and quotas, on real members.
#![allow(clippy::unwrap_used, reason = "a test that finds nothing where something should be has failed")]

use harness::ask::flags::{EPHEMERAL, PERSISTENT};
use harness::{Ask, Connection, Ensemble, Packet, Plan, Server, wait};

const NO_NODE: i32 = -101;
const NOT_EMPTY: i32 = -111;
const QUOTA_EXCEEDED: i32 = -125;

const DELETED: i32 = 2;

const TIMEOUT_MS: i32 = 20_000;

/// Members that look for what has had its time twice a second.
fn three() -> Ensemble {
    Ensemble::start(
        &Plan::members(3)
            .line("enforceQuota=true")
            .line("extendedTypesEnabled=true")
            .line("znode.container.checkIntervalMs=500")
            .flag("-Dznode.container.checkIntervalMs=500"),
    )
}

#[track_caller]
fn open(ensemble: &Ensemble, member: usize) -> Connection {
    Connection::open(ensemble.address(member), TIMEOUT_MS).0
}

#[track_caller]
fn done(connection: &mut Connection, ask: &Ask) {
    assert_eq!(connection.call(ask).err, 0, "{ask:?}");
}

fn is_there(connection: &mut Connection, path: &str) -> bool {
    match connection.call(&Ask::exists(path, false)).err {
        0 => true,
        NO_NODE => false,
        err => panic!("{path}: {err}"),
    }
}

/// What the quota of `/a` says that there is.
#[track_caller]
fn usage(connection: &mut Connection) -> String {
    let (data, _) = connection.call(&Ask::get_data("/zookeeper/quota/a/zookeeper_stats", false)).data();
    String::from_utf8(data.unwrap().to_vec()).unwrap()
}

/// Waits until a member does not have any of these.
#[track_caller]
fn wait_until_gone(connection: &mut Connection, paths: &[&str]) {
    wait::until("znodes had their time", || {
        paths.iter().all(|path| !is_there(connection, path)).then_some(())
    });
}

#[test]
fn the_leader_collects_what_has_had_its_time_and_so_does_the_next_one() {
    let mut ensemble = three();
    let leader = ensemble.wait_for_leader();
    let survivor = ensemble.follower();
    let mut client = open(&ensemble, survivor);

    // These stay: they have children, were never used, are written, or are of no such kind.
    done(&mut client, &Ask::create_container("/used"));
    done(&mut client, &Ask::create("/used/child", b"", PERSISTENT));
    done(&mut client, &Ask::create_container("/unused"));
    done(&mut client, &Ask::create_ttl("/parent", b"", 1));
    done(&mut client, &Ask::create("/parent/child", b"", EPHEMERAL));
    done(&mut client, &Ask::create_ttl("/long", b"", 3_600_000));
    done(&mut client, &Ask::create("/plain", b"", PERSISTENT));
    // These go: one that is never written again, and a container whose child goes.
    done(&mut client, &Ask::create_ttl("/short", b"", 1));
    done(&mut client, &Ask::create_container("/emptied"));
    done(&mut client, &Ask::create("/emptied/child", b"", PERSISTENT));

    // Who watches is told as of any deletion, on whichever member.
    let mut watcher = open(&ensemble, leader);
    done(&mut watcher, &Ask::sync("/"));
    done(&mut watcher, &Ask::exists("/emptied", true));
    done(&mut client, &Ask::delete("/emptied/child"));
    match watcher.receive().unwrap() {
        Packet::Event { zxid, kind, path } => {
            assert_eq!((kind, path.as_str()), (DELETED, "/emptied"));
            assert!(zxid > 0);
        }
        Packet::Reply(reply) => panic!("{reply:?}"),
    }
    wait_until_gone(&mut client, &["/short", "/emptied"]);
    for path in ["/used", "/unused", "/parent", "/long", "/plain"] {
        assert!(is_there(&mut client, path), "{path} has gone");
    }

    // What has its time under the next leader goes as well.
    ensemble.kill9(leader);
    assert_ne!(ensemble.wait_for_leader(), leader);
    let mut client = open(&ensemble, survivor);
    assert_eq!(client.call(&Ask::delete("/parent")).err, NOT_EMPTY);
    done(&mut client, &Ask::delete("/used/child"));
    wait_until_gone(&mut client, &["/used"]);
    done(&mut client, &Ask::create_ttl("/late", b"", 1));
    wait_until_gone(&mut client, &["/late"]);
    for path in ["/unused", "/long", "/plain"] {
        assert!(is_there(&mut client, path), "{path} has gone");
    }

    // And the member that was away hears of it all.
    ensemble.start_member(leader);
    ensemble.wait_until_serving();
    let mut other = open(&ensemble, leader);
    done(&mut other, &Ask::sync("/"));
    for path in ["/used", "/late", "/short"] {
        assert!(!is_there(&mut other, path), "{path} is still there");
    }
}

#[test]
fn a_quota_holds_on_every_member_and_under_every_leader() {
    let mut ensemble = three();
    let leader = ensemble.wait_for_leader();
    let survivor = ensemble.follower();
    let mut client = open(&ensemble, survivor);
    done(&mut client, &Ask::create("/a", b"12", PERSISTENT));
    done(&mut client, &Ask::create("/zookeeper/quota/a", b"", PERSISTENT));
    let limits = b"count=-1,bytes=-1=;byteHardLimit=10;countHardLimit=3";
    done(&mut client, &Ask::create("/zookeeper/quota/a/zookeeper_limits", limits, PERSISTENT));
    done(&mut client, &Ask::create("/zookeeper/quota/a/zookeeper_stats", b"", PERSISTENT));
    assert_eq!(usage(&mut client), "count=1,bytes=2");

    done(&mut client, &Ask::create("/a/b", b"1234", EPHEMERAL));
    assert_eq!(client.call(&Ask::create("/a/c", b"12345", PERSISTENT)).err, QUOTA_EXCEEDED);
    done(&mut client, &Ask::create("/a/c", b"1234", PERSISTENT));
    assert_eq!(client.call(&Ask::create("/a/d", b"", PERSISTENT)).err, QUOTA_EXCEEDED);
    assert_eq!(client.call(&Ask::set_data("/a/c", b"12345", -1)).err, QUOTA_EXCEEDED);
    if Server::under_test() == Server::Corral {
        // What an operation adds counts for the ones behind it, and what it takes away too.
        let swap = [Ask::delete("/a/c"), Ask::create("/a/e", b"1234", PERSISTENT)];
        assert_eq!(client.call(&Ask::multi(&swap)).multi_errors(), [0, 0]);
        let both =
            [Ask::delete("/a/e"), Ask::create("/a/f", b"", PERSISTENT), Ask::create("/a/g", b"", PERSISTENT)];
        assert_eq!(client.call(&Ask::multi(&both)).multi_errors(), [0, 0, QUOTA_EXCEEDED]);
    } else {
        done(&mut client, &Ask::delete("/a/c"));
        done(&mut client, &Ask::create("/a/e", b"1234", PERSISTENT));
    }
    assert_eq!(usage(&mut client), "count=3,bytes=10");

    ensemble.kill9(leader);
    assert_ne!(ensemble.wait_for_leader(), leader);
    ensemble.start_member(leader);
    ensemble.wait_until_serving();
    for member in ensemble.ids() {
        let mut other = open(&ensemble, member);
        done(&mut other, &Ask::sync("/"));
        assert_eq!(usage(&mut other), "count=3,bytes=10", "on member {member}");
        assert_eq!(other.call(&Ask::create("/a/h", b"", PERSISTENT)).err, QUOTA_EXCEEDED);
    }
    if Server::under_test().is_apache() {
        return; // It has hung up on the client.
    }
    // What goes with its session makes room.
    done(&mut client, &Ask::close_session());
    let mut last = open(&ensemble, survivor);
    assert_eq!(usage(&mut last), "count=2,bytes=6");
    done(&mut last, &Ask::create("/a/h", b"1234", PERSISTENT));
}
