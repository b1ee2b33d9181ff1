//! The order of a lane, as little scripts: what arrives on the left, what the lane lets happen on the right.
use super::*;

/// Runs a script of words: `w` a write, `r` a read, `s` a sync, `p` a ping, `a` credentials, `?` an operation that
/// is not served, `!` a body that does not parse, `x` a closeSession; they are numbered from 1 as they come.
/// `+N` answers write N, `|` passes the barrier. Each word is followed by what the lane lets happen.
fn run(script: &str) -> String {
    let mut lane = Lane::new();
    let (mut xid, mut lines) = (0, Vec::new());
    for word in script.split_whitespace() {
        let request = match word {
            "w" => Some(Ok(Request::Write(OpCode::SetData, Bytes::new()))),
            "x" => Some(Ok(Request::Write(OpCode::CloseSession, Bytes::new()))),
            "r" => Some(Ok(Request::Read(Read::GetAcl { path: "/".into() }))),
            "s" => Some(Ok(Request::Sync("/".into()))),
            "p" => Some(Ok(Request::Ping)),
            "a" => Some(Ok(Request::Auth(Auth { scheme: "ip".into(), credentials: Bytes::new() }))),
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
            (None, None) => {
                assert_eq!(word, "|");
                lane.barrier_passed();
            }
        }
        while let Some(step) = lane.next() {
            match step {
                Step::Propose { seq, op, .. } => happens.push(format!("propose {seq} {op:?}")),
                Step::Barrier => happens.push("barrier".to_owned()),
                Step::Answer => {
                    let (done, question) = lane.take_answerable().expect("there is something to answer");
                    let what = match question {
                        Question::Refused(code) => format!("refuse {} {}", done.xid, code.to_wire()),
                        Question::Synced(_) => format!("synced {}", done.xid),
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
fn reads_are_answered_as_they_come() {
    check(
        "r r p",
        "r: answer 1
         r: answer 2
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
    let mut lane = Lane::new();
    for _ in 0..LANE_REQUESTS_MAX {
        assert!(lane.has_room());
        lane.accept(Xid::new(1), Ok(Request::Ping), 10, ());
    }
    assert!(!lane.has_room());
    assert!(lane.take_answerable().is_some());
    assert!(lane.has_room());

    let mut lane = Lane::new();
    lane.accept(Xid::new(1), Ok(Request::Write(OpCode::Multi, Bytes::new())), LANE_BYTES_MAX, ());
    assert!(!lane.has_room(), "bytes are counted");
    assert!(matches!(lane.next(), Some(Step::Propose { .. })));
    assert!(!lane.has_room(), "also of what is in flight");
    assert!(lane.written(Seq::new(1)).is_some());
    assert!(lane.has_room());
}

#[test]
fn a_closed_lane_drops_what_waits() {
    let mut lane = Lane::new();
    lane.accept(Xid::new(1), Ok(Request::Ping), 10, ());
    lane.close();
    lane.accept(Xid::new(2), Ok(Request::Ping), 10, ());
    assert_eq!((lane.len(), lane.has_room(), lane.next()), (0, false, None));
}
