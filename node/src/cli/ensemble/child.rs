//! One member as a process of its own.
use std::fs::File;
use std::io;
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{ChildStdin, Command};

use super::plan::Member;

/// Lines of a log that are shown when its member has ended.
const LAST_WORDS: usize = 5;

/// A member that was started by us.
pub(super) struct Child {
    member: Member,
    process: tokio::process::Child,
    /// Never written to: when we are gone, whatever the cause, it closes, and the member ends too.
    _lifeline: Option<ChildStdin>,
    buried: bool,
}

/// How a member ended.
pub(super) struct Ending {
    /// In words.
    pub(super) how: String,
    /// The end of its log.
    pub(super) last_words: Vec<String>,
}

impl Child {
    /// Starts it.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn start(member: Member) -> io::Result<Self> {
        let log = File::options().create(true).append(true).open(&member.log)?;
        let mut process = Command::new(std::env::current_exe()?)
            .args(["serve", "--until-stdin-ends"])
            .arg(&member.zoo_cfg)
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            // A Ctrl-C in the terminal is for us: we end the members in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let lifeline = process.stdin.take();
        Ok(Self { member, process, _lifeline: lifeline, buried: false })
    }

    /// Which member it is.
    pub(super) const fn member(&self) -> &Member {
        &self.member
    }

    /// Whether it has not been seen ended.
    pub(super) const fn lives(&self) -> bool {
        !self.buried
    }

    /// How it ended, once, if it did.
    pub(super) fn ended(&mut self) -> Option<Ending> {
        if self.buried {
            return None;
        }
        let how = match self.process.try_wait() {
            Ok(None) => return None,
            Ok(Some(status)) => in_words(status),
            Err(error) => error.to_string(),
        };
        self.buried = true;
        let log = std::fs::read(&self.member.log).unwrap_or_default();
        Some(Ending { how, last_words: last_lines(&String::from_utf8_lossy(&log), LAST_WORDS) })
    }

    /// Tells it to end.
    pub(super) fn terminate(&self) {
        // Without an id it has ended already.
        let id = self.process.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(id) = id {
            let _ = kill_process(id, Signal::TERM);
        }
    }

    /// Waits until it has gone.
    pub(super) async fn gone(&mut self) {
        let _ = self.process.wait().await;
    }
}

fn in_words(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    }
}

fn last_lines(text: &str, count: usize) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].iter().map(|line| (*line).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_words_are_the_last_lines() {
        assert_eq!(last_lines("a\nb\nc\n", 2), ["b", "c"]);
        assert_eq!(last_lines("a\n", 2), ["a"]);
        assert!(last_lines("", 2).is_empty());
    }
}
