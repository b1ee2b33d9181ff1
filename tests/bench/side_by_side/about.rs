//! On what, when and of what it was measured.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use harness::{Ensemble, corral};
use serde::{Deserialize, Serialize};

use crate::fresh::HEAP;
use crate::results::Side;

/// What stands in the head of the report.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct About {
    pub(crate) date: String,
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory_gib: f64,
    pub(crate) kernel: String,
    /// Of the minute before it began.
    pub(crate) load_average: String,
    /// Of the checkout.
    pub(crate) commit: String,
    /// What the binary says of itself.
    pub(crate) corral: String,
    /// What a member of ZooKeeper says of itself, and what its JVM was told; empty until one has run.
    pub(crate) zookeeper: String,
    pub(crate) java: String,
    pub(crate) jvm: Vec<String>,
    pub(crate) turns: u32,
    pub(crate) seconds: f64,
    pub(crate) warmup: f64,
    pub(crate) small: bool,
}

/// What a debug build says of itself.
const DEBUG: &str = "debug build";

impl About {
    /// As far as it is known before anything runs.
    ///
    /// # Errors
    /// If the server under test is a debug build and this is no small run.
    pub(crate) fn find(turns: u32, seconds: f64, warmup: f64, small: bool) -> Result<Self> {
        let mut version = Command::new(corral()?);
        let about = Self {
            date: said(Command::new("date").args(["-u", "+%F %H:%M UTC"])),
            processor: of_proc("cpuinfo", "model name"),
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            memory_gib: of_proc("meminfo", "MemTotal").trim_end_matches(" kB").parse::<f64>().unwrap_or(0.0)
                / f64::from(1 << 20),
            kernel: said(Command::new("uname").arg("-sr")),
            load_average: of_the_last_minute(),
            commit: said(
                Command::new("git")
                    .args(["describe", "--always", "--dirty", "--abbrev=10"])
                    .current_dir(Path::new(env!("CARGO_MANIFEST_DIR"))),
            ),
            corral: said(version.arg("version")),
            turns,
            seconds,
            warmup,
            small,
            ..Self::default()
        };
        let is_debug = about.corral.contains(DEBUG);
        ensure!(
            small || !is_debug,
            "{} is a {DEBUG}: build it with --release, or ask for --small",
            corral()?.display()
        );
        Ok(about)
    }

    /// Notes what a member of ZooKeeper really runs with.
    ///
    /// # Errors
    /// If that is not what it is to be compared with.
    pub(crate) fn meet(&mut self, side: Side, ensemble: &Ensemble) -> Result<()> {
        if side == Side::Corral {
            return Ok(());
        }
        let pid = ensemble.pid(1).context("the members run")?;
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).context("read a command line")?;
        self.jvm = flags(&line);
        // The last of them counts.
        let heap = self.jvm.iter().rfind(|flag| flag.starts_with("-Xmx")).map_or("", String::as_str);
        ensure!(heap == HEAP, "the heap of ZooKeeper's members is {heap}, not {HEAP}");
        ensure!(
            !self.jvm.iter().any(|flag| flag.contains("forceSync")),
            "ZooKeeper was told something of syncs"
        );
        let says = ensemble.four_letter(1, "srvr")?;
        let version = says.lines().find_map(|line| line.strip_prefix("Zookeeper version: "));
        self.zookeeper = version.unwrap_or_default().split(',').next().unwrap_or_default().to_owned();
        let java = Command::new("java").arg("-version").output().context("run java")?;
        let java = String::from_utf8_lossy(&java.stderr).into_owned();
        self.java = java.lines().nth(1).unwrap_or_default().to_owned();
        Ok(())
    }

    /// Whether Corral's binary was built for debugging.
    pub(crate) fn is_debug(&self) -> bool {
        self.corral.contains(DEBUG)
    }
}

/// What Java was told besides what to run, and from where.
fn flags(command_line: &str) -> Vec<String> {
    let mut flags = Vec::new();
    let mut words = command_line.split('\0').skip(1);
    while let Some(word) = words.next().filter(|word| word.starts_with('-')) {
        if word == "-cp" {
            words.next();
        } else {
            flags.push(word.to_owned());
        }
    }
    flags
}

/// The first line that a command prints; nothing if it fails.
fn said(command: &mut Command) -> String {
    let output = command.output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).lines().next().unwrap_or_default().to_owned()
}

fn of_the_last_minute() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().unwrap_or("unknown").to_owned()
}

fn of_proc(file: &str, key: &str) -> String {
    let text = std::fs::read_to_string(Path::new("/proc").join(file)).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix(':'));
    line.unwrap_or("unknown").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_java_are_told_without_its_class_path() {
        let line = "java\0-Xmx256m\0-Da=b\0-cp\0/jars/*\0-Xmx2g\0org.Main\0zoo.cfg\0";
        assert_eq!(flags(line), ["-Xmx256m", "-Da=b", "-Xmx2g"]);
    }
}
