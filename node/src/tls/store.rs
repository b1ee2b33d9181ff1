//! Files with keys and certificates.
use anyhow::{Context, bail};
use p12_keystore::{KeyStore, Pkcs12Archive, Pkcs12ImportPolicy};
use pkcs8::EncryptedPrivateKeyInfoRef;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::config::{Store, StoreFormat};

/// All certificates of a store.
///
/// # Errors
/// What is wrong with the file, or that there is no certificate in it.
pub(super) fn certificates(store: &Store) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let certificates = match store.format {
        StoreFormat::Pem => pem_certificates(store, &read(store)?)?,
        StoreFormat::Pkcs12 => {
            let archive =
                Pkcs12Archive::from_pkcs12(&read(store)?, &store.password.0).with_context(|| opens(store))?;
            archive.certs.iter().map(|bag| CertificateDer::from(bag.cert.as_der().to_vec())).collect()
        }
    };
    if certificates.is_empty() {
        bail!("{} holds no certificate", store.file.display());
    }
    Ok(certificates)
}

/// A private key, and its certificate with those that lead up from it.
///
/// # Errors
/// What is wrong with the file, or that one of the two is not in it.
pub(super) fn identity(
    store: &Store,
) -> anyhow::Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let bytes = read(store)?;
    match store.format {
        StoreFormat::Pem => Ok((certificates(store)?, pem_key(store, &bytes)?)),
        StoreFormat::Pkcs12 => {
            let archive = KeyStore::from_pkcs12(&bytes, &store.password.0, Pkcs12ImportPolicy::Relaxed)
                .with_context(|| opens(store))?;
            let Some((_, chain)) = archive.private_key_chain() else {
                bail!("{} holds no private key", store.file.display());
            };
            let certificates =
                chain.certs().iter().map(|cert| CertificateDer::from(cert.as_der().to_vec())).collect();
            Ok((certificates, PrivatePkcs8KeyDer::from(chain.key().as_der().to_vec()).into()))
        }
    }
}

fn pem_certificates(store: &Store, pem: &[u8]) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .with_context(|| format!("{} is no PEM file", store.file.display()))
}

/// The private key, which may be encrypted with the store's password.
fn pem_key(store: &Store, pem: &[u8]) -> anyhow::Result<PrivateKeyDer<'static>> {
    let text = String::from_utf8_lossy(pem);
    let begin = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
    let end = "-----END ENCRYPTED PRIVATE KEY-----";
    let Some((start, stop)) = text.find(begin).zip(text.find(end)) else {
        return PrivateKeyDer::from_pem_slice(pem)
            .with_context(|| format!("{} holds no private key", store.file.display()));
    };
    let section = text.get(start..stop + end.len()).unwrap_or_default();
    let (_, encrypted) = der::Document::from_pem(section).with_context(|| opens(store))?;
    let key = EncryptedPrivateKeyInfoRef::try_from(encrypted.as_bytes())
        .map_err(|_| ())
        .and_then(|info| info.decrypt(&store.password.0).map_err(|_| ()));
    match key {
        Ok(key) => Ok(PrivatePkcs8KeyDer::from(key.as_bytes().to_vec()).into()),
        Err(()) => bail!("{}: its password does not open the private key", store.file.display()),
    }
}

fn read(store: &Store) -> anyhow::Result<Vec<u8>> {
    std::fs::read(&store.file).with_context(|| opens(store))
}

fn opens(store: &Store) -> String {
    format!("open {}", store.file.display())
}
