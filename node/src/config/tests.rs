//! Rows: lines of a `zoo.cfg`, and what they come to.
use std::fmt::Write as _;
use std::io;
use std::path::Path;

use super::*;

/// Files that exist only here, on a machine that owns the names `zoo1` and `localhost`.
struct Paper<'a>(&'a [(&'a str, &'a str)]);

impl Surroundings for Paper<'_> {
    fn read(&self, file: &Path) -> io::Result<String> {
        let found = self.0.iter().find(|(name, _)| Path::new(name) == file);
        found.map(|(_, text)| (*text).to_owned()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn is_own(&self, host: &str) -> bool {
        ["zoo1", "localhost", "::1"].contains(&host)
    }
}

/// What a configuration comes to, one fact in a line.
fn describe(loaded: Result<Loaded, ConfigError>) -> String {
    let Loaded { config, notes } = match loaded {
        Ok(loaded) => loaded,
        Err(error) => return error.to_string(),
    };
    let mut text = String::new();
    let mut fact = |name: &str, value: &dyn std::fmt::Debug| {
        let _ = writeln!(text, "{name}: {value:?}");
    };
    let Config {
        member,
        standalone,
        client_listen,
        session,
        clients,
        words,
        admin,
        metrics,
        auth,
        consensus,
        ensemble,
    } = config;
    fact("member", &member.get());
    fact("standalone", &standalone);
    fact("clients at", &format!("{}:{}", client_listen.host, client_listen.port));
    fact("tick", &session.tick);
    fact("session timeout", &(session.timeout_min..=session.timeout_max));
    fact("limits", &clients);
    fact("words", &words);
    fact(
        "operators at",
        &admin.map(|AdminConfig { listen: Listen { host, port }, commands_url }| {
            format!("{host}:{port}{commands_url}")
        }),
    );
    fact("metrics at", &metrics.map(|Listen { host, port }| format!("{host}:{port}")));
    fact("auth", &auth);
    fact("voters", &consensus.members.iter().map(|(id, at)| format!("{id}={at}")).collect::<Vec<_>>());
    fact("peers at", &consensus.listen);
    fact("state in", &consensus.data_dir);
    fact("log in", &consensus.log_dir);
    fact("timing", &consensus.timing);
    fact("retention", &consensus.retention);
    if let Some(ensemble) = ensemble {
        fact("init limit", &ensemble.init_limit);
        fact("sync limit", &ensemble.sync_limit);
        for (id, line) in ensemble.servers {
            fact(&format!("server.{id}"), &line.to_string());
        }
    }
    for Note { key, text } in notes {
        fact(&format!("note on {key}"), &text);
    }
    text
}

fn read(zoo_cfg: &str, files: &[(&str, &str)]) -> String {
    describe(load_text(zoo_cfg, Path::new("zoo.cfg"), Vec::new(), &Paper(files)))
}

const ALONE: &str = "dataDir=/data\nclientPort=2181\n";
const THREE: &str = "dataDir=/data\nclientPort=2181\n\
    server.1=zoo1:2888:3888\nserver.2=zoo2:2888:3888\nserver.3=zoo3:2888:3888\n";

/// A standalone member with these lines added comes to something with this line in it.
#[track_caller]
fn check(lines: &str, expected: &str) {
    let text = read(&format!("{ALONE}{lines}"), &[]);
    assert!(text.lines().any(|line| line == expected), "`{expected}` is not in\n{text}");
}

/// The same, for member 1 of three.
#[track_caller]
fn check_member(lines: &str, expected: &str) {
    let text = read(&format!("{THREE}{lines}"), &[("/data/myid", "1\n")]);
    assert!(text.lines().any(|line| line == expected), "`{expected}` is not in\n{text}");
}

#[test]
fn two_lines_make_a_standalone_member() {
    insta::assert_snapshot!(read(ALONE, &[]));
}

#[test]
fn the_file_of_a_real_deployment_is_taken_as_it_is() {
    let text = "\
# The number of milliseconds of each tick
tickTime=2000
initLimit=10
syncLimit=5
dataDir=/var/lib/zookeeper
dataLogDir=/var/log/zookeeper
clientPort=2181
maxClientCnxns=300
minSessionTimeout=4000
maxSessionTimeout=60000
autopurge.snapRetainCount=5
autopurge.purgeInterval=24
4lw.commands.whitelist=stat, ruok, conf, isro
admin.serverPort=8081
metricsProvider.className=org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider
metricsProvider.httpPort=7070
leaderServes=yes
zookeeper.snapCount=50000
server.1=zk-a.example.com:2888:3888
server.2=zk-b.example.com:2888:3888
server.3=[2001:db8::3]:2888:3888:participant
";
    insta::assert_snapshot!(read(text, &[("/var/lib/zookeeper/myid", "2")]));
}

#[test]
fn values_have_units_and_bounds() {
    check("tickTime=2000", "tick: 2s");
    check("tickTime=2000", "session timeout: 4s..=40s");
    check("zookeeper.tickTime=2000", "tick: 2s");
    check("minSessionTimeout=-1\nmaxSessionTimeout=90000", "session timeout: 6s..=90s");
    check("tickTime=0", "zoo.cfg:3: `tickTime=0`: it must be a number from 1 to 3600000");
    check("tickTime=2s", "zoo.cfg:3: `tickTime=2s`: it must be a number from 1 to 3600000");
    check(
        "minSessionTimeout=90000",
        "zoo.cfg:3: the shortest session timeout (90000 ms) is longer than the longest (60000 ms)",
    );
    check("skipACL=yes", "auth: AuthConfig { skip_acl: true, super_digest: None }");
    check("skipACL=maybe", "zoo.cfg:3: `skipACL=maybe`: it must be `true` or `false`");
    check(
        "zookeeper.DigestAuthenticationProvider.superDigest=super:xQJm=",
        "auth: AuthConfig { skip_acl: false, super_digest: Some(\"super:xQJm=\") }",
    );
    check(
        "jute.maxbuffer=0x9fffff\nmaxClientCnxns=0\nmaxCnxns=5\nclientPortListenBacklog=7",
        "limits: ClientLimits { per_address: 0, total: 5, frame_bytes: 10485759, backlog: 7 }",
    );
    check("jute.maxbuffer=1g", "zoo.cfg:3: `jute.maxbuffer=1g`: it must be a number from 1 to 33554432");
}

#[test]
fn operators_are_listened_to_where_it_is_said() {
    check("", "operators at: Some(\"127.0.0.1:8080/commands\")");
    check("admin.enableServer=false", "operators at: None");
    check(
        "zookeeper.admin.serverPort=9090\nadmin.serverAddress=0.0.0.0\nadmin.commandURL=/zk/ask",
        "operators at: Some(\"0.0.0.0:9090/zk/ask\")",
    );
    for url in ["commands", "/", "/a/", "/{name}", "/metrics", "//"] {
        check(
            &format!("admin.commandURL={url}"),
            &format!("zoo.cfg:3: `admin.commandURL={url}`: it must be a path such as `/commands`"),
        );
    }
    check("admin.forceHttps=true", "zoo.cfg:3: `admin.forceHttps=true` cannot be had: TLS is not served yet");
    check("", "metrics at: None");
    let provider = "metricsProvider.className=org.apache.zookeeper.metrics";
    check(&format!("{provider}.prometheus.PrometheusMetricsProvider"), "metrics at: Some(\"0.0.0.0:7000\")");
    check(
        &format!(
            "{provider}.prometheus.PrometheusMetricsProvider\nmetricsProvider.httpHost=::1\nmetricsProvider.httpPort=7"
        ),
        "metrics at: Some(\"::1:7\")",
    );
    check(&format!("{provider}.impl.DefaultMetricsProvider"), "metrics at: None");
    check(
        "metricsProvider.className=com.example.Mine",
        "note on metricsProvider.className: \"only PrometheusMetricsProvider is known: metrics are told by `mntr` and \
         the AdminServer\"",
    );
}

#[test]
fn our_own_keys_are_checked_together() {
    check(
        "corral.heartbeatMs=100\ncorral.electionTimeoutMinMs=500\ncorral.electionTimeoutMaxMs=1000",
        "timing: Timing { heartbeat: 100ms, election_min: 500ms, election_max: 1s }",
    );
    check(
        "corral.heartbeatMs=200",
        "a leader is heard of every 200 ms and replaced after 120 to 200 ms of silence: corral.heartbeatMs, \
         corral.electionTimeoutMinMs and corral.electionTimeoutMaxMs must grow in this order",
    );
    check(
        "corral.snapshotEvery=1000\ncorral.logKeep=100\ncorral.lagMax=3000",
        "retention: Retention { snapshot_every: 1000, keep: 100, lag_max: 3000 }",
    );
    check(
        "corral.snapshotEvery=1000\ncorral.lagMax=1000",
        "zoo.cfg:4: `corral.lagMax=1000`: it must be more than 1000, the distance of snapshots",
    );
}

#[test]
fn keys_are_known_or_refused() {
    check("tickTmie=2000", "zoo.cfg:3: unknown key `tickTmie`; did you mean `tickTime`?");
    check("zookeeper.tickTmie=2000", "zoo.cfg:3: unknown key `zookeeper.tickTmie`; did you mean `tickTime`?");
    check("foo=bar", "zoo.cfg:3: unknown key `foo`");
    check(
        "weight.1=3",
        "zoo.cfg:3: `weight.1` cannot be had: every member has one vote: there are no weights",
    );
    check(
        "sslQuorum=true",
        "zoo.cfg:3: `sslQuorum=true` cannot be had: traffic between members cannot be encrypted yet",
    );
    check("sslQuorum=false", "standalone: true");
    check("forceSync=no", "note on forceSync: \"the log is always synced before it is acknowledged\"");
    check("tickTime=1000\ntickTime=500", "tick: 500ms");
    check("tickTime=1000\ntickTime=500", "note on tickTime: \"it is set twice; the last counts\"");
}

#[test]
fn what_is_missing_is_said() {
    let row = |text: &str| read(text, &[]);
    assert_eq!(row("clientPort=2181"), "`dataDir` is missing: where is the state to be kept?");
    assert_eq!(row("dataDir=/data"), "`clientPort` is missing, and no server line names one for this member");
    assert_eq!(
        row("dataDir=/data\nclientPortAddress=127.0.0.1"),
        "zoo.cfg:2: `clientPortAddress` needs `clientPort`"
    );
    assert_eq!(
        row(THREE),
        "/data/myid: cannot be read (entity not found): it must hold the number of this member's server line"
    );
    let row = |myid: &str| read(THREE, &[("/data/myid", myid)]);
    assert_eq!(row("two"), "/data/myid: `two` is not the number of a member");
    assert_eq!(row("4\n"), "/data/myid: this is member 4, but there are only server.1, server.2, server.3");
}

#[test]
fn one_server_line_stands_alone_unless_told_otherwise() {
    let one = "dataDir=/data\nserver.1=localhost:2888:3888;2181\n";
    let row = |text: &str| read(text, &[("/data/myid", "1")]);
    assert!(row(one).contains("standalone: true\nclients at: \"0.0.0.0:2181\"\n"), "{}", row(one));
    let ensemble = format!("{one}standaloneEnabled=false");
    assert!(row(&ensemble).contains("standalone: false\n"), "{}", row(&ensemble));
}

#[test]
fn the_client_port_and_the_server_line_agree() {
    let row = |lines: &str| {
        let text = format!("dataDir=/data\n{lines}\nserver.2=zoo2:2888:3888\n");
        read(&text, &[("/data/myid", "1")])
    };
    let line = "server.1=zoo1:2888:3888;10.0.0.1:2181";
    assert!(row(line).contains("clients at: \"10.0.0.1:2181\""), "{}", row(line));
    let agreed = format!("clientPort=2181\n{line}");
    assert!(row(&agreed).contains("clients at: \"10.0.0.1:2181\""), "{}", row(&agreed));
    assert_eq!(
        row(&format!("clientPort=2182\n{line}")),
        "zoo.cfg:2: `clientPort` says 2182, but this member's server line says 2181"
    );
    assert_eq!(
        row(&format!("clientPort=2181\nclientPortAddress=10.0.0.2\n{line}")),
        "zoo.cfg:3: `clientPortAddress` says 10.0.0.2, but this member's server line says 10.0.0.1"
    );
}

#[test]
fn peers_are_listened_to_where_they_call() {
    check_member("", "peers at: Some(\"zoo1:2888\")");
    check_member("quorumListenOnAllIPs=true", "peers at: Some(\"0.0.0.0:2888\")");
    let row = |own: &str| {
        let text = format!("{ALONE}server.1={own}\nserver.2=zoo2:2888:3888\n");
        read(&text, &[("/data/myid", "1")])
    };
    let elsewhere = row("proxy:2888:3888");
    assert!(elsewhere.contains("peers at: Some(\"0.0.0.0:2888\")"), "{elsewhere}");
    let six = row("[::1]:2888:3888");
    assert!(six.contains("peers at: Some(\"[::1]:2888\")"), "{six}");
    let six_elsewhere = row("[2001:db8::1]:2888:3888");
    assert!(six_elsewhere.contains("peers at: Some(\"[::]:2888\")"), "{six_elsewhere}");
}

#[test]
fn server_lines_do_not_clash() {
    check_member("server.4=zoo3:2888:3889", "zoo.cfg:6: server.4: zoo3:2888 is taken by server.3");
    check_member("server.x=zoo4:2888:3888", "zoo.cfg:6: server.x: members are numbered from 1 to 255");
    check_member("server.4=zoo4", "zoo.cfg:6: server.4: `zoo4` names no port");
}

#[test]
fn observers_are_left_out() {
    let observer = "server.4=zoo4:2888:3888:observer";
    check_member(observer, "voters: [\"1=zoo1:2888\", \"2=zoo2:2888\", \"3=zoo3:2888\"]");
    check_member(
        observer,
        "note on server.N: \"observers are not served yet: the others go on without them\"",
    );
    let text = read(&format!("{THREE}{observer}"), &[("/data/myid", "4")]);
    assert_eq!(
        text,
        "zoo.cfg:6: server.4 is this member, and an observer: members without a vote are not served yet"
    );
    check_member("peerType=king", "zoo.cfg:6: `peerType=king`: it must be `participant` or `observer`");
}

#[test]
fn members_may_stand_in_a_file_of_their_own() {
    let text = format!("{ALONE}dynamicConfigFile=/conf/zoo.cfg.dynamic.100000000\n");
    let row =
        |members: &str| read(&text, &[("/data/myid", "2"), ("/conf/zoo.cfg.dynamic.100000000", members)]);
    let members = row("server.1=zoo1:2888:3888:participant;2181\nserver.2=zoo2:2888:3888:participant;2181\n");
    assert!(members.starts_with("member: 2\nstandalone: false\n"), "{members}");
    assert_eq!(
        row("server.1=zoo1:2888:3888\nversion=100000000"),
        "/conf/zoo.cfg.dynamic.100000000:2: `version` has no place in a file that says who the members are"
    );
    assert_eq!(
        read(&text, &[]),
        "zoo.cfg:3: /conf/zoo.cfg.dynamic.100000000 cannot be read (entity not found)"
    );
    assert_eq!(
        read(&format!("{text}server.1=zoo1:2888:3888"), &[]),
        "zoo.cfg:4: `server.1` stands here, but `dynamicConfigFile` says where members stand"
    );
}

#[test]
fn the_file_goes_before_the_flags() {
    let flags = properties::from_flags("-Dzookeeper.skipACL=yes -DtickTime=1000", "JVMFLAGS");
    let text = describe(load_text(&format!("{ALONE}tickTime=500"), Path::new("zoo.cfg"), flags, &Paper(&[])));
    assert!(text.contains("tick: 500ms\n"), "{text}");
    assert!(text.contains("skip_acl: true"), "{text}");
}

#[test]
fn a_container_takes_its_file_before_its_environment() {
    let environment = |name: &str| (name == "ZOO_TICK_TIME").then(|| "1000".to_owned());
    let from_environment = describe(container::load(&environment, &Paper(&[("/data/myid", "1")])));
    assert!(from_environment.contains("tick: 1s\n"), "{from_environment}");
    let file = [("/conf/zoo.cfg", "tickTime=700\ndataDir=/data\nclientPort=2181")];
    let from_file = describe(container::load(&environment, &Paper(&file)));
    assert!(from_file.contains("tick: 700ms\n"), "{from_file}");
    let wrong = |name: &str| (name == "ZOO_CFG_EXTRA").then(|| "tickTmie=1".to_owned());
    assert_eq!(
        describe(container::load(&wrong, &Paper(&[]))),
        "zoo.cfg from the environment:12: unknown key `tickTmie`; did you mean `tickTime`?"
    );
}
