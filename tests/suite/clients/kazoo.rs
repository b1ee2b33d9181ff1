//! kazoo from PyPI: its recipes and its watches, while members die.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use harness::ask::flags::PERSISTENT;
use harness::{Answer, Ask, Ensemble, Session, scratch};
use rustix::process::Signal;

use crate::program::{Program, heal, kill_the_leader};

#[test]
fn kazoos_recipes_live_through_the_death_of_a_leader() {
    let mut ensemble = Ensemble::three();
    let mut script = start("recipes.py", &ensemble);
    let mut killed = Vec::new();
    let mut deaths = 0;
    while let Some(wish) = wish(&mut script) {
        match wish.as_str() {
            "kill the leader" => {
                kill_the_leader(&mut ensemble, &mut killed);
                deaths += 1;
            }
            "heal" => heal(&mut ensemble, &mut killed),
            other => panic!("recipes.py says `{other}`"),
        }
        script.answer("done");
    }
    assert_eq!(deaths, 10, "each recipe, and each half of queue and barrier, is asked to see a leader die");
}

#[test]
fn kazoo_is_told_what_it_missed_and_says_nothing_for_it() {
    let mut ensemble = Ensemble::three();
    let mut script = start("watches.py", &ensemble);
    let mut killed = Vec::new();
    let mut deaths = 0;
    while let Some(wish) = wish(&mut script) {
        let words: Vec<&str> = wish.split(' ').collect();
        match words[..] {
            ["away", member, ref changes @ ..] => {
                let victim = match member {
                    "leader" => ensemble.wait_for_leader(),
                    address => {
                        let is_it = |id: &usize| ensemble.address(*id).to_string() == address;
                        ensemble.ids().find(is_it).unwrap()
                    }
                };
                script.signal(Signal::STOP);
                ensemble.kill9(victim);
                let members: Vec<_> =
                    ensemble.ids().filter(|id| *id != victim).map(|id| ensemble.address(id)).collect();
                let mut session = Session::open(&members, 20_000).unwrap();
                for change in changes.chunks_exact(2) {
                    let ask = match change[0] {
                        "create" => Ask::create(change[1], b"", PERSISTENT),
                        "set" => Ask::set_data(change[1], b"", -1),
                        "delete" => Ask::delete(change[1]),
                        other => panic!("watches.py wants `{other}`"),
                    };
                    match session.call(&ask) {
                        Ok(Answer::Reply(reply)) => assert_eq!(reply.err, 0, "{change:?}"),
                        other => panic!("{change:?}: a member that lives hung up: {other:?}"),
                    }
                }
                script.signal(Signal::CONT);
                killed.push(victim);
                deaths += 1;
            }
            ["heal"] => heal(&mut ensemble, &mut killed),
            _ => panic!("watches.py says `{wish}`"),
        }
        script.answer("done");
    }
    assert_eq!(deaths, 3, "the member of one client, the leader, and the member of the recipes' client die");
}

fn start(script: &str, ensemble: &Ensemble) -> Program {
    Program::start(
        Command::new(python_with_kazoo())
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/kazoo").join(script))
            .arg(ensemble.connect_string())
            .env("PYTHONDONTWRITEBYTECODE", "1"),
    )
}

/// What the script asks for next; nothing when all was good.
fn wish(script: &mut Program) -> Option<String> {
    let line = script.line();
    if line.as_deref().is_none_or(|line| line == "all good") {
        let status = script.wait();
        assert!(status.success(), "kazoo does not keep its promise ({status}); see above");
        assert!(line.is_some(), "the script ended before its end");
        return None;
    }
    line
}

/// A Python that has the pinned kazoo, in a folder of its own beside what cargo builds.
pub(crate) fn python_with_kazoo() -> PathBuf {
    let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/kazoo/requirements.txt");
    let wanted = std::fs::read_to_string(&requirements).unwrap();
    let venv = scratch().join("kazoo");
    let (python, installed) = (venv.join("bin/python3"), venv.join("installed.txt"));
    // Two test runs at once must not both install.
    let turn = File::create(scratch().join("kazoo.lock")).unwrap();
    turn.lock().unwrap();
    if std::fs::read_to_string(&installed).is_ok_and(|installed| installed == wanted) {
        return python;
    }
    must(
        Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv),
        "`apt-get install python3-venv`",
    );
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
    must(Command::new(&python).args(pip).arg(&requirements), "kazoo comes from PyPI");
    std::fs::write(installed, wanted).unwrap();
    python
}

#[track_caller]
fn must(command: &mut Command, hint: &str) {
    let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error} ({hint})"));
    assert!(status.success(), "{command:?}: {status} ({hint})");
}
