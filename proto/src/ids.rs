//! Numbers that have names, so that two of them cannot be confused.

use std::fmt;
use std::num::NonZeroU64;

/// Position of a transaction in the history of the world: a plain counter that never goes back, never rolls over
/// and is equal on every member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Zxid(u64);

impl Zxid {
    /// Before the first transaction.
    pub const ZERO: Self = Self(0);

    /// The position with this number.
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// A position as a client sends it. Clients hold it in a signed number; what is negative is before everything.
    pub fn from_wire(value: i64) -> Self {
        Self(u64::try_from(value).unwrap_or(0))
    }

    /// The position as a client reads it.
    pub fn to_wire(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }

    /// The number itself.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The position after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Zxid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// Name of a session: positive, unique for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(i64);

impl SessionId {
    /// What a client that has no session yet greets with, and what a refusal carries.
    pub const NONE: Self = Self(0);

    /// The session that a member's client opened by the transaction at `zxid`. The zxid makes it unique for ever;
    /// the member stands in the top byte, from 1 to 127, so that the id is positive and an operator sees where
    /// the session began.
    pub fn opened(member: MemberId, zxid: Zxid) -> Self {
        let top = (member.get().max(1) - 1) % 127 + 1;
        let id = (top << 56) | (zxid.get() & 0x00ff_ffff_ffff_ffff);
        Self(i64::try_from(id).unwrap_or(i64::MAX))
    }

    /// A session that only one member knows, while it serves nothing but reads. The top byte is 0, as in no session of
    /// the ensemble; `time` tells apart the times at which members do so, of which 24 bits are taken.
    pub const fn read_only(time: u32, number: u32) -> Self {
        Self((((time & 0x00ff_ffff) as i64) << 32) | number as i64)
    }

    /// Whether this is the id of a [read-only](Self::read_only) session.
    pub const fn is_read_only(self) -> bool {
        self.0 != Self::NONE.0 && self.0 >> 56 == 0
    }

    /// The id as it came from a client.
    pub const fn from_wire(value: i64) -> Self {
        Self(value)
    }

    /// The id as a client reads it, and as `ephemeralOwner` carries it.
    pub const fn to_wire(self) -> i64 {
        self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

macro_rules! counter {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name($inner);

        impl $name {
            /// The one with this number.
            pub const fn new(value: $inner) -> Self {
                Self(value)
            }

            /// The number itself.
            pub const fn get(self) -> $inner {
                self.0
            }

            /// The one after this.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0.wrapping_add(1))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

counter! {
    /// How many times a session has been attached to a connection: 1 when it is opened. What still carries an
    /// older one comes from a connection that the client has left.
    Attachment(u64)
}
counter! {
    /// Place of a write among the writes of one attachment: the first is 1.
    Seq(u64)
}
counter! {
    /// What a client numbers its requests with; echoed, never interpreted.
    Xid(i32)
}
counter! {
    /// A member of the ensemble: the `N` of `server.N`, and of `myid`.
    MemberId(u64)
}

impl Xid {
    /// What pings are numbered with.
    pub const PING: Self = Self(-2);
}

/// Name of an ensemble: drawn at random when it begins, and equal on all its members. Members that do not have the same
/// one have nothing to say to each other, whatever their numbers and addresses are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId(NonZeroU64);

impl ClusterId {
    /// The one with this number; zero stands for none.
    pub const fn new(value: u64) -> Option<Self> {
        match NonZeroU64::new(value) {
            Some(value) => Some(Self(value)),
            None => None,
        }
    }

    /// The number itself.
    pub const fn get(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// What a client expects a znode's version to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version(i32);

impl Version {
    /// Whatever the version is.
    pub const ANY: Self = Self(-1);

    /// The expectation with this number.
    pub const fn new(value: i32) -> Self {
        Self(value)
    }

    /// The number itself.
    pub const fn get(self) -> i32 {
        self.0
    }

    /// Whether the znode's `actual` version is the expected one. Only -1 means "any"; other negative numbers are
    /// ordinary expectations, because a version wraps at 2^31.
    pub fn expects(self, actual: i32) -> bool {
        self == Self::ANY || self.0 == actual
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zxid_is_shown_as_operators_know_it() {
        assert_eq!(Zxid::new(0x2a).to_string(), "0x2a");
        assert_eq!(Zxid::from_wire(-1), Zxid::ZERO);
    }

    #[test]
    fn session_ids_are_positive_for_every_member() {
        for member in [0, 1, 127, 128, 254, 255, 1_000_000] {
            let id = SessionId::opened(MemberId::new(member), Zxid::new(7)).to_wire();
            assert!(id > 0, "member {member} gave {id:#x}");
            assert!(!SessionId::from_wire(id).is_read_only(), "member {member} gave {id:#x}");
        }
        assert_eq!(SessionId::opened(MemberId::new(3), Zxid::new(7)).to_string(), "0x300000000000007");
    }

    #[test]
    fn the_name_of_an_ensemble_is_shown_in_full() {
        assert_eq!(ClusterId::new(0x2a).map(|id| id.to_string()).as_deref(), Some("000000000000002a"));
        assert_eq!(ClusterId::new(0), None);
    }

    #[test]
    fn read_only_sessions_are_known_by_their_ids() {
        for (time, number) in [(0, 1), (1, 0), (u32::MAX, u32::MAX)] {
            let id = SessionId::read_only(time, number);
            assert!(id.is_read_only() && id.to_wire() > 0, "{id}");
        }
        for id in [0, 1 << 56, i64::MAX, i64::MIN, -1] {
            assert!(!SessionId::from_wire(id).is_read_only(), "{id:#x}");
        }
    }

    #[test]
    fn only_minus_one_expects_any_version() {
        assert!(Version::ANY.expects(5));
        assert!(Version::new(-7).expects(-7));
        assert!(!Version::new(-2).expects(0));
    }
}
