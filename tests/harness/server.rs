//! Which server is under test, and how one process of it is started.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result, bail, ensure};

/// What an ensemble consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// The `corral` of this workspace, or the one that `CORRAL_BIN` names.
    Corral,
    /// Apache ZooKeeper as Debian packages it.
    Apache,
}

/// Where Debian puts ZooKeeper.
const ZOOKEEPER_JAR: &str = "/usr/share/java/zookeeper.jar";

impl Server {
    /// What `CORRAL_TEST_SERVER` names; Corral if it names nothing.
    ///
    /// # Panics
    /// If it names something unknown.
    pub fn under_test() -> Self {
        match std::env::var("CORRAL_TEST_SERVER").as_deref() {
            Err(_) | Ok("corral") => Self::Corral,
            Ok("apache") => Self::Apache,
            Ok(other) => panic!("CORRAL_TEST_SERVER is `{other}`; it may be `corral` or `apache`"),
        }
    }

    /// Starts a member that reads `zoo_cfg` and says what it has to say into `log`.
    pub(crate) fn spawn(self, zoo_cfg: &Path, log: &Path) -> Result<Child> {
        let log = File::options().create(true).append(true).open(log).context("open the member's log")?;
        let mut command = match self {
            Self::Corral => {
                let mut command = Command::new(corral()?);
                let level = std::env::var("CORRAL_LOG").unwrap_or_else(|_| "info".into());
                command.arg("serve").arg(zoo_cfg).env("CORRAL_LOG", level);
                command
            }
            Self::Apache => {
                ensure!(Path::new(ZOOKEEPER_JAR).exists(), "no {ZOOKEEPER_JAR}: `apt-get install zookeeper`");
                let mut command = Command::new("java");
                command
                    .args(["-Xmx256m", "-Dzookeeper.admin.enableServer=false", "-cp"])
                    .arg(format!("/etc/zookeeper/conf:{ZOOKEEPER_JAR}"))
                    .arg("org.apache.zookeeper.server.quorum.QuorumPeerMain")
                    .arg(zoo_cfg);
                command
            }
        };
        let stderr = log.try_clone().context("share the member's log")?;
        command.stdin(Stdio::null()).stdout(log).stderr(stderr);
        command.spawn().with_context(|| format!("start {:?}", command.get_program()))
    }
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
