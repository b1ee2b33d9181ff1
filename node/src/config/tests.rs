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

    fn variable(&self, _: &str) -> Option<String> {
        None
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
        tls,
        session,
        clients,
        throttle,
        slow_sync,
        read_only_mode,
        words,
        admin,
        metrics,
        auth,
        consensus,
        ensemble,
        text: _,
        metrics_total_suffix,
    } = config;
    fact("member", &member.get());
    fact("standalone", &standalone);
    fact("clients at", &format!("{}:{}", client_listen.host, client_listen.port));
    if let Some(tls) = tls {
        fact("TLS", &tls);
    }
    fact("tick", &session.tick);
    fact("session timeout", &(session.timeout_min..=session.timeout_max));
    fact("limits", &clients);
    fact("requests", &throttle.outstanding);
    fact("throttle of greetings", &throttle.greetings);
    fact("throttle of requests", &throttle.requests);
    fact("large requests", &throttle.large);
    if !consensus.sync_delay.is_zero() {
        fact("syncs take longer by", &consensus.sync_delay);
    }
    if slow_sync != Duration::from_secs(1) {
        fact("slow syncs from", &slow_sync);
    }
    if read_only_mode {
        fact("reads without a leader", &true);
    }
    fact("words", &words);
    fact(
        "operators at",
        &admin.map(|AdminConfig { listen: Listen { host, port }, commands_url, .. }| {
            format!("{host}:{port}{commands_url}")
        }),
    );
    fact("metrics at", &metrics.map(|Listen { host, port }| format!("{host}:{port}")));
    if metrics_total_suffix {
        fact("counters end with _total", &true);
    }
    fact("auth", &describe_auth(&auth));
    fact("voters", &consensus.members.iter().map(|(id, at)| format!("{id}={at}")).collect::<Vec<_>>());
    if !consensus.observers.is_empty() {
        let observers = consensus.observers.iter().map(|(id, at)| format!("{id}={at}"));
        fact("observers", &observers.collect::<Vec<_>>());
    }
    fact("peers at", &consensus.listen);
    fact("state in", &consensus.data_dir);
    fact("log in", &consensus.log_dir);
    fact("timing", &consensus.timing);
    fact("retention", &consensus.retention);
    fact("rules", &consensus.rules);
    fact("reaping", &consensus.reaping);
    if let Some(bytes) = consensus.world_bytes_max {
        fact("bytes of the world", &bytes);
    }
    if let Some(ensemble) = ensemble {
        fact("init limit", &ensemble.init_limit);
        fact("sync limit", &ensemble.sync_limit);
        for (id, line) in ensemble.servers {
            fact(&format!("server.{id}"), &line.to_string());
        }
    }
    for Note { key, text, .. } in notes {
        fact(&format!("note on {key}"), &text);
    }
    text
}

/// What is not as it is without being asked for.
fn describe_auth(auth: &AuthConfig) -> String {
    let AuthConfig {
        skip_acl,
        digest,
        super_digest,
        sasl,
        x509_super,
        ensemble,
        enforced,
        sasl_acls,
        x509_acls,
    } = auth;
    let mut told = Vec::new();
    let mut tell = |differs: bool, what: String| {
        if differs {
            told.push(what);
        }
    };
    tell(*skip_acl, "no ACLs".to_owned());
    tell(*digest != Some(DigestAlgorithm::Sha1), format!("digest {digest:?}"));
    tell(super_digest.is_some(), format!("super digest {super_digest:?}"));
    tell(sasl.is_some(), format!("{sasl:?}"));
    tell(x509_super.is_some(), format!("super subject {x509_super:?}"));
    tell(ensemble.is_some(), format!("called {ensemble:?}"));
    tell(!enforced.is_empty(), format!("enforced {enforced:?}"));
    tell(*sasl_acls, "SASL in ACLs".to_owned());
    tell(*x509_acls, "X.509 in ACLs".to_owned());
    told.join("; ")
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
    check("skipACL=yes", "auth: \"no ACLs\"");
    check("skipACL=maybe", "zoo.cfg:3: `skipACL=maybe`: it must be `true` or `false`");
    check(
        "zookeeper.DigestAuthenticationProvider.superDigest=super:xQJm=",
        r#"auth: "super digest Some(\"super:xQJm=\")""#,
    );
    check(
        "jute.maxbuffer=0x9fffff\nmaxClientCnxns=0\nmaxCnxns=5\nclientPortListenBacklog=7",
        "limits: ClientLimits { per_address: 0, total: 5, frame_bytes: 10485759, backlog: 7 }",
    );
    check("jute.maxbuffer=1g", "zoo.cfg:3: `jute.maxbuffer=1g`: it must be a number from 1 to 33554432");
}

#[test]
fn what_clients_may_ask_at_a_time_is_bounded() {
    check("", "requests: 1000");
    check("globalOutstandingLimit=70", "requests: 70");
    check(
        "globalOutstandingLimit=0",
        "zoo.cfg:3: `globalOutstandingLimit=0`: it must be a number from 1 to 18446744073709551615",
    );
    let three = "globalOutstandingLimit=70\nserver.1=zoo1:1:2\nserver.2=zoo2:1:2\nserver.3=zoo3:1:2";
    let text = read(&format!("{ALONE}{three}"), &[("/data/myid", "1")]);
    assert!(text.contains("requests: 35\n"), "{text}");

    check("", "throttle of greetings: None");
    for key in ["zookeeper.connection_throttle_tokens", "connection_throttle_tokens", "connectionMaxTokens"] {
        check(
            &format!("{key}=5"),
            "throttle of greetings: Some(GreetingThrottle { tokens: 5, fill_time: 1ms, fill_count: 1, freeze_time: None, \
             drop_increase: 0.02, drop_decrease: 0.002, decrease_ratio: 0.0, open_weight: 1, renew_weight: 1 })",
        );
    }
    check(
        "connectionMaxTokens=9\nconnection_throttle_fill_time=100\nconnection_throttle_fill_count=2\n\
         connection_throttle_freeze_time=50\nconnection_throttle_drop_increase=0.5\n\
         connection_throttle_drop_decrease=0.25\nconnection_throttle_decrease_ratio=1\n\
         connection_throttle_weight_enabled=true\nconnection_throttle_renew_session_weight=1",
        "throttle of greetings: Some(GreetingThrottle { tokens: 9, fill_time: 100ms, fill_count: 2, \
         freeze_time: Some(50ms), drop_increase: 0.5, drop_decrease: 0.25, decrease_ratio: 1.0, open_weight: 3, \
         renew_weight: 1 })",
    );
    check(
        "connectionDropIncrease=2",
        "zoo.cfg:3: `connectionDropIncrease=2`: it must be a number from 0 to 1",
    );

    check("", "throttle of requests: None");
    check("throttled_op_wait_time=7", "throttle of requests: None");
    check(
        "request_throttle_max_requests=7",
        "throttle of requests: Some(RequestThrottle { max: 7, stall: 100ms, wait_max: None, stale_latency: false, \
         drop_stale: true })",
    );
    check(
        "requestThrottleLimit=7\nrequestThrottleStallTime=20\nthrottled_op_wait_time=300\n\
         requestThrottleDropStale=false\nrequest_stale_latency_check=true",
        "throttle of requests: Some(RequestThrottle { max: 7, stall: 20ms, wait_max: Some(300ms), stale_latency: true, \
         drop_stale: false })",
    );

    check("largeRequestThreshold=-1\nlargeRequestMaxBytes=5", "large requests: None");
    check(
        "largeRequestThreshold=100",
        "large requests: Some(LargeRequests { threshold: 100, bytes: 104857600 })",
    );
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
    check(
        "admin.forceHttps=true",
        "zoo.cfg:3: `admin.forceHttps=true` cannot be had: the AdminServer does not speak TLS",
    );
    check("", "metrics at: None");
    check("corral.metricsTotalSuffix=true", "counters end with _total: true");
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
        "corral.snapshotEvery=1000\ncorral.logKeep=100\ncorral.logMaxMiB=64",
        "retention: Retention { snapshot_every: 1000, keep: 100, bytes_max: 67108864 }",
    );
    check(
        "corral.logMaxMiB=7",
        "zoo.cfg:3: `corral.logMaxMiB=7`: it must be a number from 8 to 17592186044415",
    );
}

#[test]
fn the_world_has_a_bound_unless_it_is_to_have_none() {
    check("corral.memoryMaxMiB=64", "bytes of the world: 67108864");
    check(
        "corral.memoryMaxMiB=-1",
        "zoo.cfg:3: `corral.memoryMaxMiB=-1`: it must be a number from 0 to 17592186044415",
    );
    let bound = |line: &str, around: &dyn Surroundings| {
        let text = format!("dataDir=/data\nclientPort=2181\n{line}");
        let loaded = load_text(&text, Path::new("zoo.cfg"), Vec::new(), around).expect("a configuration");
        loaded.config.consensus.world_bytes_max
    };
    let machine = Paper(&[("/proc/meminfo", "MemTotal: 10485760 kB\n")]);
    assert_eq!(bound("", &machine), Some((4 << 30) - (256 << 20)));
    assert_eq!(bound("corral.memoryMaxMiB=0", &machine), None);
    assert_eq!(bound("", &Paper(&[])), None, "where nobody says what the process may use");
}

#[test]
fn syncs_take_longer_by_fractions_of_a_millisecond_too() {
    for (value, expected) in [("2", "2ms"), ("0.5", "500µs"), ("1.25", "1.25ms"), ("10000.000", "10s")] {
        check(&format!("corral.syncDelayMs={value}"), &format!("syncs take longer by: {expected}"));
    }
    for value in ["-1", "10000.001", "1.", ".5", "0.0005", "1,5", "1.5.0", "+1", "99999999999999999999"] {
        check(
            &format!("corral.syncDelayMs={value}"),
            &format!(
                "zoo.cfg:3: `corral.syncDelayMs={value}`: it must be a number of milliseconds from 0 to 10000, such as 0.5"
            ),
        );
    }
}

#[test]
fn keys_are_known_or_named_or_refused() {
    check("tickTmie=2000", "note on tickTmie: \"nobody knows this key; did you mean `tickTime`?\"");
    check(
        "zookeeper.tickTmie=2",
        "note on zookeeper.tickTmie: \"nobody knows this key; did you mean `tickTime`?\"",
    );
    check("foo=bar", "note on foo: \"nobody knows this key\"");
    check("foo=bar\ntickTmie=2000", "tick: 3s");
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
fn observers_do_not_vote() {
    let observer = "server.4=zoo4:2888:3888:observer";
    check_member(observer, "voters: [\"1=zoo1:2888\", \"2=zoo2:2888\", \"3=zoo3:2888\"]");
    check_member(observer, "observers: [\"4=zoo4:2888\"]");
    let text = read(&format!("{THREE}{observer}"), &[("/data/myid", "4")]);
    assert!(text.contains("observers: [\"4=zoo4:2888\"]"), "{text}");
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
fn quotas_and_what_goes_by_itself() {
    check("enforceQuota=true", "rules: Rules(1)");
    check("zookeeper.enforceQuota=false", "rules: Rules(0)");
    check("extendedTypesEnabled=true", "rules: Rules(0)");
    check("extendedTypesEnabled=false", "rules: Rules(2)");
    check("enforceQuota=on", "zoo.cfg:3: `enforceQuota=on`: it must be `true` or `false`");
    check(
        "znode.container.checkIntervalMs=500\nzookeeper.znode.container.maxPerMinute=7",
        "reaping: Reaping { check_interval: 500ms, per_minute_max: 7, never_used_ms: 0 }",
    );
    check(
        "znode.container.maxNeverUsedIntervalMs=300000",
        "reaping: Reaping { check_interval: 60s, per_minute_max: 10000, never_used_ms: 300000 }",
    );
    check("znode.container.maxPerMinute=0", {
        "zoo.cfg:3: `znode.container.maxPerMinute=0`: it must be a number from 1 to 4294967295"
    });
}

#[test]
fn slow_syncs_are_those_that_the_file_calls_so() {
    check("fsync.warningthresholdms=20", "slow syncs from: 20ms");
    check("zookeeper.fsync.warningthresholdms=0", "slow syncs from: 0ns");
    check("fsync.warningthresholdms=-1", {
        "zoo.cfg:3: `fsync.warningthresholdms=-1`: it must be a number from 0 to 4294967295"
    });
}

#[test]
fn reads_without_a_leader_are_allowed_with_the_word_that_they_need() {
    check("readonlymode.enabled=true", "reads without a leader: true");
    check("readonlymode.enabled=true", r#"words: Whitelist { words: ["srvr", "isro"] }"#);
    check("readonlymode.enabled=false", r#"words: Whitelist { words: ["srvr"] }"#);
    let flags = properties::from_flags("-Dreadonlymode.enabled=true", "JVMFLAGS");
    let text = describe(load_text(ALONE, Path::new("zoo.cfg"), flags, &Paper(&[])));
    assert!(text.contains("reads without a leader: true\n"), "{text}");
}

#[test]
fn the_file_goes_before_the_flags() {
    let flags = properties::from_flags("-Dzookeeper.skipACL=yes -DtickTime=1000", "JVMFLAGS");
    let text = describe(load_text(&format!("{ALONE}tickTime=500"), Path::new("zoo.cfg"), flags, &Paper(&[])));
    assert!(text.contains("tick: 500ms\n"), "{text}");
    assert!(text.contains("no ACLs"), "{text}");
}

#[test]
fn a_container_takes_its_file_before_its_environment() {
    let environment = |name: &str| (name == "ZOO_TICK_TIME").then(|| "1000".to_owned());
    let from_environment = describe(container::load(&environment, &Paper(&[("/data/myid", "1")])));
    assert!(from_environment.contains("tick: 1s\n"), "{from_environment}");
    let file = [("/conf/zoo.cfg", "tickTime=700\ndataDir=/data\nclientPort=2181")];
    let from_file = describe(container::load(&environment, &Paper(&file)));
    assert!(from_file.contains("tick: 700ms\n"), "{from_file}");
    let wrong = |name: &str| (name == "ZOO_CFG_EXTRA").then(|| "tickTime=never".to_owned());
    assert_eq!(
        describe(container::load(&wrong, &Paper(&[]))),
        "zoo.cfg from the environment:12: `tickTime=never`: it must be a number from 1 to 3600000"
    );
}

mod auth;
