//! Frames of a client to requests.

use bytes::Bytes;

use super::read::{Malformed, Reader};
use super::{acl, multi};
use crate::request::{Auth, Create, OpCode, Read, Reconfig, Request, SetWatches, WatcherType, Write};
use crate::{Text, Version, Xid, Zxid};

/// Reads the header of a request: what the client numbers it with, and the operation's number, known or not.
///
/// # Errors
/// [`Malformed`] if the frame is shorter than a header: the connection cannot go on.
pub fn read_header(frame: Bytes) -> Result<(Xid, i32, Bytes), Malformed> {
    let mut reader = Reader::new(frame);
    let xid = Xid::new(reader.int()?);
    let op = reader.int()?;
    Ok((xid, op, reader.rest()))
}

/// Reads the body of a request. Bytes behind the last field are ignored.
///
/// # Errors
/// [`Malformed`] if a body that is looked at here does not parse; that of a write is looked at in [`read_write`].
pub fn read_body(op: i32, body: Bytes) -> Result<Request, Malformed> {
    if OpCode::is_internal(op) {
        return Ok(Request::Internal);
    }
    let Some(code) = OpCode::from_wire(op) else { return Ok(Request::Unserved(op)) };
    let mut reader = Reader::new(body);
    let r = &mut reader;
    Ok(match code {
        OpCode::Create
        | OpCode::Create2
        | OpCode::CreateContainer
        | OpCode::CreateTtl
        | OpCode::Delete
        | OpCode::SetData
        | OpCode::SetAcl
        | OpCode::Multi
        | OpCode::Reconfig
        | OpCode::CloseSession => Request::Write(code, reader.rest()),
        OpCode::Exists => Request::Read(Read::Exists { path: r.text()?, watch: r.boolean()? }),
        OpCode::GetData => Request::Read(Read::GetData { path: r.text()?, watch: r.boolean()? }),
        OpCode::GetAcl => Request::Read(Read::GetAcl { path: r.text()? }),
        OpCode::GetChildren => Request::Read(Read::GetChildren { path: r.text()?, watch: r.boolean()? }),
        OpCode::GetChildren2 => Request::Read(Read::GetChildren2 { path: r.text()?, watch: r.boolean()? }),
        OpCode::GetEphemerals => Request::Read(Read::GetEphemerals { prefix: r.nullable_text()? }),
        OpCode::GetAllChildrenNumber => Request::Read(Read::GetAllChildrenNumber { path: r.text()? }),
        OpCode::MultiRead => Request::Read(Read::MultiRead(multi::read_reads(r)?)),
        OpCode::Sync => Request::Sync(r.nullable_text()?),
        OpCode::Ping => Request::Ping,
        OpCode::Auth => {
            let _kind = r.int()?;
            // No scheme is none that anybody knows.
            let scheme = r.nullable_text()?.unwrap_or_default();
            match r.buffer()? {
                Some(credentials) => Request::Auth(Auth { scheme, credentials }),
                // Only where a client calls from is known without any.
                None if scheme == "ip" => Request::Auth(Auth { scheme, credentials: Bytes::new() }),
                None => Request::Auth(Auth { scheme: Text::new(), credentials: Bytes::new() }),
            }
        }
        OpCode::Sasl => Request::Sasl(r.buffer()?.unwrap_or_default()),
        OpCode::SetWatches => Request::SetWatches(read_set_watches(r)?),
        OpCode::SetWatches2 => {
            let watches = read_set_watches(r)?;
            let persistent = r.vector(Reader::text)?.ok_or(Malformed)?;
            let recursive = r.vector(Reader::text)?.ok_or(Malformed)?;
            Request::SetWatches(SetWatches { persistent, recursive, ..watches })
        }
        OpCode::AddWatch => {
            // A watch where there is no path tells nothing, and can be had.
            let path = r.nullable_text()?.unwrap_or_default();
            let recursive = match r.int()? {
                0 => false,
                1 => true,
                _ => return Err(Malformed),
            };
            Request::AddWatch { path, recursive }
        }
        OpCode::CheckWatches | OpCode::RemoveWatches => {
            // Nothing is watched where there is no path.
            let path = r.nullable_text()?.unwrap_or_default();
            let kind = match r.int()? {
                1 => WatcherType::Children,
                2 => WatcherType::Data,
                3 => WatcherType::Any,
                4 => WatcherType::Persistent,
                5 => WatcherType::PersistentRecursive,
                _ => return Err(Malformed),
            };
            Request::FindWatches { path, kind, remove: code == OpCode::RemoveWatches }
        }
        OpCode::WhoAmI => Request::WhoAmI,
        // A check stands inside a multi only. The others are known to the protocol and not served yet.
        OpCode::Check => Request::Unserved(op),
    })
}

/// Reads the body of a request that changes the world.
///
/// # Errors
/// [`Malformed`] if it does not parse, or is none of these.
pub fn read_write(op: OpCode, body: Bytes) -> Result<Write, Malformed> {
    let mut reader = Reader::new(body);
    match op {
        OpCode::Multi => Ok(Write::Multi(multi::read_writes(&mut reader)?)),
        OpCode::Reconfig => Ok(Write::Reconfig(Reconfig {
            joining: reader.nullable_text()?,
            leaving: reader.nullable_text()?,
            members: reader.nullable_text()?,
            version: reader.long()?,
        })),
        OpCode::CloseSession => Ok(Write::CloseSession),
        // These judge the path before they use it: a null one is no path, like an empty one, and not a record that does
        // not parse. In a multi it is.
        OpCode::SetData | OpCode::SetAcl => {
            let path = reader.nullable_text()?.unwrap_or_default();
            read_write_record(op, path, &mut reader)
        }
        _ => {
            let path = reader.nullable_text()?;
            let is_null = path.is_none();
            let write = read_write_record(op, path.unwrap_or_default(), &mut reader)?;
            match &write {
                // What kind of znode it shall be is judged before where. An empty path is no better than none then.
                Write::Create(create) if create.mode(true).is_err() => Ok(write),
                _ if is_null => Err(Malformed),
                _ => Ok(write),
            }
        }
    }
}

/// Reads the record of one operation that may stand alone or in a multi, behind its path.
pub(super) fn read_write_record(op: OpCode, path: Text, r: &mut Reader) -> Result<Write, Malformed> {
    Ok(match op {
        OpCode::Create | OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl => {
            Write::Create(Create {
                path,
                data: r.buffer()?,
                acl: acl::read_list(r)?,
                flags: r.int()?,
                ttl: if op == OpCode::CreateTtl { Some(r.long()?) } else { None },
                container: op == OpCode::CreateContainer,
                with_stat: op != OpCode::Create,
            })
        }
        OpCode::Delete => Write::Delete { path, version: Version::new(r.int()?) },
        OpCode::SetData => Write::SetData { path, data: r.buffer()?, version: Version::new(r.int()?) },
        OpCode::SetAcl => Write::SetAcl { path, acl: acl::read_list(r)?, version: Version::new(r.int()?) },
        OpCode::Check => Write::Check { path, version: Version::new(r.int()?) },
        _ => return Err(Malformed),
    })
}

fn read_set_watches(r: &mut Reader) -> Result<SetWatches, Malformed> {
    Ok(SetWatches {
        relative: Zxid::from_wire(r.long()?),
        data: r.vector(Reader::text)?.ok_or(Malformed)?,
        exist: r.vector(Reader::text)?.ok_or(Malformed)?,
        child: r.vector(Reader::text)?.ok_or(Malformed)?,
        persistent: Vec::new(),
        recursive: Vec::new(),
    })
}
