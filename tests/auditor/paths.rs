//! The znodes of one round, known by number, so that what is told of them takes little room.

use std::collections::HashMap;

/// A znode of the round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathId(u32);

/// All znodes of the round.
#[derive(Clone, Debug, Default)]
pub struct Paths {
    names: Vec<String>,
    parents: Vec<Option<PathId>>,
    ids: HashMap<String, PathId>,
}

impl Paths {
    /// The number of a path, from now on if not before. Its parent must be there first, unless it is to have none.
    ///
    /// # Panics
    /// If there are more than anybody needs.
    pub fn add(&mut self, name: &str) -> PathId {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        let parent = name.rsplit_once('/').and_then(|(parent, _)| self.ids.get(parent)).copied();
        let id = PathId(u32::try_from(self.names.len()).expect("fewer znodes than that"));
        self.names.push(name.to_owned());
        self.parents.push(parent);
        self.ids.insert(name.to_owned(), id);
        id
    }

    /// The number of a path, if it is one of the round's.
    pub fn find(&self, name: &str) -> Option<PathId> {
        self.ids.get(name).copied()
    }

    /// The path.
    pub fn name(&self, id: PathId) -> &str {
        &self.names[id.0 as usize]
    }

    /// What it is a child of, if that is one of the round's znodes.
    pub fn parent(&self, id: PathId) -> Option<PathId> {
        self.parents[id.0 as usize]
    }

    /// Whether a path is `root` or below it.
    pub fn is_within(&self, id: PathId, root: PathId) -> bool {
        std::iter::successors(Some(id), |id| self.parent(*id)).any(|id| id == root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_knows_its_own() {
        let mut paths = Paths::default();
        let [root, one, other] = ["/a", "/a/b", "/a/bc"].map(|name| paths.add(name));
        assert_eq!(paths.add("/a/b"), one);
        assert_eq!((paths.name(other), paths.parent(other), paths.parent(root)), ("/a/bc", Some(root), None));
        assert_eq!((paths.find("/a/b"), paths.find("/b")), (Some(one), None));
        assert!(paths.is_within(one, root) && paths.is_within(one, one));
        assert!(!paths.is_within(other, one) && !paths.is_within(root, one));
    }
}
