//! Curator's caches and a map of our own, all with the Java client, while members die.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use harness::tree::Tree;
use harness::{Ensemble, java_class_path, wait};
use rustix::process::{Pid, Signal, kill_process};

use crate::changes::{Changes, Event, ROOT};

/// The map by hand; and Curator's caches, each as it is used to be used and deaf to lost connections.
const CACHES: [&str; 7] =
    ["mirror", "usual-tree", "usual-cache", "usual-bridge", "deaf-tree", "deaf-cache", "deaf-bridge"];

#[test]
fn caches_learn_from_their_watches_what_was_changed_while_members_died() {
    let mut ensemble = Ensemble::three();
    let changes = Changes::prepare(&ensemble.addresses());
    let mut caches = Caches::start(&ensemble);
    changes.make(60);

    for _ in 0..2 {
        let leader = ensemble.wait_for_leader();
        changes.begin(60);
        ensemble.kill9(leader);
        changes.wait();
        ensemble.start_member(leader);
        ensemble.wait_until_serving();
    }
    for client in ["mirror", "deaf", "usual"] {
        // The program stands still while its member dies and the others go on: this it can only have missed.
        let home = caches.home(&ensemble, client);
        caches.signal(Signal::STOP);
        ensemble.kill9(home);
        changes.make(60);
        caches.signal(Signal::CONT);
        changes.make(20);
        ensemble.start_member(home);
        ensemble.wait_until_serving();
    }

    let expected = changes.finish();
    let events = wait::within(wait::PATIENCE, || {
        let events = caches.events();
        (events.last().map(|(_, event)| event) == expected.last() && events.len() >= expected.len())
            .then_some(events)
    })
    .unwrap_or_else(|| caches.events());
    let (told, repeats) = once_each(events);
    let same = told.iter().zip(&expected).take_while(|(told, expected)| told == expected).count();
    assert!(
        told == expected,
        "told of {} changes where {} were made; after the first {same} told {:?} and not {:?}",
        told.len(),
        expected.len(),
        told.iter().skip(same).take(3).collect::<Vec<_>>(),
        expected.iter().skip(same).take(3).collect::<Vec<_>>(),
    );
    println!("{} changes, {repeats} of them told twice", expected.len());

    let tree = Tree::read(ensemble.address(1), ROOT).unwrap();
    let right: BTreeSet<String> = tree
        .0
        .iter()
        .map(|(path, znode)| {
            let text = String::from_utf8_lossy(znode.data.as_deref().unwrap_or_default());
            format!("{path} {} {} {text}", znode.stat.mzxid, znode.stat.version)
        })
        .collect();
    let wrong = |caches: &mut Caches| {
        let contents = caches.contents();
        CACHES.iter().find_map(|cache| {
            let content = contents.get(*cache).cloned().unwrap_or_default();
            let difference: Vec<&String> = content.symmetric_difference(&right).collect();
            (!difference.is_empty()).then(|| format!("{cache}: {difference:#?}"))
        })
    };
    let converged = wait::within(wait::PATIENCE, || wrong(&mut caches).is_none().then_some(()));
    assert!(converged.is_some(), "a cache does not hold what the tree holds: {:?}", wrong(&mut caches));
    caches.end();
}

/// The changes in the order of the events, and how many came again: what was delivered right before a connection broke
/// may be. It is the same event then, with the same zxid.
fn once_each(events: Vec<(i64, Event)>) -> (Vec<Event>, usize) {
    let mut seen = BTreeSet::new();
    let count = events.len();
    let told: Vec<Event> =
        events.into_iter().filter(|event| seen.insert(event.clone())).map(|(_, event)| event).collect();
    let repeats = count - told.len();
    (told, repeats)
}

/// The program, ended with the test.
struct Caches {
    child: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Caches {
    fn start(ensemble: &Ensemble) -> Self {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/curator/Caches.java");
        // Java compiles it on the way.
        let mut child = Command::new("java")
            .args(["-Xmx256m", "-cp", &java_class_path().unwrap()])
            .arg(program)
            .args([&ensemble.connect_string(), ROOT])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let questions = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let mut caches = Self { child, questions, answers };
        assert_eq!(caches.line(), "ready");
        caches
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "the program of the caches ended; see above");
        line.trim_end_matches('\n').to_owned()
    }

    fn ask(&mut self, question: &str) -> Vec<String> {
        writeln!(self.questions.as_mut().unwrap(), "{question}").unwrap();
        std::iter::from_fn(|| Some(self.line()).filter(|line| line != ".")).collect()
    }

    /// The member that a client is connected to.
    fn home(&mut self, ensemble: &Ensemble, client: &str) -> usize {
        let addresses = ensemble.addresses();
        wait::until("the caches' client was connected", || {
            let homes = self.ask("homes");
            let home = homes.iter().find_map(|line| line.strip_prefix(client))?.trim();
            let home: SocketAddr = home.parse().ok()?;
            Some(addresses.iter().position(|address| *address == home)? + 1)
        })
    }

    /// What the map by hand was told, with zxids.
    fn events(&mut self) -> Vec<(i64, Event)> {
        let parse = |line: &String| {
            let mut parts = line.splitn(3, ' ');
            let zxid = parts.next()?.parse().ok()?;
            let kind = parts.next()?.parse().ok()?;
            Some((zxid, (kind, parts.next()?.to_owned())))
        };
        self.ask("events").iter().map(|line| parse(line).unwrap()).collect()
    }

    /// The caches by name, and what each holds: path, mzxid, version and data.
    fn contents(&mut self) -> BTreeMap<String, BTreeSet<String>> {
        let mut contents: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for line in self.ask("caches") {
            let (cache, znode) = line.split_once(' ').unwrap();
            contents.entry(cache.to_owned()).or_default().insert(znode.to_owned());
        }
        contents
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// The program ends by itself when nobody asks any more, and says whether a session was lost.
    fn end(mut self) {
        drop(self.questions.take());
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}; see above");
    }
}

impl Drop for Caches {
    fn drop(&mut self) {
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }
}
