//! What disks, peers and operators send.
use std::io;
use std::path::Path;

use bytes::Bytes;
use node::config::{self, Surroundings};

use crate::bounds::within_bounds;

/// An entry of the log: it is read by every member, so what nobody can read must be told, and nothing more.
///
/// # Panics
/// This and the following panic if what is said of them does not hold.
pub fn entries(data: &[u8]) {
    let entry = Bytes::copy_from_slice(data);
    within_bounds(data.len(), || drop(consensus::count_transactions(&entry)));
}

/// A `zoo.cfg`, behind a NUL the flags for Java, and behind another the file that `dynamicConfigFile` names. Whatever
/// stands there, it is a configuration or a reason why not.
pub fn config(data: &[u8]) {
    let mut parts = data.split(|byte| *byte == 0).map(|part| String::from_utf8_lossy(part).into_owned());
    let mut next = || parts.next().unwrap_or_default();
    let files = Files { zoo_cfg: next(), flags: next(), members: next() };
    if let Err(error) = config::load(Path::new("zoo.cfg"), &files) {
        assert!(!error.to_string().is_empty());
    }
    let environment = |name: &str| match name {
        "JVMFLAGS" => Some(files.flags.clone()),
        "ZOO_SERVERS" => Some(files.members.clone()),
        _ => None,
    };
    if let Err(error) = config::container::load(&environment, &files) {
        assert!(!error.to_string().is_empty());
    }
}

struct Files {
    zoo_cfg: String,
    flags: String,
    members: String,
}

impl Surroundings for Files {
    fn read(&self, file: &Path) -> io::Result<String> {
        match file.file_name().and_then(|name| name.to_str()) {
            Some("zoo.cfg") if !self.zoo_cfg.is_empty() => Ok(self.zoo_cfg.clone()),
            Some("myid") => Ok("1\n".to_owned()),
            Some("zoo.cfg") | None => Err(io::ErrorKind::NotFound.into()),
            Some(_) => Ok(self.members.clone()),
        }
    }

    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn is_own(&self, host: &str) -> bool {
        host.starts_with('1')
    }
}
