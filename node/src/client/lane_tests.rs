//! The order of a lane, as little scripts: what arrives on the left, what the lane lets happen on the right.
use super::*;

/// Runs a script of words: `w` a write, `r` a read, `s` a sync, `p` a ping, `a` credentials, `?` an operation that
/// is not served, `m` a change of members, `!` a body that does not parse, `x` a closeSession, `u` takes a watch away, `i` what is
/// not for clients; they are numbered from 1 as they come. `+N` answers write N, `|` passes the barrier, `:` says that watches are
/// taken away, `~` that nothing speaks against the change of members. Each word is followed by what the lane lets happen.
fn run(script: &str) -> String {
    run_in(Lane::new(usize::MAX), script)
}

fn run_in(mut lane: Lane<()>, script: &str) -> String {
    let (mut xid, mut lines) = (0, Vec::new());
    for word in script.split_whitespace() {
        let request = match word {
            "w" => Some(Ok(Request::Write(OpCode::SetData, Bytes::new()))),
            "m" => Some(Ok(Request::Write(OpCode::Reconfig, Bytes::new()))),
            "x" => Some(Ok(Request::Write(OpCode::CloseSession, Bytes::new()))),
            "r" => Some(Ok(Request::Read(Read::GetAcl { path: "/".into() }))),
            "s" => Some(Ok(Request::Sync(Some("/".into())))),
            "p" => Some(Ok(Request::Ping)),
            "a" => Some(Ok(Request::Auth(Auth { scheme: "ip".into(), credentials: Bytes::new() }))),
            "u" => {
                let (path, kind) = ("/".into(), WatcherType::Any);
                Some(Ok(Request::FindWatches { path, kind, remove: true }))
            }
            "i" => Some(Ok(Request::Internal)),
            "?" => Some(Ok(Request::Unserved(500))),
            "!" => Some(Err(Code::MarshallingError)),
            _ => None,
        };
        let mut happens = Vec::new();
        match (request, word.strip_prefix('+')) {
            (Some(request), _) => {
                xid += 1;
                lane.accept(Xid::new(xid), request, 1, ());
            }
            (None, Some(seq)) => match lane.written(Seq::new(seq.parse().unwrap())) {
                Some(done) => happens.push(format!("answered {}", done.xid)),
                None => happens.push("out of turn".to_owned()),
            },
            (None, None) => match word {
                "|" => lane.barrier_passed(),
                "~" => lane.members_change(),
                _ => {
                    assert_eq!(word, ":");
                    assert!(lane.taken_away() && !lane.taken_away(), "only who has waited goes on");
                }
            },
        }
        while let Some(step) = lane.next() {
            match step {
                Step::Propose { seq, op, .. } => happens.push(format!("propose {seq} {op:?}")),
                Step::Barrier => happens.push("barrier".to_owned()),
                Step::TakeAway(removals) => happens.push(format!("take away {}", removals.len())),
                Step::Answer => {
                    let (done, question) = lane.take_answerable().expect("there is something to answer");
                    let what = match question {
                        Question::Refused(code) => format!("refuse {} {}", done.xid, code.to_wire()),
                        Question::Forbidden(code) => format!("forbid {} {}", done.xid, code.to_wire()),
                        Question::Synced(_) => format!("synced {}", done.xid),
                        Question::FindWatches { .. } => format!("taken away {}", done.xid),
                        _ => format!("answer {}", done.xid),
                    };
                    happens.push(what);
                }
            }
        }
        assert_eq!(lane.take_answerable(), None, "what can be answered is announced");
        assert_eq!(lane.bytes, lane.len(), "each request of these scripts has one byte");
        lines.push(format!("{word}: {}", happens.join(", ")).trim_end().to_owned());
    }
    lines.join("\n")
}

#[track_caller]
fn check(script: &str, expected: &str) {
    let expected: Vec<_> = expected.trim().lines().map(str::trim).collect();
    assert_eq!(run(script), expected.join("\n"));
}

#[test]
fn where_only_reads_are_served_what_needs_a_leader_is_refused() {
    let happens = run_in(Lane::new(usize::MAX).read_only(), "w s r p ! x r");
    let expected = [
        "w: refuse 1 -119",
        "s: refuse 2 -119",
        "r: answer 3",
        "p: answer 4",
        "!: refuse 5 -5",
        "x: answer 6",
        "r:",
    ];
    assert_eq!(happens, expected.join("\n"));
}

#[test]
fn reads_are_answered_as_they_come() {
    check(
        "r r p",
        "r: answer 1
         r: answer 2
         p: answer 3",
    );
}

#[test]
fn nothing_but_a_ping_is_done_behind_a_change_of_members() {
    check(
        "w m p +1 ~ p w p +2 +3",
        "w: propose 1 SetData
         m: propose 2 Reconfig
         p:
         +1: answered 1
         ~: answer 3
         p: answer 4
         w:
         p:
         +2: answered 2, propose 3 SetData
         +3: answered 5, answer 6",
    );
}

#[test]
fn a_change_of_members_that_is_refused_is_answered_like_any_write() {
    check(
        "~ m p +1 p",
        "~:
         m: propose 1 Reconfig
         p:
         +1: answered 1, answer 2
         p: answer 3",
    );
}

#[test]
fn writes_are_pipelined() {
    check(
        "w w w +1 +2 +3",
        "w: propose 1 SetData
         w: propose 2 SetData
         w: propose 3 SetData
         +1: answered 1
         +2: answered 2
         +3: answered 3",
    );
}

#[test]
fn a_read_waits_for_the_writes_before_it_and_a_ping_does_too() {
    check(
        "w w r p +1 +2",
        "w: propose 1 SetData
         w: propose 2 SetData
         r:
         p:
         +1: answered 1
         +2: answered 2, answer 3, answer 4",
    );
}

#[test]
fn a_write_waits_for_the_read_before_it() {
    check(
        "w r w w r +1 +2 +3",
        "w: propose 1 SetData
         r:
         w:
         w:
         r:
         +1: answered 1, answer 2, propose 2 SetData, propose 3 SetData
         +2: answered 3
         +3: answered 4, answer 5",
    );
}

#[test]
fn a_sync_holds_back_what_is_behind_it_until_the_barrier() {
    check(
        "s r w | +1",
        "s: barrier
         r:
         w:
         |: synced 1, answer 2, propose 1 SetData
         +1: answered 3",
    );
}

#[test]
fn a_sync_asks_for_its_barrier_while_writes_are_under_way() {
    check(
        "w s | +1",
        "w: propose 1 SetData
         s: barrier
         |:
         +1: answered 1, synced 2",
    );
}

#[test]
fn syncs_that_wait_together_share_a_barrier_and_later_ones_need_their_own() {
    check(
        "w r s s +1 s | |",
        "w: propose 1 SetData
         r:
         s:
         s:
         +1: answered 1, answer 2, barrier
         s:
         |: synced 3, synced 4, barrier
         |: synced 5",
    );
}

#[test]
fn a_removal_holds_back_what_is_behind_it_until_it_is_known() {
    check(
        "w r u r w +1 : +2",
        "w: propose 1 SetData
         r:
         u:
         r:
         w:
         +1: answered 1, answer 2, take away 1
         :: taken away 3, answer 4, propose 2 SetData
         +2: answered 5",
    );
}

#[test]
fn removals_that_stand_together_go_together_and_later_ones_by_themselves() {
    check(
        "r w u u r u +1 : :",
        "r: answer 1
         w: propose 1 SetData
         u: take away 1
         u:
         r:
         u:
         +1: answered 2
         :: taken away 3, take away 1
         :: taken away 4, answer 5, take away 1",
    );
}

#[test]
fn a_removal_and_a_sync_wait_for_what_is_theirs() {
    check(
        "u s | :",
        "u: take away 1
         s:
         |:
         :: taken away 1, barrier",
    );
}

#[test]
fn credentials_take_their_place() {
    check(
        "w a w +1",
        "w: propose 1 SetData
         a:
         w:
         +1: answered 1, answer 2, propose 2 SetData",
    );
}

#[test]
fn refusals_take_their_place() {
    check(
        "? w ? ! +1",
        "?: refuse 1 -6
         w: propose 1 SetData
         ?:
         !:
         +1: answered 2, refuse 3 -6, refuse 4 -5",
    );
}

#[test]
fn nothing_is_done_behind_a_close() {
    check(
        "w x r w +1 +2",
        "w: propose 1 SetData
         x: propose 2 CloseSession
         r:
         w:
         +1: answered 1
         +2: answered 2",
    );
}

#[test]
fn what_is_not_for_clients_is_answered_in_turn_and_nothing_is_done_behind_it() {
    check(
        "w i r w +1",
        "w: propose 1 SetData
         i:
         r:
         w:
         +1: answered 1, forbid 2 -6",
    );
}

#[test]
fn an_answer_out_of_turn_is_noticed() {
    check(
        "w w +2",
        "w: propose 1 SetData
         w: propose 2 SetData
         +2: out of turn",
    );
}

#[test]
fn the_lane_is_full_at_its_bounds() {
    let mut lane = Lane::new(usize::MAX);
    for _ in 0..LANE_REQUESTS_MAX {
        assert!(lane.has_room());
        lane.accept(Xid::new(1), Ok(Request::Ping), 10, ());
    }
    assert!(!lane.has_room());
    assert!(lane.take_answerable().is_some());
    assert!(lane.has_room());

    let mut lane = Lane::new(usize::MAX);
    lane.accept(Xid::new(1), Ok(Request::Write(OpCode::Multi, Bytes::new())), LANE_BYTES_MAX, ());
    assert!(!lane.has_room(), "bytes are counted");
    assert!(matches!(lane.next(), Some(Step::Propose { .. })));
    assert!(!lane.has_room(), "also of what is in flight");
    assert!(lane.written(Seq::new(1)).is_some());
    assert!(lane.has_room());
}

#[test]
fn a_closed_lane_drops_what_waits() {
    let mut lane = Lane::new(usize::MAX);
    lane.accept(Xid::new(1), Ok(Request::Ping), 10, ());
    lane.close();
    lane.accept(Xid::new(2), Ok(Request::Ping), 10, ());
    assert_eq!((lane.len(), lane.has_room(), lane.next()), (0, false, None));
}

#[test]
fn who_is_kept_out_is_refused_whatever_it_asks_but_may_prove_who_it_is() {
    let mut lane = Lane::new(usize::MAX);
    let asked = [
        Request::Auth(Auth { scheme: "ip".into(), credentials: Bytes::new() }),
        Request::Sasl(Bytes::new()),
        Request::Write(OpCode::SetData, Bytes::new()),
        Request::Sync(Some("/".into())),
        Request::Ping,
        Request::Write(OpCode::CloseSession, Bytes::new()),
    ];
    for (xid, request) in (1..).zip(asked) {
        lane.accept(Xid::new(xid), Ok(request), 1, ());
    }
    let mut answered = Vec::new();
    while lane.len() > 0 {
        lane.keep_out(Code::SessionClosedRequireSaslAuth);
        assert_eq!(lane.next(), Some(Step::Answer));
        let (_, question) = lane.take_answerable().unwrap();
        answered.push(matches!(question, Question::Refused(Code::SessionClosedRequireSaslAuth)));
    }
    assert_eq!(answered, [false, false, true, true, true, true]);
    assert_eq!(lane.bytes, 0);
}

#[test]
fn who_has_waited_for_too_long_is_refused_in_turn() {
    let mut lane = Lane::new(usize::MAX);
    let requests = [
        Request::Write(OpCode::SetData, Bytes::new()),
        Request::Ping,
        Request::Write(OpCode::SetData, Bytes::new()),
        Request::Sync(Some("/".into())),
        Request::Read(Read::GetAcl { path: "/".into() }),
        Request::Read(Read::GetAcl { path: "/".into() }),
        Request::Write(OpCode::CloseSession, Bytes::new()),
    ];
    for (xid, request) in (1..).zip(requests) {
        lane.accept(Xid::new(xid), Ok(request), 1, xid);
    }
    assert!(matches!(lane.next(), Some(Step::Propose { .. })));
    // The last read came late.
    assert_eq!((lane.refuse(|arrived| *arrived != 6), lane.refuse(|arrived| *arrived != 6)), (3, 0));
    assert_eq!(lane.next(), None, "they wait for the write in front of them");
    assert!(lane.written(Seq::new(1)).is_some());
    let mut answered = Vec::new();
    while let Some((done, question)) = lane.take_answerable() {
        answered.push((done.xid.get(), question == Question::Refused(Code::ThrottledOp)));
    }
    assert_eq!(answered, [(2, false), (3, true), (4, true), (5, true), (6, false)]);
    assert!(matches!(lane.next(), Some(Step::Propose { op: OpCode::CloseSession, .. })));
}

#[test]
fn large_requests_are_weighed_until_they_are_answered() {
    let mut lane = Lane::new(10);
    for bytes in [10, 11, 12] {
        lane.accept(Xid::new(1), Ok(Request::Ping), bytes, ());
    }
    lane.accept(Xid::new(1), Ok(Request::Write(OpCode::SetData, Bytes::new())), 100, ());
    let mut weights = vec![lane.large_bytes()];
    while lane.take_answerable().is_some() {
        weights.push(lane.large_bytes());
    }
    assert_eq!(weights, [123, 123, 112, 100]);
    assert!(matches!(lane.next(), Some(Step::Propose { .. })));
    assert_eq!(lane.large_bytes(), 100);
    assert!(lane.written(Seq::new(1)).is_some());
    assert_eq!((lane.large_bytes(), lane.begun()), (0, 0));
}
