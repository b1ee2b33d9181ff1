//! Proposals as bytes of the log, and back.
//!
//! A transaction is encoded once, by the member that proposes it, and then only copied: the leader packs it unread
//! into a batch, and every member decodes the batch where it applies it.

use std::num::NonZeroU64;

use bytes::{Bytes, BytesMut};
use machine::{Act, Command, Home, Millis, Operation, Reconfiguration, Rules, WatchKind, WatchNote};
use prost::Message;
use proto::jute::request::read_write;
use proto::log::{self, transaction};
use proto::{Attachment, ClusterId, Code, Id, MemberId, OpCode, Seq, SessionId, Text, ZnodePath, Zxid};

use crate::Fault;

/// What a member asks the log for, on behalf of one of its clients. It becomes a `machine::Act`; the body of a write
/// is the client's own bytes, carried unchanged and parsed where it is applied.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the fields are those of `machine::Act`")]
pub enum Proposal {
    Open {
        home: Home,
        password: [u8; 16],
        timeout_ms: u32,
        address: Text,
    },
    Attach {
        home: Home,
        session: SessionId,
        password: Bytes,
        timeout_ms: u32,
        seen: Zxid,
        address: Text,
    },
    Write {
        session: SessionId,
        attachment: Attachment,
        seq: Seq,
        identities: Vec<Id>,
        op: OpCode,
        body: Bytes,
    },
    Watch {
        session: SessionId,
        attachment: Attachment,
        number: u64,
        notes: Vec<WatchNote>,
        seen: Zxid,
    },
}

/// A proposal as the log will carry it.
pub(crate) fn encode(proposal: Proposal) -> Bytes {
    transaction(match proposal {
        Proposal::Open { home, password, timeout_ms, address } => transaction::Act::Open(log::Open {
            home: Some(write_home(home)),
            password: Bytes::copy_from_slice(&password),
            timeout_ms,
            address: address.into(),
        }),
        Proposal::Attach { home, session, password, timeout_ms, seen, address } => {
            transaction::Act::Attach(log::Attach {
                home: Some(write_home(home)),
                session: session.to_wire(),
                password,
                timeout_ms,
                seen: seen.get(),
                address: address.into(),
            })
        }
        Proposal::Write { session, attachment, seq, identities, op, body } => {
            transaction::Act::Write(log::Write {
                session: session.to_wire(),
                attachment: attachment.get(),
                seq: seq.get(),
                identities: identities.into_iter().map(write_identity).collect(),
                op: op.to_wire(),
                body,
            })
        }
        Proposal::Watch { session, attachment, number, notes, seen } => transaction::Act::Watch(log::Watch {
            session: session.to_wire(),
            attachment: attachment.get(),
            number,
            notes: notes.into_iter().map(write_note).collect(),
            seen: seen.get(),
        }),
    })
}

/// The end of a session that was not heard of, as the log will carry it.
pub(crate) fn encode_expiry(session: SessionId, attachment: Attachment) -> Bytes {
    let (session, attachment) = (session.to_wire(), attachment.get());
    transaction(transaction::Act::Expire(log::Expire { session, attachment }))
}

/// Who the members are, as the log will carry it.
pub(crate) fn encode_ensemble(lines: &[String]) -> Bytes {
    transaction(transaction::Act::Ensemble(log::Ensemble { lines: lines.to_vec() }))
}

/// Which ensemble this is, as the log will carry it.
pub(crate) fn encode_name(cluster: ClusterId) -> Bytes {
    transaction(transaction::Act::Name(log::Name { cluster: cluster.get() }))
}

/// The name that an entry gives the ensemble, if that is what it is there for.
pub(crate) fn name_in(batch: &Bytes) -> Option<ClusterId> {
    decode(batch).ok()?.into_iter().find_map(|command| match command.act {
        Act::Name { cluster } => Some(cluster),
        _ => None,
    })
}

/// What has come of the change of members that a session had asked for, as the log will carry it.
pub(crate) fn encode_reconfigured(asked: &Reconfiguration, refusal: Option<Code>) -> Bytes {
    transaction(transaction::Act::Reconfigured(log::Reconfigured {
        session: asked.session.to_wire(),
        attachment: asked.attachment.get(),
        seq: asked.seq.get(),
        refusal: refusal.map_or(0, |code| code as i32),
    }))
}

/// The end of a container or TTL znode that seems to have had its time, as the log will carry it.
pub(crate) fn encode_reaping(path: &ZnodePath, never_used_ms: Millis) -> Bytes {
    transaction(transaction::Act::Reap(log::Reap { path: path.to_string(), never_used_ms }))
}

/// Encoded transactions as one entry, stamped with the leader's time and rules.
pub(crate) fn encode_batch(time: Millis, rules: Rules, transactions: Vec<Bytes>) -> Bytes {
    log::Batch { time_ms: time, transactions, rules: rules.bits(), mark: 0 }.encode_to_vec().into()
}

/// An entry that changes nothing, at which every member takes the digest of its state.
pub(crate) fn encode_mark(time: Millis, mark: NonZeroU64) -> Bytes {
    log::Batch { time_ms: time, transactions: Vec::new(), rules: 0, mark: mark.get() }.encode_to_vec().into()
}

/// The commands of one entry.
///
/// # Errors
/// A [`Fault`] if the entry cannot be read: it is damaged, or of a later release. Either way this member cannot
/// know what the others make of it.
pub(crate) fn decode(batch: &Bytes) -> Result<Vec<Command>, Fault> {
    decode_marked(batch).map(|(commands, _)| commands)
}

/// The same, with the mark that the entry may carry.
///
/// # Errors
/// As [`decode`].
pub(crate) fn decode_marked(batch: &Bytes) -> Result<(Vec<Command>, Option<NonZeroU64>), Fault> {
    let batch = log::Batch::decode(batch.clone()).map_err(|error| unreadable(&error.to_string()))?;
    let time = batch.time_ms;
    let rules = Rules::from_bits(batch.rules).ok_or_else(|| unreadable("an unknown rule"))?;
    let mark = NonZeroU64::new(batch.mark);
    // How many they are is known, which an iterator that may fail does not tell.
    let mut commands = Vec::with_capacity(batch.transactions.len());
    for bytes in batch.transactions {
        commands.push(Command { time, rules, act: decode_act(bytes)? });
    }
    Ok((commands, mark))
}

fn decode_act(bytes: Bytes) -> Result<Act, Fault> {
    let transaction = log::Transaction::decode(bytes).map_err(|error| unreadable(&error.to_string()))?;
    Ok(match transaction.act.ok_or_else(|| unreadable("an unknown act"))? {
        transaction::Act::Open(open) => Act::Open {
            home: read_home(open.home)?,
            password: open
                .password
                .as_ref()
                .try_into()
                .map_err(|_| unreadable("a password of another length"))?,
            timeout_ms: open.timeout_ms,
            address: open.address.into(),
        },
        transaction::Act::Attach(attach) => Act::Attach {
            home: read_home(attach.home)?,
            session: SessionId::from_wire(attach.session),
            password: Bytes::copy_from_slice(&attach.password),
            timeout_ms: attach.timeout_ms,
            seen: Zxid::new(attach.seen),
            address: attach.address.into(),
        },
        transaction::Act::Write(write) => Act::Write {
            session: SessionId::from_wire(write.session),
            attachment: Attachment::new(write.attachment),
            seq: Seq::new(write.seq),
            identities: write.identities.into_iter().map(|id| Id::new(id.scheme, id.id)).collect(),
            operation: decode_operation(write.op, &write.body)?,
        },
        transaction::Act::Expire(expire) => Act::Expire {
            session: SessionId::from_wire(expire.session),
            attachment: Attachment::new(expire.attachment),
        },
        transaction::Act::Ensemble(ensemble) => {
            Act::Ensemble { lines: ensemble.lines.into_iter().map(Text::from).collect() }
        }
        transaction::Act::Name(name) => Act::Name {
            cluster: ClusterId::new(name.cluster).ok_or_else(|| unreadable("a name that is none"))?,
        },
        transaction::Act::Reconfigured(done) => Act::Reconfigured {
            session: SessionId::from_wire(done.session),
            attachment: Attachment::new(done.attachment),
            seq: Seq::new(done.seq),
            refusal: read_refusal(done.refusal)?,
        },
        transaction::Act::Reap(reap) => Act::Reap {
            path: ZnodePath::parse(&reap.path).map_err(|_| unreadable("a reaping of what is no path"))?,
            never_used_ms: reap.never_used_ms,
        },
        transaction::Act::Watch(watch) => Act::Watch {
            session: SessionId::from_wire(watch.session),
            attachment: Attachment::new(watch.attachment),
            number: watch.number,
            notes: watch.notes.iter().map(read_note).collect::<Result<_, Fault>>()?,
            seen: Zxid::new(watch.seen),
        },
    })
}

fn decode_operation(op: i32, body: &Bytes) -> Result<Operation, Fault> {
    let op = OpCode::from_wire(op).ok_or_else(|| unreadable("an unknown operation"))?;
    // The tree keeps slices of this body: the path and the data of a znode. Were it itself a slice of the batch, one
    // small znode would keep a megabyte of its neighbours' transactions alive. So it is copied out, once.
    let body = Bytes::copy_from_slice(body);
    Ok(Operation { op, write: read_write(op, body).ok() })
}

fn read_refusal(refusal: i32) -> Result<Option<Code>, Fault> {
    match refusal {
        0 => Ok(None),
        number if number == Code::NewConfigNoQuorum as i32 => Ok(Some(Code::NewConfigNoQuorum)),
        _ => Err(unreadable("an unknown refusal of other members")),
    }
}

fn transaction(act: transaction::Act) -> Bytes {
    let transaction = log::Transaction { act: Some(act) };
    let mut bytes = BytesMut::with_capacity(transaction.encoded_len());
    // Only a buffer without room makes this fail, and a `BytesMut` grows.
    let _ = transaction.encode(&mut bytes);
    bytes.freeze()
}

fn write_home(home: Home) -> log::Home {
    log::Home { member: home.member.get(), boot: home.boot, connection: home.connection }
}

fn read_home(home: Option<log::Home>) -> Result<Home, Fault> {
    let home = home.ok_or_else(|| unreadable("no home"))?;
    Ok(Home { member: MemberId::new(home.member), boot: home.boot, connection: home.connection })
}

fn write_identity(id: Id) -> log::Identity {
    log::Identity { scheme: id.scheme.into(), id: id.id.into() }
}

fn write_note(note: WatchNote) -> log::WatchNote {
    let WatchNote { path, kind, zxid, armed } = note;
    log::WatchNote { path: path.to_string(), kind: kind as u32, zxid: zxid.get(), armed }
}

fn read_note(note: &log::WatchNote) -> Result<WatchNote, Fault> {
    Ok(WatchNote {
        path: ZnodePath::parse(&note.path).map_err(|_| unreadable("a watch on what is no path"))?,
        kind: WatchKind::from_number(note.kind).ok_or_else(|| unreadable("an unknown kind of watch"))?,
        zxid: Zxid::new(note.zxid),
        armed: note.armed,
    })
}

fn unreadable(why: &str) -> Fault {
    Fault::Other(format!("decode entry: {why}"))
}

#[cfg(test)]
mod tests {
    use proto::Version;
    use proto::request::Write;

    use super::*;

    const HOME: Home = Home { member: MemberId::new(3), boot: u64::MAX, connection: 17 };
    const RULES: Rules = Rules::QUOTA_ENFORCED;

    fn round_trip(proposal: Proposal) -> Command {
        let batch = encode_batch(1_234, RULES, vec![encode(proposal)]);
        let mut commands = decode(&batch).unwrap();
        assert_eq!(commands.len(), 1);
        commands.remove(0)
    }

    fn delete(op: OpCode, body: &'static [u8]) -> Proposal {
        Proposal::Write {
            session: SessionId::from_wire(0x7f00_0000_0000_0001),
            attachment: Attachment::new(2),
            seq: Seq::new(9),
            identities: vec![Id::new("digest", "ann:xyz")],
            op,
            body: Bytes::from_static(body),
        }
    }

    #[test]
    fn an_open_comes_back_as_it_was() {
        let command = round_trip(Proposal::Open {
            home: HOME,
            password: *b"0123456789abcdef",
            timeout_ms: 4_000,
            address: Text::from_static("10.0.0.1"),
        });
        let act = Act::Open {
            home: HOME,
            password: *b"0123456789abcdef",
            timeout_ms: 4_000,
            address: Text::from_static("10.0.0.1"),
        };
        assert_eq!(command, Command { time: 1_234, rules: RULES, act });
    }

    #[test]
    fn an_attach_keeps_a_password_of_any_length() {
        let session = SessionId::from_wire(5);
        let command = round_trip(Proposal::Attach {
            home: HOME,
            session,
            password: Bytes::from_static(b"xy"),
            timeout_ms: 1,
            seen: Zxid::new(7),
            address: Text::new(),
        });
        let act = Act::Attach {
            home: HOME,
            session,
            password: Bytes::from_static(b"xy"),
            timeout_ms: 1,
            seen: Zxid::new(7),
            address: Text::new(),
        };
        assert_eq!(command.act, act);
    }

    #[test]
    fn a_write_is_parsed_where_it_is_applied() {
        let command = round_trip(delete(OpCode::Delete, b"\0\0\0\x02/a\xff\xff\xff\xff"));
        let Act::Write { session, attachment, seq, identities, operation } = command.act else {
            panic!("not a write: {command:?}")
        };
        assert_eq!(session.to_wire(), 0x7f00_0000_0000_0001);
        assert_eq!((attachment.get(), seq.get()), (2, 9));
        assert_eq!(identities, [Id::new("digest", "ann:xyz")]);
        assert_eq!(operation.op, OpCode::Delete);
        let path = Text::from_static("/a");
        assert_eq!(operation.write, Some(Write::Delete { path, version: Version::ANY }));
    }

    #[test]
    fn a_body_that_does_not_parse_is_the_clients_fault_not_ours() {
        let command = round_trip(delete(OpCode::Delete, b"\0\0"));
        let Act::Write { operation, .. } = command.act else { panic!("not a write: {command:?}") };
        assert_eq!(operation, Operation { op: OpCode::Delete, write: None });
    }

    #[test]
    fn a_negative_operation_number_survives() {
        let command = round_trip(delete(OpCode::CloseSession, b""));
        let Act::Write { operation, .. } = command.act else { panic!("not a write: {command:?}") };
        assert_eq!(operation, Operation { op: OpCode::CloseSession, write: Some(Write::CloseSession) });
    }

    #[test]
    fn a_report_of_watches_survives() {
        let notes: Vec<_> = WatchKind::ALL
            .into_iter()
            .enumerate()
            .map(|(n, kind)| WatchNote {
                path: ZnodePath::parse("/a").unwrap(),
                kind,
                zxid: Zxid::new(n as u64),
                armed: n % 2 == 0,
            })
            .collect();
        let (session, attachment) = (SessionId::from_wire(-1), Attachment::new(2));
        let (number, seen) = (3, Zxid::new(4));
        let command = round_trip(Proposal::Watch { session, attachment, number, notes: notes.clone(), seen });
        assert_eq!(command.act, Act::Watch { session, attachment, number, notes, seen });
    }

    #[test]
    fn who_the_members_are_survives() {
        let lines = ["server.1=a:1:2:participant".to_owned(), "server.2=b:1:2:participant".to_owned()];
        let commands = decode(&encode_batch(1, Rules::default(), vec![encode_ensemble(&lines)])).unwrap();
        assert_eq!(commands[0].act, Act::Ensemble { lines: lines.map(Text::from).to_vec() });
    }

    #[test]
    fn the_name_of_an_ensemble_survives() {
        let cluster = ClusterId::new(0x0123_4567_89ab_cdef).unwrap();
        let batch = encode_batch(1, RULES, vec![encode_ensemble(&[]), encode_name(cluster)]);
        assert_eq!(decode(&batch).unwrap()[1].act, Act::Name { cluster });
        assert_eq!(name_in(&batch), Some(cluster));
        assert_eq!(name_in(&encode_batch(1, RULES, vec![encode_ensemble(&[])])), None);
        let nameless = transaction(transaction::Act::Name(log::Name { cluster: 0 }));
        assert!(decode(&encode_batch(1, RULES, vec![nameless])).is_err());
    }

    #[test]
    fn what_came_of_a_change_of_members_survives() {
        let (session, attachment, seq) = (SessionId::from_wire(-5), Attachment::new(2), Seq::new(3));
        let asked = Reconfiguration { session, attachment, seq, lines: Vec::new() };
        for refusal in [None, Some(Code::NewConfigNoQuorum)] {
            let batch = encode_batch(1, RULES, vec![encode_reconfigured(&asked, refusal)]);
            let act = Act::Reconfigured { session, attachment, seq, refusal };
            assert_eq!(decode(&batch).unwrap(), [Command { time: 1, rules: RULES, act }]);
        }
        let unknown = log::Reconfigured { refusal: -4, ..Default::default() };
        let transaction = transaction(transaction::Act::Reconfigured(unknown));
        assert!(decode(&encode_batch(1, RULES, vec![transaction])).is_err());
    }

    #[test]
    fn a_reaping_survives() {
        let path = ZnodePath::parse("/a/b").unwrap();
        let batch = encode_batch(1, RULES, vec![encode_reaping(&path, 9)]);
        let act = Act::Reap { path, never_used_ms: 9 };
        assert_eq!(decode(&batch).unwrap(), [Command { time: 1, rules: RULES, act }]);
    }

    #[test]
    fn a_batch_keeps_its_order() {
        let expiries = (1..=3).map(|n| encode_expiry(SessionId::from_wire(n), Attachment::new(7))).collect();
        let commands = decode(&encode_batch(-1, RULES, expiries)).unwrap();
        let expected = (1..=3).map(|n| Command {
            time: -1,
            rules: RULES,
            act: Act::Expire { session: SessionId::from_wire(n), attachment: Attachment::new(7) },
        });
        assert_eq!(commands, expected.collect::<Vec<_>>());
    }

    #[test]
    fn what_cannot_be_read_is_a_fault() {
        let cut_short = encode_batch(1, RULES, vec![encode(delete(OpCode::Delete, b""))]);
        assert!(decode(&cut_short.slice(..cut_short.len() - 1)).is_err());
        assert!(decode(&encode_batch(1, RULES, vec![Bytes::new()])).is_err(), "a transaction without an act");
        let unknown = transaction(transaction::Act::Write(log::Write { op: 9_999, ..Default::default() }));
        assert!(decode(&encode_batch(1, RULES, vec![unknown])).is_err(), "an operation of a later release");
        let note = |path: &str, kind| log::WatchNote { path: path.to_owned(), kind, zxid: 1, armed: true };
        let nowhere = transaction::Act::Reap(log::Reap { path: "a".to_owned(), never_used_ms: 0 });
        assert!(decode(&encode_batch(1, RULES, vec![transaction(nowhere)])).is_err());
        for note in [note("/a", 0), note("/a", 6), note("a", 1)] {
            let watch = log::Watch { notes: vec![note], ..Default::default() };
            assert!(
                decode(&encode_batch(1, RULES, vec![transaction(transaction::Act::Watch(watch))])).is_err()
            );
        }
        let short = transaction(transaction::Act::Open(log::Open {
            home: Some(log::Home::default()),
            password: Bytes::from_static(b"short"),
            ..Default::default()
        }));
        assert!(decode(&encode_batch(1, RULES, vec![short])).is_err(), "a password of another length");
        let ruled = log::Batch { rules: 1 << 31, ..Default::default() }.encode_to_vec();
        assert!(decode(&ruled.into()).is_err(), "a rule of a later release");
    }

    /// Numbers of fields are on disk: this is the entry that a released version would have written.
    #[test]
    fn the_bytes_on_disk_do_not_change() {
        let session = SessionId::from_wire(0x0102_0304_0506_0708);
        let batch = encode_batch(1, RULES, vec![encode_expiry(session, Attachment::new(2))]);
        assert_eq!(
            batch.as_ref(),
            [0x08, 1, 0x12, 13, 0x22, 11, 0x09, 8, 7, 6, 5, 4, 3, 2, 1, 0x10, 2, 0x18, 1],
            "batch{{time, transaction{{expire{{session, attachment}}}}, rules}}"
        );
    }
}
