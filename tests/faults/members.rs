//! Members that are replaced, or go and come back, while clients ask.

use std::fs;
use std::process::Command;
use std::time::Duration;

use fastrand::Rng;

use super::disks;
use crate::{Ensemble, corral, wait};

/// What the members' `zoo.cfg` must say, so that they may be changed by whoever has the super user's password.
pub const CHANGEABLE: [&str; 2] = ["reconfigEnabled=true", SUPER_DIGEST];

const SUPER: &str = "digest:super:secret";
const SUPER_DIGEST: &str = "DigestAuthenticationProvider.superDigest=super:lK75jTNcA+U9vtVEw5vB51mj/w4=";

/// Makes one change of members, and says which. All named members run then.
pub(super) fn change(ensemble: &mut Ensemble, rng: &mut Rng, id: usize) -> String {
    if rng.bool() { replace(ensemble, id) } else { leave_and_return(ensemble, rng, id) }
}

/// A member dies with its disk, and another takes its place, with the same number and at another address.
fn replace(ensemble: &mut Ensemble, id: usize) -> String {
    disks::await_all_caught_up(ensemble);
    ensemble.kill9(id);
    disks::empty(ensemble, id);
    // The port that ZooKeeper would elect at is nobody's here.
    let file = ensemble.directory(id).join("zoo.cfg");
    let text = fs::read_to_string(&file).expect("a member has a zoo.cfg");
    let stem = format!("server.{id}=127.0.0.1:");
    let moved = text.lines().map(|line| {
        let ports = line.strip_prefix(&stem).and_then(|ports| ports.split_once(':'));
        ports.map_or_else(|| line.to_owned(), |(peer, election)| format!("{stem}{election}:{peer}"))
    });
    let moved: String = moved.map(|line| line + "\n").collect();
    fs::write(&file, moved).expect("a member's zoo.cfg can be written");
    let line = line(ensemble, id);
    ask(ensemble, id, &["replace", &id.to_string(), &line]);
    ensemble.start_member(id);
    format!("{id} was replaced")
}

/// A member is removed and ends; after a while it is added and started again, with what it has.
fn leave_and_return(ensemble: &mut Ensemble, rng: &mut Rng, id: usize) -> String {
    ask(ensemble, id, &["remove", &id.to_string()]);
    ensemble.stop(id);
    let millis = rng.u64(0..=3_000);
    std::thread::sleep(Duration::from_millis(millis));
    // It has to run to be in step.
    ensemble.start_member(id);
    let line = line(ensemble, id);
    ask(ensemble, id, &["add", &line]);
    format!("{id} was away for {millis} ms")
}

/// A member's line, as its own file has it, with its role and where its clients find it.
fn line(ensemble: &Ensemble, id: usize) -> String {
    let text = fs::read_to_string(ensemble.directory(id).join("zoo.cfg")).expect("a member has a zoo.cfg");
    let own = text.lines().find(|line| line.starts_with(&format!("server.{id}=")));
    format!("{}:participant;{}", own.expect("a member has a line of its own"), ensemble.address(id))
}

/// Says it on the command line to the others, one after the other, until it is done.
///
/// # Panics
/// If that does not come to be.
fn ask(ensemble: &Ensemble, but: usize, words: &[&str]) {
    let mut why = String::new();
    let done = wait::within(wait::PATIENCE, || {
        ensemble.ids().filter(|id| *id != but && ensemble.pid(*id).is_some()).find_map(|through| {
            let mut command = Command::new(corral().expect("there is a server under test"));
            command.args(["member", "--server", &ensemble.address(through).to_string()]).args(words);
            let said = command.env("CORRAL_AUTH", SUPER).output().expect("ask for other members");
            why = String::from_utf8_lossy(&said.stderr).into_owned();
            said.status.success().then_some(())
        })
    });
    assert!(done.is_some(), "`corral member {}`: {why}", words.join(" "));
}
