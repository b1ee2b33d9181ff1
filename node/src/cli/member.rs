//! Who the members are, and others instead: said to any member of the ensemble, like any client of ZooKeeper would.
mod call;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use proto::server_line::ServerLine;

use super::ask::with_port;
use super::terminal::{complain, say};
use super::{FAILED, MISCONFIGURED};
use call::{Call, Wish};

/// What to do with the members.
#[derive(Args, Debug)]
pub(super) struct Members {
    #[command(subcommand)]
    verb: Verb,

    /// Where any member listens to clients, without TLS
    #[arg(long, global = true, default_value = "127.0.0.1:2181")]
    server: String,

    /// Who asks, as scheme:credentials, or else what CORRAL_AUTH says: whoever changes members needs WRITE on
    /// /zookeeper/config
    #[arg(long, global = true)]
    auth: Option<String>,

    /// The version that is to be replaced, as `list` shows it; without it, whatever stands there
    #[arg(long, global = true)]
    version: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show who the members are
    List,
    /// Add members, such as `server.4=zoo4:2888:3888;2181`: the last word may be `observer`, as in `:3888:observer;2181`
    Add {
        /// Their server lines
        #[arg(required = true)]
        lines: Vec<String>,
    },
    /// Remove members
    Remove {
        /// Their numbers
        #[arg(required = true)]
        ids: Vec<u64>,
    },
    /// Put a member in the place of another, which may be dead
    Replace {
        /// The number of the member that goes
        id: u64,
        /// The server line of the one that comes; it may have the same number
        line: String,
    },
    /// Give an observer a vote
    Promote {
        /// Its number
        id: u64,
    },
    /// Make a voter an observer
    Demote {
        /// Its number
        id: u64,
    },
}

/// Does it, and says who the members are then.
pub(super) fn run(members: &Members) -> ExitCode {
    let version = match members.version.as_deref().map(|version| i64::from_str_radix(version, 16)) {
        None => -1,
        Some(Ok(version)) => version,
        Some(Err(_)) => {
            complain("`--version` is what stands behind `version=`, hexadecimal");
            return ExitCode::from(MISCONFIGURED);
        }
    };
    // A secret on a command line can be read by everybody on this machine.
    let auth = members.auth.clone().or_else(|| std::env::var("CORRAL_AUTH").ok()).unwrap_or_default();
    let done = Call::to(&with_port(&members.server), &auth).and_then(|mut call| {
        let wish = match wish(&members.verb, || call.members())? {
            Some(wish) => wish,
            None => return call.members(),
        };
        call.reconfigure(&wish, version)
    });
    match done {
        Ok(text) => {
            say(text);
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain(format_args!("{}: {error:#}", members.server));
            ExitCode::from(FAILED)
        }
    }
}

/// What is to be asked for; `None` if nothing. `now` says who the members are.
fn wish(verb: &Verb, now: impl FnOnce() -> anyhow::Result<String>) -> anyhow::Result<Option<Wish>> {
    let ids = |ids: &[u64]| ids.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
    Ok(Some(match verb {
        Verb::List => return Ok(None),
        Verb::Add { lines } => {
            let lines: Vec<String> =
                lines.iter().map(|line| read(line).map(written)).collect::<anyhow::Result<_>>()?;
            Wish { joining: lines.join(","), leaving: String::new() }
        }
        Verb::Remove { ids: gone } => Wish { joining: String::new(), leaving: ids(gone) },
        Verb::Replace { id, line } => Wish { joining: written(read(line)?), leaving: ids(&[*id]) },
        Verb::Promote { id } => Wish { joining: changed(&now()?, *id, false)?, leaving: String::new() },
        Verb::Demote { id } => Wish { joining: changed(&now()?, *id, true)?, leaving: String::new() },
    }))
}

/// The line of a member that is one already, with another role.
fn changed(text: &str, id: u64, observer: bool) -> anyhow::Result<String> {
    let lines = text.lines().filter(|line| !line.starts_with("version="));
    let found = lines.filter_map(|line| read(line).ok()).find(|(other, _)| *other == id);
    let (_, mut line) = found.ok_or_else(|| anyhow::anyhow!("there is no member {id}"))?;
    anyhow::ensure!(
        line.client.is_some() || line.secure.is_some(),
        "the line of member {id} does not say where its clients find it: use `add` with a line that ends with `;host:port`"
    );
    line.observer = observer;
    Ok(written((id, line)))
}

fn read(line: &str) -> anyhow::Result<(u64, ServerLine)> {
    let (name, description) =
        line.split_once('=').ok_or_else(|| anyhow::anyhow!("`{line}` is not server.N=…"))?;
    let id = name.strip_prefix("server.").and_then(|id| id.parse().ok());
    let id = id.ok_or_else(|| anyhow::anyhow!("`{name}` is not server.N"))?;
    let line = ServerLine::parse(description).map_err(|error| anyhow::anyhow!("{name}: {error}"))?;
    Ok((id, line))
}

fn written((id, line): (u64, ServerLine)) -> String {
    format!("server.{id}={line}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "server.1=a:1:2:participant;0.0.0.0:3\nserver.2=b:1:2:observer\nversion=1f";

    #[track_caller]
    fn check(verb: &Verb, expected: &str) {
        let said = match wish(verb, || Ok(NOW.to_owned())) {
            Ok(Some(Wish { joining, leaving })) => format!("+{joining} -{leaving}"),
            Ok(None) => "nothing".to_owned(),
            Err(error) => error.to_string(),
        };
        assert_eq!(said, expected);
    }

    #[test]
    fn every_verb_is_a_wish() {
        let four = "server.4=d:1:2;3".to_owned();
        check(&Verb::List, "nothing");
        check(&Verb::Add { lines: vec![four.clone()] }, "+server.4=d:1:2:participant;0.0.0.0:3 -");
        check(&Verb::Remove { ids: vec![1, 2] }, "+ -1,2");
        check(&Verb::Replace { id: 1, line: four }, "+server.4=d:1:2:participant;0.0.0.0:3 -1");
        check(&Verb::Demote { id: 1 }, "+server.1=a:1:2:observer;0.0.0.0:3 -");
        check(&Verb::Promote { id: 3 }, "there is no member 3");
        check(
            &Verb::Promote { id: 2 },
            "the line of member 2 does not say where its clients find it: use `add` with a line that ends with `;host:port`",
        );
        check(&Verb::Add { lines: vec!["zoo4".to_owned()] }, "`zoo4` is not server.N=…");
        check(&Verb::Add { lines: vec!["server.4=d".to_owned()] }, "server.4: `d` names no port");
    }
}
