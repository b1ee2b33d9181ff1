//! What is said in the terminal.
use std::fmt::Display;
use std::io::Write as _;

/// Says something on standard output. That nobody reads it any more is no reason to fail.
pub(super) fn say(text: impl Display) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Says on standard error why something did not work.
pub(super) fn complain(text: impl Display) {
    let _ = writeln!(std::io::stderr(), "corral: {text}");
}
