//! Which ids the schemes know: what may stand in an ACL, letter by letter as in ZooKeeper.

use std::net::IpAddr;

use super::distinguished_name;

/// `user:hash`. Colons at the end are no part of it.
pub(super) fn is_digest(id: &str) -> bool {
    let id = id.trim_end_matches(':');
    id.split(':').count() == 2
}

/// A name as Kerberos writes them, `service/host@REALM`; without a realm, any name.
pub(super) fn is_kerberos_name(id: &str) -> bool {
    match id.split_once('@') {
        None => true,
        Some((name, realm)) => !realm.contains(['@', '/']) && name.matches('/').count() <= 1,
    }
}

/// The subject of a certificate.
pub(super) fn is_subject(id: &str) -> bool {
    distinguished_name::is_legal(id)
}

/// Addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    address: IpAddr,
    bits: u32,
}

impl Range {
    /// `address` or `address/bits`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(u32::try_from(number(bits, 10)?).ok()?)),
            None => (text, None),
        };
        let address = if address.contains(':') { v6(address)? } else { v4(address)? };
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(width);
        (bits <= width).then_some(Self { address, bits })
    }

    /// Whether the address is among them. Families are strangers to each other.
    pub(super) fn contains(self, other: IpAddr) -> bool {
        match (self.address, other) {
            (IpAddr::V4(mine), IpAddr::V4(other)) => {
                let mask = u32::MAX.checked_shl(32 - self.bits).unwrap_or(0);
                (mine.to_bits() ^ other.to_bits()) & mask == 0
            }
            (IpAddr::V6(mine), IpAddr::V6(other)) => {
                let mask = u128::MAX.checked_shl(128 - self.bits).unwrap_or(0);
                (mine.to_bits() ^ other.to_bits()) & mask == 0
            }
            _ => false,
        }
    }
}

/// Four numbers, with zeros in front if one likes.
fn v4(text: &str) -> Option<IpAddr> {
    let mut octets = [0; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        *octet = u8::try_from(number(parts.next()?, 10)?).ok()?;
    }
    parts.next().is_none().then(|| octets.into())
}

/// Eight groups, of which `::` stands for one or more. No zone, and no IPv4 address at the end.
fn v6(text: &str) -> Option<IpAddr> {
    let groups = |half: &str| -> Option<Vec<u16>> {
        if half.is_empty() { Some(Vec::new()) } else { half.split(':').map(group).collect() }
    };
    let mut all = [0; 8];
    match text.split_once("::") {
        None => all = groups(text)?.try_into().ok()?,
        Some((_, behind)) if behind.contains("::") => return None,
        Some((front, behind)) => {
            let (front, behind) = (groups(front)?, groups(behind)?);
            if front.len() + behind.len() >= all.len() {
                return None;
            }
            all[..front.len()].copy_from_slice(&front);
            let start = all.len() - behind.len();
            all[start..].copy_from_slice(&behind);
        }
    }
    Some(all.into())
}

/// One group. Java reads it as a number with a sign, of which the last sixteen bits count: `-1` is `ffff`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the last sixteen bits count")]
fn group(text: &str) -> Option<u16> {
    if text.len() > 4 { None } else { number(text, 16).map(|number| number as u16) }
}

/// A number as Java reads it, with a sign or without.
fn number(text: &str, radix: u32) -> Option<i32> {
    i32::from_str_radix(text, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(range: &str, address: &str, contained: bool) {
        let address: IpAddr = address.parse().unwrap();
        let range = Range::parse(range).unwrap_or_else(|| panic!("{range} is no range"));
        assert_eq!(range.contains(address), contained, "{range:?} {address}");
    }

    #[test]
    fn ranges_compare_the_first_bits() {
        check("10.1.2.3", "10.1.2.3", true);
        check("10.1.2.3", "10.1.2.4", false);
        check("10.1.0.0/16", "10.1.9.9", true);
        check("10.1.0.0/16", "10.2.0.0", false);
        check("10.1.0.0/0", "192.168.0.1", true);
        check("10.1.2.3/32", "10.1.2.3", true);
        check("010.1.2.3/+8", "10.9.9.9", true);
        check("2001:db8::/33", "2001:db8:7fff::1", true);
        check("2001:db8::/33", "2001:db8:8000::1", false);
        check("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0", true);
        check("::-1", "::ffff", true);
        check("::/0", "2001:db8::1", true);
        check("::/0", "10.0.0.1", false);
    }

    /// As ZooKeeper 3.9.5 answered a create with each of them.
    #[test]
    fn what_is_a_range_and_what_is_not() {
        for range in
            ["1.2.3.4/0", "01.2.3.4", "+1.2.3.4", "1.2.3.4/08", "::1/128", "::/0", "::", "::-1", "::+1"]
        {
            assert!(Range::parse(range).is_some(), "{range}");
        }
        for range in [
            "",
            "ten",
            "1.2.3",
            "1.2.3.256",
            " 1.2.3.4",
            "1.2.3.4.5",
            "1.2.3.4/33",
            "1.2.3.4/-1",
            "1.2.3.4/",
            "/8",
            "1.2.3.4/8/8",
            "::1/129",
            "::ffff:1.2.3.4",
            "1:2:3:4:5:6:7",
            "1:2:3:4:5:6:7:8::",
            "1::2::3",
            "fe80::1%eth0",
            "12345::",
            "::g",
            ":::",
            ":1::",
        ] {
            assert_eq!(Range::parse(range), None, "{range}");
        }
    }

    #[test]
    fn a_digest_has_two_parts() {
        for (id, legal) in [
            ("u:h", true),
            ("u:h:", true),
            (":h", true),
            ("u:", false),
            ("u", false),
            ("", false),
            ("::", false),
            ("u:h:i", false),
        ] {
            assert_eq!(is_digest(id), legal, "{id:?}");
        }
    }

    #[test]
    fn a_kerberos_name_has_at_most_one_host_and_one_realm() {
        for id in ["bob", "", "a@B", "a/h@R", "@", "/@", "a/b", "a/b/c"] {
            assert!(is_kerberos_name(id), "{id:?}");
        }
        for id in ["a@b@c", "a/b/c@R", "a@b/c"] {
            assert!(!is_kerberos_name(id), "{id:?}");
        }
    }
}
