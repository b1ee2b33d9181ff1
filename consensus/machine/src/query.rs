//! Reads.

use proto::request::Read;
use proto::{Code, OpCode, Permissions, Reply, SessionId, Text, ZnodePath};

use crate::acl;
use crate::command::Identities;
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
            let results = reads.iter().map(|read| answer(tree, read, session, who));
            Reply::Multi(kinds.into_iter().zip(results).collect())
        }
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
    let prefix = prefix.map_or("", |prefix| prefix.trim());
    tree.ephemerals(session).filter(|path| path.starts_with(prefix)).cloned().collect()
}

fn descendants(tree: &Tree, path: &str) -> usize {
    if path == "/" {
        return tree.len() - 1;
    }
    let mut count = 0;
    let mut left: Vec<&Znode> = tree.get(path).into_iter().collect();
    while let Some(znode) = left.pop() {
        count += znode.children_count();
        left.extend(
            znode.children().filter_map(|child| tree.get(child)).filter(|child| child.children.is_some()),
        );
    }
    count
}
