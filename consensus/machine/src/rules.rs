//! What the leader's configuration decides about the transactions of an entry.

use std::ops::BitOr;

/// A set of rules. Members may be configured differently, and what is applied must come out equal on all of them: so
/// the leader puts those rules that decide at apply into each entry of the log, as it finds them in its own
/// configuration, and every member goes by what stands there. The bits are in the log: never reused, never renumbered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules(u32);

impl Rules {
    /// What would go beyond a hard limit of a quota is refused: `enforceQuota=true`.
    pub const QUOTA_ENFORCED: Self = Self(1);
    /// There are no TTL znodes: `extendedTypesEnabled=false`.
    pub const EXTENDED_TYPES_DISABLED: Self = Self(2);

    /// ACLs may name users of SASL: `authProvider.*` names ZooKeeper's class for it.
    pub const SASL_KNOWN: Self = Self(4);
    /// ACLs may name subjects of certificates: `authProvider.*` names ZooKeeper's class for it, or there is a
    /// `secureClientPort`.
    pub const X509_KNOWN: Self = Self(8);
    /// ACLs may not name digests: `DigestAuthenticationProvider.enabled=false`.
    pub const DIGEST_DISABLED: Self = Self(16);
    /// Members may be changed by clients: `reconfigEnabled=true`.
    pub const RECONFIG_ENABLED: Self = Self(32);
    /// One member may be an ensemble: `standaloneEnabled=false`.
    pub const STANDALONE_DISABLED: Self = Self(64);
    /// The world takes as much as it may: what would add to its znodes is refused. No key says so, but the leader finds it so.
    pub const FULL: Self = Self(128);

    /// All bits that mean something.
    const KNOWN: u32 = Self::QUOTA_ENFORCED.0
        | Self::EXTENDED_TYPES_DISABLED.0
        | Self::SASL_KNOWN.0
        | Self::X509_KNOWN.0
        | Self::DIGEST_DISABLED.0
        | Self::RECONFIG_ENABLED.0
        | Self::STANDALONE_DISABLED.0
        | Self::FULL.0;

    /// The set with these bits; `None` if one of them is of a later release, whose meaning nobody here knows.
    pub const fn from_bits(bits: u32) -> Option<Self> {
        if bits & !Self::KNOWN == 0 { Some(Self(bits)) } else { None }
    }

    /// The bits of the set.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The set if `holds`, otherwise the empty one: to put several together.
    #[must_use]
    pub const fn when(self, holds: bool) -> Self {
        if holds { self } else { Self(0) }
    }

    /// Whether all of the other's rules are among these.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Rules {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bits_in_the_log_do_not_change() {
        let both = Rules::QUOTA_ENFORCED | Rules::EXTENDED_TYPES_DISABLED;
        assert_eq!((Rules::QUOTA_ENFORCED.bits(), both.bits()), (1, 3));
        assert_eq!(Rules::from_bits(3), Some(both));
        let schemes = [Rules::SASL_KNOWN, Rules::X509_KNOWN, Rules::DIGEST_DISABLED];
        assert_eq!(schemes.map(Rules::bits), [4, 8, 16]);
        let others = [Rules::RECONFIG_ENABLED, Rules::STANDALONE_DISABLED, Rules::FULL];
        assert_eq!(others.map(Rules::bits), [32, 64, 128]);
        assert_eq!(Rules::from_bits(1 << 31), None, "a rule of a later release");
        assert!(both.contains(Rules::QUOTA_ENFORCED) && !Rules::QUOTA_ENFORCED.contains(both));
        assert_eq!(Rules::QUOTA_ENFORCED.when(false), Rules::default());
    }
}
