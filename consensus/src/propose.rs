//! What this member's clients ask the log for.

use bytes::Bytes;
use machine::Home;
use proto::{Attachment, Id, OpCode, Seq, SessionId, Text};

/// What a member asks the log for, on behalf of one of its clients. It becomes a `machine::Act`; the body of a write
/// is the client's own bytes, carried unchanged and parsed where it is applied.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the fields are those of `machine::Act`")]
pub enum Proposal {
    Open {
        home: Home,
        password: [u8; 16],
        timeout_ms: u32,
        address: Text,
    },
    Attach {
        home: Home,
        session: SessionId,
        password: Bytes,
        timeout_ms: u32,
        address: Text,
    },
    Write {
        session: SessionId,
        attachment: Attachment,
        seq: Seq,
        identities: Vec<Id>,
        op: OpCode,
        body: Bytes,
    },
}
