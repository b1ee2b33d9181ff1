//! Every request that a client may make.

use bytes::Bytes;

use crate::{Acl, Code, SessionId, Text, Version, Zxid};

/// The operations of PROTOCOL, section "Opcodes", each with its number on the wire.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are the protocol's own")]
pub enum OpCode {
    Create = 1,
    Delete = 2,
    Exists = 3,
    GetData = 4,
    SetData = 5,
    GetAcl = 6,
    SetAcl = 7,
    GetChildren = 8,
    Sync = 9,
    Ping = 11,
    GetChildren2 = 12,
    Check = 13,
    Multi = 14,
    Create2 = 15,
    Reconfig = 16,
    CheckWatches = 17,
    RemoveWatches = 18,
    CreateContainer = 19,
    CreateTtl = 21,
    MultiRead = 22,
    Auth = 100,
    SetWatches = 101,
    Sasl = 102,
    GetEphemerals = 103,
    GetAllChildrenNumber = 104,
    SetWatches2 = 105,
    AddWatch = 106,
    WhoAmI = 107,
    CloseSession = -11,
}

impl OpCode {
    /// The operation with this number, if a client may send it. ZooKeeper's internal numbers are missing here on purpose:
    /// see [`is_internal`](Self::is_internal).
    pub const fn from_wire(number: i32) -> Option<Self> {
        Some(match number {
            1 => Self::Create,
            2 => Self::Delete,
            3 => Self::Exists,
            4 => Self::GetData,
            5 => Self::SetData,
            6 => Self::GetAcl,
            7 => Self::SetAcl,
            8 => Self::GetChildren,
            9 => Self::Sync,
            11 => Self::Ping,
            12 => Self::GetChildren2,
            13 => Self::Check,
            14 => Self::Multi,
            15 => Self::Create2,
            16 => Self::Reconfig,
            17 => Self::CheckWatches,
            18 => Self::RemoveWatches,
            19 => Self::CreateContainer,
            21 => Self::CreateTtl,
            22 => Self::MultiRead,
            100 => Self::Auth,
            101 => Self::SetWatches,
            102 => Self::Sasl,
            103 => Self::GetEphemerals,
            104 => Self::GetAllChildrenNumber,
            105 => Self::SetWatches2,
            106 => Self::AddWatch,
            107 => Self::WhoAmI,
            -11 => Self::CloseSession,
            _ => return None,
        })
    }

    /// The number on the wire.
    pub const fn to_wire(self) -> i32 {
        self as i32
    }

    /// Whether it is the number of an operation that ZooKeeper's members ask of each other, createSession or
    /// deleteContainer. ZooKeeper takes them from anybody, and looks at no ACL (PROTOCOL, section "Malformed and unknown
    /// input").
    pub const fn is_internal(number: i32) -> bool {
        matches!(number, -10 | 20)
    }
}

/// A request, sorted by the road it takes through the server.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Changes the world: goes into the log as it came. Whether the body parses is found out where it is applied,
    /// so that a body which does not parse takes its place among the session's writes like any other.
    Write(OpCode, Bytes),
    /// Is answered from the member's own world.
    Read(Read),
    /// Is answered when this member has seen all that was committed before the request arrived.
    Sync(Option<Text>),
    /// Says that the client lives.
    Ping,
    /// Adds an identity to the connection.
    Auth(Auth),
    /// Goes on with the exchange by which a user proves a password.
    Sasl(Bytes),
    /// Registers again the watches that a returning client still waits for.
    SetWatches(SetWatches),
    /// Registers a persistent watch.
    AddWatch {
        /// The znode watched, or the root of the subtree watched.
        path: Text,
        /// Whether the whole subtree is meant.
        recursive: bool,
    },
    /// Asks whether a watch is registered, or takes it away.
    FindWatches {
        /// The znode watched.
        path: Text,
        /// Which of the watches on it.
        kind: WatcherType,
        /// Whether what is found is taken away.
        remove: bool,
    },
    /// Asks which identities the connection has.
    WhoAmI,
    /// An operation that is not served, known or unknown.
    Unserved(i32),
    /// An operation that ZooKeeper's members ask of each other: no client library sends it, so whoever does is up to
    /// something.
    Internal,
}

/// A request that is answered from the member's own world and changes nothing but watches.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the fields are the protocol's own: the path asked about, and whether to watch it"
)]
pub enum Read {
    Exists {
        path: Text,
        watch: bool,
    },
    GetData {
        path: Text,
        watch: bool,
    },
    GetAcl {
        path: Text,
    },
    GetChildren {
        path: Text,
        watch: bool,
    },
    GetChildren2 {
        path: Text,
        watch: bool,
    },
    GetEphemerals {
        prefix: Option<Text>,
    },
    GetAllChildrenNumber {
        path: Text,
    },
    /// Each is a `GetData` or a `GetChildren` without a watch.
    MultiRead(Vec<Read>),
}

/// A request that changes the world.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the protocol's own")]
pub enum Write {
    Create(Create),
    Delete {
        path: Text,
        version: Version,
    },
    SetData {
        path: Text,
        data: Option<Bytes>,
        version: Version,
    },
    SetAcl {
        path: Text,
        acl: Option<Vec<Acl>>,
        version: Version,
    },
    /// Inside a multi only.
    Check {
        path: Text,
        version: Version,
    },
    /// Asks for other members. Stands alone only.
    Reconfig(Reconfig),
    /// Creates, deletes, writes and checks, all or none.
    Multi(Vec<Write>),
    CloseSession,
}

/// A request for other members (PROTOCOL, section "`/zookeeper/config` and reconfig").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconfig {
    /// Members that join or are described anew: `server.N=...`, parted by commas.
    pub joining: Option<Text>,
    /// Numbers of members that leave, parted by commas.
    pub leaving: Option<Text>,
    /// All members there are to be, parted by commas or line ends; if it is given, the other two count for nothing.
    pub members: Option<Text>,
    /// The version of the configuration that is to be replaced, or -1 for whatever stands there.
    pub version: i64,
}

/// Longest time to live of a znode, in milliseconds: what ZooKeeper has bits for.
pub const TTL_MAX_MS: i64 = (1 << 40) - 1;

/// A request for a new znode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Create {
    /// Where; the stem of the path if the znode is sequential.
    pub path: Text,
    /// What it holds. Null and empty are different.
    pub data: Option<Bytes>,
    /// Who may do what with it; must be given and not be empty.
    pub acl: Option<Vec<Acl>>,
    /// The kind of znode, as it came: an unknown one is a refusal, not a malformed request.
    pub flags: i32,
    /// Time to live in milliseconds, where the operation carries one.
    pub ttl: Option<i64>,
    /// Whether the operation is the one that makes containers, whatever the flags say.
    pub container: bool,
    /// Whether the reply carries the Stat: all but the oldest form do.
    pub with_stat: bool,
}

/// What a created znode is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CreateMode {
    /// How long it stays.
    pub stay: Stay,
    /// Whether the parent's counter is added to its name.
    pub sequential: bool,
}

/// How long a created znode stays, if nobody deletes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stay {
    /// For ever.
    Persistent,
    /// Until its session goes.
    Ephemeral,
    /// Until its last child has gone.
    Container,
    /// Until it has had no children and was not written for so many milliseconds.
    Ttl(i64),
}

impl Create {
    /// What is to be created (PROTOCOL, section "Create flags"), if TTL znodes are served or not. Flags 4 through the
    /// ordinary opcodes mean a plain persistent znode, as in ZooKeeper.
    ///
    /// # Errors
    /// In this order: [`Code::BadArguments`] for flags that no create has, [`Code::Unimplemented`] for a TTL kind where
    /// there is none, [`Code::BadArguments`] for a time to live that this kind cannot have.
    pub const fn mode(&self, has_ttl_kinds: bool) -> Result<CreateMode, Code> {
        let (stay, sequential) = match (self.flags, self.ttl) {
            (5 | 6, _) if !has_ttl_kinds => return Err(Code::Unimplemented),
            (5 | 6, Some(ttl @ 1..=TTL_MAX_MS)) => (Stay::Ttl(ttl), self.flags == 6),
            // The operation that carries a time to live makes no other kinds. ZooKeeper lets one below 0 pass here, and
            // its members then stop over it.
            (5 | 6, _) | (0..=4, Some(_)) => return Err(Code::BadArguments),
            (0 | 4, None) => (Stay::Persistent, false),
            (1, None) => (Stay::Ephemeral, false),
            (2, None) => (Stay::Persistent, true),
            (3, None) => (Stay::Ephemeral, true),
            _ => return Err(Code::BadArguments),
        };
        Ok(CreateMode { stay: if self.container { Stay::Container } else { stay }, sequential })
    }
}

/// Credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    /// The scheme that shall judge them.
    pub scheme: Text,
    /// What the scheme asks for.
    pub credentials: Bytes,
}

/// The watches that a returning client still waits for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetWatches {
    /// The last position that the client has seen.
    pub relative: Zxid,
    /// One-shot watches on the data of znodes that existed.
    pub data: Vec<Text>,
    /// One-shot watches on znodes that did not exist.
    pub exist: Vec<Text>,
    /// One-shot watches on children.
    pub child: Vec<Text>,
    /// Persistent watches.
    pub persistent: Vec<Text>,
    /// Persistent watches on subtrees.
    pub recursive: Vec<Text>,
}

/// Which watches on a path a client asks about.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the protocol's own")]
pub enum WatcherType {
    Children = 1,
    Data = 2,
    Any = 3,
    Persistent = 4,
    PersistentRecursive = 5,
}

/// What a connection starts with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// The last position that the client has seen, on whatever member.
    pub last_zxid: Zxid,
    /// The session timeout that the client asks for, in milliseconds.
    pub timeout_ms: i32,
    /// The session that it has, or [`SessionId::NONE`].
    pub session: SessionId,
    /// The password of that session.
    pub password: Bytes,
    /// Whether a member that serves reads only would do; `None` if the client does not know the question, and
    /// then must not be sent the answer either.
    pub read_only: Option<bool>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(flags: i32, ttl: Option<i64>, container: bool, expected: Result<(Stay, bool), Code>) {
        let path = Text::from_static("/a");
        let create = Create { path, data: None, acl: None, flags, ttl, container, with_stat: true };
        let mode = create.mode(true).map(|mode| (mode.stay, mode.sequential));
        assert_eq!(mode, expected, "flags {flags}, ttl {ttl:?}, container {container}");
    }

    #[test]
    fn flags_and_operation_say_what_is_created() {
        check(0, None, false, Ok((Stay::Persistent, false)));
        check(1, None, false, Ok((Stay::Ephemeral, false)));
        check(2, None, false, Ok((Stay::Persistent, true)));
        check(3, None, false, Ok((Stay::Ephemeral, true)));
        check(4, None, false, Ok((Stay::Persistent, false)));
        check(0, None, true, Ok((Stay::Container, false)));
        check(1, None, true, Ok((Stay::Container, false)));
        check(3, None, true, Ok((Stay::Container, true)));
        check(5, Some(1), false, Ok((Stay::Ttl(1), false)));
        check(6, Some(TTL_MAX_MS), false, Ok((Stay::Ttl(TTL_MAX_MS), true)));
        for (flags, ttl) in [(5, Some(0)), (5, Some(-1)), (6, Some(TTL_MAX_MS + 1)), (5, None), (0, Some(1))]
        {
            check(flags, ttl, false, Err(Code::BadArguments));
        }
        check(5, None, true, Err(Code::BadArguments));
        for flags in [-1, 7, i32::MIN] {
            check(flags, None, false, Err(Code::BadArguments));
            check(flags, Some(1), false, Err(Code::BadArguments));
        }
    }

    #[test]
    fn where_there_is_no_ttl_that_is_said_first_but_for_unknown_flags() {
        let path = Text::from_static("/a");
        let create =
            Create { path, data: None, acl: None, flags: 5, ttl: None, container: false, with_stat: true };
        assert_eq!(create.mode(false), Err(Code::Unimplemented));
        assert_eq!(
            Create { flags: 6, ttl: Some(-5), ..create.clone() }.mode(false),
            Err(Code::Unimplemented)
        );
        assert_eq!(Create { flags: 7, ..create.clone() }.mode(false), Err(Code::BadArguments));
        assert_eq!(Create { flags: 0, ttl: Some(5), ..create }.mode(false), Err(Code::BadArguments));
    }
}
