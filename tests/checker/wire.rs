//! Requests of a round as bytes, and their answers out of bytes.

use proto::OpCode;
use proto::jute::read::{Malformed, Reader};

use super::history::{Answer, Request, Stay, Told};
use crate::Ask;
use crate::ask::flags;
use crate::connection::{self, stat};

/// The request as it goes out.
pub(super) fn ask(request: &Request) -> Ask {
    match request {
        Request::Create { path, data, stay, sequential, with_stat } => {
            let flags = if *sequential { flags::SEQUENTIAL } else { flags::PERSISTENT };
            match stay {
                Stay::Container => Ask::create_container_with(path, data.as_bytes()),
                Stay::Ephemeral if *with_stat => {
                    Ask::create2(path, data.as_bytes(), flags | flags::EPHEMERAL)
                }
                Stay::Ephemeral => Ask::create(path, data.as_bytes(), flags | flags::EPHEMERAL),
                Stay::Persistent if *with_stat => Ask::create2(path, data.as_bytes(), flags),
                Stay::Persistent => Ask::create(path, data.as_bytes(), flags),
            }
        }
        Request::SetData { path, data, version } => Ask::set_data(path, data.as_bytes(), *version),
        Request::Delete { path, version } => Ask::delete_version(path, *version),
        Request::Check { path, version } => Ask::check(path, *version),
        Request::Multi(parts) => Ask::multi(&parts.iter().map(ask).collect::<Vec<_>>()),
        Request::GetData(path) => Ask::get_data(path, false),
        Request::Exists(path) => Ask::exists(path, false),
        Request::Children(path) => Ask::get_children2(path, false),
        Request::Sync(path) => Ask::sync(path),
        Request::Close => Ask::close_session(),
    }
}

/// What a reply says.
///
/// # Errors
/// If it is not the record that answers the request.
pub(super) fn told(request: &Request, reply: &connection::Reply) -> Result<Told, Malformed> {
    if reply.err != 0 {
        return Ok(Err(reply.err));
    }
    answer(request, &mut Reader::new(reply.body.clone())).map(Ok)
}

fn answer(request: &Request, r: &mut Reader) -> Result<Answer, Malformed> {
    Ok(match request {
        Request::Create { stay, with_stat, .. } => {
            let path = r.text()?.to_string();
            let has_stat = *with_stat || *stay == Stay::Container;
            Answer::Created(path, if has_stat { Some(stat(r)?) } else { None })
        }
        Request::SetData { .. } | Request::Exists(_) => Answer::Stat(stat(r)?),
        Request::Delete { .. } | Request::Check { .. } | Request::Sync(_) | Request::Close => Answer::Done,
        Request::GetData(_) => {
            let data = r.buffer()?.unwrap_or_default();
            Answer::Data(String::from_utf8_lossy(&data).into_owned(), stat(r)?)
        }
        Request::Children(_) => {
            let mut names = r.vector(|r| Ok(r.text()?.to_string()))?.unwrap_or_default();
            names.sort();
            Answer::Children(names, stat(r)?)
        }
        Request::Multi(parts) => multi(parts, r)?,
    })
}

fn multi(parts: &[Request], r: &mut Reader) -> Result<Answer, Malformed> {
    const FAILED: i32 = -1;
    let (mut answers, mut codes) = (Vec::new(), Vec::new());
    for part in parts {
        let (kind, done, err) = (r.int()?, r.boolean()?, r.int()?);
        if done {
            return Err(Malformed);
        }
        if kind == FAILED {
            codes.push(err);
            r.int()?;
        } else if OpCode::from_wire(kind).is_some() {
            answers.push(answer(part, r)?);
        } else {
            return Err(Malformed);
        }
    }
    match (answers.len(), codes.len()) {
        (_, 0) => Ok(Answer::Multi(answers)),
        (0, _) => Ok(Answer::MultiFailed(codes)),
        _ => Err(Malformed),
    }
}
