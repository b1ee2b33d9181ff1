//! Members compared by their digests, while they run and when they do not.
#![allow(clippy::unwrap_used, reason = "a test that finds nothing where something should be has failed")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};

use harness::ask::flags::{EPHEMERAL, PERSISTENT};
use harness::{Ask, Connection, Ensemble, Plan, Server, corral};

/// Longer than any fault of a test.
const TIMEOUT_MS: i32 = 30_000;

/// Runs the command line.
fn run<A: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = A>) -> Output {
    Command::new(corral().unwrap()).args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    [&*output.stdout, &*output.stderr].map(String::from_utf8_lossy).concat()
}

/// The folders of members that do not run.
fn compared(folders: &[PathBuf]) -> Output {
    run([Path::new("digest").as_os_str()].into_iter().chain(folders.iter().map(|folder| folder.as_os_str())))
}

fn data(ensemble: &Ensemble) -> Vec<PathBuf> {
    ensemble.ids().map(|id| ensemble.directory(id).join("data")).collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        if path.is_dir() {
            copy(&path, &to.join(&name));
        } else {
            fs::copy(&path, to.join(&name)).unwrap();
        }
    }
}

#[test]
fn members_that_run_are_compared_at_one_place_while_they_are_written_to() {
    if Server::under_test().is_apache() {
        return;
    }
    let mut ensemble = Ensemble::start(&Plan::members(3).with_admin());
    let admin: Vec<String> = ensemble.ids().map(|id| ensemble.admin(id).unwrap().to_string()).collect();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writers: Vec<_> = ensemble
            .addresses()
            .into_iter()
            .enumerate()
            .map(|(number, address)| {
                let stop = &stop;
                scope.spawn(move || {
                    let (mut client, _) = Connection::open(address, TIMEOUT_MS);
                    let mut written = 0;
                    while !stop.load(Ordering::Relaxed) {
                        let path = format!("/of-{number}-{written}");
                        let flags = if written % 3 == 0 { EPHEMERAL } else { PERSISTENT };
                        assert_eq!(client.call(&Ask::create(&path, b"x", flags)).err, 0);
                        assert_eq!(client.call(&Ask::get_data(&path, true)).err, 0);
                        written += 1;
                    }
                    written
                })
            })
            .collect();
        // Whichever is asked, and also where the first cannot be.
        let somebody = format!("127.0.0.1:1,{}", admin[1]);
        for server in [&admin[0], &admin[2], &somebody] {
            let output = run(["digest", "--server", server]);
            let words = said(&output);
            assert_eq!(output.status.code(), Some(0), "{words}");
            assert!(
                words.contains("member 3: entry ") && words.ends_with("all 3 have the same\n"),
                "{words}"
            );
        }
        stop.store(true, Ordering::Relaxed);
        for writer in writers {
            assert!(writer.join().unwrap() > 0);
        }
    });
    // Who does not answer is named, and is not taken for one that has the same.
    ensemble.kill9(3);
    ensemble.wait_until_serving();
    let output = run(["digest", "--server", &admin[0]]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(said(&output).contains("member 3: not compared: "), "{}", said(&output));
}

#[test]
fn a_member_whose_clock_is_days_off_is_compared_too() {
    if Server::under_test().is_apache() {
        return;
    }
    let ensemble = Ensemble::start(&Plan::members(3).with_admin().shifting_clocks());
    for days in [3, -3] {
        ensemble.shift_clock(2, days * 86_400_000);
        assert_eq!(ensemble.have_one_digest(), Ok(()), "{days} days");
    }
}

#[test]
fn members_that_were_killed_are_compared_where_their_logs_lead() {
    if Server::under_test().is_apache() {
        return;
    }
    let mut ensemble = Ensemble::three();
    let leader = ensemble.wait_for_leader();
    let (mut client, _) = Connection::open(ensemble.address(leader), TIMEOUT_MS);
    for number in 0..50 {
        assert_eq!(client.call(&Ask::create(&format!("/n-{number}"), b"x", PERSISTENT)).err, 0);
    }
    let running = compared(&data(&ensemble));
    assert_eq!(running.status.code(), Some(3), "{}", said(&running));
    assert!(said(&running).contains("runs: "), "{}", said(&running));
    for id in ensemble.ids() {
        ensemble.kill9(id);
    }
    let output = compared(&data(&ensemble));
    let words = said(&output);
    assert_eq!(output.status.code(), Some(0), "{words}");
    assert!(
        words.contains(" entries of its own log: ") && words.contains("all 3 have the same at entry "),
        "{words}"
    );
    // The state of one without its own log is brought there by another's.
    let folders = data(&ensemble);
    fs::remove_dir_all(folders[1].join("log")).unwrap();
    let output = compared(&folders);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains(" entries of another member's log: "), "{}", said(&output));
}

#[test]
fn where_members_differ_is_told_in_words() {
    if Server::under_test().is_apache() {
        return;
    }
    // Two lives that begin with the same data go on in the same log, each by itself.
    let mut ensemble = Ensemble::start(&Plan::members(1));
    let (mut client, _) = Connection::open(ensemble.address(1), TIMEOUT_MS);
    assert_eq!(client.call(&Ask::create("/common", b"", PERSISTENT)).err, 0);
    drop(client);
    ensemble.stop(1);
    let folder = ensemble.directory(1).join("data");
    let lives = ["one", "other"].map(|life| ensemble.directory(1).join(life));
    let before = ensemble.directory(1).join("before");
    copy(&folder, &before);
    for life in &lives {
        fs::remove_dir_all(&folder).unwrap();
        copy(&before, &folder);
        ensemble.start_member(1);
        ensemble.wait_until_serving();
        let (mut client, _) = Connection::open(ensemble.address(1), TIMEOUT_MS);
        let data = life.to_string_lossy().into_owned();
        assert_eq!(client.call(&Ask::create("/changed", data.as_bytes(), PERSISTENT)).err, 0);
        drop(client);
        ensemble.stop(1);
        copy(&folder, life);
    }
    let output = compared(&lives);
    let words = said(&output);
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(words.contains("THEY DIFFER") && words.contains("The first: znode /changed"), "{words}");
    assert!(words.contains("data of "), "{words}");
    let output = compared(&[before.clone(), before]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}
