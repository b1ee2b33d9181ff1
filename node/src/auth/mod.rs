//! Schemes to identities: who a connection proves to be.
mod digest;
mod sasl;

use std::collections::BTreeSet;
use std::net::Ipv6Addr;

use machine::ANY_SASL_USER;
use proto::limits::{IDENTITIES_BYTES_MAX, IDENTITIES_MAX};
use proto::request::Auth;
use proto::{Id, Text};
use subtle::ConstantTimeEq;

use crate::config::{AuthConfig, SaslConfig};

pub(crate) use sasl::{Exchange, Failed};

/// Why credentials were not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    /// They prove nothing, or the connection has proved enough.
    Refused,
    /// They are for another ensemble: the client is to be hung up, and will look for it elsewhere.
    Elsewhere,
}

/// Who a connection is from the start, besides where it calls from. With `skipACL` everybody is the super user: it
/// is decided here, travels with every write, and so is the same for every member.
pub(crate) fn from_the_start(config: &AuthConfig) -> Vec<Id> {
    if config.skip_acl { vec![super_user()] } else { Vec::new() }
}

/// Adds to `proved` what the credentials prove.
///
/// # Errors
/// [`Denied`] if that is nothing.
pub(crate) fn prove(auth: &Auth, config: &AuthConfig, proved: &mut Vec<Id>) -> Result<(), Denied> {
    match (&*auth.scheme, config.digest, &config.ensemble) {
        ("digest", Some(algorithm), _) => {
            let id = digest::identity(&auth.credentials, algorithm);
            let is = |secret: &String| secret.as_bytes().ct_eq(id.as_bytes()).into();
            if config.super_digest.as_ref().is_some_and(is) {
                add(super_user(), proved)?;
            }
            add(Id::new("digest", id), proved)
        }
        // Where a client calls from is known without its help.
        ("ip", ..) => Ok(()),
        ("ensemble", _, Some(names)) if expects(names, &auth.credentials) == Expects::Another => {
            Err(Denied::Elsewhere)
        }
        ("ensemble", _, Some(_)) => Ok(()),
        _ => Err(Denied::Refused),
    }
}

/// Which ensemble a client looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expects {
    /// Whoever says nothing is let in, and so is everybody where nobody has said what this ensemble is called.
    Any,
    /// This one.
    This,
    /// Another one.
    Another,
}

/// Which ensemble a client looks for, if these credentials say it.
pub(crate) fn expects_ensemble(auth: &Auth, config: &AuthConfig) -> Option<Expects> {
    let names = config.ensemble.as_ref().filter(|_| &*auth.scheme == "ensemble")?;
    Some(expects(names, &auth.credentials))
}

fn expects(names: &BTreeSet<String>, name: &[u8]) -> Expects {
    if name.is_empty() || names.is_empty() {
        Expects::Any
    } else if names.contains(&*String::from_utf8_lossy(name)) {
        Expects::This
    } else {
        Expects::Another
    }
}

/// Who the owner of a certificate with this subject is. The check of the certificate is done.
pub(crate) fn of_certificate(subject: String, config: &AuthConfig) -> Vec<Id> {
    let is_super = config.x509_super.as_ref() == Some(&subject);
    let all = is_super.then(|| Id::new("super", subject.clone()));
    all.into_iter().chain([Id::new("x509", subject)]).collect()
}

/// Takes a client's next SASL token, and adds to `proved` whom it proves; returns what the client is answered.
///
/// # Errors
/// [`Failed`] if it does not go on from here.
pub(crate) fn exchange(
    exchange: &mut Exchange,
    token: &[u8],
    config: &SaslConfig,
    nonce: impl FnOnce() -> String,
    proved: &mut Vec<Id>,
) -> Result<Vec<u8>, Failed> {
    let sasl::Answer { token, user } = exchange.step(config, token, nonce)?;
    if let Some(user) = user {
        let any = config.any_user.as_ref().map(|any| Id::new(ANY_SASL_USER, any.clone()));
        let all = config.super_users.contains(&user).then(super_user);
        for id in [Id::new("sasl", user)].into_iter().chain(any).chain(all) {
            add(id, proved).map_err(|_| Failed)?;
        }
    }
    Ok(token)
}

/// Whether a connection that has proved this may ask for anything.
pub(crate) fn lets_in(config: &AuthConfig, proved: &[Id]) -> bool {
    // Where a client calls from needs no proof.
    config.enforced.is_empty()
        || config.enforced.iter().any(|scheme| scheme == "ip" || proved.iter().any(|id| id.scheme == *scheme))
}

/// Whether a client that does not come through with SASL is shut out for want of it.
pub(crate) fn enforces_sasl(config: &AuthConfig) -> bool {
    config.enforced.iter().any(|scheme| scheme == "sasl")
}

/// What a client is told when it asks who it is: schemes with names, and no secrets.
pub(crate) fn who_am_i(address: &Text, config: &AuthConfig, proved: &[Id]) -> Vec<Id> {
    // What everybody is with `skipACL` nobody has proved.
    let from_the_start = from_the_start(config).len();
    let told = proved.iter().skip(from_the_start).filter(|id| id.scheme != ANY_SASL_USER);
    let mut all = vec![Id::new("ip", written_by_java(address))];
    all.extend(told.map(|id| match &*id.scheme {
        "digest" => Id::new("digest", id.id.split(':').next().unwrap_or_default()),
        _ => id.clone(),
    }));
    all
}

/// Java leaves nothing out of an IPv6 address but zeros in front.
fn written_by_java(address: &Text) -> Text {
    match address.parse::<Ipv6Addr>() {
        Ok(address) => address.segments().map(|segment| format!("{segment:x}")).join(":").into(),
        Err(_) => address.clone(),
    }
}

fn super_user() -> Id {
    Id::new("super", "")
}

fn add(id: Id, proved: &mut Vec<Id>) -> Result<(), Denied> {
    if proved.contains(&id) {
        return Ok(());
    }
    let bytes = |id: &Id| id.scheme.len() + id.id.len();
    let all = proved.iter().map(bytes).sum::<usize>() + bytes(&id);
    if proved.len() >= IDENTITIES_MAX || all > IDENTITIES_BYTES_MAX {
        return Err(Denied::Refused);
    }
    proved.push(id);
    Ok(())
}

#[cfg(test)]
mod tests;
