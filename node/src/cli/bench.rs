//! `corral bench`: a load, and what came of it.

use std::process::ExitCode;

use node::bench::Plan;

use super::FAILED;
use super::terminal::{complain, say};

/// Measures as planned and says what came out.
pub(super) fn run(plan: &Plan) -> ExitCode {
    match node::bench::run(plan) {
        Ok(results) => {
            say(results);
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain(format_args!("{error:#}"));
            ExitCode::from(FAILED)
        }
    }
}
