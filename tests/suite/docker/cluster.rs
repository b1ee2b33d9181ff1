//! The project of `docker-compose.yml`, with an image and ports of its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use harness::ensemble::{four_letter, gives_sessions};
use harness::ports::Block;
use harness::{corral, scratch, wait};

/// The members, as the file calls them.
pub(crate) const SERVICES: [&str; 3] = ["corral1", "corral2", "corral3"];

/// What the image is called that holds the server under test.
const IMAGE: &str = "corral:under-test";

/// Puts the binary under test into an image.
pub(crate) fn build_image() {
    let binary = corral().unwrap_or_else(|error| panic!("{error:#}"));
    let context = root().join("deploy/docker");
    must(Command::new(context.join("context.sh")).arg(binary));
    must(Command::new("docker").args(["build", "--quiet", "--tag", IMAGE]).arg(&context));
}

/// A compose project of our own, taken down with its volumes when dropped.
pub(crate) struct Cluster {
    project: String,
    /// Where clients reach the members.
    pub(crate) addresses: Vec<SocketAddr>,
    image_file: PathBuf,
    _ports: Block,
}

impl Cluster {
    pub(crate) fn up() -> Self {
        let mut ports = Block::claim().unwrap_or_else(|error| panic!("{error:#}"));
        let mut address = |_| SocketAddr::from((Ipv4Addr::LOCALHOST, ports.take().expect("a free port")));
        let addresses = SERVICES.iter().map(&mut address).collect();
        let project = format!("corral-test-{}", std::process::id());
        let image_file = scratch().join(format!("{project}.yml"));
        let image = |name: &&str| format!("  {name}:\n    image: {IMAGE}\n");
        let services: String = SERVICES.iter().map(image).collect();
        std::fs::write(&image_file, format!("services:\n{services}")).expect("write a compose file");
        let cluster = Self { project, addresses, image_file, _ports: ports };
        must(cluster.compose().args(["up", "--detach", "--no-build"]));
        cluster
    }

    fn compose(&self) -> Command {
        let mut command = compose_command().expect("compose is there");
        command.arg("--project-name").arg(&self.project).arg("--file").arg(root().join("docker-compose.yml"));
        command.arg("--file").arg(&self.image_file);
        for (address, index) in self.addresses.iter().zip(1..) {
            command.env(format!("CORRAL_PORT_{index}"), address.port().to_string());
        }
        command
    }

    pub(crate) fn container(&self, index: usize) -> String {
        let output = must(self.compose().args(["ps", "--all", "--quiet", SERVICES[index]]));
        text(&output.stdout).to_owned()
    }

    pub(crate) fn wait_until_serving(&self) {
        for (index, service) in SERVICES.iter().enumerate() {
            let container = self.container(index);
            let health = || docker(&["inspect", "--format", "{{.State.Health.Status}}", &container]);
            if wait::within(wait::PATIENCE, || (health() == "healthy").then_some(())).is_none() {
                panic!("{service} is {}:\n{}", health(), docker_log(&container));
            }
            // Health is looked at now and then only: it may be a verdict on what was before.
            wait::until("every container gave sessions", || {
                gives_sessions(self.addresses[index]).then_some(())
            });
        }
    }

    pub(crate) fn leads(&self, index: usize) -> bool {
        four_letter(self.addresses[index], "srvr").is_ok_and(|answer| answer.contains("Mode: leader"))
    }

    pub(crate) fn leader(&self) -> usize {
        wait::until("a container led", || (0..SERVICES.len()).find(|index| self.leads(*index)))
    }

    pub(crate) fn wait_for_leader_besides(&self, gone: usize) {
        let others: Vec<usize> = (0..SERVICES.len()).filter(|index| *index != gone).collect();
        wait::until("one of the others led", || others.iter().find(|index| self.leads(**index)));
    }

    fn network(&self) -> String {
        format!("{}_default", self.project)
    }

    /// Takes a member's network away.
    pub(crate) fn disconnect(&self, index: usize) {
        docker(&["network", "disconnect", &self.network(), &self.container(index)]);
    }

    /// Gives it back.
    pub(crate) fn connect(&self, index: usize) {
        docker(&["network", "connect", "--alias", SERVICES[index], &self.network(), &self.container(index)]);
    }

    /// Removes a member's container, and the volumes with all that it knew.
    pub(crate) fn remove(&self, index: usize) {
        docker(&["rm", "--force", "--volumes", &self.container(index)]);
        for kind in ["data", "log"] {
            docker(&["volume", "rm", &format!("{}_{kind}{}", self.project, index + 1)]);
        }
    }

    /// Makes it anew, as the file says.
    pub(crate) fn create(&self, index: usize) {
        must(self.compose().args(["up", "--detach", "--no-build", "--no-deps", SERVICES[index]]));
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for (index, service) in SERVICES.iter().enumerate() {
                eprintln!("--- {service}:\n{}", docker_log(&self.container(index)));
            }
        }
        let _down = self.compose().args(["down", "--volumes", "--timeout", "1"]).output();
        let _removed = std::fs::remove_file(&self.image_file);
    }
}

pub(crate) fn compose_command() -> Option<Command> {
    let answers = |command: &mut Command| command.arg("version").output().is_ok_and(|it| it.status.success());
    if answers(Command::new("docker").arg("compose")) {
        let mut command = Command::new("docker");
        command.arg("compose");
        return Some(command);
    }
    answers(&mut Command::new("docker-compose")).then(|| Command::new("docker-compose"))
}

#[track_caller]
pub(crate) fn docker(arguments: &[&str]) -> String {
    text(&must(Command::new("docker").args(arguments)).stdout).to_owned()
}

fn docker_log(container: &str) -> String {
    let output = Command::new("docker").args(["logs", "--tail", "30", container]).output();
    output.map_or_else(|error| error.to_string(), |it| format!("{}{}", text(&it.stdout), text(&it.stderr)))
}

#[track_caller]
fn must(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, text(&output.stderr));
    output
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or("(not text)").trim()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate stands in the workspace")
}
