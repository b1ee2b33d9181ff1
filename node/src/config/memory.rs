//! How much memory the world may take: as it is said, or by what the process may use.
use std::path::{Path, PathBuf};

use super::error::ConfigError;
use super::settings::Settings;
use super::surroundings::Surroundings;

const KEY: &str = "corral.memoryMaxMiB";

/// What is not reckoned among the world and may be there all the same: the history.
const BESIDE: u64 = 256 << 20;

/// Bytes that the world may take; `None` for as many as there are.
///
/// # Errors
/// The value is none that it can be.
pub(super) fn world_bytes_max(
    settings: &Settings,
    around: &dyn Surroundings,
) -> Result<Option<u64>, ConfigError> {
    Ok(match settings.number(KEY, 0..=u64::MAX >> 20)? {
        Some(0) => None,
        Some(mebibytes) => Some(mebibytes << 20),
        None => usable(around).map(share),
    })
}

/// What the world may take of all. While a member is sent the state of another it has two worlds, and what else it has beside them
/// grows with its clients.
fn share(usable: u64) -> u64 {
    (usable / 5 * 2).saturating_sub(BESIDE).max(usable / 5)
}

/// Bytes that the process may use before the system ends it, as far as the system says; `None` where it says nothing.
fn usable(around: &dyn Surroundings) -> Option<u64> {
    let groups = around.read(Path::new("/proc/self/cgroup")).unwrap_or_default();
    let of_groups = groups.lines().filter_map(|line| {
        let (_, controllers, group) = three(line)?;
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            _ if controllers.split(',').any(|it| it == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => return None,
        };
        limit(around, Path::new(root), group, file)
    });
    of_groups.chain(machine(around)).min()
}

/// The least that a group and those around it may use. In a container the group may be named as the host sees it, and its own is
/// then what is seen as the root.
fn limit(around: &dyn Surroundings, root: &Path, group: &str, file: &str) -> Option<u64> {
    let own = root.join(group.trim_start_matches('/'));
    let upwards = own.ancestors().take_while(|folder| folder.starts_with(root)).map(PathBuf::from);
    // What has no limit says `max`, and with the older kind of groups a number that no machine has.
    upwards.filter_map(|folder| around.read(&folder.join(file)).ok()?.trim().parse().ok()).min()
}

/// All memory that the machine has.
fn machine(around: &dyn Surroundings) -> Option<u64> {
    let text = around.read(Path::new("/proc/meminfo")).ok()?;
    let kibibytes = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    kibibytes.trim().strip_suffix("kB")?.trim_end().parse::<u64>().ok()?.checked_mul(1024)
}

/// A line of the list of groups: a number, the names of what is controlled (none in the newer kind), the group.
fn three(line: &str) -> Option<(&str, &str, &str)> {
    let mut parts = line.splitn(3, ':');
    Some((parts.next()?, parts.next()?, parts.next()?))
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    /// Files of a machine with 16 GiB, and these besides.
    struct Paper(&'static [(&'static str, &'static str)]);

    impl Surroundings for Paper {
        fn read(&self, file: &Path) -> io::Result<String> {
            const MACHINE: (&str, &str) = ("/proc/meminfo", "MemTotal:       16777216 kB\nMemFree: 1 kB\n");
            let found = self.0.iter().chain([&MACHINE]).find(|(name, _)| Path::new(name) == file);
            found.map(|(_, text)| (*text).to_owned()).ok_or_else(|| io::ErrorKind::NotFound.into())
        }

        fn variable(&self, _: &str) -> Option<String> {
            None
        }

        fn is_own(&self, _: &str) -> bool {
            false
        }
    }

    #[track_caller]
    fn check(files: &'static [(&'static str, &'static str)], mebibytes: Option<u64>) {
        assert_eq!(usable(&Paper(files)).map(|bytes| bytes >> 20), mebibytes);
    }

    #[test]
    fn without_groups_the_machine_counts() {
        check(&[], Some(16 << 10));
        check(&[("/proc/self/cgroup", "0::/\n")], Some(16 << 10));
        check(&[("/proc/meminfo", "nothing of the kind")], None);
    }

    #[test]
    fn a_group_may_use_what_it_may_and_those_around_it_may() {
        const NEWER: (&str, &str) = ("/proc/self/cgroup", "0::/kube/pod\n");
        check(&[NEWER, ("/sys/fs/cgroup/kube/pod/memory.max", "max\n")], Some(16 << 10));
        check(&[NEWER, ("/sys/fs/cgroup/kube/pod/memory.max", "2147483648\n")], Some(2 << 10));
        check(
            &[
                NEWER,
                ("/sys/fs/cgroup/kube/pod/memory.max", "2147483648\n"),
                ("/sys/fs/cgroup/kube/memory.max", "1073741824\n"),
            ],
            Some(1 << 10),
        );
        // In a container: the host's name of the group, and the group itself as the root.
        check(&[NEWER, ("/sys/fs/cgroup/memory.max", "536870912\n")], Some(512));
    }

    #[test]
    fn so_may_one_of_the_older_kind() {
        const OLDER: (&str, &str) = ("/proc/self/cgroup", "5:cpu,cpuacct:/a\n4:memory:/docker/0123\n0::/a\n");
        check(&[OLDER, ("/sys/fs/cgroup/cpu,cpuacct/a/memory.limit_in_bytes", "1")], Some(16 << 10));
        check(
            &[OLDER, ("/sys/fs/cgroup/memory/docker/0123/memory.limit_in_bytes", "9223372036854771712\n")],
            Some(16 << 10),
        );
        check(
            &[OLDER, ("/sys/fs/cgroup/memory/docker/0123/memory.limit_in_bytes", "1073741824\n")],
            Some(1 << 10),
        );
        check(&[OLDER, ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "536870912\n")], Some(512));
    }

    #[test]
    fn the_world_may_take_two_fifths_less_what_is_beside_it() {
        let of = |gibibytes: u64| share(gibibytes << 30) >> 20;
        assert_eq!([16, 4, 2, 1].map(of), [6297, 1382, 563, 204]);
    }
}
