//! Histories with a log.

use super::*;

fn sequential(data: &str) -> Request {
    Request::Create {
        path: "/r/q-".into(),
        data: data.into(),
        stay: Stay::Ephemeral,
        sequential: true,
        with_stat: false,
    }
}

/// Of `/r`, whose children were created and deleted so often, the last time at this zxid.
fn children(names: &[&str], cversion: i32, pzxid: i64) -> Told {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let num_children = i32::try_from(names.len()).unwrap();
    let stat =
        Stat { czxid: 10, mzxid: 10, pzxid, data_length: 5, cversion, num_children, ..Stat::default() };
    Ok(Answer::Children(names, stat))
}

fn write_of(request: &Request) -> Act {
    Act::Write(as_written(request))
}

/// Two sessions have asked for a number and were not answered. Which of them has got it, others see only when it goes with
/// one of them. Who goes by what they see takes the first, and finds that it has outlived its session, and that the other's
/// went early.
#[test]
fn the_log_knows_whose_an_unanswered_sequential_znode_is() {
    let mut script = Script::new(4);
    script.unknown(0, 30, sequential("of the first"));
    script.unknown(1, 31, sequential("of the second"));
    for session in [0, 1] {
        script.0.sessions[session].connections.truncate(1);
    }
    let look = || Request::Children("/r".into());
    script.done(2, 40, 40, Request::Sync("/r".into()), Ok(Answer::Done));
    script.done(2, 50, 40, look(), children(&["a", "q-0000000001"], 2, 35));
    // The second ends its session and is not answered; the first lives on.
    script.unknown(1, 60, Request::Close);
    script.done(2, 70, 70, look(), children(&["a"], 3, 65));
    script.done(0, 80, 80, Request::Sync("/r".into()), Ok(Answer::Done));
    script.0.sessions[0].ops.last_mut().unwrap().connection = 2;
    script.0.sessions[0].connections.push((75, 76));
    script.log(&[(1, 35, write_of(&sequential("of the second"))), (1, 65, Act::End { is_asked: true })]);
    script.check(&[]);
    // The other way round it cannot have been.
    script.log(&[(0, 35, write_of(&sequential("of the first"))), (1, 65, Act::End { is_asked: true })]);
    script.check(&[Rule::GoneEarly]);
}

#[test]
fn what_was_acknowledged_stands_in_the_log() {
    let mut script = Script::new(2);
    script.done(0, 30, 30, set("/r/a", "x"), written(30, 1, "x"));
    script.log(&[]);
    script.check(&[]);
    script.0.log.as_mut().unwrap().pop();
    script.check(&[Rule::Lost]);
    // Neither another session's nor another write will do.
    script.0.log.as_mut().unwrap().push(Transaction {
        zxid: 30,
        session: ID + 2,
        act: write_of(&set("/r/a", "x")),
    });
    script.check(&[Rule::Lost, Rule::Unexplained]);
}

#[test]
fn the_log_has_nothing_that_nobody_asked_for() {
    let script = || {
        let mut script = Script::new(2);
        script.unknown(0, 30, set("/r/a", "x"));
        script.next_connection(0, 5_010, 50);
        script
    };
    let x = write_of(&set("/r/a", "x"));
    let look = |script: &mut Script, told| script.done(1, 5_020, 50, get(), told);

    // Refused or done, or not taken up: all of it is well.
    let mut it = script();
    it.log(&[(0, 33, x.clone())]);
    look(&mut it, data("x", 33, 1));
    it.check(&[]);
    let mut it = script();
    it.log(&[]);
    look(&mut it, data("of /r/a", 20, 0));
    it.check(&[]);
    // The log has it, and it is not to be seen.
    let mut it = script();
    it.log(&[(0, 33, x.clone())]);
    look(&mut it, data("of /r/a", 20, 0));
    it.check(&[Rule::Stale]);
    // It is to be seen, and the log does not have it, or elsewhere.
    let mut it = script();
    it.log(&[]);
    look(&mut it, data("x", 33, 1));
    it.check(&[Rule::Twice, Rule::Unexplained]);
    let mut it = script();
    it.log(&[(0, 34, x.clone())]);
    look(&mut it, data("x", 33, 1));
    it.check(&[Rule::Twice]);
    // Twice.
    let mut it = script();
    it.log(&[(0, 33, x.clone()), (0, 34, x.clone())]);
    look(&mut it, data("x", 33, 1));
    it.check(&[Rule::Twice]);
    // Behind what the session has left behind it.
    let mut it = script();
    it.done(0, 5_030, 60, create("/r/b"), Ok(Answer::Created("/r/b".into(), None)));
    it.log(&[(0, 55, x.clone())]);
    it.check(&[Rule::Late]);
    // By a session that nobody has.
    let mut it = script();
    it.log(&[]);
    it.0.log.as_mut().unwrap().push(Transaction { zxid: 33, session: ID + 9, act: x });
    it.check(&[Rule::Unexplained]);
}

#[test]
fn what_was_left_out_is_not_followed_by_what_was_asked_behind_it() {
    for connection in [1, 2] {
        let mut script = Script::new(2);
        script.unknown(0, 30, create("/r/b"));
        script.unknown(0, 31, create("/r/c"));
        script.0.sessions[0].ops.last_mut().unwrap().connection = connection;
        script.log(&[(0, 33, write_of(&create("/r/c")))]);
        script.check(if connection == 1 { &[Rule::ReplyOrder] } else { &[] });
    }
}

#[test]
fn the_log_ends_sessions_in_time() {
    let base = |end: Option<i64>| {
        let mut script = Script::new(3);
        script.0.sessions[0].connections.truncate(1);
        script.0.sessions[0].end = End::Abandoned;
        script.0.settled = Some(3_000);
        script.done(1, 500, 40, Request::Sync("/r".into()), Ok(Answer::Done));
        script.done(1, 2_000, 50, create("/r/b"), Ok(Answer::Created("/r/b".into(), None)));
        script.done(1, 4_000, 60, create("/r/c"), Ok(Answer::Created("/r/c".into(), None)));
        let end = end.map(|zxid| (0, zxid, Act::End { is_asked: false }));
        script.log(&end.into_iter().collect::<Vec<_>>());
        script
    };
    base(Some(45)).check(&[]);
    base(Some(55)).check(&[]);
    // It was heard of at 20 µs and had 1000.
    base(Some(40)).check(&[Rule::GoneEarly]);
    // All was in order at 3000, and then there was a write at 60.
    base(Some(61)).check(&[Rule::Outlived]);
    base(None).check(&[Rule::Outlived]);
}

#[test]
fn containers_go_when_they_are_empty() {
    let base = |path: &str| {
        let container = Request::Create {
            path: "/r/k".into(),
            data: "k".into(),
            stay: Stay::Container,
            sequential: false,
            with_stat: false,
        };
        let stat = Stat { czxid: 30, mzxid: 30, pzxid: 30, data_length: 1, ..Stat::default() };
        let mut script = Script::new(2);
        script.done(0, 30, 30, container, Ok(Answer::Created("/r/k".into(), Some(stat))));
        script.done(0, 40, 40, create("/r/k/a"), Ok(Answer::Created("/r/k/a".into(), None)));
        if path == "/r/k/a" {
            let delete = Request::Delete { path: path.into(), version: -1 };
            script.done(0, 50, 50, delete, Ok(Answer::Done));
        }
        script.log(&[(9, 60, Act::Reap("/r/k".into()))]);
        script
    };
    base("/r/k/a").check(&[]);
    base("").check(&[Rule::GoneEarly]);
}

/// When no leader has lived for as long as their timeout, many sessions end in one go: more than anybody could guess from the
/// one list in which their znodes are missing.
#[test]
fn the_log_knows_of_sessions_that_end_in_one_go() {
    const SESSIONS: i64 = 40;
    let mut script = Script::new(42);
    let mut ends = Vec::new();
    let mut names = vec!["a".to_owned()];
    for number in 0..SESSIONS {
        let session = usize::try_from(number + 1).unwrap();
        script.0.sessions[session].id = ID + 31 + number;
        script.0.sessions[session].connections.truncate(1);
        let name = format!("q-{:010}", number + 1);
        let told = Ok(Answer::Created(format!("/r/{name}"), None));
        let zxid = 100 + number;
        script.done(session, u64::try_from(zxid).unwrap(), zxid, sequential(&format!("of {number}")), told);
        ends.push((session, 200 + number, Act::End { is_asked: false }));
        names.push(name);
    }
    let there: Vec<&str> = names.iter().map(String::as_str).collect();
    let look = || Request::Children("/r".into());
    script.0.sessions[41].id = ID + 90;
    script.done(41, 160, 150, look(), children(&there, 41, 139));
    script.done(41, 2_000, 300, Request::Sync("/r".into()), Ok(Answer::Done));
    script.done(41, 2_010, 300, look(), children(&["a"], 81, 239));
    script.log(&ends);
    script.check(&[]);
    // One of them is missing, and the log has no end of its session.
    ends.pop();
    script.log(&ends);
    script.check(&[Rule::GoneEarly]);
}
