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
const CONTAINERS: Use = Ignored("container znodes are not served yet");
const DISK: Use = Ignored("files on disk are RocksDB's own matter");
const ELECTION: Use = Ignored("members elect by Raft, and speak gRPC");
const GLOBAL: Use = Ignored("every session is global");
const JAVA: Use = Ignored("there is no Java here");
const LOGS: Use = Ignored("what is logged is set by CORRAL_LOG");
const METRICS: Use = Ignored("Prometheus is answered over plain HTTP, and there is no Java to tell of");
const PURGE: Use = Ignored("logs and snapshots are always purged");
const SASL: Use = Ignored("SASL is not served yet");
const SNAPSHOTS: Use = Ignored("the AdminServer neither gives nor takes snapshots yet");
const SYNCED: Use = Ignored("the log is always synced before it is acknowledged");
const THROTTLE: Use = Ignored("a connection's requests are bounded; there is no other throttle yet");
const TLS: Use = Ignored("TLS is not served yet");
const UNVOTING: Use = Ignored("members without a vote are not served yet");
const WATCHES: Use = Ignored("there is one kind of watch table, and it knows all kinds of watch");

/// The table, in the order of the alphabet. A name that ends with `*` stands for all that begin so. The prefix
/// `zookeeper.`, which ZooKeeper gives to its system properties, is not written here.
pub(super) const KEYS: &[(&str, Use)] = &[
    ("4lw.commands.whitelist", Honoured),
    ("DigestAuthenticationProvider.digestAlg", Ignored("digests are SHA-1, as clients make them by default")),
    ("DigestAuthenticationProvider.enabled", Ignored("the scheme `digest` is always served")),
    ("DigestAuthenticationProvider.superDigest", Honoured),
    ("IPAuthenticationProvider.usexforwardedfor", ADMIN),
    ("X509AuthenticationProvider.superUser", TLS),
    ("admin.commandURL", Honoured),
    ("admin.enableServer", Honoured),
    ("admin.forceHttps", OffOnly("TLS is not served yet")),
    ("admin.needClientAuth", OffOnly("TLS is not served yet")),
    ("admin.rateLimiterIntervalInMS", SNAPSHOTS),
    ("admin.restore.enabled", SNAPSHOTS),
    ("admin.serverAddress", Honoured),
    ("admin.serverPort", Honoured),
    ("admin.snapshot.enabled", SNAPSHOTS),
    ("admin.*", ADMIN),
    ("allowSaslFailedClients", SASL),
    ("audit.*", AUDIT),
    ("authProvider.*", Ignored("the schemes are world, digest, auth and ip")),
    ("autopurge.purgeInterval", PURGE),
    ("autopurge.snapRetainCount", PURGE),
    ("client.certReload", TLS),
    ("client.portUnification", TLS),
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
    ("connection_throttle_*", THROTTLE),
    ("console.threshold", LOGS),
    ("corral.electionTimeoutMaxMs", Honoured),
    ("corral.electionTimeoutMinMs", Honoured),
    ("corral.heartbeatMs", Honoured),
    ("corral.lagMax", Honoured),
    ("corral.logKeep", Honoured),
    ("corral.snapshotEvery", Honoured),
    ("corral.syncDelayMs", Honoured),
    ("dataDir", Honoured),
    ("dataLogDir", Honoured),
    ("digest.enabled", Ignored("members compare nothing but the log")),
    ("dynamicConfigFile", Honoured),
    ("electionAlg", ELECTION),
    ("electionPortBindRetry", ELECTION),
    ("emulate353TTLNodes", CONTAINERS),
    ("enforce.auth.enabled", OffOnly("authentication cannot be enforced yet")),
    ("enforce.auth.schemes", Ignored("authentication cannot be enforced yet")),
    ("enforceQuota", Ignored("quotas are not served yet")),
    ("ensembleAuthName", Ignored("the scheme `ensemble` is not served yet")),
    ("extendedTypesEnabled", CONTAINERS),
    ("fastleader.*", ELECTION),
    ("fips-mode", TLS),
    ("flushDelay", Ignored("what waits is written together, and nothing waits for a timer")),
    ("follower.nodelay", ELECTION),
    ("forceSync", SYNCED),
    ("fsync.warningthresholdms", Ignored("slow syncs are not warned of yet")),
    ("globalOutstandingLimit", THROTTLE),
    ("group.*", Refused("every member has one vote: there are no groups")),
    ("initLimit", Honoured),
    ("java.*", JAVA),
    ("jmx.*", JAVA),
    ("jute.maxbuffer", Honoured),
    ("jvm.pause.monitor*", JAVA),
    ("kerberos.*", SASL),
    ("largeRequestMaxBytes", THROTTLE),
    ("largeRequestThreshold", THROTTLE),
    ("leader.*", ELECTION),
    ("leaderServes", Ignored("a leader serves clients too")),
    ("learner.*", ELECTION),
    ("letAnySaslUserDoX", SASL),
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
    ("netty.*", JAVA),
    ("nio.*", JAVA),
    ("observer.*", UNVOTING),
    ("observerMasterPort", UNVOTING),
    ("oraclePath", Refused("two members and an oracle are no quorum")),
    ("peerType", Honoured),
    ("portUnification", TLS),
    ("preAllocSize", DISK),
    ("quorum.auth.enableSasl", OffOnly("members cannot authenticate each other yet")),
    ("quorum.auth.learnerRequireSasl", OffOnly("members cannot authenticate each other yet")),
    ("quorum.auth.serverRequireSasl", OffOnly("members cannot authenticate each other yet")),
    ("quorum.auth.*", SASL),
    ("quorum.cnxn.threads.size", ELECTION),
    ("quorumListenOnAllIPs", Honoured),
    ("readonlymode.enabled", Ignored("a member that finds no leader serves nobody yet")),
    ("reconfigEnabled", Ignored("members cannot be changed at run time yet")),
    ("requestThrottle*", THROTTLE),
    ("request_stale_*", THROTTLE),
    ("request_throttle_*", THROTTLE),
    ("root.logger", LOGS),
    ("sasl.*", SASL),
    ("secureClientPort", TLS),
    ("secureClientPortAddress", TLS),
    ("serializeLastProcessedZxid.enabled", DISK),
    ("server.*", Honoured),
    ("serverCnxnFactory", JAVA),
    ("sessionRequireClientSASLAuth", OffOnly("SASL is not served yet")),
    ("skipACL", Honoured),
    ("snapCount", Mapped),
    ("snapSizeLimitInKb", DISK),
    ("snapshot.*", DISK),
    ("ssl.*", TLS),
    ("sslQuorum", OffOnly("traffic between members cannot be encrypted yet")),
    ("sslQuorumReloadCertFiles", TLS),
    ("standaloneEnabled", Honoured),
    ("superUser*", SASL),
    ("syncEnabled", UNVOTING),
    ("syncLimit", Honoured),
    ("tcpKeepAlive", ELECTION),
    ("throttled_op_wait_time", THROTTLE),
    ("tickTime", Honoured),
    ("txnLogSizeLimitInKb", DISK),
    ("watchManagerName", WATCHES),
    ("watcherClean*", WATCHES),
    ("weight.*", Refused("every member has one vote: there are no weights")),
    ("znode.container.*", CONTAINERS),
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
    KEYS.iter()
        .filter(|(name, _)| !name.ends_with('*'))
        .map(|(name, _)| (strsim::osa_distance(&lower, &name.to_lowercase()), *name))
        .min()
        .filter(|(distance, name)| *distance <= name.len().min(key.len()) / 3)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        check_nearest("corral.heartbeat", Some("corral.heartbeatMs"));
    }
}
