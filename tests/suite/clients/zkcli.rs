//! ZooKeeper's own command line, as Debian packages it: what it prints must be what it prints against ZooKeeper.
//!
//! The expected text is not written by hand. `CORRAL_GOLDEN_FROM_APACHE=1 cargo test -p tests --test clients zkcli`
//! writes it anew from an ensemble of Apache ZooKeeper; then read the diff.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use harness::ask::flags::PERSISTENT;
use harness::{Ask, Connection, Ensemble, Plan, Server, java_class_path, wait};

const ZKCLI: &str = "/usr/share/zookeeper/bin/zkCli.sh";

/// What the command line of ZooKeeper 3.9 needs besides its own jars: Debian has it for its ZooKeeper.
const COMMONS_CLI: &str = "/usr/share/java/commons-cli.jar";

/// A znode that is asked for between the commands, and what it holds: so the output falls into parts.
const MARK: (&str, &str) = ("/zookeeper/mark", "<mark>");

#[test]
fn zkcli_prints_what_it_prints_against_zookeeper() {
    assert!(Path::new(ZKCLI).exists(), "no {ZKCLI}: `apt-get install zookeeper`");
    check(Server::Apache, Plan::members(3), "session.txt", "expected.txt", || Command::new(ZKCLI));
}

/// All commands of its help, with the command line and the members of ZooKeeper 3.9.
#[test]
fn zkclis_every_command_prints_what_it_prints_against_zookeeper() {
    let plan = Plan::members(3).line("extendedTypesEnabled=true").line("enforceQuota=true");
    check(Server::Apache39, plan, "commands.txt", "commands-expected.txt", || {
        assert!(Path::new(COMMONS_CLI).exists(), "no {COMMONS_CLI}: `apt-get install zookeeper`");
        let mut command = Command::new("java");
        command.args(["-Xmx128m", "-cp", &format!("{}:{COMMONS_CLI}", java_class_path().unwrap())]);
        command.arg("org.apache.zookeeper.ZooKeeperMain");
        command
    });
}

/// Runs a session; what it prints must be what it prints against `peer`.
#[track_caller]
fn check(peer: Server, mut plan: Plan, session: &str, golden: &str, zkcli: impl FnOnce() -> Command) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/zkcli");
    let golden = folder.join(golden);
    let session = std::fs::read_to_string(folder.join(session)).unwrap();
    let write_anew = std::env::var_os("CORRAL_GOLDEN_FROM_APACHE").is_some();
    if write_anew {
        plan.server = peer;
    }
    let ensemble = Ensemble::start(&plan);
    let transcript = run(&ensemble, &session, zkcli());
    if write_anew {
        std::fs::write(golden, transcript).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&golden).unwrap();
    let difference = difference(&expected, &transcript);
    assert!(difference.is_empty(), "zkCli.sh prints something else than against ZooKeeper:\n{difference}");
}

/// Runs the commands and returns them with what each printed.
fn run(ensemble: &Ensemble, session: &str, mut zkcli: Command) -> String {
    let (mut connection, _) = Connection::open(ensemble.address(1), 10_000);
    assert_eq!(connection.call(&Ask::create(MARK.0, MARK.1.as_bytes(), PERSISTENT)).err, 0);

    // One file for both streams: zkCli.sh prints some answers here, some there.
    let printed: PathBuf = ensemble.directory(1).join("zkcli");
    let out = File::create(&printed).unwrap();
    let mut child = zkcli
        .args(["-server", &ensemble.connect_string()])
        .stdin(Stdio::piped())
        .stderr(out.try_clone().unwrap())
        .stdout(out)
        .spawn()
        .unwrap();
    let mark = format!("get {}\n", MARK.0);
    let mut input = format!("sync /\n{mark}");
    for command in session.lines() {
        let command = command
            .replace(" ; ", "\n")
            .replace("{one}", &ensemble.address(2).to_string())
            .replace("{all}", &ensemble.connect_string());
        let _written = write!(input, "{command}\n{mark}");
    }
    input.push_str("quit\n");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let status = wait::within(wait::PATIENCE, || child.try_wait().unwrap());
    if status.is_none() {
        child.kill().and_then(|()| child.wait()).unwrap();
    }
    let printed = std::fs::read_to_string(printed).unwrap();
    assert!(status.is_some(), "zkCli.sh does not come to an end; so far it printed:\n{printed}");
    normalised(session, &printed)
}

/// The transcript without what differs from run to run: times, sessions, ports. Zxids are replaced by their rank, so
/// that which is older and which are the same is still compared. Events are printed by a thread of their own, now
/// above and now below the answer that they belong to: they are listed at the end.
fn normalised(session: &str, printed: &str) -> String {
    let mark = format!("{}\n", MARK.1);
    let mut parts = printed.split(&mark);
    let _before = parts.next();
    let mut transcript = String::new();
    let mut events = String::from("> events\n");
    let told = printed.lines().filter_map(event_zxid).map(|(_, zxid)| zxid);
    let zxids: BTreeSet<u64> = printed.lines().filter_map(zxid).map(|(_, zxid)| zxid).chain(told).collect();
    let commands = session.lines().map(Some).chain([None]);
    for (command, part) in commands.zip(parts) {
        if let Some(command) = command {
            let _written = writeln!(transcript, "> {command}");
        }
        let mut lines: Vec<&str> =
            part.lines().filter(|line| !line.is_empty() && *line != "WATCHER::").collect();
        if command == Some("whoami") {
            // A set, in whatever order.
            lines.sort_unstable();
        }
        for line in lines {
            if line.starts_with("WatchedEvent ") {
                // Whether the connection is up is no business of these commands.
                if !line.contains("type:None") {
                    let _written = match event_zxid(line) {
                        Some((event, zxid)) => {
                            writeln!(events, "{event} zxid: <zxid {}>", zxids.range(..zxid).count())
                        }
                        None => writeln!(events, "{line}"),
                    };
                }
            } else if command.is_some() {
                let _written = writeln!(transcript, "{}", masked(line, &zxids));
            }
        }
    }
    transcript + &events
}

fn zxid(line: &str) -> Option<(&str, u64)> {
    let (name, value) = line.split_once(" = 0x")?;
    let value = u64::from_str_radix(value, 16).ok()?;
    name.ends_with("Zxid").then_some((name, value))
}

/// The zxid that later command lines print behind an event.
fn event_zxid(line: &str) -> Option<(&str, u64)> {
    let (event, zxid) = line.strip_prefix("WatchedEvent ").and(line.split_once(" zxid: "))?;
    Some((event, zxid.parse().ok()?))
}

fn masked(line: &str, zxids: &BTreeSet<u64>) -> String {
    if let Some((name, zxid)) = zxid(line) {
        return format!("{name} = <zxid {}>", zxids.range(..zxid).count());
    }
    if let Some((member, role)) =
        line.split_once("=127.0.0.1:").filter(|(member, _)| member.starts_with("server."))
    {
        return format!("{member}=<host and ports>:{}", role.rsplit(':').next().unwrap_or_default());
    }
    match line.split_once(" = ") {
        Some((name @ ("ctime" | "mtime"), value)) if !value.contains("1970") => format!("{name} = <time>"),
        Some((name @ "ephemeralOwner", value)) if value != "0x0" => format!("{name} = <session>"),
        _ => match line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            Some(list) => {
                let mut names: Vec<&str> = list.split(", ").collect();
                names.sort_unstable();
                format!("[{}]", names.join(", "))
            }
            None => line.to_owned(),
        },
    }
}

/// The commands whose answers differ, with both.
fn difference(expected: &str, actual: &str) -> String {
    let parts = |text: &str| text.split("\n> ").map(str::to_owned).collect::<Vec<_>>();
    let (expected, actual) = (parts(expected), parts(actual));
    let mut difference = String::new();
    for index in 0..expected.len().max(actual.len()) {
        let part = |parts: &[String]| parts.get(index).cloned().unwrap_or_else(|| "(nothing)".into());
        let (expected, actual) = (part(&expected), part(&actual));
        if expected.trim() != actual.trim() {
            let _written = write!(difference, "--- expected\n{expected}\n+++ actual\n{actual}\n");
        }
    }
    difference
}

#[test]
fn masking_keeps_what_says_something() {
    let session = "stat /a\nstat /b";
    let printed = |owner: &str, zxid: &str| {
        format!(
            "noise\n<mark>\ncZxid = 0x{zxid}\nmZxid = 0x{zxid}\nctime = Sun Nov 22\nephemeralOwner = 0x{owner}\n\
             <mark>\n\nWATCHER::\n\nWatchedEvent state:S type:NodeCreated path:/a\ncZxid = 0xffff\nversion = 1\n<mark>\n"
        )
    };
    let expected = normalised(session, &printed("77", "10"));
    assert_eq!(difference(&expected, &normalised(session, &printed("88", "20"))), "");
    assert!(
        difference(&expected, &normalised(session, &printed("0", "10"))).contains("ephemeralOwner = 0x0")
    );
    assert!(
        difference(&expected, &normalised(session, &printed("77", "10").replace("= 1", "= 2")))
            .contains("= 2")
    );
    assert!(expected.ends_with("> events\nWatchedEvent state:S type:NodeCreated path:/a\n"), "{expected}");
    // A zxid that should be older and is not.
    assert_ne!(difference(&expected, &normalised(session, &printed("77", "fffff"))), "");
}
