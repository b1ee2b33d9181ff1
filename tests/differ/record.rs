//! Requests and replies as tables of fields (PROTOCOL, section "Records").

use bytes::Bytes;
use proto::jute::read::{Malformed, Reader};

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the protocol's own")]
pub enum Kind {
    Int,
    Long,
    /// A position in the history.
    Zxid,
    Bool,
    Text,
    Buffer,
    /// Texts in an order that counts.
    Texts,
    /// Texts in an order that nobody promises.
    Names,
    Acl,
    Stat,
    /// Scheme and user, in an order that nobody promises.
    Identities,
}

/// What a field held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A number or a truth.
    Plain(i64),
    /// A position in the history.
    Zxid(i64),
    /// A time in milliseconds, and the zxid of the transaction that it should be the time of.
    Time(i64, i64),
    /// A session.
    Session(i64),
    /// What is not a number, in words.
    Words(String),
}

/// A record, read.
pub type Fields = Vec<(String, Value)>;

type Table = &'static [(&'static str, Kind)];

const PATH_WATCH: Table = &[("path", Kind::Text), ("watch", Kind::Bool)];
const CREATE: Table =
    &[("path", Kind::Text), ("data", Kind::Buffer), ("acl", Kind::Acl), ("flags", Kind::Int)];
const PATH_VERSION: Table = &[("path", Kind::Text), ("version", Kind::Int)];
const PATH_TYPE: Table = &[("path", Kind::Text), ("type", Kind::Int)];
const PATH: Table = &[("path", Kind::Text)];
const PATH_STAT: Table = &[("path", Kind::Text), ("", Kind::Stat)];
const STAT: Table = &[("", Kind::Stat)];
const DATA_STAT: Table = &[("data", Kind::Buffer), ("", Kind::Stat)];
const TOKEN: Table = &[("token", Kind::Buffer)];

/// The opcodes of multi and multiRead, whose records are lists of records.
const MULTI: i32 = 14;
const MULTI_READ: i32 = 22;

/// The fields of a request, if the operation is known and is not a list of operations.
pub fn request(op: i32) -> Option<Table> {
    Some(match op {
        1 | 15 | 19 => CREATE,
        2 | 13 => PATH_VERSION,
        3 | 4 | 8 | 12 => PATH_WATCH,
        5 => &[("path", Kind::Text), ("data", Kind::Buffer), ("version", Kind::Int)],
        6 | 9 | 20 | 103 | 104 => PATH,
        7 => &[("path", Kind::Text), ("acl", Kind::Acl), ("version", Kind::Int)],
        11 | 107 | -11 => &[],
        16 => &[
            ("joining", Kind::Text),
            ("leaving", Kind::Text),
            ("members", Kind::Text),
            ("config", Kind::Long),
        ],
        17 | 18 => PATH_TYPE,
        21 => &[
            ("path", Kind::Text),
            ("data", Kind::Buffer),
            ("acl", Kind::Acl),
            ("flags", Kind::Int),
            ("ttl", Kind::Long),
        ],
        100 => &[("type", Kind::Int), ("scheme", Kind::Text), ("auth", Kind::Buffer)],
        101 => {
            &[("since", Kind::Zxid), ("data", Kind::Texts), ("exist", Kind::Texts), ("child", Kind::Texts)]
        }
        102 => TOKEN,
        105 => &[
            ("since", Kind::Zxid),
            ("data", Kind::Texts),
            ("exist", Kind::Texts),
            ("child", Kind::Texts),
            ("persistent", Kind::Texts),
            ("recursive", Kind::Texts),
        ],
        106 => &[("path", Kind::Text), ("mode", Kind::Int)],
        _ => return None,
    })
}

/// The fields of a reply that is no refusal.
pub fn reply(op: i32) -> Option<Table> {
    Some(match op {
        1 | 9 => PATH,
        15 | 19 | 21 => PATH_STAT,
        3 | 5 | 7 => STAT,
        4 | 16 => DATA_STAT,
        6 => &[("acl", Kind::Acl), ("", Kind::Stat)],
        8 | 103 => &[("names", Kind::Names)],
        12 => &[("names", Kind::Names), ("", Kind::Stat)],
        102 => TOKEN,
        104 => &[("count", Kind::Int)],
        106 => &[("err", Kind::Int)],
        107 => &[("identities", Kind::Identities)],
        2 | 11 | 13 | 17 | 18 | 100 | 101 | 105 | -11 => &[],
        _ => return None,
    })
}

/// What operators call an operation.
pub fn name(op: i32) -> String {
    let known = match op {
        1 => "create",
        2 => "delete",
        3 => "exists",
        4 => "getData",
        5 => "setData",
        6 => "getACL",
        7 => "setACL",
        8 => "getChildren",
        9 => "sync",
        11 => "ping",
        12 => "getChildren2",
        13 => "check",
        14 => "multi",
        15 => "create2",
        16 => "reconfig",
        17 => "checkWatches",
        18 => "removeWatches",
        19 => "createContainer",
        20 => "deleteContainer",
        21 => "createTTL",
        22 => "multiRead",
        100 => "auth",
        101 => "setWatches",
        102 => "sasl",
        103 => "getEphemerals",
        104 => "getAllChildrenNumber",
        105 => "setWatches2",
        106 => "addWatch",
        107 => "whoAmI",
        -10 => "createSession",
        -11 => "closeSession",
        _ => return format!("op {op}"),
    };
    known.to_owned()
}

/// Reads a request's record. What stands behind it is told as `rest`.
///
/// # Errors
/// [`Malformed`] if it is not one.
pub fn read_request(op: i32, body: Bytes) -> Result<Fields, Malformed> {
    let mut reader = Reader::new(body);
    let mut fields = if matches!(op, MULTI | MULTI_READ) {
        read_parts(&mut reader, |op, _, reader| read(request(op).ok_or(Malformed)?, reader))?
    } else {
        read(request(op).ok_or(Malformed)?, &mut reader)?
    };
    push_rest(&mut fields, reader);
    Ok(fields)
}

/// Reads a reply's record. What stands behind it is told as `rest`.
///
/// # Errors
/// [`Malformed`] if it is not one.
pub fn read_reply(op: i32, body: Bytes) -> Result<Fields, Malformed> {
    let mut reader = Reader::new(body);
    let mut fields = if matches!(op, MULTI | MULTI_READ) {
        read_parts(&mut reader, |op, _, reader| match op {
            -1 => read(&[("code", Kind::Int)], reader),
            op => read(reply(op).ok_or(Malformed)?, reader),
        })?
    } else {
        read(reply(op).ok_or(Malformed)?, &mut reader)?
    };
    push_rest(&mut fields, reader);
    Ok(fields)
}

fn push_rest(fields: &mut Fields, reader: Reader) {
    let rest = reader.rest();
    if !rest.is_empty() {
        fields.push(("rest".into(), Value::Words(bytes_in_words(&rest))));
    }
}

/// Reads operations, or what they came to, up to the end marker. Their fields are numbered.
fn read_parts(
    reader: &mut Reader,
    mut part: impl FnMut(i32, i32, &mut Reader) -> Result<Fields, Malformed>,
) -> Result<Fields, Malformed> {
    let mut fields = Fields::new();
    for number in 0.. {
        let (op, done, err) = (reader.int()?, reader.boolean()?, reader.int()?);
        let head = if done { "end".into() } else { format!("{number}") };
        fields.push((head, Value::Words(if op == -1 { "error".into() } else { name(op) })));
        if err != -1 {
            fields.push((format!("{number}.err"), Value::Plain(err.into())));
        }
        if done {
            break;
        }
        let inner = part(op, err, reader)?;
        fields.extend(inner.into_iter().map(|(name, value)| (format!("{number}.{name}"), value)));
    }
    Ok(fields)
}

/// Reads the fields of a table.
///
/// # Errors
/// [`Malformed`] if the bytes are other fields.
pub fn read(table: Table, r: &mut Reader) -> Result<Fields, Malformed> {
    let mut fields = Fields::new();
    for (name, kind) in table {
        let value = match kind {
            Kind::Int => Value::Plain(r.int()?.into()),
            Kind::Long => Value::Plain(r.long()?),
            Kind::Zxid => Value::Zxid(r.long()?),
            Kind::Bool => Value::Plain(r.boolean()?.into()),
            Kind::Text => Value::Words(r.nullable_text()?.map_or("null".into(), |text| format!("{text:?}"))),
            Kind::Buffer => Value::Words(r.buffer()?.map_or("null".into(), |bytes| bytes_in_words(&bytes))),
            Kind::Texts | Kind::Names => {
                let mut texts = r.vector(|r| Ok(nullable(r.nullable_text()?.as_deref())))?;
                if let (Kind::Names, Some(texts)) = (kind, &mut texts) {
                    texts.sort();
                }
                Value::Words(list(texts))
            }
            Kind::Acl => {
                let entries = r.vector(|r| {
                    let perms = r.int()?;
                    let (scheme, id) = (r.nullable_text()?, r.nullable_text()?);
                    Ok(format!("{}:{} may {perms}", nullable(scheme.as_deref()), nullable(id.as_deref())))
                })?;
                Value::Words(list(entries))
            }
            Kind::Identities => {
                let mut identities = r.vector(|r| {
                    let (scheme, user) = (r.nullable_text()?, r.nullable_text()?);
                    Ok(format!("{}:{}", nullable(scheme.as_deref()), nullable(user.as_deref())))
                })?;
                identities.iter_mut().for_each(|identities| identities.sort());
                Value::Words(list(identities))
            }
            Kind::Stat => {
                read_stat(r, &mut fields)?;
                continue;
            }
        };
        fields.push(((*name).to_owned(), value));
    }
    Ok(fields)
}

fn read_stat(r: &mut Reader, fields: &mut Fields) -> Result<(), Malformed> {
    let (created, modified) = (r.long()?, r.long()?);
    let (ctime, mtime) = (r.long()?, r.long()?);
    let plain = |value: i32| Value::Plain(value.into());
    let stat = [
        ("czxid", Value::Zxid(created)),
        ("mzxid", Value::Zxid(modified)),
        ("ctime", Value::Time(ctime, created)),
        ("mtime", Value::Time(mtime, modified)),
        ("version", plain(r.int()?)),
        ("cversion", plain(r.int()?)),
        ("aversion", plain(r.int()?)),
        ("owner", Value::Session(r.long()?)),
        ("length", plain(r.int()?)),
        ("children", plain(r.int()?)),
        ("pzxid", Value::Zxid(r.long()?)),
    ];
    fields.extend(stat.map(|(name, value)| (name.to_owned(), value)));
    Ok(())
}

fn nullable(text: Option<&str>) -> String {
    text.map_or_else(|| "null".into(), |text| format!("{text:?}"))
}

fn list(items: Option<Vec<String>>) -> String {
    items.map_or_else(|| "null".into(), |items| format!("[{}]", items.join(", ")))
}

/// Bytes as a reader of a report wants to see them: all of them if they are few.
pub fn bytes_in_words(bytes: &[u8]) -> String {
    const SHOWN: usize = 160;
    let (shown, more) = bytes.split_at(bytes.len().min(SHOWN));
    let mut words = format!("\"{}\"", shown.escape_ascii());
    if !more.is_empty() {
        // Beyond that it is enough to know whether they are the same.
        let sum = more.iter().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(*byte)));
        words.push_str(&format!(" and {} more, {sum:08x}", more.len()));
    }
    words
}
