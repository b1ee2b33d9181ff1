//! The dump of a leader and of a follower.
use super::*;
use crate::admin::OfSession;

const A: SessionId = SessionId::from_wire(0x100_0001_06bf_0000);
const B: SessionId = SessionId::from_wire(0x100_0001_06bf_0001);

fn line(session: Option<SessionId>) -> Line {
    let session = session.map(|id| OfSession {
        id,
        timeout_ms: 30_000,
        last_op: "PING",
        last_cxid: None,
        last_zxid: None,
        last_response_ms: 0,
        latency_ms: [0; 4],
    });
    Line {
        address: "127.0.0.1:40112".parse().expect("an address"),
        queued: 0,
        received: 0,
        sent: 0,
        session,
        established_ms: 0,
        silent: Duration::ZERO,
        is_word: session.is_none(),
    }
}

fn dump(sessions: Sessions) -> Dump {
    let path = |path: &str| ZnodePath::parse(path).expect("a path");
    let connections = rows(
        0,
        [(10, None), (30, Some(A)), (30, Some(B))]
            .map(|(seconds, session)| (Duration::from_secs(seconds), line(session))),
    );
    Dump { sessions, ephemerals: vec![(A, vec![path("/e"), path("/locks/n_0000000001")])], connections }
}

fn due() -> Sessions {
    // A Sunday in November.
    let wall = 784_111_000_000;
    Sessions::Due(rows(wall, [(Duration::from_secs(20), A), (Duration::from_millis(20_400), B)]))
}

#[test]
fn the_dump_of_a_leader_reads_well() {
    insta::assert_snapshot!(dump(due()).text().collect::<String>());
}

#[test]
fn the_dump_of_a_follower_reads_well() {
    let known = Sessions::Known(vec![(A, 30_000), (B, 4_000)]);
    insta::assert_snapshot!(dump(known).text().collect::<String>());
}

#[test]
fn the_same_is_told_as_json() {
    let (a, b) = (A.to_wire(), B.to_wire());
    let ephemerals = json!({ a.to_string(): ["/e", "/locks/n_0000000001"] });
    let told = json!({
        "expiry_time_to_session_ids": { "784111021000": [a, b] },
        "session_id_to_ephemeral_paths": ephemerals,
    });
    assert_eq!(dump(due()).json(), told);
    assert_eq!(dump(Sessions::Known(vec![])).json()["expiry_time_to_session_ids"], json!({}));
}
