//! Whether a member serves clients: the health check of a container.
use std::process::ExitCode;
use std::time::Duration;

use node::config::{self, ThisMachine, bracketed};

use super::ask::{ask, with_port};
use super::terminal::{complain, say};
use super::{FAILED, small_runtime};

/// How long a member may take to answer one question. A health check has little time.
const ANSWER_WAIT: Duration = Duration::from_secs(1);

/// Whether a member is well, and how it was found out.
#[derive(Debug, PartialEq, Eq)]
enum Health {
    Serves(&'static str),
    DoesNotServe(&'static str),
    /// The answer does not tell.
    Unknown,
}

/// Says whether the member serves; the exit code says it too.
pub(super) fn run(address: Option<String>) -> ExitCode {
    let address = address.map_or_else(own_address, |address| with_port(&address));
    let runtime = match small_runtime() {
        Ok(runtime) => runtime,
        Err(code) => return code,
    };
    // Not every word is allowed on every member: the words that tell most go first.
    for word in ["srvr", "isro", "mntr", "stat", "ruok"] {
        let health = match runtime.block_on(ask(word, &address, ANSWER_WAIT)) {
            Ok(answer) => judge(word, &answer),
            Err(error) => {
                complain(format_args!("{address}: {error}"));
                return ExitCode::from(FAILED);
            }
        };
        match health {
            Health::Serves(how) => {
                say(how);
                return ExitCode::SUCCESS;
            }
            Health::DoesNotServe(why) => {
                complain(format_args!("{address}: {why}"));
                return ExitCode::from(FAILED);
            }
            Health::Unknown => {}
        }
    }
    // It answers, if only with refusals: to call it ill would have a good member restarted.
    say("runs; whether it serves is not told: allow `srvr` in 4lw.commands.whitelist");
    ExitCode::SUCCESS
}

/// Where `corral serve` listens when it is started with the same environment.
fn own_address() -> String {
    let listen = match config::container::load(&|name| std::env::var(name).ok(), &ThisMachine) {
        Ok(loaded) => loaded.config.client_listen,
        Err(_) => return "127.0.0.1:2181".to_owned(),
    };
    match listen.host.as_str() {
        "0.0.0.0" => format!("127.0.0.1:{}", listen.port),
        "::" => format!("[::1]:{}", listen.port),
        host => format!("{}:{}", bracketed(host), listen.port),
    }
}

fn judge(word: &str, answer: &str) -> Health {
    if answer.contains("not in the whitelist") {
        return Health::Unknown;
    }
    match (word, answer.trim()) {
        (_, text) if text.contains("not currently serving") => Health::DoesNotServe("does not serve"),
        ("isro", "null") => Health::DoesNotServe("does not serve"),
        ("isro", "rw") => Health::Serves("serves"),
        ("isro", "ro") => Health::Serves("serves reads"),
        ("srvr" | "stat", text) if text.contains("\nMode: read-only") => Health::Serves("serves reads"),
        ("srvr" | "stat", text) if text.contains("\nMode: ") => Health::Serves("serves"),
        ("mntr", text) if text.contains("zk_server_state\t") => Health::Serves("serves"),
        ("ruok", "imok") => {
            Health::Serves("runs; whether it serves is not told: allow `srvr` in 4lw.commands.whitelist")
        }
        ("ruok", _) => Health::DoesNotServe("does not answer `ruok`"),
        _ => Health::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_judged() {
        let serves = Health::Serves("serves");
        let refused = Health::DoesNotServe("does not serve");
        assert_eq!(judge("srvr", "Zookeeper version: 3.9.5\nMode: follower\n"), serves);
        assert_eq!(judge("srvr", "This ZooKeeper instance is not currently serving requests\n"), refused);
        assert_eq!(
            judge("srvr", "srvr is not executed because it is not in the whitelist.\n"),
            Health::Unknown
        );
        let reads = Health::Serves("serves reads");
        assert_eq!(judge("srvr", "Zookeeper version: 3.9.5\nMode: read-only\n"), reads);
        assert_eq!(judge("isro", "null"), refused);
        assert_eq!(judge("isro", "rw"), serves);
        assert_eq!(judge("mntr", "zk_version\t3\nzk_server_state\tleader\n"), serves);
        assert_eq!(judge("ruok", ""), Health::DoesNotServe("does not answer `ruok`"));
    }
}
