//! The four-letter words: what each is, and whether it may be answered.
use super::Report;
use crate::config::Whitelist;

/// A question that stands where a frame's length would.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Are you okay?
    Ruok,
}

impl Word {
    /// The word that a connection begins with, if it is one. What is none is the length of a frame.
    pub fn from_bytes(_bytes: [u8; 4]) -> Option<Self> {
        None
    }
}

/// What a word is answered, whole: the connection is closed behind it.
pub fn answer(_word: Word, _report: &Report<'_>, _allowed: &Whitelist) -> String {
    String::new()
}
