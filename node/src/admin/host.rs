//! What a report says of the process and of the machine that it runs on.
use std::path::Path;

use rustix::process::{Resource, getrlimit, getuid};
use rustix::system::{sysinfo, uname};

use crate::config::Config;

/// Folders are looked into so deep when their bytes are summed; ours are flat.
const FOLDER_DEPTH_MAX: usize = 4;

/// Facts of the process and of its machine, looked up when an operator asks. What the machine does not tell is
/// zero or empty: a question of an operator is never a reason to fail.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Host {
    /// Bytes of the state on disk.
    pub data_bytes: u64,
    /// Bytes of the log on disk.
    pub log_bytes: u64,
    /// Files and sockets that the process holds open.
    pub open_files: u64,
    /// … and how many it may.
    pub max_files: u64,
    /// The name of the machine.
    pub name: String,
    /// The system's name.
    pub os_name: String,
    /// The kind of processor, as Java calls it.
    pub os_arch: String,
    /// The kernel's release.
    pub os_version: String,
    /// Who runs the process: a name if there is one, else a number.
    pub user: String,
    /// The home of who runs it.
    pub home: String,
    /// Where the process was started.
    pub folder: String,
    /// Seconds of processors that the process has used.
    pub cpu_seconds: f64,
    /// Memory that the process has in use, in bytes.
    pub memory_bytes: u64,
    /// Memory of the machine that is free, in bytes.
    pub memory_free_bytes: u64,
    /// Memory of the machine, in bytes.
    pub memory_max_bytes: u64,
}

impl Host {
    /// Looks. Reads a few small files and lists the data folders: some tens of microseconds.
    pub fn look(config: &Config) -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let system = uname();
        let memory = sysinfo();
        let unit = u64::from(memory.mem_unit);
        Self {
            data_bytes: folder_bytes(&config.consensus.data_dir, FOLDER_DEPTH_MAX),
            log_bytes: folder_bytes(&config.consensus.log_dir, FOLDER_DEPTH_MAX),
            open_files: std::fs::read_dir("/proc/self/fd").map_or(0, |files| files.count() as u64),
            max_files: getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX),
            name: system.nodename().to_string_lossy().into_owned(),
            os_name: system.sysname().to_string_lossy().into_owned(),
            os_arch: java_arch(&system.machine().to_string_lossy()).to_owned(),
            os_version: system.release().to_string_lossy().into_owned(),
            user: variable("USER").unwrap_or_else(|| {
                let (id, accounts) = (getuid().as_raw(), std::fs::read_to_string("/etc/passwd"));
                name_of(id, &accounts.unwrap_or_default()).unwrap_or_else(|| id.to_string())
            }),
            home: variable("HOME").unwrap_or_default(),
            folder: std::env::current_dir().map(|path| path.display().to_string()).unwrap_or_default(),
            cpu_seconds: cpu_seconds(&std::fs::read_to_string("/proc/self/stat").unwrap_or_default()),
            memory_bytes: resident_bytes(&std::fs::read_to_string("/proc/self/status").unwrap_or_default()),
            memory_free_bytes: memory.freeram.saturating_mul(unit),
            memory_max_bytes: memory.totalram.saturating_mul(unit),
        }
    }
}

fn folder_bytes(folder: &Path, depth: usize) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(about) if about.is_file() => about.len(),
            Ok(about) if about.is_dir() && depth > 0 => folder_bytes(&entry.path(), depth - 1),
            _ => 0,
        })
        .sum()
}

/// Whose number this is, as `/etc/passwd` says: `name:x:number:…`.
fn name_of(id: u32, accounts: &str) -> Option<String> {
    let mut names = accounts.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (number.parse() == Ok(id)).then(|| name.to_owned())
    });
    names.next()
}

fn java_arch(machine: &str) -> &str {
    if machine == "x86_64" { "amd64" } else { machine }
}

/// The line `VmRSS:   1234 kB` of `/proc/self/status`.
fn resident_bytes(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

/// The fields `utime` and `stime` of `/proc/self/stat`, in ticks of which the kernel shows a hundred in a second.
fn cpu_seconds(stat: &str) -> f64 {
    // The name of the process stands in brackets in front, and may hold blanks.
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    let ticks = |field: usize| fields.split(' ').nth(field).and_then(|ticks| ticks.parse::<u32>().ok());
    (f64::from(ticks(11).unwrap_or(0)) + f64::from(ticks(12).unwrap_or(0))) / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_from_the_kernels_words() {
        let stat = "42 (a (b) c) S 1 42 42 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 9 0";
        assert!((cpu_seconds(stat) - 2.0).abs() < 1e-9);
        assert_eq!(cpu_seconds(""), 0.0);
    }

    #[test]
    fn the_bytes_of_a_folder_are_those_of_its_files() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("a"), [0; 100]).expect("a file");
        std::fs::create_dir(folder.path().join("below")).expect("a folder");
        std::fs::write(folder.path().join("below/b"), [0; 11]).expect("a file");
        assert_eq!(folder_bytes(folder.path(), 4), 111);
        assert_eq!(folder_bytes(folder.path(), 0), 100);
        assert_eq!(folder_bytes(&folder.path().join("missing"), 4), 0);
    }

    #[test]
    fn a_user_has_a_name_if_the_machine_knows_it() {
        let accounts = "root:x:0:0:root:/root:/bin/sh\nzookeeper:x:1000:1000::/:/bin/false\n";
        assert_eq!(name_of(1000, accounts).as_deref(), Some("zookeeper"));
        assert_eq!(name_of(7, accounts), None);
    }

    #[test]
    fn memory_is_read_from_the_kernels_words() {
        assert_eq!(resident_bytes("VmPeak:\t  900 kB\nVmRSS:\t    12 kB\n"), 12 * 1024);
        assert_eq!(resident_bytes(""), 0);
    }
}
