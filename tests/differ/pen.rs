//! Records as bytes, with nulls and whatever else a record may hold.

use bytes::{BufMut, Bytes, BytesMut};
use proto::jute::write::Writer;

use super::step::{Ask, Since};
use super::vocabulary::Entry;

/// A record in the making.
#[derive(Debug, Default)]
pub(super) struct Pen(BytesMut);

impl Pen {
    pub(super) fn text(mut self, text: Option<&str>) -> Self {
        self.0.buffer(text.map(str::as_bytes));
        self
    }

    pub(super) fn buffer(mut self, bytes: Option<&[u8]>) -> Self {
        self.0.buffer(bytes);
        self
    }

    pub(super) fn int(mut self, value: i32) -> Self {
        self.0.put_i32(value);
        self
    }

    pub(super) fn long(mut self, value: i64) -> Self {
        self.0.put_i64(value);
        self
    }

    pub(super) fn byte(mut self, value: u8) -> Self {
        self.0.put_u8(value);
        self
    }

    pub(super) fn texts(mut self, texts: Option<&[String]>) -> Self {
        match texts {
            None => self.0.put_i32(-1),
            Some(texts) => {
                self.0.count(texts.len());
                texts.iter().for_each(|text| self.0.text(text));
            }
        }
        self
    }

    pub(super) fn acl(mut self, entries: Option<&[Entry]>) -> Self {
        match entries {
            None => self.0.put_i32(-1),
            Some(entries) => {
                self.0.count(entries.len());
                for (perms, scheme, id) in entries {
                    self.0.put_i32(*perms);
                    self.0.buffer(scheme.as_deref().map(str::as_bytes));
                    self.0.buffer(id.as_deref().map(str::as_bytes));
                }
            }
        }
        self
    }

    /// One operation of a multi.
    pub(super) fn part(mut self, op: i32, body: &[u8]) -> Self {
        self.0.put_i32(op);
        self.0.put_u8(0);
        self.0.put_i32(-1);
        self.0.put_slice(body);
        self
    }

    /// The end of a multi.
    pub(super) fn end(self) -> Self {
        self.int(-1).byte(1).int(-1)
    }

    pub(super) fn bytes(self) -> Bytes {
        self.0.freeze()
    }

    pub(super) fn ask(self, op: i32) -> Ask {
        Ask::new(op, self.bytes())
    }
}

/// `setWatches` or `setWatches2` of these lists: data, exist, child, and two more.
pub(super) fn set_watches(op: i32, since: Since, lists: &[Vec<String>]) -> Ask {
    let count = if op == 101 { 3 } else { 5 };
    let mut pen = Pen::default().long(0);
    for list in lists.iter().take(count) {
        pen = pen.texts(Some(list));
    }
    Ask { since: Some(since), ..pen.ask(op) }
}
