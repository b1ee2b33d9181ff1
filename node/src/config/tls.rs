//! Clients that speak TLS: where they are listened to, and what both sides must show.
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Listen;
use super::auth::Secret;
use super::error::ConfigError;
use super::settings::Settings;
use super::surroundings::Surroundings;

/// Clients that speak TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsConfig {
    /// A port for them alone, if there is one.
    pub listen: Option<Listen>,
    /// Whether they may call at the port of the others, too.
    pub unified: bool,
    /// Who this member is: a private key, and its certificates.
    pub key_store: Store,
    /// Whose certificates are good; needed as soon as clients are asked for theirs.
    pub trust_store: Option<Store>,
    /// Whether clients are asked for theirs.
    pub client_auth: ClientAuth,
    /// Whether TLS 1.2 is spoken.
    pub tls12: bool,
    /// Whether TLS 1.3 is spoken.
    pub tls13: bool,
    /// The cipher suites that may be used, by the names that Java gives them; empty for all that are safe.
    pub cipher_suites: Vec<String>,
    /// How long a client may take to show whether it speaks TLS.
    pub detection: Duration,
    /// Handshakes under way at once; 0 for no bound. Beyond it connections are closed.
    pub handshakes_max: usize,
}

/// A file with certificates, perhaps with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// Where.
    pub file: PathBuf,
    /// In which format.
    pub format: StoreFormat,
    /// What opens it.
    pub password: Secret,
}

/// A format of files with certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreFormat {
    /// Text between lines of dashes; the key as PKCS#8, encrypted or not.
    Pem,
    /// One encrypted archive.
    Pkcs12,
}

/// Whether clients are asked for a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// They are not.
    None,
    /// They may have one, and it must be good.
    Want,
    /// They must have a good one.
    Need,
}

/// What the keys come to; `None` if nobody is to speak TLS.
pub(super) fn check(
    settings: &mut Settings,
    around: &dyn Surroundings,
) -> Result<Option<TlsConfig>, ConfigError> {
    let listen = listen(settings)?;
    let unified = settings.flag("client.portUnification")?.unwrap_or(false);
    if listen.is_none() && !unified {
        return Ok(None);
    }
    match settings.text("ssl.authProvider") {
        None | Some("x509") => {}
        Some(_) => return Err(settings.wrong("ssl.authProvider", "must be `x509`")),
    }
    let Some(key_store) = store(settings, around, "keyStore")? else {
        return Err(ConfigError::of("TLS needs `ssl.keyStore.location`: this member's key and certificates"));
    };
    let client_auth = match settings.text("ssl.clientAuth").map(str::to_ascii_lowercase).as_deref() {
        None | Some("need") => ClientAuth::Need,
        Some("want") => ClientAuth::Want,
        Some("none") => ClientAuth::None,
        Some(_) => return Err(settings.wrong("ssl.clientAuth", "must be `none`, `want` or `need`")),
    };
    let trust_store = store(settings, around, "trustStore")?;
    if trust_store.is_none() && client_auth != ClientAuth::None {
        return Err(ConfigError::of(
            "clients are asked for certificates, so `ssl.trustStore.location` must say whose are good \
             (or `ssl.clientAuth=none` that they are not asked)",
        ));
    }
    let (tls12, tls13) = protocols(settings)?;
    Ok(Some(TlsConfig {
        listen,
        unified,
        key_store,
        trust_store,
        client_auth,
        tls12,
        tls13,
        cipher_suites: list(settings.text("ssl.ciphersuites")),
        detection: Duration::from_millis(
            settings.number("ssl.handshakeDetectionTimeoutMillis", 1..=600_000)?.unwrap_or(5_000),
        ),
        handshakes_max: settings
            .number("netty.server.outstandingHandshake.limit", -1..=i64::from(i32::MAX))?
            .and_then(|limit| usize::try_from(limit).ok())
            .unwrap_or(0),
    }))
}

fn listen(settings: &Settings) -> Result<Option<Listen>, ConfigError> {
    let host = settings.text("secureClientPortAddress");
    match settings.number("secureClientPort", 0..=u16::MAX)? {
        Some(port) => Ok(Some(Listen { host: host.unwrap_or("0.0.0.0").to_owned(), port })),
        None if host.is_some() => Err(ConfigError::at(
            settings.place("secureClientPortAddress"),
            "`secureClientPortAddress` needs `secureClientPort`",
        )),
        None => Ok(None),
    }
}

/// One of the two stores. The password stands in the configuration, or in a file of its own, which goes first.
fn store(settings: &Settings, around: &dyn Surroundings, which: &str) -> Result<Option<Store>, ConfigError> {
    let key = |part: &str| format!("ssl.{which}.{part}");
    let location = key("location");
    let Some(file) = settings.text(&location).map(PathBuf::from) else { return Ok(None) };
    let format = match settings.text(&key("type")) {
        Some(name) => format_called(name).map_err(|demand| settings.wrong(&key("type"), demand))?,
        None => format_of(&file).map_err(|demand| settings.wrong(&location, demand))?,
    };
    let password = match settings.text(&key("passwordPath")) {
        Some(path) => around
            .read(Path::new(path))
            .map(|text| text.trim_end_matches(['\n', '\r']).to_owned())
            .map_err(|error| settings.wrong(&key("passwordPath"), &format!("cannot be read ({error})")))?,
        None => settings.text(&key("password")).unwrap_or_default().to_owned(),
    };
    Ok(Some(Store { file, format, password: Secret(password) }))
}

const NOT_READ: &str = "is in a format that only Java reads: convert it, \
    `keytool -importkeystore -srckeystore OLD -destkeystore NEW.p12 -deststoretype PKCS12`";

fn format_called(name: &str) -> Result<StoreFormat, &'static str> {
    match name.to_ascii_uppercase().as_str() {
        "PEM" => Ok(StoreFormat::Pem),
        "PKCS12" => Ok(StoreFormat::Pkcs12),
        "JKS" | "BCFKS" => Err(NOT_READ),
        _ => Err("must be `PEM` or `PKCS12`"),
    }
}

fn format_of(file: &Path) -> Result<StoreFormat, &'static str> {
    let extension = file.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    match extension.as_deref() {
        Some("pem") => Ok(StoreFormat::Pem),
        Some("p12" | "pfx") => Ok(StoreFormat::Pkcs12),
        Some("jks" | "bcfks") => Err(NOT_READ),
        _ => Err("must end in `.pem` or `.p12`, or have a type beside it, `PEM` or `PKCS12`"),
    }
}

/// Whether TLS 1.2 and 1.3 are spoken: both, unless one is named, or a list. The older ones are not to be had.
fn protocols(settings: &Settings) -> Result<(bool, bool), ConfigError> {
    let key = "ssl.enabledProtocols";
    let mut names = list(settings.text(key));
    if names.is_empty() {
        // As in Java, naming TLS 1.3 does not switch 1.2 off.
        match settings.text("ssl.protocol") {
            None | Some("TLS" | "TLSv1.3") => return Ok((true, true)),
            Some(name) => names.push(name.to_owned()),
        }
    }
    let has = |name: &str| names.iter().any(|given| given == name);
    let (tls12, tls13) = (has("TLSv1.2"), has("TLSv1.3"));
    if tls12 || tls13 { Ok((tls12, tls13)) } else { Err(settings.wrong(key, "must name TLSv1.2 or TLSv1.3")) }
}

fn list(text: Option<&str>) -> Vec<String> {
    text.into_iter()
        .flat_map(|text| text.split(','))
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .collect()
}
