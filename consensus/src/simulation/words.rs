//! What simulated clients say and read, as real ones would.

use std::collections::BTreeSet;

use machine::{Identities, Machine};
use proto::request::Read;
use proto::{Reply, SessionId, Text};

fn look_at(machine: &Machine, read: &Read) -> Result<Reply, String> {
    let address = Text::from("10.0.0.1");
    let who = Identities { address: &address, proved: &[] };
    machine.read(read, SessionId::from_wire(0), who).map_err(|code| format!("{read:?} is answered {code:?}"))
}

/// The number in a znode, and how often that was written.
pub(super) fn read_number(machine: &Machine, path: &str) -> Result<(u64, i32), String> {
    let read = Read::GetData { path: Text::from(path), watch: false };
    let Reply::Data(Some(data), stat) = look_at(machine, &read)? else {
        return Err(format!("{path} is empty"));
    };
    let number = std::str::from_utf8(&data).ok().and_then(|data| data.parse().ok());
    Ok((number.ok_or_else(|| format!("{path} holds {data:?}"))?, stat.version))
}

pub(super) fn read_children(machine: &Machine, path: &str) -> Result<BTreeSet<String>, String> {
    let read = Read::GetChildren { path: Text::from(path), watch: false };
    let Reply::Children(children) = look_at(machine, &read)? else {
        return Err(format!("{path} has no list"));
    };
    Ok(children.iter().map(|child| child.as_str().to_owned()).collect())
}

/// One operation of a multi.
pub(super) fn operation(kind: i32, body: &[u8]) -> Vec<u8> {
    let mut out = kind.to_be_bytes().to_vec();
    out.push(0);
    out.extend((-1_i32).to_be_bytes());
    out.extend(body);
    out
}

fn buffer(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(i32::try_from(bytes.len()).expect("it is short").to_be_bytes());
    out.extend(bytes);
}

pub(super) fn create(path: &str, data: &[u8], flags: i32) -> Vec<u8> {
    let mut body = Vec::new();
    buffer(&mut body, path.as_bytes());
    buffer(&mut body, data);
    body.extend(1_i32.to_be_bytes());
    body.extend(31_i32.to_be_bytes());
    buffer(&mut body, b"world");
    buffer(&mut body, b"anyone");
    body.extend(flags.to_be_bytes());
    body
}

pub(super) fn set(path: &str, data: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    buffer(&mut body, path.as_bytes());
    buffer(&mut body, data);
    body.extend((-1_i32).to_be_bytes());
    body
}

pub(super) fn delete(path: &str) -> Vec<u8> {
    let mut body = Vec::new();
    buffer(&mut body, path.as_bytes());
    body.extend((-1_i32).to_be_bytes());
    body
}

/// Asks for these members.
pub(super) fn reconfig(members: &str) -> Vec<u8> {
    let mut body = Vec::new();
    let nothing = (-1_i32).to_be_bytes();
    body.extend(nothing);
    body.extend(nothing);
    buffer(&mut body, members.as_bytes());
    body.extend((-1_i64).to_be_bytes());
    body
}

/// How a member is written down.
pub(super) fn line(member: u64, observer: bool) -> String {
    let role = if observer { "observer" } else { "participant" };
    format!("server.{member}=member{member}:1:2:{role};0.0.0.0:2181")
}
