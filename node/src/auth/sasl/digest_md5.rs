//! DIGEST-MD5, as a server: a challenge, and what a client makes of it with a user's password.
//!
//! RFC 2831, sections 2.1.1 to 2.1.3. What is taken and what is not was compared with ZooKeeper 3.9.5 on Java 17.
use std::collections::BTreeMap;

use md5::{Digest, Md5};
use subtle::ConstantTimeEq;

use super::directives;
use crate::config::Secret;

/// The one realm, which is also the name of the server.
const REALM: &str = "zk-sasl-md5";

/// What clients speak here, and to whom; letters of both cases are equal.
const DIGEST_URI: &str = "zookeeper/zk-sasl-md5";

/// The number of times that a nonce is used.
const NONCE_COUNT: &str = "00000001";

/// The directives that are looked at. Each may stand once, and others are passed over.
const KNOWN: &[&str] = &[
    "username",
    "realm",
    "nonce",
    "cnonce",
    "nc",
    "qop",
    "digest-uri",
    "response",
    "maxbuf",
    "charset",
    "cipher",
    "authzid",
];

/// What the client is asked.
pub(super) fn challenge(nonce: &str) -> String {
    format!("realm=\"{REALM}\",nonce=\"{nonce}\",charset=utf-8,algorithm=md5-sess")
}

/// The user who is proved by the client's response to the challenge with this nonce, and what shows the client that the
/// password is known here too. `None` if it proves nobody: why, is nobody's business.
pub(super) fn judge(token: &[u8], nonce: &str, users: &BTreeMap<String, Secret>) -> Option<(String, String)> {
    let response = Response::parse(token, nonce)?;
    let user = String::from_utf8(response.username.clone()).ok()?;
    // Nobody learns from how long it takes whether there is such a user.
    let nobody = Secret::default();
    let known = users.get(&user);
    let key = response.key(&user, &known.unwrap_or(&nobody).0, nonce);
    let expected = response.value(&key, "AUTHENTICATE:", nonce);
    let equal: bool = expected.as_bytes().ct_eq(&response.response).into();
    if !equal || known.is_none() {
        return None;
    }
    Some((user, format!("rspauth={}", response.value(&key, ":", nonce))))
}

/// What a client answers to a challenge.
struct Response {
    username: Vec<u8>,
    cnonce: Vec<u8>,
    digest_uri: Vec<u8>,
    response: Vec<u8>,
    authzid: Option<Vec<u8>>,
}

impl Response {
    /// `None` if it is none, or not to this challenge.
    fn parse(token: &[u8], nonce: &str) -> Option<Self> {
        let mut given: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for (name, value) in directives::parse(token)? {
            if KNOWN.contains(&name.as_str()) && given.insert(name, value).is_some() {
                return None;
            }
        }
        let is = |name: &str, wanted: &str| given.get(name).is_none_or(|value| value == wanted.as_bytes());
        let fits = is("charset", "utf-8") && is("qop", "auth") && is("nc", NONCE_COUNT);
        if !fits || given.get("realm")? != REALM.as_bytes() || given.get("nonce")? != nonce.as_bytes() {
            return None;
        }
        let digest_uri = given.remove("digest-uri")?;
        Some(Self {
            username: given.remove("username")?,
            cnonce: given.remove("cnonce")?,
            digest_uri: digest_uri.eq_ignore_ascii_case(DIGEST_URI.as_bytes()).then_some(digest_uri)?,
            response: given.remove("response")?,
            authzid: given.remove("authzid"),
        })
    }

    /// What both sides know and nobody else: `HEX(H(A1))`. Whom else the client would like to be is part of it, and has no
    /// other effect, as in ZooKeeper.
    fn key(&self, user: &str, password: &str, nonce: &str) -> String {
        let secret = hash(&[&single_bytes(user), b":", REALM.as_bytes(), b":", &single_bytes(password)]);
        let mut a1: Vec<&[u8]> = vec![&secret, b":", nonce.as_bytes(), b":", &self.cnonce];
        if let Some(authzid) = &self.authzid {
            a1.extend([b":".as_slice(), authzid]);
        }
        hex(&hash(&a1))
    }

    /// What proves the knowledge of the key, to whoever is asked to do `what`.
    fn value(&self, key: &str, what: &str, nonce: &str) -> String {
        let a2 = hex(&hash(&[what.as_bytes(), &self.digest_uri]));
        let parts: [&[u8]; 6] =
            [key.as_bytes(), nonce.as_bytes(), NONCE_COUNT.as_bytes(), &self.cnonce, b"auth", a2.as_bytes()];
        hex(&hash(&[&parts.join(b":".as_slice())]))
    }
}

/// Text as it is hashed: a byte for each character where that can be, else UTF-8.
fn single_bytes(text: &str) -> Vec<u8> {
    text.chars()
        .map(|c| u8::try_from(u32::from(c)))
        .collect::<Result<_, _>>()
        .unwrap_or_else(|_| text.as_bytes().to_vec())
}

fn hash(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Md5::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: &str = "OA6MG9tEQGm2hh";

    fn users() -> BTreeMap<String, Secret> {
        [("bob", "bobsecret"), ("jürgen", "größe"), ("Ωmega", "Ω"), ("empty", "")]
            .map(|(user, password)| (user.to_owned(), Secret(password.to_owned())))
            .into()
    }

    /// A response with what its hash needs, as a client makes it; each directive of `changes` takes the place of the one
    /// with its name.
    fn respond(user: &str, password: &str, changes: &[(&str, &str)], more: &str) -> String {
        let change = |name: &str, value: &str| {
            let changed = changes.iter().find(|(changed, _)| *changed == name);
            changed.map_or(value, |(_, value)| value).to_owned()
        };
        let response = Response {
            username: Vec::new(),
            cnonce: b"c".to_vec(),
            digest_uri: change("digest-uri", DIGEST_URI).into_bytes(),
            response: Vec::new(),
            authzid: changes
                .iter()
                .find(|(name, _)| *name == "authzid")
                .map(|(_, value)| value.as_bytes().to_vec()),
        };
        let nonce = change("nonce", NONCE);
        let value = response.value(&response.key(user, password, &nonce), "AUTHENTICATE:", &nonce);
        let mut token = String::new();
        for (name, usual) in [
            ("charset", "utf-8"),
            ("username", user),
            ("realm", REALM),
            ("nonce", NONCE),
            ("nc", NONCE_COUNT),
            ("cnonce", "c"),
            ("digest-uri", DIGEST_URI),
            ("maxbuf", "65536"),
            ("response", value.as_str()),
            ("qop", "auth"),
            ("authzid", ""),
        ] {
            let value = change(name, usual);
            if !value.is_empty() {
                token += &format!("{name}=\"{value}\",");
            }
        }
        token + more
    }

    #[track_caller]
    fn check(token: &str, expected: Option<&str>) {
        let judged = judge(token.as_bytes(), NONCE, &users());
        assert_eq!(judged.as_ref().map(|(user, _)| user.as_str()), expected, "{token}");
    }

    /// What another implementation has made of the same words (Python's `hashlib`, by the formulas of the RFC).
    #[test]
    fn the_hashes_are_those_of_others() {
        let token = respond("bob", "bobsecret", &[], "");
        assert!(token.contains("response=\"c52340f10cf8afe7ec6cbef8603cc0ef\""), "{token}");
        let (_, proof) = judge(token.as_bytes(), NONCE, &users()).unwrap();
        assert_eq!(proof, "rspauth=b07bedf8cf7258644713dc9884851dde");
        assert_eq!(challenge("n"), "realm=\"zk-sasl-md5\",nonce=\"n\",charset=utf-8,algorithm=md5-sess");
    }

    #[test]
    fn who_knows_the_password_is_proved() {
        check(&respond("bob", "bobsecret", &[], ""), Some("bob"));
        check(&respond("jürgen", "größe", &[], ""), Some("jürgen"));
        check(&respond("Ωmega", "Ω", &[], ""), Some("Ωmega"));
        check(&respond("empty", "", &[], ""), Some("empty"));
        check(&respond("bob", "bobsecret", &[("authzid", "somebody-else")], ""), Some("bob"));
    }

    #[test]
    fn who_does_not_is_not() {
        check(&respond("bob", "wrong", &[], ""), None);
        check(&respond("nobody", "", &[], ""), None);
        check(&respond("nobody", "bobsecret", &[], ""), None);
        check("", None);
        check("garbage", None);
    }

    /// As ZooKeeper 3.9.5 answered each of them.
    #[test]
    fn some_directives_may_be_missing_or_unknown_and_none_may_be_wrong() {
        let bob = |name: &str, value: &str| respond("bob", "bobsecret", &[(name, value)], "");
        for name in ["charset", "qop", "nc", "maxbuf"] {
            check(&bob(name, ""), Some("bob"));
        }
        check(&bob("digest-uri", "ZooKeeper/ZK-SASL-MD5"), Some("bob"));
        check(&respond("bob", "bobsecret", &[], "foo=\"bar\" , ,"), Some("bob"));
        for name in ["username", "realm", "nonce", "cnonce", "digest-uri", "response"] {
            check(&bob(name, ""), None);
        }
        for (name, value) in [
            ("realm", "other"),
            ("nonce", "other"),
            ("nc", "00000002"),
            ("qop", "auth-int"),
            ("charset", "latin-1"),
            ("digest-uri", "zookeeper"),
            ("digest-uri", "zookeeper/other"),
            ("digest-uri", "other/zk-sasl-md5"),
            ("digest-uri", "zookeeper/zk-sasl-md5/x"),
        ] {
            check(&bob(name, value), None);
        }
        check(&respond("bob", "bobsecret", &[], "username=\"bob\""), None);
    }
}
