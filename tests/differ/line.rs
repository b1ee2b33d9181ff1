//! What a server said, in a form that can be compared with what the other one said.

use std::fmt;

/// What kind of thing was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// The answer to a greeting.
    Welcome,
    /// The answer to the request of this place in the burst.
    Reply(usize),
    /// The answer to the request behind a step that shows that everything was said.
    Barrier,
    /// A notification.
    Event,
    /// It hung up.
    End,
    /// It neither answered nor hung up.
    Silence,
}

/// One thing that was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What kind.
    pub said: Said,
    /// What stood in it.
    pub fields: Vec<(String, String)>,
}

impl Line {
    /// Something without fields.
    pub fn bare(said: Said) -> Self {
        Self { said, fields: Vec::new() }
    }

    /// A field, empty if there is none of this name.
    pub fn field(&self, name: &str) -> &str {
        self.fields.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value)
    }

    /// Whether it is the answer to a request and says that all is well, or this refusal.
    pub fn is_reply_with(&self, err: i32) -> bool {
        matches!(self.said, Said::Reply(_)) && self.field("err") == err.to_string()
    }

    /// Whether it is a notification of this kind: 1 created, 2 deleted, 3 data changed, 4 children changed.
    pub fn is_event(&self, kind: i32) -> bool {
        self.said == Said::Event && self.field("type") == kind.to_string()
    }

    /// What is not the same in the other line: a field, or the kind of the line.
    pub fn differs_in(&self, other: &Self) -> Option<String> {
        if self.said != other.said {
            return Some(format!("{:?} or {:?}", self.said, other.said));
        }
        let longer = self.fields.len().max(other.fields.len());
        (0..longer).find(|&at| self.fields.get(at) != other.fields.get(at)).map(|at| {
            let field = self.fields.get(at).or_else(|| other.fields.get(at));
            field.map_or_else(String::new, |(name, _)| name.clone())
        })
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.said {
            Said::Reply(place) => write!(f, "reply {place}")?,
            said => write!(f, "{said:?}")?,
        }
        self.fields.iter().try_for_each(|(name, value)| write!(f, " {name}={value}"))
    }
}
