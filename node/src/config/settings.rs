//! The keys that were set, each known and set once, with typed ways to ask for them.
use std::collections::{BTreeMap, HashSet};
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use super::error::{ConfigError, Place};
use super::keys::{self, Use};
use super::properties::Property;

/// Something that an operator should be told, though it is no error.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Note {
    /// The key that it is about.
    pub key: String,
    /// What is to be told of it.
    pub text: String,
    /// Whether nobody knows the key: it may be a slip of the pen.
    pub is_unknown: bool,
}

/// The keys that were set and that count, without prefix.
#[derive(Debug, Default)]
pub(super) struct Settings {
    values: BTreeMap<String, Property>,
    notes: Vec<Note>,
}

impl Settings {
    /// Sorts what was written: what counts, what is ignored. Of a key that is set twice the last counts, as in
    /// Java.
    ///
    /// # Errors
    /// A key that may not be set.
    pub(super) fn gather(properties: impl IntoIterator<Item = Property>) -> Result<Self, ConfigError> {
        let mut settings = Self::default();
        for property in properties {
            let key = keys::unprefixed(&property.key).to_owned();
            match keys::look_up(&key) {
                // ZooKeeper makes a system property of it, which it may or may not know: a file that starts there, starts
                // here.
                None => settings.note(unknown(&property.key)),
                Some(Use::Refused(reason)) => {
                    return Err(ConfigError::at(
                        &property.place,
                        format!("`{}` cannot be had: {reason}", property.key),
                    ));
                }
                Some(Use::OffOnly(reason)) => {
                    if property.value.eq_ignore_ascii_case("true") {
                        return Err(ConfigError::at(
                            &property.place,
                            format!("`{}=true` cannot be had: {reason}", property.key),
                        ));
                    }
                }
                Some(Use::Ignored(reason)) => settings.note_once(&property.key, reason),
                Some(Use::Honoured | Use::Mapped) => {
                    if settings.values.contains_key(&key) {
                        settings.note_once(&property.key, "it is set twice; the last counts");
                    }
                    settings.values.insert(key, property);
                }
            }
        }
        Ok(settings)
    }

    /// Adds what is set elsewhere, where it is not set here.
    pub(super) fn add_defaults(&mut self, other: Self) {
        for (key, property) in other.values {
            self.values.entry(key).or_insert(property);
        }
        self.notes.extend(other.notes);
    }

    /// Has an operator told something of a key.
    pub(super) fn note_once(&mut self, key: &str, text: &str) {
        self.note(Note { key: key.to_owned(), text: text.to_owned(), is_unknown: false });
    }

    fn note(&mut self, note: Note) {
        self.notes.push(note);
    }

    /// What an operator should be told, nothing twice.
    pub(super) fn into_notes(self) -> Vec<Note> {
        let mut told = HashSet::new();
        self.notes.into_iter().filter(|note| told.insert(note.clone())).collect()
    }

    /// Where a key was set.
    pub(super) fn place(&self, key: &str) -> &Place {
        self.values.get(key).map_or(&Place::Nowhere, |property| &property.place)
    }

    /// The value as it was written, if there is one.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(|property| property.value.as_str()).filter(|value| !value.is_empty())
    }

    /// A whole number within bounds.
    ///
    /// # Errors
    /// It is none, or out of bounds.
    pub(super) fn number<T>(&self, key: &str, range: RangeInclusive<T>) -> Result<Option<T>, ConfigError>
    where
        T: FromStr + PartialOrd + std::fmt::Display,
    {
        let Some(text) = self.text(key) else { return Ok(None) };
        match text.parse() {
            Ok(number) if range.contains(&number) => Ok(Some(number)),
            _ => Err(self.wrong(key, &format!("must be a number from {} to {}", range.start(), range.end()))),
        }
    }

    /// A span of so many milliseconds at most, which may be given with up to three decimals.
    ///
    /// # Errors
    /// It is none, or longer.
    pub(super) fn millis(&self, key: &str, max: u64) -> Result<Option<Duration>, ConfigError> {
        let Some(text) = self.text(key) else { return Ok(None) };
        match micros(text) {
            Some(micros) if micros <= max * 1_000 => Ok(Some(Duration::from_micros(micros))),
            _ => {
                Err(self
                    .wrong(key, &format!("must be a number of milliseconds from 0 to {max}, such as 0.5")))
            }
        }
    }

    /// A switch: `true` and `false`, or `yes` and `no`, as ZooKeeper wants them from one key to the next.
    ///
    /// # Errors
    /// It is none of these.
    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>, ConfigError> {
        match self.text(key).map(str::to_ascii_lowercase).as_deref() {
            None => Ok(None),
            Some("true" | "yes") => Ok(Some(true)),
            Some("false" | "no") => Ok(Some(false)),
            Some(_) => Err(self.wrong(key, "must be `true` or `false`")),
        }
    }

    /// All keys that begin with `stem`, with what follows it.
    pub(super) fn family<'a>(&'a self, stem: &'a str) -> impl Iterator<Item = (&'a str, &'a Property)> {
        self.values.iter().filter_map(move |(key, property)| Some((key.strip_prefix(stem)?, property)))
    }

    /// A refusal of a key's value.
    pub(super) fn wrong(&self, key: &str, demand: &str) -> ConfigError {
        let value = self.text(key).unwrap_or_default();
        ConfigError::at(self.place(key), format!("`{key}={value}`: it {demand}"))
    }
}

/// So many milliseconds in microseconds.
fn micros(millis: &str) -> Option<u64> {
    let (whole, part) = millis.split_once('.').unwrap_or((millis, "0"));
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(part) || part.len() > 3 {
        return None;
    }
    whole.parse::<u64>().ok()?.checked_mul(1_000)?.checked_add(format!("{part:0<3}").parse().ok()?)
}

fn unknown(key: &str) -> Note {
    let text = match keys::nearest(keys::unprefixed(key)) {
        Some(nearest) => format!("nobody knows this key; did you mean `{nearest}`?"),
        None => "nobody knows this key".to_owned(),
    };
    Note { key: key.to_owned(), text, is_unknown: true }
}
