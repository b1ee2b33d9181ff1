//! The four-letter words: what each is, and whether it may be answered.
use super::deed::Deed;
use super::report::{NOT_SERVING, Report};
use super::text;
use super::watching::Form;
use crate::config::Whitelist;
use crate::serving::Serving;

/// A four-letter word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// The settings of this member.
    Conf,
    /// Its connections, in full.
    Cons,
    /// Begins anew to count what each connection does.
    Crst,
    /// Bytes of state and log.
    Dirs,
    /// Sessions, ephemerals and connections.
    Dump,
    /// The process and its machine.
    Envi,
    /// The mask of what is traced.
    Gtmk,
    /// Digests of the world: none are kept.
    Hash,
    /// May be written here?
    Isro,
    /// Numbers for monitoring.
    Mntr,
    /// Is the process there?
    Ruok,
    /// Begins anew to count what all connections do.
    Srst,
    /// What this member is and does.
    Srvr,
    /// The same, with its connections.
    Stat,
    /// Sets the mask of what is traced: eight bytes that follow the word.
    Stmk,
    /// Who waits for what, in one of its forms.
    Watching(Form),
}

/// All of them, each with its name.
const WORDS: [(Word, &str); 18] = [
    (Word::Conf, "conf"),
    (Word::Cons, "cons"),
    (Word::Crst, "crst"),
    (Word::Dirs, "dirs"),
    (Word::Dump, "dump"),
    (Word::Envi, "envi"),
    (Word::Gtmk, "gtmk"),
    (Word::Hash, "hash"),
    (Word::Isro, "isro"),
    (Word::Mntr, "mntr"),
    (Word::Ruok, "ruok"),
    (Word::Srst, "srst"),
    (Word::Srvr, "srvr"),
    (Word::Stat, "stat"),
    (Word::Stmk, "stmk"),
    (Word::Watching(Form::BySession), "wchc"),
    (Word::Watching(Form::ByPath), "wchp"),
    (Word::Watching(Form::Summary), "wchs"),
];

/// What a word is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// This, whole.
    Text(String),
    /// This, when that has been done.
    Done(Deed, &'static str),
    /// What was set, when the mask that follows the word has been read and set.
    Mask,
    /// What all sessions wait for, which has yet to be gathered.
    Watching(Form),
    /// Sessions, ephemerals and connections, which have yet to be gathered.
    Dump,
}

impl Word {
    /// The word that a connection begins with, if it is one. What is none is the length of a frame.
    pub fn from_bytes(bytes: [u8; 4]) -> Option<Self> {
        WORDS.into_iter().find(|(_, name)| name.as_bytes() == bytes).map(|(word, _)| word)
    }

    /// The word itself.
    pub fn name(self) -> &'static str {
        WORDS.into_iter().find(|(word, _)| *word == self).map_or("", |(_, name)| name)
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
        (Word::Gtmk, _) => report.trace_mask.to_string(),
        (Word::Stmk, _) => return Answer::Mask,
        (Word::Isro, Serving::No) => "null".to_owned(),
        (Word::Isro, Serving::ReadOnly) => "ro".to_owned(),
        (Word::Isro, Serving::ReadWrite) => "rw".to_owned(),
        (Word::Hash, Serving::No) => NOT_SERVING.to_owned(),
        (_, Serving::No) => format!("{NOT_SERVING}\n"),
        (Word::Watching(form), _) => return Answer::Watching(form),
        (Word::Dump, _) => return Answer::Dump,
        (Word::Crst, _) => return Answer::Done(Deed::ResetConnections, "Connection stats reset.\n"),
        (Word::Srst, _) => return Answer::Done(Deed::ResetStats, "Server stats reset.\n"),
        (Word::Hash, _) => String::new(),
        (Word::Conf, _) => text::conf(report),
        (Word::Cons, _) => text::cons(report),
        (Word::Dirs, _) => text::dirs(report),
        (Word::Mntr, _) => text::mntr(report),
        (Word::Srvr, _) => text::srvr(report),
        (Word::Stat, _) => text::stat(report),
    })
}

#[cfg(test)]
mod tests;
