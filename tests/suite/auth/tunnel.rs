//! A way in that speaks TLS on the far side and nothing on the near one, so that a client of the harness can be used.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsConnector;

/// Carries whatever connects to its address to a member, until dropped.
pub(crate) struct Tunnel {
    pub(crate) address: SocketAddr,
    _runtime: Runtime,
}

impl Tunnel {
    /// A tunnel to `target`, which must show a certificate of `authority`. What is shown to it is in `identity`.
    pub(crate) fn new(target: SocketAddr, authority: &Path, identity: Option<&Path>) -> Self {
        let runtime = Runtime::new().unwrap();
        let connector = TlsConnector::from(Arc::new(config(authority, identity)));
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let connector = connector.clone();
                tokio::spawn(async move {
                    let far = TcpStream::connect(target).await.unwrap();
                    far.set_nodelay(true).unwrap();
                    let name = ServerName::from(std::net::IpAddr::from(Ipv4Addr::LOCALHOST));
                    // Who is refused sees the near side closed.
                    if let Ok(mut far) = connector.connect(name, far).await {
                        let _ended = copy_bidirectional(&mut near, &mut far).await;
                    }
                });
            }
        });
        Self { address, _runtime: runtime }
    }
}

fn config(authority: &Path, identity: Option<&Path>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    match identity {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let chain = CertificateDer::pem_file_iter(file).unwrap().collect::<Result<_, _>>().unwrap();
            builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(file).unwrap()).unwrap()
        }
    }
}
