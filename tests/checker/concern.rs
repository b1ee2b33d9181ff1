//! Which writes would change what a request is told.

use std::collections::BTreeSet;

use super::history::{Request, parent};

/// What a request is told depends on.
#[derive(Debug, Default)]
pub(super) struct Concern<'a> {
    /// Znodes, with how many children they have.
    znodes: BTreeSet<&'a str>,
    /// Znodes of which it matters whether they are there.
    parents: BTreeSet<&'a str>,
}

impl<'a> Concern<'a> {
    pub(super) fn of(request: &'a Request) -> Self {
        let mut concern = Self::default();
        for part in request.parts() {
            match part {
                Request::Create { path, sequential, .. } => {
                    let above = parent(path);
                    if *sequential {
                        concern.znodes.insert(above)
                    } else {
                        concern.znodes.insert(path)
                    };
                    concern.parents.insert(above);
                }
                Request::Sync(_) => {}
                _ => concern.znodes.extend(part.path()),
            }
        }
        concern
    }

    /// Whether it depends on a write.
    pub(super) fn is_of(&self, write: &Request) -> bool {
        match write {
            Request::Create { path, sequential, .. } => {
                self.znodes.contains(parent(path)) || (!sequential && self.is_of_existence(path))
            }
            Request::Delete { path, .. } => self.is_of_end(path),
            Request::SetData { path, .. } => self.znodes.contains(path.as_str()),
            _ => false,
        }
    }

    /// Whether it depends on the end of a znode.
    pub(super) fn is_of_end(&self, path: &str) -> bool {
        self.is_of_existence(path) || self.znodes.contains(parent(path))
    }

    fn is_of_existence(&self, path: &str) -> bool {
        self.znodes.contains(path) || self.parents.contains(path)
    }
}
