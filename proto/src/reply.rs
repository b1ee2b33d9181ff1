//! Every answer that a client may get to a request.

use bytes::Bytes;

use crate::{Acl, Code, Id, OpCode, Shared, Stat, Text, ZnodePath};

/// Bytes that one name in a list is reckoned to take, besides its text.
const NAME_BYTES: usize = 32;

/// Bytes that an answer is reckoned to take besides what it holds.
const ANSWER_BYTES: usize = 128;

/// The body of an answer; a refusal is a [`Code`] instead.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// Nothing but the header.
    Empty,
    /// The path of what was created.
    Path(ZnodePath),
    /// The path of what was created, and its Stat.
    PathStat(ZnodePath, Stat),
    /// A Stat alone.
    Stat(Stat),
    /// Data, which may be null, and the Stat.
    Data(Option<Shared<u8>>, Stat),
    /// Whole paths of children; on the wire only their last components stand.
    Children(Vec<ZnodePath>),
    /// Whole paths of children, and the parent's Stat.
    ChildrenStat(Vec<ZnodePath>, Stat),
    /// An ACL, and the Stat.
    Acl(Vec<Acl>, Stat),
    /// What each operation of a multi or multiRead came to. The operation stands as results name it: `Create`
    /// for the oldest form of create, `Create2` for every form that carries a Stat.
    Multi(Vec<(OpCode, Result<Reply, Code>)>),
    /// A multi of which nothing was done, because one of its operations was refused. The header of such a reply
    /// says that all is well; the body tells.
    MultiFailed {
        /// How many operations the multi has.
        operations: usize,
        /// Which of them was refused, counted from 0.
        failing: usize,
        /// Why.
        code: Code,
    },
    /// The path that a sync named, which may be null.
    Synced(Option<Text>),
    /// Whole paths.
    Ephemerals(Vec<ZnodePath>),
    /// A number of znodes.
    Count(i32),
    /// An error record that says there was none: the answer to addWatch.
    NoError,
    /// A SASL token; `None` when there is nothing to say.
    Token(Option<Bytes>),
    /// A refusal that has a body: a SASL token that says nothing.
    SaslRefused(Code),
    /// Identities of the connection.
    Identities(Vec<Id>),
}

impl Reply {
    /// Bytes that the answer is reckoned to take, in memory and on the wire, where it does not share them with the world:
    /// rather more than less, to keep answers within bounds.
    pub fn reckoned_bytes(&self) -> usize {
        ANSWER_BYTES
            + match self {
                Self::Data(data, _) => data.as_ref().map_or(0, |data| data.len()),
                Self::Children(names) | Self::ChildrenStat(names, _) | Self::Ephemerals(names) => {
                    names.iter().map(|path| path.len() + NAME_BYTES).sum()
                }
                Self::Acl(list, _) => {
                    list.iter().map(|acl| acl.id.scheme.len() + acl.id.id.len() + 2 * NAME_BYTES).sum()
                }
                Self::Multi(results) => results
                    .iter()
                    .map(|(_, result)| result.as_ref().map_or(ANSWER_BYTES, Self::reckoned_bytes))
                    .sum(),
                _ => 0,
            }
    }
}
