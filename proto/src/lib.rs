//! The words that the parts of Corral share, and their bytes.
//!
//! Nothing here acts: these are names ([`Zxid`], [`SessionId`]), refusals ([`Code`]), the requests that a client
//! may make ([`Request`]), the answers it may get ([`Reply`]), and the one place ([`jute`]) that knows how they
//! look on a client's wire.
// Layers, lowest first. A module imports only from those above it; the tidy test checks.
pub mod limits;

pub mod code;
pub mod ids;
pub mod path;
pub mod server_line;
pub mod shared;

pub mod acl;
pub mod event;
pub mod stat;

pub mod reply;
pub mod request;

pub mod jute;

pub mod ask;

pub use acl::{Acl, Id, Permissions};
pub use ask::Ask;
/// Text that shares the bytes of the frame it was read from: cloning it copies nothing.
pub use bytestring::ByteString as Text;
pub use code::Code;
pub use event::{Event, EventKind};
pub use ids::{Attachment, ClusterId, MemberId, Seq, SessionId, Version, Xid, Zxid};
pub use path::ZnodePath;
pub use reply::Reply;
pub use request::{OpCode, Request};
pub use shared::Shared;
pub use stat::Stat;

/// What a member keeps on disk of the world, and what travels in a snapshot.
#[cfg(feature = "peer")]
#[expect(missing_docs, reason = "the records are explained where they are defined, in image.proto")]
pub mod image {
    include!(concat!(env!("OUT_DIR"), "/corral.image.rs"));
}

/// What an entry of the log carries.
#[cfg(feature = "peer")]
#[expect(missing_docs, reason = "the records are explained where they are defined, in log.proto")]
pub mod log {
    include!(concat!(env!("OUT_DIR"), "/corral.log.rs"));
}

/// What members say to each other.
#[cfg(feature = "peer")]
#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    reason = "generated from peer.proto"
)]
pub mod peer {
    include!(concat!(env!("OUT_DIR"), "/corral.peer.rs"));
}
