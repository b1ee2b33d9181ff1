//! Plays a script: members and clients by their names, and what the clients heard.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;

use harness::ask::flags::{EPHEMERAL, PERSISTENT};
use harness::connection::Reply;
use harness::{Ask, Ensemble, Plan, wait};

use crate::Fallible;
use crate::client::{Client, Heard, Manner};

#[derive(Default)]
pub(crate) struct Stage {
    ensemble: Option<Ensemble>,
    /// Which member is called what.
    roles: BTreeMap<String, usize>,
    clients: BTreeMap<String, Client>,
    /// The zxids of the writes that were done, in their order.
    writes: Vec<i64>,
    /// How many snapshots home has been seen to take.
    snapshots: usize,
}

impl goldenscript::Runner for Stage {
    type Command = goldenscript::Command;

    fn run(&mut self, command: &Self::Command, _: &goldenscript::Context) -> Fallible<String> {
        let mut words = Words(command.name.split_whitespace().map(str::to_owned).collect());
        let first = words.next()?;
        let actors = match first.as_str() {
            "members" => self.members(&mut words).map(|()| Vec::new()),
            "home" if self.roles.is_empty() => self.cast(&mut words).map(|()| Vec::new()),
            "home" => self.home_has_it_from_a_snapshot(&mut words).map(|()| Vec::new()),
            "kill" | "start" | "stop" | "pause" | "continue" | "cut-off" | "disconnect" | "rejoin" => {
                self.happen(&first, &mut words).map(|()| Vec::new())
            }
            names => self.act(names, &mut words),
        }?;
        words.end()?;
        Ok(self.told(&actors))
    }

    fn end_script(&mut self) -> Fallible<()> {
        for (name, client) in &mut self.clients {
            let rest = client.take_heard();
            assert!(rest.is_empty(), "what {name} heard was not written down: {rest:?}");
        }
        Ok(())
    }
}

impl Stage {
    fn members(&mut self, words: &mut Words) -> Fallible<()> {
        let mut plan = Plan::members(3);
        if words.flag("wired") {
            plan = plan.wired();
        }
        if words.flag("lagging") {
            plan = plan.line("corral.snapshotEvery=50").line("corral.logKeep=10");
        }
        self.ensemble = Some(Ensemble::start(&plan));
        Ok(())
    }

    fn cast(&mut self, words: &mut Words) -> Fallible<()> {
        let ensemble = self.ensemble()?;
        let leader = ensemble.wait_for_leader();
        let mut others = ensemble.ids().filter(|id| *id != leader);
        let roles = match words.next()?.as_str() {
            "leads" => vec![("home", Some(leader)), ("second", others.next()), ("third", others.next())],
            "follows" => vec![("leader", Some(leader)), ("home", others.next()), ("third", others.next())],
            other => return Err(format!("home cannot {other}").into()),
        };
        let roles = roles.into_iter().map(|(name, id)| Ok((name.to_owned(), id.ok_or("three members")?)));
        self.roles = roles.collect::<Fallible<_>>()?;
        Ok(())
    }

    fn happen(&mut self, what: &str, words: &mut Words) -> Fallible<()> {
        let role = words.next()?;
        let members = match role.as_str() {
            "all" => self.roles.values().copied().collect(),
            role => vec![self.member(role)?],
        };
        let ensemble = self.ensemble()?;
        for member in members {
            match what {
                "kill" => ensemble.kill9(member),
                "start" => ensemble.start_member(member),
                "stop" => drop(ensemble.stop(member)),
                "pause" => ensemble.pause(member),
                "continue" => ensemble.resume(member),
                "cut-off" => ensemble.cut_off(member),
                "disconnect" => ensemble.disconnect(member),
                _ => ensemble.rejoin(member),
            }
        }
        Ok(())
    }

    fn home_has_it_from_a_snapshot(&mut self, words: &mut Words) -> Fallible<()> {
        for word in ["has", "it", "from", "a", "snapshot"] {
            words.expect(word)?;
        }
        let (home, known) = (self.member("home")?, self.snapshots);
        let ensemble = self.ensemble()?;
        self.snapshots = wait::until("home was sent the whole state, once more", || {
            let count = ensemble.log(home).matches("the state was replaced by a snapshot").count();
            (count > known).then_some(count)
        });
        Ok(())
    }

    /// Lets clients do something, one after the other. Returns who they are.
    fn act(&mut self, names: &str, words: &mut Words) -> Fallible<Vec<String>> {
        let verb = words.next()?;
        let given = std::mem::take(&mut words.0);
        let actors: Vec<String> = names.split(',').map(str::to_owned).collect();
        for name in &actors {
            words.0.clone_from(&given);
            if verb == "opens" {
                let address = self.member(&words.next()?)?;
                let address = self.ensemble()?.address(address);
                let manner = words.next_or("nothing");
                let timeout_ms = words.number("timeout")?.unwrap_or(60_000);
                self.clients.insert(name.clone(), Client::open(address, Manner::parse(&manner)?, timeout_ms));
                continue;
            }
            self.perform(name, &verb, words)?;
        }
        Ok(actors)
    }

    fn perform(&mut self, name: &str, verb: &str, words: &mut Words) -> Fallible<()> {
        if verb == "reads" {
            return self.reads_while_another_sets(name, words);
        }
        let of = words.value("of");
        let mut of: Option<Vec<String>> = of.map(|paths| paths.split(',').map(str::to_owned).collect());
        let full = words.flag("full");
        let address = match verb {
            "returns" => {
                let member = self.member(&words.next()?)?;
                Some(self.ensemble()?.address(member))
            }
            _ => None,
        };
        let client = self.clients.get_mut(name).ok_or_else(|| format!("nobody is called {name}"))?;
        if full {
            of.get_or_insert_default().extend(client.filled());
        }
        match verb {
            "get" | "exists" | "ls" => {
                let (path, watch) = (words.next()?, words.flag("watch"));
                let ask = match verb {
                    "get" => Ask::get_data(&path, watch),
                    "exists" => Ask::exists(&path, watch),
                    _ => Ask::get_children(&path, watch),
                };
                let reply = client.call(&ask)?;
                let kind = match (verb, reply.err) {
                    ("exists", NO_NODE) => Some("exist"),
                    ("ls", 0) => Some("child"),
                    (_, 0) => Some("data"),
                    _ => None,
                };
                if let Some(kind) = kind.filter(|_| watch) {
                    client.armed(kind, &path)?;
                }
                client.note(describe(verb, &reply));
            }
            "watches" => {
                let (kind, path) = (words.next()?, words.next()?);
                let reply = client.call(&Ask::add_watch(&path, i32::from(kind == "recursive")))?;
                client.armed(&kind, &path)?;
                client.note(describe("watches", &reply));
            }
            "remembers" => {
                let (kind, path) = (words.next()?, words.next()?);
                client.armed(&kind, &path)?;
            }
            "unwatches" => {
                let (kind, path) = (words.next()?, words.next()?);
                let number =
                    ["child", "data", "any", "persistent", "recursive"].iter().position(|it| *it == kind);
                let number = i32::try_from(number.ok_or("no kind of watch")? + 1)?;
                let reply = client.call(&Ask::remove_watches(&path, number))?;
                let gone: &[&str] = match kind.as_str() {
                    "data" => &["data", "exist"],
                    "any" => &["data", "exist", "child", "persistent", "recursive"],
                    kind => &[kind],
                };
                for kind in gone {
                    client.disarmed(kind, &path)?;
                }
                client.note(describe("unwatches", &reply));
            }
            "creates" => {
                let flags = if words.flag("ephemeral") { EPHEMERAL } else { PERSISTENT };
                let (path, data) = (words.next()?, words.next_or(""));
                let reply = client.call(&Ask::create(&path, data.as_bytes(), flags))?;
                client.note_write(&reply, describe(verb, &reply));
            }
            "sets" => {
                let times: Option<u32> = words.number("times")?;
                let bytes: usize = words.number("bytes")?.unwrap_or(0);
                let path = words.next()?;
                let data = words.next_or(&"x".repeat(bytes));
                for _ in 1..times.unwrap_or(1) {
                    client.call(&Ask::set_data(&path, data.as_bytes(), -1))?;
                }
                let reply = client.call(&Ask::set_data(&path, data.as_bytes(), -1))?;
                client.note_write(&reply, describe(verb, &reply));
            }
            "deletes" => {
                let reply = client.call(&Ask::delete(&words.next()?))?;
                client.note_write(&reply, describe(verb, &reply));
            }
            "shuts" | "frees" => {
                let (scheme, id) = if verb == "shuts" { ("auth", "") } else { ("world", "anyone") };
                let reply = client.call(&Ask::set_acl(&words.next()?, 31, scheme, id))?;
                client.note_write(&reply, describe(verb, &reply));
            }
            "proves" => {
                let reply = client.call(&Ask::auth("digest", words.next()?.as_bytes()))?;
                client.note(describe(verb, &reply));
            }
            "hears" => {
                client.call(&Ask::sync("/"))?;
                client.call(&Ask::ping())?;
                client.or_nothing();
            }
            "pings" => {
                client.call(&Ask::ping())?;
                client.or_nothing();
            }
            "awaits" => {
                for _ in 0..words.next_or("1").parse()? {
                    client.await_event()?;
                }
            }
            "leaves" => client.leave(),
            "loses" => {
                client.lose()?;
                client.note("hung up".to_owned());
            }
            "closes" => {
                let reply = client.call(&Ask::close_session())?;
                client.note_write(&reply, describe(verb, &reply));
                client.leave();
            }
            "returns" => {
                let address = address.ok_or("returns to a member")?;
                if client.return_to(address)? {
                    client.note("welcome".to_owned());
                    client.set_watches(of.as_deref())?;
                } else {
                    client.note("session expired".to_owned());
                }
            }
            "adds" => client.set_watches(of.as_deref())?,
            other => return Err(format!("clients cannot {other}").into()),
        }
        Ok(())
    }

    /// One client reads with a watch, many requests ahead, while another writes. Each change must have been told
    /// between the last read that does not show it and the first that does.
    fn reads_while_another_sets(&mut self, name: &str, words: &mut Words) -> Fallible<()> {
        let path = words.next()?;
        words.expect("while")?;
        let writer = words.next()?;
        words.expect("sets")?;
        let times: i32 = words.number("times")?.ok_or("how many times?")?;
        let mut writing = self.clients.remove(&writer).ok_or("nobody writes")?;
        let client = self.clients.get_mut(name).ok_or("nobody reads")?;
        let (read, set) = (Ask::get_data(&path, true), Ask::set_data(&path, b"", -1));
        let mut version = client.call(&read)?.data().1.version;
        client.armed("data", &path)?;
        let last = version + times;
        let written = std::thread::spawn(move || {
            for _ in 0..times {
                let reply = writing.call(&set).map_err(|error| error.to_string())?;
                assert_eq!(reply.err, 0, "a write that cannot be refused");
            }
            Ok::<_, String>(writing)
        });

        let mut asked = VecDeque::new();
        let (mut replies, mut changes) = (0, 0);
        while version < last || !asked.is_empty() {
            while version < last && asked.len() < AHEAD {
                // A ping's answer carries a zxid too.
                asked.push_back((client.send(&read)?, client.send(&Ask::ping())?));
            }
            let (read, ping) = asked.pop_front().ok_or("nothing is asked")?;
            let now = client.reply_to(read)?.data().1.version;
            let told = client.take_heard();
            let late = told.iter().any(|event| matches!(event, Heard::Event { late: true, .. }));
            if late || told.len() != usize::from(now != version) {
                return Err(format!("between version {version} and version {now} there came {told:?}").into());
            }
            client.armed("data", &path)?;
            version = now;
            (replies, changes) = (replies + 1, changes + told.len());
            client.reply_to(ping)?;
        }
        if changes < 10 {
            return Err(format!("of {times} changes {replies} replies have shown only {changes}").into());
        }
        client.note(format!("version {version}, each change told in front of what showed it"));
        let writing = written.join().map_err(|_| "the writer gave up")??;
        self.clients.insert(writer, writing);
        Ok(())
    }

    fn told(&mut self, actors: &[String]) -> String {
        let mut groups: Vec<(Vec<&str>, Vec<Heard>)> = Vec::new();
        for name in actors {
            let Some(client) = self.clients.get_mut(name) else { continue };
            let heard = client.take_heard();
            self.writes.extend(heard.iter().filter_map(|heard| match heard {
                Heard::Reply { zxid, .. } => *zxid,
                Heard::Event { .. } | Heard::Nothing => None,
            }));
            match groups.iter_mut().find(|(_, known)| *known == heard) {
                Some((names, _)) => names.push(name),
                None => groups.push((vec![name], heard)),
            }
        }
        let mut out = String::new();
        for (names, heard) in groups {
            let names = names.join(",");
            for heard in heard {
                let _ = writeln!(out, "{}", self.line(&names, &heard));
            }
        }
        out
    }

    fn line(&self, names: &str, heard: &Heard) -> String {
        match heard {
            Heard::Reply { zxid: Some(zxid), text } => format!("{} {names} ← {text}", self.number(*zxid)),
            Heard::Reply { zxid: None, text } => format!("{names} ← {text}"),
            Heard::Nothing => format!("{names} heard nothing"),
            Heard::Event { zxid, kind, path, late, awaited } => {
                let kind = match kind {
                    1 => "created",
                    2 => "deleted",
                    3 => "data-changed",
                    4 => "children-changed",
                    _ => "?",
                };
                let late = if *late { ", late" } else { "" };
                let unasked = if *awaited { "" } else { ", unasked" };
                format!("{} {names} ! {kind} {path}{late}{unasked}", self.number(*zxid))
            }
        }
    }

    /// Which write this was; or behind which it was, if no client of the script asked for it.
    fn number(&self, zxid: i64) -> String {
        if zxid < 0 {
            return zxid.to_string();
        }
        let before = self.writes.partition_point(|known| *known < zxid);
        match self.writes.get(before) {
            Some(known) if *known == zxid => (before + 1).to_string(),
            _ => format!("{before}+"),
        }
    }

    fn ensemble(&mut self) -> Fallible<&mut Ensemble> {
        self.ensemble.as_mut().ok_or_else(|| "there are no members".into())
    }

    fn member(&self, role: &str) -> Fallible<usize> {
        self.roles.get(role).copied().ok_or_else(|| format!("no member is called {role}").into())
    }
}

const NO_NODE: i32 = -101;

/// How many reads a client sends ahead of their answers.
const AHEAD: usize = 16;

fn describe(verb: &str, reply: &Reply) -> String {
    match (reply.err, verb) {
        (0, "get") => {
            let (data, stat) = reply.data();
            format!("{:?} version {}", String::from_utf8_lossy(&data.unwrap_or_default()), stat.version)
        }
        (0, "exists") => format!("version {}", reply.stat().version),
        (0, "sets") => format!("version {}", reply.stat().version),
        (0, "ls") => format!("[{}]", reply.children().join(" ")),
        (0, "creates") => reply.path(),
        (0, _) => "done".to_owned(),
        (NO_NODE, _) => "no node".to_owned(),
        (-102, _) => "not allowed".to_owned(),
        (-121, _) => "no watch".to_owned(),
        (err, _) => format!("error {err}"),
    }
}

/// The words of a command, taken one by one.
struct Words(Vec<String>);

impl Words {
    fn next(&mut self) -> Fallible<String> {
        if self.0.is_empty() { Err("a word is missing".into()) } else { Ok(self.0.remove(0)) }
    }

    fn next_or(&mut self, default: &str) -> String {
        self.next().unwrap_or_else(|_| default.to_owned())
    }

    fn expect(&mut self, word: &str) -> Fallible<()> {
        let next = self.next()?;
        if next == word { Ok(()) } else { Err(format!("{word} should come, and there is {next}").into()) }
    }

    fn flag(&mut self, name: &str) -> bool {
        let found = self.0.iter().position(|word| word == name);
        found.map(|index| self.0.remove(index)).is_some()
    }

    fn value(&mut self, key: &str) -> Option<String> {
        let index =
            self.0.iter().position(|word| word.split_once('=').is_some_and(|(name, _)| name == key))?;
        self.0.remove(index).split_once('=').map(|(_, value)| value.to_owned())
    }

    fn number<T: std::str::FromStr>(&mut self, key: &str) -> Fallible<Option<T>>
    where
        T::Err: std::error::Error + 'static,
    {
        Ok(self.value(key).map(|value| value.parse()).transpose()?)
    }

    fn end(&self) -> Fallible<()> {
        if self.0.is_empty() { Ok(()) } else { Err(format!("nobody asked for {:?}", self.0).into()) }
    }
}
