//! Three containers of `docker-compose.yml`. Each is killed, paused, cut off and robbed of its volumes, and all are stopped,
//! while clients write.

#[path = "docker/cluster.rs"]
mod cluster;

use std::process::{Command, ExitCode};
use std::time::Instant;

use cluster::{Cluster, build_image, compose_command, docker};
use harness::audit::audit;
use harness::{Load, Server};
use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let skipped = reason_to_skip();
    if let Some(reason) = &skipped
        && !arguments.list
    {
        eprintln!("the test in containers is skipped, not passed: {reason}");
    }
    let trial = Trial::test("each_container_is_killed_paused_cut_off_and_robbed_of_its_volumes", || {
        each_container_is_killed_paused_cut_off_and_robbed_of_its_volumes();
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

/// What happens to a container.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// It is killed, and started again.
    Kill,
    /// Its processes are frozen, and thawed.
    Pause,
    /// It loses the network to the others and to its clients, and gets it back.
    CutOff,
    /// It is removed with its volumes, and made anew with empty ones.
    LoseVolumes,
}

impl Fault {
    const ALL: [Self; 4] = [Self::Kill, Self::Pause, Self::CutOff, Self::LoseVolumes];

    fn begin(self, cluster: &Cluster, index: usize) {
        match self {
            Self::Kill => drop(docker(&["kill", &cluster.container(index)])),
            Self::Pause => drop(docker(&["pause", &cluster.container(index)])),
            Self::CutOff => cluster.disconnect(index),
            Self::LoseVolumes => cluster.remove(index),
        }
    }

    fn end(self, cluster: &Cluster, index: usize) {
        match self {
            Self::Kill => drop(docker(&["start", &cluster.container(index)])),
            Self::Pause => drop(docker(&["unpause", &cluster.container(index)])),
            Self::CutOff => cluster.connect(index),
            Self::LoseVolumes => cluster.create(index),
        }
    }
}

fn each_container_is_killed_paused_cut_off_and_robbed_of_its_volumes() {
    let start = Instant::now();
    let say = |what: &str| eprintln!("{:>4} s: {what}", start.elapsed().as_secs());
    build_image();
    let cluster = Cluster::up();
    cluster.wait_until_serving();
    say("three containers serve");
    let load = Load::start(&cluster.addresses, 3);
    load.progress(30);

    for fault in Fault::ALL {
        // Each member once, and the first of them while it leads.
        let first = cluster.leader();
        for index in (first..first + cluster.addresses.len()).map(|index| index % cluster.addresses.len()) {
            let led = cluster.leads(index);
            fault.begin(&cluster, index);
            if led {
                cluster.wait_for_leader_besides(index);
            }
            load.progress(30);
            fault.end(&cluster, index);
            cluster.wait_until_serving();
            load.progress(30);
            audit(&cluster.addresses, &load.pause());
            load.resume();
            say(&format!(
                "{fault:?} of {}{}: the others went on, it is back, and nothing is missing",
                cluster::SERVICES[index],
                if led { ", which led" } else { "" }
            ));
        }
    }

    drop(load);
    for index in 0..cluster.addresses.len() {
        let container = cluster.container(index);
        docker(&["stop", "--time", "10", &container]);
        // 137 would mean that it had to be killed.
        assert_eq!(docker(&["inspect", "--format", "{{.State.ExitCode}}", &container]), "0", "{container}");
    }
}
