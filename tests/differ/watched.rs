//! What a client believes to be watching, as client libraries keep it: what it names when it comes back.

use std::collections::BTreeSet;

use proto::jute::read::Reader;

use super::line::{Line, Said};
use super::pen::set_watches;
use super::step::{Ask, Since};

/// Paths, by the lists of setWatches2.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Watched {
    data: BTreeSet<String>,
    exist: BTreeSet<String>,
    child: BTreeSet<String>,
    persistent: BTreeSet<String>,
    recursive: BTreeSet<String>,
}

impl Watched {
    /// What these requests and what was said to them have made of it.
    pub(super) fn learn(&mut self, asks: &[Ask], lines: &[Line]) {
        let mut told = Vec::new();
        for line in lines {
            match line.said {
                Said::Event => {
                    self.told(line);
                    told.push(line);
                }
                Said::Reply(place) => {
                    if let Some(ask) = asks.get(place) {
                        self.answered(ask, line);
                    }
                    // What lists of watches have told at once stands in front of their answer.
                    if asks.get(place).is_some_and(|ask| matches!(ask.op, 101 | 105)) {
                        told.iter().for_each(|line| self.told(line));
                    }
                    told.clear();
                }
                _ => {}
            }
        }
    }

    fn told(&mut self, line: &Line) {
        let path = line.field("path").to_owned();
        match line.field("type") {
            "4" => {
                self.child.remove(&path);
            }
            "2" => {
                self.data.remove(&path);
                self.exist.remove(&path);
                self.child.remove(&path);
            }
            _ => {
                self.data.remove(&path);
                self.exist.remove(&path);
            }
        }
    }

    fn answered(&mut self, ask: &Ask, line: &Line) {
        let err = line.field("err");
        let mut r = Reader::new(ask.body.clone());
        let set = |list: &mut BTreeSet<String>, path: &str| {
            list.insert(path.to_owned());
        };
        match (ask.op, err) {
            (3 | 4 | 8 | 12, "0" | "-101") => {
                let (Ok(path), Ok(true)) = (r.text(), r.boolean()) else { return };
                if path.is_empty() {
                    return; // ZooKeeper's other name of the root, of which it tells nothing.
                }
                match (ask.op, err) {
                    (3, "-101") => set(&mut self.exist, &path),
                    (3 | 4, "0") => set(&mut self.data, &path),
                    (8 | 12, "0") => set(&mut self.child, &path),
                    _ => {}
                }
            }
            (106, "0") => match (r.text(), r.int()) {
                (Ok(path), Ok(0)) => set(&mut self.persistent, &path),
                (Ok(path), Ok(1)) => set(&mut self.recursive, &path),
                _ => {}
            },
            (18, "0") => {
                let (Ok(path), Ok(kind)) = (r.text(), r.int()) else { return };
                let (any, path) = (kind == 3, &*path);
                let lists = [
                    (1, &mut self.child),
                    (2, &mut self.data),
                    (2, &mut self.exist),
                    (4, &mut self.persistent),
                    (5, &mut self.recursive),
                ];
                for (_, list) in lists.into_iter().filter(|(of, _)| any || *of == kind) {
                    list.remove(path);
                }
            }
            (101 | 105, "0") => self.set_again(ask.op, r),
            // Whoever has ended its session may have named its watches in the same step, and not in the next session.
            (-11, "0") => *self = Self::default(),
            _ => {}
        }
    }

    /// The lists of a request that has succeeded.
    fn set_again(&mut self, op: i32, mut r: Reader) {
        let _since = r.long();
        let lists =
            [&mut self.data, &mut self.exist, &mut self.child, &mut self.persistent, &mut self.recursive];
        for list in lists.into_iter().take(if op == 101 { 3 } else { 5 }) {
            let Ok(Some(paths)) = r.vector(Reader::text) else { return };
            list.extend(paths.iter().map(ToString::to_string));
        }
    }

    /// Forgets a one-shot watch on data.
    pub(super) fn forget(&mut self, path: &str) {
        self.data.remove(path);
        self.exist.remove(path);
    }

    /// What the client names when it has come back; nothing if there is nothing to name.
    pub(super) fn named(&self) -> Option<Ask> {
        let lists: Vec<Vec<String>> =
            [&self.data, &self.exist, &self.child, &self.persistent, &self.recursive]
                .map(|list| list.iter().cloned().collect())
                .into();
        if lists.iter().all(Vec::is_empty) {
            return None;
        }
        let only_one_shot = lists[3].is_empty() && lists[4].is_empty();
        Some(set_watches(if only_one_shot { 101 } else { 105 }, Since::Seen(0), &lists))
    }
}
