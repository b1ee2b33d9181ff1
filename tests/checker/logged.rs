//! The transactions of an ensemble, as the log of a member tells them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transaction {
    /// Its number.
    pub zxid: i64,
    /// Whose it was; 0 if it was nobody's.
    pub session: i64,
    /// What it was.
    pub act: Act,
}

/// What a transaction was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Act {
    /// The session began.
    Open,
    /// The session asked for something, and it was done or refused.
    Write(Written),
    /// The session ended: because its client asked for it, or because nothing was heard of it.
    End {
        /// Whether its client asked for it.
        is_asked: bool,
    },
    /// A container had had its time.
    Reap(String),
    /// Something that no client of a round asks for.
    Other,
}

/// What a session asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Written {
    /// A znode: the path as it was asked for, what it is to hold, and the flags of its kind.
    Create(String, String, i32),
    /// Other data: of which znode, which, and the version expected.
    SetData(String, String, i32),
    /// A znode less: which, and the version expected.
    Delete(String, i32),
    /// A version asserted: of which znode, and which.
    Check(String, i32),
    /// All of these or none.
    Multi(Vec<Written>),
    /// Something that no client of a round asks for.
    Other,
}

/// The flags of a container.
pub(super) const CONTAINER: i32 = 4;

impl Transaction {
    /// A line of `corral inspect transactions --json`; nothing if it is none.
    pub fn read(line: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(line).ok()?;
        let zxid = i64::try_from(number(&value["zxid"])?).ok()?;
        let session = number(&value["session"]).unwrap_or_default().cast_signed();
        let act = match value["act"].as_str()? {
            "open" => Act::Open,
            "write" => Act::Write(written(&value["request"])),
            "close" => Act::End { is_asked: true },
            "expire" => Act::End { is_asked: false },
            "reap" => Act::Reap(value["request"]["path"].as_str()?.to_owned()),
            _ => Act::Other,
        };
        Some(Self { zxid, session, act })
    }
}

/// `0x` and digits.
fn number(value: &Value) -> Option<u64> {
    u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok()
}

fn written(request: &Value) -> Written {
    let text = |key: &str| request[key].as_str().unwrap_or_default().to_owned();
    let small = |key: &str| request[key].as_i64().and_then(|it| i32::try_from(it).ok()).unwrap_or_default();
    match request["op"].as_str() {
        Some("create") => {
            let is_container = request["container"].as_bool() == Some(true);
            Written::Create(text("path"), text("data"), if is_container { CONTAINER } else { small("flags") })
        }
        Some("set") => Written::SetData(text("path"), text("data"), small("version")),
        Some("delete") => Written::Delete(text("path"), small("version")),
        Some("check") => Written::Check(text("path"), small("version")),
        Some("multi") => {
            Written::Multi(request["parts"].as_array().into_iter().flatten().map(written).collect())
        }
        _ => Written::Other,
    }
}
