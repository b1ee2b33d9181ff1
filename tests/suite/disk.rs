//! Members whose disks are damaged, fail or are lost.
#![allow(clippy::unwrap_used, reason = "a test that finds nothing where something should be has failed")]

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use harness::ask::flags::PERSISTENT;
use harness::disk::Fault;
use harness::{Ask, Connection, Ensemble, Plan, Server, corral, wait};

#[path = "disk/fixture.rs"]
mod fixture;

/// Longer than any fault of a test.
const TIMEOUT_MS: i32 = 20_000;

/// Data that no other znode has, and that does not compress.
fn data(number: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(number as u64);
    std::iter::repeat_with(|| random.u8(..)).take(300).collect()
}

/// Creates znodes on a member; each is acknowledged.
fn fill(ensemble: &Ensemble, member: usize, numbers: std::ops::Range<usize>) {
    let (mut client, _) = Connection::open(ensemble.address(member), TIMEOUT_MS);
    for number in numbers {
        let created = client.call(&Ask::create(&format!("/filled-{number}"), &data(number), PERSISTENT));
        assert_eq!(created.err, 0, "create {number}");
    }
}

/// Members of Corral's own, whatever is under test, of which the leader, also told, has created this many znodes.
fn filled(plan: Plan, znodes: usize) -> (Ensemble, usize) {
    let ensemble = Ensemble::start(&Plan { server: Server::Corral, ..plan });
    let leader = ensemble.wait_for_leader();
    fill(&ensemble, leader, 0..znodes);
    (ensemble, leader)
}

/// That a member has all of it.
#[track_caller]
fn holds(ensemble: &Ensemble, member: usize, numbers: std::ops::Range<usize>) {
    let (mut client, _) = Connection::open(ensemble.address(member), TIMEOUT_MS);
    client.call(&Ask::sync("/"));
    for number in numbers {
        let read = client.call(&Ask::get_data(&format!("/filled-{number}"), false));
        assert_eq!(read.err, 0, "member {member} lacks /filled-{number}");
        assert_eq!(read.data().0.as_deref(), Some(&*data(number)), "/filled-{number} on member {member}");
    }
}

/// Runs the command line.
fn run(arguments: &[&str]) -> Output {
    Command::new(corral().unwrap()).args(arguments).output().unwrap()
}

fn recover(ensemble: &Ensemble, member: usize, flags: &[&str]) -> Output {
    let zoo_cfg = ensemble.directory(member).join("zoo.cfg");
    run(&[&["recover", zoo_cfg.to_str().unwrap()], flags].concat())
}

fn said(output: &Output) -> String {
    [&*output.stdout, &*output.stderr].map(String::from_utf8_lossy).concat()
}

/// Starts a member that is to refuse, and returns the last line that it says.
#[track_caller]
fn refusal(ensemble: &mut Ensemble, member: usize) -> String {
    ensemble.start_member(member);
    let status = ensemble.await_end(member);
    assert_eq!(status.code(), Some(1), "it ended otherwise");
    ensemble.log(member).lines().last().unwrap_or_default().to_owned()
}

fn log_of(ensemble: &Ensemble, member: usize) -> PathBuf {
    ensemble.directory(member).join("data/log")
}

/// The digest and the zxid of the state of a member that does not run.
fn digest(ensemble: &Ensemble, member: usize) -> (String, String) {
    let state = ensemble.directory(member).join("data/state");
    let output = run(&["inspect", "state", "--summary", "--json", state.to_str().unwrap()]);
    let found: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(&output)));
    let text = |key: &str| found[key].as_str().unwrap().to_owned();
    (text("zxid"), text("digest"))
}

/// All members end, and left the same world behind. Whoever is told to end waits for what it proposed itself, and not for what
/// others have done meanwhile: so they are first waited for until they stand at one place.
#[track_caller]
fn are_equal_at_rest(ensemble: &mut Ensemble) {
    let place = |id: usize| {
        let says = ensemble.four_letter(id, "srvr").ok()?;
        says.lines().find_map(|line| line.strip_prefix("Zxid: ")).map(str::to_owned)
    };
    wait::until("all members stood at one place", || {
        let places: Option<Vec<String>> = ensemble.ids().map(place).collect();
        places.filter(|places| places.iter().all(|place| *place == places[0])).map(drop)
    });
    ensemble.stop_all();
    let digests: Vec<_> = ensemble.ids().map(|id| digest(ensemble, id)).collect();
    assert!(digests.iter().all(|found| *found == digests[0]), "the worlds differ: {digests:?}");
}

/// One bit is flipped in a file below `dir` with this ending that holds `needle`.
#[track_caller]
fn flip(dir: &Path, ending: &str, needle: &[u8]) {
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let mut bytes = fs::read(&path).unwrap();
            let at = bytes.windows(needle.len()).position(|window| window == needle);
            if let Some(at) = at.filter(|_| path.to_string_lossy().ends_with(ending)) {
                bytes[at] ^= 1;
                fs::write(&path, bytes).unwrap();
                return;
            }
        }
    }
    panic!("no file in {} that ends with {ending} holds the bytes", dir.display());
}

/// After `recover` a member is what the others are.
#[track_caller]
fn is_healed(ensemble: &mut Ensemble, member: usize, numbers: std::ops::Range<usize>) {
    let recovered = recover(ensemble, member, &[]);
    assert!(recovered.status.success(), "{}", said(&recovered));
    let words = said(&recovered);
    assert!(words.contains("found: ") && words.contains("moved aside: "), "{words}");
    ensemble.start_member(member);
    ensemble.wait_until_serving();
    holds(ensemble, member, numbers);
    are_equal_at_rest(ensemble);
}

#[test]
fn a_torn_last_record_is_cut_off_and_nothing_acknowledged_is_lost() {
    let (mut ensemble, _) = filled(Plan::members(3), 40);
    for id in ensemble.ids() {
        holds(&ensemble, id, 0..40);
    }
    let torn = ensemble.follower();
    for id in ensemble.ids() {
        ensemble.kill9(id);
    }
    let mut files: Vec<_> = fs::read_dir(log_of(&ensemble, torn))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "log"))
        .collect();
    files.sort();
    let newest = OpenOptions::new().write(true).open(files.last().unwrap()).unwrap();
    let bytes = newest.metadata().unwrap().len();
    newest.set_len(bytes - 7).unwrap();
    for id in ensemble.ids() {
        ensemble.start_member(id);
    }
    ensemble.wait_until_serving();
    for id in ensemble.ids() {
        holds(&ensemble, id, 0..40);
    }
}

#[test]
fn a_damaged_record_in_the_middle_of_the_log_is_refused_and_recovered() {
    let (mut ensemble, _) = filled(Plan::members(3), 40);
    let damaged = ensemble.follower();
    holds(&ensemble, damaged, 0..40);

    let running = recover(&ensemble, damaged, &["--even-if-well"]);
    assert_eq!(running.status.code(), Some(1));
    assert!(said(&running).contains("runs: "), "{}", said(&running));

    ensemble.kill9(damaged);
    let well = recover(&ensemble, damaged, &[]);
    assert_eq!(well.status.code(), Some(1));
    assert!(said(&well).contains("nothing is wrong"), "{}", said(&well));

    flip(&log_of(&ensemble, damaged), ".log", &data(20)[..64]);
    let last = refusal(&mut ensemble, damaged);
    assert!(last.contains("is damaged") && last.contains("run `corral recover`"), "{last}");
    is_healed(&mut ensemble, damaged, 0..40);
}

#[test]
fn a_damaged_state_is_refused_and_recovered() {
    let (mut ensemble, _) = filled(Plan::members(3), 40);
    let damaged = ensemble.follower();
    holds(&ensemble, damaged, 0..40);
    // In order, so that all of it is in a table.
    ensemble.stop(damaged);
    flip(&ensemble.directory(damaged).join("data/state"), ".sst", &data(20)[..64]);
    let last = refusal(&mut ensemble, damaged);
    assert!(last.contains("the state") && last.contains("run `corral recover`"), "{last}");
    is_healed(&mut ensemble, damaged, 0..40);
}

#[test]
fn a_lost_data_folder_is_filled_again() {
    let (mut ensemble, _) = filled(Plan::members(3), 40);
    let lost = ensemble.follower();
    ensemble.kill9(lost);
    fs::remove_dir_all(log_of(&ensemble, lost)).unwrap();
    fs::remove_dir_all(ensemble.directory(lost).join("data/state")).unwrap();
    is_healed(&mut ensemble, lost, 0..40);
}

#[test]
fn the_log_of_another_member_is_refused() {
    let (mut ensemble, _) = filled(Plan::members(3), 5);
    ensemble.stop_all();
    let (one, other) = (log_of(&ensemble, 1), log_of(&ensemble, 2));
    fs::remove_dir_all(&one).unwrap();
    fs::rename(&other, &one).unwrap();
    let last = refusal(&mut ensemble, 1);
    assert!(last.contains("is that of member 2, and this is member 1"), "{last}");
}

/// A disk that fails ends the member, with its last line and its exit code; the others go on, and all that was
/// acknowledged is there when it comes back.
fn ends_with(fault: Fault, part_of_path: &str, expected: &str) {
    // The state is made firm after every few entries, or no write of it would be seen.
    let plan = Plan::members(3).faulty_disks().line("corral.snapshotEvery=20").line("corral.logKeep=20");
    let (mut ensemble, leader) = filled(plan, 30);
    let broken = ensemble.follower();
    ensemble.break_disk(broken, Some((fault, part_of_path)));
    fill(&ensemble, leader, 30..130);
    let status = ensemble.await_end(broken);
    let log = ensemble.log(broken);
    assert_eq!(status.code(), Some(1), "{log}");
    let last = log.lines().last().unwrap_or_default();
    assert!(last.contains("has stopped: the error that is logged above must be looked at"), "{last}");
    assert!(log.contains(expected), "nothing of `{expected}` in\n{log}");
    holds(&ensemble, leader, 0..130);
    ensemble.break_disk(broken, None);
    ensemble.start_member(broken);
    ensemble.wait_until_serving();
    holds(&ensemble, broken, 0..130);
    are_equal_at_rest(&mut ensemble);
}

#[test]
fn a_failing_sync_of_the_log_ends_the_member() {
    ends_with(Fault::Sync, "/data/log/", "the log cannot be written");
}

#[test]
fn a_failing_write_of_the_log_ends_the_member() {
    ends_with(Fault::Write, "/data/log/", "the log cannot be written");
}

#[test]
fn a_full_disk_ends_the_member() {
    ends_with(Fault::Full, "/data/", "No space left on device");
}

#[test]
fn a_failing_write_of_the_state_ends_the_member() {
    ends_with(Fault::Write, "/data/state/", "make the state safe");
}

#[test]
fn a_failing_sync_of_the_state_ends_the_member() {
    ends_with(Fault::Sync, "/data/state/", "make the state safe");
}

#[test]
fn a_leader_whose_disk_fails_loses_nothing_that_it_acknowledged() {
    let (mut ensemble, leader) = filled(Plan::members(3).faulty_disks(), 30);
    let (mut client, _) = Connection::open(ensemble.address(leader % 3 + 1), TIMEOUT_MS);
    ensemble.break_disk(leader, Some((Fault::Sync, "/data/log/")));
    let mut acknowledged = 30;
    while acknowledged < 60 {
        let asked = Ask::create(&format!("/filled-{acknowledged}"), &data(acknowledged), PERSISTENT);
        assert_eq!(client.call(&asked).err, 0);
        acknowledged += 1;
    }
    assert_eq!(ensemble.await_end(leader).code(), Some(1));
    ensemble.break_disk(leader, None);
    ensemble.start_member(leader);
    ensemble.wait_until_serving();
    for id in ensemble.ids() {
        holds(&ensemble, id, 0..60);
    }
}

#[test]
fn the_last_of_three_members_goes_on_alone() {
    let (mut ensemble, _) = filled(Plan::members(3), 40);
    for id in ensemble.ids() {
        holds(&ensemble, id, 0..40);
    }
    for id in ensemble.ids() {
        ensemble.kill9(id);
    }
    let asked = recover(&ensemble, 3, &["--force-new-ensemble"]);
    assert_eq!(asked.status.code(), Some(1));
    assert!(said(&asked).contains("WHAT MAY BE LOST") && said(&asked).contains("nothing was done"));
    let forced = recover(&ensemble, 3, &["--force-new-ensemble", "--accept-data-loss"]);
    assert!(forced.status.success(), "{}", said(&forced));

    ensemble.start_member(3);
    wait::until("the last member serves alone", || {
        ensemble.four_letter(3, "srvr").ok().filter(|told| told.contains("Mode: "))
    });
    holds(&ensemble, 3, 0..40);
    fill(&ensemble, 3, 40..50);
    let (_, welcome) = Connection::open(ensemble.address(3), TIMEOUT_MS);
    assert!(welcome.session != 0);

    // The others come back after all: they may go on among themselves, and have nothing to say to this one.
    ensemble.start_member(1);
    ensemble.start_member(2);
    wait::until("member 3 says that it has refused the others", || {
        ensemble.log(3).contains("a member of another ensemble called and was refused").then_some(())
    });
    holds(&ensemble, 3, 0..50);
}
