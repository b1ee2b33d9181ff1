//! Short calls on whoever listens at an address.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::Ask;
use crate::connection::{Connection, Greeting};

/// How long a member may take to answer a word. One that runs answers at once, however slow the machine is; longer than that
/// is silent only one that stands still.
const PATIENCE: Duration = Duration::from_secs(20);

/// Whether whoever listens at `address` gives a new client a session.
pub fn gives_sessions(address: SocketAddr) -> bool {
    let Ok(mut connection) = Connection::dial(address) else { return false };
    let welcome = connection.greet_within(&Greeting::new(5_000), Duration::from_secs(5));
    if !welcome.is_ok_and(|welcome| welcome.session != 0) {
        return false;
    }
    connection.send(&Ask::close_session()).is_ok()
        && connection.receive_within(Duration::from_secs(5)).is_ok()
}

/// The answer of whoever listens at `address` to a four-letter word.
///
/// # Errors
/// If there is none within twenty seconds.
pub fn four_letter(address: SocketAddr, word: &str) -> Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).context("connect")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(word.as_bytes()).context("send the word")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).context("read the answer")?;
    if answer.is_empty() {
        bail!("hung up without an answer");
    }
    Ok(answer)
}
