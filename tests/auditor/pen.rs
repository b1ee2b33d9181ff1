//! Writes of znodes that nobody else writes, of which it is always found out what became of them.

use std::collections::HashMap;

use super::client::{Client, Lost};
use super::history::{Change, Deed, Moment};
use super::paths::PathId;
use crate::Ask;
use crate::ask::flags::PERSISTENT;

/// The answer to a question for a znode that is not there.
pub(super) const NO_NODE: i32 = -101;

/// What one session has written.
#[derive(Debug)]
pub(super) struct Pen {
    /// The znode that is written along with every multi, so that one look at it tells what became of the whole.
    witness: PathId,
    /// The versions of those that are there.
    there: HashMap<PathId, i32>,
    /// All that was done.
    pub(super) changes: Vec<Change>,
    /// What was sent and not answered.
    pending: Vec<(PathId, Deed)>,
}

impl Pen {
    /// Of a session to which `witness` belongs, which is there with version 0.
    pub(super) fn new(witness: PathId) -> Self {
        Self { witness, there: [(witness, 0)].into(), changes: Vec::new(), pending: Vec::new() }
    }

    pub(super) fn is_there(&self, path: PathId) -> bool {
        self.there.contains_key(&path)
    }

    /// Does one thing, or several in one transaction.
    pub(super) fn write(&mut self, client: &mut Client, deeds: &[(PathId, Deed)]) -> Result<(), Lost> {
        let mut deeds = deeds.to_vec();
        let ask = match deeds[..] {
            [(path, deed)] => ask(client.world.paths.name(path), deed),
            _ => {
                deeds.insert(0, (self.witness, Deed::Written));
                let asks: Vec<Ask> =
                    deeds.iter().map(|(path, deed)| ask(client.world.paths.name(*path), *deed)).collect();
                Ask::multi(&asks)
            }
        };
        self.pending = deeds;
        let reply = client.call(&ask)?;
        let deeds = std::mem::take(&mut self.pending);
        // A multi that fails begins with an error.
        let has_failed = deeds.len() > 1 && reply.body.starts_with(&[0xff; 4]);
        if reply.err != 0 || has_failed {
            let text = format!("{} was refused: {:?}", in_words(client, &deeds), reply);
            client.log.violations.push(text);
            return Ok(());
        }
        self.done(client, &deeds, reply.zxid);
        client.log.moments.push(Moment::Wrote);
        Ok(())
    }

    /// Finds out, on a new connection of the same session, what became of what was not answered.
    pub(super) fn settle(&mut self, client: &mut Client) -> Result<(), Lost> {
        let Some(&(path, deed)) = self.pending.first() else { return Ok(()) };
        let name = client.world.paths.name(path).to_owned();
        client.call(&Ask::sync(&name))?;
        let found = client.call(&Ask::exists(&name, false))?;
        let zxid = match (deed, found.err) {
            (Deed::Written, 0) if found.stat().version > self.there.get(&path).copied().unwrap_or(-1) => {
                Some(found.stat().mzxid)
            }
            (Deed::Created, 0) => Some(found.stat().czxid),
            (Deed::Deleted, NO_NODE) => {
                let parent = client.world.paths.parent(path).unwrap_or(path);
                let parent = client.world.paths.name(parent).to_owned();
                let found = client.call(&Ask::exists(&parent, false))?;
                Some(found.stat().pzxid)
            }
            (Deed::Written | Deed::Deleted, 0) | (Deed::Created, NO_NODE) => None,
            _ => {
                let text = format!("{} left this: {found:?}", in_words(client, &self.pending));
                client.log.violations.push(text);
                None
            }
        };
        let deeds = std::mem::take(&mut self.pending);
        if let Some(zxid) = zxid {
            self.done(client, &deeds, zxid);
        }
        Ok(())
    }

    fn done(&mut self, client: &mut Client, deeds: &[(PathId, Deed)], zxid: i64) {
        if self.changes.last().is_some_and(|last| last.zxid >= zxid) {
            let text = format!("{} took zxid {zxid:#x}, which is not new", in_words(client, deeds));
            client.log.violations.push(text);
        }
        for &(path, deed) in deeds {
            match deed {
                Deed::Created => {
                    self.there.insert(path, 0);
                }
                Deed::Written => *self.there.entry(path).or_default() += 1,
                Deed::Deleted => {
                    self.there.remove(&path);
                }
            }
            self.changes.push(Change { zxid, path, deed });
        }
    }
}

fn ask(path: &str, deed: Deed) -> Ask {
    match deed {
        Deed::Created => Ask::create(path, b"", PERSISTENT),
        Deed::Deleted => Ask::delete(path),
        Deed::Written => Ask::set_data(path, b"x", -1),
    }
}

fn in_words(client: &Client, deeds: &[(PathId, Deed)]) -> String {
    let words: Vec<String> =
        deeds.iter().map(|(path, deed)| format!("{deed:?} {}", client.world.paths.name(*path))).collect();
    words.join(", ")
}
