//! The `server.N` lines: who is in the ensemble, and where. They stand in `zoo.cfg`, at `/zookeeper/config`, and in requests to
//! change it.
use std::fmt;

/// What one `server.N` line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerLine {
    /// Where its peers reach it. ZooKeeper tries them all; here the first counts. Never empty.
    addresses: Vec<PeerAddress>,
    /// Whether it has no vote.
    pub observer: bool,
    /// Where its clients reach it, if the line says so.
    pub client: Option<ClientAddress>,
    /// Where its clients reach it by TLS, if the line says so.
    pub secure: Option<ClientAddress>,
}

/// One address of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerAddress {
    /// A name or an address, IPv6 without brackets.
    pub host: String,
    /// The port of all traffic between members.
    pub peer_port: u16,
    /// The port where ZooKeeper's members elect; unused here.
    pub election_port: u16,
}

/// Where clients reach a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientAddress {
    /// A name or an address, IPv6 without brackets; `0.0.0.0` for every interface.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl ServerLine {
    /// Reads `host:port:port[:participant|observer][;[host:]port[;[host:]port]]`, with further addresses
    /// behind `|`.
    ///
    /// # Errors
    /// Says what is wrong, in a form that can stand behind "server.1: ".
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = text.split(';').map(str::trim);
        let peers = parts.next().unwrap_or_default();
        let client = parts.next().map(client_address).transpose()?.flatten();
        let secure = parts.next().map(client_address).transpose()?.flatten();
        if parts.next().is_some() {
            return Err("more than two client addresses".to_owned());
        }

        let mut addresses = Vec::new();
        let mut observer = None;
        for address in peers.split('|') {
            let (address, role) = peer_address(address.trim())?;
            addresses.push(address);
            observer = role.or(observer);
        }
        Ok(Self { addresses, observer: observer.unwrap_or(false), client, secure })
    }

    /// The address that counts.
    pub fn address(&self) -> &PeerAddress {
        &self.addresses[0]
    }

    /// All addresses, the one that counts first.
    pub fn addresses(&self) -> &[PeerAddress] {
        &self.addresses
    }
}

impl PeerAddress {
    /// Where its peers call it, as `host:port`.
    pub fn peer(&self) -> String {
        format!("{}:{}", bracketed(&self.host), self.peer_port)
    }

    /// Whether it says "on every interface", which tells nobody else where that is.
    pub fn is_wildcard(&self) -> bool {
        is_wildcard(&self.host)
    }
}

/// Whether this stands for every interface of a machine.
pub fn is_wildcard(host: &str) -> bool {
    host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_unspecified())
}

impl fmt::Display for ServerLine {
    /// The line as `/zookeeper/config` shows it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, address) in self.addresses.iter().enumerate() {
            let separator = if place == 0 { "" } else { "|" };
            let PeerAddress { host, peer_port, election_port } = address;
            write!(f, "{separator}{}:{peer_port}:{election_port}", bracketed(host))?;
        }
        f.write_str(if self.observer { ":observer" } else { ":participant" })?;
        match (&self.client, &self.secure) {
            (Some(client), None) => write!(f, ";{client}"),
            (Some(client), Some(secure)) => write!(f, ";{client};{secure}"),
            (None, Some(secure)) => write!(f, ";;{secure}"),
            (None, None) => Ok(()),
        }
    }
}

impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", bracketed(&self.host), self.port)
    }
}

/// The host as it stands in front of a colon and a port.
pub fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

/// `host:port:port[:role]`; the role is `Some(true)` for an observer.
fn peer_address(text: &str) -> Result<(PeerAddress, Option<bool>), String> {
    let (host, rest) = split_host(text)?;
    let mut fields = rest.split(':').map(str::trim);
    let (Some(peer), Some(election)) = (fields.next(), fields.next()) else {
        return Err(format!("`{text}` is not host:port:port"));
    };
    let role = match fields.next().map(str::to_ascii_lowercase).as_deref() {
        None => None,
        Some("participant") => Some(false),
        Some("observer") => Some(true),
        Some(other) => return Err(format!("`{other}` is neither participant nor observer")),
    };
    if fields.next().is_some() {
        return Err(format!("`{text}` has too many fields; an IPv6 address stands in brackets"));
    }
    let address = PeerAddress { host, peer_port: port(peer)?, election_port: port(election)? };
    if address.peer_port == address.election_port {
        return Err(format!("port {} is named twice", address.peer_port));
    }
    Ok((address, role))
}

/// `[host:]port`, or nothing.
fn client_address(text: &str) -> Result<Option<ClientAddress>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let (host, number) = if text.contains(':') { split_host(text)? } else { ("0.0.0.0".to_owned(), text) };
    Ok(Some(ClientAddress { host, port: port(number)? }))
}

/// The host, and what stands behind its colon.
fn split_host(text: &str) -> Result<(String, &str), String> {
    let split = match text.strip_prefix('[') {
        Some(rest) => rest.split_once("]:"),
        None => text.split_once(':'),
    };
    match split {
        Some(("", _)) => Err(format!("`{text}` names no host")),
        Some((host, rest)) => Ok((host.trim().to_owned(), rest)),
        None => Err(format!("`{text}` names no port")),
    }
}

fn port(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| format!("`{text}` is not a port"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: &str) {
        let read = match ServerLine::parse(line) {
            Ok(line) => line.to_string(),
            Err(message) => message,
        };
        assert_eq!(read, expected, "from `{line}`");
    }

    #[test]
    fn all_forms_are_read() {
        check("zoo1:2888:3888", "zoo1:2888:3888:participant");
        check("zoo1:2888:3888:observer", "zoo1:2888:3888:observer");
        check("zoo1:2888:3888:PARTICIPANT", "zoo1:2888:3888:participant");
        check("zoo1:2888:3888;2181", "zoo1:2888:3888:participant;0.0.0.0:2181");
        check("zoo1:2888:3888:participant;10.0.0.1:2181", "zoo1:2888:3888:participant;10.0.0.1:2181");
        check("zoo1:2888:3888;2181;2182", "zoo1:2888:3888:participant;0.0.0.0:2181;0.0.0.0:2182");
        check("zoo1:2888:3888;;2182", "zoo1:2888:3888:participant;;0.0.0.0:2182");
        check("[::1]:2888:3888;[::]:2181", "[::1]:2888:3888:participant;[::]:2181");
        check("a:2888:3888|b:2889:3889:observer;2181", "a:2888:3888|b:2889:3889:observer;0.0.0.0:2181");
    }

    #[test]
    fn what_is_wrong_is_said() {
        check("zoo1", "`zoo1` names no port");
        check("zoo1:2888", "`zoo1:2888` is not host:port:port");
        check(":2888:3888", "`:2888:3888` names no host");
        check("zoo1:2888:2888", "port 2888 is named twice");
        check("zoo1:2888:38888888", "`38888888` is not a port");
        check("zoo1:2888:3888:leader", "`leader` is neither participant nor observer");
        check(
            "zoo1:2888:3888:observer:x",
            "`zoo1:2888:3888:observer:x` has too many fields; an IPv6 address stands in brackets",
        );
        check("::1:2888:3888", "`::1:2888:3888` names no host");
        check("zoo1:2888:3888;x", "`x` is not a port");
        check("zoo1:2888:3888;1;2;3", "more than two client addresses");
    }

    #[test]
    fn the_first_of_several_addresses_counts() {
        let line = ServerLine::parse("a:1:2|b:3:4").expect("must be read");
        assert_eq!(line.address().host, "a");
        assert_eq!(line.addresses().len(), 2);
    }
}
