//! Sessions, ephemerals and connections, as the word `dump` and the AdminServer tell them.
use std::collections::BTreeMap;
use std::iter::once;
use std::time::{Duration, UNIX_EPOCH};

use proto::limits::{self, GREETING_WAIT_MAX};
use proto::{SessionId, ZnodePath};
use serde_json::{Value, json};

use super::source::Source;
use super::watching::{Pieces, in_pieces};
use crate::stats::Line;

/// Deadlines are told by whole seconds, as dates are.
const ROW: Duration = Duration::from_secs(1);

/// What is told.
pub(crate) struct Dump {
    sessions: Sessions,
    /// In order of sessions, without those that have none.
    ephemerals: Vec<(SessionId, Vec<ZnodePath>)>,
    connections: BTreeMap<u64, Vec<Line>>,
}

/// The sessions of the ensemble.
enum Sessions {
    /// As the leader knows them: by the second, counted from 1970, in which they will be overdue.
    Due(BTreeMap<u64, Vec<SessionId>>),
    /// As the others do: with their timeouts in milliseconds, in order.
    Known(Vec<(SessionId, u32)>),
}

impl Dump {
    /// Looks at all sessions, one portion after the other, as [`super::watching`] does.
    pub(crate) fn gather(source: &dyn Source) -> Self {
        let wall = consensus::wall();
        let mut known: Vec<(SessionId, u32)> = Vec::new();
        source.look(&mut |machine| {
            known.extend(machine.sessions().map(|session| (session.id, session.timeout_ms)));
        });
        known.sort_unstable();
        let mut ephemerals = Vec::new();
        let mut rest = known.iter().peekable();
        while rest.peek().is_some() {
            source.look(&mut |machine| {
                let mut room = limits::LISTING_WATCHES_PER_LOCK_MAX;
                while room > 0
                    && let Some((session, _)) = rest.next()
                {
                    let paths: Vec<ZnodePath> = machine.ephemerals_of(*session).cloned().collect();
                    room = room.saturating_sub(1 + paths.len());
                    ephemerals.extend((!paths.is_empty()).then_some((*session, paths)));
                }
            });
        }
        let sessions = match source.deadlines() {
            Some(deadlines) => Sessions::Due(rows(wall, deadlines)),
            None => Sessions::Known(known),
        };
        let due = |line: Line| {
            let timeout = line
                .session
                .map_or(GREETING_WAIT_MAX, |session| Duration::from_millis(session.timeout_ms.into()));
            (timeout.saturating_sub(line.silent), line)
        };
        let connections = rows(wall, source.connections().into_iter().map(due));
        Self { sessions, ephemerals, connections }
    }

    /// As the word puts it.
    pub(crate) fn text(self) -> Pieces {
        let Self { sessions, ephemerals, connections } = self;
        let sessions: Box<dyn Iterator<Item = String> + Send> = match sessions {
            Sessions::Due(rows) => Box::new(once(head("Session Sets", &rows)).chain(
                rows.into_iter().flat_map(|(second, sessions)| {
                    once(expire(sessions.len(), second))
                        .chain(sessions.into_iter().map(|session| format!("\t{session}\n")))
                }),
            )),
            Sessions::Known(known) => Box::new(
                once(format!("Global Sessions({}):\n", known.len()))
                    .chain(known.into_iter().map(|(session, timeout)| format!("{session}\t{timeout}ms\n"))),
            ),
        };
        let with_ephemerals = format!("Sessions with Ephemerals ({}):\n", ephemerals.len());
        let ephemerals = ephemerals.into_iter().flat_map(|(session, paths)| {
            once(format!("{session}:\n")).chain(paths.into_iter().map(|path| format!("\t{path}\n")))
        });
        let sets = head("Connections Sets", &connections);
        let connections = connections.into_iter().flat_map(|(second, lines)| {
            once(expire(lines.len(), second)).chain(lines.into_iter().map(|line| {
                let session = line.session.map_or(SessionId::NONE, |session| session.id);
                format!("\tip: /{} sessionId: {session}\n", line.address)
            }))
        });
        in_pieces(
            once("SessionTracker dump:\n".to_owned())
                .chain(sessions)
                .chain(once("ephemeral nodes dump:\n".to_owned()))
                .chain(once(with_ephemerals))
                .chain(ephemerals)
                .chain(once("Connections dump:\n".to_owned()))
                .chain(once(sets))
                .chain(connections),
        )
    }

    /// As the AdminServer's command `dump` puts it: times are milliseconds since 1970, ids decimal numbers. It is made
    /// whole, because what it takes is bounded by the sessions and ephemerals themselves.
    pub(crate) fn json(self) -> Value {
        let id = |session: &SessionId| Value::from(session.to_wire());
        let due: serde_json::Map<String, Value> = match &self.sessions {
            Sessions::Due(rows) => rows
                .iter()
                .map(|(second, sessions)| {
                    ((second * 1_000).to_string(), sessions.iter().map(id).collect::<Vec<_>>().into())
                })
                .collect(),
            Sessions::Known(_) => serde_json::Map::new(),
        };
        let ephemerals: serde_json::Map<String, Value> = self
            .ephemerals
            .iter()
            .map(|(session, paths)| {
                let paths: Vec<&str> = paths.iter().map(ZnodePath::as_str).collect();
                (session.to_wire().to_string(), paths.into())
            })
            .collect();
        json!({ "expiry_time_to_session_ids": due, "session_id_to_ephemeral_paths": ephemerals })
    }
}

/// Puts what is due in so long into rows by the second in which it will be, counted from 1970.
fn rows<T>(wall: i64, due: impl IntoIterator<Item = (Duration, T)>) -> BTreeMap<u64, Vec<T>> {
    let now = Duration::from_millis(u64::try_from(wall).unwrap_or(0));
    let mut rows: BTreeMap<u64, Vec<T>> = BTreeMap::new();
    for (wait, what) in due {
        rows.entry((now + wait).as_secs() + ROW.as_secs()).or_default().push(what);
    }
    rows
}

fn head<T>(name: &str, rows: &BTreeMap<u64, Vec<T>>) -> String {
    format!("{name} ({})/({}):\n", rows.len(), rows.values().map(Vec::len).sum::<usize>())
}

/// How many expire in a second, with its date as Java puts it.
fn expire(count: usize, second: u64) -> String {
    let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(second));
    // `Sun, 06 Nov 1994 08:49:37 GMT` to `Sun Nov 06 08:49:37 UTC 1994`.
    let fields: Vec<&str> = date.split([',', ' ']).filter(|field| !field.is_empty()).collect();
    let [weekday, day, month, year, time, _] = fields[..] else {
        return format!("{count} expire at {date}:\n");
    };
    format!("{count} expire at {weekday} {month} {day} {time} UTC {year}:\n")
}

#[cfg(test)]
mod tests;
