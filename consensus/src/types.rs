//! The openraft type configuration: here and nowhere else.

use std::fmt;

use bytes::Bytes;
use openraft::impls::{BasicNode, BoxedErrorSource, InlineBatch, OneshotResponder, leader_id_std};
use openraft::{OptionalSend, RaftTypeConfig};

/// What openraft is told about our kinds of things.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TypeConfig;

impl RaftTypeConfig for TypeConfig {
    type D = Batch;
    // A member makes its clients' replies from its own apply, so the log answers nothing.
    type R = ();
    type NodeId = u64;
    type Node = BasicNode;
    type Term = u64;
    // One leader in a term, as in the Raft paper, so that the term alone says who wrote an entry.
    type LeaderId = leader_id_std::LeaderId<u64, u64>;
    type Vote = openraft::impls::Vote<Self::LeaderId>;
    type Payload = openraft::impls::EntryPayload<Batch, u64, BasicNode>;
    type Entry = openraft::impls::Entry<openraft::alias::CommittedLeaderIdOf<Self>, Self::Payload>;
    type Responder<T>
        = OneshotResponder<Self, T>
    where
        T: OptionalSend + 'static;
    type Batch<T>
        = InlineBatch<T>
    where
        T: OptionalSend + 'static;
    type AsyncRuntime = crate::runtime::Runtime;
    type ErrorSource = BoxedErrorSource;
}

/// Transactions that travel through the log as one entry, as `entry` encoded them: the log neither reads nor changes
/// them.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Batch(pub(crate) Bytes);

/// Short, because openraft prints entries in its diagnostics.
impl fmt::Display for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

pub(crate) type Entry = openraft::alias::EntryOf<TypeConfig>;
pub(crate) type Payload = openraft::alias::PayloadOf<TypeConfig>;
pub(crate) type LogId = openraft::alias::LogIdOf<TypeConfig>;
pub(crate) type Vote = openraft::alias::VoteOf<TypeConfig>;
pub(crate) type Membership = openraft::Membership<u64, BasicNode>;
pub(crate) type StoredMembership = openraft::alias::StoredMembershipOf<TypeConfig>;
pub(crate) type SnapshotMeta = openraft::alias::SnapshotMetaOf<TypeConfig>;
