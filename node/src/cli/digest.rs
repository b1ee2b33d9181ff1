//! Compares the members of an ensemble by the digests of their states.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use consensus::offline::{self, Brought, Comparison, Data, Folders, Standing};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tokio::time::timeout;

use super::http::{get, with_admin_port};
use super::recover::configuration;
use super::terminal::{complain, say};
use super::{FAILED, MISCONFIGURED, small_runtime};

/// Exit code if members could not be compared.
const UNKNOWN: u8 = 3;

/// How long the members may take all together: a little longer than they do themselves.
const ANSWER_WAIT: Duration = Duration::from_secs(65);

/// Which members.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit code: 0 if all have the same, 1 if some differ, 2 if the command line has to be mended, 3 if not all could be
compared.

Members that run are compared at one place of the log, for which an entry is put there that changes nothing. One of
them asks all the others, also those that do not vote; so one AdminServer is enough, and of several the first counts that
answers. Each adds up what it has on its disk up to that entry, aside: nobody is kept waiting. The digest is the same as
that of `corral inspect state`, and is made of everything that is replicated: znodes, sessions, watches, recent history.

Members that do not run are compared at the last entry that one of them knows to be committed: what is missing in a state
is applied in memory from the member's own log, or else from another's. The first difference is told in words.")]
pub(super) struct Wanted {
    /// Members that do not run: their `dataDir`, or their `zoo.cfg` where the log lies elsewhere
    #[arg(required_unless_present = "server", conflicts_with = "server")]
    members: Vec<PathBuf>,

    /// AdminServers of members that run, such as `zoo1:8080,zoo2:8080`
    #[arg(long, value_delimiter = ',')]
    server: Vec<String>,

    /// The path of their commands, if it is another: `admin.commandURL`
    #[arg(long, default_value = "/commands")]
    url: String,
}

/// What has come of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Same,
    Differ,
    Unknown,
}

/// Does it, and says what was found.
pub(super) fn run(wanted: &Wanted) -> ExitCode {
    let outcome = if wanted.server.is_empty() {
        let all: anyhow::Result<Vec<Data>> = wanted.members.iter().map(|member| data(member)).collect();
        let all = match all {
            Ok(all) => all,
            Err(error) => {
                complain(format_args!("{error:#}"));
                return ExitCode::from(MISCONFIGURED);
            }
        };
        offline::compare(&all).map_err(anyhow::Error::from).map(|comparison| tell_stopped(&comparison))
    } else {
        let runtime = match small_runtime() {
            Ok(runtime) => runtime,
            Err(code) => return code,
        };
        runtime.block_on(ask(&wanted.server, &wanted.url)).and_then(|answer| tell_running(&answer))
    };
    match outcome {
        Ok(Outcome::Same) => ExitCode::SUCCESS,
        Ok(Outcome::Differ) => ExitCode::from(FAILED),
        Ok(Outcome::Unknown) => ExitCode::from(UNKNOWN),
        Err(error) => {
            complain(format_args!("{error:#}"));
            ExitCode::from(UNKNOWN)
        }
    }
}

/// Where a member has what it has.
fn data(member: &Path) -> anyhow::Result<Data> {
    let name = member.display().to_string();
    if member.is_file() {
        let config = configuration(Some(&member.to_owned()))?.config.consensus;
        let Folders { log, state, .. } = Folders::of(&config);
        return Ok(Data { name, log, state });
    }
    anyhow::ensure!(member.join("state").is_dir(), "{name}: there is no `state` in it");
    Ok(Data { name, log: member.join("log"), state: member.join("state") })
}

fn tell_stopped(comparison: &Comparison) -> Outcome {
    let Comparison { at, members, difference } = comparison;
    let mut outcome = Outcome::Same;
    for Standing { name, member, applied, zxid, digest, brought } in members {
        let member = member.map_or_else(String::new, |member| format!(", member {member}"));
        let applied = applied.map_or_else(|| "nothing".to_owned(), |applied| applied.to_string());
        say(format_args!("{name}{member}: its state ends with {applied}, zxid {zxid}, digest {digest:016x}"));
        match brought {
            Ok(Brought { entries: 0, .. }) => {}
            Ok(Brought { entries, by_another_log, zxid, digest }) => {
                let whose = if *by_another_log { "another member's" } else { "its own" };
                say(format_args!(
                    "  with {entries} entries of {whose} log: zxid {zxid}, digest {digest:016x}"
                ));
            }
            Err(why) => {
                say(format_args!("  not compared: {why}"));
                outcome = Outcome::Unknown;
            }
        }
    }
    if let Some((one, other, found)) = difference {
        let (one, other) = (&members[*one].name, &members[*other].name);
        say(format_args!("THEY DIFFER, in {} records. The first: {}", found.records, found.about));
        say(format_args!("  {one}: {}", found.one));
        say(format_args!("  {other}: {}", found.other));
        return Outcome::Differ;
    }
    if outcome == Outcome::Same && members.len() > 1 {
        let at = at.map_or_else(|| "the beginning".to_owned(), |at| at.to_string());
        say(format_args!("all {} have the same at {at}", members.len()));
    }
    outcome
}

/// Asks the first that answers.
async fn ask(servers: &[String], url: &str) -> anyhow::Result<Value> {
    let mut last = anyhow::anyhow!("nobody was asked");
    for server in servers {
        let address = with_admin_port(server);
        let asked = timeout(ANSWER_WAIT, ask_one(&address, url)).await;
        match asked.context("no answer in time").and_then(|asked| asked) {
            Ok(answer) => return Ok(answer),
            Err(error) => last = error.context(address),
        }
    }
    Err(last)
}

async fn ask_one(address: &str, url: &str) -> anyhow::Result<Value> {
    let response = get(address, &format!("{url}/digest"), None).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    let answer: Value =
        serde_json::from_slice(&body).with_context(|| format!("it answers {status}, and no JSON"))?;
    match answer["error"].as_str() {
        Some(error) => anyhow::bail!("{error}"),
        None => Ok(answer),
    }
}

fn tell_running(answer: &Value) -> anyhow::Result<Outcome> {
    let members = answer["members"].as_array().context("it answers something else")?;
    let mut found: BTreeMap<(u64, String), Vec<u64>> = BTreeMap::new();
    let mut outcome = Outcome::Same;
    for member in members {
        let id = member["member"].as_u64().unwrap_or_default();
        if let Some(error) = member["error"].as_str() {
            say(format_args!("member {id}: not compared: {error}"));
            outcome = Outcome::Unknown;
            continue;
        }
        let text = |key: &str| member[key].as_str().unwrap_or_default().to_owned();
        let number = |key: &str| member[key].as_u64().unwrap_or_default();
        let (index, digest) = (number("index"), text("digest"));
        say(format_args!(
            "member {id}: entry {index} of term {}, zxid {}, digest {digest}, {} records",
            number("term"),
            text("zxid"),
            number("records")
        ));
        found.entry((index, digest)).or_default().push(id);
    }
    anyhow::ensure!(!members.is_empty(), "it knows of no members");
    if found.len() > 1 {
        let groups: Vec<String> = found
            .values()
            .map(|ids| ids.iter().map(u64::to_string).collect::<Vec<_>>().join(" and "))
            .collect();
        say(format_args!("THEY DIFFER: {} against {}", groups[0], groups[1..].join(" against ")));
        say("stop them and give their folders to `corral digest`: it says where");
        return Ok(Outcome::Differ);
    }
    if outcome == Outcome::Same {
        say(format_args!("all {} have the same", members.len()));
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn answers_are_judged() {
        let one = json!({ "member": 1, "term": 2, "index": 7, "zxid": "0x5", "digest": "ab", "records": 9 });
        let mut two = one.clone();
        two["member"] = json!(2);
        let silent = json!({ "member": 3, "error": "it cannot be reached" });
        let judge = |members: &[&Value]| tell_running(&json!({ "members": members })).ok();
        assert_eq!(judge(&[&one, &two]), Some(Outcome::Same));
        assert_eq!(judge(&[&one, &two, &silent]), Some(Outcome::Unknown));
        two["digest"] = json!("cd");
        assert_eq!(judge(&[&one, &two, &silent]), Some(Outcome::Differ));
        assert_eq!(judge(&[]), None);
    }
}
