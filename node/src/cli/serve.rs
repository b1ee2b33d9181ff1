//! One member, from its configuration to its end.
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use node::config::{self, Config, ConfigError, Loaded, ThisMachine};
use node::server::Server;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::AsyncReadExt as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::terminal::complain;
use super::{FAILED, MISCONFIGURED};
use crate::telemetry;

/// How long a member may take to leave before it is ended anyway. What it has acknowledged is on disk.
const LEAVE_WAIT: Duration = Duration::from_secs(10);

/// Runs a member until it is told to end, or cannot go on.
pub(super) fn run(zoo_cfg: Option<PathBuf>, until_stdin_ends: bool) -> ExitCode {
    if let Err(message) = telemetry::start() {
        complain(message);
        return ExitCode::from(MISCONFIGURED);
    }
    let loaded = match zoo_cfg {
        Some(file) => config::load(&file, &ThisMachine),
        None => from_environment(),
    };
    let Loaded { config, notes } = match loaded {
        Ok(loaded) => loaded,
        Err(error) => {
            complain(error);
            return ExitCode::from(MISCONFIGURED);
        }
    };
    for note in notes {
        if note.is_unknown {
            tracing::warn!(key = note.key, reason = note.text, "unknown key without effect");
        } else {
            tracing::info!(key = note.key, reason = note.text, "key without effect");
        }
    }
    take_all_file_descriptors();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(format_args!("start the runtime: {error}")),
    };
    let code = runtime.block_on(serve(config, until_stdin_ends));
    // A read of standard input that nobody waits for any more must not keep the process.
    runtime.shutdown_background();
    code
}

/// Every client takes a file descriptor. The soft limit is mostly 1,024, for the sake of programs that wait with `select`;
/// how many a process may have is for the operator to say, with the hard one.
fn take_all_file_descriptors() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return;
    }
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::warn!(%error, limit = current, "the limit of open files cannot be raised");
    }
}

/// The configuration of a container. Its `myid` is written if there is none: later starts must find the same
/// member, whatever the environment says then.
fn from_environment() -> Result<Loaded, ConfigError> {
    let environment = |name: &str| std::env::var(name).ok();
    let (myid, number) = config::container::myid(&environment);
    if !myid.exists() {
        write_new(&myid, &number)
            .map_err(|error| ConfigError::of(format!("{}: cannot be written: {error}", myid.display())))?;
    }
    config::container::load(&environment, &ThisMachine)
}

fn write_new(file: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(file, text)
}

async fn serve(config: Config, until_stdin_ends: bool) -> ExitCode {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return failed("signals cannot be listened to");
    };

    let member = config.member;
    // A start may wait for long, for a disk or for a name; it can be ended as well.
    let server = tokio::select! {
        started = Server::start(config) => match started {
            Ok(server) => server,
            Err(error) => return failed(format_args!("member {member} cannot start: {error:#}")),
        },
        () = told_to_end(&mut terminate, &mut interrupt, until_stdin_ends) => return ExitCode::SUCCESS,
    };

    let faulty = tokio::select! {
        () = told_to_end(&mut terminate, &mut interrupt, until_stdin_ends) => false,
        () = server.wait_for_fault() => true,
    };
    tracing::info!(%member, "leaving");
    // After a fault too: what is on disk must be closed before the process ends, or RocksDB aborts it, and the last
    // that is seen of the member would be that.
    tokio::select! {
        () = server.shutdown() => {
            if faulty {
                return failed(format_args!("member {member} has stopped: the error that is logged above must be looked at"));
            }
            tracing::info!(%member, "left");
            ExitCode::SUCCESS
        }
        () = tokio::time::sleep(LEAVE_WAIT) => {
            failed(format_args!("member {member} did not leave within {} s and is ended", LEAVE_WAIT.as_secs()))
        }
        () = told_to_end(&mut terminate, &mut interrupt, false) => {
            failed(format_args!("member {member} was told twice to end, and has not left in order"))
        }
    }
}

async fn told_to_end(terminate: &mut Signal, interrupt: &mut Signal, until_stdin_ends: bool) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = stdin_ends(), if until_stdin_ends => {}
    }
}

/// Who started us holds the other end of standard input; when it dies, by whatever cause, the kernel closes it.
async fn stdin_ends() {
    let mut stdin = tokio::io::stdin();
    let mut passed_over = [0; 64];
    while stdin.read(&mut passed_over).await.is_ok_and(|bytes| bytes > 0) {}
}

fn failed(why: impl std::fmt::Display) -> ExitCode {
    complain(why);
    ExitCode::from(FAILED)
}
