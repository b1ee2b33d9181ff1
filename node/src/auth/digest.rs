//! Name and password, as the scheme `digest` writes them.
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

/// The identity behind these credentials: the name in front of the first colon, and a hash of the whole. Whoever
/// gives no colon has the whole as a name. What is no UTF-8 is read as Java reads it.
pub(super) fn identity(credentials: &[u8]) -> String {
    let credentials = String::from_utf8_lossy(credentials);
    let name = credentials.split(':').next().unwrap_or_default();
    format!("{name}:{}", STANDARD.encode(Sha1::digest(credentials.as_bytes())))
}
