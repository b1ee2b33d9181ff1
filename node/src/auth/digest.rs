//! Name and password, as the scheme `digest` writes them.
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};
use sha2::{Sha256, Sha384, Sha512};
use sha3::{Sha3_256, Sha3_512};

use crate::config::DigestAlgorithm;

/// The identity behind these credentials: the name in front of the first colon, and a hash of the whole. Whoever
/// gives no colon has the whole as a name. What is no UTF-8 is read as Java reads it.
pub(super) fn identity(credentials: &[u8], algorithm: DigestAlgorithm) -> String {
    let credentials = String::from_utf8_lossy(credentials);
    let name = credentials.split(':').next().unwrap_or_default();
    let bytes = credentials.as_bytes();
    let hash = match algorithm {
        DigestAlgorithm::Sha1 => STANDARD.encode(Sha1::digest(bytes)),
        DigestAlgorithm::Sha256 => STANDARD.encode(Sha256::digest(bytes)),
        DigestAlgorithm::Sha384 => STANDARD.encode(Sha384::digest(bytes)),
        DigestAlgorithm::Sha512 => STANDARD.encode(Sha512::digest(bytes)),
        DigestAlgorithm::Sha3_256 => STANDARD.encode(Sha3_256::digest(bytes)),
        DigestAlgorithm::Sha3_512 => STANDARD.encode(Sha3_512::digest(bytes)),
    };
    format!("{name}:{hash}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `openssl dgst -binary | base64` hashes `super:test`.
    #[test]
    fn each_algorithm_has_its_hash() {
        for (algorithm, hash) in [
            (DigestAlgorithm::Sha1, "D/InIHSb7yEEbrWz8b9l71RjZJU="),
            (DigestAlgorithm::Sha256, "wjySwxg860UATFtciuZ1lpzrCHrPeov6SPu/ZD56uig="),
            (
                DigestAlgorithm::Sha512,
                "cMAGk13FCMtJkaVQImGEKhjqoGELCiVjYdIhiD8stB1FnIpdGeFvKwAHh5mf4tUYmBR2ZY9181dZTXEHMlkVhg==",
            ),
            (DigestAlgorithm::Sha3_256, "cRy/KPYuDpW/dtsepniTMpuiuupnWgdU9txltIfv3hA="),
        ] {
            assert_eq!(identity(b"super:test", algorithm), format!("super:{hash}"), "{algorithm:?}");
        }
    }
}
