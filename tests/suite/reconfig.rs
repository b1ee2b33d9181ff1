//! Who may ask for other members, and for which, and that they come and go under load. That nothing comes of a refused request
//! is a part of it.
#![allow(clippy::unwrap_used, reason = "a test that finds nothing where something should be has failed")]

use bytes::BufMut;
use harness::audit::audit;
use harness::{Ask, Connection, Ensemble, Load, Plan, Server};
use proto::jute::write::Writer;

const RECONFIG: i32 = 16;
const TIMEOUT_MS: i32 = 10_000;

const DISABLED: i32 = -123;
const UNIMPLEMENTED: i32 = -6;
const BAD_ARGUMENTS: i32 = -8;
const NO_AUTH: i32 = -102;
const BAD_VERSION: i32 = -103;

/// What a request says: who joins, who leaves, who all members are, and which version is to be replaced.
#[derive(Clone, Copy, Debug, Default)]
struct Wish<'a> {
    joining: Option<&'a str>,
    leaving: Option<&'a str>,
    members: Option<&'a str>,
    version: Option<i64>,
}

impl Wish<'_> {
    fn ask(self) -> Ask {
        Ask::raw(RECONFIG, |out| {
            for list in [self.joining, self.leaving, self.members] {
                match list {
                    Some(list) => out.text(list),
                    None => out.put_i32(-1),
                }
            }
            out.long(self.version.unwrap_or(-1));
        })
    }
}

fn joining(line: &str) -> Wish<'_> {
    Wish { joining: Some(line), ..Wish::default() }
}

fn leaving(ids: &str) -> Wish<'_> {
    Wish { leaving: Some(ids), ..Wish::default() }
}

fn members(lines: &str) -> Wish<'_> {
    Wish { members: Some(lines), ..Wish::default() }
}

#[track_caller]
fn config(client: &mut Connection) -> String {
    let (data, _) = client.call(&Ask::get_data("/zookeeper/config", false)).data();
    String::from_utf8(data.unwrap_or_default().to_vec()).unwrap()
}

#[test]
fn members_are_not_changed_where_it_is_switched_off() {
    let ensemble = Ensemble::three();
    let (mut client, _) = Connection::open(ensemble.address(1), TIMEOUT_MS);
    assert_eq!(client.call(&leaving("3").ask()).err, DISABLED);
}

#[test]
fn a_member_alone_has_no_members() {
    let ensemble = Ensemble::start(&Plan::members(1).line("reconfigEnabled=true"));
    let (mut client, _) = Connection::open(ensemble.address(1), TIMEOUT_MS);
    assert_eq!(client.call(&leaving("3").ask()).err, UNIMPLEMENTED);
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    let ensemble = Ensemble::start(&Plan::members(3).line("reconfigEnabled=true"));
    let (mut client, _) = Connection::open(ensemble.address(2), TIMEOUT_MS);
    harness::wait::until("the members are written down", || (!config(&mut client).is_empty()).then_some(()));
    let before = config(&mut client);
    let (_, version) = before.rsplit_once("\nversion=").unwrap();
    let version = i64::from_str_radix(version, 16).unwrap();
    let rows = [
        (Wish { version: Some(version + 1), ..leaving("3") }, BAD_VERSION),
        (Wish { version: Some(version), ..leaving("3") }, NO_AUTH),
        (leaving("3"), NO_AUTH),
        (leaving("9"), NO_AUTH),
        (joining("server.4"), BAD_ARGUMENTS),
        (joining("server.4=127.0.0.1:5"), BAD_ARGUMENTS),
        (joining("server.4=127.0.0.1:5:6"), BAD_ARGUMENTS),
        (joining("server.4=127.0.0.1:5:6:voter;7"), BAD_ARGUMENTS),
        (joining("server.4=127.0.0.1:5:6;7"), NO_AUTH),
        (members("nonsense"), BAD_ARGUMENTS),
        (members("server.1=127.0.0.1:5:6;7"), BAD_ARGUMENTS),
        (leaving("2,3"), BAD_ARGUMENTS),
        (leaving("1,2,3"), BAD_ARGUMENTS),
    ];
    for (wish, refusal) in rows {
        // Before it asks who asks, ZooKeeper asks whether the new members would be in step.
        let err = client.call(&wish.ask()).err;
        assert_eq!(err, refusal, "{wish:?}");
    }
    // A number that is none is a slip of the client's; ZooKeeper takes it for a body that does not parse.
    let err = client.call(&leaving("three").ask()).err;
    assert_eq!(err, if Server::under_test().is_apache() { -5 } else { BAD_ARGUMENTS });
    assert_eq!(config(&mut client), before);
    assert_eq!(client.call(&Ask::ping()).err, 0);
}

/// The credentials of the super user, and their digest.
const SUPER: &str = "digest:super:secret";
const SUPER_DIGEST: &str = "DigestAuthenticationProvider.superDigest=super:lK75jTNcA+U9vtVEw5vB51mj/w4=";

/// How much every session has to have written before and after each change.
const SOME: u64 = 60;

/// Members from 1 to `all`, of which those up to `first` are in the files of all and run; the others are in their own only.
fn begin(first: usize, all: usize) -> Ensemble {
    let plan = Plan::members(all).line("reconfigEnabled=true").line(SUPER_DIGEST);
    let mut ensemble = Ensemble::prepare(&plan);
    for id in 1..=first {
        let file = ensemble.directory(id).join("zoo.cfg");
        let text = std::fs::read_to_string(&file).unwrap();
        let known = |line: &&str| !(first + 1..=all).any(|new| line.starts_with(&format!("server.{new}=")));
        std::fs::write(file, text.lines().filter(known).fold(String::new(), |all, line| all + line + "\n"))
            .unwrap();
        ensemble.start_member(id);
    }
    ensemble.wait_until_serving();
    ensemble
}

/// A member's line, as its own file has it, with a role and its clients' address.
fn line(ensemble: &Ensemble, id: usize, role: &str) -> String {
    let text = std::fs::read_to_string(ensemble.directory(id).join("zoo.cfg")).unwrap();
    let own = text.lines().find(|line| line.starts_with(&format!("server.{id}="))).unwrap();
    format!("{own}:{role};{}", ensemble.address(id))
}

/// Says it on the command line, to the first of the others, and returns who the members are then.
#[track_caller]
fn member(ensemble: &Ensemble, through: usize, words: &[&str]) -> String {
    let said = std::process::Command::new(harness::corral().unwrap())
        .args(["member", "--server", &ensemble.address(through).to_string()])
        .args(words)
        .env("CORRAL_AUTH", SUPER)
        .output()
        .unwrap();
    assert!(said.status.success(), "{words:?}: {}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8(said.stdout).unwrap()
}

/// A member dies with its disk, and another takes its place, with the same number and elsewhere.
fn replace(ensemble: &mut Ensemble, id: usize) {
    ensemble.kill9(id);
    let data = ensemble.directory(id).join("data");
    std::fs::remove_dir_all(&data).unwrap();
    std::fs::create_dir_all(&data).unwrap();
    std::fs::write(data.join("myid"), format!("{id}\n")).unwrap();
    // The port that ZooKeeper would elect at is nobody's here.
    let file = ensemble.directory(id).join("zoo.cfg");
    let text = std::fs::read_to_string(&file).unwrap();
    let stem = format!("server.{id}=127.0.0.1:");
    let moved =
        text.lines().map(|line| match line.strip_prefix(&stem).and_then(|ports| ports.split_once(':')) {
            Some((peer, election)) => format!("{stem}{election}:{peer}"),
            None => line.to_owned(),
        });
    std::fs::write(&file, moved.fold(String::new(), |all, line| all + &line + "\n")).unwrap();
    let other = ensemble.ids().find(|other| *other != id).unwrap();
    let new = line(ensemble, id, "participant");
    let text = member(ensemble, other, &["replace", &id.to_string(), &new]);
    assert!(text.contains(&new), "{text}");
    ensemble.start_member(id);
    ensemble.wait_until_serving();
}

#[test]
fn each_of_three_members_is_replaced_in_turn_and_nothing_acknowledged_is_lost() {
    if Server::under_test().is_apache() {
        return; // The command is ours.
    }
    let mut ensemble = begin(3, 3);
    let load = Load::start(&ensemble.addresses(), 6);
    for id in ensemble.ids() {
        load.progress(SOME);
        replace(&mut ensemble, id);
        load.progress(SOME);
        let ledgers = load.pause();
        audit(&ensemble.addresses(), &ledgers);
        load.resume();
    }
    eprintln!("{} acknowledged writes", load.acknowledged());
}

#[test]
fn a_fourth_member_comes_as_an_observer_is_promoted_and_two_others_go() {
    if Server::under_test().is_apache() {
        return;
    }
    let mut ensemble = begin(3, 4);
    let (mut client, _) = Connection::open(ensemble.address(1), 60_000);
    harness::wait::until("the members are written down", || (!config(&mut client).is_empty()).then_some(()));
    let (data, _) = client.call(&Ask::get_data("/zookeeper/config", true)).data();
    assert!(data.is_some());
    let load = Load::start(&ensemble.addresses()[..3], 6);
    load.progress(SOME);
    ensemble.start_member(4);
    let four = line(&ensemble, 4, "observer");
    let text = member(&ensemble, 2, &["add", &four]);
    assert!(text.contains(&four), "{text}");
    ensemble.wait_until_serving();
    assert!(ensemble.four_letter(4, "srvr").unwrap().contains("Mode: observer"));
    assert_eq!(client.event(), (3, "/zookeeper/config".to_owned()));
    member(&ensemble, 4, &["promote", "4"]);
    load.progress(SOME);
    harness::wait::until("it follows", || {
        ensemble.four_letter(4, "srvr").ok().filter(|says| says.contains("Mode: follower")).map(drop)
    });

    // First one that follows, then the one that leads.
    for _ in 0..2 {
        let leader = ensemble.wait_for_leader();
        let here = |id: &usize| ensemble.pid(*id).is_some();
        let goes = match ensemble.ids().filter(here).count() {
            4 => ensemble.ids().find(|id| *id != leader && *id != 4).unwrap(),
            _ => leader,
        };
        let through = ensemble.ids().find(|id| here(id) && *id != goes).unwrap();
        member(&ensemble, through, &["remove", &goes.to_string()]);
        harness::wait::until("it knows and serves nobody", || {
            let says = ensemble.four_letter(goes, "srvr").ok()?;
            let knows = ensemble.log(goes).contains("is no member any more");
            (knows && says.contains("not currently serving")).then_some(())
        });
        ensemble.stop(goes);
        load.progress(SOME);
    }
    let left: Vec<_> =
        ensemble.ids().filter(|id| ensemble.pid(*id).is_some()).map(|id| ensemble.address(id)).collect();
    assert_eq!(left.len(), 2);
    let ledgers = load.pause();
    audit(&left, &ledgers);
}
