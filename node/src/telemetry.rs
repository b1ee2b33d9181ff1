//! Where log lines go, and which.
use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// What is logged if nobody says otherwise. Openraft warns of every single call to a member that is away, many
/// times a second.
const DEFAULT_FILTER: &str = "info,openraft=error";

/// Sends log lines to standard error: those that `CORRAL_LOG` selects, as text or, if `CORRAL_LOG_FORMAT` is `json`,
/// as one JSON object in each line.
///
/// # Errors
/// Says which of the two variables cannot be understood.
pub(crate) fn start() -> Result<(), String> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let filter = variable("CORRAL_LOG");
    let filter = EnvFilter::try_new(filter.as_deref().unwrap_or(DEFAULT_FILTER))
        .map_err(|error| format!("CORRAL_LOG: {error}"))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match variable("CORRAL_LOG_FORMAT").as_deref() {
        None | Some("text") => lines.with_ansi(std::io::stderr().is_terminal()).init(),
        Some("json") => lines.json().init(),
        Some(other) => return Err(format!("CORRAL_LOG_FORMAT: `{other}` is neither `text` nor `json`")),
    }
    Ok(())
}
