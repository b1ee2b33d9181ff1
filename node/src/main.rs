//! The Corral server: `corral serve`, and what belongs to running it.
// Layers, lowest first.
mod telemetry;

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
