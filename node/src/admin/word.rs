//! The four-letter words: what each is, and whether it may be answered.
use super::report::{Report, Serving};
use super::text;
use crate::config::Whitelist;

/// A question that stands where a frame's length would.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// The settings of this member.
    Conf,
    /// Bytes of state and log.
    Dirs,
    /// The process and its machine.
    Envi,
    /// May be written here?
    Isro,
    /// Numbers for monitoring.
    Mntr,
    /// Is the process there?
    Ruok,
    /// What this member is and does.
    Srvr,
    /// The same, with its connections.
    Stat,
    /// A word of ZooKeeper's that is not served yet.
    Unserved(&'static str),
}

/// ZooKeeper's other words. They are known, so that a client is told what it asked rather than hung up on for
/// sending a frame of a billion bytes.
const UNSERVED: [&str; 11] =
    ["cons", "crst", "dump", "gtmk", "hash", "lsnp", "srst", "stmk", "wchc", "wchp", "wchs"];

impl Word {
    /// The word that a connection begins with, if it is one. What is none is the length of a frame.
    pub fn from_bytes(bytes: [u8; 4]) -> Option<Self> {
        match &bytes {
            b"conf" => Some(Self::Conf),
            b"dirs" => Some(Self::Dirs),
            b"envi" => Some(Self::Envi),
            b"isro" => Some(Self::Isro),
            b"mntr" => Some(Self::Mntr),
            b"ruok" => Some(Self::Ruok),
            b"srvr" => Some(Self::Srvr),
            b"stat" => Some(Self::Stat),
            other => UNSERVED.into_iter().find(|name| name.as_bytes() == other).map(Self::Unserved),
        }
    }

    /// The word itself.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Conf => "conf",
            Self::Dirs => "dirs",
            Self::Envi => "envi",
            Self::Isro => "isro",
            Self::Mntr => "mntr",
            Self::Ruok => "ruok",
            Self::Srvr => "srvr",
            Self::Stat => "stat",
            Self::Unserved(name) => name,
        }
    }
}

/// What a word is answered, whole: the connection is closed behind it.
pub fn answer(word: Word, report: &Report<'_>, allowed: &Whitelist) -> String {
    let name = word.name();
    if !allowed.allows(name) {
        return format!("{name} is not executed because it is not in the whitelist.\n");
    }
    match (word, report.serving) {
        (Word::Ruok, _) => "imok".to_owned(),
        (Word::Envi, _) => text::envi(report),
        (Word::Isro, Serving::No) => "null".to_owned(),
        (Word::Isro, Serving::ReadOnly) => "ro".to_owned(),
        (Word::Isro, Serving::ReadWrite) => "rw".to_owned(),
        (Word::Unserved(_), _) => format!("{name} is not served yet.\n"),
        (_, Serving::No) => "This ZooKeeper instance is not currently serving requests\n".to_owned(),
        (Word::Conf, _) => text::conf(report),
        (Word::Dirs, _) => text::dirs(report),
        (Word::Mntr, _) => text::mntr(report),
        (Word::Srvr, _) => text::srvr(report),
        (Word::Stat, _) => text::stat(report),
    }
}

#[cfg(test)]
mod tests;
