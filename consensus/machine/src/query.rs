//! Reads.

use proto::limits::MULTI_READ_BYTES_MAX;
use proto::request::Read;
use proto::{Code, OpCode, Permissions, Reply, SessionId, Text, ZnodePath};

use crate::acl;
use crate::command::Identities;
use crate::quota::{self, Limits, Track};
use crate::tree::Tree;
use crate::znode::{Znode, as_int};

/// Answers a read. All parts of a multiRead see one world.
pub(crate) fn answer(
    tree: &Tree,
    read: &Read,
    session: SessionId,
    who: Identities<'_>,
) -> Result<Reply, Code> {
    let readable = |path: &Text| find(tree, path, who, Permissions::READ);
    Ok(match read {
        // The reads look at paths less closely than the writes do: what is not legal is simply not there.
        Read::Exists { path, .. } if path.contains('\0') => return Err(Code::BadArguments),
        Read::Exists { path, .. } => Reply::Stat(readable(path)?.stat()),
        Read::GetData { path, .. } => {
            let znode = readable(path)?;
            Reply::Data(znode.data.clone(), znode.stat())
        }
        Read::GetAcl { path } => {
            let znode = find(tree, path, who, Permissions::READ | Permissions::ADMIN)?;
            Reply::Acl(acl::masked(&znode.acl, who), znode.stat())
        }
        Read::GetChildren { path, .. } => Reply::Children(readable(path)?.children().cloned().collect()),
        Read::GetChildren2 { path, .. } => {
            let znode = readable(path)?;
            Reply::ChildrenStat(znode.children().cloned().collect(), znode.stat())
        }
        Read::GetEphemerals { prefix } => Reply::Ephemerals(ephemerals(tree, session, prefix.as_ref())),
        Read::GetAllChildrenNumber { path } => {
            readable(path)?;
            Reply::Count(as_int(descendants(tree, path)))
        }
        Read::MultiRead(reads) => {
            let kinds: Vec<OpCode> =
                reads.iter().map(kind).collect::<Option<_>>().ok_or(Code::MarshallingError)?;
            let mut bytes = 0;
            let mut results = Vec::with_capacity(reads.len());
            for (kind, read) in kinds.into_iter().zip(reads) {
                let result = answer(tree, read, session, who);
                bytes += result.as_ref().map_or(0, Reply::reckoned_bytes);
                if bytes > MULTI_READ_BYTES_MAX {
                    return Err(Code::MarshallingError);
                }
                results.push((kind, result));
            }
            Reply::Multi(results)
        }
    })
}

/// A quota: what may be below a path, and what is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The path that has it.
    pub path: String,
    /// What there may be.
    pub limits: Limits,
    /// Znodes that are counted, this one among them; -1 if nobody keeps the count.
    pub count: i64,
    /// Bytes of their data; -1 if nobody keeps the count.
    pub bytes: i64,
}

impl Quota {
    /// The first part of its path, by which ZooKeeper's metrics add quotas up.
    pub fn namespace(&self) -> &str {
        self.path.split('/').nth(1).unwrap_or_default()
    }
}

/// All quotas.
pub(crate) fn quotas(tree: &Tree) -> impl Iterator<Item = Quota> {
    tree.limited().map(|of| {
        let says = |path: String| tree.get(&path).and_then(|znode| znode.data.as_deref());
        let usage = Track::parse_usage(says(quota::stats_path(of))).unwrap_or(Track::usage(-1, -1));
        let limits = Limits::parse(says(quota::limits_path(of)));
        Quota { path: of.to_owned(), limits, count: usage.count, bytes: usage.bytes }
    })
}

fn find<'a>(tree: &'a Tree, path: &str, who: Identities<'_>, wanted: Permissions) -> Result<&'a Znode, Code> {
    let znode = tree.get(path).ok_or(Code::NoNode)?;
    acl::require(&znode.acl, who, wanted)?;
    Ok(znode)
}

/// How a result names its read; `None` for what may not stand in a multiRead.
fn kind(read: &Read) -> Option<OpCode> {
    match read {
        Read::GetData { .. } => Some(OpCode::GetData),
        Read::GetChildren { .. } => Some(OpCode::GetChildren),
        _ => None,
    }
}

/// The prefix is compared as text: `/a` finds `/ab` too.
fn ephemerals(tree: &Tree, session: SessionId, prefix: Option<&Text>) -> Vec<ZnodePath> {
    let prefix = said(prefix.map_or("", |prefix| prefix));
    tree.ephemerals(session).filter(|path| path.starts_with(prefix)).cloned().collect()
}

/// A prefix that is blank, but for the root, is none. Only to see that is it looked at without what Java takes for blanks.
fn said(prefix: &str) -> &str {
    match prefix.trim_matches(|c| c <= ' ') {
        "" | "/" => "",
        _ => prefix,
    }
}

fn descendants(tree: &Tree, path: &str) -> usize {
    if path == "/" {
        return tree.len() - 1;
    }
    let mut count = 0;
    let mut left: Vec<&Znode> = tree.get(path).into_iter().collect();
    while let Some(znode) = left.pop() {
        count += znode.children_count();
        left.extend(znode.children().filter_map(|child| tree.get(child)).filter(|child| !child.is_leaf()));
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_blank_prefix_is_none() {
        let none = ["", " ", "/", " /\t", "\u{1f}"].map(said);
        assert_eq!(none, [""; 5]);
        let some = ["/a ", " /a", "/a/\u{a0}", "\u{a0}", "a"];
        assert_eq!(some.map(said), some);
    }
}
