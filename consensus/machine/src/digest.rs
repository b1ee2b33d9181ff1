//! A checksum of the whole world, to be compared across members.
//!
//! Each record is hashed by itself, and the hashes are added up: so the order in which a member happens to keep its
//! records does not matter. The hash is one with a published definition and no seed, because members that compare
//! it may be of different releases.

use proto::{Acl, ClusterId};
use xxhash_rust::xxh3::xxh3_64;

use crate::history::HistoryRecord;
use crate::image::{Record, ZnodeRecord};
use crate::outcome::ChangeKind;
use crate::session::Session;
use crate::watch::WatchRecord;
use crate::znode::Kind;

/// The checksum of records that come one by one, from wherever they are kept. Of all records of a world it is that of the
/// world, in whatever order they come.
#[derive(Debug, Default)]
pub struct Digest {
    line: Line,
    sum: u64,
}

impl Digest {
    /// Adds a record.
    pub fn add(&mut self, record: &Record) {
        self.line.0.clear();
        self.line.record(record);
        self.sum = self.sum.wrapping_add(xxh3_64(&self.line.0));
    }

    /// The checksum of what was added.
    pub const fn get(&self) -> u64 {
        self.sum
    }
}

/// The checksum of these records.
pub(crate) fn of(records: impl Iterator<Item = Record>) -> u64 {
    let mut digest = Digest::default();
    records.for_each(|record| digest.add(&record));
    digest.get()
}

/// The bytes of one record that are hashed: every field, in a form that no two different records share. They are
/// seen by nobody and kept nowhere.
#[derive(Debug, Default)]
struct Line(Vec<u8>);

impl Line {
    fn record(&mut self, record: &Record) {
        match record {
            Record::World(world) => {
                self.0.push(0);
                self.number(world.last_zxid.get());
                self.signed(world.now);
                self.number(world.forgotten.get());
                self.number(world.cluster.map_or(0, ClusterId::get));
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
            Record::Reconfiguration(record) => {
                self.0.push(5);
                self.signed(record.session.to_wire());
                self.number(record.attachment.get());
                self.number(record.seq.get());
                for line in &record.lines {
                    self.bytes(line.as_bytes());
                }
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
        match znode.kind {
            Kind::Persistent => self.0.push(0),
            Kind::Ephemeral(owner) => {
                self.0.push(1);
                self.signed(owner.to_wire());
            }
            Kind::Container => self.0.push(2),
            Kind::Ttl(ttl) => {
                self.0.push(3);
                self.signed(ttl);
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
        for removed in &record.removed {
            // No kind of watch has this number.
            self.0.push(0);
            self.0.push(removed.kind as u8);
            self.number(removed.by.attachment.get());
            self.number(removed.by.number);
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
