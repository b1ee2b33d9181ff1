//! Certificates for a test, made by `openssl`, and the lines of a `zoo.cfg` that name them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::scratch;

/// What opens the stores that need a password.
pub const PASSWORD: &str = "store-secret";

/// An authority, and those whom it vouches for. The files go when this is dropped.
#[derive(Debug)]
pub struct Certificates {
    directory: TempDir,
}

impl Certificates {
    /// An authority of its own, which vouches for a server on loopback.
    ///
    /// # Panics
    /// This and all that follows panic if `openssl` does not do its work.
    #[track_caller]
    pub fn new() -> Self {
        let directory =
            tempfile::Builder::new().prefix("certificates-").tempdir_in(scratch()).unwrap_or_else(|error| {
                panic!("no place for certificates: {error}");
            });
        let all = Self { directory };
        all.openssl("ecparam -name prime256v1 -genkey -noout -out authority.key");
        all.openssl("req -new -x509 -key authority.key -subj /CN=authority -days 2 -out authority.pem");
        all.issue("server", "/O=Example/CN=server");
        all
    }

    /// Vouches for one more, whose key and certificate stand in `<name>.pem` then; the subject is as `openssl` takes it.
    #[track_caller]
    pub fn issue(&self, name: &str, subject: &str) -> PathBuf {
        self.write("extensions", "basicConstraints=CA:FALSE\nsubjectAltName=DNS:localhost,IP:127.0.0.1\n");
        self.openssl(&format!("ecparam -name prime256v1 -genkey -noout -out {name}.ec"));
        self.openssl(&format!("pkcs8 -topk8 -nocrypt -in {name}.ec -out {name}.key"));
        self.openssl_with(&format!("req -new -key {name}.key -out {name}.csr -subj"), Some(subject));
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA authority.pem -CAkey authority.key -CAcreateserial -days 2 \
             -extfile extensions -out {name}.crt"
        ));
        let both = [".key", ".crt"].map(|end| std::fs::read_to_string(self.file(&format!("{name}{end}"))));
        let both: String = both.into_iter().map(Result::unwrap_or_default).collect();
        self.write(&format!("{name}.pem"), &both);
        self.file(&format!("{name}.pem"))
    }

    /// The same as a PKCS#12 archive that [`PASSWORD`] opens: `<name>.p12`.
    #[track_caller]
    pub fn archive(&self, name: &str) -> PathBuf {
        self.openssl(&format!(
            "pkcs12 -export -inkey {name}.key -in {name}.crt -certfile authority.pem -passout pass:{PASSWORD} \
             -out {name}.p12"
        ));
        self.file(&format!("{name}.p12"))
    }

    /// The same with a key that [`PASSWORD`] opens: `<name>-sealed.pem`.
    #[track_caller]
    pub fn seal(&self, name: &str) -> PathBuf {
        self.openssl(&format!(
            "pkcs8 -topk8 -in {name}.key -passout pass:{PASSWORD} -v2 aes-256-cbc -out {name}-sealed.key"
        ));
        let both = [format!("{name}-sealed.key"), format!("{name}.crt")];
        let both: String =
            both.iter().filter_map(|file| std::fs::read_to_string(self.file(file)).ok()).collect();
        self.write(&format!("{name}-sealed.pem"), &both);
        self.file(&format!("{name}-sealed.pem"))
    }

    /// A file of that name among them.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file among them.
    #[track_caller]
    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.file(name), text).unwrap_or_else(|error| panic!("write {name}: {error}"));
    }

    /// The lines by which a server shows itself with this store and trusts the authority.
    pub fn lines(&self, key_store: &Path) -> Vec<String> {
        vec![
            format!("ssl.keyStore.location={}", key_store.display()),
            format!("ssl.keyStore.password={PASSWORD}"),
            format!("ssl.trustStore.location={}", self.file("authority.pem").display()),
        ]
    }

    #[track_caller]
    fn openssl(&self, arguments: &str) {
        self.openssl_with(arguments, None);
    }

    #[track_caller]
    fn openssl_with(&self, arguments: &str, last: Option<&str>) {
        let output = Command::new("openssl")
            .args(arguments.split_whitespace())
            .args(last)
            .current_dir(self.directory.path())
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("openssl: {error} (`apt-get install openssl`)"));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {arguments}: {said}");
    }
}

impl Default for Certificates {
    fn default() -> Self {
        Self::new()
    }
}
