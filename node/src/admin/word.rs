//! The four-letter words: what each is, and whether it may be answered.
use super::report::{NOT_SERVING, Report, Serving};
use super::text;
use super::watching::Form;
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
    /// Who waits for what, in one of its forms.
    Watching(Form),
    /// A word of ZooKeeper's that is not served yet.
    Unserved(&'static str),
}

/// ZooKeeper's other words. They are known, so that a client is told what it asked rather than hung up on for
/// sending a frame of a billion bytes.
const UNSERVED: [&str; 8] = ["cons", "crst", "dump", "gtmk", "hash", "lsnp", "srst", "stmk"];

/// What a word is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// This, whole.
    Text(String),
    /// What all sessions wait for, which has yet to be gathered.
    Watching(Form),
}

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
            b"wchc" => Some(Self::Watching(Form::BySession)),
            b"wchp" => Some(Self::Watching(Form::ByPath)),
            b"wchs" => Some(Self::Watching(Form::Summary)),
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
            Self::Watching(Form::BySession) => "wchc",
            Self::Watching(Form::ByPath) => "wchp",
            Self::Watching(Form::Summary) => "wchs",
            Self::Unserved(name) => name,
        }
    }
}

/// What a word is answered: the connection is closed behind it.
pub fn answer(word: Word, report: &Report<'_>, allowed: &Whitelist) -> Answer {
    let name = word.name();
    if !allowed.allows(name) {
        return Answer::Text(format!("{name} is not executed because it is not in the whitelist.\n"));
    }
    Answer::Text(match (word, report.serving) {
        (Word::Ruok, _) => "imok".to_owned(),
        (Word::Envi, _) => text::envi(report),
        (Word::Isro, Serving::No) => "null".to_owned(),
        (Word::Isro, Serving::ReadOnly) => "ro".to_owned(),
        (Word::Isro, Serving::ReadWrite) => "rw".to_owned(),
        (Word::Unserved(_), _) => format!("{name} is not served yet.\n"),
        (_, Serving::No) => format!("{NOT_SERVING}\n"),
        (Word::Watching(form), _) => return Answer::Watching(form),
        (Word::Conf, _) => text::conf(report),
        (Word::Dirs, _) => text::dirs(report),
        (Word::Mntr, _) => text::mntr(report),
        (Word::Srvr, _) => text::srvr(report),
        (Word::Stat, _) => text::stat(report),
    })
}

#[cfg(test)]
mod tests;
