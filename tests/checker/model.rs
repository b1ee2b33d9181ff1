//! The tree as it should be: what each write does to it, and what each request is to be told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proto::Stat;

use super::history::{Answer, Request, Stay, Told, name, parent};

/// A number of a transaction: what is negative is one that is not known, of [`Symbols`].
pub(super) type Zxid = i64;

const NO_NODE: i32 = -101;
const BAD_VERSION: i32 = -103;
const NO_CHILDREN_FOR_EPHEMERALS: i32 = -108;
const NODE_EXISTS: i32 = -110;
const NOT_EMPTY: i32 = -111;
/// Of the parts of a multi behind the one that failed.
const NOT_TRIED: i32 = -2;

/// One znode.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) data: String,
    pub(super) czxid: Zxid,
    pub(super) mzxid: Zxid,
    pub(super) pzxid: Zxid,
    pub(super) version: i32,
    /// How many children were created so far.
    pub(super) created: i32,
    pub(super) owner: i64,
    pub(super) is_container: bool,
    pub(super) children: BTreeSet<String>,
}

impl Node {
    pub(super) fn stat(&self) -> Stat {
        let children = i32::try_from(self.children.len()).unwrap_or(i32::MAX);
        Stat {
            czxid: self.czxid,
            mzxid: self.mzxid,
            pzxid: self.pzxid,
            version: self.version,
            cversion: self.created.wrapping_mul(2).wrapping_sub(children),
            aversion: 0,
            ephemeral_owner: self.owner,
            data_length: i32::try_from(self.data.len()).unwrap_or(i32::MAX),
            num_children: children,
            ctime: 0,
            mtime: 0,
        }
    }

    /// Whether it may be taken away although nobody asks for it.
    fn may_be_reaped(&self) -> bool {
        self.is_container && self.created > 0 && self.children.is_empty()
    }
}

/// The tree. What is changed can be taken back until it is [committed](Self::commit).
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    nodes: BTreeMap<String, Arc<Node>>,
    /// What stood at each path that was changed, in order.
    undo: Vec<(String, Option<Arc<Node>>)>,
}

impl Tree {
    /// The znodes of a session.
    pub(super) fn owned(&self, session: i64) -> Vec<String> {
        let mine = self.nodes.iter().filter(|(_, node)| node.owner == session);
        mine.map(|(path, _)| path.clone()).collect()
    }

    /// The znodes that the members may take away by themselves.
    pub(super) fn reapable(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().filter(|(_, node)| node.may_be_reaped()).map(|(path, _)| path.as_str())
    }

    /// A moment to which [`Self::roll_back`] can return.
    pub(super) fn mark(&self) -> usize {
        self.undo.len()
    }

    pub(super) fn roll_back(&mut self, mark: usize) {
        while self.undo.len() > mark {
            let Some((path, before)) = self.undo.pop() else { return };
            match before {
                Some(node) => self.nodes.insert(path, node),
                None => self.nodes.remove(&path),
            };
        }
    }

    /// The paths that were changed since the last time, with what is there now.
    pub(super) fn commit(&mut self) -> BTreeMap<String, Option<Arc<Node>>> {
        let changed: BTreeSet<String> = self.undo.drain(..).map(|(path, _)| path).collect();
        changed.into_iter().map(|path| (path.clone(), self.nodes.get(&path).cloned())).collect()
    }

    fn put(&mut self, path: &str, node: Node) {
        let before = self.nodes.insert(path.to_owned(), Arc::new(node));
        self.undo.push((path.to_owned(), before));
    }

    /// Does a write as `session` at `zxid`, or answers a read; what it is to be told.
    pub(super) fn perform(
        &mut self,
        request: &Request,
        session: i64,
        zxid: Zxid,
        symbols: &mut Symbols,
    ) -> Told {
        match request {
            Request::Create { .. } => self.create(request, session, zxid, symbols),
            Request::SetData { path, data, version } => {
                let mut node = Node::clone(self.expecting(path, *version)?);
                node.data.clone_from(data);
                node.mzxid = zxid;
                node.version = node.version.wrapping_add(1);
                let stat = node.stat();
                self.put(path, node);
                Ok(Answer::Stat(stat))
            }
            Request::Delete { path, version } => {
                if !self.expecting(path, *version)?.children.is_empty() {
                    return Err(NOT_EMPTY);
                }
                self.remove(path, zxid, symbols);
                Ok(Answer::Done)
            }
            Request::Check { path, version } => self.expecting(path, *version).map(|_| Answer::Done),
            Request::Multi(parts) => Ok(self.multi(parts, session, zxid, symbols)),
            Request::GetData(path) => {
                self.expecting(path, -1).map(|n| Answer::Data(n.data.clone(), n.stat()))
            }
            Request::Exists(path) => self.expecting(path, -1).map(|node| Answer::Stat(node.stat())),
            Request::Children(path) => {
                let node = self.expecting(path, -1)?;
                Ok(Answer::Children(node.children.iter().cloned().collect(), node.stat()))
            }
            Request::Sync(_) => Ok(Answer::Done),
            Request::Close => {
                self.end(session, zxid, symbols);
                Ok(Answer::Done)
            }
        }
    }

    /// Takes away what belongs to a session.
    pub(super) fn end(&mut self, session: i64, zxid: Zxid, symbols: &mut Symbols) {
        for path in self.owned(session) {
            self.remove(&path, zxid, symbols);
        }
    }

    /// Takes away a znode that is there and has no children.
    pub(super) fn remove(&mut self, path: &str, zxid: Zxid, symbols: &mut Symbols) {
        let before = self.nodes.remove(path);
        self.undo.push((path.to_owned(), before));
        let above = parent(path);
        if let Some(node) = self.nodes.get(above) {
            let mut node = Node::clone(node);
            node.children.remove(name(path));
            node.pzxid = symbols.later(node.pzxid, zxid);
            self.put(above, node);
        }
    }

    /// Takes over the version that was told of a znode that is otherwise as it should be, so that one finding is not
    /// followed by as many as there are replies.
    pub(super) fn adopt(&mut self, request: &Request, told: &Answer, expected: &Answer) {
        let (told, expected) = match (told, expected) {
            (Answer::Stat(told) | Answer::Data(_, told), Answer::Stat(stat) | Answer::Data(_, stat)) => {
                (told, stat)
            }
            (Answer::Multi(told), Answer::Multi(expected)) => {
                let parts = request.parts().iter().zip(told.iter().zip(expected));
                return parts.for_each(|(part, (told, expected))| self.adopt(part, told, expected));
            }
            _ => return,
        };
        let node = request.path().and_then(|path| Some((path, self.nodes.get(path)?)));
        if let Some((path, node)) = node
            && told.mzxid == expected.mzxid
            && told.version != expected.version
        {
            self.put(path, Node { version: told.version, ..Node::clone(node) });
        }
    }

    fn expecting(&self, path: &str, version: i32) -> Result<&Arc<Node>, i32> {
        let node = self.nodes.get(path).ok_or(NO_NODE)?;
        if version != -1 && version != node.version { Err(BAD_VERSION) } else { Ok(node) }
    }

    fn create(&mut self, request: &Request, session: i64, zxid: Zxid, symbols: &mut Symbols) -> Told {
        let Request::Create { path, data, stay, sequential, with_stat } = request else {
            return Err(NO_NODE);
        };
        let above = parent(path);
        let node = self.nodes.get(above);
        // What is above the round's own znodes is not looked at.
        if node.is_none() && above != "/" {
            return Err(NO_NODE);
        }
        let created = node.map_or(0, |node| node.created);
        let path = if *sequential { format!("{path}{created:010}") } else { path.clone() };
        if self.nodes.contains_key(&path) {
            return Err(NODE_EXISTS);
        }
        if node.is_some_and(|node| node.owner != 0) {
            return Err(NO_CHILDREN_FOR_EPHEMERALS);
        }
        if let Some(node) = node {
            let mut node = Node::clone(node);
            node.children.insert(name(&path).to_owned());
            node.created = node.created.wrapping_add(1);
            node.pzxid = symbols.later(node.pzxid, zxid);
            self.put(above, node);
        }
        let node = Node {
            data: data.clone(),
            czxid: zxid,
            mzxid: zxid,
            pzxid: zxid,
            owner: if *stay == Stay::Ephemeral { session } else { 0 },
            is_container: *stay == Stay::Container,
            ..Node::default()
        };
        // createContainer always tells it.
        let stat = (*with_stat || *stay == Stay::Container).then(|| node.stat());
        self.put(&path, node);
        Ok(Answer::Created(path, stat))
    }

    fn multi(&mut self, parts: &[Request], session: i64, zxid: Zxid, symbols: &mut Symbols) -> Answer {
        let mark = self.mark();
        let mut answers = Vec::with_capacity(parts.len());
        for part in parts {
            match self.perform(part, session, zxid, symbols) {
                Ok(answer) => answers.push(answer),
                Err(code) => {
                    self.roll_back(mark);
                    let mut codes = vec![0; answers.len()];
                    codes.push(code);
                    codes.resize(parts.len(), NOT_TRIED);
                    return Answer::MultiFailed(codes);
                }
            }
        }
        Answer::Multi(answers)
    }
}

/// Transactions of which it is only known between which others they were.
#[derive(Clone, Debug, Default)]
pub(super) struct Symbols(Vec<Symbol>);

#[derive(Clone, Copy, Debug)]
struct Symbol {
    /// It is later than this.
    after: i64,
    /// And not later than this.
    until: i64,
    /// Whether it may be that of no other write.
    is_own: bool,
    known: Option<i64>,
}

impl Symbols {
    /// One that is later than `after`, and not later than `until`.
    pub(super) fn between(&mut self, after: i64, until: i64) -> Zxid {
        self.add(Symbol { after, until, is_own: true, known: None })
    }

    fn add(&mut self, symbol: Symbol) -> Zxid {
        self.0.push(symbol);
        -i64::try_from(self.0.len()).unwrap_or(i64::MAX)
    }

    fn get(&self, zxid: Zxid) -> Option<&Symbol> {
        (zxid < 0).then(|| self.0.get(index(zxid))).flatten()
    }

    /// The later of two.
    fn later(&mut self, one: Zxid, other: Zxid) -> Zxid {
        let bounds = |zxid| {
            self.get(zxid)
                .map_or((zxid, zxid), |it| (it.known.unwrap_or(it.after + 1), it.known.unwrap_or(it.until)))
        };
        let ((least, most), (other_least, other_most)) = (bounds(one), bounds(other));
        if other_least >= most {
            other
        } else if least >= other_most {
            one
        } else {
            let after = least.max(other_least) - 1;
            self.add(Symbol { after, until: most.max(other_most), is_own: false, known: None })
        }
    }

    /// Whether what was told may be what it should be. If so, learns of unknown transactions what they are.
    pub(super) fn fits(&mut self, told: &Told, expected: &Told, is_taken: &dyn Fn(i64) -> bool) -> bool {
        let mut learnt = Vec::new();
        let same = match (told, expected) {
            (Ok(told), Ok(expected)) => self.answer(told, expected, is_taken, &mut learnt),
            (Err(told), Err(expected)) => told == expected,
            _ => false,
        };
        if same {
            for (zxid, value) in learnt {
                if let Some(symbol) = self.0.get_mut(index(zxid)) {
                    symbol.known = Some(value);
                }
            }
        }
        same
    }

    fn answer(
        &self,
        told: &Answer,
        expected: &Answer,
        is_taken: &dyn Fn(i64) -> bool,
        learnt: &mut Vec<(Zxid, i64)>,
    ) -> bool {
        let mut stats = |told: &Stat, expected: &Stat| self.stat(told, expected, is_taken, learnt);
        match (told, expected) {
            (Answer::Done, Answer::Done) => true,
            (Answer::Created(path, None), Answer::Created(expected, None)) => path == expected,
            (Answer::Created(path, Some(told)), Answer::Created(expected, Some(stat))) => {
                path == expected && stats(told, stat)
            }
            (Answer::Stat(told), Answer::Stat(expected)) => stats(told, expected),
            (Answer::Data(told, stat), Answer::Data(expected, its)) => told == expected && stats(stat, its),
            (Answer::Children(told, stat), Answer::Children(expected, its)) => {
                told == expected && stats(stat, its)
            }
            (Answer::Multi(told), Answer::Multi(expected)) => {
                told.len() == expected.len()
                    && told.iter().zip(expected).all(|(it, its)| self.answer(it, its, is_taken, learnt))
            }
            (Answer::MultiFailed(told), Answer::MultiFailed(expected)) => told == expected,
            _ => false,
        }
    }

    fn stat(
        &self,
        told: &Stat,
        expected: &Stat,
        is_taken: &dyn Fn(i64) -> bool,
        learnt: &mut Vec<(Zxid, i64)>,
    ) -> bool {
        let zxids =
            [(told.czxid, expected.czxid), (told.mzxid, expected.mzxid), (told.pzxid, expected.pzxid)];
        let bare = |stat: &Stat| Stat { czxid: 0, mzxid: 0, pzxid: 0, ctime: 0, mtime: 0, ..*stat };
        bare(told) == bare(expected)
            && zxids.into_iter().all(|(told, expected)| {
                let Some(symbol) = self.get(expected) else { return told == expected };
                let known = learnt.iter().find(|(zxid, _)| *zxid == expected).map(|(_, value)| *value);
                match symbol.known.or(known) {
                    Some(known) => told == known,
                    None if symbol.is_own && is_taken(told) => false,
                    None if symbol.after < told && told <= symbol.until => {
                        learnt.push((expected, told));
                        true
                    }
                    None => false,
                }
            })
    }
}

fn index(zxid: Zxid) -> usize {
    usize::try_from(-zxid - 1).unwrap_or(usize::MAX)
}
