//! The znodes that one member shows.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use proto::Stat;

use crate::connection::{Greeting, Reply};
use crate::{Ask, Connection};

/// How many requests are on their way at once.
const AHEAD: usize = 100;

/// No such znode.
const NO_NODE: i32 = -101;

/// One znode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Znode {
    /// What it holds.
    pub data: Option<Bytes>,
    /// Its Stat.
    pub stat: Stat,
}

/// A subtree by whole paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree(pub BTreeMap<String, Znode>);

impl Tree {
    /// What the member at `address` shows under `root` (`root` included) after a sync.
    ///
    /// # Errors
    /// If the connection breaks, or the member refuses the session.
    pub fn read(address: SocketAddr, root: &str) -> io::Result<Self> {
        let mut connection = Connection::dial(address)?;
        let welcome = connection.greet(&Greeting::new(30_000))?;
        if welcome.session == 0 {
            return Err(io::Error::other("the member refuses a new session"));
        }
        let _synced = pipeline(&mut connection, &[Ask::sync(root)])?;
        let mut tree = Self::default();
        let mut level = vec![root.to_owned()];
        while !level.is_empty() {
            let questions: Vec<Ask> = level
                .iter()
                .flat_map(|path| [Ask::get_data(path, false), Ask::get_children(path, false)])
                .collect();
            let answers = pipeline(&mut connection, &questions)?;
            let mut next = Vec::new();
            for (path, answer) in level.into_iter().zip(answers.chunks_exact(2)) {
                // What goes while we read is not there.
                if answer.iter().any(|reply| reply.err == NO_NODE) {
                    continue;
                }
                let (data, stat) = answer[0].data();
                let stem = if path == "/" { "" } else { &path };
                next.extend(answer[1].children().iter().map(|name| format!("{stem}/{name}")));
                tree.0.insert(path, Znode { data, stat });
            }
            level = next;
        }
        let _closed = pipeline(&mut connection, &[Ask::close_session()])?;
        Ok(tree)
    }

    /// The text that a znode holds, if it is there.
    pub fn text(&self, path: &str) -> Option<String> {
        let data = self.0.get(path)?.data.as_deref().unwrap_or_default();
        Some(String::from_utf8_lossy(data).into_owned())
    }

    /// In what way `other` is not the same, in a few lines; nothing if it is.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let missing = self.0.keys().filter(|path| !other.0.contains_key(*path));
        let more = other.0.keys().filter(|path| !self.0.contains_key(*path));
        let changed =
            self.0.iter().filter(|(path, znode)| other.0.get(*path).is_some_and(|its| its != *znode));
        missing
            .map(|path| format!("{path} is missing"))
            .chain(more.map(|path| format!("{path} is there and should not be")))
            .chain(
                changed.map(|(path, znode)| format!("{path} is {:?} and not {znode:?}", other.0.get(path))),
            )
            .collect()
    }
}

/// Sends all, a bounded number ahead, and returns the answers in order.
///
/// # Errors
/// If the connection breaks.
pub fn pipeline(connection: &mut Connection, questions: &[Ask]) -> io::Result<Vec<Reply>> {
    let mut answers = Vec::with_capacity(questions.len());
    let mut sent = 0;
    while answers.len() < questions.len() {
        while sent < questions.len() && sent - answers.len() < AHEAD {
            connection.send(&questions[sent])?;
            sent += 1;
        }
        if let crate::Packet::Reply(reply) = connection.receive()? {
            answers.push(reply);
        }
    }
    Ok(answers)
}
