//! Asking a member a four-letter word.
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::terminal::{complain, say};
use super::{FAILED, MISCONFIGURED, small_runtime};

/// How long a member may take to answer an operator.
const ANSWER_WAIT: Duration = Duration::from_secs(5);

/// An answer is cut off behind so many bytes.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// Prints what a member answers.
pub(super) fn run(word: &str, address: &str) -> ExitCode {
    if word.len() != 4 {
        complain(format_args!("`{word}` has not four letters"));
        return ExitCode::from(MISCONFIGURED);
    }
    let runtime = match small_runtime() {
        Ok(runtime) => runtime,
        Err(code) => return code,
    };
    match runtime.block_on(ask(word, &with_port(address), ANSWER_WAIT)) {
        Ok(answer) if answer.is_empty() => {
            complain(format_args!("{address} has hung up: it does not know the word `{word}`"));
            ExitCode::from(FAILED)
        }
        Ok(answer) => {
            say(answer.trim_end_matches('\n'));
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain(format_args!("{address}: {error}"));
            ExitCode::from(FAILED)
        }
    }
}

/// Asks, and waits until the member has answered and hung up.
///
/// # Errors
/// Those of the network, and that it took too long.
pub(super) async fn ask(word: &str, address: &str, wait: Duration) -> io::Result<String> {
    let asking = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(word.as_bytes()).await?;
        let mut answer = Vec::new();
        match stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await {
            // Who hangs up on a word that it does not know may do so with the word unread.
            Err(error) if error.kind() != io::ErrorKind::ConnectionReset => Err(error),
            _ => Ok(String::from_utf8_lossy(&answer).into_owned()),
        }
    };
    timeout(wait, asking).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// The address with ZooKeeper's port, if it names none.
pub(super) fn with_port(address: &str) -> String {
    let bare_v6 = address.parse::<std::net::Ipv6Addr>().is_ok();
    match (bare_v6, address.ends_with(']') || !address.contains(':')) {
        (true, _) => format!("[{address}]:2181"),
        (false, true) => format!("{address}:2181"),
        (false, false) => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_leave_out_the_port() {
        for (given, expected) in [
            ("zoo1", "zoo1:2181"),
            ("zoo1:99", "zoo1:99"),
            ("::1", "[::1]:2181"),
            ("[::1]", "[::1]:2181"),
            ("[::1]:99", "[::1]:99"),
        ] {
            assert_eq!(with_port(given), expected);
        }
    }
}
