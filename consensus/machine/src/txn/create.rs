//! A new znode.

use proto::request::{Create, Stay};
use proto::{Code, Permissions, Reply, ZnodePath};

use super::quota::Weight;
use super::undo::Undo;
use super::{Txn, detached, quota};
use crate::acl;
use crate::outcome::ChangeKind;
use crate::rules::Rules;
use crate::znode::{Kind, Znode};

pub(super) fn create(txn: &mut Txn<'_>, request: &Create) -> Result<Reply, Code> {
    let mode = request.mode(!txn.rules.contains(Rules::EXTENDED_TYPES_DISABLED))?;
    let parent = parent_of(&request.path)?;
    let list = acl::expand(request.acl.as_deref(), txn.who, txn.rules)?;
    let parent = txn.tree.get(parent).ok_or(Code::NoNode)?;
    acl::require(&parent.acl, txn.who, Permissions::CREATE)?;
    let path = if mode.sequential {
        ZnodePath::with_sequence(&request.path, parent.created())?
    } else {
        ZnodePath::parse(&request.path)?
    };
    if txn.tree.get(&path).is_some() {
        return Err(Code::NodeExists);
    }
    if parent.kind().owner().is_some() {
        return Err(Code::NoChildrenForEphemerals);
    }
    let weight = Weight::of(request.data.as_deref());
    quota::admit(txn, &path, weight)?;

    let kind = match mode.stay {
        Stay::Persistent => Kind::Persistent,
        Stay::Ephemeral => Kind::Ephemeral(txn.session),
        Stay::Container => Kind::Container,
        Stay::Ttl(ttl) => Kind::Ttl(ttl),
    };
    let list = txn.tree.intern(&list);
    let data = detached(request.data.as_ref());
    let znode = Znode::new(path.clone(), data, list.clone(), kind, txn.zxid, txn.time);
    let stat = znode.stat();
    let mark = txn.tree.create(znode);
    txn.remember(|| Undo::Create { path: path.clone(), parent: mark });
    quota::created(txn, &path, weight);
    txn.report(ChangeKind::Created, path.clone(), list);
    Ok(if request.with_stat { Reply::PathStat(path, stat) } else { Reply::Path(path) })
}

/// Where the znode is to go. The stem of a sequential one may end in a slash, so this is no legal path yet; and the
/// root, which is refused because it exists, counts as its own parent.
fn parent_of(path: &str) -> Result<&str, Code> {
    match path.rfind('/') {
        _ if path.contains('\0') => Err(Code::BadArguments),
        None => Err(Code::BadArguments),
        Some(0) => Ok("/"),
        Some(slash) => Ok(&path[..slash]),
    }
}
