//! One connection's exchange of SASL tokens, by which it proves a user's password.
//!
//! The mechanism is DIGEST-MD5, the only one of ZooKeeper's that needs no Kerberos. Of it there is what ZooKeeper uses: one
//! realm, quality of protection `auth`, and one exchange for each connection. The crates that do SASL have left it out
//! since RFC 6331 called it historic.
mod digest_md5;

mod directives;

use proto::limits::SASL_TOKEN_BYTES_MAX;

use crate::config::SaslConfig;

/// How far the exchange has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Exchange {
    /// The client has not begun.
    #[default]
    Begun,
    /// The client was asked about this nonce.
    Challenged(String),
    /// It is over, for better or worse.
    Over,
}

/// What is answered to a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// What the client is sent.
    pub(crate) token: Vec<u8>,
    /// Who it has proved to be, if it has.
    pub(crate) user: Option<String>,
}

/// The token is not the one that would prove anything, or comes when it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failed;

impl Exchange {
    /// Takes the client's next token. Each nonce is drawn for one connection and judged once, so that nothing that was
    /// overheard is worth anything.
    ///
    /// # Errors
    /// [`Failed`], and then everything that follows fails.
    pub(crate) fn step(
        &mut self,
        config: &SaslConfig,
        token: &[u8],
        nonce: impl FnOnce() -> String,
    ) -> Result<Answer, Failed> {
        match std::mem::replace(self, Self::Over) {
            _ if token.len() > SASL_TOKEN_BYTES_MAX => Err(Failed),
            // Whatever the first token says: clients send an empty one.
            Self::Begun => {
                let nonce = nonce();
                let token = digest_md5::challenge(&nonce).into_bytes();
                *self = Self::Challenged(nonce);
                Ok(Answer { token, user: None })
            }
            Self::Challenged(nonce) => {
                let (user, token) = digest_md5::judge(token, &nonce, &config.users).ok_or(Failed)?;
                Ok(Answer { token: token.into_bytes(), user: Some(authorized(&user, config)) })
            }
            Self::Over => Err(Failed),
        }
    }
}

/// What a user is called in ACLs. Of `service/host@REALM` the operator may want less than the whole.
fn authorized(user: &str, config: &SaslConfig) -> String {
    let Some((name, realm)) = user.split_once('@') else { return user.to_owned() };
    let (service, host) = name.split_once('/').map_or((name, None), |(service, host)| (service, Some(host)));
    let mut authorized = service.to_owned();
    if let Some(host) = host.filter(|_| !config.strip_host) {
        authorized = format!("{authorized}/{host}");
    }
    if !config.strip_realm {
        authorized = format!("{authorized}@{realm}");
    }
    authorized
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    fn config() -> SaslConfig {
        let users = [("bob".to_owned(), Secret("bobsecret".to_owned()))].into();
        SaslConfig { users, ..SaslConfig::default() }
    }

    fn nonce() -> String {
        "OA6MG9tEQGm2hh".to_owned()
    }

    const GOOD: &str = "username=\"bob\",realm=\"zk-sasl-md5\",nonce=\"OA6MG9tEQGm2hh\",nc=00000001,cnonce=\"c\",\
        digest-uri=\"zookeeper/zk-sasl-md5\",qop=auth,response=c52340f10cf8afe7ec6cbef8603cc0ef";

    #[test]
    fn a_user_is_proved_once_and_the_exchange_is_over() {
        let mut exchange = Exchange::default();
        let challenge = exchange.step(&config(), b"", nonce).unwrap();
        assert_eq!(challenge.user, None);
        let proof = exchange.step(&config(), GOOD.as_bytes(), nonce).unwrap();
        assert_eq!(proof.user.as_deref(), Some("bob"));
        assert_eq!(exchange.step(&config(), GOOD.as_bytes(), nonce), Err(Failed));
        assert_eq!(exchange.step(&config(), b"", nonce), Err(Failed));
    }

    #[test]
    fn who_fails_gets_no_second_try() {
        let mut exchange = Exchange::default();
        exchange.step(&config(), b"", nonce).unwrap();
        assert_eq!(exchange.step(&config(), b"username=\"bob\"", nonce), Err(Failed));
        assert_eq!(exchange.step(&config(), GOOD.as_bytes(), nonce), Err(Failed));
    }

    #[test]
    fn what_was_overheard_proves_nothing_elsewhere() {
        let mut exchange = Exchange::default();
        exchange.step(&config(), b"", || "another".to_owned()).unwrap();
        assert_eq!(exchange.step(&config(), GOOD.as_bytes(), nonce), Err(Failed));
    }

    #[test]
    fn a_token_has_a_bound() {
        for length in [SASL_TOKEN_BYTES_MAX, SASL_TOKEN_BYTES_MAX + 1] {
            let first = Exchange::default().step(&config(), &vec![b' '; length], nonce);
            assert_eq!(first.is_ok(), length == SASL_TOKEN_BYTES_MAX);
        }
    }

    #[test]
    fn users_are_called_as_the_operator_wants() {
        let rows = [
            (false, false, "zk/host@REALM", "zk/host@REALM"),
            (true, false, "zk/host@REALM", "zk@REALM"),
            (false, true, "zk/host@REALM", "zk/host"),
            (true, true, "zk/host@REALM", "zk"),
            (true, true, "bob@REALM", "bob"),
            (true, true, "bob", "bob"),
            (true, true, "a/b", "a/b"),
        ];
        for (strip_host, strip_realm, user, expected) in rows {
            let config = SaslConfig { strip_host, strip_realm, ..SaslConfig::default() };
            assert_eq!(authorized(user, &config), expected);
        }
    }
}
