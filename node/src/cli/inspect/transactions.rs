//! Says what a log came to, transaction by transaction.
use std::path::Path;

use consensus::Fault;
use consensus::offline::{Place, replay_log};
use machine::{Act, Applied, Verdict};
use proto::request::{Create, Write};
use proto::{Code, SessionId};
use serde_json::{Value, json};

use super::super::terminal::say;

/// Prints everything that took a zxid, in order.
pub(super) fn run(dir: &Path, as_json: bool) -> Result<(), Fault> {
    let mut transactions = 0_u64;
    let end = replay_log(dir, |place, command, applied| {
        let Some((session, act, refusal)) = outcome(applied) else { return };
        transactions += 1;
        let request = request_of(&command.act);
        if as_json {
            say(json!({
                "zxid": applied.zxid.to_string(),
                "index": place.index,
                "time": command.time,
                "session": session.map(|session| session.to_string()),
                "act": act,
                "request": request,
                "refusal": refusal.map(|code| code as i32),
            }));
            return;
        }
        let whose = session.map_or_else(String::new, |session| format!(" session {session}"));
        let what = request.map_or_else(|| act.to_owned(), |request| in_words(&request));
        let refusal = refusal.map_or_else(String::new, |code| format!(": {code}"));
        say(format_args!("{}{whose} {what}{refusal}", applied.zxid));
    })?;
    if !as_json {
        let end = end.map_or_else(|| "nothing".to_owned(), |place: Place| place.to_string());
        say(format_args!("{transactions} transactions up to {end}"));
    }
    Ok(())
}

/// Whose it was, what it was, and why it was refused; nothing if it took no zxid.
fn outcome(applied: &Applied) -> Option<(Option<SessionId>, &'static str, Option<Code>)> {
    match &applied.verdict {
        Verdict::Opened { session, .. } => Some((Some(*session), "open", None)),
        Verdict::Answered { session, result, .. } => {
            Some((Some(*session), "write", result.as_ref().err().copied()))
        }
        Verdict::Closed { session, seq, .. } => {
            Some((Some(*session), if seq.is_some() { "close" } else { "expire" }, None))
        }
        Verdict::Reaped => Some((None, "reap", None)),
        Verdict::Described if !applied.changes.is_empty() => Some((None, "describe", None)),
        _ => None,
    }
}

/// What was asked for, if it was a write or the end of a znode that had had its time.
fn request_of(act: &Act) -> Option<Value> {
    match act {
        Act::Write { operation, .. } => Some(match &operation.write {
            Some(write) => written(write),
            None => json!({ "op": "malformed" }),
        }),
        Act::Reap { path, .. } => Some(json!({ "op": "reap", "path": path.to_string() })),
        _ => None,
    }
}

fn written(write: &Write) -> Value {
    match write {
        Write::Create(Create { path, data, flags, ttl, container, .. }) => json!({
            "op": "create",
            "path": path.to_string(),
            "data": text(data.as_deref()),
            "flags": flags,
            "ttl": ttl,
            "container": container,
        }),
        Write::Delete { path, version } => {
            json!({ "op": "delete", "path": path.to_string(), "version": version.get() })
        }
        Write::SetData { path, data, version } => json!({
            "op": "set",
            "path": path.to_string(),
            "data": text(data.as_deref()),
            "version": version.get(),
        }),
        Write::SetAcl { path, version, .. } => {
            json!({ "op": "set-acl", "path": path.to_string(), "version": version.get() })
        }
        Write::Check { path, version } => {
            json!({ "op": "check", "path": path.to_string(), "version": version.get() })
        }
        Write::Reconfig(_) => json!({ "op": "reconfig" }),
        Write::Multi(parts) => {
            json!({ "op": "multi", "parts": parts.iter().map(written).collect::<Vec<_>>() })
        }
        Write::CloseSession => json!({ "op": "close" }),
    }
}

/// Data as text; what is not UTF-8 is replaced by U+FFFD.
fn text(data: Option<&[u8]>) -> Option<String> {
    data.map(|data| String::from_utf8_lossy(data).into_owned())
}

/// A request in one line, without data.
fn in_words(request: &Value) -> String {
    let word = |key: &str| request[key].as_str().unwrap_or_default().to_owned();
    match request["parts"].as_array() {
        Some(parts) => format!("multi [{}]", parts.iter().map(in_words).collect::<Vec<_>>().join("; ")),
        None => format!("{} {}", word("op"), word("path")).trim_end().to_owned(),
    }
}
