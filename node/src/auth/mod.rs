//! Schemes to identities: who a connection proves to be.
mod digest;

use proto::limits::IDENTITIES_MAX;
use proto::request::Auth;
use proto::{Id, Text};

use crate::config::AuthConfig;

/// The credentials were not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Denied;

/// Who a connection is from the start, besides where it calls from. With `skipACL` everybody is the super user: it
/// is decided here, travels with every write, and so is the same for every member.
pub(crate) fn from_the_start(config: &AuthConfig) -> Vec<Id> {
    if config.skip_acl { vec![super_user()] } else { Vec::new() }
}

/// Adds to `proved` what the credentials prove.
///
/// # Errors
/// [`Denied`] if the scheme is none that a client may prove anything by, or the connection has proved enough.
pub(crate) fn prove(auth: &Auth, config: &AuthConfig, proved: &mut Vec<Id>) -> Result<(), Denied> {
    match &*auth.scheme {
        "digest" => {
            let id = digest::identity(&auth.credentials);
            if config.super_digest.as_deref() == Some(&*id) {
                add(super_user(), proved)?;
            }
            add(Id::new("digest", id), proved)
        }
        // Where a client calls from is known without its help.
        "ip" => Ok(()),
        _ => Err(Denied),
    }
}

/// What a client is told when it asks who it is: schemes with names, and no secrets.
pub(crate) fn who_am_i(address: &Text, proved: &[Id]) -> Vec<Id> {
    let mut all = vec![Id::new("ip", address.clone())];
    all.extend(proved.iter().map(|id| match &*id.scheme {
        "digest" => Id::new("digest", id.id.split(':').next().unwrap_or_default()),
        _ => id.clone(),
    }));
    all
}

fn super_user() -> Id {
    Id::new("super", "")
}

fn add(id: Id, proved: &mut Vec<Id>) -> Result<(), Denied> {
    if proved.contains(&id) {
        return Ok(());
    }
    if proved.len() >= IDENTITIES_MAX {
        return Err(Denied);
    }
    proved.push(id);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUPER: &str = "super:xQJmxLMiHGwaqBvst5y6rkB6HQs="; // super:admin

    fn check(steps: &[(&str, &str)], expected: &str) {
        let config = AuthConfig { skip_acl: false, super_digest: Some(SUPER.to_owned()) };
        let mut proved = from_the_start(&config);
        for (scheme, credentials) in steps {
            let auth = Auth { scheme: (*scheme).into(), credentials: credentials.as_bytes().to_vec().into() };
            if prove(&auth, &config, &mut proved).is_err() {
                return assert_eq!("denied", expected);
            }
        }
        let shown: Vec<_> = proved.iter().map(ToString::to_string).collect();
        assert_eq!(shown.join(" "), expected);
    }

    #[test]
    fn a_digest_is_the_name_and_a_hash_of_the_whole() {
        check(&[("digest", "super:test")], "digest:super:D/InIHSb7yEEbrWz8b9l71RjZJU=");
    }

    #[test]
    fn identities_add_up_to_a_set() {
        check(
            &[("digest", "user:pass"), ("ip", ""), ("digest", "user:pass"), ("digest", "a")],
            "digest:user:smGaoVKd/cQkjm7b88GyorAUz20= digest:a:hvfkN/qlp/zhXR3cuerq6jd2Z7g=",
        );
    }

    #[test]
    fn the_super_digest_opens_everything() {
        check(&[("digest", "super:admin")], &format!("super: digest:{SUPER}"));
    }

    #[test]
    fn other_schemes_prove_nothing() {
        for scheme in ["world", "super", "sasl", "x509", "", "Digest"] {
            check(&[(scheme, "anyone")], "denied");
        }
    }

    #[test]
    fn skipped_acls_make_everybody_the_super_user() {
        let config = AuthConfig { skip_acl: true, super_digest: None };
        assert_eq!(from_the_start(&config), [super_user()]);
    }

    #[test]
    fn names_are_told_and_secrets_are_not() {
        let proved = [super_user(), Id::new("digest", "bob:secret")];
        let told = who_am_i(&"10.0.0.1".into(), &proved);
        assert_eq!(told, [Id::new("ip", "10.0.0.1"), super_user(), Id::new("digest", "bob")]);
    }

    #[test]
    fn nobody_proves_without_end() {
        let config = AuthConfig { skip_acl: false, super_digest: None };
        let mut proved = Vec::new();
        let attempts = (0..=IDENTITIES_MAX).map(|n| {
            let auth = Auth { scheme: "digest".into(), credentials: format!("{n}:x").into() };
            prove(&auth, &config, &mut proved)
        });
        assert_eq!(attempts.filter(Result::is_err).count(), 1);
    }
}
