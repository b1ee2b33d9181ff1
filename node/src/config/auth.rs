//! Who clients may prove to be, and what they must prove.
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use machine::Rules;

use super::error::ConfigError;
use super::jaas;
use super::settings::Settings;
use super::surroundings::Surroundings;

/// Who clients may prove to be, and what they must prove.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthConfig {
    /// Whether ACLs are not looked at.
    pub skip_acl: bool,
    /// How the scheme `digest` hashes; `None` if it is switched off.
    pub digest: Option<DigestAlgorithm>,
    /// `name:base64(hash(name:password))` of the identity that may do everything, if there is one.
    pub super_digest: Option<String>,
    /// Users who prove their passwords by SASL; `None` if there are none.
    pub sasl: Option<SaslConfig>,
    /// Subject of the certificate whose owner may do everything.
    pub x509_super: Option<String>,
    /// What the scheme `ensemble` takes this ensemble to be called; empty if any name will do, `None` if the scheme is not
    /// served.
    pub ensemble: Option<BTreeSet<String>>,
    /// A connection must have proved something in one of these schemes before it may ask for anything. Empty: it need
    /// not.
    pub enforced: Vec<String>,
    /// Whether ACLs may name users of SASL.
    pub sasl_acls: bool,
    /// Whether ACLs may name subjects of certificates.
    pub x509_acls: bool,
}

/// Users who prove their passwords by SASL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SaslConfig {
    /// Their passwords.
    pub users: BTreeMap<String, Secret>,
    /// Those who may do everything.
    pub super_users: BTreeSet<String>,
    /// The id by which an ACL means every one of them.
    pub any_user: Option<String>,
    /// Whether a client that fails may stay, without having proved anything.
    pub failed_may_stay: bool,
    /// Whether a user's name ends in front of `/host`.
    pub strip_host: bool,
    /// … and in front of `@REALM`.
    pub strip_realm: bool,
}

/// Something that no log may show.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// How the scheme `digest` hashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DigestAlgorithm {
    /// What clients take unless told otherwise.
    #[default]
    Sha1,
    /// SHA-2 of 256 bits.
    Sha256,
    /// SHA-2 of 384 bits.
    Sha384,
    /// SHA-2 of 512 bits.
    Sha512,
    /// SHA-3 of 256 bits.
    Sha3_256,
    /// SHA-3 of 512 bits.
    Sha3_512,
}

impl AuthConfig {
    /// What of it decides at apply, for the leader to say.
    pub fn rules(&self) -> Rules {
        Rules::SASL_KNOWN.when(self.sasl_acls)
            | Rules::X509_KNOWN.when(self.x509_acls)
            | Rules::DIGEST_DISABLED.when(self.digest.is_none())
    }
}

/// What the keys come to. With a port for TLS, subjects of certificates are known without being asked for.
pub(super) fn check(
    settings: &mut Settings,
    around: &dyn Surroundings,
    has_secure_port: bool,
) -> Result<AuthConfig, ConfigError> {
    let provided = providers(settings);
    let mut auth = AuthConfig {
        skip_acl: settings.flag("skipACL")?.unwrap_or(false),
        digest: match settings.flag("DigestAuthenticationProvider.enabled")? {
            Some(false) => None,
            _ => Some(algorithm(settings)?),
        },
        super_digest: settings.text("DigestAuthenticationProvider.superDigest").map(str::to_owned),
        sasl: sasl(settings, around)?,
        x509_super: settings.text("X509AuthenticationProvider.superUser").map(str::to_owned),
        ensemble: provided.contains("ensemble").then(|| names(settings.text("ensembleAuthName"))),
        enforced: Vec::new(),
        sasl_acls: provided.contains("sasl"),
        x509_acls: provided.contains("x509") || has_secure_port,
    };
    auth.enforced = enforced(settings, &auth)?;
    Ok(auth)
}

/// The schemes of the classes that are named. ZooKeeper passes over a class that it cannot load, and so is it here.
fn providers(settings: &mut Settings) -> BTreeSet<&'static str> {
    let mut provided = BTreeSet::new();
    let mut unknown = Vec::new();
    for (name, property) in settings.family("authProvider.") {
        match property.value.rsplit('.').next() {
            Some("SASLAuthenticationProvider") => drop(provided.insert("sasl")),
            Some("X509AuthenticationProvider") => drop(provided.insert("x509")),
            Some("EnsembleAuthenticationProvider") => drop(provided.insert("ensemble")),
            Some("IPAuthenticationProvider" | "DigestAuthenticationProvider") => {}
            _ => unknown.push(format!("authProvider.{name}")),
        }
    }
    for key in unknown {
        settings.note_once(&key, "classes for SASL, X.509, ensemble, ip and digest are known, and no others");
    }
    provided
}

fn algorithm(settings: &Settings) -> Result<DigestAlgorithm, ConfigError> {
    let key = "DigestAuthenticationProvider.digestAlg";
    Ok(match settings.text(key).map(str::to_ascii_uppercase).as_deref() {
        None | Some("SHA" | "SHA1" | "SHA-1") => DigestAlgorithm::Sha1,
        Some("SHA-256") => DigestAlgorithm::Sha256,
        Some("SHA-384") => DigestAlgorithm::Sha384,
        Some("SHA-512") => DigestAlgorithm::Sha512,
        Some("SHA3-256") => DigestAlgorithm::Sha3_256,
        Some("SHA3-512") => DigestAlgorithm::Sha3_512,
        Some(_) => {
            return Err(settings.wrong(key, "must be SHA1, SHA-256, SHA-384, SHA-512, SHA3-256 or SHA3-512"));
        }
    })
}

/// Names parted by commas.
fn names(text: Option<&str>) -> BTreeSet<String> {
    text.into_iter().flat_map(|text| text.split(',')).map(|name| name.trim().to_owned()).collect()
}

/// Who may prove a password by SASL: the users that a section of the JAAS file names.
fn sasl(settings: &mut Settings, around: &dyn Surroundings) -> Result<Option<SaslConfig>, ConfigError> {
    let key = "java.security.auth.login.config";
    let Some(file) = settings.text(key).map(PathBuf::from) else { return Ok(None) };
    let section = settings.text("sasl.serverconfig").unwrap_or("Server").to_owned();
    let text = around.read(&file).map_err(|error| {
        ConfigError::at(settings.place(key), format!("`{key}`: {} cannot be read ({error})", file.display()))
    })?;
    let modules = jaas::parse(&text, &file)?.remove(&section);
    let Some(modules) = modules else {
        if settings.text("sasl.serverconfig").is_some() {
            return Err(settings.wrong("sasl.serverconfig", &format!("is no section of {}", file.display())));
        }
        settings.note_once(key, "it has no section `Server`: nobody authenticates by SASL");
        return Ok(None);
    };
    let mut users: BTreeMap<String, Secret> = BTreeMap::new();
    for (name, value) in modules.iter().flat_map(|module| &module.options) {
        if let Some(user) = name.strip_prefix("user_") {
            users.insert(user.to_owned(), Secret(value.clone()));
        }
    }
    if modules.iter().any(|module| module.class.ends_with("Krb5LoginModule")) {
        if users.is_empty() {
            let message = format!("`{section}` in {} asks for Kerberos, which is not served", file.display());
            return Err(ConfigError::at(settings.place(key), message));
        }
        settings.note_once(key, "Kerberos is not served: users prove their passwords by DIGEST-MD5");
    }
    if let (Some(user), Some(password)) =
        (users.get_mut("super"), settings.text("SASLAuthenticationProvider.superPassword"))
    {
        *user = Secret(password.to_owned());
    }
    let is_super_key = |rest: &str| rest.is_empty() || rest.starts_with('.');
    Ok(Some(SaslConfig {
        users,
        super_users: settings
            .family("superUser")
            .filter(|(rest, property)| is_super_key(rest) && !property.value.is_empty())
            .map(|(_, property)| property.value.clone())
            .collect(),
        any_user: settings.text("letAnySaslUserDoX").map(str::to_owned),
        failed_may_stay: settings.flag("allowSaslFailedClients")?.unwrap_or(false),
        strip_host: settings.flag("kerberos.removeHostFromPrincipal")?.unwrap_or(false),
        strip_realm: settings.flag("kerberos.removeRealmFromPrincipal")?.unwrap_or(false),
    }))
}

/// The schemes of which a connection must have proved one. A scheme that nobody can prove anything by would keep
/// everybody out, so it is an error, as in ZooKeeper.
fn enforced(settings: &Settings, auth: &AuthConfig) -> Result<Vec<String>, ConfigError> {
    let (key, schemes) = if settings.flag("sessionRequireClientSASLAuth")?.unwrap_or(false) {
        ("sessionRequireClientSASLAuth", BTreeSet::from(["sasl".to_owned()]))
    } else if settings.flag("enforce.auth.enabled")?.unwrap_or(false) {
        ("enforce.auth.schemes", names(settings.text("enforce.auth.schemes")))
    } else {
        return Ok(Vec::new());
    };
    if schemes.is_empty() {
        return Err(settings.wrong("enforce.auth.enabled", "needs `enforce.auth.schemes`"));
    }
    for scheme in &schemes {
        let demand = match scheme.as_str() {
            "ip" => None,
            "digest" if auth.digest.is_some() => None,
            "sasl" if auth.sasl_acls => None,
            "x509" if auth.x509_acls => None,
            "sasl" => {
                Some("needs authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider")
            }
            "x509" => {
                Some("needs authProvider.1=org.apache.zookeeper.server.auth.X509AuthenticationProvider")
            }
            "digest" => Some("needs the scheme `digest`, which is switched off"),
            _ => Some("must name schemes that are served: digest, ip, sasl or x509"),
        };
        if let Some(demand) = demand {
            return Err(settings.wrong(key, demand));
        }
    }
    Ok(schemes.into_iter().collect())
}
