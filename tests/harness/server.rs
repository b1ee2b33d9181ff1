//! Which server is under test, and how one process of it is started.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result, bail, ensure};

use crate::{clock, disk};

/// What an ensemble consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// The `corral` of this workspace, or the one that `CORRAL_BIN` names.
    Corral,
    /// Apache ZooKeeper 3.8 as Debian packages it.
    Apache,
    /// Apache ZooKeeper 3.9, out of the jars that `peer/jars.sh` fetches.
    Apache39,
}

/// Where Debian puts ZooKeeper.
const ZOOKEEPER_JAR: &str = "/usr/share/java/zookeeper.jar";

/// What ZooKeeper's AdminServer needs besides, as Debian packages it along with ZooKeeper.
const ADMIN_JARS: &str = "/usr/share/java/jetty9-server.jar:/usr/share/java/jetty9-servlet.jar:\
    /usr/share/java/jetty9-util.jar:/usr/share/java/jetty9-http.jar:/usr/share/java/jetty9-io.jar:\
    /usr/share/java/jetty9-security.jar:/usr/share/java/jetty9-util-ajax.jar:/usr/share/java/servlet-api.jar:\
    /usr/share/java/jackson-core.jar:/usr/share/java/jackson-databind.jar:/usr/share/java/jackson-annotations.jar";

/// What a member of ZooKeeper's runs.
const QUORUM_PEER: &str = "org.apache.zookeeper.server.quorum.QuorumPeerMain";

impl Server {
    /// What `CORRAL_TEST_SERVER` names; Corral if it names nothing.
    ///
    /// # Panics
    /// If it names something unknown.
    pub fn under_test() -> Self {
        match std::env::var("CORRAL_TEST_SERVER").as_deref() {
            Err(_) | Ok("corral") => Self::Corral,
            Ok("apache") => Self::Apache,
            Ok("apache-3.9") => Self::Apache39,
            Ok(other) => {
                panic!("CORRAL_TEST_SERVER is `{other}`; it may be `corral`, `apache` or `apache-3.9`")
            }
        }
    }

    /// Whether this does as ZooKeeper does where Corral means to do better.
    pub fn is_apache(self) -> bool {
        self != Self::Corral
    }

    /// Starts a member that reads `zoo_cfg`, and `flags` of Java's kind, and says what it has to say into `log`.
    pub(crate) fn spawn(
        self,
        zoo_cfg: &Path,
        log: &Path,
        flags: &[String],
        preload: &[PathBuf],
    ) -> Result<Child> {
        let log = File::options().create(true).append(true).open(log).context("open the member's log")?;
        let mut command = match self {
            Self::Corral => {
                let mut command = Command::new(corral()?);
                let level = std::env::var("CORRAL_LOG").unwrap_or_else(|_| "info".into());
                command.arg("serve").arg(zoo_cfg).env("CORRAL_LOG", level);
                if !flags.is_empty() {
                    command.env("SERVER_JVMFLAGS", flags.join(" "));
                }
                command
            }
            Self::Apache => {
                ensure!(Path::new(ZOOKEEPER_JAR).exists(), "no {ZOOKEEPER_JAR}: `apt-get install zookeeper`");
                let mut command = java(&format!("/etc/zookeeper/conf:{ZOOKEEPER_JAR}"));
                command.args(flags).arg(QUORUM_PEER).arg(zoo_cfg);
                command
            }
            Self::Apache39 => {
                let mut command = java(&format!("{}:{ADMIN_JARS}", java_class_path()?));
                // Without a configuration of its own, log4j says nothing below an error.
                command.arg("-Dorg.apache.logging.log4j.level=INFO").args(flags);
                command.arg(QUORUM_PEER).arg(zoo_cfg);
                command
            }
        };
        if !preload.is_empty() {
            let libraries: Vec<_> = preload.iter().map(|library| library.display().to_string()).collect();
            command.env("LD_PRELOAD", libraries.join(":"));
            command.env("CORRAL_DISK_FAULTS", disk::script_of(zoo_cfg));
            command.env("CORRAL_CLOCK_SHIFT", clock::shift_of(zoo_cfg));
        }
        let stderr = log.try_clone().context("share the member's log")?;
        command.stdin(Stdio::null()).stdout(log).stderr(stderr);
        command.spawn().with_context(|| format!("start {:?}", command.get_program()))
    }
}

fn java(class_path: &str) -> Command {
    let mut command = Command::new("java");
    command.args(["-Xmx256m", "-Dzookeeper.admin.enableServer=false", "-cp", class_path]);
    command
}

/// The jars of Apache ZooKeeper 3.9 and Curator, as Java wants to hear it. They are fetched where they are not there.
///
/// # Errors
/// If they cannot be fetched.
pub fn java_class_path() -> Result<String> {
    static FOUND: OnceLock<Result<String, String>> = OnceLock::new();
    FOUND
        .get_or_init(|| fetch_jars().map_err(|error| format!("{error:#}")))
        .clone()
        .map_err(anyhow::Error::msg)
}

fn fetch_jars() -> Result<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peer/jars.sh");
    let output = Command::new(script).stderr(Stdio::inherit()).output().context("run peer/jars.sh")?;
    ensure!(output.status.success(), "peer/jars.sh: {}", output.status);
    let folder = String::from_utf8(output.stdout).context("peer/jars.sh prints the name of a folder")?;
    Ok(format!("{}/*", folder.trim_end()))
}

/// A place for files that tests leave behind only when they fail, beside what cargo builds.
///
/// # Panics
/// If it cannot be made.
pub fn scratch() -> PathBuf {
    let (profile, _) = built().expect("tests run from cargo's target folder");
    let scratch = profile.parent().unwrap_or(&profile).join("tmp");
    std::fs::create_dir_all(&scratch).unwrap_or_else(|error| panic!("create {}: {error}", scratch.display()));
    scratch
}

/// The binary: `CORRAL_BIN`, or the one that cargo builds with the profile of this test. Cargo is asked to build it,
/// because `cargo test -p tests` alone would run whatever was built last.
///
/// # Errors
/// If there is none and none can be built.
pub fn corral() -> Result<PathBuf> {
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    FOUND.get_or_init(|| find().map_err(|error| format!("{error:#}"))).clone().map_err(anyhow::Error::msg)
}

fn find() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("CORRAL_BIN").map(PathBuf::from) {
        ensure!(named.is_file(), "CORRAL_BIN names {}, and there is no such file", named.display());
        return Ok(named);
    }
    let (folder, profile) = built()?;
    let binary = folder.join("corral");
    if let Some(cargo) = std::env::var_os("CARGO") {
        let status = Command::new(cargo)
            .args([
                "build",
                "--quiet",
                "--package",
                "node",
                "--bin",
                "corral",
                "--profile",
                &profile,
                "--target-dir",
            ])
            .arg(folder.parent().unwrap_or(&folder))
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("/")))
            .status()
            .context("run cargo to build the server under test")?;
        ensure!(
            status.success(),
            "the server under test does not build: `cargo build --bin corral` says why"
        );
    }
    if !binary.is_file() {
        bail!("no server to test at {}: run `cargo build --bin corral`, or set CORRAL_BIN", binary.display());
    }
    Ok(binary)
}

/// The folder that this test's profile is built into, and the profile's name.
fn built() -> Result<(PathBuf, String)> {
    let test = std::env::current_exe().context("find this test's own executable")?;
    // target/<folder>/deps/<test>, or target/<folder>/<program>
    let beside = test.parent().context("the test stands too high in the file system")?;
    let folder = if beside.ends_with("deps") { beside.parent().unwrap_or(beside) } else { beside };
    let name = folder.file_name().and_then(|name| name.to_str()).context("a profile's folder has a name")?;
    // The folder of the profile `dev` (and of `test`) is called `debug`.
    let profile = if name == "debug" { "dev" } else { name };
    Ok((folder.to_path_buf(), profile.to_owned()))
}
