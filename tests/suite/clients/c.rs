//! ZooKeeper's C client, as Debian packages it: a program of ours prints what it prints against ZooKeeper.
//!
//! The expected text is not written by hand. `CORRAL_GOLDEN_FROM_APACHE=1 cargo test -p tests --test clients c_client`
//! writes it anew from members of Apache ZooKeeper 3.9.5; then read the diff.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use harness::ask::flags::PERSISTENT;
use harness::{Ask, Ensemble, Server, Session, scratch};

use crate::program::{Program, heal, of_all_kinds, sources};

#[test]
fn the_c_client_makes_its_calls() {
    check("calls");
}

#[test]
fn the_c_client_makes_its_asynchronous_calls() {
    check("asynchronous-calls");
}

#[test]
fn the_c_clients_watches_tell_and_are_taken_away() {
    check("watches");
}

#[test]
fn the_c_client_takes_sessions_up_again_and_hears_of_dead_ones() {
    check("sessions");
}

#[test]
fn the_c_client_has_each_call_answered_once_when_its_member_dies() {
    check("failover");
}

#[test]
fn the_c_client_makes_containers_and_znodes_with_a_time_to_live() {
    check("types");
}

/// Runs one part of the program; what it prints must be what it prints against ZooKeeper.
#[track_caller]
fn check(part: &str) {
    let golden = folder().join("expected").join(part).with_extension("txt");
    let write_anew = std::env::var_os("CORRAL_GOLDEN_FROM_APACHE").is_some();
    let mut plan = of_all_kinds(200);
    if write_anew {
        plan.server = Server::Apache39;
    }
    let mut ensemble = Ensemble::start(&plan);
    let printed = run(&mut ensemble, part);
    if write_anew {
        std::fs::write(golden, printed).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&golden).unwrap();
    let mut differences = Vec::new();
    for (number, (expected, printed)) in expected.lines().zip(printed.lines()).enumerate() {
        if expected != printed {
            differences.push(format!("line {}: `{expected}`, and now `{printed}`", number + 1));
        }
    }
    if expected.lines().count() != printed.lines().count() {
        differences.push(format!("{} lines, and now {}", expected.lines().count(), printed.lines().count()));
    }
    assert!(differences.is_empty(), "not as against ZooKeeper:\n{}\n\n{printed}", differences.join("\n"));
}

/// What the program prints, but for what it says to us.
#[track_caller]
fn run(ensemble: &mut Ensemble, part: &str) -> String {
    let mut program = Program::start(Command::new(program()).args([&ensemble.connect_string(), part]));
    let mut printed = String::new();
    let mut killed = Vec::new();
    while let Some(line) = program.line() {
        let Some(wish) = line.strip_prefix("! ") else {
            printed.push_str(&line);
            printed.push('\n');
            continue;
        };
        let words: Vec<&str> = wish.split([' ', ',']).filter(|word| !word.is_empty()).collect();
        match words[..] {
            ["kill", address, "make", new, "set", old] => {
                let address: SocketAddr = address.parse().unwrap();
                let victim = ensemble.ids().find(|id| ensemble.address(*id) == address).unwrap();
                ensemble.kill9(victim);
                killed.push(victim);
                let members: Vec<_> =
                    ensemble.ids().filter(|id| *id != victim).map(|id| ensemble.address(id)).collect();
                let mut session = Session::open(&members, 20_000).unwrap();
                // Nobody else touches these two: that it was done already is as good.
                let made = session.insist(&Ask::create(new, b"", PERSISTENT)).unwrap();
                assert!([0, -110].contains(&made.err), "{new}: {}", made.err);
                assert_eq!(session.insist(&Ask::set_data(old, b"", -1)).unwrap().err, 0);
            }
            ["heal"] => heal(ensemble, &mut killed),
            _ => panic!("the program says `{wish}`"),
        }
        program.answer("done");
    }
    let status = program.wait();
    assert!(status.success(), "the program failed ({status}); see above. It printed:\n{printed}");
    printed
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/c")
}

/// The program, compiled once in each run of the tests.
fn program() -> &'static Path {
    static COMPILED: OnceLock<PathBuf> = OnceLock::new();
    COMPILED.get_or_init(|| {
        let program = scratch().join("c-client");
        // Two test runs at once must not write the same file.
        let compiled = scratch().join(format!("c-client-{}", std::process::id()));
        let status = Command::new("cc")
            .args(["-std=c11", "-D_GNU_SOURCE", "-DTHREADED", "-O1", "-Wall", "-Wextra", "-Werror", "-o"])
            .arg(&compiled)
            .args(sources(&folder(), "c"))
            .args(["-lzookeeper_mt", "-lpthread"])
            .status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "the C program does not compile: `apt-get install gcc libzookeeper-mt-dev`"
        );
        std::fs::rename(compiled, &program).unwrap();
        program
    })
}
