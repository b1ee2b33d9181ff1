//! Who may do what: lists are judged, kept once each, and held against those who ask.

use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashSet;
use proto::{Acl, Code, Id, Permissions, Text};

use crate::command::Identities;

/// How many lists are kept before anybody looks whether they are all in use.
const SWEEP_MIN: usize = 256;

/// Whether one of the client's identities may do this with a znode that has this ACL (PROTOCOL, section "Matching").
pub fn permits(acl: &[Acl], who: Identities<'_>, wanted: Permissions) -> bool {
    acl.is_empty()
        || acl.iter().any(|entry| entry.permissions.intersects(wanted) && names(&entry.id, who))
        || who.proved.iter().any(|id| id.scheme == "super")
}

/// Whether everybody may read, whoever it is: most znodes are so.
pub(crate) fn is_readable(acl: &[Acl]) -> bool {
    let everybody = |id: &Id| id.scheme == "world" && id.id == "anyone";
    acl.is_empty()
        || acl.iter().any(|entry| entry.permissions.intersects(Permissions::READ) && everybody(&entry.id))
}

/// Like [`permits`], as the refusal that it comes to.
pub(crate) fn require(acl: &[Acl], who: Identities<'_>, wanted: Permissions) -> Result<(), Code> {
    if permits(acl, who, wanted) { Ok(()) } else { Err(Code::NoAuth) }
}

/// The list that a client gives, as it is to be kept: without repetitions, `auth` replaced by who the client has
/// proved to be (PROTOCOL, section "Validation and expansion").
///
/// # Errors
/// [`Code::InvalidAcl`] if it names nobody, or somebody in a form that the scheme does not know.
pub(crate) fn expand(given: Option<&[Acl]>, who: Identities<'_>) -> Result<Vec<Acl>, Code> {
    let given = given.unwrap_or_default();
    let mut list = Vec::with_capacity(given.len());
    let mut seen: HashSet<&Acl, RandomState> = HashSet::default();
    for entry in given {
        if given.len() > 1 && !seen.insert(entry) {
            continue;
        }
        match &*entry.id.scheme {
            "auth" => {
                let before = list.len();
                let authenticated = who.proved.iter().filter(|id| is_authenticated(&id.scheme));
                list.extend(authenticated.map(|id| Acl { permissions: entry.permissions, id: id.clone() }));
                if list.len() == before {
                    return Err(Code::InvalidAcl);
                }
            }
            "world" if entry.id.id == "anyone" => list.push(entry.clone()),
            "digest" if is_digest(&entry.id.id) => list.push(entry.clone()),
            "ip" if Range::parse(&entry.id.id).is_some() => list.push(entry.clone()),
            _ => return Err(Code::InvalidAcl),
        }
    }
    if list.is_empty() { Err(Code::InvalidAcl) } else { Ok(list) }
}

/// The list as this client may read it: the hashes of passwords are shown only to who may change the list.
pub(crate) fn masked(acl: &[Acl], who: Identities<'_>) -> Vec<Acl> {
    if permits(acl, who, Permissions::ADMIN) {
        return acl.to_vec();
    }
    let mask = |entry: &Acl| match (&*entry.id.scheme, entry.id.id.split_once(':')) {
        ("digest", Some((user, _))) => {
            Acl { permissions: entry.permissions, id: Id::new("digest", format!("{user}:x")) }
        }
        _ => entry.clone(),
    };
    acl.iter().map(mask).collect()
}

/// Lists in use, each kept once: a tree of a million znodes has a handful of them.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    lists: HashSet<Arc<[Acl]>, RandomState>,
    sweep_at: usize,
}

impl Lists {
    /// The one copy of this list. Text that still shares a client's request is copied, so that the request is not
    /// kept in memory for a few bytes of it.
    pub(crate) fn intern(&mut self, list: &[Acl]) -> Arc<[Acl]> {
        if let Some(known) = self.lists.get(list) {
            return known.clone();
        }
        // What nobody uses any more is thrown out whenever the number of lists has doubled. That depends on who
        // else still holds a list for a moment, and may: no answer depends on it.
        if self.lists.len() >= self.sweep_at.max(SWEEP_MIN) {
            self.lists.retain(|list| Arc::strong_count(list) > 1);
            self.sweep_at = 2 * self.lists.len();
        }
        let own = |text: &Text| Text::from(&**text);
        let list: Arc<[Acl]> = list
            .iter()
            .map(|entry| Acl {
                permissions: entry.permissions,
                id: Id { scheme: own(&entry.id.scheme), id: own(&entry.id.id) },
            })
            .collect();
        self.lists.insert(list.clone());
        list
    }
}

/// Whether the client is somebody whom this names.
fn names(named: &Id, who: Identities<'_>) -> bool {
    match &*named.scheme {
        "world" => named.id == "anyone",
        "ip" => match (Range::parse(&named.id), who.address.parse::<IpAddr>()) {
            (Some(range), Ok(address)) => range.contains(address.to_canonical()),
            _ => false,
        },
        _ => who.proved.contains(named),
    }
}

/// Schemes in which a client proves something; where it calls from is not a proof.
fn is_authenticated(scheme: &str) -> bool {
    matches!(scheme, "digest" | "sasl" | "x509")
}

/// `user:hash`. Colons at the end are no part of it, as in ZooKeeper.
fn is_digest(id: &str) -> bool {
    let id = id.trim_end_matches(':');
    id.split(':').count() == 2
}

/// Addresses that begin with the same bits.
struct Range {
    address: IpAddr,
    bits: u32,
}

impl Range {
    /// `address` or `address/bits`.
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(width);
        (bits <= width).then_some(Self { address, bits })
    }

    fn contains(&self, other: IpAddr) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(range: &str, address: &str, contained: Option<bool>) {
        let address: IpAddr = address.parse().unwrap();
        assert_eq!(Range::parse(range).map(|range| range.contains(address)), contained, "{range} {address}");
    }

    #[test]
    fn ranges_compare_the_first_bits() {
        check("10.1.2.3", "10.1.2.3", Some(true));
        check("10.1.2.3", "10.1.2.4", Some(false));
        check("10.1.0.0/16", "10.1.9.9", Some(true));
        check("10.1.0.0/16", "10.2.0.0", Some(false));
        check("10.1.0.0/0", "192.168.0.1", Some(true));
        check("10.1.2.3/32", "10.1.2.3", Some(true));
        check("2001:db8::/33", "2001:db8:7fff::1", Some(true));
        check("2001:db8::/33", "2001:db8:8000::1", Some(false));
        check("::/0", "2001:db8::1", Some(true));
        check("::/0", "10.0.0.1", Some(false));
    }

    #[test]
    fn what_is_no_range() {
        for range in
            ["", "ten", "10.1.2", "10.1.2.3/33", "10.1.2.3/-1", "10.1.2.3/", "::/129", "10.1.2.3/8/8"]
        {
            check(range, "10.1.2.3", None);
        }
    }

    #[test]
    fn lists_are_kept_once_and_swept() {
        let mut lists = Lists::default();
        let kept = lists.intern(&[Acl::open()]);
        for user in 0..10 * SWEEP_MIN {
            let id = Id::new("digest", format!("{user}:x"));
            drop(lists.intern(&[Acl { permissions: Permissions::ALL, id }]));
        }
        assert!(lists.lists.len() <= 2 * SWEEP_MIN, "{} lists", lists.lists.len());
        assert!(Arc::ptr_eq(&kept, &lists.intern(&[Acl::open()])));
    }

    #[test]
    fn a_digest_has_two_parts() {
        for (id, legal) in
            [("u:h", true), ("u:h:", true), (":h", true), ("u:", false), ("u", false), ("", false)]
        {
            assert_eq!(is_digest(id), legal, "{id:?}");
        }
        assert!(!is_digest("u:h:i"));
    }
}
