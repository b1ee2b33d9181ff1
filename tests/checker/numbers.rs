//! A Stat as a row of numbers, for histories that are kept.

use proto::Stat;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// In the order of the protocol.
type Row = (i64, i64, i64, i64, i32, i32, i32, i64, i32, i32, i64);

fn row(it: &Stat) -> Row {
    let (own, of_children) = ((it.czxid, it.mzxid, it.ctime, it.mtime), (it.num_children, it.pzxid));
    let versions = (it.version, it.cversion, it.aversion);
    (
        own.0,
        own.1,
        own.2,
        own.3,
        versions.0,
        versions.1,
        versions.2,
        it.ephemeral_owner,
        it.data_length,
        of_children.0,
        of_children.1,
    )
}

fn stat(row: Row) -> Stat {
    let (
        czxid,
        mzxid,
        ctime,
        mtime,
        version,
        cversion,
        aversion,
        ephemeral_owner,
        data_length,
        num_children,
        pzxid,
    ) = row;
    Stat {
        czxid,
        mzxid,
        ctime,
        mtime,
        version,
        cversion,
        aversion,
        ephemeral_owner,
        data_length,
        num_children,
        pzxid,
    }
}

pub(super) fn serialize<S: Serializer>(it: &Stat, to: S) -> Result<S::Ok, S::Error> {
    row(it).serialize(to)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Stat, D::Error> {
    Row::deserialize(from).map(stat)
}

/// One that may not be there.
pub(super) mod maybe {
    use proto::Stat;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{Row, row, stat};

    pub(in super::super) fn serialize<S: Serializer>(it: &Option<Stat>, to: S) -> Result<S::Ok, S::Error> {
        it.as_ref().map(row).serialize(to)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Stat>, D::Error> {
        Ok(Option::<Row>::deserialize(from)?.map(stat))
    }
}
