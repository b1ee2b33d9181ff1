//! The framing of several operations in one (PROTOCOL, section "multi and multiRead").

use bytes::BytesMut;

use super::read::{Malformed, Reader};
use super::write::Writer;
use crate::request::{Create, Read, Write};
use crate::{Code, OpCode, Reply};

/// Reads operations up to the end marker. Only `done` decides where the end is.
fn read<T>(
    reader: &mut Reader,
    mut operation: impl FnMut(i32, &mut Reader) -> Result<T, Malformed>,
) -> Result<Vec<T>, Malformed> {
    let mut operations = Vec::new();
    loop {
        let kind = reader.int()?;
        let done = reader.boolean()?;
        let _err = reader.int()?;
        if done {
            return Ok(operations);
        }
        operations.push(operation(kind, reader)?);
    }
}

/// Reads the operations of a multi: creates, deletes, writes and checks.
pub(super) fn read_writes(reader: &mut Reader) -> Result<Vec<Write>, Malformed> {
    read(reader, |kind, reader| {
        let op = OpCode::from_wire(kind).ok_or(Malformed)?;
        let write = match op {
            OpCode::Create
            | OpCode::Create2
            | OpCode::CreateContainer
            | OpCode::CreateTtl
            | OpCode::Delete
            | OpCode::SetData
            | OpCode::Check => {
                let path = reader.text()?;
                super::request::read_write_record(op, path, reader)?
            }
            _ => return Err(Malformed),
        };
        match write {
            Write::Create(create) => Ok(Write::Create(in_multi(op, create)?)),
            _ => Ok(write),
        }
    })
}

/// What a create means inside a multi, where ZooKeeper looks at the flags once more (PROTOCOL, section "multi, Request").
fn in_multi(op: OpCode, create: Create) -> Result<Create, Malformed> {
    match (op, create.flags) {
        (OpCode::CreateTtl, 5 | 6) => Ok(create),
        // What carries a time to live that its kind has not is an ordinary create, and flags that nobody knows are refused
        // where it is performed.
        (OpCode::CreateTtl, flags) => {
            Ok(Create { ttl: None, container: flags == 4, with_stat: flags == 4, ..create })
        }
        // The others make the whole of it malformed if their flags are unknown, or of a kind that needs a time to live.
        // And so does an ACL that is null.
        _ if create.acl.is_none() => Err(Malformed),
        (_, 4) => Ok(Create { container: true, with_stat: true, ..create }),
        (_, 0..=3) => Ok(create),
        _ => Err(Malformed),
    }
}

/// Reads the operations of a multiRead: getData and getChildren, whose watch flags mean nothing here.
pub(super) fn read_reads(reader: &mut Reader) -> Result<Vec<Read>, Malformed> {
    read(reader, |kind, reader| {
        let path = reader.text()?;
        let _watch = reader.boolean()?;
        match OpCode::from_wire(kind) {
            Some(OpCode::GetData) => Ok(Read::GetData { path, watch: false }),
            Some(OpCode::GetChildren) => Ok(Read::GetChildren { path, watch: false }),
            _ => Err(Malformed),
        }
    })
}

/// Writes what each operation came to, and the end marker.
pub(super) fn write_results(out: &mut BytesMut, results: &[(OpCode, Result<Reply, Code>)]) {
    for (op, result) in results {
        match result {
            Ok(reply) => {
                header(out, op.to_wire(), false, 0);
                super::reply::write_body(out, reply);
            }
            Err(code) => refusal(out, code.to_wire()),
        }
    }
    header(out, -1, true, -1);
}

/// Writes what becomes of the operations of a multi that failed: those before the failing one carry 0, the failing
/// one its code, those behind it -2.
pub(super) fn write_failure(out: &mut BytesMut, operations: usize, failing: usize, code: Code) {
    for index in 0..operations {
        refusal(
            out,
            match index.cmp(&failing) {
                std::cmp::Ordering::Less => 0,
                std::cmp::Ordering::Equal => code.to_wire(),
                std::cmp::Ordering::Greater => Code::RuntimeInconsistency.to_wire(),
            },
        );
    }
    header(out, -1, true, -1);
}

fn refusal(out: &mut BytesMut, code: i32) {
    header(out, -1, false, code);
    out.int(code);
}

fn header(out: &mut BytesMut, kind: i32, done: bool, err: i32) {
    out.int(kind);
    out.boolean(done);
    out.int(err);
}
