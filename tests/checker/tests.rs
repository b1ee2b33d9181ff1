//! Small histories by hand: what must be accepted, and what must not.

use proto::Stat;

use super::history::{Answer, End, History, Micros, Op, Reply, Request, Session, Stay, Told};
use super::judge;
use super::logged::{Act, Transaction, Written};
use super::verdict::Rule;

mod with_log;

const ID: i64 = 0x0100_0000_0000_0000;

/// Sessions with ids 1, 2 … in their low bits, which are the zxids that opened them.
struct Script(History);

impl Script {
    fn new(sessions: usize) -> Self {
        let session = |number| Session {
            id: ID + i64::try_from(number).unwrap(),
            timeout: 1_000,
            connections: vec![(0, 1), (5_000, 5_001), (10_000, 10_001)],
            ..Session::default()
        };
        let mut script =
            Self(History { sessions: (1..=sessions).map(session).collect(), ..History::default() });
        script.done(0, 10, 10, create("/r"), Ok(Answer::Created("/r".into(), None)));
        script.done(0, 20, 20, create("/r/a"), Ok(Answer::Created("/r/a".into(), None)));
        script
    }

    fn op(&mut self, session: usize, invoked: Micros, request: Request, reply: Option<Reply>) -> &mut Op {
        let connection = self.0.sessions[session].ops.last().map_or(1, |op| op.connection);
        let op = Op { connection, member: 1, invoked, request, reply, is_last_look: false };
        self.0.sessions[session].ops.push(op);
        self.0.sessions[session].ops.last_mut().unwrap()
    }

    /// Answered one microsecond later.
    fn done(&mut self, session: usize, invoked: Micros, zxid: i64, request: Request, told: Told) {
        let place = u32::try_from(self.0.sessions[session].ops.len()).unwrap() + 1;
        self.op(session, invoked, request, Some(Reply { at: invoked + 1, place, zxid, told }));
    }

    /// Never answered; what follows is on another connection.
    fn unknown(&mut self, session: usize, invoked: Micros, request: Request) {
        self.op(session, invoked, request, None);
    }

    fn next_connection(&mut self, session: usize, invoked: Micros, zxid: i64) {
        self.done(session, invoked, zxid, Request::Sync("/r".into()), Ok(Answer::Done));
        let op = self.0.sessions[session].ops.last_mut().unwrap();
        op.connection += 1;
    }

    /// From now on there is a log, in which is what was acknowledged, and this.
    fn log(&mut self, besides: &[(usize, i64, Act)]) {
        let mut log: Vec<Transaction> = besides
            .iter()
            .map(|(session, zxid, act)| self.transaction(*session, *zxid, act.clone()))
            .collect();
        for (id, op) in self.0.ops().filter(|(_, op)| op.request.is_write()) {
            let act = match &op.request {
                Request::Close => Act::End { is_asked: true },
                request => Act::Write(as_written(request)),
            };
            log.extend(op.zxid().map(|zxid| self.transaction(id.session, zxid, act)));
        }
        log.sort_by_key(|transaction| transaction.zxid);
        self.0.log = Some(log);
    }

    fn transaction(&self, session: usize, zxid: i64, act: Act) -> Transaction {
        Transaction { zxid, session: self.0.sessions.get(session).map_or(0, |session| session.id), act }
    }

    #[track_caller]
    fn check(&self, expected: &[Rule]) {
        let verdict = judge(&self.0);
        let found: Vec<Rule> = verdict.rules().into_keys().collect();
        assert_eq!(found, expected, "{verdict}");
    }
}

fn as_written(request: &Request) -> Written {
    match request {
        Request::Create { path, data, stay, sequential, .. } => {
            let flags = i32::from(*stay == Stay::Ephemeral) + if *sequential { 2 } else { 0 };
            Written::Create(path.clone(), data.clone(), if *stay == Stay::Container { 4 } else { flags })
        }
        Request::SetData { path, data, version } => Written::SetData(path.clone(), data.clone(), *version),
        Request::Delete { path, version } => Written::Delete(path.clone(), *version),
        Request::Multi(parts) => Written::Multi(parts.iter().map(as_written).collect()),
        _ => Written::Other,
    }
}

fn create(path: &str) -> Request {
    Request::Create {
        path: path.into(),
        data: format!("of {path}"),
        stay: Stay::Persistent,
        sequential: false,
        with_stat: false,
    }
}

fn set(path: &str, data: &str) -> Request {
    Request::SetData { path: path.into(), data: data.into(), version: -1 }
}

/// Of a znode without children that was made at zxid 20.
fn stat(mzxid: i64, version: i32, data: &str) -> Stat {
    let data_length = i32::try_from(data.len()).unwrap();
    Stat { czxid: 20, mzxid, pzxid: 20, version, data_length, ..Stat::default() }
}

fn get() -> Request {
    Request::GetData("/r/a".into())
}

fn data(text: &str, mzxid: i64, version: i32) -> Told {
    Ok(Answer::Data(text.into(), stat(mzxid, version, text)))
}

fn written(mzxid: i64, version: i32, data: &str) -> Told {
    Ok(Answer::Stat(stat(mzxid, version, data)))
}

#[test]
fn what_was_answered_and_seen_is_accepted() {
    let mut script = Script::new(2);
    script.done(0, 30, 30, set("/r/a", "x"), written(30, 1, "x"));
    script.done(1, 31, 20, get(), data("of /r/a", 20, 0));
    script.done(1, 40, 30, Request::Sync("/r".into()), Ok(Answer::Done));
    script.done(1, 41, 30, get(), data("x", 30, 1));
    script.check(&[]);
}

#[test]
fn an_unknown_write_may_be_seen_or_not() {
    for happened in [false, true] {
        let mut script = Script::new(2);
        script.unknown(0, 30, set("/r/a", "x"));
        script.next_connection(0, 5_010, 35);
        let expected = if happened { data("x", 33, 1) } else { data("of /r/a", 20, 0) };
        script.done(1, 5_020, 35, get(), expected);
        script.check(&[]);
    }
}

#[test]
fn an_unknown_write_that_nobody_read_is_known_by_the_version_after_it() {
    let mut script = Script::new(2);
    script.unknown(0, 30, set("/r/a", "x"));
    script.done(1, 40, 40, set("/r/a", "y"), written(40, 2, "y"));
    script.check(&[]);
    // But not if there was no such write.
    let mut script = Script::new(2);
    script.done(1, 40, 40, set("/r/a", "y"), written(40, 2, "y"));
    script.check(&[Rule::Twice, Rule::NotLinearizable]);
}

#[test]
fn an_unknown_write_is_not_done_after_what_its_session_did_next() {
    let mut script = Script::new(2);
    script.unknown(0, 30, set("/r/a", "x"));
    script.next_connection(0, 5_010, 35);
    script.done(1, 5_020, 36, get(), data("x", 36, 1));
    script.check(&[Rule::Late]);
    // Also if it is only known by what it leaves: the read has seen that it was not done.
    let mut script = Script::new(2);
    script.unknown(0, 30, set("/r/a", "x"));
    script.next_connection(0, 5_010, 35);
    script.done(1, 5_020, 35, get(), data("of /r/a", 20, 0));
    script.done(1, 5_030, 40, set("/r/a", "y"), written(40, 2, "y"));
    script.check(&[Rule::Twice]);
}

#[test]
fn what_went_out_before_something_done_was_done_too() {
    let mut script = Script::new(2);
    script.unknown(0, 30, set("/r/a", "x"));
    script.unknown(0, 31, create("/r/b"));
    let children = |version, names: &[&str], pzxid| {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let num_children = i32::try_from(names.len()).unwrap();
        let stat = Stat {
            czxid: 10,
            mzxid: 10,
            pzxid,
            data_length: 5,
            cversion: version,
            num_children,
            ..Stat::default()
        };
        Ok(Answer::Children(names, stat))
    };
    script.done(1, 40, 40, Request::Children("/r".into()), children(2, &["a", "b"], 33));
    script.done(1, 41, 40, get(), data("of /r/a", 20, 0));
    script.check(&[Rule::Stale]);
}

#[test]
fn a_lost_write_is_found() {
    let mut script = Script::new(2);
    script.done(0, 30, 30, set("/r/a", "x"), written(30, 1, "x"));
    script.done(1, 40, 40, Request::Sync("/r".into()), Ok(Answer::Done));
    script.done(1, 41, 40, get(), data("of /r/a", 20, 0));
    script.0.sessions[1].ops[1].is_last_look = true;
    script.check(&[Rule::Lost, Rule::NotLinearizable]);
}

#[test]
fn ephemerals_go_with_their_session_and_not_before() {
    let ephemeral = Request::Create {
        path: "/r/e".into(),
        data: "e".into(),
        stay: Stay::Ephemeral,
        sequential: false,
        with_stat: false,
    };
    let base = || {
        let mut script = Script::new(2);
        script.0.sessions[0].connections.truncate(1);
        script.done(0, 30, 30, ephemeral.clone(), Ok(Answer::Created("/r/e".into(), None)));
        script
    };
    let owner =
        Stat { czxid: 30, mzxid: 30, pzxid: 30, data_length: 1, ephemeral_owner: ID + 1, ..Stat::default() };
    let there = Ok(Answer::Stat(owner));
    let look = Request::Exists("/r/e".into());

    // Silent for longer than its timeout: it may be gone or not.
    for told in [there.clone(), Err(-101)] {
        let mut script = base();
        script.done(1, 2_000, 40, look.clone(), told);
        script.check(&[]);
    }
    let mut script = base();
    script.done(1, 500, 40, look.clone(), Err(-101));
    script.check(&[Rule::GoneEarly]);
    // Told that it is dead, it is gone for whoever asks after that.
    let mut script = base();
    script.0.sessions[0].end = End::Expired(2_000);
    script.done(1, 3_000, 40, Request::Sync("/r".into()), Ok(Answer::Done));
    script.done(1, 3_010, 40, look.clone(), there.clone());
    script.check(&[Rule::Outlived]);
    // And it is not told so too soon.
    let mut script = base();
    script.0.sessions[0].end = End::Expired(900);
    script.check(&[Rule::GoneEarly]);
    // Closed.
    let mut script = base();
    script.done(0, 40, 40, Request::Close, Ok(Answer::Done));
    script.done(1, 50, 40, look, there);
    script.check(&[Rule::Outlived]);
}

#[test]
fn order_within_a_session_and_in_real_time() {
    let mut script = Script::new(2);
    script.done(0, 30, 30, set("/r/a", "x"), written(30, 1, "x"));
    script.done(1, 40, 25, create("/r/b"), Ok(Answer::Created("/r/b".into(), None)));
    script.check(&[Rule::RealTime]);
    let mut script = Script::new(2);
    script.done(0, 30, 30, set("/r/a", "x"), written(30, 1, "x"));
    script.done(1, 40, 20, Request::Sync("/r".into()), Ok(Answer::Done));
    script.check(&[Rule::Sync]);
    let mut script = Script::new(2);
    script.done(1, 30, 20, get(), data("of /r/a", 20, 0));
    script.done(1, 40, 19, Request::Sync("/r".into()), Ok(Answer::Done));
    script.check(&[Rule::Sync, Rule::ZxidBack]);
}

#[test]
fn an_order_is_found_without_zxids_if_there_is_one() {
    use super::search::check as search;
    use super::verdict::Verdict;
    let search = |script: &Script| {
        let mut verdict = Verdict::default();
        search(&script.0, &mut verdict);
        assert!(verdict.counts.searched > 0);
        verdict.violations.is_empty()
    };
    // Two at once: either may come first.
    for (first, second) in [(1, 2), (2, 1)] {
        let mut script = Script::new(3);
        script.done(0, 30, 30, set("/r/a", "x"), written(0, first, "x"));
        script.done(1, 30, 31, set("/r/a", "y"), written(0, second, "y"));
        script.done(2, 40, 40, Request::Sync("/r".into()), Ok(Answer::Done));
        let last = if first == 2 { "x" } else { "y" };
        script.done(2, 41, 40, get(), data(last, 0, 2));
        assert!(search(&script));
        // The other one cannot have been the last.
        script.done(2, 45, 40, get(), data(if first == 2 { "y" } else { "x" }, 0, 2));
        assert!(!search(&script));
    }
}
