//! The ACL record.

use bytes::BytesMut;

use super::read::{Malformed, Reader};
use super::write::Writer;
use crate::{Acl, Id, Permissions, Text};

/// Reads a list of ACLs, which may be null. A null scheme or id comes out empty: no scheme knows either, so the
/// list is refused where ACLs are judged, with the code that ZooKeeper gives.
pub(super) fn read_list(reader: &mut Reader) -> Result<Option<Vec<Acl>>, Malformed> {
    reader.vector(|reader| {
        let permissions = Permissions::from_bits(reader.int()?);
        let scheme = reader.nullable_text()?.unwrap_or_else(Text::new);
        let id = reader.nullable_text()?.unwrap_or_else(Text::new);
        Ok(Acl { permissions, id: Id { scheme, id } })
    })
}

/// Writes a list of ACLs.
pub(super) fn write_list(out: &mut BytesMut, list: &[Acl]) {
    out.count(list.len());
    for acl in list {
        out.int(acl.permissions.bits());
        out.text(&acl.id.scheme);
        out.text(&acl.id.id);
    }
}
