//! Up to which zxid it is known what stood at a path: what may have happened there without an answer happened later.

use std::collections::HashMap;

use super::history::{Answer, Request, Told, parent};

#[derive(Clone, Debug, Default)]
pub(super) struct Sightings {
    /// Whether there was something.
    existence: HashMap<String, i64>,
    /// What it held.
    data: HashMap<String, i64>,
    /// Who its children were.
    children: HashMap<String, i64>,
    /// How many children it had had, of which a sequential name tells.
    created: HashMap<String, i64>,
}

impl Sightings {
    /// Somebody was told this, which is as it should be, at `zxid`.
    pub(super) fn note(&mut self, request: &Request, told: &Told, zxid: i64) {
        match (request, told) {
            (Request::Multi(parts), Ok(Answer::Multi(answers))) => {
                for (part, answer) in parts.iter().zip(answers) {
                    self.note(part, &Ok(answer.clone()), zxid);
                }
            }
            (Request::Multi(parts), Ok(Answer::MultiFailed(codes))) => {
                // What it was tried on behind the first part is not what anybody sees.
                if let (Some(part), Some(code)) = (parts.first(), codes.first().filter(|code| **code != 0)) {
                    self.note(part, &Err(*code), zxid);
                }
            }
            (Request::Create { path, .. }, Ok(Answer::Created(name, _))) => {
                self.all_of(name, zxid);
                if name != path {
                    self.created.insert(parent(path).to_owned(), zxid);
                }
            }
            (Request::Sync(_) | Request::Close, _) => {}
            (_, Ok(Answer::Stat(_) | Answer::Data(..) | Answer::Children(..))) => {
                if let Some(path) = request.path() {
                    self.all_of(path, zxid);
                }
            }
            (Request::Create { .. }, Err(NO_NODE)) => {
                let above = request.path().map(parent).unwrap_or_default();
                self.existence.insert(above.to_owned(), zxid);
            }
            _ => {
                if let Some(path) = request.path() {
                    self.existence.insert(path.to_owned(), zxid);
                }
            }
        }
    }

    /// Up to which zxid it is known that a write had not been done.
    pub(super) fn of(&self, request: &Request) -> i64 {
        let newest = request.parts().iter().filter_map(|part| {
            let path = part.path()?;
            Some(match part {
                Request::Create { sequential, .. } => {
                    let of_name = if *sequential { 0 } else { self.of_existence(path) };
                    of_name.max(get(&self.children, parent(path))).max(get(&self.created, parent(path)))
                }
                Request::Delete { .. } => self.of_existence(path),
                Request::SetData { .. } => get(&self.data, path),
                _ => 0,
            })
        });
        newest.max().unwrap_or_default()
    }

    /// Up to which zxid it is known whether there was something at a path.
    pub(super) fn of_existence(&self, path: &str) -> i64 {
        get(&self.existence, path).max(get(&self.children, parent(path)))
    }

    fn all_of(&mut self, path: &str, zxid: i64) {
        for seen in [&mut self.existence, &mut self.data, &mut self.children] {
            seen.insert(path.to_owned(), zxid);
        }
    }
}

/// The code of a refusal that says that the parent is missing, if it is a create's.
const NO_NODE: i32 = -101;

fn get(seen: &HashMap<String, i64>, path: &str) -> i64 {
    seen.get(path).copied().unwrap_or_default()
}
