//! Golden traces: what the world does, in scripts that an operator can read.
//!
//! A script stands in `tests/traces/machine`. Each of its commands begins with `>`, and is one line:
//!
//! ```text
//! > s1 open                          a session, from a connection of its own; member=2 address=10.0.0.7 timeout=500
//! > s1 open again                    the same open once more, as after a change of leader
//! > s1 attach                        from a new connection; again password=wrong member= address= timeout=
//! > s1 expire                        as the leader does; attachment=1
//! > s1 close
//! > ensemble server.1=a:1:2 ...      as a leader does that knows of other members than are written down
//! > s1 auth digest:alice:hash        what its next requests prove
//! > s1 create /a data ephemeral      sequential flags=4 ttl=9 container stat acl=world:anyone:r,ip:10.0.0.0/8:cdrwa
//! > s1 delete /a version=0
//! > s1 set /a data version=0
//! > s1 setacl /a acl=... version=0
//! > s1 multi create /a x | check /b version=0
//! > s1 reconfig leaving=3            joining=server.4=... members=... config=5, the version that is to be replaced
//! > s1 reconfigured                  as the leader does when it has seen to that; refused, when it cannot be done
//! > s1 malformed                     a write whose body does not parse
//! > s1 exists /a                     and get, getacl, ls, ls2, ephemerals, count
//! > s1 multiread get /a | ls /b
//! > s1 setwatches since=3 data=/a,/b exist=/c child=/d persistent=/e recursive=/f
//! > s1 setwatches more since=3 ...   another list of the same connection, which is told nothing twice
//! > s1 watch at=3 data=/a exist=/c    what its home reports of the watches that it has set; attachment= number= seen=
//! > s1 unwatch at=3 child=/d           what it has taken away; attachment= number=
//! > s1 missed since=3                  what its new home finds out
//! > watches                            what everybody knows of who waits for what
//! > room 5                             for so many watches of a session from now on; bytes=1000, and for those that were
//!                                    taken away removed=2 removed-bytes=1000
//! > time 1000                        the leader's clock, for all that follows
//! > reap /a never-used=1000          as the leader does with containers and TTL znodes
//! > quotas                           what may be below which paths, and what is there
//! > history 3                        how many changes are remembered from now on; bytes=1000
//! > rules sasl x509                  what the leader's configuration says, for all that follows; no-digest reconfig no-standalone quota no-ttl full
//! > restore                          the world is put down as records, and taken up again
//! > census
//! ```
//!
//! Any write takes `seq=` and `attachment=`, to be sent otherwise than it should be. `full` shows a Stat whole. Data is
//! a word, `null`, or `""`; a `\0` in a word is the character NUL.
//!
//! After each command the invariants are checked, and at the end of a script the world is restored, from its records
//! and from all its changes, and compared. `UPDATE_GOLDENFILES=1 cargo test -p machine` writes what happened into the
//! scripts; then read the diff.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::rc::Rc;

use bytes::Bytes;
use machine::{
    Act, Applied, CatchUp, ChangeKind, Command, HistoryBounds, Home, Identities, Key, Limit, Limits, Machine,
    Operation, OverQuota, PASSWORD_BYTES, Quota, Reconfiguration, Record, RemovedWatch, Reported, Rules,
    Told, Verdict, WatchBounds, WatchKind, WatchNote,
};
use proto::request::{Create, Read, Reconfig, SetWatches, Write};
use proto::{
    Acl, Attachment, ClusterId, Code, Id, MemberId, OpCode, Permissions, Reply, Seq, SessionId, Shared, Stat,
    Text, Version, ZnodePath, Zxid,
};

#[test]
fn traces() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/traces/machine");
    let scripts: BTreeSet<_> = std::fs::read_dir(&directory)
        .expect("the folder of the scripts")
        .map(|entry| entry.expect("its entries").path())
        .collect();
    assert!(scripts.len() > 20, "only {} scripts in {}", scripts.len(), directory.display());
    for script in scripts {
        println!("{}", script.display());
        goldenscript::run(&mut Runner::default(), &script).expect("a script that runs");
    }
}

#[derive(Default)]
struct Runner {
    machine: Machine,
    image: BTreeMap<Key, Record>,
    clients: BTreeMap<String, Client>,
    connections: u64,
    time: i64,
    rules: Rules,
    bounds: HistoryBounds,
    room: WatchBounds,
}

/// One name of a script: a client, with what it knows of its session.
#[derive(Clone, Debug, Default)]
struct Client {
    session: Option<SessionId>,
    home: Option<Home>,
    attachment: Attachment,
    seq: Seq,
    address: Text,
    identities: Vec<Id>,
    told: Rc<RefCell<Told>>,
}

type Fallible<T> = Result<T, Box<dyn Error>>;

/// A rule by its name in scripts.
fn rule(name: &str) -> Fallible<Rules> {
    Ok(match name {
        "sasl" => Rules::SASL_KNOWN,
        "x509" => Rules::X509_KNOWN,
        "no-digest" => Rules::DIGEST_DISABLED,
        "reconfig" => Rules::RECONFIG_ENABLED,
        "no-standalone" => Rules::STANDALONE_DISABLED,
        "quota" => Rules::QUOTA_ENFORCED,
        "no-ttl" => Rules::EXTENDED_TYPES_DISABLED,
        "full" => Rules::FULL,
        _ => return Err(format!("no rule is called {name}").into()),
    })
}

impl goldenscript::Runner for Runner {
    type Command = goldenscript::Command;

    fn run(&mut self, command: &Self::Command, _: &goldenscript::Context) -> Fallible<String> {
        let mut words = Words::parse(&command.name);
        let output = match words.next()?.as_str() {
            "time" => {
                self.time = words.next()?.parse()?;
                String::new()
            }
            "ensemble" => {
                let lines = std::iter::from_fn(|| words.next().ok()).map(Text::from).collect();
                let applied = self.apply(Act::Ensemble { lines });
                self.told("-", &applied, false)
            }
            "name" => {
                let number = u64::from_str_radix(&words.next()?, 16)?;
                let cluster = ClusterId::new(number).ok_or("no name")?;
                let applied = self.apply(Act::Name { cluster });
                self.told("-", &applied, false)
            }
            "reap" => {
                let path = ZnodePath::parse(&words.next()?).map_err(|_| "no path")?;
                let never_used_ms = words.number("never-used")?.unwrap_or(0);
                let applied = self.apply(Act::Reap { path, never_used_ms });
                self.told("reaper", &applied, false)
            }
            "quotas" => self.quotas(),
            "history" => {
                let bytes = words.number("bytes")?.unwrap_or(self.bounds.bytes);
                self.bounds = HistoryBounds { changes: words.next()?.parse()?, bytes };
                self.machine.bound_history(self.bounds);
                String::new()
            }
            "room" => {
                let bytes = words.number("bytes")?.unwrap_or(self.room.bytes);
                let removed_per_session = words.number("removed")?.unwrap_or(self.room.removed_per_session);
                let removed_bytes = words.number("removed-bytes")?.unwrap_or(self.room.removed_bytes);
                let per_session = words.next()?.parse()?;
                self.room = WatchBounds { per_session, bytes, removed_per_session, removed_bytes };
                self.machine.bound_watches(self.room);
                String::new()
            }
            "watches" => self.watches(),
            "restore" => {
                self.machine = Machine::restore(self.machine.records())?;
                self.machine.bound_history(self.bounds);
                self.machine.bound_watches(self.room);
                String::new()
            }
            "rules" => {
                self.rules = Rules::default();
                while let Ok(name) = words.next() {
                    self.rules = self.rules | rule(&name)?;
                }
                String::new()
            }
            "census" => format!("{:?}\n", self.machine.census()),
            name => {
                let verb = words.next()?;
                let full = words.flag("full");
                self.act(name, &verb, &mut words, full)?
            }
        };
        words.end()?;
        self.machine.assert_invariants();
        for (key, record) in self.machine.take_changes() {
            match record {
                Some(record) => drop(self.image.insert(key, record)),
                None => drop(self.image.remove(&key)),
            }
        }
        Ok(output)
    }

    fn end_script(&mut self) -> Fallible<()> {
        for (source, records) in [
            ("records", self.machine.records().collect::<Vec<_>>()),
            ("changes", self.image.values().cloned().collect()),
        ] {
            let restored = Machine::restore(records)?;
            restored.assert_invariants();
            assert_eq!(restored.digest(), self.machine.digest(), "restored from {source}");
            assert_eq!(restored.census(), self.machine.census(), "restored from {source}");
        }
        Ok(())
    }
}

impl Runner {
    fn act(&mut self, name: &str, verb: &str, words: &mut Words, full: bool) -> Fallible<String> {
        let mut client = self.clients.entry(name.to_owned()).or_default().clone();
        let output = match verb {
            "open" | "attach" => {
                let again = words.flag("again");
                let member = words.number("member")?.unwrap_or(1);
                let timeout_ms = words.number("timeout")?.unwrap_or(4_000);
                let seen = Zxid::new(words.number("seen")?.unwrap_or(0));
                let address: Text = words.value("address").unwrap_or_else(|| "10.0.0.1".to_owned()).into();
                let password = match words.value("password") {
                    None => vec![b'p'; PASSWORD_BYTES],
                    Some(other) => other.into_bytes(),
                };
                if !again {
                    self.connections += 1;
                    let connection = self.connections;
                    client.home = Some(Home { member: MemberId::new(member), boot: 1, connection });
                    client.address = address.clone();
                }
                let home = client.home.ok_or("never opened")?;
                let act = match (verb, client.session) {
                    ("open", _) => {
                        let password = password.try_into().map_err(|_| "an open draws 16 bytes")?;
                        Act::Open { home, password, timeout_ms, address }
                    }
                    (_, session) => {
                        let session = session.unwrap_or(SessionId::from_wire(0x77));
                        Act::Attach { home, session, password: password.into(), timeout_ms, seen, address }
                    }
                };
                let applied = self.apply(act);
                match &applied.verdict {
                    Verdict::Opened { session, .. } => {
                        client.session = Some(*session);
                        client.attachment = Attachment::new(1);
                        client.seq = Seq::new(1);
                    }
                    Verdict::Attached { attachment, .. } => {
                        client.attachment = *attachment;
                        client.seq = Seq::new(1);
                    }
                    _ => {}
                }
                self.told(name, &applied, full)
            }
            "reconfigured" => {
                let asked = self.machine.reconfiguration().cloned().ok_or("nothing is under way")?;
                let Reconfiguration { session, attachment, seq, .. } = asked;
                let refusal = words.flag("refused").then_some(Code::NewConfigNoQuorum);
                let applied = self.apply(Act::Reconfigured { session, attachment, seq, refusal });
                self.told(name, &applied, full)
            }
            "expire" => {
                let session = client.session.ok_or("never opened")?;
                let attachment = words.number("attachment")?.map_or(client.attachment, Attachment::new);
                let applied = self.apply(Act::Expire { session, attachment });
                self.told(name, &applied, full)
            }
            "auth" => {
                let word = words.next()?;
                let (scheme, id) = word.split_once(':').ok_or("an id is scheme:id")?;
                client.identities.push(Id::new(scheme.to_owned(), id.to_owned()));
                String::new()
            }
            "watch" | "unwatch" => {
                let session = client.session.ok_or("never opened")?;
                let attachment = words.number("attachment")?.map_or(client.attachment, Attachment::new);
                let zxid = words.number("at")?.map_or(self.machine.last_zxid(), Zxid::new);
                let seen = Zxid::new(words.number("seen")?.unwrap_or(0));
                let number = words.number("number")?.unwrap_or(0);
                let mut notes = Vec::new();
                for (kind, name) in WatchKind::ALL.into_iter().zip(KINDS) {
                    for path in words.list(name) {
                        let path = ZnodePath::parse(&path).map_err(|_| "no path")?;
                        notes.push(WatchNote { path, kind, zxid, armed: verb == "watch" });
                    }
                }
                let applied = self.apply(Act::Watch { session, attachment, number, notes, seen });
                self.told(name, &applied, full)
            }
            "missed" => {
                let session = client.session.ok_or("never opened")?;
                client.told = Rc::default();
                let seen = Zxid::new(words.number("since")?.unwrap_or(0));
                let who = Identities { address: &client.address, proved: &client.identities };
                let missed = self.machine.missed(session, seen, who, &mut client.told.borrow_mut());
                described(&missed)
            }
            "setwatches" => {
                let more = words.flag("more");
                let watches = SetWatches {
                    relative: Zxid::new(words.number("since")?.unwrap_or(0)),
                    data: words.list("data"),
                    exist: words.list("exist"),
                    child: words.list("child"),
                    persistent: words.list("persistent"),
                    recursive: words.list("recursive"),
                };
                if !more {
                    client.told = Rc::default();
                }
                self.caught_up(&watches, &client)
            }
            "create" | "delete" | "set" | "setacl" | "check" | "multi" | "reconfig" | "close"
            | "malformed" => {
                let attachment = words.number("attachment")?.map_or(client.attachment, Attachment::new);
                let seq = words.number("seq")?.map_or(client.seq, Seq::new);
                let operation = match verb {
                    "malformed" => Operation { op: OpCode::SetData, write: None },
                    "multi" => {
                        let operations = words.split().into_iter().map(|mut words| {
                            let verb = words.next()?;
                            let write = write(&verb, &mut words)?;
                            words.end().map(|()| write)
                        });
                        let operations = operations.collect::<Fallible<Vec<_>>>()?;
                        Operation { op: OpCode::Multi, write: Some(Write::Multi(operations)) }
                    }
                    verb => Operation { op: OpCode::Create, write: Some(write(verb, words)?) },
                };
                let session = client.session.ok_or("never opened")?;
                let identities = client.identities.clone();
                let applied = self.apply(Act::Write { session, attachment, seq, identities, operation });
                if let Verdict::Answered { .. } | Verdict::Reconfiguring { .. } = &applied.verdict {
                    client.seq = seq.next();
                }
                self.told(name, &applied, full)
            }
            verb => {
                let read = match verb {
                    "multiread" => Read::MultiRead(
                        words
                            .split()
                            .into_iter()
                            .map(|mut words| {
                                let verb = words.next()?;
                                read(&verb, &mut words)
                            })
                            .collect::<Fallible<_>>()?,
                    ),
                    verb => read(verb, words)?,
                };
                let session = client.session.unwrap_or(SessionId::NONE);
                let who = Identities { address: &client.address, proved: &client.identities };
                let result = self.machine.read(&read, session, who);
                format!("{} {name} ← {}\n", self.machine.last_zxid(), describe(&result, full))
            }
        };
        self.clients.insert(name.to_owned(), client);
        Ok(output)
    }

    fn apply(&mut self, act: Act) -> Applied {
        self.machine.apply(&Command { time: self.time, rules: self.rules, act })
    }

    /// What a command came to, as the members see it.
    fn told(&self, name: &str, applied: &Applied, full: bool) -> String {
        let mut out = String::new();
        let zxid = applied.zxid;
        for change in &applied.changes {
            let (path, kind) = (&change.path, change.kind.event());
            let acls = match (list(&change.acl), list(&change.parent_acl)) {
                (own, parent) if own == "world:anyone:cdrwa" && parent == own => String::new(),
                (own, _) if change.kind == ChangeKind::DataChanged => format!(" (its acl {own})"),
                (own, parent) => format!(" (its acl {own}, its parent's {parent})"),
            };
            let _ = writeln!(out, "{zxid} ! {kind} {path}{acls}");
        }
        let verdict = match &applied.verdict {
            Verdict::Opened { session, home, timeout_ms, .. } => {
                format!("opened {session} at {home} timeout={timeout_ms}")
            }
            Verdict::Attached { session, attachment, home, previous, timeout_ms, .. } => {
                format!(
                    "attached {session} at {home} after {previous} attachment={attachment} timeout={timeout_ms}"
                )
            }
            Verdict::NotAttached { home, session } => format!("not attached {session} at {home}"),
            Verdict::Answered { result, .. } => format!("← {}", describe(result, full)),
            Verdict::Closed { session, attachment, seq, .. } => {
                let why = seq.map_or("expired".to_owned(), |seq| format!("closed by write {seq}"));
                format!("{why}: {session} attachment={attachment}")
            }
            Verdict::Fenced { attachment, seq, .. } => format!("fenced attachment={attachment} seq={seq}"),
            Verdict::Noted { late, left_out, .. } => {
                let mut noted = "noted".to_owned();
                if *left_out > 0 {
                    let _ = write!(noted, ", {left_out} left out");
                }
                if let Some(late) = late {
                    let _ = write!(noted, ", late since {}:", late.relative);
                    for (name, paths) in KINDS.iter().zip(lists(late)) {
                        if !paths.is_empty() {
                            let _ = write!(noted, " {name} {}", paths.join(" "));
                        }
                    }
                }
                noted
            }
            Verdict::Repeat => "repeat".to_owned(),
            Verdict::Gap => "gap".to_owned(),
            Verdict::Reaped => "reaped".to_owned(),
            Verdict::Outlived => "outlived".to_owned(),
            Verdict::Reconfiguring { .. } => "the leader is to see to it".to_owned(),
            Verdict::Described => "the members are written down".to_owned(),
            Verdict::Named => "the ensemble has a name".to_owned(),
        };
        if let Some(OverQuota { path, what, limit }) = applied.over_quota.as_deref() {
            let hardness = if limit.hard { "hard" } else { "soft" };
            let _ =
                writeln!(out, "{zxid} over the quota of {path}: {hardness} limit of {} {what}", limit.most);
        }
        let _ = writeln!(out, "{zxid} {name} {verdict}");
        out
    }

    fn caught_up(&self, watches: &SetWatches, client: &Client) -> String {
        let who = Identities { address: &client.address, proved: &client.identities };
        described(&self.machine.catch_up(watches, who, &mut client.told.borrow_mut()))
    }

    fn quotas(&self) -> String {
        let limit = |limit: Option<Limit>| match limit {
            None => "unlimited".to_owned(),
            Some(Limit { most, hard: true }) => format!("{most} at most"),
            Some(Limit { most, hard: false }) => format!("{most} without a warning"),
        };
        let quota = |it: Quota| {
            let Limits { count, bytes } = it.limits;
            let (znodes, of_bytes) = (limit(count), limit(bytes));
            format!(
                "{} in {}: {} znodes, {znodes}; {} bytes, {of_bytes}\n",
                it.path,
                it.namespace(),
                it.count,
                it.bytes
            )
        };
        let mut lines: Vec<String> = self.machine.quotas().map(quota).collect();
        lines.sort();
        lines.concat()
    }

    fn watches(&self) -> String {
        let mut lines: Vec<String> = Vec::new();
        for record in self.machine.watches() {
            let name = self.clients.iter().find(|(_, client)| client.session == Some(record.session));
            let name = name.map_or("nobody", |(name, _)| name);
            for watch in &record.watches {
                let kind = KINDS[watch.kind as usize - 1];
                let spent = watch
                    .spent
                    .map_or(String::new(), |spent| format!(" spent {} {}", spent.zxid, spent.kind));
                lines.push(format!("{name} {} {kind} armed {}{spent}\n", record.path, watch.armed));
            }
            for RemovedWatch { kind, by } in record.removed {
                let (kind, Reported { attachment, number }) = (KINDS[kind as usize - 1], by);
                let by = format!("attachment={attachment} number={number}");
                lines.push(format!("{name} {} {kind} taken away by {by}\n", record.path));
            }
        }
        lines.sort();
        lines.concat()
    }
}

const KINDS: [&str; 5] = ["data", "exist", "child", "persistent", "recursive"];

fn lists(watches: &SetWatches) -> [&Vec<Text>; 5] {
    [&watches.data, &watches.exist, &watches.child, &watches.persistent, &watches.recursive]
}

fn described(caught_up: &CatchUp) -> String {
    let mut out = String::new();
    for event in &caught_up.events {
        let zxid = event.zxid.map_or("-1".to_owned(), |zxid| zxid.to_string());
        let _ = writeln!(out, "{zxid} ! {} {}", event.kind, event.path);
    }
    if !caught_up.whole {
        out.push_str("not the whole story\n");
    }
    for (kind, paths) in KINDS.iter().zip(lists(&caught_up.waiting)) {
        if !paths.is_empty() {
            let _ = writeln!(out, "waiting {kind} {}", paths.join(" "));
        }
    }
    out
}

fn write(verb: &str, words: &mut Words) -> Fallible<Write> {
    let version = Version::new(words.number("version")?.unwrap_or(-1));
    let acl = match words.value("acl").as_deref() {
        None => Some(vec![Acl::open()]),
        Some("null") => None,
        Some("empty") => Some(Vec::new()),
        Some(list) => Some(list.split(',').map(acl).collect::<Fallible<_>>()?),
    };
    Ok(match verb {
        "create" => {
            let kind = i32::from(words.flag("ephemeral")) + 2 * i32::from(words.flag("sequential"));
            let flags = words.number("flags")?.unwrap_or(kind);
            let ttl = words.number("ttl")?;
            let container = words.flag("container");
            let with_stat = words.flag("stat");
            Write::Create(Create {
                path: words.next()?.into(),
                data: words.data(),
                acl,
                flags,
                ttl,
                container,
                with_stat,
            })
        }
        "delete" => Write::Delete { path: words.next()?.into(), version },
        "set" => Write::SetData { path: words.next()?.into(), data: words.data(), version },
        "setacl" => Write::SetAcl { path: words.next()?.into(), acl, version },
        "check" => Write::Check { path: words.next()?.into(), version },
        "reconfig" => Write::Reconfig(Reconfig {
            joining: words.value("joining").map(Text::from),
            leaving: words.value("leaving").map(Text::from),
            members: words.value("members").map(Text::from),
            version: words.number("config")?.unwrap_or(-1),
        }),
        "close" => Write::CloseSession,
        other => return Err(format!("no command {other}").into()),
    })
}

fn read(verb: &str, words: &mut Words) -> Fallible<Read> {
    Ok(match verb {
        "ephemerals" => Read::GetEphemerals { prefix: words.next().ok().map(Text::from) },
        "exists" => Read::Exists { path: words.next()?.into(), watch: false },
        "get" => Read::GetData { path: words.next()?.into(), watch: false },
        "getacl" => Read::GetAcl { path: words.next()?.into() },
        "ls" => Read::GetChildren { path: words.next()?.into(), watch: false },
        "ls2" => Read::GetChildren2 { path: words.next()?.into(), watch: false },
        "count" => Read::GetAllChildrenNumber { path: words.next()?.into() },
        other => return Err(format!("no command {other}").into()),
    })
}

/// `scheme:id:cdrwa`, as ACLs are shown.
fn acl(text: &str) -> Fallible<Acl> {
    let (scheme, rest) = text.split_once(':').ok_or("an ACL is scheme:id:permissions")?;
    let (id, letters) = rest.rsplit_once(':').ok_or("an ACL is scheme:id:permissions")?;
    let permission = |letter| match letter {
        'c' => Ok(Permissions::CREATE),
        'd' => Ok(Permissions::DELETE),
        'r' => Ok(Permissions::READ),
        'w' => Ok(Permissions::WRITE),
        'a' => Ok(Permissions::ADMIN),
        other => Err(format!("no permission {other}")),
    };
    let none = Ok(Permissions::from_bits(0));
    let permissions = letters.chars().map(permission).fold(none, |all, one| Ok::<_, String>(all? | one?))?;
    Ok(Acl { permissions, id: Id::new(scheme.to_owned(), id.to_owned()) })
}

fn describe(result: &Result<Reply, Code>, full: bool) -> String {
    let refusal = |code: &Code| format!("{code:?} ({})", code.to_wire());
    let stat = |stat: &Stat, short: String| if full { describe_stat(stat) } else { short };
    let version = |it: &Stat| stat(it, format!("version={}", it.version));
    let data = |data: &Option<Shared<u8>>| match data {
        None => "null".to_owned(),
        Some(data) => format!("{:?}", String::from_utf8_lossy(data)),
    };
    let paths = |paths: &[ZnodePath]| paths.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    match result {
        Err(code) => refusal(code),
        Ok(reply) => match reply {
            Reply::Empty => "done".to_owned(),
            Reply::Path(path) => path.to_string(),
            Reply::PathStat(path, it) => format!("{path} {}", version(it)),
            Reply::Stat(it) => stat(it, format!("version={} aversion={}", it.version, it.aversion)),
            Reply::Data(it, stat) => format!("{} {}", data(it), version(stat)),
            Reply::Children(children) => format!("[{}]", paths(children)),
            Reply::ChildrenStat(children, it) => {
                format!("[{}] {}", paths(children), stat(it, format!("cversion={}", it.cversion)))
            }
            Reply::Acl(acl, it) => format!("{} {}", list(acl), stat(it, format!("aversion={}", it.aversion))),
            Reply::Multi(results) => {
                let one = |(op, result): &(OpCode, _)| format!("\n    {op:?} {}", describe(result, full));
                format!("all of {}{}", results.len(), results.iter().map(one).collect::<String>())
            }
            Reply::MultiFailed { operations, failing, code } => {
                format!("none of {operations}: operation {failing} {}", refusal(code))
            }
            Reply::Ephemerals(it) => format!("[{}]", paths(it)),
            Reply::Count(count) => count.to_string(),
            other => format!("{other:?}"),
        },
    }
}

fn describe_stat(stat: &Stat) -> String {
    let Stat { czxid, mzxid, ctime, mtime, version, cversion, aversion, .. } = stat;
    let Stat { ephemeral_owner, data_length, num_children, pzxid, .. } = stat;
    format!(
        "czxid={czxid:#x} mzxid={mzxid:#x} pzxid={pzxid:#x} ctime={ctime} mtime={mtime} version={version} \
         cversion={cversion} aversion={aversion} owner={ephemeral_owner:#x} bytes={data_length} children={num_children}"
    )
}

fn list(acl: &[Acl]) -> String {
    acl.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// The words of a command, taken one by one.
struct Words(Vec<String>);

impl Words {
    fn parse(line: &str) -> Self {
        Self(line.split_whitespace().map(|word| word.trim_matches('"').replace("\\0", "\0")).collect())
    }

    fn next(&mut self) -> Fallible<String> {
        if self.0.is_empty() { Err("a word is missing".into()) } else { Ok(self.0.remove(0)) }
    }

    /// Data: null if it says so, empty if nothing is said.
    fn data(&mut self) -> Option<Bytes> {
        match self.next().unwrap_or_default() {
            null if null == "null" => None,
            data => Some(data.into()),
        }
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
        T::Err: Error + 'static,
    {
        Ok(self.value(key).map(|value| value.parse()).transpose()?)
    }

    fn list(&mut self, key: &str) -> Vec<Text> {
        let value = self.value(key).unwrap_or_default();
        value.split(',').filter(|path| !path.is_empty()).map(Text::from).collect()
    }

    /// The operations that stand between bars.
    fn split(&mut self) -> Vec<Self> {
        let words = std::mem::take(&mut self.0);
        words
            .split(|word| word == "|")
            .filter(|words| !words.is_empty())
            .map(|it| Self(it.to_vec()))
            .collect()
    }

    fn end(&self) -> Fallible<()> {
        if self.0.is_empty() { Ok(()) } else { Err(format!("nobody asked for {:?}", self.0).into()) }
    }
}
