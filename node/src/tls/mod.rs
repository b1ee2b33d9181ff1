//! TLS for clients: who this member shows to be, and who clients show to be.
mod store;
mod subject;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;

use crate::config::{ClientAuth, TlsConfig};

pub(crate) use subject::subject;

/// What greets clients that speak TLS.
pub(crate) struct Tls {
    /// What shakes hands.
    pub(crate) acceptor: TlsAcceptor,
    /// How long a client may take to show whether it speaks TLS.
    pub(crate) detection: Duration,
    handshakes: Option<Arc<Semaphore>>,
}

impl Tls {
    /// Reads the stores.
    ///
    /// # Errors
    /// What is wrong with a store, or with the protocols and cipher suites asked for.
    pub(crate) fn load(config: &TlsConfig) -> anyhow::Result<Self> {
        let provider = Arc::new(provider(config)?);
        let versions: Vec<_> = [(config.tls12, &TLS12), (config.tls13, &TLS13)]
            .into_iter()
            .filter(|(on, _)| *on)
            .map(|(_, v)| v)
            .collect();
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&versions)
            .context("no cipher suite is left for the TLS protocols that are enabled")?;
        let builder = match (&config.trust_store, config.client_auth) {
            (_, ClientAuth::None) | (None, _) => builder.with_no_client_auth(),
            (Some(trusted), client_auth) => {
                let mut roots = RootCertStore::empty();
                for certificate in store::certificates(trusted)? {
                    roots.add(certificate).with_context(|| {
                        format!("a certificate of {} cannot be trusted", trusted.file.display())
                    })?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier = match client_auth {
                    ClientAuth::Want => verifier.allow_unauthenticated(),
                    ClientAuth::Need | ClientAuth::None => verifier,
                };
                builder
                    .with_client_cert_verifier(verifier.build().context("prepare the check of certificates")?)
            }
        };
        let (chain, key) = store::identity(&config.key_store)?;
        let mut tls = builder.with_single_cert(chain, key).with_context(|| {
            format!("the key and the certificates of {} do not fit", config.key_store.file.display())
        })?;
        // Whoever comes back is looked at anew: a certificate that has run out meanwhile is good no more. Connections of
        // clients live long, so this costs little.
        tls.session_storage = Arc::new(NoServerSessionStorage {});
        tls.send_tls13_tickets = 0;
        Ok(Self {
            detection: config.detection,
            acceptor: TlsAcceptor::from(Arc::new(tls)),
            handshakes: (config.handshakes_max > 0).then(|| Arc::new(Semaphore::new(config.handshakes_max))),
        })
    }

    /// A place among the handshakes that are under way; `None` if there is none left.
    pub(crate) fn begin(&self) -> Option<Handshake> {
        match &self.handshakes {
            None => Some(Handshake { _place: None }),
            Some(places) => {
                places.clone().try_acquire_owned().ok().map(|place| Handshake { _place: Some(place) })
            }
        }
    }
}

/// One of the handshakes that are under way, until dropped.
pub(crate) struct Handshake {
    _place: Option<OwnedSemaphorePermit>,
}

/// The algorithms that may be used. Java puts the version in front of no name, and rustls in front of those of TLS 1.3.
fn provider(config: &TlsConfig) -> anyhow::Result<CryptoProvider> {
    let mut provider = ring::default_provider();
    if !config.cipher_suites.is_empty() {
        let java_name = |suite: &rustls::SupportedCipherSuite| {
            let name = suite.suite().as_str().unwrap_or_default();
            name.strip_prefix("TLS13_").map_or_else(|| name.to_owned(), |rest| format!("TLS_{rest}"))
        };
        provider.cipher_suites.retain(|suite| config.cipher_suites.contains(&java_name(suite)));
        if provider.cipher_suites.is_empty() {
            let known: Vec<_> = ring::ALL_CIPHER_SUITES.iter().map(java_name).collect();
            bail!("`ssl.ciphersuites` names none of those that are known: {}", known.join(", "));
        }
    }
    Ok(provider)
}
