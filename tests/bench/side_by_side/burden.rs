//! What members cost the machine while something is measured.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

/// How often it is looked at.
pub(crate) const EVERY: Duration = Duration::from_millis(20);

/// How many of the kernel's ticks are a second, on every Linux that is in use.
const TICKS: f64 = 100.0;

/// What one member used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Member {
    pub(crate) id: usize,
    pub(crate) leads: bool,
    /// Of processors, user and system, in seconds.
    pub(crate) user_s: f64,
    pub(crate) system_s: f64,
    /// Memory that was resident at the end.
    pub(crate) resident_bytes: u64,
}

impl Member {
    /// Of processors in all, in seconds.
    pub(crate) fn cpu_s(&self) -> f64 {
        self.user_s + self.system_s
    }
}

/// What all of them used of processors, in seconds.
pub(crate) fn cpu_s(members: &[Member]) -> f64 {
    members.iter().map(Member::cpu_s).sum()
}

/// What the largest of them has in memory.
pub(crate) fn largest(members: &[Member]) -> f64 {
    members.iter().map(|member| member.resident_bytes).max().unwrap_or_default() as f64
}

/// A process that is observed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Observed {
    pub(crate) id: usize,
    pub(crate) leads: bool,
    pub(crate) pid: u32,
}

/// What a process has used since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Used {
    user_s: f64,
    system_s: f64,
    resident_bytes: u64,
}

/// Looks at processes, again and again.
#[derive(Debug)]
pub(crate) struct Log {
    begun: Instant,
    observed: Vec<Observed>,
    /// When each look was, and what each process had used by then.
    looks: Vec<(Instant, Vec<Used>)>,
}

impl Log {
    /// Begins, with a first look.
    pub(crate) fn begin(observed: &[Observed]) -> Result<Self> {
        let mut log = Self { begun: Instant::now(), observed: observed.to_vec(), looks: Vec::new() };
        log.look()?;
        Ok(log)
    }

    /// Takes a look.
    pub(crate) fn look(&mut self) -> Result<()> {
        let now = Instant::now();
        let used = self.observed.iter().map(|it| used(it.pid)).collect::<Result<_>>()?;
        self.looks.push((now, used));
        Ok(())
    }

    /// What was used from that long after the beginning on for so long, as near as there was a look.
    pub(crate) fn between(&self, from: Duration, lasting: Duration) -> Vec<Member> {
        let nearest = |at: Duration| {
            let moment = self.begun + at;
            let away = |when: Instant| when.max(moment) - when.min(moment);
            self.looks.iter().min_by_key(|(when, _)| away(*when)).map(|(_, used)| used)
        };
        let (Some(first), Some(last)) = (nearest(from), nearest(from + lasting)) else { return Vec::new() };
        let pairs = first.iter().zip(last);
        let member = |(of, (first, last)): (&Observed, (&Used, &Used))| Member {
            id: of.id,
            leads: of.leads,
            user_s: last.user_s - first.user_s,
            system_s: last.system_s - first.system_s,
            resident_bytes: last.resident_bytes,
        };
        self.observed.iter().zip(pairs).map(member).collect()
    }

    /// What was used between the first look and the last.
    pub(crate) fn in_all(&self) -> Vec<Member> {
        self.between(Duration::ZERO, self.begun.elapsed())
    }
}

fn used(pid: u32) -> Result<Used> {
    let read = |file: &str| {
        let path = format!("/proc/{pid}/{file}");
        std::fs::read_to_string(&path).with_context(|| format!("read {path}: does the member run?"))
    };
    understand(&read("stat")?, &read("status")?).with_context(|| format!("understand /proc/{pid}"))
}

fn understand(stat: &str, status: &str) -> Result<Used> {
    // Behind the name, which may hold anything.
    let (_, fields) = stat.rsplit_once(')').context("the name stands in parentheses")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let (Some(user), Some(system)) = (fields.get(11), fields.get(12)) else { bail!("stat is too short") };
    // One that has ended, and that nobody has taken note of, has no memory any more.
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix("kB"));
    Ok(Used {
        user_s: user.parse::<u64>()? as f64 / TICKS,
        system_s: system.parse::<u64>()? as f64 / TICKS,
        resident_bytes: resident.unwrap_or("0").trim().parse::<u64>()? << 10,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_its_name() {
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194304 1 0 0 0 150 25 0 0 20 0 1 0 4 5 6";
        let used = understand(stat, "Name:\tx\nVmHWM:\t  9000 kB\nVmRSS:\t    2048 kB\n").unwrap();
        assert_eq!(used, Used { user_s: 1.5, system_s: 0.25, resident_bytes: 2 << 20 });
        assert_eq!(understand(stat, "Name:\tx\n").unwrap().resident_bytes, 0);
        assert!(understand("7 (a) S", "VmRSS: 1 kB").is_err());
    }

    #[test]
    fn what_was_used_before_and_after_does_not_count() {
        let begun = Instant::now();
        let at = |second: u64, user_s: f64| {
            let used = Used { user_s, system_s: 0.0, resident_bytes: second };
            (begun + Duration::from_secs(second), vec![used])
        };
        let log = Log {
            begun,
            observed: vec![Observed { id: 1, leads: true, pid: 1 }],
            looks: vec![at(0, 1.0), at(10, 5.0), at(20, 8.0), at(30, 100.0)],
        };
        let members = log.between(Duration::from_secs(9), Duration::from_secs(12));
        assert_eq!((members[0].cpu_s(), members[0].resident_bytes), (3.0, 20));
        assert_eq!((cpu_s(&members), largest(&members)), (3.0, 20.0));
    }
}
