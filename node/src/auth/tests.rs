//! Rows: credentials, and who they prove somebody to be.
use super::*;
use crate::config::{DigestAlgorithm, Secret};

const SUPER: &str = "super:xQJmxLMiHGwaqBvst5y6rkB6HQs="; // super:admin

fn config() -> AuthConfig {
    AuthConfig {
        digest: Some(DigestAlgorithm::Sha1),
        super_digest: Some(SUPER.to_owned()),
        ..AuthConfig::default()
    }
}

#[track_caller]
fn check(steps: &[(&str, &str)], expected: &str) {
    check_with(&config(), steps, expected);
}

#[track_caller]
fn check_with(config: &AuthConfig, steps: &[(&str, &str)], expected: &str) {
    let mut proved = from_the_start(config);
    for (scheme, credentials) in steps {
        let auth = Auth { scheme: (*scheme).into(), credentials: credentials.as_bytes().to_vec().into() };
        if let Err(denied) = prove(&auth, config, &mut proved) {
            return assert_eq!(format!("{denied:?}"), expected);
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
    for scheme in ["world", "super", "sasl", "x509", "ensemble", "", "Digest", ANY_SASL_USER] {
        check(&[(scheme, "anyone")], "Refused");
    }
    check_with(&AuthConfig { digest: None, ..config() }, &[("digest", "user:pass")], "Refused");
}

#[test]
fn what_ensemble_a_client_looks_for_is_counted() {
    let named = |names: &[&str]| AuthConfig {
        ensemble: Some(names.iter().map(|name| (*name).to_owned()).collect()),
        ..config()
    };
    for (config, scheme, name, expected) in [
        (config(), "ensemble", "ours", None),
        (named(&["ours"]), "digest", "ours", None),
        (named(&["ours"]), "ensemble", "", Some(Expects::Any)),
        (named(&[]), "ensemble", "theirs", Some(Expects::Any)),
        (named(&["ours"]), "ensemble", "ours", Some(Expects::This)),
        (named(&["ours"]), "ensemble", "theirs", Some(Expects::Another)),
    ] {
        let auth = Auth { scheme: scheme.into(), credentials: name.as_bytes().to_vec().into() };
        assert_eq!(expects_ensemble(&auth, &config), expected, "{scheme} {name}");
    }
}

#[test]
fn who_looks_for_another_ensemble_is_sent_on() {
    let called = |names: &[&str]| AuthConfig {
        ensemble: Some(names.iter().map(|name| (*name).to_owned()).collect()),
        ..config()
    };
    check_with(&called(&["blue", "green"]), &[("ensemble", "green"), ("ensemble", "")], "");
    check_with(&called(&["blue"]), &[("ensemble", "green")], "Elsewhere");
    check_with(&called(&[]), &[("ensemble", "green")], "");
}

#[test]
fn skipped_acls_make_everybody_the_super_user_and_tell_nobody() {
    let config = AuthConfig { skip_acl: true, ..config() };
    let proved = from_the_start(&config);
    assert_eq!(proved, [super_user()]);
    assert_eq!(who_am_i(&"10.0.0.1".into(), &config, &proved), [Id::new("ip", "10.0.0.1")]);
}

#[test]
fn names_are_told_and_secrets_are_not() {
    let proved =
        [super_user(), Id::new("digest", "bob:secret"), Id::new(ANY_SASL_USER, "x"), Id::new("sasl", "bob")];
    let told = who_am_i(&"2001:db8::1".into(), &config(), &proved);
    let ip = Id::new("ip", "2001:db8:0:0:0:0:0:1");
    assert_eq!(told, [ip, super_user(), Id::new("digest", "bob"), Id::new("sasl", "bob")]);
}

#[test]
fn nobody_proves_at_length() {
    let mut proved = Vec::new();
    let mut attempt = |name: usize| {
        let auth = Auth { scheme: "digest".into(), credentials: vec![b'u'; name].into() };
        prove(&auth, &config(), &mut proved)
    };
    assert_eq!(attempt(IDENTITIES_BYTES_MAX), Err(Denied::Refused));
    assert_eq!(attempt(IDENTITIES_BYTES_MAX / 2), Ok(()));
    assert_eq!(attempt(IDENTITIES_BYTES_MAX / 2 + 1), Err(Denied::Refused));
}

#[test]
fn nobody_proves_without_end() {
    let mut proved = Vec::new();
    let attempts = (0..=IDENTITIES_MAX).map(|n| {
        let auth = Auth { scheme: "digest".into(), credentials: format!("{n}:x").into() };
        prove(&auth, &config(), &mut proved)
    });
    assert_eq!(attempts.filter(Result::is_err).count(), 1);
}

#[test]
fn a_user_of_sasl_may_be_more_than_that() {
    let config = SaslConfig {
        users: [("bob".to_owned(), Secret("bobsecret".to_owned()))].into(),
        super_users: ["bob".to_owned()].into(),
        any_user: Some("anybody".to_owned()),
        ..SaslConfig::default()
    };
    let (mut steps, mut proved) = (Exchange::default(), Vec::new());
    let nonce = || "OA6MG9tEQGm2hh".to_owned();
    exchange(&mut steps, b"", &config, nonce, &mut proved).unwrap();
    assert_eq!(proved, []);
    let response = "username=\"bob\",realm=\"zk-sasl-md5\",nonce=\"OA6MG9tEQGm2hh\",nc=00000001,cnonce=\"c\",\
        digest-uri=\"zookeeper/zk-sasl-md5\",response=c52340f10cf8afe7ec6cbef8603cc0ef";
    exchange(&mut steps, response.as_bytes(), &config, nonce, &mut proved).unwrap();
    assert_eq!(proved, [Id::new("sasl", "bob"), Id::new(ANY_SASL_USER, "anybody"), super_user()]);
}

#[test]
fn one_of_the_enforced_schemes_is_enough() {
    let enforced = |schemes: &[&str]| AuthConfig {
        enforced: schemes.iter().map(|scheme| (*scheme).to_owned()).collect(),
        ..config()
    };
    let bob = [super_user(), Id::new("sasl", "bob")];
    for (schemes, proved, expected) in [
        (&[][..], &[][..], true),
        (&["sasl"], &[], false),
        (&["sasl"], &bob, true),
        (&["digest"], &bob, false),
        (&["digest", "sasl"], &bob, true),
        (&["ip"], &[], true),
    ] {
        assert_eq!(lets_in(&enforced(schemes), proved), expected, "{schemes:?} {proved:?}");
    }
}

#[test]
fn a_subject_is_who_owns_the_certificate() {
    let config = AuthConfig { x509_super: Some("CN=admin".to_owned()), ..config() };
    assert_eq!(of_certificate("CN=bob".to_owned(), &config), [Id::new("x509", "CN=bob")]);
    let admin = [Id::new("super", "CN=admin"), Id::new("x509", "CN=admin")];
    assert_eq!(of_certificate("CN=admin".to_owned(), &config), admin);
}
