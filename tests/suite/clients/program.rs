//! Programs in other languages that ask us, line by line, for what they cannot do themselves: to kill a member, say.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

use harness::{Ensemble, Plan};
use rustix::process::{Pid, Signal, kill_process};

/// A program, ended with the test.
pub(crate) struct Program {
    child: Child,
    lines: BufReader<ChildStdout>,
    answers: ChildStdin,
}

impl Program {
    /// Starts it.
    #[track_caller]
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let answers = child.stdin.take().unwrap();
        Self { child, lines, answers }
    }

    /// What it says next; nothing when it has said everything.
    pub(crate) fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        (!line.is_empty()).then(|| line.trim_end_matches('\n').to_owned())
    }

    pub(crate) fn answer(&mut self, answer: &str) {
        // If it has ended, its exit code says more than a broken pipe.
        let _answered = writeln!(self.answers, "{answer}");
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }
}

/// Kills the leader at once, and notes who that was.
pub(crate) fn kill_the_leader(ensemble: &mut Ensemble, killed: &mut Vec<usize>) {
    let leader = ensemble.wait_for_leader();
    ensemble.kill9(leader);
    killed.push(leader);
}

/// Starts those again who were killed.
pub(crate) fn heal(ensemble: &mut Ensemble, killed: &mut Vec<usize>) {
    for member in killed.drain(..) {
        ensemble.start_member(member);
    }
    ensemble.wait_until_serving();
}

/// Three members that serve all kinds of znodes, and look so often for containers that can go.
pub(crate) fn of_all_kinds(check_ms: u32) -> Plan {
    // ZooKeeper knows it as a property of Java's only, Corral as a key, too.
    let interval = format!("znode.container.checkIntervalMs={check_ms}");
    Plan::members(3).line("extendedTypesEnabled=true").line(&interval).flag(&format!("-D{interval}"))
}

/// The files of a language in a folder.
pub(crate) fn sources(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut sources: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    sources.retain(|path| path.extension().is_some_and(|it| it == extension));
    sources
}
