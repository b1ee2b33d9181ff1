//! Brings back a member whose disk is damaged, or an ensemble of which one member is left.
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use consensus::offline::{self, Forced, Recovered, Survivor};
use node::config::{self, ConfigError, Loaded, ThisMachine};
use proto::ClusterId;

use super::terminal::{complain, say};
use super::{FAILED, MISCONFIGURED};

/// What is to be done, and to which member.
#[derive(Debug, Args)]
pub(super) struct Wanted {
    /// The member's configuration; without it, the environment variables of ZooKeeper's container image
    zoo_cfg: Option<PathBuf>,

    /// Move everything aside although nothing is found to be wrong
    #[arg(long, conflicts_with = "force_new_ensemble")]
    even_if_well: bool,

    /// Make an ensemble of this member alone, because a majority of the others is lost for good
    #[arg(long)]
    force_new_ensemble: bool,

    /// With --force-new-ensemble: do it, although what only the lost members had is lost with them
    #[arg(long, requires = "force_new_ensemble")]
    accept_data_loss: bool,
}

/// Does it, and says what was done.
pub(super) fn run(wanted: &Wanted) -> ExitCode {
    let config = match configuration(wanted.zoo_cfg.as_ref()) {
        Ok(loaded) => loaded.config.consensus,
        Err(error) => {
            complain(error);
            return ExitCode::from(MISCONFIGURED);
        }
    };
    let done = match (wanted.force_new_ensemble, wanted.accept_data_loss) {
        (false, _) => offline::recover(&config, wanted.even_if_well).map(|recovered| {
            tell_recovered(config.member.get(), &recovered);
            ExitCode::SUCCESS
        }),
        (true, false) => offline::survey(&config).map(|survivor| {
            tell_survivor(&survivor);
            complain("nothing was done: to do it, add --accept-data-loss");
            ExitCode::from(FAILED)
        }),
        (true, true) => offline::force_new_ensemble(&config, draw()).map(|forced| {
            tell_survivor(&forced.survivor);
            tell_forced(&forced);
            ExitCode::SUCCESS
        }),
    };
    done.unwrap_or_else(|fault| {
        complain(fault);
        ExitCode::from(FAILED)
    })
}

/// The configuration that `corral serve` would have, given the same.
pub(super) fn configuration(zoo_cfg: Option<&PathBuf>) -> Result<Loaded, ConfigError> {
    match zoo_cfg {
        Some(file) => config::load(file, &ThisMachine),
        None => config::container::load(&|name| std::env::var(name).ok(), &ThisMachine),
    }
}

/// A name that no other ensemble has.
pub(super) fn draw() -> ClusterId {
    loop {
        if let Some(cluster) = ClusterId::new(rand::random()) {
            return cluster;
        }
    }
}

fn tell_recovered(member: u64, recovered: &Recovered) {
    let Recovered { damage, aside, cluster } = recovered;
    for what in damage {
        say(format_args!("found: {what}"));
    }
    for folder in aside {
        say(format_args!("moved aside: {}", folder.display()));
    }
    match cluster {
        Some(cluster) => {
            say(format_args!("member {member} stays a member of ensemble {cluster}, and of no other"));
        }
        None => say(format_args!(
            "of which ensemble member {member} was can no longer be read: be sure that its addresses are right"
        )),
    }
    say(format_args!(
        "start it again: it is sent everything by the others, and has no vote until then. What was moved aside can be \
         deleted when it serves"
    ));
}

fn tell_survivor(survivor: &Survivor) {
    let Survivor { member, cluster, voters, last, committed, zxid, znodes, sessions } = survivor;
    let of = cluster.map_or_else(|| "that has no name".to_owned(), |cluster| cluster.to_string());
    let voters: Vec<String> = voters.iter().map(ToString::to_string).collect();
    say(format_args!("member {member} was in ensemble {of}, in which {} voted", voters.join(", ")));
    say(format_args!("its log ends with {last}"));
    match committed {
        Some(committed) => say(format_args!("it knew to be acknowledged by a majority: up to {committed}")),
        None => say("it knew of nothing that was acknowledged by a majority"),
    }
    say(format_args!("its world has {znodes} znodes, and its last zxid is {zxid}"));
    say(
        "WHAT MAY BE LOST: every write behind that zxid. A write that the lost members acknowledged without this one is",
    );
    say(
        "gone for good, and nobody can tell whether there was one. What this member has is kept, also what was never",
    );
    say("acknowledged.");
    say(format_args!(
        "ALL {sessions} SESSIONS END, with their ephemerals and watches: clients may have seen what is lost."
    ));
}

fn tell_forced(forced: &Forced) {
    for folder in &forced.aside {
        say(format_args!("moved aside: {}", folder.display()));
    }
    say(format_args!(
        "member {} is ensemble {} now, alone; its zxids begin behind {}",
        forced.survivor.member, forced.cluster, forced.zxid
    ));
    say(
        "the lost members can never join it with what they have: empty their directories before they are added again",
    );
}
