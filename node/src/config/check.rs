//! From the keys that were set to a configuration that holds together.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use consensus::{Reaping, Retention, Timing};
use machine::Rules;
use proto::server_line::{ServerLine, bracketed};
use proto::{MemberId, limits};

use super::error::{ConfigError, Place};
use super::settings::Settings;
use super::surroundings::Surroundings;
use super::throttle::throttle;
use super::{
    AdminConfig, ClientLimits, Config, EnsembleConfig, Listen, SessionConfig, Whitelist, auth, dynamic,
    memory, tls,
};

/// Java's servers leave 50 places for connections that wait to be accepted, too few for the clients of a member
/// that has died and who all come at once.
const BACKLOG: u32 = 1024;

/// ZooKeeper says five minutes, and then takes the number for microseconds: clients are used to what that comes to.
const SNAPSHOT_INTERVAL_MS: u64 = 300;

/// Checks everything, and asks `around` for the files that are named.
pub(super) fn check(settings: &mut Settings, around: &dyn Surroundings) -> Result<Config, ConfigError> {
    let data_dir = folder(settings, "dataDir")?
        .ok_or_else(|| ConfigError::of("`dataDir` is missing: where is the state to be kept?"))?;
    let log_dir = folder(settings, "dataLogDir")?.unwrap_or_else(|| data_dir.clone());
    let tick_ms = settings.number("tickTime", 1..=3_600_000)?.unwrap_or(3000);
    let tick = Duration::from_millis(tick_ms);

    let servers = servers(settings, around)?;
    let standalone_enabled = settings.flag("standaloneEnabled")?.unwrap_or(true);
    let standalone = servers.is_empty() || servers.len() == 1 && standalone_enabled;
    let member = member(&servers, standalone, &data_dir, around)?;
    // Alone, the one server line counts whatever `myid` says, as in ZooKeeper.
    let own = servers.get(&member).or_else(|| servers.values().next().filter(|_| standalone));

    let client_listen = client_listen(settings, own)?;
    if !standalone {
        check_peer_type(settings)?;
    }
    let voters: BTreeMap<MemberId, String> = if standalone {
        BTreeMap::from([(member, String::new())])
    } else {
        servers
            .iter()
            .filter(|(_, line)| !line.observer)
            .map(|(id, line)| (*id, line.address().peer()))
            .collect()
    };
    let observers = servers.iter().filter(|(_, line)| line.observer && !standalone);
    let observers = observers.map(|(id, line)| (*id, line.address().peer())).collect();

    let tls = tls::check(settings, around)?;
    let has_secure_port = tls.as_ref().is_some_and(|tls| tls.listen.is_some());
    let auth = auth::check(settings, around, has_secure_port)?;
    let auth_rules = auth.rules();
    let slow_sync_ms = settings.number("fsync.warningthresholdms", 0..=u64::from(u32::MAX))?;
    let read_only_mode = settings.flag("readonlymode.enabled")?.unwrap_or(false);
    let words = Whitelist::parse(settings.text("4lw.commands.whitelist").unwrap_or("srvr"));
    Ok(Config {
        text: String::new(),
        member,
        standalone,
        client_listen,
        tls,
        session: session(settings, tick_ms)?,
        clients: clients(settings)?,
        throttle: throttle(settings, if standalone { 1 } else { servers.len() })?,
        slow_sync: Duration::from_millis(slow_sync_ms.unwrap_or(1_000)),
        read_only_mode,
        // With this word those who may only read look for a member that serves more.
        words: if read_only_mode { words.and("isro") } else { words },
        admin: admin(settings)?,
        metrics: metrics(settings)?,
        metrics_total_suffix: settings.flag("corral.metricsTotalSuffix")?.unwrap_or(false),
        auth,
        consensus: consensus::Config {
            member,
            boot: rand::random(),
            members: voters,
            observers,
            ensemble: (!standalone).then(|| description(member, &servers)),
            listen: if standalone { None } else { peer_listen(settings, own, around)? },
            data_dir,
            log_dir,
            timing: timing(settings)?,
            tick,
            retention: retention(settings)?,
            sync_delay: settings.millis("corral.syncDelayMs", 10_000)?.unwrap_or_default(),
            rules: rules(settings)? | auth_rules,
            reaping: reaping(settings)?,
            world_bytes_max: memory::world_bytes_max(settings, around)?,
        },
        ensemble: if standalone {
            None
        } else {
            Some(EnsembleConfig {
                init_limit: settings.number("initLimit", 1..=i32::MAX)?.unwrap_or(10),
                sync_limit: settings.number("syncLimit", 1..=i32::MAX)?.unwrap_or(5),
                servers,
            })
        },
    })
}

/// What holds for every write while this member leads.
fn rules(settings: &Settings) -> Result<Rules, ConfigError> {
    let reconfig = settings.flag("reconfigEnabled")?.unwrap_or(false);
    let standalone = settings.flag("standaloneEnabled")?.unwrap_or(true);
    let quota_enforced = settings.flag("enforceQuota")?.unwrap_or(false);
    // ZooKeeper has TTL znodes only where they are asked for, because they take numbers from its servers. Nothing here
    // speaks against them.
    let has_extended_types = settings.flag("extendedTypesEnabled")?.unwrap_or(true);
    Ok(Rules::RECONFIG_ENABLED.when(reconfig)
        | Rules::STANDALONE_DISABLED.when(!standalone)
        | Rules::QUOTA_ENFORCED.when(quota_enforced)
        | Rules::EXTENDED_TYPES_DISABLED.when(!has_extended_types))
}

/// What clients are to read of the members.
fn description(member: MemberId, servers: &BTreeMap<MemberId, ServerLine>) -> consensus::Description {
    let own = servers.get(&member);
    consensus::Description {
        lines: servers.iter().map(|(id, line)| format!("server.{id}={line}")).collect(),
        is_certain: !own.is_some_and(|own| own.address().is_wildcard()),
    }
}

fn folder(settings: &Settings, key: &str) -> Result<Option<PathBuf>, ConfigError> {
    match settings.text(key) {
        Some(text) if text.contains('\0') => Err(settings.wrong(key, "must be a path")),
        text => Ok(text.map(PathBuf::from)),
    }
}

/// The `server.N` lines, of this file or of the one that it names.
fn servers(
    settings: &mut Settings,
    around: &dyn Surroundings,
) -> Result<BTreeMap<MemberId, ServerLine>, ConfigError> {
    if let Some(file) = settings.text("dynamicConfigFile").map(PathBuf::from) {
        if let Some((_, property)) = settings.family("server.").next() {
            let both =
                format!("`{}` stands here, but `dynamicConfigFile` says where members stand", property.key);
            return Err(ConfigError::at(&property.place, both));
        }
        let place = settings.place("dynamicConfigFile").clone();
        settings.add_defaults(dynamic::read(&file, &place, around)?);
    }

    let mut servers = BTreeMap::new();
    let mut taken: BTreeMap<String, MemberId> = BTreeMap::new();
    for (number, property) in settings.family("server.") {
        let refuse =
            |message: String| ConfigError::at(&property.place, format!("server.{number}: {message}"));
        let id = match number.parse::<u64>() {
            Ok(id @ 1..=255) => MemberId::new(id),
            _ => return Err(refuse("members are numbered from 1 to 255".to_owned())),
        };
        let line = ServerLine::parse(&property.value).map_err(refuse)?;
        for address in line.addresses() {
            for port in [address.peer_port, address.election_port] {
                let at = format!("{}:{port}", bracketed(&address.host));
                if let Some(other) = taken.insert(at.clone(), id) {
                    return Err(refuse(format!("{at} is taken by server.{other}")));
                }
            }
        }
        servers.insert(id, line);
    }
    Ok(servers)
}

/// Who this is: the number in `myid`.
fn member(
    servers: &BTreeMap<MemberId, ServerLine>,
    standalone: bool,
    data_dir: &Path,
    around: &dyn Surroundings,
) -> Result<MemberId, ConfigError> {
    let file = data_dir.join("myid");
    let text = match around.read(&file) {
        Ok(text) => text,
        Err(_) if standalone => return Ok(servers.keys().next().copied().unwrap_or_default()),
        Err(error) => {
            let message =
                format!("cannot be read ({error}): it must hold the number of this member's server line");
            return Err(ConfigError::at(&Place::File(file), message));
        }
    };
    let id = text.trim().parse().map(MemberId::new).map_err(|_| {
        ConfigError::at(
            &Place::File(file.clone()),
            format!("`{}` is not the number of a member", text.trim()),
        )
    })?;
    if !standalone && !servers.contains_key(&id) {
        let known: Vec<String> = servers.keys().map(|id| format!("server.{id}")).collect();
        let message = format!("this is member {id}, but there are only {}", known.join(", "));
        return Err(ConfigError::at(&Place::File(file), message));
    }
    Ok(id)
}

/// `peerType` must say something; the server line goes before it, as in ZooKeeper.
fn check_peer_type(settings: &Settings) -> Result<(), ConfigError> {
    match settings.text("peerType").map(str::to_ascii_lowercase).as_deref() {
        None | Some("participant" | "observer") => Ok(()),
        Some(_) => Err(settings.wrong("peerType", "must be `participant` or `observer`")),
    }
}

/// Where clients are listened to: `clientPort`, or the client part of the own server line.
fn client_listen(settings: &Settings, own: Option<&ServerLine>) -> Result<Listen, ConfigError> {
    let port = settings.number("clientPort", 0..=u16::MAX)?;
    let host = settings.text("clientPortAddress");
    let line = own.and_then(|line| line.client.as_ref());
    let clash = |key: &str, there: &str| {
        ConfigError::at(
            settings.place(key),
            format!(
                "`{key}` says {}, but this member's server line says {there}",
                settings.text(key).unwrap_or("")
            ),
        )
    };
    match (port, line) {
        (None, None) if settings.text("clientPortAddress").is_some() => Err(ConfigError::at(
            settings.place("clientPortAddress"),
            "`clientPortAddress` needs `clientPort`",
        )),
        (None, None) => {
            Err(ConfigError::of("`clientPort` is missing, and no server line names one for this member"))
        }
        (Some(port), None) => Ok(Listen { host: host.unwrap_or("0.0.0.0").to_owned(), port }),
        (Some(port), Some(line)) if port != line.port => Err(clash("clientPort", &line.port.to_string())),
        (_, Some(line)) => match host {
            Some(host) if host != line.host => Err(clash("clientPortAddress", &line.host)),
            _ => Ok(Listen { host: line.host.clone(), port: line.port }),
        },
    }
}

/// Where peers are listened to. The own host name is not always one that this machine can listen on: in a
/// container network it may belong to a proxy in front.
fn peer_listen(
    settings: &Settings,
    own: Option<&ServerLine>,
    around: &dyn Surroundings,
) -> Result<Option<String>, ConfigError> {
    let everywhere = settings.flag("quorumListenOnAllIPs")?.unwrap_or(false);
    Ok(own.map(|line| {
        let address = line.address();
        let host = match (everywhere || !around.is_own(&address.host), address.host.contains(':')) {
            (false, _) => bracketed(&address.host),
            (true, false) => "0.0.0.0".to_owned(),
            (true, true) => "[::]".to_owned(),
        };
        format!("{host}:{}", address.peer_port)
    }))
}

fn session(settings: &Settings, tick_ms: u64) -> Result<SessionConfig, ConfigError> {
    let longest = i64::from(i32::MAX);
    let or_ticks = |key: &str, ticks: u64| -> Result<Duration, ConfigError> {
        let given = settings.number(key, -1..=longest)?.and_then(|ms| u64::try_from(ms).ok());
        Ok(Duration::from_millis(given.unwrap_or(ticks * tick_ms)))
    };
    let timeout_min = or_ticks("minSessionTimeout", 2)?;
    let timeout_max = or_ticks("maxSessionTimeout", 20)?;
    if timeout_min > timeout_max {
        let (min, max) = (timeout_min.as_millis(), timeout_max.as_millis());
        let key = if settings.text("minSessionTimeout").is_some() {
            "minSessionTimeout"
        } else {
            "maxSessionTimeout"
        };
        let message =
            format!("the shortest session timeout ({min} ms) is longer than the longest ({max} ms)");
        return Err(ConfigError::at(settings.place(key), message));
    }
    Ok(SessionConfig { tick: Duration::from_millis(tick_ms), timeout_min, timeout_max })
}

/// The AdminServer. Java's listens on all interfaces; ours answers whoever asks, so it does on loopback, unless told
/// otherwise.
fn admin(settings: &Settings) -> Result<Option<AdminConfig>, ConfigError> {
    let host = settings.text("admin.serverAddress").unwrap_or("127.0.0.1").to_owned();
    let port = settings.number("admin.serverPort", 0..=u16::MAX)?.unwrap_or(8080);
    let commands_url = settings.text("admin.commandURL").unwrap_or("/commands").to_owned();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~/".contains(c);
    let steps = commands_url.strip_prefix('/').map(|rest| rest.split('/').all(|step| !step.is_empty()));
    if steps != Some(true) || !commands_url.chars().all(is_plain) || commands_url == "/metrics" {
        return Err(settings.wrong("admin.commandURL", "must be a path such as `/commands`"));
    }
    let wanted = settings.flag("admin.enableServer")?.unwrap_or(true);
    let gives_snapshots = settings.flag("admin.snapshot.enabled")?.unwrap_or(true);
    let interval = settings.number("admin.rateLimiterIntervalInMS", 0..=u64::from(u32::MAX))?;
    let snapshot_interval = Duration::from_millis(interval.unwrap_or(SNAPSHOT_INTERVAL_MS));
    let listen = Listen { host, port };
    Ok(wanted.then_some(AdminConfig { listen, commands_url, gives_snapshots, snapshot_interval }))
}

/// Where Prometheus is listened to, if ZooKeeper's provider for it is named.
fn metrics(settings: &mut Settings) -> Result<Option<Listen>, ConfigError> {
    let host = settings.text("metricsProvider.httpHost").unwrap_or("0.0.0.0").to_owned();
    let port = settings.number("metricsProvider.httpPort", 0..=u16::MAX)?.unwrap_or(7000);
    let Some(class) = settings.text("metricsProvider.className") else { return Ok(None) };
    match class.rsplit('.').next() {
        Some("PrometheusMetricsProvider") => Ok(Some(Listen { host, port })),
        Some("DefaultMetricsProvider" | "NullMetricsProvider") => Ok(None),
        _ => {
            let text =
                "only PrometheusMetricsProvider is known: metrics are told by `mntr` and the AdminServer";
            settings.note_once("metricsProvider.className", text);
            Ok(None)
        }
    }
}

fn clients(settings: &Settings) -> Result<ClientLimits, ConfigError> {
    // What one client sends must fit into one message between members, with room for what goes around it.
    let frame_max = limits::PEER_MESSAGE_BYTES_MAX / 2;
    Ok(ClientLimits {
        per_address: settings.number("maxClientCnxns", 0..=usize::MAX)?.unwrap_or(60),
        total: settings.number("maxCnxns", 0..=usize::MAX)?.unwrap_or(0),
        frame_bytes: frame_bytes(settings, frame_max)?.unwrap_or(limits::FRAME_BYTES_MAX),
        backlog: settings
            .number("clientPortListenBacklog", -1..=i64::from(u16::MAX))?
            .and_then(|backlog| u32::try_from(backlog).ok())
            .filter(|backlog| *backlog > 0)
            .unwrap_or(BACKLOG),
    })
}

/// `jute.maxbuffer` may be written as Java writes numbers, such as `0x9fffff`.
fn frame_bytes(settings: &Settings, max: usize) -> Result<Option<usize>, ConfigError> {
    let key = "jute.maxbuffer";
    let Some(hex) =
        settings.text(key).and_then(|text| text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")))
    else {
        return settings.number(key, 1..=max);
    };
    match usize::from_str_radix(hex, 16) {
        Ok(bytes) if (1..=max).contains(&bytes) => Ok(Some(bytes)),
        _ => Err(settings.wrong(key, &format!("must be a number from 1 to {max}"))),
    }
}

fn reaping(settings: &Settings) -> Result<Reaping, ConfigError> {
    let defaults = Reaping::default();
    let key = |name: &str| format!("znode.container.{name}");
    let interval = settings.number(&key("checkIntervalMs"), 1..=u64::from(u32::MAX))?;
    Ok(Reaping {
        check_interval: interval.map_or(defaults.check_interval, Duration::from_millis),
        per_minute_max: settings
            .number(&key("maxPerMinute"), 1..=u32::MAX)?
            .unwrap_or(defaults.per_minute_max),
        never_used_ms: settings
            .number(&key("maxNeverUsedIntervalMs"), 0..=i64::MAX)?
            .unwrap_or(defaults.never_used_ms),
    })
}

fn timing(settings: &Settings) -> Result<Timing, ConfigError> {
    let defaults = Timing::default();
    let millis = |key: &str, default: Duration| -> Result<Duration, ConfigError> {
        Ok(settings.number(key, 1..=600_000)?.map_or(default, Duration::from_millis))
    };
    let heartbeat = millis("corral.heartbeatMs", defaults.heartbeat)?;
    let election_min = millis("corral.electionTimeoutMinMs", defaults.election_min)?;
    let election_max = millis("corral.electionTimeoutMaxMs", defaults.election_max)?;
    if heartbeat >= election_min || election_min >= election_max {
        let (beat, min, max) = (heartbeat.as_millis(), election_min.as_millis(), election_max.as_millis());
        return Err(ConfigError::of(format!(
            "a leader is heard of every {beat} ms and replaced after {min} to {max} ms of silence: \
             corral.heartbeatMs, corral.electionTimeoutMinMs and corral.electionTimeoutMaxMs must grow in this order"
        )));
    }
    Ok(Timing { heartbeat, election_min, election_max })
}

fn retention(settings: &Settings) -> Result<Retention, ConfigError> {
    let defaults = Retention::default();
    let snapshot_every = match settings.number("corral.snapshotEvery", 1..=u64::MAX / 4)? {
        Some(every) => every,
        None => settings.number("snapCount", 2..=u64::MAX / 4)?.unwrap_or(defaults.snapshot_every),
    };
    let keep = settings.number("corral.logKeep", 0..=u64::MAX / 4)?.unwrap_or(defaults.keep);
    let mebibytes = settings.number("corral.logMaxMiB", 8..=u64::MAX >> 20)?;
    let bytes_max = mebibytes.map_or(defaults.bytes_max, |mebibytes| mebibytes << 20);
    Ok(Retention { snapshot_every, keep, bytes_max })
}
