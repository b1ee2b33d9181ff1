//! Who may write, and what is the next write of each.

use std::fmt;

use proto::{Attachment, Seq, SessionId, Text};

use crate::command::{Home, PASSWORD_BYTES};

/// A session, as every member knows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// What its client must say to come back.
    pub password: [u8; PASSWORD_BYTES],
    /// As negotiated last, in milliseconds.
    pub timeout_ms: u32,
    /// How many times it has been attached.
    pub attachment: Attachment,
    /// The write that comes next on this attachment.
    pub next_seq: Seq,
    /// The connection that it is attached to.
    pub home: Home,
    /// Where its client calls from.
    pub address: Text,
}

/// Everything but the password, which is nobody's to read.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.id)
            .field("timeout_ms", &self.timeout_ms)
            .field("attachment", &self.attachment)
            .field("next_seq", &self.next_seq)
            .field("home", &self.home)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
