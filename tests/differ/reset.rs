//! Both servers made alike before a sequence begins, by the super user: nothing is there but what is always there, and
//! that has the same versions.

use crate::connection::{Connection, Reply};
use crate::{Ask, Welcome};
use proto::Stat;

use super::vocabulary::SUPER;

/// What is always there, and what everybody may do with it.
const RESERVED: [(&str, i32); 4] =
    [("/", 31), ("/zookeeper", 31), ("/zookeeper/quota", 31), ("/zookeeper/config", 1)];

/// How many requests are under way at a time.
const AT_ONCE: usize = 200;

/// A connection of the super user.
#[derive(Debug)]
pub(super) struct Broom {
    connection: Connection,
    _welcome: Welcome,
}

impl Broom {
    pub(super) fn new(address: std::net::SocketAddr) -> Self {
        let (mut connection, welcome) = Connection::open(address, 60_000);
        let reply = connection.call(&Ask::auth("digest", SUPER.as_bytes()));
        assert_eq!(reply.err, 0, "the super user is not let in: {reply:?}");
        Self { connection, _welcome: welcome }
    }

    /// Takes everything away, and gives what is always there its data and its ACL back.
    pub(super) fn sweep(&mut self) {
        let mut level = vec!["/".to_owned()];
        let mut all = Vec::new();
        while !level.is_empty() {
            let asks: Vec<Ask> = level.iter().map(|path| Ask::get_children(path, false)).collect();
            let replies = self.call_all(&asks);
            let mut next = Vec::new();
            for (path, reply) in level.iter().zip(&replies) {
                let parent = if path == "/" { "" } else { path };
                next.extend(reply.children().iter().map(|name| format!("{parent}/{name}")));
            }
            all.extend(next.iter().filter(|path| !is_reserved(path)).cloned());
            level = next;
        }
        let asks: Vec<Ask> = all.iter().rev().map(|path| Ask::delete(path)).collect();
        self.must(&asks);
        let asks: Vec<Ask> = RESERVED
            .iter()
            .flat_map(|(path, perms)| {
                [Ask::set_acl(path, *perms, "world", "anyone"), Ask::set_data(path, b"", -1)]
            })
            .collect();
        self.must(&asks);
    }

    fn stats(&mut self) -> Vec<Stat> {
        let asks: Vec<Ask> = RESERVED.iter().map(|(path, _)| Ask::exists(path, false)).collect();
        self.call_all(&asks).iter().map(Reply::stat).collect()
    }

    /// Where the history stands, and what time it is there.
    pub(super) fn base(&mut self) -> (i64, i64) {
        let reply = self.connection.call(&Ask::set_data("/", b"", -1));
        (reply.zxid, reply.stat().mtime)
    }

    /// Shows the server that the client lives.
    pub(super) fn ping(&mut self) -> i64 {
        self.connection.call(&Ask::ping()).zxid
    }

    fn must(&mut self, asks: &[Ask]) {
        for (ask, reply) in asks.iter().zip(self.call_all(asks)) {
            assert_eq!(reply.err, 0, "the super user is refused {ask:?}");
        }
    }

    fn call_all(&mut self, asks: &[Ask]) -> Vec<Reply> {
        let mut replies = Vec::with_capacity(asks.len());
        for asks in asks.chunks(AT_ONCE) {
            for ask in asks {
                self.connection.send(ask).unwrap_or_else(|error| panic!("the super user sends: {error}"));
            }
            replies.extend(asks.iter().map(|_| self.connection.reply()));
        }
        replies
    }

    fn bump(&mut self, at: usize, [data, acl, children]: [i32; 3]) {
        let (path, perms) = RESERVED[at];
        let child = format!("{}/level", path.trim_end_matches('/'));
        let mut asks = Vec::new();
        asks.extend((0..data).map(|_| Ask::set_data(path, b"", -1)));
        asks.extend((0..acl).map(|_| Ask::set_acl(path, perms, "world", "anyone")));
        for _ in 0..children / 2 {
            asks.extend([Ask::create(&child, b"", 0), Ask::delete(&child)]);
        }
        self.must(&asks);
    }
}

/// Gives what is always there the same versions on both: those of the server where they are higher.
pub(super) fn level(brooms: &mut [Broom; 2]) {
    let [one, other] = brooms;
    let (ones, others) = (one.stats(), other.stats());
    for (at, (a, b)) in ones.iter().zip(&others).enumerate() {
        let lacks =
            [b.version - a.version, b.aversion - a.aversion, b.cversion - a.cversion].map(|lack| lack.max(0));
        let others_lack =
            [a.version - b.version, a.aversion - b.aversion, a.cversion - b.cversion].map(|lack| lack.max(0));
        one.bump(at, lacks);
        other.bump(at, others_lack);
    }
}

fn is_reserved(path: &str) -> bool {
    RESERVED.iter().any(|(reserved, _)| path == *reserved)
}
