//! DIGEST-MD5 as a client, by the formulas of RFC 2831, section 2.1.2.1.

use bytes::Bytes;
use harness::connection::Reply;
use harness::{Ask, Connection};
use md5::{Digest, Md5};
use proto::jute::read::Reader;

/// What a client makes of a challenge. Tests change what they like.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) realm: String,
    pub(crate) nonce: String,
    pub(crate) uri: String,
    pub(crate) count: String,
    pub(crate) qop: String,
    pub(crate) authzid: Option<String>,
    /// Directives that are left out.
    pub(crate) without: Vec<&'static str>,
    /// What stands at the end besides.
    pub(crate) more: String,
}

const CNONCE: &str = "0123456789abcdef";

impl Response {
    /// The one that is right if the password is.
    pub(crate) fn new(user: &str, password: &str, challenge: &str) -> Self {
        let nonce = challenge.split("nonce=\"").nth(1).and_then(|rest| rest.split('"').next());
        Self {
            user: user.into(),
            password: password.into(),
            realm: "zk-sasl-md5".into(),
            nonce: nonce.unwrap_or_else(|| panic!("no nonce in {challenge}")).into(),
            uri: "zookeeper/zk-sasl-md5".into(),
            count: "00000001".into(),
            qop: "auth".into(),
            authzid: None,
            without: Vec::new(),
            more: String::new(),
        }
    }

    /// As it is sent.
    pub(crate) fn token(&self) -> String {
        let Self { user, realm, nonce, uri, count, qop, .. } = self;
        let mut directives = vec![
            ("charset", "utf-8".to_owned()),
            ("username", format!("\"{user}\"")),
            ("realm", format!("\"{realm}\"")),
            ("nonce", format!("\"{nonce}\"")),
            ("nc", count.clone()),
            ("cnonce", format!("\"{CNONCE}\"")),
            ("digest-uri", format!("\"{uri}\"")),
            ("maxbuf", "65536".to_owned()),
            ("response", self.value("AUTHENTICATE:")),
            ("qop", qop.clone()),
        ];
        directives.extend(self.authzid.as_ref().map(|authzid| ("authzid", format!("\"{authzid}\""))));
        directives.retain(|(name, _)| !self.without.contains(name));
        let directives: Vec<_> =
            directives.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        directives.join(",") + &self.more
    }

    /// What the server must answer, to show that it knows the password too.
    pub(crate) fn proof(&self) -> String {
        format!("rspauth={}", self.value(":"))
    }

    fn value(&self, what: &str) -> String {
        let Self { user, password, realm, nonce, uri, count, qop, .. } = self;
        let mut a1 = Md5::digest(format!("{user}:{realm}:{password}")).to_vec();
        a1.extend(format!(":{nonce}:{CNONCE}").bytes());
        if let Some(authzid) = &self.authzid {
            a1.extend(format!(":{authzid}").bytes());
        }
        let (a1, a2) = (hex(&a1), hex(format!("{what}{uri}").as_bytes()));
        hex(format!("{a1}:{nonce}:{count}:{CNONCE}:{qop}:{a2}").as_bytes())
    }
}

fn hex(bytes: &[u8]) -> String {
    Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The record of a SASL token, which a refusal has too.
#[track_caller]
pub(crate) fn token(reply: &Reply) -> Option<Bytes> {
    Reader::new(reply.body.clone()).buffer().unwrap_or_else(|_| panic!("no token: {reply:?}"))
}

/// Begins, and returns what the server asks.
#[track_caller]
pub(crate) fn challenge(connection: &mut Connection) -> String {
    let reply = connection.call(&Ask::sasl(b""));
    assert_eq!((reply.zxid, reply.err), (0, 0));
    String::from_utf8(token(&reply).unwrap().to_vec()).unwrap()
}

/// The whole exchange: the last answer, and what it should be if the password was right.
#[track_caller]
pub(crate) fn log_in(connection: &mut Connection, user: &str, password: &str) -> (Reply, String) {
    let response = Response::new(user, password, &challenge(connection));
    (connection.call(&Ask::sasl(response.token().as_bytes())), response.proof())
}

/// The whole exchange, which must succeed.
#[track_caller]
pub(crate) fn authenticate(connection: &mut Connection, user: &str, password: &str) {
    let (reply, proof) = log_in(connection, user, password);
    assert_eq!((reply.zxid, reply.err), (0, 0), "{user}");
    assert_eq!(token(&reply).unwrap(), proof.as_bytes(), "{user}");
}
