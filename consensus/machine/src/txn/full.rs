//! What goes on where the world takes as much memory as it may.
//!
//! A transaction is done, and taken back if the znodes take more behind it than in front of it: whoever deletes, writes something
//! shorter, or moves something within a multi, goes on, and who is refused for another reason is told that one. A client may try
//! again later, when others have deleted.

use proto::request::Write;
use proto::{Code, Reply};

use super::Txn;

pub(super) fn perform(txn: &mut Txn<'_>, write: &Write) -> Result<Reply, Code> {
    txn.undo = Some(Vec::new());
    let before = txn.tree.held();
    let reply = txn.perform_any(write)?;
    if txn.tree.held() > before {
        txn.take_back();
        return Err(Code::ThrottledOp);
    }
    Ok(reply)
}
