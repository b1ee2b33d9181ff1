//! Three containers of `docker-compose.yml`: one is killed, one loses its network, all are stopped.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};
use std::time::Instant;

use harness::audit::audit;
use harness::ensemble::{four_letter, gives_sessions};
use harness::ports::Block;
use harness::{Load, Server, corral, scratch, wait};
use libtest_mimic::{Arguments, Trial};

const SERVICES: [&str; 3] = ["corral1", "corral2", "corral3"];

/// What the image is called that holds the server under test.
const IMAGE: &str = "corral:under-test";

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let skipped = reason_to_skip();
    if let Some(reason) = &skipped
        && !arguments.list
    {
        eprintln!("the test in containers is skipped, not passed: {reason}");
    }
    let trial = Trial::test("containers_die_lose_their_network_and_come_back", || {
        containers_die_lose_their_network_and_come_back();
        Ok(())
    });
    libtest_mimic::run(&arguments, vec![trial.with_ignored_flag(skipped.is_some())]).exit_code()
}

/// Why containers cannot be tested here.
fn reason_to_skip() -> Option<String> {
    if Server::under_test().is_apache() {
        return Some("it tests Corral's own image".into());
    }
    match Command::new("docker").args(["version", "--format", "{{.Server.Version}}"]).output() {
        Err(error) => return Some(format!("there is no `docker` command ({error})")),
        Ok(output) if !output.status.success() => {
            let error = String::from_utf8_lossy(&output.stderr);
            return Some(format!("no Docker engine answers ({})", error.trim()));
        }
        Ok(_) => {}
    }
    compose_command().is_none().then(|| "there is neither `docker compose` nor `docker-compose`".into())
}

fn containers_die_lose_their_network_and_come_back() {
    let start = Instant::now();
    let say = |what: &str| eprintln!("{:>4} s: {what}", start.elapsed().as_secs());
    build_image();
    let cluster = Cluster::up();
    cluster.wait_until_serving();
    say("three containers serve");
    let load = Load::start(&cluster.addresses, 3);
    load.progress(30);

    let leader = cluster.leader();
    docker(&["kill", &cluster.container(leader)]);
    say("the leader's container is killed");
    load.progress(30);
    docker(&["start", &cluster.container(leader)]);
    cluster.wait_until_serving();
    audit(&cluster.addresses, &load.pause());
    load.resume();
    say("it is back, and nothing is missing");

    let cut_off = cluster.leader();
    let network = format!("{}_default", cluster.project);
    docker(&["network", "disconnect", &network, &cluster.container(cut_off)]);
    say("the new leader's container is cut off");
    let others: Vec<usize> = (0..SERVICES.len()).filter(|index| *index != cut_off).collect();
    wait::until("one of the others led", || others.iter().find(|index| cluster.leads(**index)));
    load.progress(30);
    say("the others go on without it");
    docker(&["network", "connect", "--alias", SERVICES[cut_off], &network, &cluster.container(cut_off)]);
    cluster.wait_until_serving();
    load.progress(30);
    audit(&cluster.addresses, &load.pause());
    drop(load);
    say("it is back, and nothing is missing");

    for index in 0..SERVICES.len() {
        let container = cluster.container(index);
        docker(&["stop", "--time", "10", &container]);
        // 137 would mean that it had to be killed.
        assert_eq!(docker(&["inspect", "--format", "{{.State.ExitCode}}", &container]), "0", "{container}");
    }
}

/// Puts the binary under test into an image.
fn build_image() {
    let binary = corral().unwrap_or_else(|error| panic!("{error:#}"));
    let context = root().join("deploy/docker");
    must(Command::new(context.join("context.sh")).arg(binary));
    must(Command::new("docker").args(["build", "--quiet", "--tag", IMAGE]).arg(&context));
}

/// A compose project of our own, taken down with its volumes when dropped.
struct Cluster {
    project: String,
    addresses: Vec<SocketAddr>,
    image_file: PathBuf,
    _ports: Block,
}

impl Cluster {
    fn up() -> Self {
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

    fn container(&self, index: usize) -> String {
        let output = must(self.compose().args(["ps", "--all", "--quiet", SERVICES[index]]));
        text(&output.stdout).to_owned()
    }

    fn wait_until_serving(&self) {
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

    fn leads(&self, index: usize) -> bool {
        four_letter(self.addresses[index], "srvr").is_ok_and(|answer| answer.contains("Mode: leader"))
    }

    fn leader(&self) -> usize {
        wait::until("a container led", || (0..SERVICES.len()).find(|index| self.leads(*index)))
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

fn compose_command() -> Option<Command> {
    let answers = |command: &mut Command| command.arg("version").output().is_ok_and(|it| it.status.success());
    if answers(Command::new("docker").arg("compose")) {
        let mut command = Command::new("docker");
        command.arg("compose");
        return Some(command);
    }
    answers(&mut Command::new("docker-compose")).then(|| Command::new("docker-compose"))
}

#[track_caller]
fn docker(arguments: &[&str]) -> String {
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
