//! What a configuration asks of the machine that it is read on.
use std::io;
use std::net::{IpAddr, TcpListener, ToSocketAddrs};
use std::path::Path;

/// What is looked up while a configuration is checked. A trait, so that checking can be tested without files.
pub trait Surroundings {
    /// The text of a file.
    ///
    /// # Errors
    /// Those of the file system.
    fn read(&self, file: &Path) -> io::Result<String>;

    /// An environment variable.
    fn variable(&self, name: &str) -> Option<String>;

    /// Whether peers elsewhere reach this machine by listening on this host name or address.
    fn is_own(&self, host: &str) -> bool;
}

/// The machine that the process runs on.
#[derive(Clone, Copy, Debug)]
pub struct ThisMachine;

impl Surroundings for ThisMachine {
    fn read(&self, file: &Path) -> io::Result<String> {
        std::fs::read_to_string(file)
    }

    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn is_own(&self, host: &str) -> bool {
        let Ok(addresses) = (host, 0).to_socket_addrs() else { return false };
        let written_as_loopback = host == "localhost" || host.parse::<IpAddr>().is_ok();
        let mut any = false;
        for address in addresses {
            // Debian's installer points a machine's own name at 127.0.1.1: a member that listened there would be
            // alone without knowing why.
            if address.ip().is_loopback() && !written_as_loopback {
                return false;
            }
            any = true;
            if TcpListener::bind(address).is_err() {
                return false;
            }
        }
        any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_our_own_and_a_documentation_address_is_not() {
        assert!(ThisMachine.is_own("127.0.0.1"));
        assert!(!ThisMachine.is_own("192.0.2.1"));
        assert!(!ThisMachine.is_own("no-such-host.invalid"));
    }
}
