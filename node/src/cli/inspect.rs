//! Says what lies in a log or in a state.
mod transactions;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use consensus::Fault;
use consensus::offline::{EntryInWords, LogInWords, Place, StateInWords, inspect_log, inspect_state};
use machine::Record;
use serde_json::{Value, json};

use super::FAILED;
use super::terminal::{complain, say};

/// What to look at.
#[derive(Debug, Args)]
pub(super) struct Wanted {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The log of a member: who has voted for whom, and every entry
    Log(Where),
    /// The state of a member: where it stands, sessions, znodes and watches
    State(Where),
    /// Everything in the log of a member that took a zxid: whose it was, what it asked for, and whether it was refused.
    /// The log must reach back to its first entry
    Transactions {
        /// The directory: `log` in dataLogDir, which is found in there by itself
        dir: PathBuf,

        /// One JSON document a line, with the data that were written
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
struct Where {
    /// The directory: `log` in dataLogDir, `state` in dataDir; these two are found in there by themselves
    dir: PathBuf,

    /// One JSON document a line
    #[arg(long)]
    json: bool,

    /// Only what is there of everything, not each thing
    #[arg(long)]
    summary: bool,
}

/// Prints it. Nothing is changed, and the member may run: of its state only what it has made safe is seen.
pub(super) fn run(wanted: &Wanted) -> ExitCode {
    let done = match &wanted.what {
        What::Log(place) => log(place),
        What::State(place) => state(place),
        What::Transactions { dir, json } => transactions::run(&within(dir, "log"), *json),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            complain(fault);
            ExitCode::from(FAILED)
        }
    }
}

/// `dir`, or the folder of this name in it.
pub(super) fn within(dir: &Path, name: &str) -> PathBuf {
    let inner = dir.join(name);
    if inner.is_dir() { inner } else { dir.to_owned() }
}

fn log(place: &Where) -> Result<(), Fault> {
    let mut entries = 0_u64;
    let mut acts = 0;
    let summary = inspect_log(&within(&place.dir, "log"), |entry| {
        entries += 1;
        acts += entry.acts.len();
        if !place.summary {
            say_entry(&entry, place.json);
        }
    })?;
    let LogInWords { member, cluster, purged, last, committed, vote, is_new } = summary;
    if place.json {
        say(json!({
            "member": member.map(proto::MemberId::get),
            "ensemble": cluster.map(|cluster| cluster.to_string()),
            "purged": at(purged),
            "last": at(last),
            "committed": at(committed),
            "vote": vote.map(|(member, term, leads)| json!({"member": member.get(), "term": term, "leads": leads})),
            "has_no_vote_yet": is_new,
            "entries": entries,
            "acts": acts,
        }));
        return Ok(());
    }
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "none".to_owned());
    say(format_args!("member      {}", or_none(member.map(|member| member.to_string()))));
    say(format_args!("ensemble    {}", or_none(cluster.map(|cluster| cluster.to_string()))));
    say(format_args!("purged      {}", or_none(purged.map(|place| format!("up to {place}")))));
    say(format_args!("last        {}", or_none(last.map(|place| place.to_string()))));
    say(format_args!("committed   {}", or_none(committed.map(|place| format!("up to {place}")))));
    let vote = vote.map(|(member, term, leads)| {
        format!("for member {member} in term {term}{}", if leads { ", which leads" } else { "" })
    });
    say(format_args!("vote        {}{}", or_none(vote), if is_new { "; none to give yet" } else { "" }));
    say(format_args!("entries     {entries}, which ask {acts} things"));
    Ok(())
}

fn say_entry(entry: &EntryInWords, as_json: bool) {
    let EntryInWords { place, time, acts } = entry;
    if as_json {
        say(json!({ "term": place.term, "index": place.index, "time": time, "acts": acts }));
        return;
    }
    for act in acts {
        say(format_args!("{}.{} {act}", place.term, place.index));
    }
}

fn at(place: Option<Place>) -> Value {
    place.map_or(Value::Null, |place| json!({ "term": place.term, "index": place.index }))
}

fn state(place: &Where) -> Result<(), Fault> {
    let found = inspect_state(&within(&place.dir, "state"))?;
    if !place.summary {
        let mut records: Vec<Record> = found.machine.records().collect();
        records.sort_by_key(Record::key);
        for record in &records {
            say_record(record, place.json);
        }
    }
    let StateInWords { cluster, applied, zxid, digest, members, census, .. } = &found;
    if place.json {
        say(json!({
            "ensemble": cluster.map(|cluster| cluster.to_string()),
            "applied": at(*applied),
            "zxid": zxid.to_string(),
            "digest": format!("{digest:016x}"),
            "members": members,
            "znodes": census.znodes,
            "ephemerals": census.ephemerals,
            "data_bytes": census.data_bytes,
            "sessions": census.sessions,
            "watches": census.watches,
            "history_changes": census.history_changes,
        }));
        return Ok(());
    }
    say(format_args!(
        "ensemble    {}",
        cluster.map_or_else(|| "none".to_owned(), |cluster| cluster.to_string())
    ));
    say(format_args!(
        "applied     {}",
        applied.map_or_else(|| "nothing".to_owned(), |place| format!("up to {place}"))
    ));
    say(format_args!("zxid        {zxid}"));
    say(format_args!("digest      {digest:016x}"));
    say(format_args!("members     {members}"));
    say(format_args!(
        "znodes      {}, of which {} ephemeral; {} bytes of paths and data",
        census.znodes, census.ephemerals, census.data_bytes
    ));
    say(format_args!("sessions    {}", census.sessions));
    say(format_args!("watches     {} at {} paths", census.watches, census.watched_paths));
    say(format_args!("history     {} changes", census.history_changes));
    Ok(())
}

fn say_record(record: &Record, as_json: bool) {
    let (kind, name, text) = match record {
        Record::World(_) => return,
        Record::Reconfiguration(_) => {
            ("reconfiguration", "pending".to_owned(), "the members have yet to be changed".to_owned())
        }
        Record::Session(session) => (
            "session",
            session.id.to_string(),
            format!(
                "timeout {} ms, attachment {} at {}, from {}",
                session.timeout_ms, session.attachment, session.home, session.address
            ),
        ),
        Record::Znode(znode) => (
            "znode",
            znode.path.to_string(),
            format!(
                "{} bytes, version {}, czxid {}, mzxid {}, pzxid {}{}",
                znode.data.as_ref().map_or(0, |data| data.len()),
                znode.version,
                znode.czxid,
                znode.mzxid,
                znode.pzxid,
                znode.kind.owner().map_or_else(String::new, |owner| format!(", of session {owner}"))
            ),
        ),
        Record::History(history) => {
            ("change", history.zxid.to_string(), format!("{} znodes", history.changes.len()))
        }
        Record::Watch(watch) => (
            "watch",
            watch.path.to_string(),
            format!("of session {}: {}", watch.session, kinds(watch.watches.iter().map(|watch| watch.kind))),
        ),
    };
    if as_json {
        say(json!({ "record": kind, "name": name, "text": text }));
    } else {
        say(format_args!("{kind} {name}: {text}"));
    }
}

fn kinds(kinds: impl Iterator<Item = machine::WatchKind>) -> String {
    kinds.map(|kind| format!("{kind:?}").to_lowercase()).collect::<Vec<_>>().join(", ")
}
