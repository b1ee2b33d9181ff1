//! A checksum of the whole world, to be compared across members.
//!
//! Each record is hashed by itself, and the hashes are added up: so the order in which a member happens to keep its
//! records does not matter. The hash is one with a published definition and no seed, because members that compare
//! it may be of different releases.

use proto::Acl;
use xxhash_rust::xxh3::xxh3_64;

use crate::history::HistoryRecord;
use crate::image::{Record, ZnodeRecord};
use crate::outcome::ChangeKind;
use crate::session::Session;
use crate::watch::WatchRecord;

/// The checksum of these records.
pub(crate) fn of(records: impl Iterator<Item = Record>) -> u64 {
    let mut line = Line(Vec::new());
    let mut sum = 0_u64;
    for record in records {
        line.0.clear();
        line.record(&record);
        sum = sum.wrapping_add(xxh3_64(&line.0));
    }
    sum
}

/// The bytes of one record that are hashed: every field, in a form that no two different records share. They are
/// seen by nobody and kept nowhere.
struct Line(Vec<u8>);

impl Line {
    fn record(&mut self, record: &Record) {
        match record {
            Record::World(world) => {
                self.0.push(0);
                self.number(world.last_zxid.get());
                self.signed(world.now);
                self.number(world.forgotten.get());
            }
            Record::Session(session) => {
                self.0.push(1);
                self.session(session);
            }
            Record::Znode(znode) => {
                self.0.push(2);
                self.znode(znode);
            }
            Record::History(history) => {
                self.0.push(3);
                self.history(history);
            }
            Record::Watch(record) => {
                self.0.push(4);
                self.watch(record);
            }
        }
    }

    fn session(&mut self, session: &Session) {
        self.signed(session.id.to_wire());
        self.bytes(&session.password);
        self.number(u64::from(session.timeout_ms));
        self.number(session.attachment.get());
        self.number(session.next_seq.get());
        self.number(session.home.member.get());
        self.number(session.home.boot);
        self.number(session.home.connection);
        self.bytes(session.address.as_bytes());
        self.number(session.arrivals.len() as u64);
        for seen in &session.arrivals {
            self.number(seen.get());
        }
    }

    fn znode(&mut self, znode: &ZnodeRecord) {
        self.bytes(znode.path.as_bytes());
        match &znode.data {
            None => self.0.push(0),
            Some(data) => {
                self.0.push(1);
                self.bytes(data);
            }
        }
        self.acl(&znode.acl);
        for zxid in [znode.czxid, znode.mzxid, znode.pzxid] {
            self.number(zxid.get());
        }
        for time in [znode.ctime, znode.mtime] {
            self.signed(time);
        }
        for count in [znode.version, znode.aversion, znode.created] {
            self.signed(i64::from(count));
        }
        match znode.kind.owner() {
            None => self.0.push(0),
            Some(owner) => {
                self.0.push(1);
                self.signed(owner.to_wire());
            }
        }
    }

    fn history(&mut self, history: &HistoryRecord) {
        self.number(history.zxid.get());
        for change in &history.changes {
            self.bytes(change.path.as_bytes());
            self.0.push(match change.kind {
                ChangeKind::Created => 1,
                ChangeKind::Deleted => 2,
                ChangeKind::DataChanged => 3,
            });
            match &change.acls {
                None => self.0.push(0),
                Some(acls) => {
                    self.0.push(1);
                    self.acl(&acls.own);
                    self.acl(&acls.parent);
                }
            }
        }
    }

    fn watch(&mut self, record: &WatchRecord) {
        self.signed(record.session.to_wire());
        self.bytes(record.path.as_bytes());
        for watch in &record.watches {
            self.0.push(watch.kind as u8);
            self.number(watch.armed.get());
            match watch.spent {
                None => self.0.push(0),
                Some(spent) => {
                    self.0.push(1);
                    self.number(spent.zxid.get());
                    self.signed(i64::from(spent.kind.to_wire()));
                }
            }
        }
    }

    fn acl(&mut self, acl: &[Acl]) {
        self.number(acl.len() as u64);
        for Acl { permissions, id } in acl {
            self.signed(i64::from(permissions.bits()));
            self.bytes(id.scheme.as_bytes());
            self.bytes(id.id.as_bytes());
        }
    }

    fn number(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn signed(&mut self, number: i64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }
}
