//! Every key that ZooKeeper or Corral knows, with what we do with it.

/// What is done with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// It means here what it means in ZooKeeper, or it is ours.
    Honoured,
    /// It decides something of ours that serves the same purpose.
    Mapped,
    /// It has no effect, for this reason.
    Ignored(&'static str),
    /// It has no effect, for this reason; and whoever relies on its being `true` would be without protection.
    OffOnly(&'static str),
    /// It may not be set, for this reason: the ensemble would not be the one that was asked for.
    Refused(&'static str),
}

use Use::{Honoured, Ignored, Mapped, OffOnly, Refused};

const ADMIN: Use =
    Ignored("the AdminServer speaks plain HTTP and answers each question on a connection of its own");
const AUDIT: Use = Ignored("there is no audit log yet");
const CACHE: Use = Ignored("replies are not cached: encoding them is cheap");
const DISK: Use = Ignored("files on disk are RocksDB's own matter");
const ELECTION: Use = Ignored("members elect by Raft, and speak gRPC");
const GLOBAL: Use = Ignored("every session is global, but those of read-only mode");
const JAVA: Use = Ignored("there is no Java here");
const KERBEROS: Use = Ignored("Kerberos is not served");
const LOGS: Use = Ignored("what is logged is set by CORRAL_LOG");
const METRICS: Use = Ignored("Prometheus is answered over plain HTTP, and there is no Java to tell of");
const PEERS: Use = Ignored("traffic between members cannot be encrypted yet");
const PURGE: Use = Ignored("logs and snapshots are always purged");
const STALE: Use = Ignored("requests that wait are always dropped when their connection ends");
const SYNCED: Use = Ignored("the log is always synced before it is acknowledged");
const UNVOTING: Use = Ignored("members without a vote follow the leader like any other, and sync their log");
const WATCHES: Use = Ignored("there is one kind of watch table, and it knows all kinds of watch");

/// The table, in the order of the alphabet. A name that ends with `*` stands for all that begin so. The prefix
/// `zookeeper.`, which ZooKeeper gives to its system properties, is not written here.
pub(super) const KEYS: &[(&str, Use)] = &[
    ("4lw.commands.whitelist", Honoured),
    ("DigestAuthenticationProvider.digestAlg", Honoured),
    ("DigestAuthenticationProvider.enabled", Honoured),
    ("DigestAuthenticationProvider.superDigest", Honoured),
    ("IPAuthenticationProvider.usexforwardedfor", ADMIN),
    ("SASLAuthenticationProvider.superPassword", Honoured),
    ("X509AuthenticationProvider.superUser", Honoured),
    ("admin.commandURL", Honoured),
    ("admin.enableServer", Honoured),
    ("admin.forceHttps", OffOnly("the AdminServer does not speak TLS")),
    ("admin.needClientAuth", OffOnly("the AdminServer does not speak TLS")),
    ("admin.rateLimiterIntervalInMS", Honoured),
    (
        "admin.restore.enabled",
        Ignored("a backup is restored by `corral restore`, while the members do not run"),
    ),
    ("admin.serverAddress", Honoured),
    ("admin.serverPort", Honoured),
    ("admin.snapshot.enabled", Honoured),
    ("admin.*", ADMIN),
    ("allowSaslFailedClients", Honoured),
    ("audit.*", AUDIT),
    ("authProvider.*", Honoured),
    ("autopurge.purgeInterval", PURGE),
    ("autopurge.snapRetainCount", PURGE),
    ("client.certReload", Ignored("certificates are read when the member starts")),
    ("client.portUnification", Honoured),
    ("clientPort", Honoured),
    ("clientPortAddress", Honoured),
    ("clientPortListenBacklog", Honoured),
    ("clientTcpKeepAlive", Ignored("a silent connection is closed when its session's timeout is over")),
    (
        "closeSessionTxn.enabled",
        Ignored("closing a session is always one transaction with all that goes with it"),
    ),
    ("cnxTimeout", ELECTION),
    ("commitLogCount", Ignored("how much log is kept for members that were away is set by corral.logKeep")),
    ("commitProcessor.*", Ignored("there is no such queue here")),
    ("connectToLearnerMasterLimit", ELECTION),
    ("connectionDecreaseRatio", Honoured),
    ("connectionDropDecrease", Honoured),
    ("connectionDropIncrease", Honoured),
    ("connectionFreezeTime", Honoured),
    ("connectionMaxTokens", Honoured),
    ("connectionTokenFillCount", Honoured),
    ("connectionTokenFillTime", Honoured),
    ("connection_throttle_decrease_ratio", Honoured),
    ("connection_throttle_drop_decrease", Honoured),
    ("connection_throttle_drop_increase", Honoured),
    ("connection_throttle_fill_count", Honoured),
    ("connection_throttle_fill_time", Honoured),
    ("connection_throttle_freeze_time", Honoured),
    ("connection_throttle_global_session_weight", Honoured),
    ("connection_throttle_local_session_weight", GLOBAL),
    ("connection_throttle_renew_session_weight", Honoured),
    ("connection_throttle_tokens", Honoured),
    ("connection_throttle_weight_enabled", Honoured),
    ("console.threshold", LOGS),
    ("corral.electionTimeoutMaxMs", Honoured),
    ("corral.electionTimeoutMinMs", Honoured),
    ("corral.heartbeatMs", Honoured),
    ("corral.logKeep", Honoured),
    ("corral.logMaxMiB", Honoured),
    ("corral.memoryMaxMiB", Honoured),
    ("corral.metricsTotalSuffix", Honoured),
    ("corral.snapshotEvery", Honoured),
    ("corral.syncDelayMs", Honoured),
    ("dataDir", Honoured),
    ("dataLogDir", Honoured),
    ("digest.enabled", Ignored("members compare nothing but the log")),
    ("dynamicConfigFile", Honoured),
    ("electionAlg", ELECTION),
    ("electionPortBindRetry", ELECTION),
    ("emulate353TTLNodes", Ignored("no TTL znode here was written by ZooKeeper 3.5.3")),
    ("enforce.auth.enabled", Honoured),
    ("enforce.auth.schemes", Honoured),
    ("enforceQuota", Honoured),
    ("ensembleAuthName", Honoured),
    ("extendedTypesEnabled", Honoured),
    ("fastleader.*", ELECTION),
    ("fips-mode", Ignored("users of the JAAS file prove their passwords by DIGEST-MD5, as to ZooKeeper 3.9")),
    ("flushDelay", Ignored("what waits is written together, and nothing waits for a timer")),
    ("follower.nodelay", ELECTION),
    ("forceSync", SYNCED),
    ("fsync.warningthresholdms", Honoured),
    ("globalOutstandingLimit", Honoured),
    ("group.*", Refused("every member has one vote: there are no groups")),
    ("initLimit", Honoured),
    ("java.security.auth.login.config", Honoured),
    ("java.*", JAVA),
    ("jmx.*", JAVA),
    ("jute.maxbuffer", Honoured),
    ("jvm.pause.monitor*", JAVA),
    ("kerberos.removeHostFromPrincipal", Honoured),
    ("kerberos.removeRealmFromPrincipal", Honoured),
    ("kerberos.*", KERBEROS),
    ("largeRequestMaxBytes", Honoured),
    ("largeRequestThreshold", Honoured),
    ("leader.*", ELECTION),
    ("leaderServes", Ignored("a leader serves clients too")),
    ("learner.*", ELECTION),
    ("letAnySaslUserDoX", Honoured),
    ("localSessionsEnabled", GLOBAL),
    ("localSessionsUpgradingEnabled", GLOBAL),
    ("log.*", LOGS),
    ("maxBatchSize", Ignored("what waits is written together, up to a bound of its own")),
    ("maxClientCnxns", Honoured),
    ("maxCnxns", Honoured),
    ("maxGetChildrenResponseCacheSize", CACHE),
    ("maxResponseCacheSize", CACHE),
    ("maxSessionTimeout", Honoured),
    ("maxTimeToWaitForEpoch", ELECTION),
    ("maxWriteQueuePollTime", Ignored("what waits is written together, and nothing waits for a timer")),
    ("metricsProvider.className", Honoured),
    ("metricsProvider.httpHost", Honoured),
    ("metricsProvider.httpPort", Honoured),
    ("metricsProvider.*", METRICS),
    ("minSessionTimeout", Honoured),
    ("multiAddress.*", Ignored("of several addresses of a member the first is used")),
    ("netty.server.outstandingHandshake.limit", Honoured),
    ("netty.*", JAVA),
    ("nio.*", JAVA),
    ("observer.*", UNVOTING),
    ("observerMasterPort", UNVOTING),
    ("oraclePath", Refused("two members and an oracle are no quorum")),
    ("peerType", Honoured),
    ("portUnification", PEERS),
    ("preAllocSize", DISK),
    ("quorum.auth.enableSasl", OffOnly("members cannot authenticate each other yet")),
    ("quorum.auth.learnerRequireSasl", OffOnly("members cannot authenticate each other yet")),
    ("quorum.auth.serverRequireSasl", OffOnly("members cannot authenticate each other yet")),
    ("quorum.auth.*", Ignored("members do not authenticate each other yet")),
    ("quorum.cnxn.threads.size", ELECTION),
    ("quorumListenOnAllIPs", Honoured),
    ("readonlymode.enabled", Honoured),
    ("reconfigEnabled", Honoured),
    ("requestStaleConnectionCheck", STALE),
    ("requestStaleLatencyCheck", Honoured),
    ("requestThrottleDropStale", Honoured),
    ("requestThrottleLimit", Honoured),
    ("requestThrottleStallTime", Honoured),
    ("request_stale_connection_check", STALE),
    ("request_stale_latency_check", Honoured),
    ("request_throttle_drop_stale", Honoured),
    ("request_throttle_max_requests", Honoured),
    ("request_throttle_stall_time", Honoured),
    ("root.logger", LOGS),
    ("sasl.serverconfig", Honoured),
    ("sasl.*", Ignored("it is for clients")),
    ("secureClientPort", Honoured),
    ("secureClientPortAddress", Honoured),
    ("serializeLastProcessedZxid.enabled", DISK),
    ("server.*", Honoured),
    ("serverCnxnFactory", JAVA),
    ("sessionRequireClientSASLAuth", Honoured),
    ("skipACL", Honoured),
    ("snapCount", Mapped),
    ("snapSizeLimitInKb", DISK),
    ("snapshot.*", DISK),
    ("ssl.authProvider", Honoured),
    ("ssl.ciphersuites", Honoured),
    ("ssl.clientAuth", Honoured),
    ("ssl.clientHostnameVerification", OffOnly("clients' certificates are not held against their addresses")),
    ("ssl.crl", OffOnly("lists of revoked certificates are not looked at")),
    ("ssl.enabledProtocols", Honoured),
    ("ssl.handshakeDetectionTimeoutMillis", Honoured),
    ("ssl.keyStore.location", Honoured),
    ("ssl.keyStore.password", Honoured),
    ("ssl.keyStore.passwordPath", Honoured),
    ("ssl.keyStore.type", Honoured),
    ("ssl.ocsp", OffOnly("nobody is asked whether certificates have been revoked")),
    ("ssl.protocol", Honoured),
    ("ssl.quorum.*", PEERS),
    ("ssl.trustStore.location", Honoured),
    ("ssl.trustStore.password", Honoured),
    ("ssl.trustStore.passwordPath", Honoured),
    ("ssl.trustStore.type", Honoured),
    ("ssl.*", Ignored("TLS is not Java's here")),
    ("sslQuorum", OffOnly("traffic between members cannot be encrypted yet")),
    ("sslQuorumReloadCertFiles", PEERS),
    ("standaloneEnabled", Honoured),
    ("superUser*", Honoured),
    ("syncEnabled", UNVOTING),
    ("syncLimit", Honoured),
    ("tcpKeepAlive", ELECTION),
    ("throttledOpWaitTime", Honoured),
    ("throttled_op_wait_time", Honoured),
    ("tickTime", Honoured),
    ("txnLogSizeLimitInKb", DISK),
    ("watchManagerName", WATCHES),
    ("watcherClean*", WATCHES),
    ("weight.*", Refused("every member has one vote: there are no weights")),
    ("znode.container.checkIntervalMs", Honoured),
    ("znode.container.maxNeverUsedIntervalMs", Honoured),
    ("znode.container.maxPerMinute", Honoured),
];

/// The key without the prefix that ZooKeeper gives to its system properties.
pub(super) fn unprefixed(key: &str) -> &str {
    key.strip_prefix("zookeeper.").unwrap_or(key)
}

/// What is done with a key, given without prefix; `None` if nobody knows it.
pub(super) fn look_up(key: &str) -> Option<Use> {
    // An exact name goes before a family, whatever their order.
    let exact = KEYS.iter().find(|(name, _)| *name == key);
    let family =
        || KEYS.iter().find(|(name, _)| name.strip_suffix('*').is_some_and(|stem| key.starts_with(stem)));
    exact.or_else(family).map(|(_, usage)| *usage)
}

/// The known key that is most like an unknown one, if any is much like it.
pub(super) fn nearest(key: &str) -> Option<&'static str> {
    let lower = key.to_lowercase();
    let letters = lower.chars().count();
    let most = |name: &str| name.len().min(key.len()) / 3;
    KEYS.iter()
        .filter(|(name, _)| !name.ends_with('*'))
        // The letters that one has more than the other are so many steps at least. To count the rest of them takes as long as
        // both lengths multiplied, and a file may hold thousands of keys, or one of thousands of letters.
        .filter(|(name, _)| name.len().abs_diff(letters) <= most(name))
        .map(|(name, _)| (strsim::osa_distance(&lower, &name.to_lowercase()), *name))
        .min()
        .filter(|(distance, name)| *distance <= most(name))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// The table in the README.
    fn table() -> String {
        let mut honoured = Vec::new();
        let mut mapped = Vec::new();
        let mut others: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
        for (name, usage) in KEYS {
            match usage {
                Honoured => honoured.push(*name),
                Mapped => mapped.push(*name),
                Ignored(reason) => others.entry(("ignored", reason)).or_default().push(name),
                OffOnly(reason) => others.entry(("may not be `true`", reason)).or_default().push(name),
                Refused(reason) => others.entry(("refused", reason)).or_default().push(name),
            }
        }
        let list =
            |names: &[&str]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let mut text = "| keys | what is done with them |\n|---|---|\n".to_owned();
        text += &format!("| {} | they count |\n", list(&honoured));
        text += &format!("| {} | for something of ours that serves the same purpose |\n", list(&mapped));
        for ((what, reason), names) in others {
            text += &format!("| {} | {what}: {reason} |\n", list(&names));
        }
        text
    }

    #[test]
    fn the_readme_tells_of_every_key() {
        const BEGIN: &str = "<!-- keys of zoo.cfg, from node/src/config/keys.rs by `make bless` -->\n";
        const END: &str = "<!-- end of keys -->\n";
        let readme = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
        let text = std::fs::read_to_string(&readme).expect("the README");
        let (before, rest) = text.split_once(BEGIN).expect("the README has a place for the keys");
        let (written, behind) = rest.split_once(END).expect("the keys in the README have an end");
        if std::env::var_os("UPDATE_GOLDENFILES").is_some() {
            std::fs::write(&readme, [before, BEGIN, &table(), END, behind].concat())
                .expect("the README is written");
        } else {
            assert!(
                written == table(),
                "README.md tells something else of the keys than keys.rs: `make bless`"
            );
        }
    }

    #[test]
    fn no_key_stands_twice_and_all_are_in_order() {
        for pair in KEYS.windows(2) {
            let order = |name: &str| name.replace('*', "~");
            assert!(order(pair[0].0) < order(pair[1].0), "{} before {}", pair[0].0, pair[1].0);
        }
    }

    #[test]
    fn an_exact_name_goes_before_its_family() {
        assert!(matches!(look_up("quorum.auth.enableSasl"), Some(OffOnly(_))));
        assert!(matches!(look_up("quorum.auth.kerberos.servicePrincipal"), Some(Ignored(_))));
        assert_eq!(look_up("server.7"), Some(Honoured));
        assert_eq!(look_up("tickTmie"), None);
    }

    #[track_caller]
    fn check_nearest(key: &str, expected: Option<&str>) {
        assert_eq!(nearest(key), expected, "nearest to `{key}`");
    }

    #[test]
    fn the_nearest_key_is_one_that_was_meant() {
        check_nearest("tickTmie", Some("tickTime"));
        check_nearest("dataDirectory", None);
        check_nearest("datadir", Some("dataDir"));
        check_nearest("maxClientConnections", None);
        check_nearest("maxClientCnxn", Some("maxClientCnxns"));
        check_nearest("x", None);
        check_nearest(&"tickTime".repeat(100_000), None);
        check_nearest("corral.heartbeat", Some("corral.heartbeatMs"));
    }
}
