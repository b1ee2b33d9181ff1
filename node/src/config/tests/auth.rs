//! Rows about who clients may prove to be.
use super::*;

const JAAS: &str = "Server {\n a.DigestLoginModule required user_bob=\"bobsecret\" user_super=\"x\";\n};\n\
    Other { a.DigestLoginModule required user_eve=\"evesecret\"; };\nKerberos { a.Krb5LoginModule required; };\n";

/// A standalone member with a JAAS file and these lines comes to something with this in it.
#[track_caller]
fn check_jaas(lines: &str, expected: &str) {
    let zoo_cfg = format!("{ALONE}java.security.auth.login.config=jaas.conf\n{lines}");
    let text = read(&zoo_cfg, &[("jaas.conf", JAAS)]);
    assert!(text.contains(expected), "`{expected}` is not in\n{text}");
    assert!(!text.contains("secret\""), "a password is shown in\n{text}");
}

#[test]
fn users_stand_in_a_jaas_file() {
    check_jaas("", r#"users: {\"bob\": (secret), \"super\": (secret)}"#);
    check_jaas("zookeeper.sasl.serverconfig=Other", r#"users: {\"eve\": (secret)}"#);
    check_jaas(
        "sasl.serverconfig=None",
        "zoo.cfg:4: `sasl.serverconfig=None`: it is no section of jaas.conf",
    );
    check_jaas(
        "sasl.serverconfig=Kerberos",
        "zoo.cfg:3: `Kerberos` in jaas.conf asks for Kerberos, which is not served",
    );
    check_jaas("superUser=bob\nsuperUser.x=eve\nsuperUserx=no", r#"super_users: {\"bob\", \"eve\"}"#);
    check_jaas(
        "letAnySaslUserDoX=any\nallowSaslFailedClients=true",
        r#"any_user: Some(\"any\"), failed_may_stay: true"#,
    );
    check(
        "java.security.auth.login.config=nowhere",
        "zoo.cfg:3: `java.security.auth.login.config`: nowhere cannot be read (entity not found)",
    );
}

#[test]
fn a_jaas_file_may_be_there_for_others() {
    let zoo_cfg = format!("{ALONE}java.security.auth.login.config=jaas.conf\n");
    let text = read(&zoo_cfg, &[("jaas.conf", "Client { a.B required; };")]);
    assert!(text.contains("it has no section `Server`: nobody authenticates by SASL"), "{text}");
}

#[test]
fn classes_decide_which_schemes_are_known() {
    let class = |n: u32, name: &str| format!("authProvider.{n}=org.apache.zookeeper.server.auth.{name}\n");
    check(&class(1, "SASLAuthenticationProvider"), r#"auth: "SASL in ACLs""#);
    check(&class(1, "X509AuthenticationProvider"), r#"auth: "X.509 in ACLs""#);
    check(
        &format!("{}ensembleAuthName=blue, green", class(1, "EnsembleAuthenticationProvider")),
        r#"auth: "called Some({\"blue\", \"green\"})""#,
    );
    check("ensembleAuthName=blue", r#"auth: """#);
    check(
        "authProvider.mine=com.example.Mine",
        r#"note on authProvider.mine: "classes for SASL, X.509, ensemble, ip and digest are known, and no others""#,
    );
    check("DigestAuthenticationProvider.enabled=false", r#"auth: "digest None""#);
    check("DigestAuthenticationProvider.digestAlg=SHA3-256", r#"auth: "digest Some(Sha3_256)""#);
    check(
        "DigestAuthenticationProvider.digestAlg=MD5",
        "zoo.cfg:3: `DigestAuthenticationProvider.digestAlg=MD5`: it must be SHA1, SHA-256, SHA-384, SHA-512, SHA3-256 or SHA3-512",
    );
}

#[test]
fn nobody_is_kept_out_by_mistake() {
    let sasl = "authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider\n";
    check(
        &format!("{sasl}sessionRequireClientSASLAuth=true"),
        r#"auth: "enforced [\"sasl\"]; SASL in ACLs""#,
    );
    check(
        "enforce.auth.enabled=true\nenforce.auth.schemes=digest , ip",
        r#"auth: "enforced [\"digest\", \"ip\"]""#,
    );
    check("enforce.auth.schemes=sasl", r#"auth: """#);
    check(
        "enforce.auth.enabled=true",
        "zoo.cfg:3: `enforce.auth.enabled=true`: it needs `enforce.auth.schemes`",
    );
    check(
        "enforce.auth.enabled=true\nenforce.auth.schemes=kerberos",
        "zoo.cfg:4: `enforce.auth.schemes=kerberos`: it must name schemes that are served: digest, ip, sasl or x509",
    );
    check(
        "sessionRequireClientSASLAuth=true",
        "zoo.cfg:3: `sessionRequireClientSASLAuth=true`: it needs \
         authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider",
    );
}

#[test]
fn tls_is_spoken_where_it_is_asked_for() {
    let stores =
        "ssl.keyStore.location=/key.pem\nssl.keyStore.password=hidden\nssl.trustStore.location=/trust.p12\n";
    check(stores, r#"auth: """#);
    let text = read(&format!("{ALONE}secureClientPort=2281\n{stores}"), &[]);
    for part in [
        r#"listen: Some(Listen { host: "0.0.0.0", port: 2281 }), unified: false"#,
        r#"key_store: Store { file: "/key.pem", format: Pem, password: (secret) }"#,
        r#"trust_store: Some(Store { file: "/trust.p12", format: Pkcs12, password: (secret) })"#,
        "client_auth: Need, tls12: true, tls13: true, cipher_suites: [], detection: 5s, handshakes_max: 0",
        r#"auth: "X.509 in ACLs""#,
    ] {
        assert!(text.contains(part), "`{part}` is not in\n{text}");
    }
    assert!(!text.contains("hidden"), "{text}");

    let text =
        read(&format!("{ALONE}client.portUnification=true\n{stores}ssl.enabledProtocols=TLSv1.3"), &[]);
    assert!(text.contains("listen: None, unified: true"), "{text}");
    assert!(text.contains("tls12: false, tls13: true"), "{text}");
    assert!(text.contains(r#"auth: """#), "{text}");
}

#[test]
fn what_tls_needs_is_asked_for() {
    let key = "secureClientPort=2281\nssl.keyStore.location=/key.pem\n";
    check("secureClientPort=2281", "TLS needs `ssl.keyStore.location`: this member's key and certificates");
    check("secureClientPortAddress=::1", "zoo.cfg:3: `secureClientPortAddress` needs `secureClientPort`");
    check(
        key,
        "clients are asked for certificates, so `ssl.trustStore.location` must say whose are good (or \
         `ssl.clientAuth=none` that they are not asked)",
    );
    check(&format!("{key}ssl.authProvider=mine"), "zoo.cfg:5: `ssl.authProvider=mine`: it must be `x509`");
    check(
        &format!("{key}ssl.keyStore.passwordPath=/no"),
        "zoo.cfg:5: `ssl.keyStore.passwordPath=/no`: it cannot be read (entity not found)",
    );
    check(
        "secureClientPort=2281\nssl.keyStore.location=/key.keystore",
        "zoo.cfg:4: `ssl.keyStore.location=/key.keystore`: it must end in `.pem` or `.p12`, or have a type beside it, \
         `PEM` or `PKCS12`",
    );
    check(
        "ssl.crl=true",
        "zoo.cfg:3: `ssl.crl=true` cannot be had: lists of revoked certificates are not looked at",
    );
}
