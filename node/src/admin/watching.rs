//! What all sessions of the ensemble wait for, in the forms of ZooKeeper's words and commands.
//!
//! It is read from the table that every member has, so any member tells the same. A one-shot watch that has been spent
//! waits no more, though it stays in the table until its client is known to have heard of it: it is left out.
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::iter::once;

use hashbrown::HashSet;
use machine::Machine;
use proto::{MemberId, SessionId, ZnodePath, limits};
use serde_json::{Value, json};

use super::source::Source;

/// Who waits for what. What bounds it in memory is the table itself: a path is shared with it, and takes 16 bytes here.
#[derive(Debug, Default)]
pub(crate) struct Watching {
    /// In order of sessions.
    watchers: Vec<Watcher>,
}

/// A session that waits for something.
#[derive(Debug)]
struct Watcher {
    session: SessionId,
    /// The member that holds its connection, or held it last.
    home: MemberId,
    watches: usize,
    /// In order, each once, whatever number of watches there are.
    paths: Vec<ZnodePath>,
}

/// In which form it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Counts.
    Summary,
    /// Sessions, each with its paths.
    BySession,
    /// Paths, each with its sessions.
    ByPath,
}

/// An answer that is made while it is sent: all watches of an ensemble are many bytes.
pub(crate) type Pieces = Box<dyn Iterator<Item = String> + Send>;

impl Watching {
    /// Looks at all sessions, one portion after the other. `look` has the machine looked at under the lock, and lets
    /// go of it: so what is told is not what was at one moment, but whoever waits all the time is told.
    ///
    /// What bounds each hold: the first copies the ids of all sessions, 8 bytes each; every other looks at
    /// [`limits::LISTING_WATCHES_PER_LOCK_MAX`] watches, and copies references to their paths.
    pub(crate) fn gather(look: impl Fn(&mut dyn FnMut(&Machine))) -> Self {
        let mut sessions: Vec<SessionId> = Vec::new();
        look(&mut |machine| sessions.extend(machine.sessions().map(|session| session.id)));
        sessions.sort_unstable();
        let mut watching = Self::default();
        let mut rest = sessions.into_iter();
        // The session whose turn it is, and the path behind which to go on.
        let mut unfinished: Option<(Watcher, ZnodePath)> = None;
        while unfinished.is_some() || rest.len() > 0 {
            look(&mut |machine| {
                let mut room = limits::LISTING_WATCHES_PER_LOCK_MAX;
                while room > 0 {
                    let next = unfinished.take().map(|(watcher, behind)| (watcher, Some(behind)));
                    let next = next.or_else(|| rest.next().map(|session| (Watcher::new(session), None)));
                    let Some((mut watcher, behind)) = next else { break };
                    // To find that a session has none is work, too.
                    room -= 1;
                    match watcher.look(machine, behind.as_ref(), &mut room) {
                        Some(behind) => unfinished = Some((watcher, behind)),
                        None => watching.watchers.extend((watcher.watches > 0).then_some(watcher)),
                    }
                }
            });
        }
        watching
    }

    /// The same by way of a [`Source`].
    pub(crate) fn of(source: &dyn Source) -> Self {
        Self::gather(|look| source.look(look))
    }

    /// As the words `wchs`, `wchc` and `wchp` put it. The first goes on, behind what ZooKeeper says, with a line for
    /// each home; the other two are ZooKeeper's to the letter, because scripts take every line of them for a session or
    /// a path.
    pub(crate) fn text(self, form: Form) -> Pieces {
        match form {
            Form::Summary => Box::new(once(self.summary_text())),
            Form::BySession => {
                let watchers = self.watchers.into_iter().flat_map(|Watcher { session, paths, .. }| {
                    once(format!("{session}\n")).chain(paths.into_iter().map(|path| format!("\t{path}\n")))
                });
                in_pieces(watchers.chain(once("\n".to_owned())))
            }
            Form::ByPath => {
                let lines = self.by_path().map(|(path, session)| match path {
                    Some(path) => format!("{path}\n\t{session}\n"),
                    None => format!("\t{session}\n"),
                });
                in_pieces(lines.chain(once("\n".to_owned())))
            }
        }
    }

    /// As the AdminServer's commands put it. Ids of sessions are decimal numbers there, as in ZooKeeper. Where each
    /// session has its home is told beside them.
    pub(crate) fn json(self, command: &str, form: Form) -> Pieces {
        let head = format!("{{\n  \"command\": {},\n  \"error\": null,\n", Value::from(command));
        match form {
            Form::Summary => Box::new(once(self.summary_json(command))),
            Form::BySession => {
                let homes = self.homes_json();
                let sessions = self.watchers.into_iter().enumerate().flat_map(|(n, watcher)| {
                    let Watcher { session, paths, .. } = watcher;
                    let before = if n == 0 { "\n" } else { "\n    ],\n" };
                    let paths = paths.into_iter().enumerate().map(|(n, path)| {
                        let before = if n == 0 { "" } else { "," };
                        format!("{before}\n      {}", Value::from(path.as_str()))
                    });
                    once(format!("{before}    \"{}\": [", session.to_wire())).chain(paths)
                });
                let open = once(format!("{head}{homes}  \"session_id_to_watched_paths\": {{"));
                in_pieces(closed(open, sessions))
            }
            Form::ByPath => {
                let homes = self.homes_json();
                let paths = self.by_path().enumerate().map(|(n, (path, session))| {
                    let session = session.to_wire();
                    match path {
                        Some(path) => {
                            let before = if n == 0 { "\n" } else { "\n    ],\n" };
                            format!("{before}    {}: [\n      {session}", Value::from(path.as_str()))
                        }
                        None => format!(",\n      {session}"),
                    }
                });
                let open = once(format!("{head}{homes}  \"path_to_session_ids\": {{"));
                in_pieces(closed(open, paths))
            }
        }
    }

    /// Counts: sessions, different paths, watches, and sessions and watches of each home.
    fn summary(&self) -> (usize, usize, usize, BTreeMap<MemberId, [usize; 2]>) {
        let paths: HashSet<&ZnodePath, foldhash::fast::RandomState> =
            self.watchers.iter().flat_map(|watcher| &watcher.paths).collect();
        let mut homes: BTreeMap<MemberId, [usize; 2]> = BTreeMap::new();
        for watcher in &self.watchers {
            let [sessions, watches] = homes.entry(watcher.home).or_default();
            *sessions += 1;
            *watches += watcher.watches;
        }
        (self.watchers.len(), paths.len(), homes.values().map(|[_, watches]| watches).sum(), homes)
    }

    fn summary_text(&self) -> String {
        let (sessions, paths, watches, homes) = self.summary();
        let mut text = format!("{sessions} connections watching {paths} paths\nTotal watches:{watches}\n");
        for (home, [sessions, watches]) in homes {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "Member {home}: {sessions} connections, {watches} watches");
        }
        text
    }

    fn summary_json(&self, command: &str) -> String {
        let (sessions, paths, watches, homes) = self.summary();
        let homes: serde_json::Map<String, Value> = homes
            .into_iter()
            .map(|(home, [sessions, watches])| {
                (home.to_string(), json!({ "num_connections": sessions, "num_total_watches": watches }))
            })
            .collect();
        let answer = json!({
            "command": command,
            "error": null,
            "num_connections": sessions,
            "num_paths": paths,
            "num_total_watches": watches,
            "home_members": homes,
        });
        format!("{answer:#}\n")
    }

    fn homes_json(&self) -> String {
        let homes: Vec<String> = self
            .watchers
            .iter()
            .map(|Watcher { session, home, .. }| format!("\n    \"{}\": {home}", session.to_wire()))
            .collect();
        format!("  \"session_id_to_home_member\": {{{}\n  }},\n", homes.join(","))
    }

    /// All pairs in order of paths; the path stands at its first session.
    fn by_path(self) -> impl Iterator<Item = (Option<ZnodePath>, SessionId)> + Send {
        let mut pairs: Vec<(ZnodePath, SessionId)> = Vec::new();
        for Watcher { session, paths, .. } in self.watchers {
            pairs.extend(paths.into_iter().map(|path| (path, session)));
        }
        pairs.sort_unstable();
        let mut last: Option<ZnodePath> = None;
        pairs.into_iter().map(move |(path, session)| {
            if last.as_ref() == Some(&path) {
                return (None, session);
            }
            last = Some(path.clone());
            (Some(path), session)
        })
    }
}

impl Watcher {
    const fn new(session: SessionId) -> Self {
        Self { session, home: MemberId::new(0), watches: 0, paths: Vec::new() }
    }

    /// Looks at what the session waits for behind a path, or from the first on, as far as there is room, and at one
    /// path in any case. Says behind which path to go on, if there was not room enough.
    fn look(&mut self, machine: &Machine, behind: Option<&ZnodePath>, room: &mut usize) -> Option<ZnodePath> {
        let Some(session) = machine.session(self.session) else {
            // It has ended since it was found.
            (self.watches, self.paths) = (0, Vec::new());
            return None;
        };
        self.home = session.home.member;
        let mut last: Option<&ZnodePath> = None;
        for (path, watch) in machine.watches_of(self.session, behind) {
            // Several at one path come one behind the other, and are not parted.
            if last != Some(path) {
                if *room == 0 && last.is_some() {
                    return last.cloned();
                }
                last = Some(path);
            }
            *room = room.saturating_sub(1);
            if watch.spent.is_some() {
                continue;
            }
            self.watches += 1;
            if self.paths.last() != Some(path) {
                self.paths.push(path.clone());
            }
        }
        None
    }
}

/// An object of lists: what opens it, its entries, each but the last followed by what closes a list, and the end.
fn closed(
    open: impl Iterator<Item = String> + Send + 'static,
    entries: impl Iterator<Item = String> + Send + 'static,
) -> impl Iterator<Item = String> + Send + 'static {
    let mut entries = entries.peekable();
    let end = if entries.peek().is_some() { "\n    ]\n  }\n}\n" } else { "}\n}\n" };
    open.chain(entries).chain(once(end.to_owned()))
}

/// Lines put together, so that each is not sent for itself.
pub(super) fn in_pieces(lines: impl Iterator<Item = String> + Send + 'static) -> Pieces {
    let mut lines = lines;
    Box::new(std::iter::from_fn(move || {
        let mut piece = lines.next()?;
        while piece.len() < limits::LISTING_PIECE_BYTES
            && let Some(line) = lines.next()
        {
            piece.push_str(&line);
        }
        Some(piece)
    }))
}

#[cfg(test)]
mod tests;
