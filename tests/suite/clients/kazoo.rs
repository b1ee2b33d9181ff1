//! kazoo from PyPI: its recipes, each of them across the death of a leader.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use harness::{Ensemble, scratch};

#[test]
fn kazoos_recipes_live_through_the_death_of_a_leader() {
    let python = python_with_kazoo();
    let mut ensemble = Ensemble::three();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/kazoo/recipes.py");
    let mut recipes = Recipes(
        Command::new(python)
            .arg(script)
            .arg(ensemble.connect_string())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut answers = recipes.0.stdin.take().unwrap();
    let mut killed = Vec::new();
    let mut deaths = 0;
    for line in BufReader::new(recipes.0.stdout.take().unwrap()).lines() {
        match line.unwrap().as_str() {
            "kill the leader" => {
                let leader = ensemble.wait_for_leader();
                ensemble.kill9(leader);
                killed.push(leader);
                deaths += 1;
            }
            "heal" => {
                for member in killed.drain(..) {
                    ensemble.start_member(member);
                }
                ensemble.wait_until_serving();
            }
            "all good" => break,
            other => panic!("recipes.py says `{other}`"),
        }
        // If the script has ended, its exit code says more than a broken pipe.
        let _answered = answers.write_all(b"done\n");
    }
    let status = recipes.0.wait().unwrap();
    assert!(status.success(), "a recipe of kazoo does not keep its promise ({status}); see above");
    assert_eq!(deaths, 10, "each recipe, and each half of queue and barrier, is asked to see a leader die");
}

/// The script, ended with the test.
struct Recipes(Child);

impl Drop for Recipes {
    fn drop(&mut self) {
        let _ended = self.0.kill().and_then(|()| self.0.wait());
    }
}

/// A Python that has the pinned kazoo, in a folder of its own beside what cargo builds.
fn python_with_kazoo() -> PathBuf {
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
