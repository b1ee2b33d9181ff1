//! Who may do what.

use std::fmt;
use std::ops::BitOr;

use crate::Text;

/// A set of permissions, as the bits of PROTOCOL, section "Permissions". Unknown bits are kept as they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Permissions(i32);

impl Permissions {
    /// Read data, children and, since ZooKeeper 3.9.2, existence.
    pub const READ: Self = Self(1);
    /// Write data.
    pub const WRITE: Self = Self(2);
    /// Create children.
    pub const CREATE: Self = Self(4);
    /// Delete children.
    pub const DELETE: Self = Self(8);
    /// Write the ACL.
    pub const ADMIN: Self = Self(16);
    /// All of them.
    pub const ALL: Self = Self(31);

    /// The set with these bits.
    pub const fn from_bits(bits: i32) -> Self {
        Self(bits)
    }

    /// The bits of the set.
    pub const fn bits(self) -> i32 {
        self.0
    }

    /// Whether the two sets share a permission.
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl BitOr for Permissions {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// `cdrwa`, in the order that `zkCli` prints.
impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (permission, letter) in [
            (Self::CREATE, 'c'),
            (Self::DELETE, 'd'),
            (Self::READ, 'r'),
            (Self::WRITE, 'w'),
            (Self::ADMIN, 'a'),
        ] {
            if self.intersects(permission) {
                write!(f, "{letter}")?;
            }
        }
        Ok(())
    }
}

/// Somebody, in the words of an authentication scheme.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    /// `world`, `digest`, `ip`, …
    pub scheme: Text,
    /// What the scheme calls this somebody.
    pub id: Text,
}

impl Id {
    /// This somebody.
    pub fn new(scheme: impl Into<Text>, id: impl Into<Text>) -> Self {
        Self { scheme: scheme.into(), id: id.into() }
    }

    /// Everybody.
    pub fn anyone() -> Self {
        Self::new("world", "anyone")
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.scheme, self.id)
    }
}

/// One line of an access control list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Acl {
    /// What is allowed.
    pub permissions: Permissions,
    /// To whom.
    pub id: Id,
}

impl Acl {
    /// Everything for everybody: what most znodes have.
    pub fn open() -> Self {
        Self { permissions: Permissions::ALL, id: Id::anyone() }
    }
}

impl fmt::Display for Acl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.id, self.permissions)
    }
}
