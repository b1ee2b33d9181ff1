//! Who is told what, as little scripts (PROTOCOL, sections "Transactions and events" and "Resulting behaviour").
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;

use proto::{Shared, ZnodePath};

use super::*;

struct Stage {
    watches: Arc<Watches>,
    mailboxes: BTreeMap<String, (Arc<Mailbox>, Listener)>,
    zxid: Zxid,
}

impl Stage {
    fn new() -> Self {
        Self { watches: Arc::default(), mailboxes: BTreeMap::new(), zxid: Zxid::ZERO }
    }

    fn listener(&mut self, name: &str) -> &Listener {
        let watches = &self.watches;
        let entry = self.mailboxes.entry(name.to_owned()).or_insert_with(|| {
            let mailbox = Arc::new(Mailbox::default());
            let listener = watches.enlist(mailbox.clone(), "10.0.0.1".into(), Arc::from([]));
            (mailbox, listener)
        });
        &entry.1
    }

    fn watch(&mut self, name: &str, path: &str, kind: WatchKind) {
        self.listener(name).watch_new(&mut vec![(path.into(), kind)]);
    }

    /// Does what a line says, and tells what everybody is told.
    fn line(&mut self, line: &str) -> String {
        let words: Vec<_> = line.split_whitespace().collect();
        let mut told = String::new();
        match words[..] {
            [name, "data", path] => self.watch(name, path, WatchKind::Data),
            [name, "child", path] => self.watch(name, path, WatchKind::Child),
            [name, "persistent", path] => self.watch(name, path, WatchKind::Persistent),
            [name, "recursive", path] => self.watch(name, path, WatchKind::Recursive),
            [name, "find", kind, path] => {
                told = format!(" {}", !self.listener(name).find(path, watcher_type(kind), false).is_empty());
            }
            [name, "remove", kind, path] => {
                told = format!(" {}", !self.listener(name).find(path, watcher_type(kind), true).is_empty());
            }
            [name, "proves", id] => self.listener(name).proved(Arc::from([Id::new("digest", id)])),
            [name, "leaves"] => drop(self.mailboxes.remove(name)),
            ["count"] => told = format!(" {}", self.watches.len()),
            [verb, path] => self.change(verb, path, None),
            [verb, path, owner] => self.change(verb, path, Some(owner)),
            _ => panic!("what is {line:?}?"),
        }
        self.watches.state.lock().table.assert_invariants();
        for (name, (mailbox, _)) in &self.mailboxes {
            let mut taken = VecDeque::new();
            mailbox.take(&mut taken);
            for delivery in taken {
                let Delivery::Event(frame) = delivery else { panic!("only events are delivered here") };
                write!(told, " {name}!{}", describe(&frame)).unwrap();
            }
        }
        told
    }

    fn change(&mut self, verb: &str, path: &str, owner: Option<&str>) {
        let kind = match verb {
            "create" => ChangeKind::Created,
            "delete" => ChangeKind::Deleted,
            "set" => ChangeKind::DataChanged,
            _ => panic!("what is {verb:?}?"),
        };
        let open: Shared<Acl> = Shared::from([Acl::open()]);
        let acl = match owner {
            Some(owner) => {
                Shared::from([Acl { permissions: Permissions::READ, id: Id::new("digest", owner) }])
            }
            None => open.clone(),
        };
        self.zxid = self.zxid.next();
        let change = Change { path: ZnodePath::parse(path).unwrap(), kind, acl, parent_acl: open };
        self.watches.trigger(self.zxid, &[change]);
    }
}

fn watcher_type(name: &str) -> WatcherType {
    match name {
        "child" => WatcherType::Children,
        "data" => WatcherType::Data,
        "any" => WatcherType::Any,
        "persistent" => WatcherType::Persistent,
        "recursive" => WatcherType::PersistentRecursive,
        _ => panic!("what is {name:?}?"),
    }
}

fn describe(frame: &[u8]) -> String {
    let int = |at: usize| i32::from_be_bytes(frame[at..at + 4].try_into().unwrap());
    assert_eq!((int(4), int(16), int(24)), (-1, 0, 3), "xid, err and state of every notification");
    let zxid = i64::from_be_bytes(frame[8..16].try_into().unwrap());
    let kind =
        ["", "created", "deleted", "data-changed", "children-changed"][usize::try_from(int(20)).unwrap()];
    let path = std::str::from_utf8(&frame[32..]).unwrap();
    format!("{kind}({path})@{zxid:#x}")
}

#[track_caller]
fn check(script: &str) {
    let mut stage = Stage::new();
    for line in script.trim().lines() {
        let (line, expected) = line.split_once("->").unwrap_or((line, ""));
        assert_eq!(stage.line(line.trim()).trim(), expected.trim(), "{}", line.trim());
    }
}

#[test]
fn a_data_watch_hears_once_of_creation_change_or_deletion() {
    check(
        "a data /x
         create /x -> a!created(/x)@0x1
         set /x
         a data /x
         set /x -> a!data-changed(/x)@0x3
         a data /x
         delete /x -> a!deleted(/x)@0x4
         count -> 0",
    );
}

#[test]
fn a_data_watch_does_not_hear_of_children() {
    check(
        "a data /x
         create /x/y
         set /x/y
         delete /x/y
         count -> 1",
    );
}

#[test]
fn a_child_watch_hears_once_of_children_or_of_its_own_deletion() {
    check(
        "a child /x
         set /x
         set /x/y
         create /x/y -> a!children-changed(/x)@0x3
         create /x/z
         a child /x
         delete /x/y -> a!children-changed(/x)@0x5
         a child /x
         delete /x -> a!deleted(/x)@0x6
         count -> 0",
    );
}

#[test]
fn the_parent_of_the_topmost_is_the_root() {
    check(
        "a child /
         create /x -> a!children-changed(/)@0x1",
    );
}

#[test]
fn a_persistent_watch_hears_of_everything_but_descendants() {
    check(
        "a persistent /x
         create /x -> a!created(/x)@0x1
         set /x -> a!data-changed(/x)@0x2
         create /x/y -> a!children-changed(/x)@0x3
         set /x/y
         create /x/y/z
         delete /x/y -> a!children-changed(/x)@0x6
         delete /x -> a!deleted(/x)@0x7
         create /x -> a!created(/x)@0x8
         count -> 2",
    );
}

#[test]
fn a_recursive_watch_hears_of_descendants_and_never_of_children() {
    check(
        "a recursive /x
         create /x -> a!created(/x)@0x1
         create /x/y -> a!created(/x/y)@0x2
         create /x/y/z -> a!created(/x/y/z)@0x3
         set /x/y/z -> a!data-changed(/x/y/z)@0x4
         set /xy
         delete /x/y/z -> a!deleted(/x/y/z)@0x6
         set / 
         count -> 1",
    );
}

#[test]
fn a_recursive_watch_on_the_root_hears_of_everything() {
    check(
        "a recursive /
         create /x/y -> a!created(/x/y)@0x1
         set / -> a!data-changed(/)@0x2",
    );
}

#[test]
fn each_connection_is_told_once_for_each_trigger() {
    check(
        "a data /x
         a persistent /x
         a recursive /x
         a recursive /
         set /x -> a!data-changed(/x)@0x1
         set /x -> a!data-changed(/x)@0x2
         b recursive /
         b data /x
         set /x -> a!data-changed(/x)@0x3 b!data-changed(/x)@0x3
         a remove any /x -> true
         count -> 2",
    );
}

#[test]
fn a_deletion_is_told_once_and_spends_both_watches() {
    check(
        "a data /x
         a child /x
         b child /x
         c recursive /
         c child /x
         delete /x -> a!deleted(/x)@0x1 b!deleted(/x)@0x1 c!deleted(/x)@0x1
         create /x -> c!created(/x)@0x2
         count -> 1",
    );
}

#[test]
fn a_deletion_under_a_watched_parent_is_told_for_both() {
    check(
        "a data /x/y
         a child /x
         delete /x/y -> a!deleted(/x/y)@0x1 a!children-changed(/x)@0x1",
    );
}

#[test]
fn registering_twice_has_no_effect() {
    check(
        "a data /x
         a data /x
         a persistent /x
         a persistent /x
         count -> 2
         set /x -> a!data-changed(/x)@0x1
         a remove persistent /x -> true
         set /x
         count -> 0",
    );
}

#[test]
fn watches_are_found_and_taken_away_by_their_kind() {
    check(
        "a data /x
         a child /x
         a persistent /x
         a recursive /x
         count -> 2
         a find any /x -> true
         a find data /y -> false
         b find any /x -> false
         a remove data /x -> true
         a find data /x -> false
         a remove data /x -> false
         a remove child /x -> true
         a remove persistent /x -> true
         a find persistent /x -> false
         a find recursive /x -> true
         create /x/y -> a!created(/x/y)@0x1
         a remove any /x -> true
         a find any /x -> false
         create /x/z
         count -> 0",
    );
}

#[test]
fn nothing_is_left_of_a_connection_that_closes() {
    check(
        "a data /x
         a recursive /
         b data /x
         a leaves
         count -> 1
         c persistent /x
         set /x -> b!data-changed(/x)@0x1 c!data-changed(/x)@0x1
         b leaves
         c leaves
         count -> 0",
    );
}

#[test]
fn whoever_may_not_read_is_not_told_and_its_watch_is_spent() {
    check(
        "a data /x
         b data /x
         b proves alice:hash
         create /x alice:hash -> b!created(/x)@0x1
         count -> 0
         a child /
         delete /x alice:hash -> a!children-changed(/)@0x2",
    );
}

#[test]
fn many_listeners_share_one_frame() {
    let watches = Arc::new(Watches::default());
    let mailboxes: Vec<_> = (0..5_000)
        .map(|_| {
            let mailbox = Arc::new(Mailbox::default());
            let listener = watches.enlist(mailbox.clone(), "10.0.0.1".into(), Arc::from([]));
            listener.watch_new(&mut vec![("/x".into(), WatchKind::Data)]);
            (mailbox, listener)
        })
        .collect();
    let acl: Shared<Acl> = Shared::from([Acl::open()]);
    let path = ZnodePath::parse("/x").unwrap();
    let change = Change { path, kind: ChangeKind::DataChanged, acl: acl.clone(), parent_acl: acl };
    watches.trigger(Zxid::new(1), &[change]);
    let frames: Vec<_> = mailboxes
        .iter()
        .map(|(mailbox, _)| {
            let mut taken = VecDeque::new();
            mailbox.take(&mut taken);
            match taken.pop_front() {
                Some(Delivery::Event(frame)) => frame.as_ptr(),
                other => panic!("{other:?} instead of an event"),
            }
        })
        .collect();
    assert!(frames.iter().all(|frame| *frame == frames[0]), "the frame was encoded once");
    assert_eq!(watches.len(), 0);
}

#[test]
fn a_client_with_more_watches_than_are_forgotten_at_once_leaves_none_behind() {
    let watches = Arc::new(Watches::default());
    let listener = watches.enlist(Arc::default(), "10.0.0.1".into(), Arc::from([]));
    let count = 2 * FORGOTTEN_PER_LOCK;
    for n in 0..count {
        listener.watch_new(&mut vec![(format!("/{n}").as_str().into(), WatchKind::Data)]);
    }
    assert_eq!(watches.len(), count);
    drop(listener);
    assert_eq!(watches.len(), 0);
    assert_eq!(watches.state.lock().free, [0], "its place is free again");
}
