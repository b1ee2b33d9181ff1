//! The command line: which verbs there are.
// Layers, lowest first.
mod terminal;

mod ask;
mod http;

mod bench;
mod ensemble;
mod health;
mod inspect;
mod member;
mod recover;
mod serve;

mod backup;
mod digest;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use node::admin::version;

use ensemble::Plan;
use member::Members;
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
    /// Show or change who the members of an ensemble that runs are
    Member(Members),
    /// Ask a member a four-letter word, such as `srvr`
    Word {
        /// The word
        word: String,

        /// Where the member listens to clients
        #[arg(default_value = "127.0.0.1:2181")]
        address: String,
    },
    /// Put a load on servers of ZooKeeper's protocol, and say how they bore it
    Bench(node::bench::Plan),
    /// Bring back a member whose disk is damaged, or an ensemble of which one member is left
    Recover(recover::Wanted),
    /// Say what lies in a log or a state on disk
    Inspect(inspect::Wanted),
    /// Take a backup of an ensemble that runs
    Backup(backup::Backup),
    /// Make members of a new ensemble out of a backup
    Restore(backup::Restore),
    /// Compare the members of an ensemble by the digests of what they have
    Digest(digest::Wanted),
    /// Say which version this is
    Version,
}

/// Does what the command line says.
pub(crate) fn run() -> ExitCode {
    match Cli::parse().verb {
        Verb::Serve { zoo_cfg, until_stdin_ends } => serve::run(zoo_cfg, until_stdin_ends),
        Verb::Ensemble(plan) => ensemble::run(&plan),
        Verb::Health { address } => health::run(address),
        Verb::Member(members) => member::run(&members),
        Verb::Word { word, address } => ask::run(&word, &address),
        Verb::Bench(plan) => bench::run(&plan),
        Verb::Recover(wanted) => recover::run(&wanted),
        Verb::Inspect(wanted) => inspect::run(&wanted),
        Verb::Backup(wanted) => backup::backup(&wanted),
        Verb::Restore(wanted) => backup::restore(&wanted),
        Verb::Digest(wanted) => digest::run(&wanted),
        Verb::Version => {
            terminal::say(format_args!("corral {}", long_version()));
            ExitCode::SUCCESS
        }
    }
}

fn long_version() -> String {
    // Who measures it must not mistake the one for the other.
    let build = if cfg!(debug_assertions) { "; a debug build" } else { "" };
    format!("{} (for clients: ZooKeeper {}{build})", version::OWN, version::short())
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
    fn help_of_the_members_reads_well() {
        let mut command = Cli::command();
        let member = command.find_subcommand_mut("member").expect("the verb");
        insta::assert_snapshot!(member.render_help());
    }

    #[test]
    fn help_of_backup_and_restore_reads_well() {
        let mut command = Cli::command();
        for verb in ["backup", "restore"] {
            let verb_command = command.find_subcommand_mut(verb).expect("the verb");
            insta::assert_snapshot!(format!("help_of_{verb}"), verb_command.render_help());
        }
    }

    #[test]
    fn help_of_the_digest_reads_well() {
        let mut command = Cli::command();
        let digest = command.find_subcommand_mut("digest").expect("the verb");
        insta::assert_snapshot!(digest.render_help());
    }

    #[test]
    fn help_of_the_bench_reads_well() {
        let mut command = Cli::command();
        let bench = command.find_subcommand_mut("bench").expect("the verb");
        insta::assert_snapshot!(bench.render_help());
    }

    #[test]
    fn help_of_the_ensemble_reads_well() {
        let mut command = Cli::command();
        let ensemble = command.find_subcommand_mut("ensemble").expect("the verb");
        insta::assert_snapshot!(ensemble.render_help());
    }
}
