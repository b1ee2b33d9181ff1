//! Which members an ensemble on one machine has, and what is written for each.
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use clap::Args;

/// Election ports are not used, but every server line names one.
const ELECTION_PORT_DISTANCE: u16 = 1000;

/// Where the members of an ensemble on one machine live.
#[derive(Args, Clone, Debug)]
pub(crate) struct Plan {
    /// How many members
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=9))]
    pub(super) members: u16,

    /// Where their data and logs are kept
    #[arg(long, default_value = "corral-data")]
    pub(super) dir: PathBuf,

    /// Where the first listens to clients; the others follow
    #[arg(long, default_value_t = 2181, value_parser = clap::value_parser!(u16).range(1..=60_000))]
    pub(super) client_port: u16,

    /// Where the first listens to the others; the others follow
    #[arg(long, default_value_t = 2888, value_parser = clap::value_parser!(u16).range(1..=60_000))]
    pub(super) peer_port: u16,

    /// Where the first answers operators over HTTP; the others follow
    #[arg(long, default_value_t = 8080, value_parser = clap::value_parser!(u16).range(1..=60_000))]
    pub(super) admin_port: u16,
}

/// One member of the plan.
#[derive(Clone, Debug)]
pub(super) struct Member {
    /// Its number.
    pub(super) id: u64,
    /// Where it listens to clients.
    pub(super) client_port: u16,
    /// Where it answers operators over HTTP, if it does.
    pub(super) admin_port: Option<u16>,
    /// Its configuration.
    pub(super) zoo_cfg: PathBuf,
    /// Where its log lines go.
    pub(super) log: PathBuf,
}

impl Member {
    /// Where clients find it.
    pub(super) fn client_address(&self) -> String {
        format!("127.0.0.1:{}", self.client_port)
    }
}

impl Plan {
    /// Writes what the members need to start.
    ///
    /// # Errors
    /// Says which port is taken, or which folder cannot be used.
    pub(super) fn prepare(&self) -> Result<Vec<Member>, String> {
        let admin = self.check_ports()?;
        self.check_size()?;
        let write = |number| self.write_member(number, admin);
        (1..=self.members)
            .map(write)
            .collect::<io::Result<_>>()
            .map_err(|error| format!("{} cannot be written: {error}", self.dir.display()))
    }

    /// What clients are given to connect to.
    pub(super) fn connect_string(&self) -> String {
        let address = |number| format!("127.0.0.1:{}", self.client_port(number));
        (1..=self.members).map(address).collect::<Vec<_>>().join(",")
    }

    /// The folders of all members, as a shell would expand them.
    pub(super) fn data(&self) -> String {
        self.for_all("data")
    }

    /// The log files of all members, as a shell would expand them.
    pub(super) fn logs(&self) -> String {
        self.for_all("corral.log")
    }

    fn for_all(&self, name: &str) -> String {
        let numbers: Vec<String> = (1..=self.members).map(|number| number.to_string()).collect();
        match numbers.as_slice() {
            [one] => format!("{}/{one}/{name}", self.dir.display()),
            many => format!("{}/{{{}}}/{name}", self.dir.display(), many.join(",")),
        }
    }

    const fn client_port(&self, number: u16) -> u16 {
        self.client_port + number - 1
    }

    const fn admin_port(&self, number: u16) -> u16 {
        self.admin_port + number - 1
    }

    const fn peer_port(&self, number: u16) -> u16 {
        self.peer_port + number - 1
    }

    /// A port that is taken would be found by the member too, but only in its log. Says whether the ports for operators
    /// are free: members run without, so somebody else who has them is no reason not to start.
    fn check_ports(&self) -> Result<bool, String> {
        let clients = (1..=self.members).map(|number| (self.client_port(number), "client"));
        let peers = (1..=self.members).map(|number| (self.peer_port(number), "peer"));
        let mut held = Vec::new();
        for (port, kind) in clients.chain(peers) {
            let listener = TcpListener::bind(("127.0.0.1", port)).map_err(|error| match error.kind() {
                io::ErrorKind::AddrInUse => format!(
                    "port {port} is taken; is another server running? --{kind}-port chooses other ports"
                ),
                _ => format!("port {port} cannot be listened to: {error}"),
            })?;
            // Held until all are found free, so that the two ranges cannot overlap either.
            held.push(listener);
        }
        Ok((1..=self.members).all(|number| TcpListener::bind(("127.0.0.1", self.admin_port(number))).is_ok()))
    }

    /// Who the members are stands in their logs once they have run.
    fn check_size(&self) -> Result<(), String> {
        let there = (1..=255).take_while(|number| self.dir.join(number.to_string()).is_dir()).count();
        if there == 0 || there == usize::from(self.members) {
            return Ok(());
        }
        Err(format!(
            "{dir} holds an ensemble of {there}, not of {}: choose another --dir, or remove it",
            self.members,
            dir = self.dir.display()
        ))
    }

    fn write_member(&self, number: u16, admin: bool) -> io::Result<Member> {
        let folder = self.dir.join(number.to_string());
        let data = folder.join("data");
        std::fs::create_dir_all(&data)?;
        // Absolute, so that the file serves from whatever folder a member is started again.
        let folder = folder.canonicalize()?;
        std::fs::write(data.join("myid"), format!("{number}\n"))?;
        let zoo_cfg = folder.join("zoo.cfg");
        std::fs::write(&zoo_cfg, self.zoo_cfg(number, admin, &folder))?;
        Ok(Member {
            id: number.into(),
            client_port: self.client_port(number),
            admin_port: admin.then(|| self.admin_port(number)),
            zoo_cfg,
            log: folder.join("corral.log"),
        })
    }

    fn zoo_cfg(&self, number: u16, admin: bool, folder: &Path) -> String {
        // A backslash begins an escape in a properties file.
        let folder = folder.display().to_string().replace('\\', "\\\\");
        let mut text = format!(
            "# Written by `corral ensemble` at every start.\n\
             tickTime=2000\n\
             initLimit=10\n\
             syncLimit=5\n\
             dataDir={folder}/data\n\
             dataLogDir={folder}/log\n\
             clientPortAddress=127.0.0.1\n\
             clientPort={}\n\
             maxClientCnxns=0\n\
             4lw.commands.whitelist=*\n",
            self.client_port(number)
        );
        text.push_str(&match admin {
            true => format!("admin.serverPort={}\n", self.admin_port(number)),
            false => "admin.enableServer=false\n".to_owned(),
        });
        for number in 1..=self.members {
            let peer = self.peer_port(number);
            let election = peer + ELECTION_PORT_DISTANCE;
            text.push_str(&format!("server.{number}=127.0.0.1:{peer}:{election}\n"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use node::config::{self, ThisMachine};

    use super::*;

    fn plan(dir: &Path, members: u16) -> Plan {
        Plan { members, dir: dir.to_owned(), client_port: 2181, peer_port: 2888, admin_port: 8080 }
    }

    #[test]
    fn what_is_written_reads_well() {
        insta::assert_snapshot!(plan(Path::new("corral-data"), 3).zoo_cfg(
            2,
            true,
            Path::new("/srv/corral-data/2")
        ));
    }

    #[test]
    fn what_is_written_can_be_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = folder.path().join("größe \\ 1");
        let member = plan(&dir, 3).write_member(3, true).expect("must be written");
        let config = config::load(&member.zoo_cfg, &ThisMachine).expect("must be read").config;
        assert_eq!(config.member.get(), 3);
        assert_eq!(config.client_listen.port, 2183);
        assert_eq!(config.admin.map(|admin| admin.listen.port), Some(8082));
        assert_eq!(config.consensus.members.len(), 3);
        assert!(config.consensus.data_dir.ends_with("größe \\ 1/3/data"), "{:?}", config.consensus.data_dir);
    }

    #[test]
    fn what_is_said_is_what_a_shell_understands() {
        let plan = plan(Path::new("corral-data"), 3);
        assert_eq!(plan.connect_string(), "127.0.0.1:2181,127.0.0.1:2182,127.0.0.1:2183");
        assert_eq!(plan.logs(), "corral-data/{1,2,3}/corral.log");
    }

    #[test]
    fn a_taken_port_is_named() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = taken.local_addr().expect("an address").port();
        let plan = Plan { client_port: port, ..plan(Path::new("nowhere"), 1) };
        assert_eq!(
            plan.prepare().expect_err("must be refused"),
            format!("port {port} is taken; is another server running? --client-port chooses other ports")
        );
    }

    #[test]
    fn where_ports_for_operators_are_taken_there_are_none() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
        let folder = tempfile::tempdir().expect("a folder");
        // Port 0 is any that is free.
        let plan = Plan {
            client_port: 0,
            peer_port: 0,
            admin_port: taken.local_addr().expect("an address").port(),
            ..plan(folder.path(), 1)
        };
        let admin = plan.check_ports().expect("the others are free");
        let member = plan.write_member(1, admin).expect("must be written");
        assert_eq!(member.admin_port, None);
        assert_eq!(config::load(&member.zoo_cfg, &ThisMachine).expect("must be read").config.admin, None);
    }

    #[test]
    fn an_ensemble_keeps_its_size() {
        let folder = tempfile::tempdir().expect("a folder");
        for number in 1..=3 {
            plan(folder.path(), 3).write_member(number, false).expect("must be written");
        }
        assert_eq!(plan(folder.path(), 3).check_size(), Ok(()));
        let refusal = plan(folder.path(), 5).check_size().expect_err("must be refused");
        assert!(
            refusal.ends_with("holds an ensemble of 3, not of 5: choose another --dir, or remove it"),
            "{refusal}"
        );
    }
}
