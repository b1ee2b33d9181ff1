//! A world that is replaced, and what is told to the clients that were here all the while.
use std::collections::VecDeque;

use machine::{Act, Command, Home, Operation, Rules, WatchKind};
use proto::request::{Create, Write};
use proto::{Acl, MemberId, OpCode, Seq, SessionId, Text, Version, Zxid};

use super::*;
use crate::mailbox::{Delivery, Mailbox, Reason};
use crate::session::Seat;

const ME: MemberId = MemberId::new(1);
const BOOT: u64 = 9;

/// A world, and the member that holds it.
struct Stage {
    machine: Machine,
    observer: Observer,
    last_seq: u64,
}

impl Stage {
    fn new() -> Self {
        let observer = Observer {
            watches: Arc::default(),
            registry: Arc::new(Registry::new(ME, BOOT)),
            quotas: QuotaLog::default(),
            stats: Arc::new(Stats::new()),
            slow_sync: Duration::from_millis(20),
        };
        Self { machine: Machine::new(), observer, last_seq: 0 }
    }

    fn seat(&self) -> (Arc<Mailbox>, Seat) {
        let mailbox = Arc::new(Mailbox::default());
        let seat = self.observer.registry.seat(mailbox.clone(), false);
        (mailbox, seat)
    }

    /// Applies what this member hears of.
    fn apply(&mut self, act: Act) -> Applied {
        let applied = self.machine.apply(&Command { time: 0, rules: Rules::default(), act });
        consensus::Observer::applied(&self.observer, &self.machine, &applied);
        applied
    }

    fn open(&mut self, home: Home) -> SessionId {
        match self.apply(open(home)).verdict {
            Verdict::Opened { session, .. } => session,
            other => panic!("not opened: {other:?}"),
        }
    }

    fn write(&mut self, session: SessionId, write: Write) {
        self.last_seq += 1;
        self.apply(writes(session, self.last_seq, write));
    }

    /// Replaces the world by one in which these acts were applied, of which this member heard nothing.
    fn replace(&mut self, acts: impl IntoIterator<Item = Act>) {
        let mut new = Machine::restore(self.machine.records()).expect("a whole world");
        for act in acts {
            new.apply(&Command { time: 0, rules: Rules::default(), act });
        }
        let old = std::mem::replace(&mut self.machine, new);
        consensus::Observer::replaced(&self.observer, &old, &self.machine);
    }
}

fn open(home: Home) -> Act {
    Act::Open { home, password: [1; 16], timeout_ms: 4_000, address: Text::from_static("10.0.0.1") }
}

fn attach(home: Home, session: SessionId) -> Act {
    let (password, address) = (bytes::Bytes::from_static(&[1; 16]), Text::from_static("10.0.0.1"));
    Act::Attach { home, session, password, timeout_ms: 4_000, seen: Zxid::ZERO, address }
}

fn writes(session: SessionId, seq: u64, write: Write) -> Act {
    let operation = Operation { op: OpCode::Create, write: Some(write) };
    let (attachment, seq) = (Attachment::new(1), Seq::new(seq));
    Act::Write { session, attachment, seq, identities: Vec::new(), operation }
}

fn elsewhere(connection: u64) -> Home {
    Home { member: MemberId::new(2), boot: 1, connection }
}

fn create(path: &'static str) -> Write {
    let (path, acl) = (Text::from_static(path), Some(vec![Acl::open()]));
    Write::Create(Create { path, data: None, acl, flags: 0, ttl: None, container: false, with_stat: false })
}

fn set(path: &'static str) -> Write {
    Write::SetData { path: Text::from_static(path), data: None, version: Version::ANY }
}

fn delete(path: &'static str) -> Write {
    Write::Delete { path: Text::from_static(path), version: Version::ANY }
}

fn take(mailbox: &Mailbox) -> (Vec<Delivery>, Option<Reason>) {
    let mut taken = VecDeque::new();
    let reason = mailbox.take(&mut taken);
    (taken.into(), reason)
}

/// Zxid, kind and path of each notification.
fn events(delivery: &Delivery) -> Vec<(i64, i32, String)> {
    let Delivery::CaughtUp { frames, count } = delivery else { panic!("no catch-up: {delivery:?}") };
    let (mut rest, mut events) = (&frames[..], Vec::new());
    while !rest.is_empty() {
        let int = |at: usize| i32::from_be_bytes(rest[at..at + 4].try_into().unwrap());
        let size = 4 + usize::try_from(int(0)).unwrap();
        let zxid = i64::from_be_bytes(rest[8..16].try_into().unwrap());
        events.push((zxid, int(20), String::from_utf8(rest[32..size].to_vec()).unwrap()));
        rest = &rest[size..];
    }
    assert_eq!(events.len(), *count);
    events
}

#[test]
fn whoever_is_here_is_told_what_a_snapshot_skipped_and_waits_for_the_rest() {
    let mut stage = Stage::new();
    let writer = stage.open(elsewhere(1));
    for path in ["/data", "/again", "/parent", "/quiet"] {
        stage.write(writer, create(path));
    }
    let (mailbox, seat) = stage.seat();
    let session = stage.open(seat.home());
    take(&mailbox);
    let listener =
        stage.observer.watches.enlist(mailbox.clone(), Text::from_static("10.0.0.1"), Arc::from([]));
    for (path, kind) in [
        ("/data", WatchKind::Data),
        ("/again", WatchKind::Data),
        ("/quiet", WatchKind::Data),
        ("/short", WatchKind::Exist),
        ("/never", WatchKind::Exist),
        ("/parent", WatchKind::Child),
        ("/quiet", WatchKind::Child),
        ("/parent", WatchKind::Persistent),
        ("/parent", WatchKind::Recursive),
    ] {
        let mut watches = vec![(path.into(), kind)];
        listener.watch_new(&mut watches);
        assert_eq!(watches.len(), 1, "{path} {kind:?}");
    }
    let before = i64::try_from(stage.machine.last_zxid().get()).unwrap();
    let missed = [
        set("/data"),
        set("/data"),
        delete("/again"),
        create("/again"),
        create("/short"),
        delete("/short"),
        create("/parent/one"),
    ];
    let first = stage.last_seq + 1;
    stage.replace((first..).zip(missed).map(|(seq, write)| writes(writer, seq, write)));
    stage.last_seq += 7;

    let (deliveries, reason) = take(&mailbox);
    assert_eq!(reason, None);
    let expected = [
        (before + 1, 3, "/data"),
        (before + 3, 2, "/again"),
        (before + 5, 1, "/short"),
        (before + 7, 1, "/parent/one"),
        (before + 7, 4, "/parent"),
    ];
    assert_eq!(events(&deliveries[0]), expected.map(|(zxid, kind, path)| (zxid, kind, path.to_owned())));
    let next_seq = stage.machine.session(session).unwrap().next_seq;
    assert_eq!(deliveries[1..], [Delivery::Replaced { next_seq }]);

    // What was told once is spent, and the rest still waits.
    for write in [set("/data"), set("/again"), create("/short"), set("/quiet"), create("/never")] {
        stage.write(writer, write);
    }
    let (deliveries, _) = take(&mailbox);
    assert_eq!(deliveries.len(), 2, "of /quiet and of /never: {deliveries:?}");
    // /parent in both tables, and the children of /quiet.
    assert_eq!(stage.observer.watches.len(), 3);
}

#[test]
fn what_became_of_sessions_and_greetings_is_found_in_the_new_world() {
    let mut stage = Stage::new();
    let ((stays, seat1), (moves, seat2), (ends, seat3)) = (stage.seat(), stage.seat(), stage.seat());
    let [staying, moving, ending] = [&seat1, &seat2, &seat3].map(|seat| stage.open(seat.home()));
    for mailbox in [&stays, &moves, &ends] {
        assert!(matches!(take(mailbox).0[..], [Delivery::Welcome(_)]));
    }
    let (greets, seat4) = stage.seat();
    let (waits, _seat5) = stage.seat();
    let expire = Act::Expire { session: ending, attachment: Attachment::new(1) };
    stage.replace([
        writes(staying, 1, create("/x")),
        attach(elsewhere(2), moving),
        expire,
        open(seat4.home()),
    ]);
    assert_eq!(take(&stays), (vec![Delivery::Replaced { next_seq: Seq::new(2) }], None));
    assert_eq!(take(&moves).1, Some(Reason::Moved));
    assert_eq!(take(&ends).1, Some(Reason::Expired));
    let (deliveries, reason) = take(&greets);
    assert!(matches!(deliveries[0], Delivery::Welcome(_)), "{deliveries:?}");
    assert_eq!(reason, None);
    assert_eq!(take(&waits), (vec![], None), "nobody has heard of its greeting");
}

#[test]
fn a_report_is_seen_by_who_sent_it_and_what_is_late_by_who_has_the_session_now() {
    let mut stage = Stage::new();
    let (mailbox, seat) = stage.seat();
    let session = stage.open(seat.home());
    take(&mailbox);
    let report = |attachment, number| Act::Watch {
        session,
        attachment: Attachment::new(attachment),
        number,
        notes: vec![machine::WatchNote {
            path: proto::ZnodePath::parse(&format!("/{number}")).unwrap(),
            kind: WatchKind::Exist,
            zxid: Zxid::new(1),
            armed: true,
        }],
        seen: Zxid::ZERO,
    };
    stage.apply(report(1, 1));
    assert_eq!(take(&mailbox).0, [Delivery::Noted { number: 1 }]);

    let (second, seat) = stage.seat();
    stage.apply(attach(seat.home(), session));
    take(&second);
    stage.apply(report(1, 2));
    let (deliveries, _) = take(&second);
    let [Delivery::Late(late)] = &deliveries[..] else { panic!("{deliveries:?} instead of what is late") };
    assert_eq!(late.exist, [Text::from_static("/2")]);
    assert_eq!(take(&mailbox).0, [], "it has left");
}

#[test]
fn a_sync_is_slow_if_it_takes_longer_than_the_operator_thinks_good() {
    let observer = Stage::new().observer;
    for (millis, slow) in [(1, 0), (20, 0), (21, 1), (2_000, 2)] {
        let took = Duration::from_millis(millis);
        consensus::Observer::measured(&observer, Amount::LogSynced { took, entries: 3 });
        assert_eq!(observer.stats.slow_syncs(), slow, "{millis} ms");
    }
}
