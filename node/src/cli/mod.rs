//! The command line: which verbs there are.
// Layers, lowest first.
mod terminal;

mod ask;

mod ensemble;
mod health;
mod serve;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use node::admin::version;

use ensemble::Plan;
use terminal::complain;

/// Exit code if the process ends because something is wrong that the configuration cannot mend.
const FAILED: u8 = 1;

/// Exit code if the configuration or the command line has to be mended.
const MISCONFIGURED: u8 = 2;

/// An ensemble server for clients of Apache ZooKeeper.
#[derive(Debug, Parser)]
#[command(name = "corral", version = long_version(), arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run one member
    Serve {
        /// Its configuration; without it, the environment variables of ZooKeeper's container image
        zoo_cfg: Option<PathBuf>,

        /// End when standard input ends: for members that must not outlive who started them
        #[arg(long, hide = true)]
        until_stdin_ends: bool,
    },
    /// Run a whole ensemble on this machine, until Ctrl-C
    Ensemble(Plan),
    /// Exit with 0 if a member serves clients
    Health {
        /// Where it listens to clients; without it, where `corral serve` listens in this container
        address: Option<String>,
    },
    /// Ask a member a four-letter word, such as `srvr`
    Word {
        /// The word
        word: String,

        /// Where the member listens to clients
        #[arg(default_value = "127.0.0.1:2181")]
        address: String,
    },
    /// Say which version this is
    Version,
}

/// Does what the command line says.
pub(crate) fn run() -> ExitCode {
    match Cli::parse().verb {
        Verb::Serve { zoo_cfg, until_stdin_ends } => serve::run(zoo_cfg, until_stdin_ends),
        Verb::Ensemble(plan) => ensemble::run(&plan),
        Verb::Health { address } => health::run(address),
        Verb::Word { word, address } => ask::run(&word, &address),
        Verb::Version => {
            terminal::say(format_args!("corral {}", long_version()));
            ExitCode::SUCCESS
        }
    }
}

fn long_version() -> String {
    format!("{} (for clients: ZooKeeper {})", version::OWN, version::short())
}

/// A runtime for the commands that only wait for sockets and children.
fn small_runtime() -> Result<tokio::runtime::Runtime, ExitCode> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
        complain(format_args!("start the runtime: {error}"));
        ExitCode::from(FAILED)
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_reads_well() {
        insta::assert_snapshot!(Cli::command().render_help());
    }

    #[test]
    fn help_of_the_ensemble_reads_well() {
        let mut command = Cli::command();
        let ensemble = command.find_subcommand_mut("ensemble").expect("the verb");
        insta::assert_snapshot!(ensemble.render_help());
    }
}
