//! Primitives to bytes.

use bytes::{BufMut, BytesMut};

use crate::Stat;

/// Writes primitives behind what is in the buffer already.
pub trait Writer {
    /// One byte, 0 or 1.
    fn boolean(&mut self, value: bool);
    /// Four bytes.
    fn int(&mut self, value: i32);
    /// Eight bytes.
    fn long(&mut self, value: i64);
    /// A length and the bytes; -1 for null.
    fn buffer(&mut self, value: Option<&[u8]>);
    /// A length and the text.
    fn text(&mut self, value: &str);
    /// A count, before that many elements.
    fn count(&mut self, value: usize);
    /// The record of PROTOCOL, section "Stat rules": 68 bytes.
    fn stat(&mut self, value: &Stat);
}

impl Writer for BytesMut {
    fn boolean(&mut self, value: bool) {
        self.put_u8(u8::from(value));
    }

    fn int(&mut self, value: i32) {
        self.put_i32(value);
    }

    fn long(&mut self, value: i64) {
        self.put_i64(value);
    }

    fn buffer(&mut self, value: Option<&[u8]>) {
        match value {
            None => self.put_i32(-1),
            Some(bytes) => {
                self.count(bytes.len());
                self.put_slice(bytes);
            }
        }
    }

    fn text(&mut self, value: &str) {
        self.buffer(Some(value.as_bytes()));
    }

    fn count(&mut self, value: usize) {
        // A length beyond 2^31 cannot be said in this format; nothing that the server holds comes near it.
        self.put_i32(i32::try_from(value).unwrap_or(i32::MAX));
    }

    fn stat(&mut self, value: &Stat) {
        self.put_i64(value.czxid);
        self.put_i64(value.mzxid);
        self.put_i64(value.ctime);
        self.put_i64(value.mtime);
        self.put_i32(value.version);
        self.put_i32(value.cversion);
        self.put_i32(value.aversion);
        self.put_i64(value.ephemeral_owner);
        self.put_i32(value.data_length);
        self.put_i32(value.num_children);
        self.put_i64(value.pzxid);
    }
}
