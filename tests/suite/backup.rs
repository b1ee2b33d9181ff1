//! Backups that are taken while clients write, and ensembles that are made out of them.
#![allow(clippy::unwrap_used, reason = "a test that finds nothing where something should be has failed")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use harness::ask::flags::{EPHEMERAL, PERSISTENT};
use harness::connection::Greeting;
use harness::{Ask, Connection, Ensemble, Plan, Server, corral};

/// Longer than any fault of a test.
const TIMEOUT_MS: i32 = 30_000;

const SUPER: &str = "digest:super:secret";
const SUPER_DIGEST: &str = "DigestAuthenticationProvider.superDigest=super:lK75jTNcA+U9vtVEw5vB51mj/w4=";

fn run(arguments: &[&str]) -> Output {
    Command::new(corral().unwrap()).args(arguments).env_remove("CORRAL_AUTH").output().unwrap()
}

fn said(output: &Output) -> String {
    [&*output.stdout, &*output.stderr].map(String::from_utf8_lossy).concat()
}

/// What stands behind a word in what was said.
fn told(output: &Output, word: &str) -> String {
    let said = said(output);
    let line = said.lines().find_map(|line| line.strip_prefix(word));
    line.unwrap_or_else(|| panic!("no {word} in {said}")).trim().to_owned()
}

/// An ensemble, not started, whose members have AdminServers.
struct Operated {
    ensemble: Ensemble,
    admin: Vec<String>,
}

impl Operated {
    fn prepare(plan: &Plan) -> Self {
        let ensemble = Ensemble::prepare(&plan.clone().with_admin());
        let admin = ensemble.ids().map(|id| ensemble.admin(id).unwrap().to_string()).collect();
        Self { ensemble, admin }
    }

    fn start(&mut self) {
        for id in self.ensemble.ids() {
            self.ensemble.start_member(id);
        }
        self.ensemble.wait_until_serving();
    }

    fn zoo_cfg(&self, id: usize) -> String {
        self.ensemble.directory(id).join("zoo.cfg").to_str().unwrap().to_owned()
    }

    fn backup(&self, id: usize, file: &Path, flags: &[&str]) -> Output {
        let asked = ["backup", "--server", &self.admin[id - 1], file.to_str().unwrap()];
        run(&[&asked, flags].concat())
    }

    fn restore(&self, id: usize, file: &Path, flags: &[&str]) -> Output {
        let zoo_cfg = self.zoo_cfg(id);
        run(&[&["restore", file.to_str().unwrap(), &zoo_cfg], flags].concat())
    }

    /// Restores all, and returns the digest that all print.
    #[track_caller]
    fn restore_all(&self, file: &Path, flags: &[&str]) -> String {
        let digests: Vec<String> = self
            .ensemble
            .ids()
            .map(|id| {
                let restored = self.restore(id, file, flags);
                assert!(restored.status.success(), "{}", said(&restored));
                told(&restored, "restored    digest")
            })
            .collect();
        assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
        digests[0].split(',').next().unwrap().to_owned()
    }

    fn folders(&self) -> Vec<PathBuf> {
        self.ensemble.ids().map(|id| self.ensemble.directory(id).join("data")).collect()
    }
}

fn create(client: &mut Connection, path: &str, flags: i32) {
    assert_eq!(client.call(&Ask::create(path, b"data", flags)).err, 0, "{path}");
}

#[test]
fn what_was_acknowledged_before_a_backup_is_in_the_ensemble_that_is_made_of_it() {
    if Server::under_test().is_apache() {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("backup");
    let mut old = Operated::prepare(&Plan::members(3));
    old.start();
    // Through one member, and the backup from another: what it has not applied yet must not be missing.
    let (mut client, welcome) = Connection::open(old.ensemble.address(1), TIMEOUT_MS);
    for number in 0..200 {
        create(&mut client, &format!("/n-{number}"), PERSISTENT);
    }
    create(&mut client, "/goes", EPHEMERAL);
    let taken = old.backup(2, &file, &[]);
    assert!(taken.status.success(), "{}", said(&taken));
    create(&mut client, "/later", PERSISTENT);
    let last = client.call(&Ask::get_data("/later", false)).zxid;
    let again = old.backup(2, &file, &[]);
    assert!(said(&again).contains("is there already"), "{}", said(&again));
    let checked = run(&["restore", "--check", file.to_str().unwrap()]);
    assert!(checked.status.success(), "{}", said(&checked));
    assert_eq!(told(&checked, "digest"), told(&taken, "digest"));
    old.ensemble.stop_all();
    drop(old);

    let mut new = Operated::prepare(&Plan::members(3));
    let digest = new.restore_all(&file, &[]);
    let folders: Vec<String> = new.folders().iter().map(|folder| folder.display().to_string()).collect();
    let compared = run(&[&["digest"], &*folders.iter().map(String::as_str).collect::<Vec<_>>()].concat());
    assert!(compared.status.success() && said(&compared).contains(&digest), "{}", said(&compared));
    new.start();
    for id in new.ensemble.ids() {
        let (mut client, _) = Connection::open(new.ensemble.address(id), TIMEOUT_MS);
        client.call(&Ask::sync("/"));
        for number in 0..200 {
            assert_eq!(
                client.call(&Ask::get_data(&format!("/n-{number}"), false)).data().0.unwrap(),
                &b"data"[..]
            );
        }
        for gone in ["/later", "/goes"] {
            assert_eq!(client.call(&Ask::get_data(gone, false)).err, -101, "{gone}");
        }
        // No client that was with the old ensemble is taken back.
        let path = format!("/new-{id}");
        create(&mut client, &path, PERSISTENT);
        assert!(client.call(&Ask::get_data(&path, false)).zxid > last);
    }
    // The session of the old ensemble is over, wherever its client comes.
    let (_, refused) = Connection::greeted(new.ensemble.address(3), &Greeting::again(&welcome, last));
    assert_eq!(refused.timeout_ms, 0, "{refused:?}");
    let compared = run(&["digest", "--server", &new.admin[0]]);
    assert!(compared.status.success(), "{}", said(&compared));
}

#[test]
fn a_backup_that_is_damaged_or_cut_short_is_refused_and_nothing_is_changed() {
    if Server::under_test().is_apache() {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let (file, damaged) = (scratch.path().join("backup"), scratch.path().join("damaged"));
    let mut operated = Operated::prepare(&Plan::members(1));
    operated.start();
    let (mut client, _) = Connection::open(operated.ensemble.address(1), TIMEOUT_MS);
    for number in 0..50 {
        create(&mut client, &format!("/n-{number}"), PERSISTENT);
    }
    let taken = operated.backup(1, &file, &[]);
    assert!(taken.status.success(), "{}", said(&taken));
    let runs = operated.restore(1, &file, &["--replace"]);
    assert!(said(&runs).contains("runs: "), "{}", said(&runs));
    operated.ensemble.stop(1);
    let before = names(&operated.folders()[0]);

    let whole = fs::read(&file).unwrap();
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 4;
        bytes
    };
    let longer = [&*whole, b"x"].concat();
    for (bytes, expected) in [
        (flipped(3), "is no backup"),
        (flipped(whole.len() / 2), "is damaged"),
        (flipped(whole.len() - 3), "is damaged"),
        (whole[..whole.len() / 2].to_vec(), "is damaged: it is cut short"),
        (whole[..whole.len() - 1].to_vec(), "is damaged: it is cut short"),
        (longer, "is damaged: something stands behind its end"),
    ] {
        fs::write(&damaged, bytes).unwrap();
        let refused = operated.restore(1, &damaged, &["--replace"]);
        assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
        assert!(said(&refused).contains(expected), "{expected}: {}", said(&refused));
    }
    let there = operated.restore(1, &file, &[]);
    assert!(said(&there).contains("add --replace"), "{}", said(&there));
    assert_eq!(names(&operated.folders()[0]), before);

    // A second time it would begin where the first one did: clients have seen higher zxids meanwhile.
    operated.restore_all(&file, &["--replace"]);
    operated.start();
    let back = {
        operated.ensemble.stop(1);
        operated.restore(1, &file, &["--replace"])
    };
    assert_eq!(back.status.code(), Some(1), "{}", said(&back));
    assert!(said(&back).contains("add --zxids-above 0x1"), "{}", said(&back));
    operated.restore_all(&file, &["--replace", "--zxids-above", "0x100000007"]);
    operated.start();
    let (mut client, _) = Connection::open(operated.ensemble.address(1), TIMEOUT_MS);
    assert!(client.call(&Ask::get_data("/n-7", false)).zxid >= 0x2_0000_0000);
}

/// A backup that an older build has given, of the world in `fixtures/data-format-1`. It is read for ever: another format gets
/// another file, and this one stays.
#[test]
fn a_backup_of_format_1_is_restored() {
    if Server::under_test().is_apache() {
        return;
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/backup-format-1");
    let checked = run(&["restore", "--check", file.to_str().unwrap()]);
    assert!(checked.status.success(), "{}", said(&checked));
    assert_eq!(told(&checked, "digest"), "59da99eb161de997, as it should be");
    assert!(!said(&checked).contains("STALE"), "{}", said(&checked));

    let mut operated = Operated::prepare(&Plan::members(1));
    operated.restore_all(&file, &[]);
    operated.start();
    let (mut client, _) = Connection::open(operated.ensemble.address(1), TIMEOUT_MS);
    for number in 0..10 {
        let data = client.call(&Ask::get_data(&format!("/filled-{number}"), false)).data().0.unwrap();
        assert_eq!(data.len(), if number == 3 { 3 } else { 300 }, "/filled-{number}");
    }
    for (path, err) in [("/container", 0), ("/ttl", 0), ("/ephemeral", -101), ("/filled-0/gone", -101)] {
        assert_eq!(client.call(&Ask::exists(path, false)).err, err, "{path}");
    }
    create(&mut client, "/goes-on", PERSISTENT);
}

#[test]
fn a_member_without_a_leader_gives_only_a_backup_that_says_what_it_is() {
    if Server::under_test().is_apache() {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let (file, stale) = (scratch.path().join("backup"), scratch.path().join("stale"));
    let mut operated = Operated::prepare(&Plan::members(3).wired().line("admin.rateLimiterIntervalInMS=0"));
    operated.start();
    let (mut client, _) = Connection::open(operated.ensemble.address(1), TIMEOUT_MS);
    create(&mut client, "/before", PERSISTENT);
    let whole = operated.backup(3, &scratch.path().join("whole"), &["--stale"]);
    assert!(whole.status.success() && !said(&whole).contains("STALE"), "{}", said(&whole));

    operated.ensemble.cut_off(3);
    let (mut client, _) = Connection::open(operated.ensemble.address(1), TIMEOUT_MS);
    create(&mut client, "/acknowledged", PERSISTENT);
    let refused = operated.backup(3, &file, &[]);
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    // A moment later it does not serve at all.
    let why = ["no leader says what is committed", "not currently serving requests"];
    assert!(why.iter().any(|why| said(&refused).contains(why)), "{}", said(&refused));
    assert!(!file.exists());

    let taken = operated.backup(3, &stale, &["--stale"]);
    assert!(taken.status.success(), "{}", said(&taken));
    assert!(told(&taken, "STALE").contains("may be missing"), "{}", said(&taken));
    let checked = run(&["restore", "--check", stale.to_str().unwrap()]);
    assert_eq!(said(&checked), said(&taken));
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn only_who_may_do_everything_at_the_root_may_take_a_backup() {
    if Server::under_test().is_apache() {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("backup");
    let plan = Plan::members(1).line(SUPER_DIGEST).line("admin.rateLimiterIntervalInMS=3600000");
    let mut operated = Operated::prepare(&plan);
    operated.start();
    let (mut client, _) = Connection::open(operated.ensemble.address(1), TIMEOUT_MS);
    assert_eq!(client.call(&Ask::set_acl("/", 31, "digest", "bob:x")).err, 0);
    for (flags, expected) in
        [(&[][..], "403"), (&["--auth", "digest:eve:guess"], "403"), (&["--auth", "sasl:eve"], "401")]
    {
        let refused = operated.backup(1, &file, flags);
        assert_eq!(refused.status.code(), Some(1));
        assert!(said(&refused).contains(expected), "{expected}: {}", said(&refused));
        assert!(!file.exists());
    }
    let taken = operated.backup(1, &file, &["--auth", SUPER]);
    assert!(taken.status.success(), "{}", said(&taken));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let too_soon = operated.backup(1, &scratch.path().join("another"), &["--auth", SUPER]);
    assert!(said(&too_soon).contains("429"), "{}", said(&too_soon));
}
