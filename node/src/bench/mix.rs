//! What is asked for, and how often.

use std::fmt;
use std::str::FromStr;

use rand::Rng;
use rand::RngExt as _;

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `getData`
    Get,
    /// `setData`
    Set,
    /// `create`, of a znode that is new
    Create,
    /// `delete`, of a znode that the same client has created
    Delete,
    /// `exists`
    Exists,
    /// `getChildren`, of a hundred
    Children,
    /// `multi`, of five `setData`
    Multi,
    /// `sync`
    Sync,
    /// A connection, a greeting and its answer
    Open,
    /// `closeSession`
    Close,
    /// A notification, since the change that caused it was asked for
    Told,
    /// The last notification of a change
    LastTold,
}

impl Kind {
    /// How many there are.
    pub const COUNT: usize = 12;

    /// All of them, in the order of their numbers.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Get,
        Self::Set,
        Self::Create,
        Self::Delete,
        Self::Exists,
        Self::Children,
        Self::Multi,
        Self::Sync,
        Self::Open,
        Self::Close,
        Self::Told,
        Self::LastTold,
    ];

    /// What it is called on the command line and in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Set => "set",
            Self::Create => "create",
            Self::Delete => "delete",
            Self::Exists => "exists",
            Self::Children => "children",
            Self::Multi => "multi",
            Self::Sync => "sync",
            Self::Open => "open",
            Self::Close => "close",
            Self::Told => "told",
            Self::LastTold => "last told",
        }
    }

    /// Whether it can be part of a mix.
    const fn is_asked(self) -> bool {
        !matches!(self, Self::Open | Self::Close | Self::Told | Self::LastTold)
    }
}

/// Kinds of requests with their weights, none of them zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mix {
    parts: Vec<(Kind, u32)>,
    sum: u32,
}

impl Mix {
    /// These kinds, in proportion to these weights.
    pub fn new(parts: &[(Kind, u32)]) -> Self {
        Self { parts: parts.to_vec(), sum: parts.iter().map(|(_, weight)| weight).sum() }
    }

    /// The next request's kind.
    pub fn draw(&self, rng: &mut impl Rng) -> Kind {
        let mut place = rng.random_range(0..self.sum);
        for (kind, weight) in &self.parts {
            match place.checked_sub(*weight) {
                Some(rest) => place = rest,
                None => return *kind,
            }
        }
        self.parts[0].0
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> =
            self.parts.iter().map(|(kind, weight)| format!("{}={weight}", kind.name())).collect();
        f.write_str(&parts.join(","))
    }
}

/// Why a text is no mix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoMix {
    /// A part is not `kind=weight`.
    #[error("`{0}` is not of the form `kind=weight`, with a weight from 1 to 1000000")]
    Form(String),
    /// There is no such kind.
    #[error(
        "`{0}` is no kind of request; there are get, set, create, delete, exists, children, multi and sync"
    )]
    Kind(String),
}

impl FromStr for Mix {
    type Err = NoMix;

    fn from_str(text: &str) -> Result<Self, NoMix> {
        let part = |part: &str| {
            let no_form = || NoMix::Form(part.to_owned());
            let (name, weight) = part.split_once('=').ok_or_else(no_form)?;
            let weight = weight.parse().ok().filter(|weight| (1..=1_000_000).contains(weight));
            let kind = Kind::ALL.into_iter().find(|kind| kind.is_asked() && kind.name() == name);
            Ok((kind.ok_or_else(|| NoMix::Kind(name.to_owned()))?, weight.ok_or_else(no_form)?))
        };
        text.split(',').map(part).collect::<Result<Vec<_>, _>>().map(|parts| Self::new(&parts))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::SmallRng;

    use super::*;

    #[test]
    fn a_mix_is_read_as_it_is_written() {
        let mix: Mix = "get=90,set=10".parse().expect("a mix");
        assert_eq!(mix, Mix::new(&[(Kind::Get, 90), (Kind::Set, 10)]));
        assert_eq!(mix.to_string(), "get=90,set=10");
        assert_eq!("get".parse::<Mix>(), Err(NoMix::Form("get".into())));
        assert_eq!("get=0".parse::<Mix>(), Err(NoMix::Form("get=0".into())));
        assert_eq!("told=1".parse::<Mix>(), Err(NoMix::Kind("told".into())));
    }

    #[test]
    fn requests_come_as_often_as_they_weigh() {
        let (mix, mut rng) = (Mix::new(&[(Kind::Get, 3), (Kind::Set, 1)]), SmallRng::seed_from_u64(1));
        let gets = (0..10_000).filter(|_| mix.draw(&mut rng) == Kind::Get).count();
        assert!((7_300..7_700).contains(&gets), "{gets}");
    }
}
