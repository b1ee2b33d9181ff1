//! Several operations, all or none.

use proto::request::Write;
use proto::{Code, OpCode, Reply};

use super::Txn;

/// A failure is an answer too: the header says that all is well, and the body tells.
pub(super) fn multi(txn: &mut Txn<'_>, operations: &[Write]) -> Result<Reply, Code> {
    let kinds: Vec<OpCode> =
        operations.iter().map(kind).collect::<Option<_>>().ok_or(Code::MarshallingError)?;
    txn.undo.get_or_insert_default();
    let mut results = Vec::with_capacity(operations.len());
    for (index, (operation, kind)) in operations.iter().zip(kinds).enumerate() {
        match txn.perform_one(operation) {
            Ok(reply) => results.push((kind, Ok(reply))),
            Err(code) => {
                txn.take_back();
                return Ok(Reply::MultiFailed { operations: operations.len(), failing: index, code });
            }
        }
    }
    Ok(Reply::Multi(results))
}

/// How a result names its operation; `None` for what may not stand in a multi.
fn kind(operation: &Write) -> Option<OpCode> {
    match operation {
        Write::Create(create) if create.with_stat => Some(OpCode::Create2),
        Write::Create(_) => Some(OpCode::Create),
        Write::Delete { .. } => Some(OpCode::Delete),
        Write::SetData { .. } => Some(OpCode::SetData),
        Write::Check { .. } => Some(OpCode::Check),
        Write::SetAcl { .. } | Write::Multi(_) | Write::Reconfig(_) | Write::CloseSession => None,
    }
}
