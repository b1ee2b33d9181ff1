//! What operators are told by real members: over four-letter words, by the AdminServer, and as metrics.
#![allow(clippy::unwrap_used, reason = "a test that finds nothing where something should be has failed")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use harness::ask::flags::PERSISTENT;
use harness::connection::Greeting;
use harness::ports::Block;
use harness::{Ask, Connection, Ensemble, Plan, Server, Welcome, wait};
use serde_json::{Value, json};

#[path = "admin/forms.rs"]
mod forms;

const TIMEOUT_MS: i32 = 30_000;

const CREATED: i32 = 1;
const DATA_CHANGED: i32 = 3;

const PROMETHEUS: &str = "org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider";

/// An ensemble whose members answer operators over HTTP, each at two ports: the AdminServer's and that of the metrics.
struct Operated {
    ensemble: Ensemble,
    ports: Vec<[SocketAddr; 2]>,
    _ports: Block,
}

impl Operated {
    /// Not one of them started.
    fn prepare(members: usize) -> Self {
        Self::lay_out(&Plan::members(members), &format!("metricsProvider.className={PROMETHEUS}\n"))
    }

    /// The same of a plan, with further lines for each.
    fn lay_out(plan: &Plan, more: &str) -> Self {
        let ensemble = Ensemble::prepare(&plan.clone().with_admin());
        let mut block = Block::claim().unwrap();
        let mut ports = Vec::new();
        for id in ensemble.ids() {
            let metrics = SocketAddr::from((Ipv4Addr::LOCALHOST, block.take().unwrap()));
            let file = ensemble.directory(id).join("zoo.cfg");
            let text = std::fs::read_to_string(&file).unwrap();
            let lines = format!(
                "{more}metricsProvider.httpHost=127.0.0.1\nmetricsProvider.httpPort={}\n",
                metrics.port()
            );
            std::fs::write(file, text + &lines).unwrap();
            ports.push([ensemble.admin(id).unwrap(), metrics]);
        }
        Self { ensemble, ports, _ports: block }
    }

    fn start(members: usize) -> Self {
        let mut operated = Self::prepare(members);
        operated.start_all();
        operated
    }

    fn start_all(&mut self) {
        for id in self.ensemble.ids() {
            self.ensemble.start_member(id);
        }
        self.ensemble.wait_until_serving();
    }

    fn admin(&self, id: usize) -> SocketAddr {
        self.ports[id - 1][0]
    }

    /// A session at a member, and a connection to go on with.
    fn client(&self, id: usize) -> (Connection, Welcome) {
        Connection::open(self.ensemble.address(id), TIMEOUT_MS)
    }

    fn word(&self, id: usize, word: &str) -> String {
        self.ensemble.four_letter(id, word).unwrap()
    }

    fn command(&self, id: usize, name: &str) -> Value {
        let (status, body) = http(self.admin(id), "GET", &format!("/commands/{name}"));
        assert_eq!(status, 200, "{name}: {body}");
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{name}: {error} in {body}"))
    }

    /// A sample of a member's metrics, by its name with its labels.
    fn metric(&self, id: usize, name: &str) -> f64 {
        let (status, text) = http(self.ports[id - 1][1], "GET", "/metrics");
        assert_eq!(status, 200);
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("no {name} in\n{text}")).parse().unwrap()
    }

    /// Waits until a member's metric is so much.
    #[track_caller]
    fn wait_for(&self, id: usize, name: &str, value: f64) {
        let mut last = None;
        let is_there = wait::within(wait::PATIENCE, || {
            let now = self.metric(id, name);
            last = Some(now);
            (now.total_cmp(&value).is_eq()).then_some(())
        });
        assert!(is_there.is_some(), "{name} of member {id} is {last:?} and not {value}");
    }

    /// Waits until every member answers a word so.
    #[track_caller]
    fn wait_for_word(&self, word: &str, expected: &str) {
        for id in self.ensemble.ids() {
            let mut last = String::new();
            let is_so = wait::within(wait::PATIENCE, || {
                last = self.word(id, word);
                (last == expected).then_some(())
            });
            assert!(is_so.is_some(), "{word} of member {id}:\n{last}and not\n{expected}");
        }
    }
}

/// Status and body of the answer to a request without a body of its own.
fn http(address: SocketAddr, method: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // The old version, so that the body comes as it is and ends with the connection.
    stream.write_all(format!("{method} {path} HTTP/1.0\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head in {answer:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("no status in {head}")), body.to_owned())
}

fn is_apache() -> bool {
    Server::under_test().is_apache()
}

#[test]
fn what_the_ensemble_waits_for_is_told_on_every_member_and_who_is_home() {
    if is_apache() {
        return; // ZooKeeper tells what its own clients wait for.
    }
    let operated = Operated::start(3);
    let ((mut one, first), (mut two, second)) = (operated.client(1), operated.client(2));
    assert_eq!(one.call(&Ask::create("/made", b"", PERSISTENT)).err, 0);
    assert_eq!(one.call(&Ask::get_data("/made", true)).err, 0);
    assert_eq!(one.call(&Ask::exists("/missing", true)).err, -101);
    assert_eq!(one.call(&Ask::add_watch("/tree", 1)).err, 0);
    assert_eq!(two.call(&Ask::sync("/made")).err, 0);
    assert_eq!(two.call(&Ask::get_children("/", true)).err, 0);
    assert_eq!(two.call(&Ask::exists("/made", true)).err, 0);

    // The member stands in the top byte of an id, so the first session comes first.
    let (a, b) = (first.session, second.session);
    operated
        .wait_for_word("wchc", &format!("{a:#x}\n\t/made\n\t/missing\n\t/tree\n{b:#x}\n\t/\n\t/made\n\n"));
    operated.wait_for_word(
        "wchp",
        &format!("/\n\t{b:#x}\n/made\n\t{a:#x}\n\t{b:#x}\n/missing\n\t{a:#x}\n/tree\n\t{a:#x}\n\n"),
    );
    operated.wait_for_word(
        "wchs",
        "2 connections watching 4 paths\nTotal watches:5\n\
         Member 1: 1 connections, 3 watches\nMember 2: 1 connections, 2 watches\n",
    );
    let (a_text, b_text) = (a.to_string(), b.to_string());
    for id in operated.ensemble.ids() {
        let homes = json!({ &a_text: 1, &b_text: 2 });
        assert_eq!(
            operated.command(id, "watches"),
            json!({
                "command": "watches",
                "error": null,
                "session_id_to_home_member": homes,
                "session_id_to_watched_paths": {
                    &a_text: ["/made", "/missing", "/tree"],
                    &b_text: ["/", "/made"],
                },
            })
        );
        assert_eq!(
            operated.command(id, "wchp"),
            json!({
                "command": "watches_by_path",
                "error": null,
                "session_id_to_home_member": homes,
                "path_to_session_ids": { "/": [b], "/made": [a, b], "/missing": [a], "/tree": [a] },
            })
        );
        assert_eq!(
            operated.command(id, "watch_summary"),
            json!({
                "command": "watch_summary",
                "error": null,
                "num_connections": 2,
                "num_paths": 4,
                "num_total_watches": 5,
                "home_members": {
                    "1": { "num_connections": 1, "num_total_watches": 3 },
                    "2": { "num_connections": 1, "num_total_watches": 2 },
                },
            })
        );
    }

    // What is spent waits no more, while its client is away too; and whoever comes back elsewhere has another home.
    drop(one);
    let (mut writer, _) = operated.client(3);
    let changed = writer.call(&Ask::set_data("/made", b"new", -1));
    assert_eq!(changed.err, 0);
    assert_eq!(two.event(), (DATA_CHANGED, "/made".to_owned()));
    operated.wait_for_word("wchc", &format!("{a:#x}\n\t/missing\n\t/tree\n{b:#x}\n\t/\n\n"));
    let again = Greeting::again(&first, changed.zxid - 1);
    let (mut one, welcome) = Connection::greeted(operated.ensemble.address(3), &again);
    assert_eq!(welcome.session, a);
    one.send(&Ask::ping()).unwrap();
    assert_eq!(one.event(), (DATA_CHANGED, "/made".to_owned()));
    assert_eq!(one.reply().xid, -2);
    operated.wait_for_word(
        "wchs",
        "2 connections watching 3 paths\nTotal watches:3\n\
         Member 2: 1 connections, 1 watches\nMember 3: 1 connections, 2 watches\n",
    );
    assert_eq!(operated.command(1, "wchc")["session_id_to_home_member"], json!({ &a_text: 3, &b_text: 2 }));

    // Nothing is told of a session that has ended.
    assert_eq!(one.call(&Ask::close_session()).err, 0);
    operated.wait_for_word("wchc", &format!("{b:#x}\n\t/\n\n"));
}

#[test]
fn metrics_count_what_becomes_of_watches() {
    if is_apache() {
        return;
    }
    let operated = Operated::start(3);
    let (mut client, welcome) = operated.client(1);
    let (mut writer, _) = operated.client(2);
    assert_eq!(writer.call(&Ask::create("/made", b"", PERSISTENT)).err, 0);
    assert_eq!(client.call(&Ask::sync("/made")).err, 0);
    assert_eq!(client.call(&Ask::get_data("/made", true)).err, 0);
    assert_eq!(client.call(&Ask::exists("/missing", true)).err, -101);

    let armed =
        |id, kind: &str| operated.metric(id, &format!("corral_watches_armed_total{{kind=\"{kind}\"}}"));
    let armed = |id| ["data", "exist", "child", "persistent", "recursive"].map(|kind| armed(id, kind));
    assert_eq!(armed(1), [1.0, 1.0, 0.0, 0.0, 0.0]);
    assert_eq!(armed(2), [0.0; 5]);
    operated.wait_for(1, "watch_count", 2.0);
    for id in operated.ensemble.ids() {
        operated.wait_for(id, "corral_known_watches", 2.0);
    }
    operated.wait_for(1, "corral_watch_notes_total", 2.0);
    operated.wait_for(1, "corral_watch_notes_waiting", 0.0);
    assert!((1.0..=2.0).contains(&operated.metric(1, "corral_watch_reports_total")));

    // One fires here, and its client hears of it.
    assert_eq!(writer.call(&Ask::set_data("/made", b"new", -1)).err, 0);
    assert_eq!(client.event(), (DATA_CHANGED, "/made".to_owned()));
    operated.wait_for(1, "corral_watch_events_fired_total", 1.0);
    operated.wait_for(2, "corral_watch_events_fired_total", 0.0);
    let seen = client.call(&Ask::exists("/made", false)).zxid;

    // One is missed, and told elsewhere when the client has come back.
    drop(client);
    operated.wait_for(1, "watch_count", 0.0);
    assert_eq!(writer.call(&Ask::create("/missing", b"", PERSISTENT)).err, 0);
    let again = Greeting::again(&welcome, seen);
    let (mut client, _) = Connection::greeted(operated.ensemble.address(3), &again);
    client.send(&Ask::ping()).unwrap();
    assert_eq!(client.event(), (CREATED, "/missing".to_owned()));
    let replayed = |id: usize, cause: &str| {
        operated.metric(id, &format!("corral_watch_events_replayed_total{{cause=\"{cause}\"}}"))
    };
    assert_eq!(
        ["attach", "set_watches", "late", "snapshot"].map(|cause| replayed(3, cause)),
        [1.0, 0.0, 0.0, 0.0]
    );
    operated.wait_for(3, "corral_watch_events_fired_total", 0.0);
    operated.wait_for(3, "corral_catch_ups_not_whole_total", 0.0);
    // A client that sends its watches is told by them.
    drop(client);
    let deleted = writer.call(&Ask::delete("/made"));
    assert_eq!(deleted.err, 0);
    let again = Greeting::again(&welcome, deleted.zxid - 1);
    let (mut client, _) = Connection::greeted(operated.ensemble.address(1), &again);
    client.send_as(-8, &Ask::set_watches(deleted.zxid - 1, [&["/made"], &[], &[]])).unwrap();
    assert_eq!(client.event(), (2, "/made".to_owned()));
    assert_eq!(replayed(1, "set_watches"), 1.0);

    // The same is told in the other places.
    let mntr = operated.word(1, "mntr");
    assert!(mntr.contains("\nzk_corral_watches_armed\t2\n"), "{mntr}");
    assert!(mntr.contains("\nzk_corral_watch_events_fired\t1\n"), "{mntr}");
    assert_eq!(operated.command(3, "monitor")["corral_watch_events_replayed"], 1);
    let (_, here) = http(operated.admin(1), "GET", "/metrics");
    assert!(here.contains("corral_watch_events_fired_total 1\n") && here.ends_with("# EOF\n"), "{here}");
}

#[test]
fn the_admin_server_answers_what_it_knows_and_refuses_the_rest() {
    if is_apache() {
        return;
    }
    let operated = Operated::start(3);
    let leader = operated.ensemble.wait_for_leader();
    for id in operated.ensemble.ids() {
        assert_eq!(operated.command(id, "ruok"), json!({ "command": "ruok", "error": null }));
        let led = operated.command(id, "lead");
        assert_eq!((&led["is_leader"], &led["leader_id"]), (&json!(id == leader), &json!(leader)));
        let mode = if id == leader { "leader" } else { "follower" };
        assert_eq!(operated.command(id, "srvr")["server_stats"]["server_state"], mode);
        assert_eq!(operated.command(id, "conf")["server_id"], id);
        assert_eq!(operated.command(id, "isro")["read_only"], false);
    }
    let unknown = operated.command(1, "reconfigure");
    assert_eq!(unknown, json!({ "command": "reconfigure", "error": "Unknown command: reconfigure" }));
    let (status, links) = http(operated.admin(1), "GET", "/commands");
    assert!(status == 200 && links.contains("<a href=\"/commands/watches\">"), "{status} {links}");
    for (method, path, expected) in [
        ("POST", "/commands/ruok", 405),
        ("TRACE", "/commands/ruok", 403),
        ("GET", "/", 404),
        ("GET", "/commands/a/b", 200),
        ("GET", "/commands/%ff", 400),
    ] {
        assert_eq!(http(operated.admin(1), method, path).0, expected, "{method} {path}");
    }
    // The port of the metrics has nothing else.
    assert_eq!(http(operated.ports[0][1], "GET", "/commands").0, 404);

    // Who says nothing, or what is no HTTP, keeps nobody from asking, nor the member from leaving.
    let mut operated = operated;
    let silent: Vec<TcpStream> = (0..3).map(|_| TcpStream::connect(operated.admin(1)).unwrap()).collect();
    let mut noise = TcpStream::connect(operated.admin(1)).unwrap();
    noise.write_all(&[0xff; 4_096]).unwrap();
    assert_eq!(operated.command(1, "ruok")["error"], Value::Null);
    assert!(operated.ensemble.stop(1).success());
    drop(silent);
}

#[test]
fn a_member_whose_ports_for_operators_are_taken_serves_all_the_same() {
    if is_apache() {
        return;
    }
    let mut operated = Operated::prepare(1);
    let _taken = operated.ports[0].map(|address| TcpListener::bind(address).unwrap());
    operated.start_all();
    let (mut client, _) = operated.client(1);
    assert_eq!(client.call(&Ask::exists("/", false)).err, 0);
    let log = operated.ensemble.log(1);
    assert_eq!(log.matches("operators cannot be listened to").count(), 2, "{log}");
}
