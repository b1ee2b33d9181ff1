//! Where two worlds differ, in words.

use machine::{Key, Machine, Record};

/// The first thing in which two worlds differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What it is about, such as `znode /a`.
    pub about: String,
    /// What one world says of it, as far as the other says something else.
    pub one: String,
    /// What the other says.
    pub other: String,
    /// How many records differ in all.
    pub records: usize,
}

/// The first difference, znodes before sessions, watches and the rest; `None` if there is none.
pub(super) fn between(one: &Machine, other: &Machine) -> Option<Difference> {
    let (mut ones, mut others) = (sorted(one).into_iter().peekable(), sorted(other).into_iter().peekable());
    let mut first = None;
    let mut records = 0;
    loop {
        let order = match (ones.peek(), others.peek()) {
            (Some((one, _)), Some((other, _))) => one.cmp(other),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (None, None) => break,
        };
        let left = if order.is_le() { ones.next().map(|(_, record)| record) } else { None };
        let right = if order.is_ge() { others.next().map(|(_, record)| record) } else { None };
        if left == right {
            continue;
        }
        records += 1;
        first = first.or(Some((left, right)));
    }
    let (left, right) = first?;
    let about = left.as_ref().or(right.as_ref()).map(|record| name(&record.key())).unwrap_or_default();
    let (one, other) = tell(left.as_ref(), right.as_ref());
    Some(Difference { about, one, other, records })
}

/// Znodes first, because people ask for them; what is of the world itself follows from the rest.
fn rank(key: &Key) -> u8 {
    match key {
        Key::Znode(_) => 0,
        Key::Session(_) => 1,
        Key::Watch(..) => 2,
        Key::History(_) => 3,
        Key::Reconfiguration => 4,
        Key::World => 5,
    }
}

fn sorted(world: &Machine) -> Vec<((u8, Key), Record)> {
    let keyed = |record: Record| ((rank(&record.key()), record.key()), record);
    let mut records: Vec<_> = world.records().map(keyed).collect();
    records.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    records
}

fn name(key: &Key) -> String {
    match key {
        Key::World => "the world itself".to_owned(),
        Key::Session(session) => format!("session {session}"),
        Key::Znode(path) => format!("znode {path}"),
        Key::History(zxid) => format!("what is remembered of transaction {zxid}"),
        Key::Watch(session, path) => format!("what session {session} waits for at {path}"),
        Key::Reconfiguration => "the change of members that is under way".to_owned(),
    }
}

fn tell(one: Option<&Record>, other: Option<&Record>) -> (String, String) {
    let (Some(one), Some(other)) = (one, other) else {
        let there = |record: Option<&Record>| if record.is_some() { "has it" } else { "has none" }.to_owned();
        return (there(one), there(other));
    };
    let unlike: Vec<_> =
        fields(one).into_iter().zip(fields(other)).filter(|((_, one), (_, other))| one != other).collect();
    let join = |list: Vec<(&str, String)>| {
        list.into_iter().map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ")
    };
    let (ones, others) = unlike.into_iter().unzip();
    (join(ones), join(others))
}

/// Every field of a record, the same ones in the same order for all records about the same kind of thing.
fn fields(record: &Record) -> Vec<(&'static str, String)> {
    match record {
        Record::World(world) => vec![
            ("zxid", world.last_zxid.to_string()),
            ("time", world.now.to_string()),
            ("remembers nothing up to", world.forgotten.to_string()),
            ("ensemble", format!("{:?}", world.cluster)),
        ],
        Record::Session(session) => vec![
            ("timeout", session.timeout_ms.to_string()),
            ("attachment", session.attachment.to_string()),
            ("next write", session.next_seq.get().to_string()),
            ("home", session.home.to_string()),
            ("address", session.address.to_string()),
            ("password", format!("{:08x}", crc32fast::hash(&session.password))),
            ("arrivals", format!("{:?}", session.arrivals)),
        ],
        Record::Znode(znode) => vec![
            ("version", znode.version.to_string()),
            ("data", data(znode.data.as_deref())),
            ("czxid", znode.czxid.to_string()),
            ("mzxid", znode.mzxid.to_string()),
            ("pzxid", znode.pzxid.to_string()),
            ("ctime", znode.ctime.to_string()),
            ("mtime", znode.mtime.to_string()),
            ("aversion", znode.aversion.to_string()),
            ("acl", format!("{:?}", znode.acl)),
            ("children created", znode.created.to_string()),
            ("kind", format!("{:?}", znode.kind)),
        ],
        Record::History(history) => vec![("changes", format!("{:?}", history.changes))],
        Record::Watch(watch) => {
            vec![("watches", format!("{:?}", watch.watches)), ("taken away", format!("{:?}", watch.removed))]
        }
        Record::Reconfiguration(asked) => {
            vec![("session", asked.session.to_string()), ("lines", format!("{:?}", asked.lines))]
        }
    }
}

fn data(data: Option<&[u8]>) -> String {
    match data {
        None => "none".to_owned(),
        Some(bytes) => format!("of {} bytes (CRC-32 {:08x})", bytes.len(), crc32fast::hash(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use machine::{Act, Command, Home, Rules};
    use proto::{MemberId, Text};

    use super::*;

    fn world(timeout_ms: u32) -> Machine {
        let mut world = Machine::new();
        let home = Home { member: MemberId::new(1), boot: 1, connection: 1 };
        let act = Act::Open { home, password: [1; 16], timeout_ms, address: Text::from("::1") };
        world.apply(&Command { time: 1, rules: Rules::default(), act });
        world
    }

    #[test]
    fn the_first_difference_has_a_name() {
        assert_eq!(between(&world(9), &world(9)), None);
        let found = between(&world(9), &world(8)).unwrap();
        assert_eq!(
            (&*found.about, &*found.one, &*found.other, found.records),
            ("session 0x100000000000001", "timeout 9", "timeout 8", 1)
        );
        let found = between(&Machine::new(), &world(8)).unwrap();
        assert_eq!((&*found.one, &*found.other), ("has none", "has it"));
        // The session, and the zxid that it took.
        assert_eq!(found.records, 2);
    }
}
