//! Every refusal that a client may be told, with its number on the wire.

/// Why a request was refused: the numbers of PROTOCOL, section "Error codes". A number that is not in this list
/// makes some clients throw, so none is ever invented.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Code {
    /// An earlier operation of the same multi failed.
    #[error("not reached: an earlier operation failed")]
    RuntimeInconsistency = -2,
    /// The body of the request does not parse.
    #[error("the request's body does not parse")]
    MarshallingError = -5,
    /// The operation is not served here.
    #[error("operation is not implemented")]
    Unimplemented = -6,
    /// A path, a flag or a number that no request of this kind may carry.
    #[error("argument is not legal")]
    BadArguments = -8,
    /// A reconfiguration whose new members are not ready.
    #[error("no quorum of the new members is connected and in step")]
    NewConfigNoQuorum = -13,
    /// Another reconfiguration is running.
    #[error("another reconfiguration is running")]
    ReconfigInProgress = -14,
    /// The znode, or the parent of the znode, does not exist.
    #[error("no znode at this path")]
    NoNode = -101,
    /// The ACL does not allow it.
    #[error("ACL does not permit this")]
    NoAuth = -102,
    /// The version is not the expected one.
    #[error("version does not match")]
    BadVersion = -103,
    /// An ephemeral znode has no children.
    #[error("an ephemeral znode has no children")]
    NoChildrenForEphemerals = -108,
    /// The znode exists.
    #[error("a znode exists at this path")]
    NodeExists = -110,
    /// The znode has children.
    #[error("znode still has children")]
    NotEmpty = -111,
    /// The session has ended.
    #[error("session has ended")]
    SessionExpired = -112,
    /// The ACL names nobody, or somebody in a form that its scheme does not know.
    #[error("ACL is not usable")]
    InvalidAcl = -114,
    /// The credentials were not accepted.
    #[error("credentials were not accepted")]
    AuthFailed = -115,
    /// The session has been attached elsewhere.
    #[error("session has moved to another member")]
    SessionMoved = -118,
    /// The server serves reads only.
    #[error("server serves reads only")]
    NotReadOnly = -119,
    /// A local session owns no ephemerals.
    #[error("a local session owns no ephemeral znodes")]
    EphemeralOnLocalSession = -120,
    /// No such watch is registered.
    #[error("no such watch is registered")]
    NoWatcher = -121,
    /// Reconfiguration is switched off.
    #[error("reconfiguration is switched off")]
    ReconfigDisabled = -123,
    /// The connection must authenticate before it asks anything.
    #[error("authentication is required first")]
    SessionClosedRequireSaslAuth = -124,
    /// The quota of the subtree would be exceeded.
    #[error("quota would be exceeded")]
    QuotaExceeded = -125,
    /// The request waited too long.
    #[error("request waited too long")]
    ThrottledOp = -127,
}

impl Code {
    /// The number that stands in a reply's header.
    pub const fn to_wire(self) -> i32 {
        self as i32
    }
}
