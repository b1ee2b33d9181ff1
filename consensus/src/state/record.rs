//! The world's records as bytes, and back.

use std::sync::LazyLock;

use bytes::Bytes;
use machine::Home;
use machine::{
    ArmedWatch, ChangeKind, HistoryRecord, Key, Kind, PastAcls, PastChange, Reconfiguration, Record,
    RemovedWatch, Reported, Session, Spent, WatchKind, WatchRecord, WorldRecord, ZnodeRecord,
};
use prost::Message;
use proto::image;
use proto::{
    Acl, Attachment, ClusterId, EventKind, Id, MemberId, Permissions, Seq, SessionId, Shared, Text,
    ZnodePath, Zxid,
};

/// The list of most znodes.
static OPEN: LazyLock<Shared<Acl>> = LazyLock::new(|| [Acl::open()].into());

/// The bytes of a record, which lie under its key.
pub(super) fn encode(record: &Record) -> Vec<u8> {
    match record {
        Record::World(world) => {
            let forgotten = world.forgotten.get();
            let cluster = world.cluster.map_or(0, ClusterId::get);
            image::World { last_zxid: world.last_zxid.get(), now: world.now, forgotten, cluster }
                .encode_to_vec()
        }
        Record::Session(session) => image::Session {
            password: Bytes::copy_from_slice(&session.password),
            timeout_ms: session.timeout_ms,
            attachment: session.attachment.get(),
            next_seq: session.next_seq.get(),
            home_member: session.home.member.get(),
            home_boot: session.home.boot,
            home_connection: session.home.connection,
            address: session.address.to_string(),
            arrivals: session.arrivals.iter().map(|seen| seen.get()).collect(),
        }
        .encode_to_vec(),
        Record::Znode(znode) => {
            let open = is_open(&znode.acl);
            image::Znode {
                data: znode.data.as_deref().map(Bytes::copy_from_slice),
                open,
                acl: if open { Vec::new() } else { znode.acl.iter().map(encode_acl).collect() },
                czxid: znode.czxid.get(),
                mzxid: znode.mzxid.get(),
                pzxid: znode.pzxid.get(),
                ctime: znode.ctime,
                mtime: znode.mtime,
                version: znode.version,
                aversion: znode.aversion,
                created: znode.created,
                owner: znode.kind.owner().map(SessionId::to_wire),
                container: znode.kind == Kind::Container,
                ttl_ms: if let Kind::Ttl(ttl) = znode.kind { ttl } else { 0 },
            }
            .encode_to_vec()
        }
        Record::History(history) => {
            image::History { changes: history.changes.iter().map(encode_change).collect() }.encode_to_vec()
        }
        Record::Watch(record) => {
            let watches = record.watches.iter().map(encode_watch).collect();
            let removed = record.removed.iter().map(encode_removed).collect();
            image::Watch { watches, removed }.encode_to_vec()
        }
        Record::Reconfiguration(record) => image::Reconfiguration {
            session: record.session.to_wire(),
            attachment: record.attachment.get(),
            seq: record.seq.get(),
            lines: record.lines.iter().map(Text::to_string).collect(),
        }
        .encode_to_vec(),
    }
}

/// The record that lies under `key`.
///
/// # Errors
/// In words, if the bytes are none that `encode` makes.
pub(super) fn decode(key: Key, bytes: Bytes) -> Result<Record, String> {
    Ok(match key {
        Key::World => {
            let world = image::World::decode(bytes).map_err(|error| error.to_string())?;
            let forgotten = Zxid::new(world.forgotten);
            let cluster = ClusterId::new(world.cluster);
            let last_zxid = Zxid::new(world.last_zxid);
            Record::World(WorldRecord { last_zxid, now: world.now, forgotten, cluster })
        }
        Key::Session(id) => {
            let session = image::Session::decode(bytes).map_err(|error| error.to_string())?;
            let password =
                session.password.as_ref().try_into().map_err(|_| "a password of another length")?;
            Record::Session(Session {
                id,
                password,
                timeout_ms: session.timeout_ms,
                attachment: Attachment::new(session.attachment),
                next_seq: Seq::new(session.next_seq),
                home: Home {
                    member: MemberId::new(session.home_member),
                    boot: session.home_boot,
                    connection: session.home_connection,
                },
                address: session.address.into(),
                arrivals: session.arrivals.into_iter().map(Zxid::new).collect(),
            })
        }
        Key::Znode(path) => {
            let znode = image::Znode::decode(bytes).map_err(|error| error.to_string())?;
            let acl: Shared<Acl> =
                if znode.open { OPEN.clone() } else { znode.acl.into_iter().map(decode_acl).collect() };
            Record::Znode(ZnodeRecord {
                path,
                data: znode.data.map(|data| Shared::from(&*data)),
                acl,
                czxid: Zxid::new(znode.czxid),
                mzxid: Zxid::new(znode.mzxid),
                pzxid: Zxid::new(znode.pzxid),
                ctime: znode.ctime,
                mtime: znode.mtime,
                version: znode.version,
                aversion: znode.aversion,
                created: znode.created,
                kind: match (znode.owner, znode.container, znode.ttl_ms) {
                    (None, false, 0) => Kind::Persistent,
                    (Some(owner), false, 0) => Kind::Ephemeral(SessionId::from_wire(owner)),
                    (None, true, 0) => Kind::Container,
                    (None, false, ttl @ 1..) => Kind::Ttl(ttl),
                    _ => return Err("a znode of several kinds".to_owned()),
                },
            })
        }
        Key::History(zxid) => {
            let history = image::History::decode(bytes).map_err(|error| error.to_string())?;
            let changes = history.changes.into_iter().map(decode_change).collect::<Result<_, _>>()?;
            Record::History(HistoryRecord { zxid, changes })
        }
        Key::Watch(session, path) => {
            let record = image::Watch::decode(bytes).map_err(|error| error.to_string())?;
            let watches = record.watches.iter().map(decode_watch).collect::<Result<_, _>>()?;
            let removed = record.removed.iter().map(decode_removed).collect::<Result<_, _>>()?;
            Record::Watch(WatchRecord { session, path, watches, removed })
        }
        Key::Reconfiguration => {
            let record = image::Reconfiguration::decode(bytes).map_err(|error| error.to_string())?;
            Record::Reconfiguration(Reconfiguration {
                session: SessionId::from_wire(record.session),
                attachment: Attachment::new(record.attachment),
                seq: Seq::new(record.seq),
                lines: record.lines.into_iter().map(Text::from).collect(),
            })
        }
    })
}

fn encode_change(change: &PastChange) -> image::PastChange {
    let acls = change.acls.as_ref().map(|acls| image::PastAcls {
        own: acls.own.iter().map(encode_acl).collect(),
        parent: acls.parent.iter().map(encode_acl).collect(),
    });
    let kind = change.kind.event().to_wire().unsigned_abs();
    image::PastChange { path: change.path.to_string(), kind, acls }
}

fn decode_change(change: image::PastChange) -> Result<PastChange, String> {
    let kinds = [ChangeKind::Created, ChangeKind::Deleted, ChangeKind::DataChanged];
    let kind = kinds.into_iter().find(|kind| kind.event().to_wire().unsigned_abs() == change.kind);
    let acls = change.acls.map(|acls| {
        let own = acls.own.into_iter().map(decode_acl).collect();
        let parent = acls.parent.into_iter().map(decode_acl).collect();
        Box::new(PastAcls { own, parent })
    });
    Ok(PastChange {
        path: ZnodePath::parse(&change.path).map_err(|_| format!("no path: {:?}", change.path))?,
        kind: kind.ok_or_else(|| format!("no kind of change: {}", change.kind))?,
        acls,
    })
}

fn encode_watch(watch: &ArmedWatch) -> image::ArmedWatch {
    image::ArmedWatch {
        kind: watch.kind as u32,
        armed: watch.armed.get(),
        spent: watch.spent.map_or(0, |spent| spent.zxid.get()),
        event: watch.spent.map_or(0, |spent| spent.kind.to_wire().unsigned_abs()),
    }
}

fn decode_watch(watch: &image::ArmedWatch) -> Result<ArmedWatch, String> {
    let kind = kind_of_watch(watch.kind)?;
    let spent = match (watch.spent, watch.event) {
        (0, _) => None,
        (zxid, event) => {
            let kinds =
                [EventKind::Created, EventKind::Deleted, EventKind::DataChanged, EventKind::ChildrenChanged];
            let kind = kinds.into_iter().find(|kind| kind.to_wire().unsigned_abs() == event);
            let kind = kind.ok_or_else(|| format!("no kind of event: {event}"))?;
            Some(Spent { zxid: Zxid::new(zxid), kind })
        }
    };
    Ok(ArmedWatch { kind, armed: Zxid::new(watch.armed), spent })
}

fn encode_removed(removed: &RemovedWatch) -> image::RemovedWatch {
    image::RemovedWatch {
        kind: removed.kind as u32,
        attachment: removed.by.attachment.get(),
        number: removed.by.number,
    }
}

fn decode_removed(removed: &image::RemovedWatch) -> Result<RemovedWatch, String> {
    let by = Reported { attachment: Attachment::new(removed.attachment), number: removed.number };
    Ok(RemovedWatch { kind: kind_of_watch(removed.kind)?, by })
}

fn kind_of_watch(number: u32) -> Result<WatchKind, String> {
    WatchKind::from_number(number).ok_or_else(|| format!("no kind of watch: {number}"))
}

/// Compared in place: this is asked for every znode that is written.
fn is_open(acl: &[Acl]) -> bool {
    matches!(acl, [only] if only.permissions == Permissions::ALL && &*only.id.scheme == "world" && &*only.id.id == "anyone")
}

fn encode_acl(acl: &Acl) -> image::Acl {
    image::Acl {
        permissions: acl.permissions.bits(),
        scheme: acl.id.scheme.to_string(),
        id: acl.id.id.to_string(),
    }
}

fn decode_acl(acl: image::Acl) -> Acl {
    Acl {
        permissions: Permissions::from_bits(acl.permissions),
        id: Id { scheme: Text::from(acl.scheme), id: Text::from(acl.id) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_as_they_were() {
        let znode = ZnodeRecord {
            path: ZnodePath::parse("/a").unwrap(),
            data: None,
            acl: [Acl::open()].into(),
            czxid: Zxid::new(1),
            mzxid: Zxid::new(2),
            pzxid: Zxid::new(3),
            ctime: -4,
            mtime: 5,
            version: -6,
            aversion: 7,
            created: 8,
            kind: Kind::Persistent,
        };
        let read_only = Acl { permissions: Permissions::READ, id: Id::new("digest", "a:b") };
        let path = znode.path.clone();
        let acls = Some(Box::new(PastAcls { own: [read_only.clone()].into(), parent: [].into() }));
        let spent = Some(Spent { zxid: Zxid::new(9), kind: EventKind::ChildrenChanged });
        for record in [
            Record::World(WorldRecord {
                last_zxid: Zxid::new(9),
                now: 10,
                forgotten: Zxid::new(8),
                cluster: ClusterId::new(7),
            }),
            Record::Watch(WatchRecord {
                session: SessionId::from_wire(11),
                path: path.clone(),
                watches: WatchKind::ALL
                    .map(|kind| ArmedWatch { kind, armed: Zxid::new(8), spent })
                    .into_iter()
                    .collect(),
                removed: Vec::new(),
            }),
            Record::Watch(WatchRecord {
                session: SessionId::from_wire(11),
                path: path.clone(),
                watches: [ArmedWatch { kind: WatchKind::Child, armed: Zxid::ZERO, spent: None }]
                    .into_iter()
                    .collect(),
                removed: vec![RemovedWatch {
                    kind: WatchKind::Recursive,
                    by: Reported { attachment: Attachment::new(2), number: 3 },
                }],
            }),
            Record::History(HistoryRecord {
                zxid: Zxid::new(9),
                changes: vec![
                    PastChange { path: path.clone(), kind: ChangeKind::Created, acls: None },
                    PastChange { path: path.clone(), kind: ChangeKind::DataChanged, acls },
                    PastChange { path, kind: ChangeKind::Deleted, acls: None },
                ]
                .into(),
            }),
            Record::Znode(ZnodeRecord { data: Some([].into()), ..znode.clone() }),
            Record::Znode(ZnodeRecord { acl: [].into(), ..znode.clone() }),
            Record::Znode(ZnodeRecord {
                data: Some((*b"data").into()),
                acl: [Acl::open(), read_only].into(),
                kind: Kind::Ephemeral(SessionId::from_wire(0)),
                ..znode.clone()
            }),
            Record::Znode(ZnodeRecord { kind: Kind::Container, ..znode.clone() }),
            Record::Znode(ZnodeRecord { kind: Kind::Ttl(1), ..znode.clone() }),
            Record::Znode(znode),
            Record::Session(Session {
                id: SessionId::from_wire(11),
                password: [12; 16],
                timeout_ms: 13,
                attachment: Attachment::new(14),
                next_seq: Seq::new(15),
                home: Home { member: MemberId::new(16), boot: u64::MAX, connection: 17 },
                address: Text::from("10.0.0.1"),
                arrivals: [18, 19].into_iter().map(Zxid::new).collect(),
            }),
        ] {
            assert_eq!(decode(record.key(), encode(&record).into()).unwrap(), record);
        }
    }
}
