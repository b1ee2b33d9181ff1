//! The AdminServer's commands: what each is, and whether it may be answered (PROTOCOL, section "AdminServer").
use consensus::{Compared, Leaderless};
use serde_json::{Map, Value, json};

use super::answers;
use super::deed::{Credentials, Deed};
use super::report::{NOT_SERVING, Report};
use super::watching::Form;
use crate::serving::Serving;

/// A command of the AdminServer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// The settings of this member.
    Configuration,
    /// Begins anew to count what each connection does.
    ConnectionStatReset,
    /// Its connections, in full.
    Connections,
    /// The digests of all members, which have yet to be asked for: ours alone.
    Digest,
    /// Bytes of state and log.
    Dirs,
    /// Sessions and ephemerals.
    Dump,
    /// The process and its machine.
    Environment,
    /// The mask of what is traced.
    GetTraceMask,
    /// Digests of the world: none are kept.
    Hash,
    /// The text of the configuration.
    InitialConfiguration,
    /// May be written here?
    IsReadOnly,
    /// When the state on disk was made firm.
    LastSnapshot,
    /// Who leads.
    Leader,
    /// Numbers for monitoring.
    Monitor,
    /// Begins anew to count what observers do: there are none.
    ObserverStatReset,
    /// Members that do not vote.
    Observers,
    /// Takes a backup: not served while the member runs.
    Restore,
    /// Is the process there?
    Ruok,
    /// What this member is and does.
    ServerStats,
    /// Sets the mask of what is traced.
    SetTraceMask,
    /// Gives a backup.
    Snapshot,
    /// Begins anew to count what all connections do.
    StatReset,
    /// What it is and does, with its connections.
    Stats,
    /// What Java calls the properties of the system.
    SystemProperties,
    /// The members.
    VotingView,
    /// Who waits for what, in one of its forms.
    Watching(Form),
    /// What part it has in the ensemble.
    ZabState,
}

/// All commands, each with its names: the first is the one that it is answered under. In the order of these.
pub(super) const COMMANDS: [(Command, &[&str]); 29] = [
    (Command::Configuration, &["configuration", "conf", "config"]),
    (Command::ConnectionStatReset, &["connection_stat_reset", "crst"]),
    (Command::Connections, &["connections", "cons"]),
    (Command::Digest, &["digest"]),
    (Command::Dirs, &["dirs"]),
    (Command::Dump, &["dump"]),
    (Command::Environment, &["environment", "env", "envi"]),
    (Command::GetTraceMask, &["get_trace_mask", "gtmk"]),
    (Command::Hash, &["hash"]),
    (Command::InitialConfiguration, &["initial_configuration", "icfg"]),
    (Command::IsReadOnly, &["is_read_only", "isro"]),
    (Command::LastSnapshot, &["last_snapshot", "lsnp"]),
    (Command::Leader, &["leader", "lead"]),
    (Command::Monitor, &["monitor", "mntr"]),
    (Command::ObserverStatReset, &["observer_connection_stat_reset", "orst"]),
    (Command::Observers, &["observers", "obsr"]),
    (Command::Restore, &["restore", "rest"]),
    (Command::Ruok, &["ruok"]),
    (Command::ServerStats, &["server_stats", "srvr"]),
    (Command::SetTraceMask, &["set_trace_mask", "stmk"]),
    (Command::Snapshot, &["snapshot", "snap"]),
    (Command::StatReset, &["stat_reset", "srst"]),
    (Command::Stats, &["stats", "stat"]),
    (Command::SystemProperties, &["system_properties", "sysp"]),
    (Command::VotingView, &["voting_view"]),
    (Command::Watching(Form::Summary), &["watch_summary", "wchs"]),
    (Command::Watching(Form::BySession), &["watches", "wchc"]),
    (Command::Watching(Form::ByPath), &["watches_by_path", "wchp"]),
    (Command::ZabState, &["zabstate"]),
];

/// Who asks, and how.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Asking<'a> {
    /// Whether by POST.
    pub(super) posts: bool,
    /// What stands behind the `streaming=` of the question.
    pub(super) streaming: Option<&'a str>,
    /// What stands behind the `stale=` of the question.
    pub(super) stale: Option<&'a str>,
    /// What stands behind the `traceMask=` of the question.
    pub(super) trace_mask: Option<&'a str>,
    /// What came of the credentials of the question.
    pub(super) credentials: Credentials,
}

/// What a command is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// This, whole, with this status of HTTP.
    Json(u16, String),
    /// This, when that has been done.
    Done(Deed, String),
    /// What all sessions wait for, which has yet to be gathered; with the command's name.
    Watching(&'static str, Form),
    /// Sessions and ephemerals, which have yet to be gathered; with the command's name.
    Dump(&'static str),
    /// What all members have at one place of the log, which they have yet to be asked; with the command's name.
    Digest(&'static str),
    /// A backup, whole or only what it would be, which has yet to be made; with the command's name and what is to be done
    /// without a leader.
    Snapshot(&'static str, bool, Leaderless),
    /// It cannot be asked so.
    WrongMethod,
}

/// Answers the command of this name. That there is none, or that the member does not serve, is an answer too.
pub(super) fn answer(name: &str, asking: Asking<'_>, report: &Report<'_>) -> Answer {
    let found = COMMANDS.iter().find(|(_, names)| names.contains(&name));
    let Some((command, [primary, ..])) = found else {
        return refused(200, name, &format!("Unknown command: {name}"));
    };
    // Who has lost the others for good wants what this one has.
    let is_last_resort = *command == Command::Snapshot && asking.leaderless() == Leaderless::Stale;
    if report.serving == Serving::No && command.needs_serving() && !is_last_resort {
        return refused(200, name, NOT_SERVING);
    }
    if matches!(command, Command::Snapshot | Command::Restore) {
        return of_operators(*command, primary, asking, report);
    }
    if asking.posts {
        return Answer::WrongMethod;
    }
    let says = match command {
        Command::Watching(form) => return Answer::Watching(primary, *form),
        Command::Dump => return Answer::Dump(primary),
        Command::Digest => return Answer::Digest(primary),
        Command::ConnectionStatReset => {
            return Answer::Done(Deed::ResetConnections, told(primary, json!({})));
        }
        Command::StatReset => return Answer::Done(Deed::ResetStats, told(primary, json!({}))),
        Command::SetTraceMask => return set_trace_mask(primary, asking.trace_mask),
        Command::Leader if report.config.standalone => {
            return refused(200, primary, "server is not initialized");
        }
        Command::ObserverStatReset | Command::Ruok | Command::Snapshot | Command::Restore => json!({}),
        Command::Configuration => answers::configuration(report.config),
        Command::Connections => answers::connections(report),
        Command::Dirs => {
            json!({ "datadir_size": report.host.data_bytes, "logdir_size": report.host.log_bytes })
        }
        Command::Environment => answers::environment(report),
        Command::GetTraceMask => json!({ "tracemask": report.trace_mask }),
        Command::Hash => json!({ "digests": [] }),
        Command::InitialConfiguration => json!({ "initial_configuration": report.config.text }),
        Command::IsReadOnly => json!({ "read_only": report.serving == Serving::ReadOnly }),
        Command::LastSnapshot => answers::last_snapshot(report),
        Command::Leader => answers::leader(report),
        Command::Monitor => answers::monitor(report),
        Command::Observers => json!({ "synced_observers": report.status.observers_in_step, "observers": [] }),
        Command::ServerStats => answers::server_stats(report),
        Command::Stats => answers::stats(report),
        Command::SystemProperties => answers::system_properties(report),
        Command::VotingView => answers::voting_view(report),
        Command::ZabState => answers::zab_state(report),
    };
    Answer::Json(200, told(primary, says))
}

/// Links to all commands.
pub(super) fn links(commands_url: &str) -> String {
    let link = |name: &str| format!("<a href=\"{commands_url}/{name}\">{name}</a>\n<br/>\n");
    COMMANDS.iter().filter_map(|(_, names)| names.first()).map(|name| link(name)).collect()
}

/// What came of asking all members for their digests.
pub(super) fn digests(command: &str, asked: Result<Vec<Compared>, String>) -> String {
    let members = match asked {
        Ok(members) => members,
        Err(error) => return put(command, Value::from(error), json!({})),
    };
    let found = |compared: &Compared| match &compared.found {
        Ok(found) => json!({
            "member": compared.member.get(),
            "term": found.term,
            "index": found.index,
            "zxid": found.zxid.to_string(),
            "digest": format!("{:016x}", found.digest),
            "records": found.records,
        }),
        Err(error) => json!({ "member": compared.member.get(), "error": error }),
    };
    told(command, json!({ "members": members.iter().map(found).collect::<Vec<_>>() }))
}

/// What a command answers, when all is well.
pub(super) fn told(command: &str, says: Value) -> String {
    put(command, Value::Null, says)
}

impl Command {
    const fn needs_serving(self) -> bool {
        !matches!(
            self,
            Self::Environment
                | Self::GetTraceMask
                | Self::Monitor
                | Self::SetTraceMask
                | Self::SystemProperties
                | Self::ZabState
        )
    }
}

/// What only those may ask who may do everything at the root.
fn of_operators(command: Command, name: &'static str, asking: Asking<'_>, report: &Report<'_>) -> Answer {
    match asking.credentials {
        Credentials::None => refused(401, name, "Auth info is missing for the command"),
        Credentials::Wrong => refused(401, name, "Not authenticated"),
        Credentials::NotEnough => refused(403, name, "Not authorized"),
        Credentials::Enough if asking.posts != (command == Command::Restore) => Answer::WrongMethod,
        Credentials::Enough if command == Command::Restore => {
            refused(503, name, "disabled: stop the members and use `corral restore`")
        }
        Credentials::Enough if !report.config.admin.as_ref().is_some_and(|admin| admin.gives_snapshots) => {
            refused(503, name, "disabled: admin.snapshot.enabled=false")
        }
        Credentials::Enough => {
            Answer::Snapshot(name, asking.streaming.is_none_or(is_true), asking.leaderless())
        }
    }
}

impl Asking<'_> {
    /// What is to be done if there is no leader.
    fn leaderless(self) -> Leaderless {
        if self.stale.is_some_and(is_true) { Leaderless::Stale } else { Leaderless::Refused }
    }
}

fn is_true(text: &str) -> bool {
    text.eq_ignore_ascii_case("true")
}

fn set_trace_mask(name: &str, mask: Option<&str>) -> Answer {
    let missing = "setTraceMask requires long traceMask argument";
    let Some(text) = mask else { return refused(200, name, missing) };
    match text.parse() {
        Ok(mask) => Answer::Done(Deed::SetTraceMask(mask), told(name, json!({ "tracemask": mask }))),
        Err(_) => refused(200, name, &format!("{missing}, got {text}")),
    }
}

fn refused(status: u16, name: &str, error: &str) -> Answer {
    Answer::Json(status, failed(name, error))
}

/// What a command answers that cannot be done.
pub(super) fn failed(command: &str, error: &str) -> String {
    put(command, Value::from(error), json!({}))
}

fn put(command: &str, error: Value, says: Value) -> String {
    let mut answer = match says {
        Value::Object(says) => says,
        _ => Map::new(),
    };
    answer.insert("command".to_owned(), Value::from(command));
    answer.insert("error".to_owned(), error);
    format!("{:#}\n", Value::Object(answer))
}

#[cfg(test)]
mod tests;
