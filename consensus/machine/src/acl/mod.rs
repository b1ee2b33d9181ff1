//! Who may do what: lists are judged, kept once each, and held against those who ask.
mod distinguished_name;

mod scheme;

use std::net::IpAddr;

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};
use proto::limits::ACL_LINES_OF_AUTH_MAX;
use proto::{Acl, Code, Id, Permissions, Shared, Text};

use crate::command::Identities;
use crate::rules::Rules;
use scheme::{Range, is_digest, is_kerberos_name, is_subject};

/// The scheme of what every user of SASL is besides, by the word of the operator (`letAnySaslUserDoX`): an ACL of the
/// scheme `sasl` with that id means all of them. It is known at the member that the client is connected to, and travels
/// with what it proves there. It stands in no ACL itself.
pub const ANY_SASL_USER: &str = "sasl*";

/// The user whom every ACL of the scheme `sasl` means, whatever its id.
const SASL_SUPER_USER: &str = "super";

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
/// [`Code::InvalidAcl`] if it names nobody, or somebody in a form that the scheme does not know, or if a client of many
/// names means all of them very often.
pub(crate) fn expand(given: Option<&[Acl]>, who: Identities<'_>, rules: Rules) -> Result<Vec<Acl>, Code> {
    let given = given.unwrap_or_default();
    let mut list = Vec::with_capacity(given.len());
    let mut seen: HashSet<&Acl, RandomState> = HashSet::default();
    let mut of_auth = 0;
    for entry in given {
        if given.len() > 1 && !seen.insert(entry) {
            continue;
        }
        match &*entry.id.scheme {
            "auth" => {
                let before = list.len();
                let authenticated = who.proved.iter().filter(|id| is_authenticated(&id.scheme, rules));
                list.extend(authenticated.map(|id| Acl { permissions: entry.permissions, id: id.clone() }));
                of_auth += list.len() - before;
                if list.len() == before || of_auth > ACL_LINES_OF_AUTH_MAX {
                    return Err(Code::InvalidAcl);
                }
            }
            _ if is_legal(&entry.id, rules) => list.push(entry.clone()),
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

/// What a list, and a line of one, are reckoned to take besides their texts.
const LIST_BYTES: u64 = 64;
const LINE_BYTES: u64 = 96;

/// Lists in use, each kept once: a tree of a million znodes has a handful of them.
///
/// Invariants:
/// * what a znode has is here.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    /// With how many znodes that have it. Others may hold it, too: the history, or a transaction that is under way.
    lists: HashMap<Shared<Acl>, usize, RandomState>,
    /// That which was asked for last, which most often is asked for again. How many have it is said here, not above: a write
    /// then looks up nothing.
    last: Option<(Shared<Acl>, usize)>,
    sweep_at: usize,
    bytes: u64,
}

impl Lists {
    /// The one copy of this list. Text that still shares a client's request is copied, so that the request is not
    /// kept in memory for a few bytes of it.
    pub(crate) fn intern(&mut self, list: &[Acl]) -> Shared<Acl> {
        if let Some((last, _)) = self.last.as_ref().filter(|(last, _)| **last == *list) {
            return last.clone();
        }
        if let Some((last, znodes)) = self.last.take() {
            self.lists.insert(last, znodes);
        }
        if let Some((known, znodes)) = self.lists.get_key_value(list) {
            self.last = Some((known.clone(), *znodes));
            return known.clone();
        }
        // What nobody uses any more is thrown out whenever the number of lists has doubled. That depends on who
        // else still holds a list for a moment, and may: no answer depends on it.
        if self.lists.len() >= self.sweep_at.max(SWEEP_MIN) {
            self.lists.retain(|list, _| list.holders() > 1);
            self.sweep_at = 2 * self.lists.len();
        }
        let own = |text: &Text| Text::from(&**text);
        let list: Shared<Acl> = list
            .iter()
            .map(|entry| Acl {
                permissions: entry.permissions,
                id: Id { scheme: own(&entry.id.scheme), id: own(&entry.id.id) },
            })
            .collect();
        self.lists.insert(list.clone(), 0);
        self.last = Some((list.clone(), 0));
        list
    }

    /// Bytes that all are reckoned to take that znodes have. That follows from the znodes alone, as what is swept does not.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Notes that one znode more has this list.
    pub(crate) fn take(&mut self, list: &Shared<Acl>) {
        let znodes = self.znodes(list);
        *znodes += 1;
        if *znodes == 1 {
            self.bytes += weight(list);
        }
    }

    /// Notes that one znode less has it.
    pub(crate) fn leave(&mut self, list: &Shared<Acl>) {
        let znodes = self.znodes(list);
        *znodes -= 1;
        if *znodes == 0 {
            self.bytes -= weight(list);
        }
    }

    fn znodes(&mut self, list: &Shared<Acl>) -> &mut usize {
        match &mut self.last {
            Some((last, znodes)) if last.is(list) => znodes,
            _ => self.lists.get_mut(&**list).expect("what a znode has is kept"),
        }
    }
}

/// What a list is reckoned to take. A number, and not what the compiler makes of it: by this it is decided what there is room for,
/// and all members must decide alike.
pub(crate) fn weight(list: &[Acl]) -> u64 {
    let line = |line: &Acl| LINE_BYTES + (line.id.scheme.len() + line.id.id.len()) as u64;
    LIST_BYTES + list.iter().map(line).sum::<u64>()
}

/// Whether the client is somebody whom this names.
fn names(named: &Id, who: Identities<'_>) -> bool {
    match &*named.scheme {
        "world" => named.id == "anyone",
        "ip" => match (Range::parse(&named.id), who.address.parse::<IpAddr>()) {
            (Some(range), Ok(address)) => range.contains(address.to_canonical()),
            _ => false,
        },
        "sasl" => who.proved.iter().any(|id| match &*id.scheme {
            "sasl" => id.id == named.id || id.id == SASL_SUPER_USER,
            ANY_SASL_USER => id.id == named.id,
            _ => false,
        }),
        _ => who.proved.contains(named),
    }
}

/// Whether `auth` stands for what a client has proved in this scheme. Where it calls from is not a proof, and what the
/// scheme of another configuration has proved is none here.
fn is_authenticated(scheme: &str, rules: Rules) -> bool {
    match scheme {
        "digest" => !rules.contains(Rules::DIGEST_DISABLED),
        "sasl" => rules.contains(Rules::SASL_KNOWN),
        "x509" => rules.contains(Rules::X509_KNOWN),
        _ => false,
    }
}

/// Whether an ACL may name this somebody: everybody, or an id of a scheme that is served, in the form that it has there.
fn is_legal(id: &Id, rules: Rules) -> bool {
    match &*id.scheme {
        "world" => id.id == "anyone",
        "ip" => Range::parse(&id.id).is_some(),
        "digest" => !rules.contains(Rules::DIGEST_DISABLED) && is_digest(&id.id),
        "sasl" => rules.contains(Rules::SASL_KNOWN) && is_kerberos_name(&id.id),
        "x509" => rules.contains(Rules::X509_KNOWN) && is_subject(&id.id),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_kept_once_and_swept() {
        let mut lists = Lists::default();
        let kept = lists.intern(&[Acl::open()]);
        for user in 0..10 * SWEEP_MIN {
            let id = Id::new("digest", format!("{user}:x"));
            drop(lists.intern(&[Acl { permissions: Permissions::ALL, id }]));
        }
        assert!(lists.lists.len() <= 2 * SWEEP_MIN, "{} lists", lists.lists.len());
        assert!(kept.is(&lists.intern(&[Acl::open()])));
    }

    #[test]
    fn a_list_is_counted_once_for_as_long_as_a_znode_has_it() {
        let mut lists = Lists::default();
        let readable = Acl { permissions: Permissions::READ, id: Id::anyone() };
        let (open, other) = (lists.intern(&[Acl::open()]), lists.intern(&[Acl::open(), readable.clone()]));
        assert_eq!(lists.bytes(), 0, "no znode has them");
        lists.take(&open);
        // Asked for last or not, and counted before the other was asked for.
        assert!(open.is(&lists.intern(&[Acl::open()])));
        lists.take(&open);
        lists.take(&other);
        assert!(other.is(&lists.intern(&[Acl::open(), readable])));
        lists.take(&other);
        let of_open = 64 + 96 + "worldanyone".len() as u64;
        let of_other = 64 + 2 * (96 + "worldanyone".len() as u64);
        assert_eq!(lists.bytes(), of_open + of_other);
        lists.leave(&open);
        lists.leave(&other);
        assert_eq!(lists.bytes(), of_open + of_other, "one znode each has them still");
        lists.leave(&other);
        assert_eq!(lists.bytes(), of_open);
        lists.leave(&open);
        assert_eq!(lists.bytes(), 0);
    }
}
